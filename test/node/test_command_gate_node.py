"""The gate node over real DDS: what passes, what stops, and that a stop is latched."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.node import Node
from sensor_msgs.msg import BatteryState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.robots.fleet import POSES_TOPIC
from ilrs_robots.robots.map_topics import HEIGHTS_TOPIC

GROUND = GridSpec(-10.0, -10.0, 0.1, 201, 201)


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
        self.speed_mps, self.attitude_w = 0.4, 1.0
        self.cost = np.zeros(GROUND.shape, dtype=np.float32)
        self.heights = self.node.create_publisher(GridMap, HEIGHTS_TOPIC, qos.MAP)
        self.battery = self.node.create_publisher(BatteryState, "battery", qos.STATE)
        self.link = self.node.create_publisher(Bool, "link", qos.STATE)
        self.said: list[DiagnosticStatus] = []
        self.node.create_subscription(DiagnosticStatus, "gate_status", self.said.append, qos.MAP)
        self.node.create_timer(0.05, self._tick)
        self.estop = self.node.create_client(SetBool, "estop")

    def _tick(self) -> None:
        now_ns = self.node.get_clock().now().nanoseconds
        if self.send_pose:
            odom = Odometry(header=header(now_ns))
            odom.pose.pose.orientation.w = self.attitude_w
            self.odom.publish(odom)
        if self.send_map:
            self.map.publish(convert.occupancy_message(self.cost, GROUND, "odom", now_ns))
        if self.send_command:
            self.command.publish(
                convert.twist_message(VelocityCommand(now_ns, self.speed_mps, 0.0), "base_link")
            )

    def kind(self) -> str:
        """What the gate last said of why it is shut."""
        return self.said[-1].values[0].value if self.said else ""

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


def test_it_keeps_off_another_vehicle_that_told_where_it_is(graph: Any, driver: Driver) -> None:
    """Its own odom lies elsewhere than map: the gate learns where from its own word."""
    poses = driver.node.create_publisher(Odometry, POSES_TOPIC, qos.STATE)
    ahead_m = [3.4]

    def tell(odom: Odometry) -> None:
        for name, y in (("long_range", 50.0), ("crewed_rover", 50.0 + ahead_m[0])):
            msg = Odometry(header=odom.header, child_frame_id=f"{name}/base_link")
            msg.header.frame_id = "map"
            msg.pose.pose.position.x, msg.pose.pose.position.y = 100.0, y
            msg.pose.pose.orientation.z = msg.pose.pose.orientation.w = 0.5**0.5
            poses.publish(msg)

    driver.node.create_subscription(Odometry, "odom", tell, qos.STATE)
    graph.until(lambda: driver.latest() == 0.0, "a stop before the other vehicle")
    graph.until(lambda: driver.kind() == "vehicle", "what stops it")
    ahead_m[0] = 30.0
    graph.until(lambda: driver.latest() > 0.3, "the gate to open once it has gone")


def test_a_command_that_is_not_a_number_stops(graph: Any, driver: Driver) -> None:
    driver.speed_mps = float("nan")
    graph.until(lambda: driver.latest() == 0.0, "a stop on NaN")
    assert all(np.isfinite(msg.twist.linear.x) for msg in driver.out)
    values: dict[str, str] = {}

    def told(msg: DiagnosticArray) -> None:
        values.update((pair.key, pair.value) for pair in msg.status[0].values)

    driver.node.create_subscription(DiagnosticArray, "/diagnostics", told, qos.STATE)
    graph.until(lambda: int(values.get("refused_nav_not_finite", 0)) > 0, "it to be told")
    assert 0.0 < float(values["latency_p50_ms"]) <= float(values["latency_max_ms"]) < 1000.0
    driver.attitude_w = 0.0
    graph.until(lambda: "refused_pose_without_attitude" in values, "the pose that is none")


def test_output_never_exceeds_the_vehicles_speed(graph: Any, driver: Driver) -> None:
    driver.speed_mps = 5.0
    begin = time.monotonic()
    graph.until(lambda: time.monotonic() - begin > 0.5 and len(driver.out) > 10, "output")
    assert max(msg.twist.linear.x for msg in driver.out) <= 0.7 + 1e-6


def test_closed_ground_ahead_stops_and_tells_why_until_it_is_open(
    graph: Any, driver: Driver
) -> None:
    driver.cost[:, 111:] = 1.0
    graph.until(lambda: driver.latest() == 0.0, "a stop before closed ground")
    graph.until(lambda: driver.kind() == "ground", "the word that it is the ground")
    assert driver.said[-1].message == "nav command leads to closed ground"
    driver.cost[:] = 0.0
    graph.until(lambda: driver.latest() > 0.3, "the gate to open again")
    graph.until(lambda: driver.kind() == "", "the word that it is open")


def test_heights_that_would_tip_the_vehicle_stop_it(graph: Any, driver: Driver) -> None:
    steep = np.where(GROUND.x_m() > 1.1, 1.2, 0.0).astype(np.float32)
    layers = {"elevation": np.broadcast_to(steep, GROUND.shape)}

    def told() -> bool:
        now_ns = driver.node.get_clock().now().nanoseconds
        driver.heights.publish(convert.grid_map_message(layers, GROUND, "odom", now_ns))
        return driver.kind() == "ground"

    graph.until(told, "a stop before the slope")
    assert "pitch" in driver.said[-1].message


def test_an_empty_battery_stops_and_a_charged_one_does_not(graph: Any, driver: Driver) -> None:
    def charged(share: float) -> None:
        msg = BatteryState(percentage=share)
        msg.header.stamp = driver.node.get_clock().now().to_msg()
        driver.battery.publish(msg)

    charged(0.02)
    graph.until(lambda: driver.kind() == "power", "a stop for want of power")
    assert "battery is at 2 %" in driver.said[-1].message
    charged(0.8)
    driver.link.publish(Bool(data=False))
    graph.until(lambda: driver.latest() > 0.3, "the gate to open again")


def test_a_pose_without_an_attitude_is_no_pose(graph: Any, driver: Driver) -> None:
    driver.attitude_w = 0.0
    graph.until(lambda: driver.latest() == 0.0, "a stop without a pose")
