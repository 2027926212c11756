"""A real run whose processes are killed and stopped, and which is ended in every rude way."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy

from ilrs_robots.cli.supervisor import program
from ilrs_robots.nodes import qos
from ilrs_robots.robots.assembly import dds_environment

pytestmark = pytest.mark.launch

BRAKES_WITHIN_S = 0.5
"""Simulated, after the last command that arrives; the gate and the actuators have 0.25 s each."""
BRAKE_MPS2 = 0.6
"""The least that they brake with: 1 m/s2 on the flat, what friction leaves on a slope."""
LAG_S = 0.6
"""Simulated time that may pass between the kill and what this test has seen of the truth."""
RESTING_MPS = 0.02
STALE_S = 0.5
"""On a pose that is older the gate sends nothing but the ramp to a stop."""
FASTEST_MPS = 1.0
"""More than the vehicle can do on any slope."""
ALL = QoSProfile(depth=2000, reliability=ReliabilityPolicy.RELIABLE)


class Truth:
    """The true motion, as an evaluator hears it."""

    def __init__(self, domain: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("evaluator", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.rows: list[tuple[float, float, float, float]] = []
        self.node.create_subscription(Odometry, "/long_range/truth/odom", self._take, qos.STATE)

    def close(self) -> None:
        self._executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def _take(self, msg: Odometry) -> None:
        stamp, place, speed = msg.header.stamp, msg.pose.pose.position, msg.twist.twist.linear
        time_s = stamp.sec + stamp.nanosec * 1e-9
        self.rows.append((time_s, math.hypot(speed.x, speed.y), place.x, place.y))

    def __call__(self, condition: Callable[[], object]) -> Callable[[], object]:
        """The condition, asked after what has come in was heard."""

        def ask() -> object:
            for _ in range(20):
                self._executor.spin_once(timeout_sec=0.002)
            return condition()

        return ask

    def drives(self) -> bool:
        return bool(self.rows) and self.rows[-1][1] > 0.3

    def rests(self) -> bool:
        return self.rows[-1][1] < RESTING_MPS

    def check_it_was_steady(self) -> None:
        """Time never ran back and the vehicle never jumped."""
        for before, after in zip(self.rows, self.rows[1:], strict=False):
            assert after[0] > before[0]
            # between two that this process heard a second may lie, on a busy machine
            assert math.dist(before[2:], after[2:]) < 0.1 + FASTEST_MPS * (after[0] - before[0])


class Witness:
    """Everything that a judge needs to hear."""

    def __init__(self, node: Any) -> None:
        self.commands: list[tuple[float, float]] = []
        self.poses: list[float] = []
        self.gate: list[str] = []
        self.modes: list[str] = []
        subscribe = node.create_subscription
        subscribe(TwistStamped, "/long_range/cmd_vel", self._command, ALL)
        subscribe(Odometry, "/long_range/odom", self._pose, ALL)
        subscribe(DiagnosticArray, "/diagnostics", self._told, ALL)
        subscribe(DiagnosticStatus, "/long_range/health", self._health, ALL)

    def _command(self, msg: TwistStamped) -> None:
        moves = abs(msg.twist.linear.x) + abs(msg.twist.angular.z)
        self.commands.append((seconds(msg), moves))

    def _pose(self, msg: Odometry) -> None:
        self.poses.append(seconds(msg))

    def _told(self, msg: DiagnosticArray) -> None:
        self.gate += [s.message for s in msg.status if s.name.endswith("/command_gate")]

    def _health(self, msg: DiagnosticStatus) -> None:
        self.modes += {pair.key: pair.value for pair in msg.values}["modes"].split(",")

    def stalest_s(self, begin_s: float, *, braking: bool = True) -> float:
        """Oldest pose that a moving command went out on, or one that does not brake."""
        poses = np.sort(self.poses)
        rows = zip(self.commands, self.commands[1:], strict=False)
        moving = [
            now_s
            for (_, before), (now_s, moves) in rows
            if moves > 0.0 and (braking or moves >= before) and begin_s < now_s <= poses[-1]
        ]
        if not moving:
            return 0.0
        newest = poses[np.maximum(np.searchsorted(poses, moving, side="right") - 1, 0)]
        return float(np.max(np.array(moving) - newest))


def seconds(msg: Any) -> float:
    return float(msg.header.stamp.sec + msg.header.stamp.nanosec * 1e-9)


@pytest.fixture
def truth(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Truth]:
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    made = Truth(domain_id)
    yield made
    made.close()


def drive_and_stop(run: Any, truth: Truth, executable: str, number: int) -> Any:
    """Take a process away from a driving vehicle: it stands; the process, and since when."""
    run.until(truth(truth.drives), "the vehicle drives")
    victim = run.child(executable)
    assert victim is not None
    at_s, speed = truth.rows[-1][:2]
    victim.send_signal(number)
    run.until(truth(lambda: truth.rows[-1][0] > at_s and truth.rests()), "it stands still")
    stood_s = truth.rows[-1][0]
    top = max(row[1] for row in truth.rows if row[0] >= at_s)
    print(f"{executable}: stands {stood_s - at_s:.2f} s after {speed:.2f} m/s was seen")
    assert stood_s - at_s < BRAKES_WITHIN_S + LAG_S + max(top, speed) / BRAKE_MPS2
    return victim, at_s


def drive_and_lose(run: Any, truth: Truth, executable: str, number: int) -> None:
    """As above, and the process comes back as another."""
    victim, _ = drive_and_stop(run, truth, executable, number)
    run.until(lambda: run.child(executable) not in (victim, None), "it is started again")


def freeze_and_go_on(run: Any, truth: Truth, witness: Witness) -> float:
    """The nodes stand still for less than the watchdog allows, and then go on; from when."""
    said = len(witness.gate)
    victim, at_s = drive_and_stop(run, truth, "robot_node", signal.SIGSTOP)
    shut = truth(lambda: any("old, limit" in message for message in witness.gate[said:]))
    run.until(shut, "the gate to say what is stale")
    victim.send_signal(signal.SIGCONT)
    return float(at_s)


def freeze_until_it_is_missed(run: Any, truth: Truth, witness: Witness) -> Any:
    """The gate stands still until the vehicle's health names that it lacks something."""
    victim, _ = drive_and_stop(run, truth, "command_gate", signal.SIGSTOP)
    said = len(witness.modes)
    run.until(truth(lambda: "incomplete" in witness.modes[said:]), "the mode without a gate")
    return victim


@pytest.mark.timeout(700)
def test_a_killed_process_stops_the_vehicle_and_the_drive_goes_on(
    start: Callable[..., Any], truth: Truth
) -> None:
    run = start("sim", "--site", "shackleton", "--goal", "8,-3", "--duration", "300")
    witness = Witness(truth.node)
    begin_s = freeze_and_go_on(run, truth, witness)
    gate = freeze_until_it_is_missed(run, truth, witness)
    with contextlib.suppress(psutil.NoSuchProcess):  # the watchdog may have been first
        gate.kill()
    run.until(lambda: run.child("command_gate") not in (gate, None), "the gate to be back")
    drive_and_lose(run, truth, "robot_node", signal.SIGKILL)
    run.until(truth(lambda: "goal succeeded" in run.said()), "the goal")
    assert run.process.wait(timeout=120) == 0
    truth.check_it_was_steady()
    assert witness.stalest_s(begin_s, braking=False) < STALE_S
    assert "long_range ended with signal SIGKILL" in run.said()
    assert math.dist(truth.rows[-1][2:], (8.0, -3.0)) < 2.5
    assert run.orphans() == []


@pytest.mark.soak
@pytest.mark.timeout(700)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("executable", ["robot_node", "command_gate"])
def test_whoever_is_lost_the_drive_goes_on(
    start: Callable[..., Any], truth: Truth, executable: str, number: int
) -> None:
    run = start("sim", "--site", "shackleton", "--goal", "20,5", "--duration", "400")
    drive_and_lose(run, truth, executable, number)
    run.until(truth(lambda: "goal succeeded" in run.said()), "the goal", 400.0)
    assert run.process.wait(timeout=120) == 0
    truth.check_it_was_steady()


@pytest.mark.soak
@pytest.mark.timeout(700)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("executable", ["embedded_sim", "recorder"])
def test_simulator_and_recorder_are_started_again_too(
    start: Callable[..., Any], truth: Truth, tmp_path: Path, executable: str, number: int
) -> None:
    bag = tmp_path / "bag"
    run = start(
        "sim", "--site", "shackleton", "--goal", "20,5", "--duration", "400", "--record", str(bag)
    )
    run.until(truth(truth.drives), "the vehicle drives")
    victim = run.child(executable)
    victim.send_signal(number)
    run.until(truth(lambda: "is up again" in run.said()), "it is up again")
    run.until(truth(lambda: "goal succeeded" in run.said()), "the goal", 400.0)
    assert run.process.wait(timeout=120) == 0
    truth.check_it_was_steady()
    assert (tmp_path / "bag_2").exists() == (executable == "recorder")


@pytest.mark.timeout(700)
@pytest.mark.parametrize(
    "how", ["during the start", "hangup", pytest.param("twice", marks=pytest.mark.soak)]
)
def test_however_it_is_ended_nothing_is_left(start: Callable[..., Any], how: str) -> None:
    run = start("sim", "--site", "shackleton", "--goal", "30,0")
    if how == "during the start":
        run.until(lambda: len(run.family) >= 2, "processes are there")
    else:
        run.until_up()
    run.send(signal.SIGHUP if how == "hangup" else signal.SIGINT)
    if how == "twice":
        run.hears_a_second_time(signal.SIGINT)
    run.process.wait(timeout=120)
    assert run.left_behind() == []


@pytest.mark.soak
@pytest.mark.timeout(700)
def test_two_runs_at_once_do_not_hear_each_other(start: Callable[..., Any]) -> None:
    runs = [start("sim", "--site", "shackleton", domain=None) for _ in range(2)]
    for run in runs:
        run.until_up()
    domains = {run.domain for run in runs}
    assert len(domains) == 2
    for domain in domains:
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = rclpy.create_node("observer", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)

        def sims(node: rclpy.node.Node = node, spin: Any = executor.spin_once) -> int:
            spin(timeout_sec=0.1)
            return sum(name == "embedded_sim" for name in node.get_node_names())

        runs[0].until(sims, "the simulator is seen")
        for _ in range(20):
            assert sims() == 1
        node.destroy_node()
        rclpy.shutdown(context=context)
    for run in runs:
        run.send(signal.SIGINT)
        assert run.process.wait(timeout=120) == 0


UNSHARE = shutil.which("unshare")


@pytest.mark.skipif(
    UNSHARE is None
    or subprocess.run(
        [UNSHARE, "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/dev/shm"],
        capture_output=True,
    ).returncode
    != 0,
    reason="needs a mount namespace of its own",
)
@pytest.mark.timeout(700)
@pytest.mark.soak
@pytest.mark.parametrize(("size", "word"), [("64m", "segments of"), ("2m", "UDP on loopback")])
def test_a_small_dev_shm_is_said_and_the_drive_works(domain_id: int, size: str, word: str) -> None:
    command = (
        f"mount -t tmpfs -o size={size} tmpfs /dev/shm && "
        f"exec {program('ilrs')[0]} sim --site shackleton --goal 6,0 --duration 200"
    )
    env = {**os.environ, "ROS_DOMAIN_ID": str(domain_id), "COLUMNS": "250"}
    done = subprocess.run(
        [str(UNSHARE), "-m", "sh", "-c", command], capture_output=True, text=True, env=env
    )
    assert word in done.stdout
    assert "goal succeeded" in done.stdout
