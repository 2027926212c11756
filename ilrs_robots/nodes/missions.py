"""What somebody asks of the navigation node: one pose, or several one after another.

A mission knows where to go next and how to tell whoever asked. The node drives; it does not care
which of them is under way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import nav2_msgs.msg
import numpy as np
from geometry_msgs.msg import PoseStamped
from nav2_msgs.action import FollowWaypoints, NavigateToPose
from rclpy.duration import Duration
from rclpy.task import Future

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import convert
from ilrs_robots.robots.steps import MAP_FRAME

INVALID_GOAL = 1001
"""Error code of a goal that cannot be understood; the navigator's own codes follow it."""
PREEMPTED = 1002
MAX_WAYPOINTS = 10_000


class Progress(Protocol):
    """What feedback is made of."""

    eta_s: float
    distance_remaining_m: float
    recoveries: int
    path_xy_m: FloatArray


class Mission:
    """A pose without an action behind it, as RViz sends one; base of the others.

    Attributes:
        poses: where to go, in order.
        index: of the pose that is driven to.
        goal_xy_m: (2,) that pose in map, once it is known.
        started_ns: when the first step was made for it, or None.
        waits_since_ns: since when its pose's transform is waited for, or None.
        partly: some of the poses were reached.
        finished: done when the mission has ended.
    """

    def __init__(self, poses: Sequence[PoseStamped], handle: Any = None, result: Any = None):
        self.poses = poses
        self.index = 0
        self.goal_xy_m: FloatArray = np.zeros(2)
        self.started_ns: int | None = None
        self.waits_since_ns: int | None = None
        self.partly = False
        self.finished = Future()
        self.handle = handle
        self.result = result

    @property
    def pose(self) -> PoseStamped:
        """The pose that is driven to."""
        return self.poses[self.index]

    def reached(self) -> bool:
        """Note that the pose was reached; whether there is another."""
        return False

    def missed(self, code: int, sentence: str) -> bool:
        """Note that the pose was not reached; whether there is another."""
        del code, sentence
        return False

    def feedback(self, now_ns: int, T_map_base: FloatArray, out: Progress) -> Any:
        """A feedback message, or None."""
        del now_ns, T_map_base, out
        return None

    def end(self, how: str, code: int, sentence: str) -> None:
        """Tell whoever asked that it is over.

        Args:
            how: ``succeed``, ``abort`` or ``canceled``.
            code: error code of the result, 0 for none.
            sentence: for people.
        """
        if self.handle is not None:
            self.result.error_code, self.result.error_msg = code, sentence
            getattr(self.handle, how)()
        self.finished.set_result(self.result)


class PoseMission(Mission):
    """``navigate_to_pose``."""

    def __init__(self, handle: Any):
        super().__init__([handle.request.pose], handle, NavigateToPose.Result())

    def feedback(self, now_ns: int, T_map_base: FloatArray, out: Progress) -> Any:
        """Pose, times, distance, recoveries."""
        msg = NavigateToPose.Feedback()
        msg.current_pose.header.frame_id = MAP_FRAME
        msg.current_pose.header.stamp = convert.to_stamp(now_ns)
        msg.current_pose.pose = convert.pose_message(T_map_base)
        elapsed = now_ns - (now_ns if self.started_ns is None else self.started_ns)
        msg.navigation_time = Duration(nanoseconds=elapsed).to_msg()
        eta_ns = int(out.eta_s * 1e9) if math.isfinite(out.eta_s) else 0
        msg.estimated_time_remaining = Duration(nanoseconds=eta_ns).to_msg()
        msg.number_of_recoveries = out.recoveries
        left_m = out.distance_remaining_m
        if not len(out.path_xy_m) and not left_m:
            left_m = float(np.linalg.norm(T_map_base[:2, 3] - self.goal_xy_m))
        msg.distance_remaining = left_m
        return msg


class WaypointMission(Mission):
    """``follow_waypoints``: a waypoint that is missed is reported at the end, not waited for."""

    def __init__(self, handle: Any):
        """Take the request.

        Raises:
            PlanningError: no waypoints, too many, or a first one that is not in the list.
        """
        request = handle.request
        super().__init__(request.poses, handle, FollowWaypoints.Result())
        count = len(request.poses)
        if not 1 <= count <= MAX_WAYPOINTS:
            raise PlanningError(f"{count} waypoints: there must be 1 to {MAX_WAYPOINTS}")
        if request.goal_index >= count:
            raise PlanningError(
                f"goal_index = {request.goal_index}: the last of {count} waypoints is {count - 1}"
            )
        self.index = int(request.goal_index)
        self._loops_left = int(request.number_of_loops)
        self._arrived = False

    def reached(self) -> bool:
        """Go on with the next waypoint."""
        self._arrived = self.partly = True
        return self._next()

    def missed(self, code: int, sentence: str) -> bool:
        """Note the waypoint and go on with the next one."""
        if len(self.result.missed_waypoints) < MAX_WAYPOINTS:
            note = missed_waypoint(self.index, self.pose, code, sentence)
            self.result.missed_waypoints.append(note)
        return self._next()

    def feedback(self, now_ns: int, T_map_base: FloatArray, out: Progress) -> Any:
        """Number of the waypoint."""
        return FollowWaypoints.Feedback(current_waypoint=self.index)

    def _next(self) -> bool:
        self.index += 1
        if self.index == len(self.poses):
            if self._loops_left == 0 or not self._arrived:
                self.index -= 1
                return False
            self._loops_left -= 1
            self.index, self._arrived = 0, False
        return True


def missed_waypoint(index: int, pose: PoseStamped, code: int, sentence: str) -> Any:
    """A missed waypoint in the type that this distribution has.

    Up to Jazzy it is ``MissedWaypoint``; later distributions have ``WaypointStatus``, which names
    the same things otherwise.
    """
    kinds = [
        getattr(nav2_msgs.msg, name)
        for name in ("MissedWaypoint", "WaypointStatus")
        if hasattr(nav2_msgs.msg, name)
    ]
    return fill_missed(kinds[-1], index, pose, code, sentence)


def fill_missed(kind: Any, index: int, pose: PoseStamped, code: int, sentence: str) -> Any:
    """Make a ``MissedWaypoint`` or a ``WaypointStatus``."""
    if hasattr(kind, "FAILED"):
        return kind(
            waypoint_status=kind.FAILED,
            waypoint_index=index,
            waypoint_pose=pose,
            error_code=code,
            error_msg=sentence,
        )
    return kind(index=index, goal=pose, error_code=code)
