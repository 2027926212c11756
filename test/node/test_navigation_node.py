"""The navigation action over real DDS: goals refused with a sentence, cancel, preemption."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import TwistStamped
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.action import ActionClient
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

STILL = (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))


class Operator:
    """A robot that stands on open flat ground, and somebody who gives it goals."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.node = graph.add(Node("operator"))
        self.tf = self.node.create_publisher(TFMessage, "/tf", qos.TF)
        self.odom = self.node.create_publisher(Odometry, "odom", qos.STREAM)
        self.map = self.node.create_publisher(OccupancyGrid, "traversability", qos.MAP)
        self.commands: list[TwistStamped] = []
        self.feedback: list[Any] = []
        self.node.create_subscription(
            TwistStamped, "cmd_vel_nav", self.commands.append, qos.COMMAND
        )
        self.client = ActionClient(self.node, NavigateToPose, "navigate_to_pose")
        self.time_ns = 0
        self.node.create_timer(0.02, self._tick)

    def _tick(self) -> None:
        self.time_ns += 20_000_000
        frames = (("map", "long_range/odom"), ("long_range/odom", "long_range/base_link"))
        self.tf.publish(
            TFMessage(
                transforms=[convert.transform_message(*f, self.time_ns, *STILL) for f in frames]
            )
        )
        odom = Odometry()
        odom.header.stamp = convert.to_stamp(self.time_ns)
        odom.pose.pose.orientation.w = 1.0
        self.odom.publish(odom)
        if self.time_ns % 200_000_000 == 0:
            spec = GridSpec(-19.95, -19.95, 0.1, 400, 400)
            cost = np.zeros(spec.shape, dtype=np.float32)
            self.map.publish(
                convert.occupancy_message(cost, spec, "long_range/odom", self.time_ns)
            )

    def send(self, x: float, y: float, frame: str = "map") -> Any:
        goal = NavigateToPose.Goal()
        goal.pose.header.frame_id = frame
        goal.pose.pose.position.x, goal.pose.pose.position.y = x, y
        goal.pose.pose.orientation.w = 1.0
        sending = self.client.send_goal_async(goal, feedback_callback=self.feedback.append)
        self.graph.until(sending.done, "an answer to the goal")
        assert sending.result().accepted
        return sending.result()

    def outcome(self, handle: Any) -> Any:
        result = handle.get_result_async()
        self.graph.until(result.done, "the goal's end")
        return result.result()

    def moving(self) -> bool:
        return bool(self.commands) and self.commands[-1].twist.linear.x > 0.05

    def standing(self) -> bool:
        twist = self.commands[-1].twist
        return twist.linear.x == 0.0 and twist.angular.z == 0.0


@pytest.fixture
def operator(graph: Any) -> Operator:
    host = graph.add(Node("host"))
    node = graph.add(NavigationNode(TransformListener(host)))
    bring_up(node)
    made = Operator(graph)
    graph.until(made.client.server_is_ready, "the action server")
    graph.until(lambda: made.commands, "the first control step")
    return made


@pytest.mark.parametrize(
    ("goal", "frame", "words"),
    [
        ((float("nan"), 0.0), "map", "not finite"),
        ((1e6, 0.0), "map", "1000000"),
        ((5.0, 0.0), "no_such_frame", "no_such_frame"),
    ],
)
def test_an_impossible_goal_is_aborted_with_a_sentence_and_the_node_lives_on(
    operator: Operator, goal: tuple[float, float], frame: str, words: str
) -> None:
    answer = operator.outcome(operator.send(*goal, frame=frame))
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert answer.result.error_code != 0
    assert words in answer.result.error_msg.lower()
    operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command for the good goal")


def test_cancel_ends_the_goal_and_stands(operator: Operator) -> None:
    handle = operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    operator.graph.until(lambda: operator.feedback, "feedback")
    assert operator.feedback[-1].feedback.distance_remaining == pytest.approx(8.0, abs=1.0)
    handle.cancel_goal_async()
    assert operator.outcome(handle).status == GoalStatus.STATUS_CANCELED
    operator.graph.until(operator.standing, "standing still")


def test_a_newer_goal_ends_the_older_one(operator: Operator) -> None:
    older = operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    newer = operator.send(6.0, 3.0)
    answer = operator.outcome(older)
    assert answer.status == GoalStatus.STATUS_ABORTED
    assert "newer goal" in answer.result.error_msg
    operator.graph.until(operator.moving, "a command for the newer goal")
    newer.cancel_goal_async()
    operator.outcome(newer)


def test_a_goal_where_the_robot_stands_succeeds_at_once(operator: Operator) -> None:
    assert operator.outcome(operator.send(0.1, 0.0)).status == GoalStatus.STATUS_SUCCEEDED


def test_without_odometry_there_is_no_command(operator: Operator) -> None:
    operator.send(8.0, 0.0)
    operator.graph.until(operator.moving, "a command")
    operator.node.destroy_publisher(operator.odom)
    operator.odom = operator.node.create_publisher(Odometry, "elsewhere", qos.STREAM)
    operator.graph.spin(20)
    count = len(operator.commands)
    stop_at = operator.time_ns + 500_000_000
    operator.graph.until(lambda: operator.time_ns > stop_at, "half a second")
    assert len(operator.commands) <= count + 1
