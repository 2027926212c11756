"""A node cannot tell which simulator it is in: names and types are the same in both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from rclpy.node import Node

from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.gazebo_support import GazeboSupportNode
from ilrs_robots.robots.gazebo.interfaces import (
    FAST_CLOCK,
    GZ_TO_ROS,
    ROS_TO_GZ,
    Bridge,
    light_topic,
    robot_bridges,
    thrust_bridges,
    world_bridges,
    write_bridges,
)
from ilrs_robots.robots.gazebo.plan import bridge_parameters
from ilrs_robots.robots.model import load_robot

DOCS = Path(__file__).resolve().parents[2] / "docs" / "frames_and_topics.md"
ROBOT = "long_range"
OWN = {"/parameter_events", "/rosout", "/diagnostics", "/sun/direction"}
# ros_gz_bridge's table of types that it can convert (ros_gz, branch jazzy, README)
CONVERTS = {
    "rosgraph_msgs/msg/Clock": "gz.msgs.Clock",
    "sensor_msgs/msg/Imu": "gz.msgs.IMU",
    "sensor_msgs/msg/JointState": "gz.msgs.Model",
    "sensor_msgs/msg/PointCloud2": "gz.msgs.PointCloudPacked",
    "nav_msgs/msg/Odometry": "gz.msgs.Odometry",
    "ros_gz_interfaces/msg/Light": "gz.msgs.Light",
    "ros_gz_interfaces/msg/EntityWrench": "gz.msgs.EntityWrench",
    "ros_gz_interfaces/msg/Entity": "gz.msgs.Entity",
    "std_msgs/msg/Float64": "gz.msgs.Double",
}


def published(node: Node) -> dict[str, str]:
    found = node.get_publisher_names_and_types_by_node(node.get_name(), node.get_namespace())
    return {name: types[0] for name, types in found if name not in OWN}


def bridged(**choice: bool) -> dict[str, str]:
    bridges = [*world_bridges("w"), *robot_bridges(ROBOT, load_robot(ROBOT), **choice)]
    out = {b.ros_topic: b.ros_type for b in bridges if b.direction == GZ_TO_ROS}
    assert out.pop(FAST_CLOCK) == "rosgraph_msgs/msg/Clock"  # for the support process alone
    return out


def test_gazebo_publishes_what_the_embedded_simulator_publishes(graph: Any) -> None:
    embedded = graph.add(EmbeddedSimNode())
    support = graph.add(GazeboSupportNode())
    graph.until(lambda: len(published(embedded)) >= 8, "the embedded simulator's topics")
    theirs = {
        t: k for t, k in published(embedded).items() if t.startswith((f"/{ROBOT}/", "/clock"))
    }
    graph.until(lambda: len(published(support)) >= 4, "the support's topics")
    ours = published(support)
    light = ours.pop(light_topic("shackleton"), "ros_gz_interfaces/msg/Light")
    assert light == "ros_gz_interfaces/msg/Light"
    assert not ours.keys() & bridged().keys()
    assert {**ours, **bridged()} == theirs


def test_the_interface_table_says_the_same() -> None:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|,]+)[^|]* \| [^|]* \| simulator[^|]* \|",
        DOCS.read_text(),
        re.MULTILINE,
    )
    table = {
        name if name.startswith("/") else f"/{ROBOT}/{name}": kind.strip().replace("/", "/msg/")
        for name, kind in rows
    }
    table.pop("/clock")
    for name in ("star_tracker/attitude", "sun_sensor/direction", "beacons/range"):
        table.pop(f"/{ROBOT}/{name}")  # the support process's, as the clock
    for name in ("altimeter/range", "tank/pressure"):
        table.pop(f"/{ROBOT}/{name}")  # a hopper's
    assert table == bridged()


def test_the_clock_is_the_worlds_own() -> None:
    """Gazebo leaves out ``/clock`` where another server still has it."""
    (clock,) = (b for b in world_bridges("shackleton") if b.ros_topic == FAST_CLOCK)
    assert clock.gz_topic == "/world/shackleton/clock"


def test_the_fallback_takes_the_lidars_place_and_no_other() -> None:
    assert bridged().keys() - bridged(lidar_fallback=True).keys() == {f"/{ROBOT}/lidar/points"}


@pytest.mark.parametrize("name", ["long_range", "crewed_rover", "hopper"])
def test_every_joint_that_is_driven_has_its_command(name: str) -> None:
    model = load_robot(name)
    commands = {b.ros_topic for b in robot_bridges("r", model) if b.direction == ROS_TO_GZ}
    wheels = getattr(model, "wheels", None)
    wanted = set()
    if wheels is not None:
        wanted |= {f"/r/joints/{w}_wheel/cmd_vel" for w in wheels.names}
        wanted |= {f"/r/joints/{w}_steer/cmd_pos" for w in wheels.steered}
    assert commands == wanted


def test_the_bridges_file_has_only_what_the_bridge_knows(tmp_path: Path) -> None:
    bridges = (*world_bridges("w"), *thrust_bridges("w"))
    bridges = (*bridges, *robot_bridges(ROBOT, load_robot(ROBOT)))
    write_bridges(tmp_path / "bridge.yaml", bridges)
    entries = yaml.safe_load((tmp_path / "bridge.yaml").read_text())
    keys = {
        "ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name", "direction",
        "publisher_queue", "subscriber_queue", "lazy",
    }  # fmt: skip
    for entry in entries:
        assert set(entry) == keys
        assert entry["direction"] in {GZ_TO_ROS, ROS_TO_GZ}
        assert CONVERTS[entry["ros_type_name"]] == entry["gz_type_name"]
    names = [entry["ros_topic_name"] for entry in entries]
    assert len(names) == len(set(names)) == len(bridges)
    parameters = bridge_parameters(tmp_path / "bridge.yaml", bridges)
    assert (
        parameters[f"qos_overrides./{ROBOT}/lidar/points.publisher.reliability"] == "best_effort"
    )
    assert sum(key.startswith("qos_overrides") for key in parameters) == 1
    assert isinstance(bridges[0], Bridge)
