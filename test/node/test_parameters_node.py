"""Parameters: known, documented, checked at start and while running."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import OccupancyGrid, Odometry
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter

from ilrs_robots.cli.docs import PAGE, render
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.parameter_table import tables
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener


class Tuner:
    """Sets a node's parameters over its services."""

    def __init__(self, graph: Any, node: Any) -> None:
        self.graph = graph
        self.target = node
        self.node = graph.add(Node("tuner"))
        name = node.get_name()
        self.each = self.node.create_client(SetParameters, f"{name}/set_parameters")
        self.all = self.node.create_client(
            SetParametersAtomically, f"{name}/set_parameters_atomically"
        )
        graph.until(self.each.service_is_ready, "set_parameters")
        graph.until(self.all.service_is_ready, "set_parameters_atomically")

    def set(self, name: str, value: object) -> str:
        """The refusal's reason, empty when the value was taken."""
        request = SetParameters.Request(parameters=[message(name, value)])
        return self._reason(self.each, request, lambda response: response.results[0])

    def set_all(self, **values: object) -> str:
        made = [message(name.replace("__", "."), value) for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=made)
        return self._reason(self.all, request, lambda response: response.result)

    def _reason(self, client: Any, request: Any, result: Any) -> str:
        answer = client.call_async(request)
        self.graph.until(answer.done, "the answer")
        found = result(answer.result())
        assert found.successful == (not found.reason)
        return str(found.reason)


def message(name: str, value: object) -> ParameterMsg:
    return Parameter(name, value=value).to_parameter_msg()


@pytest.fixture
def navigation(graph: Any) -> Tuner:
    node = graph.add(NavigationNode(TransformListener(graph.add(Node("host")))))
    bring_up(node)
    return Tuner(graph, node)


SPEED = "navigator.tracker.max_speed_mps"


def test_a_refused_change_names_value_limit_and_unit_and_changes_nothing(
    navigation: Tuner,
) -> None:
    for name, value, words in (
        (SPEED, 21.0, f"{SPEED} = 21.0 m/s: above the limit 20.0 m/s"),
        (SPEED, 0.0, f"{SPEED} = 0.0 m/s: below the limit 0.01 m/s"),
        (SPEED, math.nan, f"{SPEED} is NaN (m/s): a number is needed"),
        (SPEED, "fast", f"{SPEED} = 'fast': expected a number"),
        ("navigator.wait_s", 1, "parameter type, expected 'Type.DOUBLE' got 'Type.INTEGER'"),
        ("navigator.max_recoveries", 1.5, "max_recoveries = 1.5: expected a whole number"),
        (SPEED, 2.0, f"{SPEED} = 2.0 m/s: above the vehicle's limit 0.7 m/s"),
        (
            "navigator.tracker.min_lookahead_m",
            3.0,
            "navigator: min_lookahead_m = 3.0: must not be above max_lookahead_m = 2.5",
        ),
        ("navigator.wait_s", 0.0, "navigator.wait_s = 0.0 s: below the limit 0.1 s"),
        (
            "navigator.costmap.resolution_m",
            0.5,
            "navigator.costmap.resolution_m cannot change while the node runs: set it at start",
        ),
        ("site", "demo", "site cannot change while the node runs: set it at start"),
        ("navigator.colour", 1.0, "node navigation has no parameter 'navigator.colour'"),
    ):
        assert words in navigation.set(name, value)
    assert navigation.target.get_parameter(SPEED).value == 0.7
    assert navigation.target._step.navigator.config.tracker.max_speed_mps == 0.7


def test_a_change_reaches_the_core_and_values_that_go_together_are_taken_together(
    navigation: Tuner,
) -> None:
    assert navigation.set(SPEED, 0.3) == ""
    core = navigation.target._step.navigator
    assert core.config.tracker.max_speed_mps == 0.3
    together = {
        "navigator__tracker__min_lookahead_m": 3.0,
        "navigator__tracker__max_lookahead_m": 4.0,
    }
    assert navigation.set_all(**together) == ""
    assert core.config.tracker.min_lookahead_m == 3.0
    assert "must not be above" in navigation.set_all(
        navigator__tracker__min_lookahead_m=4.0, navigator__tracker__max_lookahead_m=3.5
    )
    assert core.config.tracker.max_lookahead_m == 4.0


def test_changed_values_outlive_a_new_configuration(navigation: Tuner) -> None:
    node = navigation.target
    assert navigation.set(SPEED, 0.3) == ""
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert navigation.set("navigator.stuck_s", 9.0) == ""
    bring_up(node)
    assert node._step.navigator.config.tracker.max_speed_mps == 0.3
    assert node._step.navigator.config.stuck_s == 9.0


def test_the_gates_speed_limit_changes_while_it_passes_commands(graph: Any) -> None:
    gate = graph.add(CommandGateNode())
    bring_up(gate)
    tuner = Tuner(graph, gate)
    driver = tuner.node
    odom = driver.create_publisher(Odometry, "odom", qos.STATE)
    terrain = driver.create_publisher(OccupancyGrid, "traversability", qos.MAP)
    command = driver.create_publisher(TwistStamped, "cmd_vel_nav", qos.COMMAND)
    out: list[float] = []
    driver.create_subscription(
        TwistStamped, "cmd_vel", lambda m: out.append(m.twist.linear.x), qos.COMMAND
    )

    def tick() -> None:
        now_ns = driver.get_clock().now().nanoseconds
        wanted = convert.twist_message(VelocityCommand(now_ns, 0.6, 0.0), "base_link")
        pose = Odometry(header=wanted.header)
        pose.pose.pose.orientation.w = 1.0
        odom.publish(pose)
        command.publish(wanted)
        spec = GridSpec(-8.0, -8.0, 0.1, 161, 161)
        free = np.zeros(spec.shape, dtype=np.float32)
        terrain.publish(convert.occupancy_message(free, spec, "odom", now_ns))

    driver.create_timer(0.05, tick)
    assert tuner.set("gate.max_accel_mps2", 5.0) == ""
    graph.until(lambda: out and out[-1] == 0.6, "the command to pass")
    assert tuner.set("gate.max_speed_mps", 0.2) == ""
    graph.until(lambda: out[-1] == pytest.approx(0.2), "the new limit")
    assert "gate.max_speed_mps = 25.0 m/s: above the limit 20.0 m/s" in tuner.set(
        "gate.max_speed_mps", 25.0
    )


def test_a_wrong_value_at_start_ends_the_program_with_a_sentence(domain_id: int) -> None:
    wrong = ("--ros-args", "-p", "gate.max_speed_mps:=99.0")
    done = subprocess.run(
        [sys.executable, "-m", "ilrs_robots.nodes.gate_main", *wrong],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    words = r"max_speed_mps.*Max: 20\.0, value: 99\.0.*\[m/s\]"
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_of_parameters_is_fresh_and_says_something_of_each(graph: Any) -> None:
    found = tables()
    assert {"localization", "terrain_mapping", "navigation", "command_gate"} <= set(found)
    for node, rows in found.items():
        for row in rows:
            assert row.doc, f"{node}: {row.name} has no description"
            assert row.unit or not re.search(r"_(m|s|mps|rad|rps)$", row.name), row.name
    page = (share_dir() / "docs" / PAGE).read_text(encoding="utf-8")
    assert page == render(found), "docs/parameters.md is not fresh: run ./run docs"
