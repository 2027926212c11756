"""The assembly as processes over DDS: comes up, drives, keeps truth apart, ends cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from ilrs_robots.cli.supervisor import program
from ilrs_robots.robots.assembly import dds_environment

UP_S = 90.0
MAY_HEAR_TRUTH = {"recorder", "evaluator"}


class Run:
    """An ``ilrs sim`` under test."""

    def __init__(self, domain: int, *arguments: str) -> None:
        env = {**os.environ, "ROS_DOMAIN_ID": str(domain), "COLUMNS": "200"}
        self.process = subprocess.Popen(
            [*program("ilrs"), "sim", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        self.family: list[psutil.Process] = []

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = UP_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self.process.poll() is not None:
                pytest.fail(f"ilrs sim ended before {what}:\n{self.process.stdout.read()}")
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout_s:.0f} s in vain for {what}")
            time.sleep(0.05)

    def remember_children(self) -> None:
        self.family = psutil.Process(self.process.pid).children(recursive=True)

    def orphans(self) -> list[str]:
        return [" ".join(p.cmdline()) for p in self.family if p.is_running()]


@pytest.fixture
def start(domain_id: int) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def make(*arguments: str) -> Run:
        runs.append(Run(domain_id, *arguments))
        return runs[-1]

    yield make
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()
        assert run.process.stdout is not None
        run.process.stdout.close()
        for child in run.family:
            if child.is_running():
                child.kill()


def subscribers_of_truth(node: rclpy.node.Node) -> set[str]:
    topics = [name for name, _types in node.get_topic_names_and_types() if "/truth/" in name]
    return {
        info.node_name for name in topics for info in node.get_subscriptions_info_by_topic(name)
    }


@pytest.mark.timeout(240)
def test_it_comes_up_keeps_truth_apart_and_ctrl_c_leaves_nothing(
    start: Callable[..., Run],
    domain_id: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    run = start("--site", "shackleton", "--record", str(tmp_path / "bag"), "--duration", "300")
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    rclpy.init(domain_id=domain_id)
    observer = rclpy.create_node("observer")
    executor = SingleThreadedExecutor()
    executor.add_node(observer)

    def graph_is_up() -> bool:
        executor.spin_once(timeout_sec=0.1)
        names = dict(observer.get_topic_names_and_types())
        wanted = {"/long_range/odom", "/long_range/traversability", "/long_range/cmd_vel"}
        return wanted <= set(names) and "recorder" in subscribers_of_truth(observer)

    try:
        run.until(graph_is_up, "the graph")
        assert subscribers_of_truth(observer) <= MAY_HEAR_TRUTH
        topics = dict(observer.get_topic_names_and_types())
        assert topics["/long_range/lidar/points"] == ["sensor_msgs/msg/PointCloud2"]
        assert topics["/long_range/elevation_map"] == ["grid_map_msgs/msg/GridMap"]
        assert topics["/long_range/cmd_vel"] == ["geometry_msgs/msg/TwistStamped"]
    finally:
        observer.destroy_node()
        rclpy.shutdown()
    run.remember_children()
    assert len(run.family) >= 4
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(timeout=30) == 0
    assert run.orphans() == []
    assert list((tmp_path / "bag").glob("*.mcap"))


@pytest.mark.timeout(120)
def test_a_dead_process_is_named_with_its_last_words(start: Callable[..., Run]) -> None:
    run = start("--site", "shackleton", "--robot", "long_range", "--duration", "300")

    def gate() -> list[psutil.Process]:
        run.remember_children()
        return [p for p in run.family if any("command_gate" in part for part in p.cmdline())]

    run.until(lambda: bool(gate()), "the gate's process")
    gate()[0].kill()
    assert run.process.wait(timeout=40) == 1
    assert "long_range.gate ended with signal SIGKILL" in run.process.stdout.read()
    assert run.orphans() == []


def test_an_unknown_robot_is_one_clear_line(start: Callable[..., Run]) -> None:
    run = start("--robot", "submarine")
    assert run.process.wait(timeout=40) == 1
    said = run.process.stdout.read().strip()
    assert "submarine" in said
    assert "long_range" in said
    assert len(said.splitlines()) == 1
