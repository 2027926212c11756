"""Compiled helpers of one cell, shared by the kernels of the elevation map."""

from __future__ import annotations

from numba import njit

from ilrs_robots.core.mapping.map_state import Layers, Rules, Scan, Window


@njit(cache=True, inline="always")
def place_of(row: int, col: int, window: Window) -> int:
    """Where a cell of the window is in the circular buffer."""
    row += window.first_row
    col += window.first_col
    if row >= window.rows:
        row -= window.rows
    if col >= window.cols:
        col -= window.cols
    return row * window.cols + col


@njit(cache=True, inline="always")
def pose_variance(row: int, col: int, scan: Scan) -> float:
    """Height variance that the pose adds to a whole cell: z, and tilt times distance."""
    across = (col + 0.5 - scan.sensor_col) * scan.cell_m
    along = (row + 0.5 - scan.sensor_row) * scan.cell_m
    return scan.pose_z_variance + scan.pose_tilt_variance * (across * across + along * along)


@njit(cache=True, inline="always")
def aged_variance(place: int, layers: Layers, scan: Scan, rules: Rules) -> float:
    """Variance of a known cell at the time of the scan."""
    idle = max(scan.stamp_s - layers.last_seen_s[place], 0.0)
    grown = float(layers.variance[place]) + rules.growth_per_s * idle
    return float(min(grown, rules.max_variance))
