"""Send one goal through ``navigate_to_pose`` and report; plain data in, plain data out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import rclpy
from action_msgs.msg import GoalStatus
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ilrs_robots.nodes import convert, qos
from ilrs_robots.robots.steps import MAP_FRAME

CANCEL_TIMEOUT_S = 5.0
STATUS_WORDS = {
    GoalStatus.STATUS_SUCCEEDED: "succeeded",
    GoalStatus.STATUS_ABORTED: "aborted",
    GoalStatus.STATUS_CANCELED: "canceled",
}


@dataclass(frozen=True)
class GoalProgress:
    """What is known of a goal under way."""

    distance_remaining_m: float
    elapsed_s: float
    eta_s: float
    recoveries: int
    speed_mps: float
    slope_deg: float


@dataclass(frozen=True)
class GoalOutcome:
    """How a goal ended."""

    status: str
    error_code: int
    message: str
    elapsed_s: float

    @property
    def succeeded(self) -> bool:
        """Whether the robot says that it has arrived."""
        return self.status == "succeeded"


class _Session:
    def __init__(
        self,
        context: rclpy.Context,
        robot: str,
        on_progress: Callable[[GoalProgress], None],
    ) -> None:
        self.node = rclpy.create_node("goal_client", context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)
        self.client = ActionClient(self.node, NavigateToPose, f"/{robot}/navigate_to_pose")
        self.on_progress = on_progress
        self.speed_mps = self.tilt_deg = self.elapsed_s = 0.0
        self.node.create_subscription(Odometry, f"/{robot}/odom", self._on_odom, qos.SENSOR)

    def _on_odom(self, msg: Odometry) -> None:
        q = msg.pose.pose.orientation
        up_z = 1.0 - 2.0 * (q.x * q.x + q.y * q.y)
        self.tilt_deg = math.degrees(math.acos(min(1.0, max(-1.0, up_z))))
        self.speed_mps = msg.twist.twist.linear.x

    def on_feedback(self, message: NavigateToPose.Impl.FeedbackMessage) -> None:
        feedback = message.feedback
        self.elapsed_s = convert.to_ns(feedback.navigation_time) * 1e-9
        self.on_progress(
            GoalProgress(
                feedback.distance_remaining,
                self.elapsed_s,
                convert.to_ns(feedback.estimated_time_remaining) * 1e-9,
                feedback.number_of_recoveries,
                self.speed_mps,
                self.tilt_deg,
            )
        )


def send_goal(
    robot: str,
    goal_xy_m: tuple[float, float],
    *,
    yaw_rad: float = 0.0,
    on_progress: Callable[[GoalProgress], None] = lambda _p: None,
    keep_waiting: Callable[[], bool] = lambda: True,
) -> GoalOutcome:
    """Send a goal in ``map`` and wait for its end.

    Args:
        robot: the robot's namespace.
        goal_xy_m: goal in ``map``, metres.
        yaw_rad: heading at the goal.
        on_progress: called at every feedback.
        keep_waiting: asked ten times a second; when it says no, the goal is cancelled.

    Returns:
        The outcome; status ``unavailable`` when there is no action server.
    """
    context = rclpy.Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _send(context, robot, goal_xy_m, yaw_rad, on_progress, keep_waiting)
    finally:
        rclpy.try_shutdown(context=context)


def _send(
    context: rclpy.Context,
    robot: str,
    goal_xy_m: tuple[float, float],
    yaw_rad: float,
    on_progress: Callable[[GoalProgress], None],
    keep_waiting: Callable[[], bool],
) -> GoalOutcome:
    session = _Session(context, robot, on_progress)

    def wait(done: Callable[[], bool]) -> bool:
        """Spin until done; False when the caller no longer waits."""
        while not done():
            if not keep_waiting():
                return False
            session.executor.spin_once(timeout_sec=0.1)
        return True

    if not wait(session.client.server_is_ready):
        return GoalOutcome("unavailable", 0, "there was no action server", 0.0)
    sending = session.client.send_goal_async(
        _goal(goal_xy_m, yaw_rad), feedback_callback=session.on_feedback
    )
    if not wait(sending.done):
        return GoalOutcome("unavailable", 0, "the goal was not answered", 0.0)
    handle = sending.result()
    if not handle.accepted:
        return GoalOutcome("rejected", 0, "the navigation node refused the goal", 0.0)
    result = handle.get_result_async()
    if not wait(result.done):
        cancelling = handle.cancel_goal_async()
        deadline = time.monotonic() + CANCEL_TIMEOUT_S
        while not (cancelling.done() and result.done()) and time.monotonic() < deadline:
            session.executor.spin_once(timeout_sec=0.1)
    if not result.done():
        return GoalOutcome("canceled", 0, "cancelled; no answer came", session.elapsed_s)
    answer = result.result()
    word = STATUS_WORDS.get(answer.status, f"status {answer.status}")
    content = answer.result
    return GoalOutcome(word, content.error_code, content.error_msg, session.elapsed_s)


def _goal(goal_xy_m: tuple[float, float], yaw_rad: float) -> NavigateToPose.Goal:
    goal = NavigateToPose.Goal()
    goal.pose.header.frame_id = MAP_FRAME
    goal.pose.pose.position.x, goal.pose.pose.position.y = goal_xy_m
    goal.pose.pose.orientation.z = math.sin(0.5 * yaw_rad)
    goal.pose.pose.orientation.w = math.cos(0.5 * yaw_rad)
    return goal
