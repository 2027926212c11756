"""What the ground says of a vehicle at a pose: closed cells at hand, cost, attitude, room below.

Kernels for inner loops: they take arrays and plain numbers, because a tuple of arrays that is
handed to a function costs more than the function (every array in it is counted).
"""

from __future__ import annotations

import math

from numba import njit

from ilrs_robots.core.planning.attitude_prediction import height_at

FAST = {"contract", "reassoc", "arcp", "nsz", "afn"}
"""Sums may be reordered; NaN and infinity keep their meaning."""
MOST_COST = 0.98
"""Dearer cells cost no more than this: c / (1 - c) stays finite."""
_BEYOND = MOST_COST / (1.0 - MOST_COST)
_X0, _Y0, _PER, _C, _S, _COL, _ROW, _RADIUS, _BELLY, _LONG, _WIDE = range(11)


@njit(cache=True, error_model="numpy")
def numbers(terrain, discs, footing):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The plain numbers of terrain, footprint and footing, as the kernels below index them."""
    heights = terrain.heights
    return (
        terrain.x0,
        terrain.y0,
        1.0 / terrain.resolution,
        heights.c,
        heights.s,
        heights.col0,
        heights.row0,
        discs.radius,
        footing.clearance,
        footing.half_length,
        footing.half_width,
    )


@njit(cache=True, error_model="numpy", fastmath=FAST)
def disc_gap(clearance, discs, n, x, y, cos, sin, enough):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Least distance of the footprint's discs from closed ground, negative inside; metres.

    Where it is surely above ``enough`` a lower bound of it is given instead. Outside the grid all
    is closed.
    """
    rows, cols = clearance.shape
    per = n[_PER]
    col0, row0 = (x - n[_X0]) * per, (y - n[_Y0]) * per
    reach = discs[discs.shape[0] - 1]
    far_c, far_r = abs(reach * cos) * per, abs(reach * sin) * per
    if not (far_c <= col0 <= cols - 1 - far_c and far_r <= row0 <= rows - 1 - far_r):
        return -1e3
    sure = clearance[int(row0 + 0.5), int(col0 + 0.5)] - reach - n[_RADIUS] - 1.0 / per
    if sure > enough:
        return sure
    least = 1e3
    for d in range(discs.shape[0]):
        col = col0 + discs[d] * cos * per
        row = row0 + discs[d] * sin * per
        j, i = min(int(col), cols - 2), min(int(row), rows - 2)
        u, v = col - j, row - i
        low = (1.0 - u) * clearance[i, j] + u * clearance[i, j + 1]
        high = (1.0 - u) * clearance[i + 1, j] + u * clearance[i + 1, j + 1]
        least = min(least, (1.0 - v) * low + v * high)
    return least - n[_RADIUS]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def ground_cost(cost, n, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """What a cell costs, c / (1 - c); closed outside the grid."""
    rows, cols = cost.shape
    col = (x - n[_X0]) * n[_PER] + 0.5
    row = (y - n[_Y0]) * n[_PER] + 0.5
    if not (0.0 <= col < cols and 0.0 <= row < rows):
        return _BEYOND
    c = min(max(cost[int(row), int(col)], 0.0), MOST_COST)
    return c / (1.0 - c)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def plane_at(elevation, wheels, weights, n, x, y, cos, sin):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Height (m) and slopes along and across of the body; NaN where a wheel's ground is unknown.

    As ``attitude_prediction.body_plane``.
    """
    col0 = n[_C] * x + n[_S] * y + n[_COL]
    row0 = -n[_S] * x + n[_C] * y + n[_ROW]
    ax, ay = n[_C] * cos + n[_S] * sin, -n[_S] * cos + n[_C] * sin
    level, along, across = 0.0, 0.0, 0.0
    for k in range(wheels.shape[0]):
        wx, wy = wheels[k, 0], wheels[k, 1]
        z = height_at(elevation, col0 + ax * wx - ay * wy, row0 + ay * wx + ax * wy)
        level += weights[0, k] * z
        along += weights[1, k] * z
        across += weights[2, k] * z
    return level, along, across


@njit(cache=True, error_model="numpy", fastmath=FAST)
def belly_gap(peak, n, x, y, cos, sin, level, along, across):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A quick bound of the underside's clearance at its front, middle and rear; metres.

    The highest ground of a disc is held against the highest place of the body's plane above it.
    """
    rows, cols = peak.shape
    rise = n[_WIDE] * math.sqrt(along * along + across * across)
    reach = max(n[_LONG] - n[_WIDE], 0.0)
    least = 1e3
    for k in range(-1, 2):
        px, py = x + k * reach * cos, y + k * reach * sin
        col = n[_C] * px + n[_S] * py + n[_COL] + 0.5
        row = -n[_S] * px + n[_C] * py + n[_ROW] + 0.5
        if 0.0 <= col < cols and 0.0 <= row < rows:
            gap = level + along * k * reach + rise - peak[int(row), int(col)]
            if gap < least:
                least = gap
    return least + n[_BELLY]


@njit(cache=True, error_model="numpy")
def tilt_share(along, across, tan_roll, tan_pitch):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Roll or pitch as a share of its limit, the larger of both; 1 is at the limit."""
    rolled = abs(across) / math.sqrt(1.0 + along * along)
    return max(rolled / tan_roll, abs(along) / tan_pitch)
