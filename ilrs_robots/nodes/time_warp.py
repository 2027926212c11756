"""Fast time of the embedded simulator while every vehicle is parked: who asks, what hinders it.

Reference: docs/adr/0022-time-warp.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from action_msgs.msg import GoalStatus, GoalStatusArray
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node
from std_srvs.srv import SetBool

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.parameters import declare_one

SERVICE: Final = "/time_warp"
STEP_NS: Final = 200_000_000
"""Time between two words of the clock in fast time: below ``dead_reckoning.max_gap_s``, so that
poses are known all the while, and below every time-out of the gate but that of its map."""
RESTED_NS: Final = 1_000_000_000
"""So long every vehicle must have been parked."""
FACTOR: Final = 25.0
"""Most simulated seconds in one of wall time. Base and mission look five times a second; what the
base grants counts for 10 s."""
BASE_BEHIND_NS: Final = 5_000_000_000
"""The base is waited for when its newest word is so old."""
BASE_PATIENCE_S: Final = 2.0
ACTIONS: Final = ("navigate_to_pose", "follow_waypoints")
UNDER_WAY: Final = frozenset({
    GoalStatus.STATUS_ACCEPTED, GoalStatus.STATUS_EXECUTING, GoalStatus.STATUS_CANCELING,
})  # fmt: skip


class TimeWarp:
    """Serves ``time_warp`` and knows whether time may run fast now.

    Args:
        node: of the simulator.
        vehicles: names of all that it moves.
        rovers: those of them that take velocities.

    Attributes:
        wanted: whether somebody asked for it.
        factor: most that it is allowed.
    """

    def __init__(self, node: Node, vehicles: Iterable[str], rovers: Iterable[str]) -> None:
        self._logger = node.get_logger()
        self.wanted, self._runs = False, False
        self.factor = float(declare_one(
            node, "warp_factor", FACTOR, "most of fast time while all are parked; 0: never"
        ))  # fmt: skip
        if not 0.0 <= self.factor <= FACTOR:
            raise ConfigError(f"warp_factor = {self.factor}: must be 0 to {FACTOR:g}")
        self._under_way: dict[tuple[str, str], bool] = {}
        self._moved_ns: dict[str, int] = dict.fromkeys(vehicles, 0)
        self._base_ns: int | None = None
        self._base_since_s = 0.0
        self._now_ns = 0
        node.create_service(SetBool, SERVICE, self._on_asked)
        node.create_subscription(DiagnosticArray, "/base/status", self._on_base, qos.MAP)
        for name in self._moved_ns:
            for action in ACTIONS:
                node.create_subscription(
                    GoalStatusArray, f"/{name}/{action}/_action/status",
                    partial(self._on_status, name, action), qos.MAP,
                )  # fmt: skip
            node.create_subscription(
                PoseStamped, f"/{name}/goal_pose", partial(self._on_goal, name), qos.STATE
            )
        for name in rovers:
            for topic in ("cmd_vel_nav", "cmd_vel_teleop"):
                node.create_subscription(
                    TwistStamped, f"/{name}/{topic}", partial(self._on_command, name), qos.COMMAND
                )

    # -- input ------------------------------------------------------------------------------
    def _on_asked(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        if request.data and self.factor == 0.0:
            response.success, response.message = (
                False,
                "warp_factor = 0: time never runs fast here",
            )
            return response
        self.wanted = bool(request.data)
        response.success = True
        response.message = "time runs fast while every vehicle is parked"
        if not self.wanted:
            response.message = "time runs as usual"
        return response

    def _on_status(self, name: str, action: str, msg: GoalStatusArray) -> None:
        self._under_way[name, action] = any(s.status in UNDER_WAY for s in msg.status_list)

    def _on_goal(self, name: str, _msg: PoseStamped) -> None:
        self.moved(name)

    def _on_command(self, name: str, msg: TwistStamped) -> None:
        if any((msg.twist.linear.x, msg.twist.linear.y, msg.twist.angular.z)):
            self.moved(name)

    def _on_base(self, msg: DiagnosticArray) -> None:
        self._base_ns = convert.to_ns(msg.header.stamp)

    def moved(self, name: str) -> None:
        """A vehicle moves, or is told to."""
        self._moved_ns[name] = self._now_ns

    # -- answer -----------------------------------------------------------------------------
    def look(self, now_ns: int, resting: dict[str, bool]) -> bool:
        """Whether the next step may be one of fast time.

        Args:
            now_ns: ROS time.
            resting: of every vehicle whether it truly stands.
        """
        self._now_ns = now_ns
        for name, rests in resting.items():
            if not rests:
                self.moved(name)
        runs = self.wanted and not self.hindered(now_ns)
        if runs != self._runs:
            self._runs = runs
            how = (
                f"time runs fast, at most {self.factor:g} times" if runs else "time runs as usual"
            )
            self._logger.info(how if runs or not self.wanted else
                              f"{how}: {self.hindered(now_ns)}")  # fmt: skip
        return runs

    @property
    def runs(self) -> bool:
        """Whether time runs fast."""
        return self._runs

    def said(self, now_ns: int) -> str:
        """For the diagnostics."""
        if self._runs:
            return "runs"
        return f"hindered: {self.hindered(now_ns)}" if self.wanted else "off"

    def hindered(self, now_ns: int) -> str:
        """Why time may not run fast now; empty where it may."""
        for (name, action), busy in self._under_way.items():
            if busy:
                return f"{name} is on its way ({action})"
        for name, moved_ns in self._moved_ns.items():
            if now_ns - moved_ns < RESTED_NS:
                return f"{name} moved {1e-9 * (now_ns - moved_ns):.1f} s ago"
        return ""

    def waits_for_base(self, now_ns: int, wall_s: float) -> bool:
        """Whether the base has not followed yet; one that says nothing is forgotten.

        Args:
            now_ns: ROS time.
            wall_s: steady clock.
        """
        if self._base_ns is None or now_ns - self._base_ns <= BASE_BEHIND_NS:
            self._base_since_s = wall_s
            return False
        if wall_s - self._base_since_s <= BASE_PATIENCE_S:
            return True
        self._base_ns = None
        return False
