"""Judges every cell of a map as a place for six feet, for all orientations.

Two ways of standing count: on equal springs (the least-squares plane through the feet) and on
stiff legs (the face of the feet's upper hull above the centre; where that is an edge between
opposite feet, the vehicle can lean to either side). The array form stands in the kernel's test.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.planning.landing_config import LandingTable
from ilrs_robots.core.types import Float32Array

SAFE: Final = 0
UNSEEN: Final = 1
SLOPE: Final = 2
ROUGH: Final = 3
ROCK: Final = 4
EDGE: Final = 5

_SPRUNG: Final = 0.35
_STIFF: Final = 1.1
"""Deviation of the tilt's tangent per deviation of height and radius of the circle, for a foot
that stands on the highest of several cells: on springs sqrt(1/3), on stiff legs 0.8 to 1.6, of
what such a highest has, 0.6 of a cell's."""
_FOOT: Final = 0.5
_HIDDEN: Final = 0.5
"""Deviation of a foot's residual per deviation of height (0.71 of 0.6, rounded up), and share of
uneven ground under a foot that its cells' means may hide."""

_OFF: Final = 1.334
_TILT: Final = 1.334
_SPREAD: Final = 2.334
_STIFF_TILT: Final = 2.52
"""Largest residual, slope, difference and stiff slope that six feet can have whose heights are
within one of a plane: sums of the weights' sizes of six feet at even angles."""
_SIDE: Final = 0.8660254
_NO_FOOTING: Final = 1e3


@njit(cache=True, error_model="numpy", inline="never")
def _stiff_tilt(h, radius, turn, first, step, slack):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Largest tangent of the tilt on stiff legs; feet are h[first], h[first + step] ..."""
    h0, h1, h2 = h[first], h[first + step], h[first + 2 * step]
    h3, h4, h5 = h[first + 3 * step], h[first + 4 * step], h[first + 5 * step]
    even, odd = (h0 + h2 + h4) / 3.0, (h1 + h3 + h5) / 3.0
    top = max(even, odd, 0.5 * max(h0 + h3, h1 + h4, h2 + h5))
    worst = 0.0
    for start in range(2):
        if (even if start == 0 else odd) >= top - slack:
            gx = gy = 0.0
            for n in range(3):
                k = first + (start + 2 * n) * step
                gx += h[k] * turn[k, 0]
                gy += h[k] * turn[k, 1]
            worst = max(worst, 2.0 / (3.0 * radius) * math.hypot(gx, gy))
    for n in range(3):
        a, b = h[first + n * step], h[first + (n + 3) * step]
        if 0.5 * (a + b) < top - slack:
            continue
        middle, rise = 0.5 * (a + b), 0.25 * (a - b)
        left = max(h[first + ((n + 1) % 6) * step] - middle - rise,
                   h[first + ((n + 2) % 6) * step] - middle + rise)  # fmt: skip
        right = max(h[first + ((n + 5) % 6) * step] - middle - rise,
                    h[first + ((n + 4) % 6) * step] - middle + rise)  # fmt: skip
        cross = max(abs(left), abs(right)) / (_SIDE * radius)
        worst = max(worst, math.hypot(2.0 * rise / radius, cross))
    return worst


@njit(cache=True, error_model="numpy", inline="never")
def _planes(h, table, mean, gx, gy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Over all orientations: largest residual, largest slope, and how far planes differ."""
    off = spread = steep = 0.0
    each, radius, turn = table.headings, table.radius, table.turn
    for a in range(each):
        own = ox = oy = 0.0
        for n in range(6):
            k = a + n * each
            own += h[k]
            ox += h[k] * turn[k, 0]
            oy += h[k] * turn[k, 1]
        own /= 6.0
        ox, oy = ox / 3.0, oy / 3.0
        for n in range(6):
            k = a + n * each
            off = max(off, abs(h[k] - own - ox * turn[k, 0] - oy * turn[k, 1]))
        steep = max(steep, math.hypot(ox, oy) / radius)
        spread = max(spread, abs(own - mean) + math.hypot(ox - radius * gx, oy - radius * gy))
    return off, steep, spread


_FAST = {"reassoc", "contract", "nsz"}


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _fit(h, feet, edges, ring, cos, sin, at, base):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Heights of the ring into ``h`` and its plane: relief, mean, slope times radius, residual."""
    edge = mean = gx = gy = far = 0.0
    count = len(ring)
    for k in range(count):
        h[k] = feet[at + ring[k]] - base
        edge = max(edge, edges[at + ring[k]])
    for k in range(count):
        mean += h[k]
        gx += h[k] * cos[k]
        gy += h[k] * sin[k]
    mean /= count
    gx, gy = 2.0 * gx / count, 2.0 * gy / count
    for k in range(count):
        far = max(far, abs(h[k] - mean - gx * cos[k] - gy * sin[k]))
    return edge, mean, gx, gy, far


@njit(cache=True, error_model="numpy", fastmath=_FAST)
def _highest(roofs, disc, disc_x, disc_y, at, gx, gy):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Highest ground under the body over the plane through ``at``."""
    highest = -_NO_FOOTING
    for k in range(len(disc)):
        highest = max(highest, roofs[at + disc[k]] - gx * disc_x[k] - gy * disc_y[k])
    return highest


@njit(cache=True, error_model="numpy", inline="never")
def _stiffest(h, table, mean, gx, gy, slack):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Over all orientations: largest tilt of the body on legs that give no more than ``slack``."""
    _, stiff, _ = _planes(h, table, mean, gx, gy)
    for a in range(table.headings):
        stiff = max(stiff, _stiff_tilt(h, table.radius, table.turn, a, table.headings, slack))
    return stiff


@njit(cache=True, error_model="numpy", nogil=True, fastmath=_FAST)
def judge(
    table: LandingTable, foot: Float32Array, relief: Float32Array, roof: Float32Array,
    sigma: Float32Array, unseen: np.ndarray, first: int, last: int, reason: np.ndarray,
    slope: Float32Array, rough: Float32Array, rock: Float32Array,
) -> None:  # fmt: skip
    """Fill reason and worst values of the rows from ``first`` to before ``last``.

    Where the deviation of all feet from one plane already bounds what any orientation can do,
    the bound is taken instead of the orientations.

    Args:
        table: points and limits.
        foot: (rows, cols) highest ground that a foot near the cell may stand on, m.
        relief: (rows, cols) relief under a foot, m.
        roof: (rows, cols) highest ground in the pool, m.
        sigma: (rows, cols) deviation of heights around, m.
        unseen: (rows, cols) whether any ground under the vehicle is unknown.
        first: row.
        last: row.
        reason: (rows, cols) uint8, filled.
        slope: (rows, cols) tangent of the tilt with its margin, filled.
        rough: (rows, cols) residual of a foot with its margin, m, filled.
        rock: (rows, cols) highest ground over the plane with its margin, m, filled.
    """
    rows, cols = foot.shape
    h = np.empty(table.ring.shape[0])
    ring = table.ring[:, 0] * cols + table.ring[:, 1]
    disc = table.disc[:, 0] * cols + table.disc[:, 1]
    feet, edges, roofs = foot.ravel(), relief.ravel(), roof.ravel()
    cos, sin = table.turn[:, 0].copy(), table.turn[:, 1].copy()
    disc_x, disc_y = table.disc_xy[:, 0].copy(), table.disc_xy[:, 1].copy()
    radius = table.radius
    for r in range(first, last):
        for c in range(cols):
            reason[r, c] = UNSEEN
            if (
                r < table.reach or c < table.reach or r >= rows - table.reach
                or c >= cols - table.reach or unseen[r, c]
            ):  # fmt: skip
                continue
            keep = table.sigmas * sigma[r, c]
            base, at = foot[r, c], r * cols + c
            edge, mean, gx, gy, far = _fit(h, feet, edges, ring, cos, sin, at, base)
            gx, gy = gx / radius, gy / radius
            steep = math.hypot(gx, gy)
            # A cell's mean hides what is smaller; where cells side by side differ, half of that.
            uneven = max(edge - 2.83 * steep * table.resolution, 0.0)
            hidden = _HIDDEN * max(uneven - keep, 0.0)
            give = hidden + keep * _FOOT
            tilt, off, spread = steep + _TILT * far / radius, _OFF * far, _SPREAD * far
            if off + give > table.residual:
                off, tilt, spread = _planes(h, table, mean, gx, gy)
            tilt += keep * _SPRUNG / radius
            slope[r, c] = tilt
            rough[r, c] = off + give
            if steep + keep * _SPRUNG / radius > table.slope:
                reason[r, c] = SLOPE
                continue
            if off + give > table.residual:
                reason[r, c] = ROUGH
                continue
            stiff = steep + _STIFF_TILT * far / radius
            if stiff + (keep * _STIFF + hidden) / radius > table.slope:
                stiff = _stiffest(h, table, mean, gx, gy, 0.5 * keep)
            slope[r, c] = stiff + (keep * _STIFF + hidden) / radius
            if stiff + (keep * _STIFF + hidden) / radius > table.slope:
                reason[r, c] = SLOPE
                continue
            if edge + steep * 2.0 * (table.foot + table.resolution) > table.edge:
                reason[r, c] = EDGE
                continue
            highest = _highest(roofs, disc, disc_x, disc_y, at, gx, gy)
            highest += spread + off + steep * 1.4143 * (table.pool + 0.5) * table.resolution
            highest += keep + hidden - base - mean
            rock[r, c] = highest
            reason[r, c] = ROCK if highest > table.rock else SAFE
