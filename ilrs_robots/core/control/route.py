"""Plans for the navigator, with a memory of where a path was found closed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.right_of_way import raised
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.costmap import NavigationCostmap
from ilrs_robots.core.planning.grid_planner import PlannedPath, plan_path
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

_NS = 1e-9
_OTHERS_COST = 0.9
"""A metre through a standing vehicle is worth a detour of some twenty."""


class RoutePlanner:
    """Plan on the costmap, around places that closed a path a short time ago.

    A gap that is just wide enough opens and closes with every new look; without a memory the
    vehicle would turn to and fro between two routes. A remembered place is not inflated, lapses
    after a while, and is dropped at once when there is no other way.
    """

    def __init__(self, config: NavigatorConfig) -> None:
        """Start with nothing remembered."""
        self._config = config
        self._closed: list[tuple[int, float, float]] = []

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters."""
        self._config = config

    def reset(self) -> None:
        """Forget every place."""
        self._closed.clear()

    def note_closed(self, now_ns: int, x: float, y: float) -> None:
        """Remember where a path was found closed."""
        self._closed.append((now_ns, x, y))

    def plan(
        self,
        now_ns: int,
        costmap: NavigationCostmap,
        pose: tuple[float, float, float],
        goal_xy: tuple[float, float],
        previous: FloatArray | None,
        others: Sequence[tuple[float, float, float]] = (),
    ) -> PlannedPath:
        """Plan from a pose to a goal.

        Args:
            now_ns: time of the stamps.
            costmap: what is known of the ground.
            pose: x, y (m) and yaw (rad) in map.
            goal_xy: x, y (m) in map.
            previous: (N, 2) metres, map, the path in force, or None.
            others: x, y and radius (m) of vehicles that stand: driven around where that is not
                too far, since they may leave.

        Raises:
            PlanningError: see ``plan_path``.
        """
        known = raised(costmap.cost, costmap.spec, others, _OTHERS_COST)
        memory_s = self._config.closed_memory_s
        self._closed = [c for c in self._closed if 0.0 <= (now_ns - c[0]) * _NS < memory_s]
        if self._closed:
            cost = self._without(known, costmap.spec, pose[:2])
            try:
                plan = self._plan(cost, costmap.spec, pose, goal_xy, previous)
            except PlanningError:
                plan = None
            if plan is not None and plan.reached:
                return plan
            self._closed.clear()
        return self._plan(known, costmap.spec, pose, goal_xy, previous)

    def _plan(
        self,
        cost: Float32Array,
        spec: GridSpec,
        pose: tuple[float, float, float],
        goal_xy: tuple[float, float],
        previous: FloatArray | None,
    ) -> PlannedPath:
        return plan_path(
            cost, spec, pose[:2], goal_xy, self._config.planner, previous, start_yaw_rad=pose[2]
        )

    def _without(
        self, cost: Float32Array, spec: GridSpec, start_xy: tuple[float, float]
    ) -> Float32Array:
        """The cost with the remembered places closed, except where the vehicle stands."""
        closed, radius_m = cost.copy(), self._config.closed_radius_m
        xs, ys = spec.x_m(), spec.y_m()
        for _, x, y in self._closed:
            if np.hypot(x - start_xy[0], y - start_xy[1]) <= radius_m + spec.resolution_m:
                continue
            col = slice(*np.searchsorted(xs, (x - radius_m, x + radius_m)))
            row = slice(*np.searchsorted(ys, (y - radius_m, y + radius_m)))
            away2 = (xs[col][np.newaxis] - x) ** 2 + (ys[row][:, np.newaxis] - y) ** 2
            closed[row, col][away2 <= radius_m**2] = 1.0
        return closed
