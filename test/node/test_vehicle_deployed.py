"""A vehicle as systemd starts it: notifications, heartbeat, graph against policy, the check.

The hopper stands for all in the short form; the rover, whose two processes take 17 s of a core to
start, in the long one.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from click.testing import CliRunner
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node, NodeNameNonExistentError
from std_msgs.msg import String

from ilrs_robots.cli.deploy import check
from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.security import policy_of
from ilrs_robots.cli.supervisor import program
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.interface_table import endpoints_of
from ilrs_robots.robots.assembly import dds_environment, robot_processes
from ilrs_robots.robots.security import read_policy

pytestmark = pytest.mark.node
SITE = "three"
WATCHDOG_US = 1_000_000
UP_S = 200.0


class Service:
    """One process as systemd runs it: a socket to talk to, a watchdog, a file to touch."""

    def __init__(self, folder: Path, robot: str, part: str) -> None:
        self.address = str(folder / f"{part}.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.beat = folder / f"{part}.beat"
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [*program("ilrs"), "deploy", "run", robot, part, "--state", str(folder / "state")],
            env={
                **os.environ,
                "ILRS_SITE": SITE,
                "NOTIFY_SOCKET": self.address,
                "WATCHDOG_USEC": str(WATCHDOG_US),
                "ILRS_HEARTBEAT": str(self.beat),
            },
        )

    def hear(self, wanted: str) -> str:
        """The next message with this line; fails when the process ends before."""
        deadline = time.monotonic() + UP_S
        while time.monotonic() < deadline:
            if select.select([self.socket], [], [], 0.2)[0]:
                text = self.socket.recv(4096).decode()
                self.said.append(text)
                if wanted in text.splitlines():
                    return text
            assert self.process.poll() is None, f"ended before {wanted}: {self.said}"
        pytest.fail(f"waited in vain for {wanted}: {self.said}")

    def end(self) -> int:
        """Stop it as the unit does."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.socket.close()


class Vehicle:
    """Its services."""

    def __init__(self, folder: Path, robot: str) -> None:
        self.robot, self.drives = robot, robot != "hopper"
        parts = ("gate", "nodes") if self.drives else ("nodes",)
        self.services = {part: Service(folder, robot, part) for part in parts}


@pytest.fixture(
    scope="module", params=["hopper", pytest.param("long_range", marks=pytest.mark.soak)]
)
def vehicle(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vehicle]:
    folder = tmp_path_factory.mktemp("v")
    plain = {key: value for key, value in os.environ.items() if key != "ROS_DOMAIN_ID"}
    with pytest.MonkeyPatch.context() as patch, own_domain(plain) as domain:
        for key, value in {**dds_environment({}), "ROS_DOMAIN_ID": str(domain)}.items():
            patch.setenv(key, value)
        made = Vehicle(folder, request.param)
        try:
            yield made
        finally:
            codes = {part: service.end() for part, service in made.services.items()}
            assert codes == dict.fromkeys(codes, 0)  # stopped as the unit does, not killed


@pytest.fixture(scope="module")
def watcher(vehicle: Vehicle) -> Iterator[Node]:
    """A node in the vehicle's domain, once that is up."""
    for service in vehicle.services.values():
        service.hear("READY=1")
    context = rclpy.Context()
    context.init()
    node = Node("watcher", context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


def until(condition: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    return pytest.fail(f"waited {timeout_s:.0f} s in vain for {what}")


def test_the_service_manager_is_told_of_start_and_life_by_the_main_process(
    vehicle: Vehicle, watcher: Node
) -> None:
    for service in vehicle.services.values():
        ready = next(text for text in service.said if "READY=1" in text)
        # exec kept the process id: the unit's main process is the node itself.
        assert f"MAINPID={service.process.pid}" in ready.splitlines()
        service.hear("WATCHDOG=1")
        until(service.beat.exists, "the heartbeat of the health check")


def test_a_stopped_executor_feeds_no_watchdog(vehicle: Vehicle, watcher: Node) -> None:
    last = next(iter(vehicle.services.values()))
    last.hear("WATCHDOG=1")
    last.process.send_signal(signal.SIGSTOP)
    try:
        while select.select([last.socket], [], [], 0.0)[0]:
            last.socket.recv(4096)
        quiet = select.select([last.socket], [], [], WATCHDOG_US * 1e-6)
        assert quiet == ([], [], [])
    finally:
        last.process.send_signal(signal.SIGCONT)
    last.hear("WATCHDOG=1")


def test_the_policy_names_exactly_what_a_running_vehicle_has(
    vehicle: Vehicle, watcher: Node
) -> None:
    robot, drives = vehicle.robot, vehicle.drives
    # state_publisher takes the joints once somebody takes the description
    listener = watcher.create_subscription(
        String, f"/{robot}/robot_description", lambda _: None, qos.MAP
    )
    allowed = read_policy(policy_of(robot, SITE, drives=drives))[f"/{robot}"]
    specs = robot_processes(SITE, 0, robot, use_sim_time=False, drives=drives)
    wanted = {node for spec in specs for node in spec.nodes}
    assert {node for _, node in allowed} == {*wanted, "robot_host"}

    def differences() -> dict[str, Any]:
        found = {}
        for (space, node), endpoints in allowed.items():
            with contextlib.suppress(NodeNameNonExistentError):
                if endpoints_of(watcher, node, space) == endpoints:
                    continue
            found[node] = endpoints
        return found

    until(lambda: not differences(), "the graph to be what the policy says", 30.0)
    watcher.destroy_subscription(listener)


def test_every_node_tells_once_a_second_what_it_takes_and_costs(
    vehicle: Vehicle, watcher: Node
) -> None:
    specs = robot_processes(SITE, 0, vehicle.robot, use_sim_time=False, drives=vehicle.drives)
    nodes = {node for spec in specs for node in spec.nodes}
    stamps_s: dict[str, list[float]] = {node: [] for node in nodes}
    values: dict[str, dict[str, str]] = {}

    def take(msg: DiagnosticArray) -> None:
        (status,) = msg.status
        robot, _, node = status.name.partition("/")
        assert robot == status.hardware_id == vehicle.robot
        stamps_s[node].append(msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9)
        values[node] = {pair.key: pair.value for pair in status.values}

    listener = watcher.create_subscription(DiagnosticArray, "/diagnostics", take, qos.STATE)
    executor = SingleThreadedExecutor(context=watcher.context)
    executor.add_node(watcher)

    def heard() -> bool:
        executor.spin_once(timeout_sec=0.1)
        return min(map(len, stamps_s.values())) >= 6

    until(heard, "six reports of every node")
    executor.shutdown()
    watcher.destroy_subscription(listener)
    for node, told in values.items():
        assert 0.8 < np.median(np.diff(stamps_s[node])) < 1.2, node
        assert {"latency_p50_ms", "latency_p95_ms", "latency_max_ms", "rate_hz"} <= set(told)
        for key in ("cpu_percent", "process_cpu_percent", "process_memory_mb"):
            assert float(told[key]) >= 0.0, (node, key)
        inputs = {key for key in told if re.fullmatch(r"in\..+\.rate_hz", key)}
        assert inputs or node == "state_publisher", node  # it listens when somebody draws
    assert float(values["health"]["in./diagnostics.rate_hz"]) > 0.0
    assert abs(float(values["health"]["in./diagnostics.age_s"])) < 5.0


def test_the_check_tells_what_is_there_and_what_is_missing(
    vehicle: Vehicle, watcher: Node
) -> None:
    robot = vehicle.robot
    done = CliRunner().invoke(check, [robot, "--for", "3", "--json"], standalone_mode=False)
    found = {f["check"]: f for f in json.loads(done.output)["findings"]}
    assert found["reachability"]["level"] == "ok"
    assert found["versions"]["level"] == "ok"
    assert found["disk"]["what"].endswith("free")
    assert found[f"topic /{robot}/battery"]["level"] == "error"  # no driver, no pose
    assert found["node health"]["what"]
    if vehicle.drives:
        assert done.return_value == 1, done.output
        assert found[f"topic /{robot}/cmd_vel"]["level"] == "ok"  # the gate says stop
        lidar = found[f"topic /{robot}/lidar/points"]
        assert lidar["level"] == "error"  # there is no driver
        assert "driver" in lidar["remedy"]
        assert found["node localization"]["level"] == "warning"


def test_the_check_of_a_vehicle_that_is_not_there_says_what_to_look_at(watcher: Node) -> None:
    arguments = ["crewed_rover", "--wait", "1", "--json"]
    done = CliRunner().invoke(check, arguments, standalone_mode=False)
    (only,) = json.loads(done.output)["findings"]
    assert done.return_value == 1
    assert "ROS_DOMAIN_ID" in only["remedy"]
