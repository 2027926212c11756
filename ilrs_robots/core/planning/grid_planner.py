"""Cheapest path over a cost grid from one place to another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.planning import path_geometry, search
from ilrs_robots.core.planning.path_geometry import to_cells, to_metres
from ilrs_robots.core.planning.search import PAD
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

Cell = tuple[int, int]

_FIRST_M = 1.0


@dataclass(frozen=True)
class PlannerConfig:
    """How cost becomes time, and how far a plan may depart from what was asked."""

    cost_weight: float = param(
        2.0,
        doc="a step costs its length times 1 + weight * cost / (1 - cost)",
        low=0.0,
        high=100.0,
    )
    lethal_cost: float = param(0.99, doc="cost from which a cell is closed", low=0.1, high=1.0)
    speed_mps: float = param(0.5, doc="speed on free ground", unit="m/s", low=0.01, high=20.0)
    connectivity: int = param(16, doc="neighbours of a cell, 8 or 16", low=8, high=16)
    greed: float = param(1.0, doc="weight of the heuristic, 1 is exact", low=0.0, high=10.0)
    spacing_m: float = param(0.25, doc="spacing of the path's points", unit="m", low=0.01, high=10)
    smoothing_rounds: int = param(20, doc="rounds of corner rounding", low=0, high=1000)
    escape_m: float = param(
        2.5, doc="how far free ground may be from a closed start", unit="m", low=0.0, high=50.0
    )
    goal_tolerance_m: float = param(
        3.0, doc="how far from the goal a partial path may end", unit="m", low=0.0, high=100.0
    )
    turn_rate_rps: float = param(
        0.3, doc="rate at which the vehicle turns in place", unit="rad/s", low=0.01, high=10.0
    )
    hysteresis: float = param(
        0.1, doc="share by which a new path must be cheaper than the previous", low=0.0, high=10.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
        if self.connectivity not in (8, 16):
            raise ConfigError(f"connectivity = {self.connectivity}: must be 8 or 16")


@dataclass(frozen=True)
class PlannedPath:
    """A path in the frame of the grid.

    Attributes:
        xy_m: (N, 2) metres, N >= 1, first point the start.
        length_m: metres.
        cost_s: seconds at the planner's speed, cost included.
        reached: the path ends at the goal.
        reason: empty, or one sentence on what is not as asked.
        kept: the previous path was kept.
    """

    xy_m: FloatArray
    length_m: float
    cost_s: float
    reached: bool
    reason: str
    kept: bool = False


_DEFAULT = PlannerConfig()


def plan_path(
    cost: Float32Array,
    spec: GridSpec,
    start_xy_m: ArrayLike,
    goal_xy_m: ArrayLike,
    config: PlannerConfig = _DEFAULT,
    previous: FloatArray | None = None,
    start_yaw_rad: float | None = None,
) -> PlannedPath:
    """Plan the cheapest path.

    A start in a closed cell is left by the nearest free cell. Where the goal cannot be reached
    the path ends at the nearest place that can be, if that is within ``goal_tolerance_m``.

    Args:
        cost: (rows, cols) float32, 0 to 1, closed from ``lethal_cost`` on; NaN is closed.
        spec: the grid's place.
        start_xy_m: (2,) metres.
        goal_xy_m: (2,) metres.
        config: see PlannerConfig.
        previous: (N, 2) an earlier path; it is kept from the point nearest to the start on,
            while it is open, leads to the same goal and is not more than ``hysteresis`` dearer.
        start_yaw_rad: heading now; the time to turn to each path then counts in that comparison.

    Raises:
        PlanningError: a coordinate is not finite or outside the grid, no free ground near the
            start, or nothing reachable near the goal.
    """
    start = _point("start", start_xy_m, spec)
    goal = _point("goal", goal_xy_m, spec)
    factor = search.factors(cost, config.cost_weight, config.lethal_cost)
    first, note = _free_start(factor, spec, start, config)
    last = _cell(goal, spec)
    label, came = search.search(factor, first, last, config.connectivity, config.greed)
    reached = bool(np.isfinite(label[last[0] + PAD, last[1] + PAD]))
    if not reached:
        last, shortfall = _nearest_reached(label, spec, goal, config)
        note = f"{note}; {shortfall}" if note else shortfall
    cells = search.trace(came, first, last)
    ends = to_cells(np.stack((start, goal)), spec.origin_x_m, spec.origin_y_m, spec.resolution_m)
    open_ends = (first == _cell(start, spec), reached)
    path = _finish(factor, cells, ends, open_ends, spec, config)
    made = _measured(factor, path, spec, config, reached, note)
    if previous is None:
        return made
    kept = _keep(factor, previous, made, spec, config, start_yaw_rad)
    return made if kept is None else kept


def path_cost(
    path_xy_m: FloatArray, cost: Float32Array, spec: GridSpec, config: PlannerConfig = _DEFAULT
) -> float:
    """Seconds that a path costs; infinite if it leaves the grid or crosses a closed cell.

    Args:
        path_xy_m: (N, 2) metres.
        cost: (rows, cols) float32.
        spec: the grid's place.
        config: weights and speed.
    """
    factor = search.factors(cost, config.cost_weight, config.lethal_cost)
    return _seconds(factor, np.asarray(path_xy_m, dtype=np.float64), spec, config)


def _seconds(
    factor: Float32Array, path: FloatArray, spec: GridSpec, config: PlannerConfig
) -> float:
    if len(path) == 0 or not np.isfinite(path).all():
        return math.inf
    cells = to_cells(path, spec.origin_x_m, spec.origin_y_m, spec.resolution_m)
    if len(cells) == 1:
        return 0.0
    return path_geometry.polyline_cost(factor, cells) * spec.resolution_m / config.speed_mps


def _point(name: str, xy_m: ArrayLike, spec: GridSpec) -> FloatArray:
    xy = np.asarray(xy_m, dtype=np.float64)
    if xy.shape != (2,):
        raise PlanningError(f"{name} has shape {xy.shape}: x and y are needed")
    x_min, y_min, x_max, y_max = spec.bounds_m
    for axis, value, low, high in (("x", xy[0], x_min, x_max), ("y", xy[1], y_min, y_max)):
        if not math.isfinite(value):
            raise PlanningError(f"{name} {axis} = {value}: not finite")
        if not low <= value < high:
            raise PlanningError(
                f"{name} {axis} = {value:.2f} m is outside the map, "
                f"which spans {low:.2f} to {high:.2f} m"
            )
    return xy


def _cell(xy: FloatArray, spec: GridSpec) -> Cell:
    row, col = spec.cell_of(xy)
    return min(int(row), spec.rows - 1), min(int(col), spec.cols - 1)


def _free_start(
    factor: Float32Array, spec: GridSpec, start: FloatArray, config: PlannerConfig
) -> tuple[Cell, str]:
    """The start's cell, or the nearest free one with a note."""
    row, col = _cell(start, spec)
    if np.isfinite(factor[row + PAD, col + PAD]):
        return (row, col), ""
    reach = math.ceil(config.escape_m / spec.resolution_m)
    low_r, low_c = max(row - reach, 0), max(col - reach, 0)
    window = factor[PAD:-PAD, PAD:-PAD][low_r : row + reach + 1, low_c : col + reach + 1]
    free_r, free_c = np.nonzero(np.isfinite(window))
    distance = np.hypot(
        spec.origin_x_m + (free_c + low_c) * spec.resolution_m - start[0],
        spec.origin_y_m + (free_r + low_r) * spec.resolution_m - start[1],
    )
    if len(distance) == 0 or distance.min() > config.escape_m:
        raise PlanningError(
            f"start ({start[0]:.2f}, {start[1]:.2f}) m lies in closed ground: "
            f"no free ground within {config.escape_m:.1f} m"
        )
    best = int(np.argmin(distance))
    note = f"start lies in closed ground, free ground is {distance[best]:.1f} m away"
    return (int(free_r[best]) + low_r, int(free_c[best]) + low_c), note


def _nearest_reached(
    label: Float32Array, spec: GridSpec, goal: FloatArray, config: PlannerConfig
) -> tuple[Cell, str]:
    """The reached cell nearest to the goal, with a note."""
    rows, cols = np.nonzero(np.isfinite(label[PAD:-PAD, PAD:-PAD]))
    distance = np.hypot(
        spec.origin_x_m + cols * spec.resolution_m - goal[0],
        spec.origin_y_m + rows * spec.resolution_m - goal[1],
    )
    best = int(np.argmin(distance))
    where = f"goal ({goal[0]:.2f}, {goal[1]:.2f}) m cannot be reached"
    if distance[best] > config.goal_tolerance_m:
        raise PlanningError(
            f"{where}: the nearest reachable ground is {distance[best]:.1f} m away, "
            f"limit {config.goal_tolerance_m:.1f} m"
        )
    return (
        int(rows[best]),
        int(cols[best]),
    ), f"{where}, the path ends {distance[best]:.1f} m away"


def _finish(
    factor: Float32Array,
    cells: FloatArray,
    ends: FloatArray,
    open_ends: tuple[bool, bool],
    spec: GridSpec,
    config: PlannerConfig,
) -> FloatArray:
    """Straighten, smooth and resample, from the true start to the true goal if it is reached."""
    spacing = config.spacing_m / spec.resolution_m
    head = [ends[:1]] if open_ends[0] else []
    tail = [ends[1:]] if open_ends[1] else []
    path = path_geometry.straighten(factor, np.concatenate((*head, cells, *tail)))
    path = path_geometry.resample(path, spacing)
    path = path_geometry.smooth(factor, path, config.smoothing_rounds)
    if not open_ends[0]:
        lead = path_geometry.resample(np.concatenate((ends[:1], path[:1])), spacing)
        path = np.concatenate((lead[:-1], path))
    return to_metres(path, spec.origin_x_m, spec.origin_y_m, spec.resolution_m)


def _measured(
    factor: Float32Array,
    path: FloatArray,
    spec: GridSpec,
    config: PlannerConfig,
    reached: bool,
    note: str,
    kept: bool = False,
) -> PlannedPath:
    length_m = float(np.sum(np.hypot(*np.diff(path, axis=0).T))) if len(path) > 1 else 0.0
    return PlannedPath(path, length_m, _seconds(factor, path, spec, config), reached, note, kept)


def _keep(
    factor: Float32Array,
    previous: FloatArray,
    made: PlannedPath,
    spec: GridSpec,
    config: PlannerConfig,
    yaw_rad: float | None,
) -> PlannedPath | None:
    """What is left of the previous path, if it still serves."""
    old = np.asarray(previous, dtype=np.float64)
    if len(old) < 2 or not math.isfinite(made.cost_s):
        return None
    away = np.hypot(*(old - made.xy_m[0]).T)
    near = int(np.argmin(away))
    ends_alike = math.dist(old[-1], made.xy_m[-1]) <= 2.0 * spec.resolution_m
    if away[near] > 4.0 * config.spacing_m or not ends_alike or near >= len(old) - 1:
        return None
    rest = np.concatenate((made.xy_m[:1], old[near + 1 : -1], made.xy_m[-1:]))
    left = _measured(factor, rest, spec, config, made.reached, made.reason, kept=True)
    turns_s = [_turn_s(path.xy_m, yaw_rad, config) for path in (left, made)]
    dearer = left.cost_s + turns_s[0] > (made.cost_s + turns_s[1]) * (1.0 + config.hysteresis)
    return None if dearer else left


def _turn_s(path: FloatArray, yaw_rad: float | None, config: PlannerConfig) -> float:
    """Seconds to turn from a heading to the path's first metre."""
    if yaw_rad is None or len(path) < 2:
        return 0.0
    away = np.hypot(*(path - path[0]).T)
    dx, dy = path[int(np.argmax(away > _FIRST_M)) or -1] - path[0]
    return abs(math.remainder(math.atan2(dy, dx) - yaw_rad, math.tau)) / config.turn_rate_rps


def warm_up() -> None:
    """Compile every kernel that planning uses."""
    search.warm_up()
    path_geometry.warm_up()
