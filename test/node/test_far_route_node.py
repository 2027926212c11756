"""A goal far away over real DDS: planned over the site's prior, refused, cancelled, driven to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped, TwistStamped, Vector3Stamped
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry
from nav_msgs.msg import Path as PathMessage
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import BatteryState
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.control.navigator_types import NavigatorError
from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.missions import PREEMPTED
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

S = 1_000_000_000
ROBOT = "long_range"
FAR = (32.0, 8.0)
SITE = """
name: meadow
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-06-02T06:00:00Z"
terrain: {kind: procedural, seed: 1, size_m: 320.0, resolution_m: 5.0}
robots: [{name: long_range, model: long_range}]
"""
pytestmark = pytest.mark.node


class Ride:
    """A vehicle on open ground that drives as it is told, five times as fast as the wall clock."""

    def __init__(self, graph: Any, site: Path) -> None:
        self.graph, self.now_ns, self.charge = graph, S, 0.9
        self.x = self.y = self.yaw = 0.0
        self.command = TwistStamped()
        self.routes: list[PathMessage] = []
        self.feedback: list[Any] = []
        self.node = node = graph.add(Node("ride"))
        self.tf = node.create_publisher(TFMessage, "/tf", qos.TF)
        self.odom = node.create_publisher(Odometry, "odom", qos.STREAM)
        self.map = node.create_publisher(OccupancyGrid, "traversability", qos.MAP)
        self.battery = node.create_publisher(BatteryState, "battery", qos.STATE)
        self.sun = node.create_publisher(Vector3Stamped, "sun_sensor/direction", qos.STATE)
        node.create_subscription(TwistStamped, "cmd_vel_nav", self._on_command, qos.COMMAND)
        node.create_subscription(PathMessage, "route", self.routes.append, qos.MAP)
        self.client = ActionClient(node, NavigateToPose, "navigate_to_pose")
        host = graph.add(Node("host"))
        self.robot = graph.add(NavigationNode(TransformListener(host)))
        self.robot.robot, self.robot.site_name = ROBOT, str(site)
        self.robot.set_parameters([Parameter("use_sim_time", value=True)])
        bring_up(self.robot)
        near = {"far_goal.beyond_m": 15.0, "far_goal.days": 0.5, "far_goal.executive.hop_m": 12.0}
        made = [Parameter(name, value=value) for name, value in near.items()]
        assert self.robot.set_parameters_atomically(made).successful
        node.create_timer(0.02, self._tick)
        graph.until(self.client.server_is_ready, "the action server")
        graph.until(lambda: self.robot._output is not None, "the first control step")

    def _on_command(self, msg: TwistStamped) -> None:
        self.command = msg

    def _tick(self) -> None:
        self.now_ns += S // 10
        v, w = self.command.twist.linear.x, self.command.twist.angular.z
        self.yaw += 0.1 * w
        self.x += 0.1 * v * math.cos(self.yaw)
        self.y += 0.1 * v * math.sin(self.yaw)
        here = np.array([self.x, self.y, 0.0])
        turn = np.array([math.cos(0.5 * self.yaw), 0.0, 0.0, math.sin(0.5 * self.yaw)])
        level = np.array([1.0, 0.0, 0.0, 0.0])
        frames = ("map", f"{ROBOT}/odom", f"{ROBOT}/base_link")
        made = [
            convert.transform_message(*frames[:2], self.now_ns, np.zeros(3), level),
            convert.transform_message(*frames[1:], self.now_ns, here, turn),
        ]
        self.tf.publish(TFMessage(transforms=made))
        odom = Odometry()
        odom.header.stamp = convert.to_stamp(self.now_ns)
        odom.pose.pose.position.x, odom.pose.pose.position.y = self.x, self.y
        odom.pose.pose.orientation.w, odom.pose.pose.orientation.z = float(turn[0]), float(turn[3])
        odom.twist.twist.linear.x = v
        self.odom.publish(odom)
        if self.now_ns % S == 0:
            self._slow(odom)

    def _slow(self, odom: Odometry) -> None:
        spec = GridSpec(self.x - 15.0, self.y - 15.0, 0.3, 100, 100)
        cost = np.zeros(spec.shape, np.float32)
        self.map.publish(convert.occupancy_message(cost, spec, f"{ROBOT}/odom", self.now_ns))
        self.battery.publish(BatteryState(header=odom.header, percentage=self.charge))
        self.sun.publish(Vector3Stamped(header=odom.header))

    def send(self, x: float, y: float) -> Any:
        pose = PoseStamped()
        pose.header.frame_id = "map"
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation.w = 1.0
        self.feedback.clear()
        sending = self.client.send_goal_async(
            NavigateToPose.Goal(pose=pose), feedback_callback=self.feedback.append
        )
        self.graph.until(sending.done, "an answer to the goal")
        assert sending.result().accepted
        return sending.result()

    def outcome(self, handle: Any) -> Any:
        result = handle.get_result_async()
        self.graph.until(result.done, "the goal's end")
        return result.result()

    def does(self) -> object:
        return self.robot.health()[2].get("route")


@pytest.fixture
def ride(graph: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ride:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    site = tmp_path / "meadow.yaml"
    site.write_text(SITE)
    return Ride(graph, site)


@pytest.mark.soak
def test_a_far_goal_is_driven_to_along_its_route(ride: Ride) -> None:
    handle = ride.send(*FAR)
    ride.graph.until(lambda: ride.does() == "planning", "a plan to be made")
    ride.graph.until(lambda: ride.feedback, "feedback while it is made")
    assert ride.feedback[0].feedback.distance_remaining == pytest.approx(math.hypot(*FAR), abs=2.0)
    ride.graph.until(lambda: ride.does() == "driving", "the drive", 120.0)
    values = ride.robot.health()[2]
    assert (values["route_leg_kind"], values["route_replans"]) == ("drive", 0)
    assert str(values["route_leg"]).startswith("1 of ")
    answer = ride.outcome(handle)
    assert answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result.error_msg
    assert math.dist((ride.x, ride.y), FAR) < 1.0
    ride.graph.until(lambda: ride.routes, "the route as a topic")
    last = ride.routes[-1].poses[-1].pose.position
    assert math.dist((last.x, last.y), FAR) < 5.0
    away = [f.feedback.distance_remaining for f in ride.feedback]
    assert away[-1] < 5.0 < 25.0 < away[0]


def test_a_far_goal_is_refused_cancelled_and_replaced(ride: Ride) -> None:
    """Three ends before anything moves: no energy, no wish, another wish."""
    ride.charge = 0.2
    ride.graph.until(lambda: ride.robot._far._share < 0.3, "the battery to be heard")
    refused = ride.outcome(ride.send(*FAR))
    assert refused.status == GoalStatus.STATUS_ABORTED
    assert refused.result.error_code == int(NavigatorError.NO_ROUTE)
    assert "the battery holds 1200 Wh" in refused.result.error_msg

    handle = ride.send(*FAR)
    ride.graph.until(lambda: ride.does() == "planning", "a plan to be made")
    cancelling = handle.cancel_goal_async()
    ride.graph.until(cancelling.done, "the answer to cancel")
    assert ride.outcome(handle).status == GoalStatus.STATUS_CANCELED
    assert ride.does() is None

    older = ride.send(*FAR)
    newer = ride.send(3.0, 0.0)
    replaced = ride.outcome(older)
    assert replaced.status == GoalStatus.STATUS_ABORTED
    assert replaced.result.error_code == PREEMPTED
    assert math.hypot(ride.x, ride.y) < 0.5
    assert ride.outcome(newer).status == GoalStatus.STATUS_SUCCEEDED
    assert math.dist((ride.x, ride.y), (3.0, 0.0)) < 0.6
