"""The assembly as processes over DDS: comes up, keeps truth apart, ends cleanly."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from ilrs_robots.robots.assembly import dds_environment

pytestmark = pytest.mark.launch
MAY_HEAR_TRUTH = {"recorder", "evaluator"}


def subscribers_of_truth(node: rclpy.node.Node) -> set[str]:
    topics = [name for name, _types in node.get_topic_names_and_types() if "/truth/" in name]
    return {
        info.node_name for name in topics for info in node.get_subscriptions_info_by_topic(name)
    }


@pytest.mark.timeout(700)
def test_it_comes_up_keeps_truth_apart_and_ctrl_c_leaves_nothing(
    start: Callable[..., Any], domain_id: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bag = tmp_path / "bag"
    run = start("sim", "--site", "shackleton", "--record", str(bag), "--duration", "300")
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
    run.send(signal.SIGINT)
    assert run.process.wait(timeout=120) == 0
    assert run.orphans() == []
    assert list(bag.glob("*.mcap"))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hopper_hops_by_one_command(start: Callable[..., Any]) -> None:
    run = start("sim", "--site", "shackleton", "--robot", "hopper", "--goal", "30,-20")
    assert run.process.wait(timeout=800) == 0, run.said()
    assert "goal succeeded" in run.said()
    assert run.orphans() == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_second_terminal_sends_it_somewhere_as_the_tutorial_says(
    start: Callable[..., Any],
) -> None:
    run = start("sim")
    run.until_up()
    goal = start("goal", "long_range", "--to", "6,-1.5")
    assert goal.process.wait(timeout=600) == 0, goal.said() + run.said()
    assert "goal succeeded" in goal.said()
    run.remember_children()
    run.send(signal.SIGINT)
    assert run.process.wait(timeout=120) == 0
    assert run.orphans() == []


def test_an_unknown_robot_is_one_clear_line(start: Callable[..., Any]) -> None:
    run = start("sim", "--robot", "submarine")
    assert run.process.wait(timeout=120) == 1
    said = run.said().strip()
    assert "submarine" in said
    assert "long_range" in said
    assert len(said.splitlines()) == 1
