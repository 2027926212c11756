"""The crew's way home over real DDS: a latched map, a warning, and a goal that is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.parameter import Parameter
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.control.navigator_types import NavigatorError
from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

S = 1_000_000_000
ROBOT = "crewed_rover"
pytestmark = pytest.mark.node


class Ride:
    """A crew that stands at its start, on open ground that is seen."""

    def __init__(self, graph: Any) -> None:
        self.graph, self.now_ns = graph, S
        self.node = graph.add(Node("ride"))
        self.tf = self.node.create_publisher(TFMessage, "/tf", qos.TF)
        self.odom = self.node.create_publisher(Odometry, "odom", qos.STREAM)
        self.map = self.node.create_publisher(OccupancyGrid, "traversability", qos.MAP)
        self.grids: list[OccupancyGrid] = []
        self.told: list[Any] = []
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_told, qos.STATE)
        self.client = ActionClient(self.node, NavigateToPose, "navigate_to_pose")
        host = graph.add(Node("host"))
        self.robot = graph.add(NavigationNode(TransformListener(host)))
        self.robot.robot = ROBOT
        bring_up(self.robot)
        self.node.create_timer(0.02, self._tick)
        graph.until(self.client.server_is_ready, "the action server")
        graph.until(lambda: self.robot._output is not None, "the first control step")

    def _on_told(self, msg: DiagnosticArray) -> None:
        self.told.append(msg.status[0])

    def _tick(self) -> None:
        self.now_ns += S // 10
        level = np.array([1.0, 0.0, 0.0, 0.0])
        made = [
            convert.transform_message("map", f"{ROBOT}/odom", self.now_ns, np.zeros(3), level),
            convert.transform_message(
                f"{ROBOT}/odom", f"{ROBOT}/base_link", self.now_ns, np.zeros(3), level
            ),
        ]
        self.tf.publish(TFMessage(transforms=made))
        odom = Odometry()
        odom.header.stamp = convert.to_stamp(self.now_ns)
        odom.pose.pose.orientation.w = 1.0
        self.odom.publish(odom)
        if self.now_ns % S == 0:
            spec = GridSpec(-29.9, -29.9, 0.2, 300, 300)
            cost = np.zeros(spec.shape, np.float32)
            self.map.publish(convert.occupancy_message(cost, spec, f"{ROBOT}/odom", self.now_ns))

    def set(self, **values: object) -> None:
        made = [Parameter(f"walk_back.{k}", value=v) for k, v in values.items()]
        assert self.robot.set_parameters_atomically(made).successful

    def send(self, x: float, y: float) -> Any:
        pose = PoseStamped()
        pose.header.frame_id = "map"
        pose.pose.position.x, pose.pose.position.y = x, y
        pose.pose.orientation.w = 1.0
        sending = self.client.send_goal_async(NavigateToPose.Goal(pose=pose))
        self.graph.until(sending.done, "an answer to the goal")
        return sending.result()


def test_map_warning_and_refusal(graph: Any) -> None:
    ride = Ride(graph)
    ride.node.create_subscription(OccupancyGrid, "walk_back", ride.grids.append, qos.MAP)
    graph.until(lambda: ride.grids, "the map that was latched")
    first = ride.grids[0]
    assert first.header.frame_id == "map"
    fresh = np.array(first.data)
    assert (fresh < 50).mean() > 0.5, "fresh suits reach most of a kilometre"

    # Home is 40 m away; nearly empty suits reach no farther than about that.
    ride.set(hours_left=1.05 + 0.17, metabolic_wh_left=1904.0)
    count = len(ride.grids)
    graph.until(lambda: len(ride.grids) > count, "the map of the used suits")
    used = np.array(ride.grids[-1].data)
    assert (used == 100).sum() > (fresh == 100).sum()
    graph.until(lambda: any("walk-back" in s.message for s in ride.told), "the warning")
    said = next(s for s in ride.told if "walk-back" in s.message)
    assert {"walk_back_slack_s", "walk_back_cross_in_s"} <= {pair.key for pair in said.values}

    far = ride.send(300.0, -280.0)
    result = far.get_result_async()
    graph.until(result.done, "the refusal")
    answer = result.result()
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code == NavigatorError.NO_WAY_HOME
    assert "the crew could not walk home from" in answer.result.error_msg

    ride.set(policy="warn")
    warned = ride.send(300.0, -280.0)
    graph.until(lambda: any("could not walk home" in s.message for s in ride.told), "a warning")
    assert warned.status != GoalStatus.STATUS_ABORTED
    ride.set(aboard=False, policy="refuse")
    alone = ride.send(300.0, -280.0)
    ride.told.clear()
    graph.until(lambda: len(ride.told) > 1, "diagnostics without a crew")
    assert "walk_back_slack_s" not in {pair.key for pair in ride.told[-1].values}
    assert alone.status != GoalStatus.STATUS_ABORTED
