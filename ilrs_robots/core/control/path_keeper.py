"""The path in force: planned anew when that is due, tracked, measured."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.ground_ahead import Ahead
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.route import RoutePlanner
from ilrs_robots.core.control.terrain_memory import TerrainMemory
from ilrs_robots.core.control.tracker import PathTracker
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.grid_planner import PlannedPath
from ilrs_robots.core.types import FloatArray

_NS = 1e-9
_NEVER_NS = -(1 << 62)


class PathKeeper:
    """Plan and tracker that go together.

    Attributes:
        plan: the plan in force, or None.
        tracker: follows it.
        reason: why there is none.
    """

    def __init__(self, config: NavigatorConfig, ground: TerrainMemory) -> None:
        """Start without a path."""
        self.plan: PlannedPath | None = None
        self.tracker = PathTracker(config.tracker)
        self.reason = ""
        self._config = config
        self._ground = ground
        self._route = RoutePlanner(config)
        self._planned_ns = _NEVER_NS
        self._first_m: float | None = None

    @property
    def goes_on(self) -> bool:
        """Whether the path goes on beyond what is looked at."""
        path = self.tracker.path
        return path is not None and path.length_m - path.progress_m > self._config.view_m

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters; the path stays."""
        self._config = config
        self.tracker.config = config.tracker
        self._route.reconfigure(config)

    def reset(self) -> None:
        """Forget everything, for another goal."""
        self.drop()
        self.reason = ""
        self._route.reset()
        self._first_m = None
        self.hurry()

    def drop(self) -> None:
        """Forget the path, not where earlier ones were closed."""
        self.plan = None
        self.tracker.clear()

    def hurry(self) -> None:
        """Plan at the next opportunity."""
        self._planned_ns = _NEVER_NS

    def ahead(self, x: float, y: float) -> Ahead | None:
        """Closed and unseen ground along the path."""
        return self._ground.ahead(self.tracker.path, x, y)

    def renew(
        self,
        now_ns: int,
        pose: tuple[float, float, float],
        goal: tuple[float, float, float | None],
        ahead: Ahead | None,
    ) -> bool:
        """Plan anew if it is time; whether the path was replaced or lost.

        Args:
            now_ns: time of the stamps.
            pose: x, y (m) and yaw (rad) in map.
            goal: x, y (m) and yaw (rad) or None in map.
            ahead: of the path in force.
        """
        blocked = ahead is not None and math.isfinite(ahead.closed_m)
        pressing = blocked or self.plan is None
        wait_s = self._config.replan_blocked_s if pressing else self._config.replan_better_s
        if (now_ns - self._planned_ns) * _NS < wait_s:
            return False
        self._planned_ns = now_ns
        self._ground.look(now_ns)
        costmap, path = self._ground.costmap, self.tracker.path
        if costmap is None:
            return False
        if ahead is not None and blocked:
            self._route.note_closed(now_ns, *ahead.end_xy_m)
        previous = None if path is None or self.plan is None else path.ahead()
        try:
            others = self._ground.others
            plan = self._route.plan(now_ns, costmap, pose, goal[:2], previous, others)
        except PlanningError as error:
            self.reason = str(error)
            self.drop()
            return True
        if plan.kept and self.plan is not None:
            return False
        self.plan, self.reason = plan, ""
        self._first_m = plan.length_m if self._first_m is None else self._first_m
        self.tracker.set_path(plan.xy_m, goal[2] if plan.reached else None)
        return True

    def in_vain(self, driven_m: float) -> str:
        """Why the goal is given up after a way that was driven to it (m); empty for going on.

        A vehicle that finds one gap closed after another would go on until its battery is empty.
        """
        if self._first_m is None:
            return ""
        limit_m = self._config.max_detour * self._first_m + self._config.detour_m
        if driven_m <= limit_m:
            return ""
        return (
            f"no way was found in {driven_m:.0f} m of driving, limit {limit_m:.0f} m: the first "
            f"plan was {self._first_m:.0f} m long"
        )

    def ends_within_m(self, x: float, y: float, tolerance_m: float) -> bool:
        """Whether the plan in force ends that near to a place in map, m."""
        if self.plan is None:
            return False
        return math.dist(self.plan.xy_m[-1], (x, y)) <= tolerance_m

    def left(self) -> tuple[FloatArray, float, float]:
        """Path that is left ((N, 2) m, map), its length (m) and expected time (s)."""
        path, plan = self.tracker.path, self.plan
        if path is None:
            return np.zeros((0, 2)), 0.0, 0.0
        remaining_m = path.length_m - path.progress_m
        eta_s = 0.0
        if plan is not None and plan.length_m > 0.0 and math.isfinite(plan.cost_s):
            eta_s = plan.cost_s * remaining_m / plan.length_m
        return path.ahead(), remaining_m, eta_s
