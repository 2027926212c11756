"""The ground on a grid, row by row: what neighbours along a row share is computed once.

The same function of the place as ``surface.Surface.height``, faster by what a row allows: the
cubic's four rows of the DEM are blended once per row, and the noise's lattice is hashed only where
a sample enters another of its cells. The kernels hold no lock, so strips run in threads.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.terrain.hashing import cell_key
from ilrs_robots.core.terrain.roughness import fade, gradient_x, gradient_y

_EDGE = 1e-9
_TOP_BITS = np.uint64(58)


@njit(cache=True, error_model="numpy")
def cubic(a: float, b: float, c: float, d: float, t: float) -> float:
    """Catmull-Rom between b and c."""
    bend = 2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)
    return b + 0.5 * t * (c - a + t * bend)


@njit(cache=True, error_model="numpy")
def _blend_rows(z: np.ndarray, i: int, v: float, line: np.ndarray) -> None:
    """The cubic across DEM rows i - 1 .. i + 2, for every column; linear ghosts at the edge."""
    rows = z.shape[0]
    for j in range(z.shape[1]):
        b = float(z[i, j])
        c = float(z[i + 1, j])
        a = float(z[i - 1, j]) if i > 0 else 2.0 * b - c
        d = float(z[i + 2, j]) if i + 2 < rows else 2.0 * c - b
        line[j] = cubic(a, b, c, d, v)


@njit(cache=True, error_model="numpy")
def _add_base(line: np.ndarray, x0: float, step: float, out: np.ndarray) -> None:
    """Add the cubic along a blended row; places in units of DEM columns. NaN outside."""
    cols = line.shape[0]
    for n in range(out.shape[0]):
        c = x0 + step * n
        if not (-_EDGE <= c <= cols - 1 + _EDGE):
            out[n] = np.nan
            continue
        j = min(max(math.floor(c), 0), cols - 2)
        b = line[j]
        d = line[j + 1]
        a = line[j - 1] if j > 0 else 2.0 * b - d
        e = line[j + 2] if j + 2 < cols else 2.0 * d - b
        out[n] += cubic(a, b, d, e, c - j)


@njit(cache=True, error_model="numpy")
def _add_octave(
    seed: np.uint64, gain: float, x: float, y: float, dx: float, dy: float, out: np.ndarray
) -> None:
    """Add one octave of gradient noise along a line that starts at lattice point (x, y)."""
    last_i = 0
    last_j = 0
    held = False
    ax = ay = bx = by = cx = cy = ex = ey = 0.0
    for n in range(out.shape[0]):
        px = x + dx * n
        py = y + dy * n
        fx = math.floor(px)
        fy = math.floor(py)
        i = int(fx)
        j = int(fy)
        if not held or i != last_i or j != last_j:
            a = int(cell_key(seed, i, j) >> _TOP_BITS)
            b = int(cell_key(seed, i + 1, j) >> _TOP_BITS)
            c = int(cell_key(seed, i, j + 1) >> _TOP_BITS)
            d = int(cell_key(seed, i + 1, j + 1) >> _TOP_BITS)
            ax, ay = gradient_x[a], gradient_y[a]
            bx, by = gradient_x[b], gradient_y[b]
            cx, cy = gradient_x[c], gradient_y[c]
            ex, ey = gradient_x[d], gradient_y[d]
            last_i = i
            last_j = j
            held = True
        u = px - fx
        v = py - fy
        su = fade(u)
        sv = fade(v)
        na = ax * u + ay * v
        nb = bx * (u - 1.0) + by * v
        nc = cx * u + cy * (v - 1.0)
        nd = ex * (u - 1.0) + ey * (v - 1.0)
        low = na + su * (nb - na)
        high = nc + su * (nd - nc)
        out[n] += gain * (low + sv * (high - low))


@njit(cache=True, nogil=True, error_model="numpy")
def add_ground(
    z: np.ndarray, geo: np.ndarray, table: np.ndarray, octaves: np.ndarray,
    x0: float, y0: float, res: float, out: np.ndarray,
) -> None:  # fmt: skip
    """Add DEM and roughness to a grid in place.

    Args:
        z: (rows, cols) heights of the DEM, metres.
        geo: (3,) x and y of its first sample, and its posting, metres.
        table: (K, 5) octaves, of ``roughness.octave_table``.
        octaves: (K,) their seeds.
        x0: of the first cell, metres.
        y0: of the first cell, metres.
        res: of the grid, metres.
        out: (rows, cols) float64, metres; NaN off the DEM.
    """
    line = np.empty(z.shape[1])
    for row in range(out.shape[0]):
        y = y0 + res * row
        r = (y - geo[1]) / geo[2]
        if not (-_EDGE <= r <= z.shape[0] - 1 + _EDGE):
            out[row, :] = np.nan
            continue
        i = min(max(math.floor(r), 0), z.shape[0] - 2)
        _blend_rows(z, i, r - i, line)
        _add_base(line, (x0 - geo[0]) / geo[2], res / geo[2], out[row])
        for k in range(table.shape[0]):
            if table[k, 4] != 0.0:
                cs = table[k, 0]
                sn = table[k, 1]
                _add_octave(
                    octaves[k], table[k, 4],
                    cs * x0 - sn * y + table[k, 2], sn * x0 + cs * y + table[k, 3],
                    cs * res, sn * res, out[row],
                )  # fmt: skip
