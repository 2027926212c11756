"""Send one goal through ``navigate_to_pose`` and report; plain data in, plain data out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import rclpy
from action_msgs.msg import GoalStatus
from nav2_msgs.action import NavigateToPose
from nav_msgs.msg import Odometry
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.dead_ports import dead_ports_held
from ilrs_robots.robots.steps import MAP_FRAME

CANCEL_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
"""A goal that is not answered in this time was lost on the way and is sent again."""
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
        self.speed_mps = self.tilt_deg = 0.0
        self.node.create_subscription(Odometry, f"/{robot}/odom", self._on_odom, qos.SENSOR)

    def close(self) -> None:
        """Take the participant out of the graph now, not when the garbage is collected."""
        self.client.destroy()
        self.executor.shutdown(timeout_sec=1.0)
        self.node.destroy_node()

    def _on_odom(self, msg: Odometry) -> None:
        q = msg.pose.pose.orientation
        up_z = 1.0 - 2.0 * (q.x * q.x + q.y * q.y)
        self.tilt_deg = math.degrees(math.acos(min(1.0, max(-1.0, up_z))))
        self.speed_mps = msg.twist.twist.linear.x

    def on_feedback(self, message: NavigateToPose.Impl.FeedbackMessage) -> None:
        feedback = message.feedback
        self.on_progress(
            GoalProgress(
                feedback.distance_remaining,
                convert.to_ns(feedback.navigation_time) * 1e-9,
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
    life: Callable[[], int | None] = lambda: 1,
) -> GoalOutcome:
    """Send a goal in ``map`` and wait for its end.

    A navigation node that dies takes the goal with it, and DDS believes in the dead for many
    seconds. So ``life`` is asked; when it changes, the goal is sent again, by a new participant
    that has never heard of the dead one.

    Args:
        robot: the robot's namespace.
        goal_xy_m: goal in ``map``, metres.
        yaw_rad: heading at the goal.
        on_progress: called at every feedback.
        keep_waiting: asked ten times a second; when it says no, the goal is cancelled.
        life: which life the navigation node's process is in; None while it is not up.

    Returns:
        The outcome; status ``unavailable`` when there is no action server.
    """
    spent_s = 0.0
    while True:
        attempt = _Attempt(on_progress, keep_waiting, life, spent_s)
        outcome = attempt.run(robot, _goal(goal_xy_m, yaw_rad))
        spent_s = attempt.elapsed_s
        if outcome is not None:
            return outcome


class _Attempt:
    """A goal in one life of the navigation node."""

    def __init__(
        self,
        on_progress: Callable[[GoalProgress], None],
        keep_waiting: Callable[[], bool],
        life: Callable[[], int | None],
        before_s: float,
    ) -> None:
        self.elapsed_s = self._before_s = before_s
        self._on_progress, self._keep_waiting, self._life = on_progress, keep_waiting, life
        self._born: int | None = None

    def run(self, robot: str, goal: NavigateToPose.Goal) -> GoalOutcome | None:
        """The outcome, or None when the node has died or has not answered: send again."""
        while (born := self._life()) is None:
            if not self._keep_waiting():
                return GoalOutcome("canceled", 0, "before the goal was sent", self.elapsed_s)
            time.sleep(0.05)
        self._born = born
        context = rclpy.Context()
        with dead_ports_held():
            rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
            session = _Session(context, robot, self._report)
            try:
                return self._send(session, goal)
            finally:
                session.close()
                rclpy.try_shutdown(context=context)

    def _send(self, session: _Session, goal: NavigateToPose.Goal) -> GoalOutcome | None:
        if not self._wait(session, session.client.server_is_ready):
            return self._unfinished("unavailable", "there was no action server")
        sending = session.client.send_goal_async(goal, feedback_callback=session.on_feedback)
        answer_by = time.monotonic() + ANSWER_TIMEOUT_S
        if not self._wait(session, lambda: sending.done() or time.monotonic() > answer_by):
            return self._unfinished("unavailable", "the goal was not answered")
        if not sending.done():
            return None
        handle = sending.result()
        if not handle.accepted:
            return GoalOutcome("rejected", 0, "the navigation node refused the goal", 0.0)
        result = handle.get_result_async()
        if not self._wait(session, result.done) and not self._reborn():
            cancelling = handle.cancel_goal_async()
            deadline = time.monotonic() + CANCEL_TIMEOUT_S
            while not (cancelling.done() and result.done()) and time.monotonic() < deadline:
                session.executor.spin_once(timeout_sec=0.1)
        if not result.done():
            return self._unfinished("canceled", "cancelled; no answer came")
        answer = result.result()
        word = STATUS_WORDS.get(answer.status, f"status {answer.status}")
        content = answer.result
        return GoalOutcome(word, content.error_code, content.error_msg, self.elapsed_s)

    def _wait(self, session: _Session, done: Callable[[], bool]) -> bool:
        """Spin until done; False when the caller no longer waits or the node has died."""
        while not done():
            if not self._keep_waiting() or self._reborn():
                return False
            session.executor.spin_once(timeout_sec=0.1)
        return True

    def _reborn(self) -> bool:
        return self._life() != self._born

    def _unfinished(self, status: str, sentence: str) -> GoalOutcome | None:
        return None if self._reborn() else GoalOutcome(status, 0, sentence, self.elapsed_s)

    def _report(self, progress: GoalProgress) -> None:
        self.elapsed_s = self._before_s + progress.elapsed_s
        self._on_progress(replace(progress, elapsed_s=self.elapsed_s))


def _goal(goal_xy_m: tuple[float, float], yaw_rad: float) -> NavigateToPose.Goal:
    goal = NavigateToPose.Goal()
    goal.pose.header.frame_id = MAP_FRAME
    goal.pose.pose.position.x, goal.pose.pose.position.y = goal_xy_m
    goal.pose.pose.orientation.z = math.sin(0.5 * yaw_rad)
    goal.pose.pose.orientation.w = math.cos(0.5 * yaw_rad)
    return goal
