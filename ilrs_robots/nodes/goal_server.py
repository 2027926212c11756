"""Base of the nodes that take goals: actions, RViz's goal, what ends and follows which."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from nav2_msgs.action import FollowWaypoints, NavigateToPose
from rclpy.action import ActionServer, CancelResponse, GoalResponse

from ilrs_robots.core.errors import ExtrapolationError, IlrsError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import missions
from ilrs_robots.nodes.goal_pose import MAX_AHEAD_NS, in_map, lies_ahead
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.missions import INVALID_GOAL, PREEMPTED, Mission

if TYPE_CHECKING:
    from ilrs_robots.core.geometry.transform_tree import TransformTree

RESULT_TIMEOUT_S = 60
"""For how long the outcome of a goal can be asked for after its end."""


class GoalServerNode(ManagedNode):
    """A managed node with ``navigate_to_pose`` and ``follow_waypoints``.

    Sub-classes move the vehicle: they override ``aim_at`` and ``drop_goal``, and call
    ``mission_reached``, ``mission_missed`` and ``end_mission``. The action servers live as long as
    the node, because an answer may be under way when it is cleaned up; they reject goals while the
    node is not active.
    """

    busy_code = INVALID_GOAL
    """Of a goal that may not replace what is under way."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.mission: Mission | None = None
        self._servers = [
            self._serve(NavigateToPose, "navigate_to_pose", missions.PoseMission),
            self._serve(FollowWaypoints, "follow_waypoints", missions.WaypointMission),
        ]

    # -- for sub-classes --------------------------------------------------------------------
    def aim_at(self, x_m: float, y_m: float, yaw_rad: float) -> None:
        """Make the vehicle go to a pose in ``map``; raise IlrsError where that cannot be."""
        raise NotImplementedError

    def drop_goal(self) -> None:
        """Go nowhere any more."""
        raise NotImplementedError

    def frames(self) -> TransformTree:
        """Transforms in which goals' frames are looked up."""
        raise NotImplementedError

    def mission_time_ns(self) -> int:
        """The time by which a transform that has not come yet is waited for."""
        raise NotImplementedError

    def may_begin(self) -> str:
        """Why a goal cannot replace what is under way now; empty where it can."""
        return ""

    def on_cancel_request(self) -> None:
        """Somebody cancels the goal; the vehicle stops at once unless a sub-class cannot."""
        self.end_mission("canceled", 0, "cancelled on request")

    # -- goals ------------------------------------------------------------------------------
    def _serve(self, kind: Any, name: str, make: Callable[[Any], Mission]) -> ActionServer:
        async def execute(handle: Any) -> Any:
            return await self._execute(handle, make, kind.Result())

        return ActionServer(
            self,
            kind,
            name,
            execute_callback=execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            result_timeout=RESULT_TIMEOUT_S,
        )

    def destroy_node(self) -> None:
        """Take the action servers down before what they stand on."""
        for server in self._servers:
            server.destroy()
        self._servers.clear()
        super().destroy_node()

    def _on_goal(self, _goal: Any) -> GoalResponse:
        if not self.active:
            self.get_logger().warning(f"goal refused: the {self.get_name()} node is not active")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, handle: Any) -> CancelResponse:
        # The goal turns to "canceling" after this callback; what is queued now runs after that.
        self.executor.create_task(self._cancelled, handle)
        return CancelResponse.ACCEPT

    def _cancelled(self, handle: Any) -> None:
        mission = self.mission
        if mission is not None and mission.handle is handle and handle.is_cancel_requested:
            self.on_cancel_request()

    def on_goal_pose(self, msg: PoseStamped) -> None:
        """A goal without an action behind it, as RViz sends one."""
        refused = self.may_begin()
        if refused:
            self.get_logger().error(f"goal refused: {refused}")
            return
        self._begin(Mission([msg]))

    async def _execute(self, handle: Any, make: Callable[[Any], Mission], refused: Any) -> Any:
        if handle.is_cancel_requested:
            handle.canceled()
            return refused
        code, sentence = self.busy_code, self.may_begin()
        try:
            mission = make(handle)
        except IlrsError as error:
            code, sentence = INVALID_GOAL, str(error)
        if sentence:
            refused.error_code, refused.error_msg = code, sentence
            handle.abort()
            return refused
        self._begin(mission)
        await mission.finished
        return mission.result

    def _begin(self, mission: Mission) -> None:
        self.end_mission("abort", PREEMPTED, "preempted by a newer goal")
        self.mission = mission
        self.aim()

    def aim(self) -> None:
        """Aim at the mission's pose; one that cannot be had counts as missed."""
        mission = self.mission
        while mission is not None and mission is self.mission:
            try:
                mission.goal_xy_m = self._take(mission.pose)
            except ExtrapolationError as error:
                if self._may_wait(mission):
                    self.drop_goal()
                    return
                code, sentence = INVALID_GOAL, str(error)
            except IlrsError as error:
                code, sentence = self.code_of(error), str(error)
            else:
                mission.waits_since_ns = None
                return
            if not self._missed(mission, code, sentence):
                return

    def code_of(self, error: IlrsError) -> int:
        """Error code of a goal that was not taken."""
        del error
        return INVALID_GOAL

    def _may_wait(self, mission: Mission) -> bool:
        """Whether the transform at the pose's stamp may still come."""
        now_ns = max(self.mission_time_ns(), 0)
        if not lies_ahead(self.frames(), mission.pose):
            return False
        if mission.waits_since_ns is None:
            mission.waits_since_ns = now_ns
        return now_ns - mission.waits_since_ns <= MAX_AHEAD_NS

    def _take(self, pose: PoseStamped) -> FloatArray:
        T_map_goal = in_map(self.frames(), pose)
        x, y = (float(v) for v in T_map_goal[:2, 3])
        self.aim_at(x, y, se3.yaw_of(se3.split_transform(T_map_goal)[1]))
        self.get_logger().info(f"goal ({x:.1f}, {y:.1f}) m in map")
        return np.array([x, y])

    def mission_reached(self) -> None:
        """The pose is reached: the next one, or the end."""
        mission = self.mission
        if mission is None:
            return
        if mission.reached():
            self.aim()
        else:
            self.end_mission("succeed", 0, "")

    def mission_missed(self, code: int, sentence: str) -> None:
        """The pose is not reached: the next one, or the end."""
        mission = self.mission
        if mission is not None and self._missed(mission, code, sentence):
            self.aim()

    def _missed(self, mission: Mission, code: int, sentence: str) -> bool:
        """Note a pose that was not reached; whether there is another, else the mission ends."""
        mission.waits_since_ns = None
        if mission.missed(code, sentence):
            self.get_logger().warning(f"waypoint missed: {sentence}")
            return True
        if mission.partly:
            self.end_mission("succeed", 0, f"the last of the missed waypoints: {sentence}")
        else:
            self.end_mission("abort", code, sentence)
        return False

    def end_mission(self, how: str, code: int, sentence: str) -> None:
        """End the mission under way, if there is one: ``succeed``, ``abort`` or ``canceled``."""
        mission, self.mission = self.mission, None
        if mission is None:
            return
        if how == "canceled" or code in (PREEMPTED, INVALID_GOAL):
            self.drop_goal()
        if how == "abort":
            self.get_logger().error(f"goal aborted: {sentence}")
        mission.end(how, code, sentence)
