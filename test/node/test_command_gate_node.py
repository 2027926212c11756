"""The gate node over real DDS: what passes, what stops, and that a stop is latched."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.node import Node
from std_srvs.srv import SetBool

from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.runtime import bring_up


class Driver:
    """Publishes pose, map and commands at the gate's pace; holds its output."""

    def __init__(self, graph: Any) -> None:
        self.node = graph.add(Node("driver"))
        self.odom = self.node.create_publisher(Odometry, "odom", qos.STATE)
        self.map = self.node.create_publisher(OccupancyGrid, "traversability", qos.MAP)
        self.command = self.node.create_publisher(TwistStamped, "cmd_vel_nav", qos.COMMAND)
        self.out: list[TwistStamped] = []
        self.node.create_subscription(TwistStamped, "cmd_vel", self.out.append, qos.COMMAND)
        self.send_pose = self.send_map = self.send_command = True
        self.speed_mps = 0.4
        self.node.create_timer(0.05, self._tick)
        self.estop = self.node.create_client(SetBool, "estop")

    def _tick(self) -> None:
        now_ns = self.node.get_clock().now().nanoseconds
        if self.send_pose:
            self.odom.publish(Odometry(header=header(now_ns)))
        if self.send_map:
            cost = np.zeros((4, 4), dtype=np.float32)
            self.map.publish(
                convert.occupancy_message(cost, GridSpec(0, 0, 0.1, 4, 4), "odom", now_ns)
            )
        if self.send_command:
            self.command.publish(
                convert.twist_message(VelocityCommand(now_ns, self.speed_mps, 0.0), "base_link")
            )

    def latest(self) -> float:
        return self.out[-1].twist.linear.x if self.out else 0.0


def header(now_ns: int) -> Any:
    return convert.twist_message(VelocityCommand(now_ns, 0.0, 0.0), "odom").header


@pytest.fixture
def driver(graph: Any) -> Driver:
    node = graph.add(CommandGateNode())
    bring_up(node)
    made = Driver(graph)
    graph.until(lambda: made.latest() > 0.3, "the command to pass")
    return made


@pytest.mark.parametrize("lost", ["send_pose", "send_map", "send_command"])
def test_it_stops_when_something_goes_stale_and_opens_again(
    graph: Any, driver: Driver, lost: str
) -> None:
    setattr(driver, lost, False)
    graph.until(lambda: driver.latest() == 0.0, f"a stop after {lost} ended")
    setattr(driver, lost, True)
    graph.until(lambda: driver.latest() > 0.3, "the gate to open again")


def test_an_emergency_stop_is_latched_above_the_command(graph: Any, driver: Driver) -> None:
    graph.until(driver.estop.service_is_ready, "the estop service")
    answer = driver.estop.call_async(SetBool.Request(data=True))
    graph.until(answer.done, "the answer")
    graph.until(lambda: driver.latest() == 0.0, "the stop")
    seen = len(driver.out)
    graph.until(lambda: len(driver.out) > seen + 20, "a second of output")
    assert all(msg.twist.linear.x == 0.0 for msg in driver.out[seen:])
    answer = driver.estop.call_async(SetBool.Request(data=False))
    graph.until(answer.done, "the answer")
    graph.until(lambda: driver.latest() > 0.3, "the gate to open after release")


def test_a_command_that_is_not_a_number_stops(graph: Any, driver: Driver) -> None:
    driver.speed_mps = float("nan")
    graph.until(lambda: driver.latest() == 0.0, "a stop on NaN")
    assert all(np.isfinite(msg.twist.linear.x) for msg in driver.out)


def test_output_never_exceeds_the_vehicles_speed(graph: Any, driver: Driver) -> None:
    driver.speed_mps = 5.0
    begin = time.monotonic()
    graph.until(lambda: time.monotonic() - begin > 0.5 and len(driver.out) > 10, "output")
    assert max(msg.twist.linear.x for msg in driver.out) <= 0.7 + 1e-6
