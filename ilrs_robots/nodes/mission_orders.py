"""Orders of a mission through the vehicles' actions, and how each of them ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from action_msgs.msg import GoalStatus
from geometry_msgs.msg import PoseStamped
from nav2_msgs.action import FollowWaypoints, NavigateToPose
from rclpy.action import ActionClient
from rclpy.node import Node

from ilrs_robots.nodes.missions import PREEMPTED
from ilrs_robots.robots.frames import MAP_FRAME
from ilrs_robots.robots.mission_types import Answer, Order

ACCEPT_S: Final = 10.0
"""A goal that was not answered in this time (wall) was lost on the way and is sent again."""


@dataclass
class _Sent:
    """The order of a vehicle that counts, in one sending of it."""

    order: Order
    handle: Any = None
    sent_s: float = -math.inf


class OrderDesk:
    """One order per vehicle: a newer one replaces it, as the vehicles' own actions have it.

    Args:
        node: that the clients belong to.
        vehicles: names.
        answered: called when the order that counts has ended.
        alive: called with the id of an order that there is feedback of.
    """

    def __init__(
        self,
        node: Node,
        vehicles: Sequence[str],
        answered: Callable[[Answer], None],
        alive: Callable[[str], None],
    ) -> None:
        self._logger, self._answered, self._alive = node.get_logger(), answered, alive
        self._sent: dict[str, _Sent] = {}
        self._clients = {
            (vehicle, kind): ActionClient(node, kind, f"/{vehicle}/{name}")
            for vehicle in vehicles
            for kind, name in (
                (NavigateToPose, "navigate_to_pose"), (FollowWaypoints, "follow_waypoints"),
            )
        }  # fmt: skip

    def close(self) -> None:
        """Take the clients down."""
        for client in self._clients.values():
            client.destroy()
        self._clients.clear()

    def take(self, order: Order) -> None:
        """Send an order, or give up the one of its id."""
        before = self._sent.get(order.vehicle)
        if order.places:
            self._sent[order.vehicle] = _Sent(order)
            self.look(time.monotonic())
        elif before is not None and before.order.id == order.id:
            del self._sent[order.vehicle]
            if before.handle is not None:
                before.handle.cancel_goal_async()

    def look(self, now_s: float) -> None:
        """Send what waits for its action server, and again what was lost on the way.

        Args:
            now_s: monotonic wall time.
        """
        for sent in self._sent.values():
            if sent.handle is not None or now_s - sent.sent_s < ACCEPT_S:
                continue
            order = sent.order
            many = len(order.places) > 1
            client = self._clients[order.vehicle, FollowWaypoints if many else NavigateToPose]
            if not client.server_is_ready():
                continue
            sent.sent_s = now_s
            poses = [_pose(*place, order.yaw_rad) for place in order.places]
            goal = (
                FollowWaypoints.Goal(poses=poses) if many else NavigateToPose.Goal(pose=poses[0])
            )

            def on_feedback(_message: Any, counted: _Sent = sent) -> None:
                if self._counts(counted):
                    self._alive(counted.order.id)

            sending = client.send_goal_async(goal, feedback_callback=on_feedback)
            sending.add_done_callback(lambda done, counted=sent: self._taken(counted, done))

    def _counts(self, sent: _Sent) -> bool:
        return self._sent.get(sent.order.vehicle) is sent

    def _taken(self, sent: _Sent, sending: Any) -> None:
        handle = sending.result()
        if not self._counts(sent):
            if handle is not None and handle.accepted:
                self._logger.debug(f"order {sent.order.id} was replaced before it was taken")
            return
        if not handle.accepted:
            self._end(sent, Answer(sent.order.id, False, sentence="the vehicle refused the goal"))
            return
        sent.handle = handle
        self._alive(sent.order.id)
        handle.get_result_async().add_done_callback(
            lambda done: self._ended(sent, handle, done.result())
        )

    def _ended(self, sent: _Sent, handle: Any, answer: Any) -> None:
        if self._counts(sent) and sent.handle is handle:
            self._end(sent, answer_of(sent.order.id, answer.status, answer.result))

    def _end(self, sent: _Sent, answer: Answer) -> None:
        del self._sent[sent.order.vehicle]
        self._answered(answer)


def answer_of(order_id: str, status: int, result: Any) -> Answer:
    """What an action's result means for an order."""
    missed = tuple(
        int(getattr(m, "waypoint_index", getattr(m, "index", 0))) + 1
        for m in getattr(result, "missed_waypoints", ())
    )
    canceled = status == GoalStatus.STATUS_CANCELED
    code, sentence = int(result.error_code), str(result.error_msg)
    return Answer(
        order_id,
        succeeded=status == GoalStatus.STATUS_SUCCEEDED,
        taken_over=canceled or code == PREEMPTED,
        sentence=sentence or ("cancelled" if canceled else ""),
        missed=missed,
    )


def _pose(x_m: float, y_m: float, yaw_rad: float) -> PoseStamped:
    pose = PoseStamped()
    pose.header.frame_id = MAP_FRAME
    pose.pose.position.x, pose.pose.position.y = float(x_m), float(y_m)
    pose.pose.orientation.z = math.sin(0.5 * yaw_rad)
    pose.pose.orientation.w = math.cos(0.5 * yaw_rad)
    return pose
