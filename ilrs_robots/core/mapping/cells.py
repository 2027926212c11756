"""Compiled helpers of one cell, shared by the kernels of the elevation map."""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.map_state import Layers, Rules, Scan, Window
from ilrs_robots.core.types import Float32Array


@njit(cache=True, inline="always")
def place_of(cell: int, window: Window) -> int:
    """Where a cell of the window is in the circular buffer."""
    row = cell // window.cols + window.first_row
    col = cell % window.cols + window.first_col
    if row >= window.rows:
        row -= window.rows
    if col >= window.cols:
        col -= window.cols
    return row * window.cols + col


@njit(cache=True, inline="always")
def pose_variance(cell: int, scan: Scan, window: Window) -> float:
    """Height variance that the pose adds to a whole cell: z, and tilt times distance."""
    across = (cell % window.cols) + 0.5 - scan.sensor_col
    along = (cell // window.cols) + 0.5 - scan.sensor_row
    square = (across * across + along * along) * scan.cell_m * scan.cell_m
    return scan.pose_z_variance + scan.pose_tilt_variance * square


@njit(cache=True, inline="always")
def aged_variance(place: int, layers: Layers, scan: Scan, rules: Rules) -> float:
    """Variance of a known cell at the time of the scan."""
    idle = max(scan.stamp_s - layers.last_seen_s[place], 0.0)
    grown = float(layers.variance[place]) + rules.growth_per_s * idle
    return float(min(grown, rules.max_variance))


@njit(cache=True, inline="always")
def _gentler(before: float, here: float, after: float) -> float:
    """The smaller of two differences where they agree in sign, else 0 (minmod).

    Beside a step it takes the smooth side, so that the step does not pass for a slope. An unknown
    neighbour leaves the word to the other one.
    """
    back, ahead = here - before, after - here
    if back != back:
        back = ahead
    if ahead != ahead:
        ahead = back
    if not back * ahead > 0.0:
        return 0.0
    return back if abs(back) < abs(ahead) else ahead


@njit(cache=True, error_model="numpy")
def gradient_of(
    cell: int, place: int, elevation: Float32Array, scan: Scan, window: Window
) -> tuple[float, float]:
    """Slope dz/dx, dz/dy of a known cell from its neighbours, each at most 1."""
    row, col = cell // window.cols, cell % window.cols
    here = elevation[place]
    none = np.float32(np.nan)
    left = elevation[place_of(cell - 1, window)] if col > 0 else none
    right = elevation[place_of(cell + 1, window)] if col + 1 < window.cols else none
    below = elevation[place_of(cell - window.cols, window)] if row > 0 else none
    above = elevation[place_of(cell + window.cols, window)] if row + 1 < window.rows else none
    slope_x = _gentler(left, here, right) / scan.cell_m
    slope_y = _gentler(below, here, above) / scan.cell_m
    return min(max(slope_x, -1.0), 1.0), min(max(slope_y, -1.0), 1.0)


@njit(cache=True, error_model="numpy")
def slope_variance(
    cell: int, height: float, slope_x: float, slope_y: float, scan: Scan, window: Window
) -> float:
    """What a cell's slope adds to the variance of a point's height above level ground.

    A point that is off by d_r along the ray (elevation e) and by r d_a across it lies off a
    surface of gradient g_d along and g_l across the ray's heading by
    d_r (sin e - g_d cos e) + r d_a (cos e + g_d sin e) + r d_a' g_l cos e. A face that the ray
    meets head-on takes the whole range error, which level ground under a shallow ray does not.
    Never negative: a slope that is seen at a graze is not trusted more for it.
    """
    across = ((cell % window.cols) + 0.5 - scan.sensor_col) * scan.cell_m
    along = ((cell // window.cols) + 0.5 - scan.sensor_row) * scan.cell_m
    rise = height - scan.sensor_height
    level = across * across + along * along + 1e-6
    square = level + rise * rise
    sine2, cosine2 = rise * rise / square, level / square
    steep = slope_x * slope_x + slope_y * slope_y
    # g_d cos e = (g . d) / r, with d the horizontal vector to the cell
    heading = (slope_x * across + slope_y * along) / np.sqrt(level)
    sine, cosine = rise / np.sqrt(square), np.sqrt(cosine2)
    into = (sine - heading * cosine) ** 2
    over = (cosine + heading * sine) ** 2
    side = (steep - heading * heading) * cosine2
    added = scan.range_variance * (into - sine2)
    added += scan.angle_variance * square * (over - cosine2 + side)
    added += scan.incidence_variance * square * (1.0 + steep - into - cosine2)
    return max(added, 0.0)
