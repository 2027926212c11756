"""Goals that a person gives at the view, through the vehicles' own actions; and the pause."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any, Final

from action_msgs.msg import GoalStatus
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionClient
from rclpy.node import Node
from std_srvs.srv import SetBool

from ilrs_robots.robots.frames import MAP_FRAME
from ilrs_robots.robots.view_state import ERROR, INFO, WARN

PAUSE: Final = "/embedded_sim/pause"
WORDS: Final = {
    GoalStatus.STATUS_SUCCEEDED: "reached", GoalStatus.STATUS_ABORTED: "failed",
    GoalStatus.STATUS_CANCELED: "cancelled",
}  # fmt: skip
NO_PAUSE: Final = (
    "there is no pause here: only the embedded simulator stands when it is told to (Gazebo has "
    "its own button, and hardware does not stop)"
)

Say = Callable[[int, str, str], None]


class Desk:
    """Takes orders from any thread and carries them out in the executor's.

    Args:
        node: that the executor spins.
        vehicles: names.
        say: puts an event into the log: level, source, sentence.
        goal_said: called with a vehicle and how its goal goes, in words.
    """

    def __init__(
        self, node: Node, vehicles: Sequence[str], say: Say,
        goal_said: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self._node, self._say, self._goal_said = node, say, goal_said
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._clients = {
            v: ActionClient(node, NavigateToPose, f"/{v}/navigate_to_pose") for v in vehicles
        }
        self._handles: dict[str, Any] = {}
        self._sent: dict[str, int] = {}
        self._pause = node.create_client(SetBool, PAUSE)
        self.paused = False

    # -- Orders; from any thread ------------------------------------------------------------
    def go_to(self, vehicle: str, x_m: float, y_m: float) -> None:
        """Send a vehicle to a place in map, metres."""
        self._asked.put(lambda: self._go(vehicle, x_m, y_m))

    def cancel(self, vehicle: str) -> None:
        """Cancel the goal that was sent from here."""
        self._asked.put(lambda: self._cancel(vehicle))

    def pause(self, on: bool) -> None:
        """Make the simulator stand, or go on."""
        self._asked.put(lambda: self._stand(on))

    # -- in the executor --------------------------------------------------------------------
    def work(self) -> None:
        """Carry out what was asked for."""
        while not self._asked.empty():
            self._asked.get()()

    def pause_refusal(self) -> str:
        """Why there is no pause; empty where there is one."""
        return "" if self._pause.service_is_ready() else NO_PAUSE

    def close(self) -> None:
        """Take the clients down before the node."""
        for client in self._clients.values():
            client.destroy()

    def _go(self, vehicle: str, x_m: float, y_m: float) -> None:
        client, what = self._clients[vehicle], f"goal x {x_m:.1f} m, y {y_m:.1f} m"
        if not client.server_is_ready():
            self._say(WARN, vehicle, f"{what}: not sent, nobody there takes goals")
            return
        goal = NavigateToPose.Goal()
        goal.pose.header.frame_id = MAP_FRAME
        goal.pose.pose.position.x, goal.pose.pose.position.y = x_m, y_m
        goal.pose.pose.orientation.w = 1.0
        number = self._sent[vehicle] = self._sent.get(vehicle, 0) + 1

        def told(message: Any) -> None:
            if self._sent[vehicle] == number:
                left = message.feedback.distance_remaining
                self._goal_said(vehicle, f"{what}: {left:.1f} m to go")

        sending = client.send_goal_async(goal, feedback_callback=told)
        sending.add_done_callback(
            lambda done: self._answered(vehicle, number, what, done.result())
        )
        self._say(INFO, vehicle, f"{what}: sent")

    def _answered(self, vehicle: str, number: int, what: str, handle: Any) -> None:
        if handle is None or not handle.accepted:
            self._say(WARN, vehicle, f"{what}: refused")
            return
        if self._sent[vehicle] != number:
            return
        self._handles[vehicle] = handle
        self._goal_said(vehicle, f"{what}: under way")
        ending = handle.get_result_async()
        ending.add_done_callback(lambda done: self._ended(vehicle, number, what, done.result()))

    def _ended(self, vehicle: str, number: int, what: str, answer: Any) -> None:
        word = WORDS.get(answer.status, f"ended with status {answer.status}")
        sentence = getattr(answer.result, "error_msg", "")
        level = INFO if answer.status == GoalStatus.STATUS_SUCCEEDED else WARN
        self._say(level, vehicle, f"{what}: {word} {sentence}".rstrip())
        if self._sent[vehicle] == number:
            self._handles.pop(vehicle, None)
            self._goal_said(vehicle, "")

    def _cancel(self, vehicle: str) -> None:
        handle = self._handles.get(vehicle)
        if handle is None:
            self._say(WARN, vehicle, "no goal of this view to cancel")
            return
        handle.cancel_goal_async()
        self._say(INFO, vehicle, "cancel asked for")

    def _stand(self, on: bool) -> None:
        refusal = self.pause_refusal()
        if refusal:
            self._say(WARN, "pause", refusal)
            return
        asking = self._pause.call_async(SetBool.Request(data=on))

        def done(future: Any) -> None:
            answer = future.result()
            if answer is None or not answer.success:
                self._say(ERROR, "pause", "refused" if answer is None else answer.message)
                return
            self.paused = on
            self._say(INFO, "pause", answer.message)

        asking.add_done_callback(done)
