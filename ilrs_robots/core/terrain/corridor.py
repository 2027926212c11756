"""What lies on a straight line, and whether there is a way around: checks on the true terrain.

For scenarios, demonstrations and tests. No planner uses them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import BoolArray, FloatArray, GridSpec

_CELL_M = 0.5
_FINE_M = 0.25


@dataclass(frozen=True)
class CorridorReport:
    """What a vehicle that drove straight would meet.

    Attributes:
        rocks_over_clearance: taller than the clearance, with a footprint inside the swath.
        rocks_on_line: those of them that the centre line itself cuts.
        max_slope_rad: steepest ground in the swath over a baseline of its width.
        length_m: of the line.
    """

    rocks_over_clearance: int
    rocks_on_line: int
    max_slope_rad: float
    length_m: float


def slopes_rad(surface: Surface, xy_m: ArrayLike, baseline_m: float) -> FloatArray:
    """Slope of the ground by central differences over a baseline, (N,) rad; NaN outside."""
    xy = np.asarray(xy_m, dtype=np.float64)
    half = 0.5 * baseline_m
    shifts = np.array([[half, 0.0], [-half, 0.0], [0.0, half], [0.0, -half]])
    heights = surface.height((xy[None] + shifts[:, None]).reshape(-1, 2)).reshape(4, -1)
    slope: FloatArray = np.arctan(
        np.hypot(heights[0] - heights[1], heights[2] - heights[3]) / baseline_m
    )
    return slope


def rocks_in_swath(
    rocks: Rocks, start_xy_m: ArrayLike, goal_xy_m: ArrayLike, width_m: float
) -> BoolArray:
    """Which rocks have a footprint (their ellipse) that reaches into a straight swath."""
    start, along, across, length = _line(start_xy_m, goal_xy_m)
    away = rocks.centre_m[:, :2] - start
    cos, sin = np.cos(rocks.yaw_rad), np.sin(rocks.yaw_rad)
    axes = np.stack((np.stack((cos, sin), -1), np.stack((-sin, cos), -1)), 1)

    def extent(direction: FloatArray) -> FloatArray:
        reach: FloatArray = np.linalg.norm(rocks.semi_axes_m[:, :2] * (axes @ direction), axis=1)
        return reach

    ahead = away @ along
    inside: BoolArray = (
        (np.abs(away @ across) <= 0.5 * width_m + extent(across))
        & (ahead >= -extent(along))
        & (ahead <= length + extent(along))
    )
    return inside


def corridor_report(
    surface: Surface,
    start_xy_m: ArrayLike,
    goal_xy_m: ArrayLike,
    width_m: float,
    clearance_m: float,
) -> CorridorReport:
    """Look at the straight line from start to goal.

    Args:
        surface: the true terrain.
        start_xy_m: (2,) metres.
        goal_xy_m: (2,) metres.
        width_m: of the vehicle.
        clearance_m: rocks up to this height pass under it.

    Raises:
        TerrainError: the line leaves the terrain, or has no length.
    """
    start, along, across, length = _line(start_xy_m, goal_xy_m)
    ends = np.stack((start, start + length * along))
    margin = width_m + 2.0
    low, high = ends.min(axis=0) - margin, ends.max(axis=0) + margin
    tall = surface.rocks(*low.tolist(), *high.tolist()).taller_than(clearance_m)
    steps = np.linspace(0.0, length, max(math.ceil(length / _FINE_M), 1) + 1)
    sides = np.linspace(-0.5 * width_m, 0.5 * width_m, 5)
    points = start + steps[:, None, None] * along + sides[None, :, None] * across
    slopes = slopes_rad(surface, points.reshape(-1, 2), width_m)
    if np.isnan(slopes).any():
        raise TerrainError(f"the line from {start} to {ends[1]} m leaves the terrain")
    return CorridorReport(
        int(rocks_in_swath(tall, start, ends[1], width_m).sum()),
        int(rocks_in_swath(tall, start, ends[1], 0.0).sum()),
        float(slopes.max()),
        length,
    )


def way_exists(
    surface: Surface,
    start_xy_m: ArrayLike,
    goal_xy_m: ArrayLike,
    max_slope_rad: float,
    max_step_m: float,
    inflation_m: float = 1.6,
    margin_m: float = 35.0,
) -> bool:
    """Whether a chain of free cells joins start and goal in a box around them.

    Args:
        surface: the true terrain.
        start_xy_m: (2,) metres.
        goal_xy_m: (2,) metres.
        max_slope_rad: steepest ground, smoothed at half a metre.
        max_step_m: tallest rock, and largest rise within half a metre.
        inflation_m: distance that is kept from all of these.
        margin_m: of the box beyond the two places.
    """
    ends = np.array([start_xy_m, goal_xy_m], dtype=np.float64)
    low = ends.min(axis=0) - margin_m
    high = ends.max(axis=0) + margin_m
    cols, rows = (math.ceil(v / _CELL_M) for v in high - low)
    spec = GridSpec(float(low[0]), float(low[1]), _CELL_M, rows, cols)
    free = ~blocked_cells(surface, spec, max_slope_rad, max_step_m, inflation_m)
    labels, _ = ndimage.label(free)
    row, col = spec.cell_of(ends)
    first, last = labels[row, col]
    return bool(first != 0 and first == last)


def blocked_cells(
    surface: Surface,
    spec: GridSpec,
    max_slope_rad: float,
    max_step_m: float,
    inflation_m: float,
) -> BoolArray:
    """Cells nearer than ``inflation_m`` to ground too steep, a step too high or no ground."""
    ratio = max(round(spec.resolution_m / _FINE_M), 1)
    res = spec.resolution_m / ratio
    inset = 0.5 * (spec.resolution_m - res)
    fine = GridSpec(
        spec.origin_x_m - inset, spec.origin_y_m - inset, res, spec.rows * ratio, spec.cols * ratio
    )
    ground = surface.grid_f64(fine)
    smooth = ndimage.gaussian_filter(ground, 0.5 / res, mode="nearest")
    dz_dy, dz_dx = np.gradient(smooth, res)
    size = 2 * max(round(0.25 / res), 1) + 1
    rise = ndimage.maximum_filter(ground, size) - ndimage.minimum_filter(ground, size)
    bad = ~((np.hypot(dz_dx, dz_dy) <= math.tan(max_slope_rad)) & (rise <= max_step_m))
    bad = bad.reshape(spec.rows, ratio, spec.cols, ratio).any(axis=(1, 3))
    x_min, y_min, x_max, y_max = spec.bounds_m
    tall = surface.rocks(x_min, y_min, x_max, y_max).taller_than(max_step_m)
    blocked: BoolArray = ndimage.distance_transform_edt(~bad, sampling=spec.resolution_m) <= (
        inflation_m
    )
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    for (cx, cy, _), (a, b, _) in zip(tall.centre_m, tall.semi_axes_m, strict=True):
        reach = inflation_m + max(a, b)
        row, col = spec.cell_of(np.array([[cx - reach, cy - reach], [cx + reach, cy + reach]]))
        box = (
            slice(max(int(row[0]), 0), int(row[1]) + 1),
            slice(max(int(col[0]), 0), int(col[1]) + 1),
        )
        blocked[box] |= (x[box] - cx) ** 2 + (y[box] - cy) ** 2 <= reach * reach
    return blocked


def _line(
    start_xy_m: ArrayLike, goal_xy_m: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    start = np.asarray(start_xy_m, dtype=np.float64)
    goal = np.asarray(goal_xy_m, dtype=np.float64)
    length = float(np.linalg.norm(goal - start))
    if not (math.isfinite(length) and length > 0.0):
        raise TerrainError(f"a line from {start} to {goal} m has no length")
    along = (goal - start) / length
    return start, along, np.array([-along[1], along[0]]), length
