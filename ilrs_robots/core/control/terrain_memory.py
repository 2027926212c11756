"""The navigator's ground: a costmap laid around its way, and the last look at it."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ilrs_robots.core.control.ground_ahead import Ahead, GroundView, look_ahead
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.path import ArcPath
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.planning.costmap import NavigationCostmap, prior_cost, region
from ilrs_robots.core.planning.local_terrain import LocalTerrain
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

_NS = 1e-9
_NEVER_NS = -(1 << 62)
_BESIDE_M = 5.0
_MOVED_M = 2.0


class PriorTerrain(Protocol):
    """What the navigator asks of an orbital DEM in the map frame."""

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """x_min, y_min, x_max, y_max."""
        ...

    def slope_rad(self, xy_m: FloatArray) -> FloatArray:
        """(N,) slopes at (N, 2) points."""
        ...


class TerrainMemory:
    """Costmap around vehicle and goal; what was seen outlives a goal.

    Attributes:
        costmap: None before the first goal.
        view: the ground as it was last looked at.
        fresh: something was seen since then.
        looked_ns: when that was.
        heights: the newest, in map; None where nobody told.
        keep_outs: of the site; goals in them are refused.
        others: x, y (m) in map and radius (m) of vehicles that stand, for paths to keep off.
    """

    def __init__(
        self, config: NavigatorConfig, limits: VehicleLimits, prior: PriorTerrain | None
    ) -> None:
        """Start with nothing seen."""
        self.costmap: NavigationCostmap | None = None
        self.view: GroundView | None = None
        self.fresh = False
        self.looked_ns = _NEVER_NS
        self._config = config
        self._limits = limits
        self._prior = prior
        self._latest: tuple[Float32Array, GridSpec, FloatArray] | None = None
        self.heights: Heights | None = None
        self.others: list[tuple[float, float, float]] = []
        self.keep_outs: tuple[KeepOut, ...] = ()
        self._local: tuple[GroundView, float, float, LocalTerrain] | None = None

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters; the costmap keeps its own."""
        self._config = config

    @property
    def empty(self) -> bool:
        """Nothing was seen yet."""
        return self._latest is None

    @property
    def visited_m2(self) -> float:
        """Ground that the vehicle has come near to, square metres."""
        return 0.0 if self.costmap is None else self.costmap.visited_m2

    def check_goal(self, x: float, y: float) -> None:
        """Refuse a goal outside the prior terrain, and one where no vehicle may stand.

        Raises:
            PlanningError: with the value and the limits.
        """
        own_m = self._config.costmap.lethal_radius_m
        for keep in self.keep_outs:
            away_m = math.hypot(x - keep.x_m, y - keep.y_m)
            if away_m < keep.radius_m + own_m:
                raise PlanningError(
                    f"goal ({x:.1f}, {y:.1f}) m lies in the keep-out {keep.name!r}: "
                    f"{away_m:.1f} m from its centre, limit {keep.radius_m:.1f} m and "
                    f"{own_m:.2f} m for the vehicle"
                )
        if self._prior is None:
            return
        x_min, y_min, x_max, y_max = self._prior.bounds_m
        for name, value, low, high in (("x", x, x_min, x_max), ("y", y, y_min, y_max)):
            if not low <= value <= high:
                raise PlanningError(
                    f"goal {name} = {value:.2f} m is outside the terrain, "
                    f"which spans {low:.2f} to {high:.2f} m"
                )

    def observe(self, cost: Float32Array, spec_odom: GridSpec, T_map_odom: FloatArray) -> None:
        """Fuse a traversability grid, or keep it until there is a costmap.

        Args:
            cost: (rows, cols) float32, 0 to 1, 1 closed, NaN unknown.
            spec_odom: its grid in odom.
            T_map_odom: (4, 4).
        """
        self._latest = (cost, spec_odom, T_map_odom)
        self.fresh = True
        if self.costmap is not None:
            self.costmap.fuse_observation(*self._latest)

    def in_odom(
        self, pose: tuple[float, float, float]
    ) -> tuple[tuple[float, float, float], Float32Array, GridSpec] | None:
        """A pose in the frame of the newest traversability, and that; None before the first.

        Args:
            pose: x, y (m) and yaw (rad) in map.
        """
        if self._latest is None:
            return None
        cost, spec, T_map_odom = self._latest
        yaw = math.atan2(T_map_odom[1, 0], T_map_odom[0, 0])
        dx, dy = pose[0] - T_map_odom[0, 3], pose[1] - T_map_odom[1, 3]
        cos, sin = math.cos(yaw), math.sin(yaw)
        return (cos * dx + sin * dy, cos * dy - sin * dx, pose[2] - yaw), cost, spec

    def prepare(self, x: float, y: float, goal_xy: tuple[float, float]) -> None:
        """Lay the costmap around vehicle and goal.

        Raises:
            PlanningError: the vehicle is outside the prior terrain, or the goal is too far.
        """
        ends = np.array([[x, y], goal_xy])
        if self._latest is None:
            return
        if self.costmap is not None and self.costmap.spec.contains(ends).all():
            return
        bounds = None if self._prior is None else self._prior.bounds_m
        spec = region(self._config.costmap, ends, bounds)
        if not spec.contains(ends[0]):
            raise PlanningError(f"vehicle at ({x:.2f}, {y:.2f}) m is outside the terrain")
        limit = self._config.costmap.max_cells
        if spec.rows * spec.cols > limit:
            away_m = float(np.hypot(*(ends[1] - ends[0])))
            raise PlanningError(
                f"goal is {away_m:.0f} m away: its map would have {spec.rows * spec.cols} cells, "
                f"limit {limit} cells"
            )
        old = self.costmap
        made = NavigationCostmap(self._config.costmap, spec) if old is None else old.moved_to(spec)
        if self._prior is not None:
            made.set_prior(prior_cost(self._prior, spec, self._limits, self._config.costmap))
        made.set_keep_outs([(k.x_m, k.y_m, k.radius_m) for k in self.keep_outs])
        made.fuse_observation(*self._latest)
        self.costmap, self.view = made, None

    def look(self, now_ns: int) -> None:
        """Take a new view of the costmap."""
        self.looked_ns = now_ns
        if self.costmap is not None:
            self.view = GroundView.of(self.costmap)
            self.fresh = False

    def refresh(self, now_ns: int) -> None:
        """Take a new view when something new was seen and the last one is old enough."""
        due = (now_ns - self.looked_ns) * _NS >= self._config.refresh_s
        if self.view is None or (self.fresh and due):
            self.look(now_ns)

    def ahead(self, path: ArcPath | None, x: float, y: float) -> Ahead | None:
        """Closed and unseen ground along a path, or None without path or view."""
        if path is None or self.view is None:
            return None
        path.project(x, y, back_m=1.0, ahead_m=3.0)
        settings = self._config
        return look_ahead(
            self.view,
            path,
            settings.view_m,
            settings.blind_m,
            settings.gap_m,
            settings.planner.escape_m,
        )

    def local(self, x: float, y: float, peak_radius_m: float) -> LocalTerrain | None:
        """Cost and heights around a place as they were last looked at, None before.

        Args:
            x: metres, map.
            y: metres, map.
            peak_radius_m: see ``LocalTerrain``.
        """
        view, held = self.view, self._local
        if view is None:
            return None
        if held is not None and held[0] is view and np.hypot(held[1] - x, held[2] - y) < _MOVED_M:
            return held[3]
        spec, reach_m = view.spec, self._config.view_m + _BESIDE_M
        row, col = (int(v) for v in spec.cell_of(np.array([x, y])))
        reach = int(reach_m / spec.resolution_m)
        rows = slice(max(row - reach, 0), row + reach + 1)
        cols = slice(max(col - reach, 0), col + reach + 1)
        cost = view.cost[rows, cols]
        part = GridSpec(
            spec.origin_x_m + cols.start * spec.resolution_m,
            spec.origin_y_m + rows.start * spec.resolution_m,
            spec.resolution_m,
            *cost.shape,
        )
        if min(cost.shape) < 2:
            return None
        made = LocalTerrain(part, cost, view.clearance_m[rows, cols], self.heights, peak_radius_m)
        self._local = (view, x, y, made)
        return made

    def open_marks(self) -> None:
        """Open what recoveries closed."""
        if self.costmap is not None:
            self.costmap.clear_marks()

    def forget(self) -> None:
        """Forget everything that was seen."""
        self.costmap = self.view = self._latest = None
        self.heights = self._local = None
        self.fresh = False
        self.looked_ns = _NEVER_NS
