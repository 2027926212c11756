"""The scan along parallel lines that finds the horizon of every cell in one direction.

For one direction the grid is cut into parallel lines. Along a line the samples lie in the plane
of one great circle, so curvature is exact: a sample at arc s and height z is the point
((R + z) sin(s/R), (R + z) cos(s/R) - R). The scan runs from the far end to the near one and keeps
the upper convex hull of what it has passed, a stack whose every sample is pushed and popped once.
What limits the view of an observer is where a tangent from it touches that hull, found by
bisection. One direction so costs O(cells x log(hull)), however far the terrain reaches.

Reference: Timonen and Westerholm 2010, Computer Graphics Forum 29(2), Scalable height field
self-shadowing (parallel lines with a hull); Dozier, Bruno and Downey 1981, Computers & Geosciences
7, 145 (horizons in linear time); Mazarico et al. 2011, Icarus 211, 1066 (the Moon's poles).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.constants import MOON_RADIUS_M

UNKNOWN: Final = -32768
"""Count of a cell whose height is not known."""
COUNTS_PER_RAD: Final = 32_000.0 / (math.pi / 2.0)
"""int16 counts: one is 0.0028 deg, a hundredth of the Sun's radius."""

_R: Final = MOON_RADIUS_M


@njit(cache=True, nogil=True, error_model="numpy")
def _push(hull: np.ndarray, n: int, x: float, y: float) -> int:
    """Put a point nearer than all others on the stack; returns the new number of points."""
    while n >= 2:
        ax, ay = hull[n - 1, 0] - x, hull[n - 1, 1] - y
        bx, by = hull[n - 2, 0] - x, hull[n - 2, 1] - y
        if ay * bx > by * ax:
            break
        n -= 1
    hull[n, 0] = x
    hull[n, 1] = y
    return n + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _steepest(hull: np.ndarray, n: int, x: float, y: float) -> float:
    """Largest slope from a point nearer than all others to the hull; -inf for an empty one."""
    if n == 0:
        return -np.inf
    low, high = 0, n - 1  # from the nearest vertex (n - 1) on slopes rise, then fall
    while low < high:
        middle = (low + high + 1) // 2
        ax, ay = hull[middle, 0] - x, hull[middle, 1] - y
        bx, by = hull[middle - 1, 0] - x, hull[middle - 1, 1] - y
        if by * ax > ay * bx:
            high = middle - 1
        else:
            low = middle
    slope: float = (hull[low, 1] - y) / (hull[low, 0] - x)
    return slope


@njit(cache=True, nogil=True, error_model="numpy")
def _limb(z: float, beyond_z: float, leave_phi: float) -> float:
    """Elevation of the smooth Moon that begins where the terrain ends, at arc ``leave_phi``."""
    ratio = (_R + beyond_z) / (_R + z)
    touch = math.acos(ratio) if ratio < 1.0 else 0.0
    phi = max(touch, leave_phi)
    if phi <= 0.0:
        return 0.0
    return math.atan((ratio * math.cos(phi) - 1.0) / (ratio * math.sin(phi)))


@njit(cache=True, nogil=True, error_model="numpy")
def _between(z: np.ndarray, y: float, u: int) -> float:
    """Height where a line crosses column ``u`` at row ``y``: linear between the two rows."""
    i = min(max(math.floor(y), 0), z.shape[0] - 1)
    f = min(max(y - i, 0.0), 1.0)
    if f < 1e-9 or i + 1 >= z.shape[0]:
        return float(z[i, u])
    height: float = (1.0 - f) * z[i, u] + f * z[i + 1, u]
    return height


@njit(cache=True, nogil=True, error_model="numpy")
def far_hull(
    far: np.ndarray,
    far_x0: float,
    far_y0: float,
    far_res: float,
    start_x: float,
    start_y: float,
    track: np.ndarray,
    leave_m: float,
    hull: np.ndarray,
) -> int:
    """Hull of the far terrain along one line, from its end to where the near terrain begins.

    Args:
        far: (rows, cols) heights, metres.
        far_x0: x of the centre of far[0, 0], metres.
        far_y0: y of it.
        far_res: spacing, metres.
        start_x: x of the line's beginning, metres in map.
        start_y: y of it.
        track: (N, 4) for each sample map offset x, y, distance along the map and arc (rad).
        leave_m: map distance from the beginning at which near terrain ends.
        hull: (M, 2) filled in place, farthest first.

    Returns:
        Number of hull points.
    """
    n = 0
    for k in range(track.shape[0] - 1, -1, -1):
        if track[k, 2] <= leave_m:
            break
        c = (start_x + track[k, 0] - far_x0) / far_res
        r = (start_y + track[k, 1] - far_y0) / far_res
        if not (0.0 <= c <= far.shape[1] - 1 and 0.0 <= r <= far.shape[0] - 1):
            continue
        j, i = min(int(c), far.shape[1] - 2), min(int(r), far.shape[0] - 2)
        u, v = c - j, r - i
        low = far[i, j] * (1.0 - u) + far[i, j + 1] * u
        z = low * (1.0 - v) + (far[i + 1, j] * (1.0 - u) + far[i + 1, j + 1] * u) * v
        if not math.isnan(z):
            phi = track[k, 3]
            half = math.sin(0.5 * phi)
            n = _push(
                hull, n, (_R + z) * math.sin(phi), z * math.cos(phi) - 2.0 * _R * half * half
            )
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def scan_direction(
    z: np.ndarray,
    mirrored: bool,
    slope: float,
    step_phi: float,
    lines: int,
    observer_m: float,
    beyond_z: float,
    far: np.ndarray,
    far_grid: np.ndarray,
    near_grid: np.ndarray,
    track: np.ndarray,
    out: np.ndarray,
) -> None:
    """Horizon of every cell in one direction, along lines row = c + slope * column.

    Args:
        z: (rows, cols) float32 heights, metres, the direction's larger part along columns.
        mirrored: whether the direction runs towards lower columns.
        slope: rows per column of advance, -1 to 1.
        step_phi: arc from one column to the next along the line, radians.
        lines: per cell; a cell takes the line that passes it within 1 / (2 lines) of a cell.
        observer_m: height above ground, metres.
        beyond_z: height of the smooth sphere where all terrain ends, metres.
        far: (rows, cols) heights of the wider terrain, metres; (0, 0) for none.
        far_grid: (3,) x0, y0, spacing of it, metres.
        near_grid: (6,) map x, y of cell [0, 0] in scan order, its change per row and per column.
        track: (N, 4) of ``far_hull``; its last row also says where the far terrain ends.
        out: (rows, cols) int16, filled.
    """
    rows, cols = z.shape
    slack = 0.5 / lines
    hull = np.empty((cols + track.shape[0] + 2, 2))
    base = np.empty((track.shape[0] + 2, 2))
    first = math.floor((-slack - max(slope, 0.0) * (cols - 1)) * lines)
    last = math.ceil((rows - 1 + slack - min(slope, 0.0) * (cols - 1)) * lines)
    n_base, base_of, base_end = 0, 0, -1
    arc = np.empty((cols, 3))
    for u in range(cols):
        arc[u, 0], arc[u, 1] = math.sin(u * step_phi), math.cos(u * step_phi)
        arc[u, 2] = -2.0 * _R * math.sin(0.5 * u * step_phi) ** 2
    step_m = math.hypot(near_grid[4] + slope * near_grid[2], near_grid[5] + slope * near_grid[3])
    for m in range(first, last + 1):
        c = m / lines
        end = _last_column(c, slope, rows, cols, slack)
        if end < 0:
            continue
        nearest = math.floor(c + 0.5)
        if far.shape[0] > 0 and (nearest != base_of or end != base_end):
            base_of, base_end = nearest, end
            start_x = near_grid[0] + nearest * near_grid[2]
            start_y = near_grid[1] + nearest * near_grid[3]
            n_base = far_hull(
                far, far_grid[0], far_grid[1], far_grid[2], start_x, start_y, track,
                (end + 0.5) * step_m, base,
            )  # fmt: skip
        n = n_base
        hull[:n] = base[:n]
        leave_phi = (end + 0.5) * step_phi
        if n > 0:
            leave_phi = track[track.shape[0] - 1, 3]
        _scan_line(
            z, mirrored, slope, step_phi, lines, m, end, observer_m, beyond_z, leave_phi, hull, n,
            arc, out,
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _scan_line(
    z: np.ndarray,
    mirrored: bool,
    slope: float,
    step_phi: float,
    lines: int,
    m: int,
    end: int,
    observer_m: float,
    beyond_z: float,
    leave_phi: float,
    hull: np.ndarray,
    n: int,
    arc: np.ndarray,
    out: np.ndarray,
) -> None:
    """One line from its far end to its near one; ``hull`` begins with ``n`` far points."""
    rows, cols = z.shape
    slack = 0.5 / lines
    for u in range(end, -1, -1):
        y = m / lines + slope * u
        if y < -slack or y > rows - 1 + slack:
            break
        column = cols - 1 - u if mirrored else u
        height = _between(z, y, column)
        i = math.floor(y + 0.5)
        if 0 <= i < rows and math.floor(lines * (i - slope * u) + 0.5) == m:
            if math.isnan(z[i, column]):
                out[i, column] = UNKNOWN
            else:
                eye = (z[i, column] if math.isnan(height) else height) + observer_m
                px, py = (_R + eye) * arc[u, 0], eye * arc[u, 1] + arc[u, 2]
                view = math.atan(_steepest(hull, n, px, py)) + u * step_phi
                leave = leave_phi - u * step_phi
                if view < max(0.0, (beyond_z - eye) / (_R * leave)):
                    view = max(view, _limb(eye, beyond_z, leave))
                out[i, column] = math.floor(view * COUNTS_PER_RAD + 0.5)
        if not math.isnan(height):
            n = _push(hull, n, (_R + height) * arc[u, 0], height * arc[u, 1] + arc[u, 2])


@njit(cache=True, nogil=True, error_model="numpy")
def _last_column(c: float, slope: float, rows: int, cols: int, slack: float) -> int:
    """Last column at which a line is inside the grid; -1 for a line that misses it."""
    low, high = -slack - c, rows - 1 + slack - c
    if slope == 0.0:
        return cols - 1 if low <= 0.0 <= high else -1
    end = high / slope if slope > 0.0 else low / slope
    begin = low / slope if slope > 0.0 else high / slope
    last = min(math.floor(end + 1e-9), cols - 1)
    return last if last >= math.ceil(max(begin, 0.0) - 1e-9) else -1
