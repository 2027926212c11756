"""Layouts of RViz and Foxglove: they parse, and name what the vehicles say and hear, no more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ilrs_robots.core.config import leaves
from ilrs_robots.robots.layouts import foxglove_layout, rviz_layout
from ilrs_robots.robots.model import load_robot

REPOSITORY = Path(__file__).resolve().parents[2]
ROBOTS = ("long_range", "crewed_rover", "hopper")
LOGS = "/rosout"
"""ROS's own, in no table of ours."""


def interface_table() -> dict[str, str]:
    """Names from the first column of the table of topics, with the type's package and name."""
    found = {}
    for line in (REPOSITORY / "docs" / "frames_and_topics.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 6:
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found[name] = cells[1]
    assert {"odom", "plan", "/clock"} <= set(found)
    return found


def texts(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from texts(key)
            yield from texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from texts(value)
    elif isinstance(tree, str):
        yield tree


def topics(layout: Any) -> set[str]:
    """Every text that looks like an absolute ROS name; a plot's path goes on after a dot."""
    return {text.split(".")[0] for text in texts(layout) if re.match(r"/\w", text)}


@pytest.mark.parametrize("robots", [("long_range",), ("hopper",), ROBOTS])
@pytest.mark.parametrize("make", [rviz_layout, foxglove_layout])
def test_a_layout_names_topics_of_the_interface_table_for_each_vehicle_that_runs(
    make: Any, robots: tuple[str, ...]
) -> None:
    table = interface_table()
    text = make(robots)
    layout = json.loads(text) if make is foxglove_layout else yaml.safe_load(text)
    by_robot: dict[str, set[str]] = {robot: set() for robot in robots}
    for name in topics(layout) - {LOGS}:
        if name in table:
            continue
        robot, _, rest = name.lstrip("/").partition("/")
        assert rest in table, name
        by_robot[robot].add(rest)
    shown = {"robot_description", "traversability", "plan", "odom", "lidar/points"}
    for robot, names in by_robot.items():
        assert shown <= names, robot
    assert {"goal_pose", "initialpose"} <= by_robot[robots[0]]
    for absent in set(ROBOTS) - set(robots):
        assert absent not in text


def test_the_shipped_files_work_as_they_are() -> None:
    shipped = yaml.safe_load((REPOSITORY / "config/rviz/vehicle.rviz").read_text())
    assert yaml.safe_load(rviz_layout(["long_range"])) == shipped
    shipped = json.loads((REPOSITORY / "config/foxglove/vehicle.json").read_text())
    assert json.loads(foxglove_layout(["long_range"])) == shipped


def displays(robots: tuple[str, ...]) -> list[dict[str, Any]]:
    manager = yaml.safe_load(rviz_layout(robots))["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == "map"
    flat = []
    for display in manager["Displays"]:
        flat += display.get("Displays", [display])
    return flat


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("rviz_default_plugins/RobotModel", "std_msgs/String"),
        ("grid_map_rviz_plugin/GridMap", "grid_map_msgs/GridMap"),
        ("rviz_default_plugins/Map", "nav_msgs/OccupancyGrid"),
        ("rviz_default_plugins/Path", "nav_msgs/Path"),
        ("rviz_default_plugins/PointCloud2", "sensor_msgs/PointCloud2"),
        ("rviz_default_plugins/Odometry", "nav_msgs/Odometry"),
    ],
)
def test_each_display_of_rviz_takes_the_type_and_the_quality_of_its_topic(
    kind: str, message: str
) -> None:
    table = interface_table()
    found = [d for d in displays(ROBOTS) if d["Class"] == kind]
    assert len(found) == len(ROBOTS)
    for display in found:
        topic = display.get("Topic") or display["Description Topic"]
        name = "/".join(topic["Value"].split("/")[2:])
        assert table[name].startswith(message)
        latched = name in {"robot_description", "elevation_map", "traversability", "plan"}
        assert topic["Durability Policy"] == ("Transient Local" if latched else "Volatile")
        if name == "lidar/points":
            assert topic["Reliability Policy"] == "Best Effort"


def test_a_models_links_get_the_vehicles_prefix() -> None:
    for display, robot in zip(
        (d for d in displays(ROBOTS) if d["Class"].endswith("RobotModel")), ROBOTS, strict=True
    ):
        assert display["TF Prefix"] == robot
    layers = json.loads(foxglove_layout(ROBOTS))["configById"]["3D!site"]["layers"]
    prefixes = [v["framePrefix"] for v in layers.values() if v["layerId"] == "foxglove.Urdf"]
    assert prefixes == [f"{robot}/" for robot in ROBOTS]


def test_a_gamepads_file_holds_buttons_and_no_speed() -> None:
    nodes = yaml.safe_load((REPOSITORY / "config/joystick/gamepad.yaml").read_text())
    teleop = nodes["/**/teleop_twist_joy_node"]["ros__parameters"]
    assert teleop["publish_stamped_twist"] is True
    assert teleop["require_enable_button"] is True
    assert not [key for key in teleop if key.startswith("scale")]
    speeds = {leaf.value for leaf in leaves(load_robot("long_range").limits)}
    assert not speeds & {v for v in teleop.values() if isinstance(v, float)}
