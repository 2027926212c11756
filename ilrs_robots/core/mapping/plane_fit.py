"""Least-squares plane in a square window around every cell, with unknown cells left out.

Heights are taken as whole multiples of ``UNIT_M``. Every sum is then exact, so a plane depends on
its window alone, to the last bit: part of a grid gives what the whole grid gives.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray

UNIT_M: Final = 2.0**-14
"""Heights are rounded to this, 0.06 mm. Sums stay below 2^53 while heights within a map lie within
60 m of one another; beyond, the last bits are lost, no more."""
_ZERO_STEP_M: Final = 64.0
_STRIDE: Final = 4168
"""Numbers between two running sums of a row; not a multiple of a memory page, else they share
cache lines' places. Columns are taken in blocks that fit."""
_N, _X, _XX, _Y, _XY, _YY, _Z, _XZ, _YZ, _ZZ = (np.uint64(k * _STRIDE) for k in range(10))
_ONE: Final = np.uint64(1)


class PlaneFit(NamedTuple):
    """Planes, each (rows, cols) float32, NaN where the window does not support one."""

    slope_x: Float32Array
    """dz/dx, a pure number."""
    slope_y: Float32Array
    """dz/dy."""
    level_m: Float32Array
    """Height of the plane at the cell's centre, metres."""
    residual_m: Float32Array
    """Root mean square distance of the known cells from the plane, along z, metres."""


@njit(cache=True, error_model="numpy")
def _add_row(height: Float32Array, row: int, sign: float, zero_m: float, sums: FloatArray) -> None:
    """Add a row to (or take it from) the sums over the window's rows of each column."""
    y, scale = float(row), 1.0 / UNIT_M
    for c in range(height.shape[1]):
        z = float(height[row, c])
        finite = abs(z) < np.inf
        known = sign if finite else 0.0
        units = np.rint((z - zero_m) * scale)
        units = units if finite else 0.0
        signed = known * units
        sums[0, c] += known
        sums[1, c] += known * y
        sums[2, c] += known * y * y
        sums[3, c] += signed
        sums[4, c] += signed * y
        sums[5, c] += signed * units


@njit(cache=True, error_model="numpy")
def _running_sums(sums: FloatArray, first: int, last: int, row: int, out: FloatArray) -> None:
    """Sums from column ``first`` on; x counts from there, y from the row."""
    n = sx = sxx = sy = sxy = syy = sz = sxz = syz = szz = 0.0
    at, y = np.uint64(0), float(row)
    for k in (_N, _X, _XX, _Y, _XY, _YY, _Z, _XZ, _YZ, _ZZ):
        out[k] = 0.0
    for c in range(first, last):
        if 0 <= c < sums.shape[1]:
            x, count, z = float(c - first), sums[0, c], sums[3, c]
            along = sums[1, c] - y * count
            n += count
            sx += x * count
            sxx += x * x * count
            sy += along
            sxy += x * along
            syy += sums[2, c] - y * (sums[1, c] + along)
            sz += z
            sxz += x * z
            syz += sums[4, c] - y * z
            szz += sums[5, c]
        at += _ONE
        out[_N + at], out[_X + at], out[_XX + at], out[_Y + at] = n, sx, sxx, sy
        out[_XY + at], out[_YY + at], out[_Z + at] = sxy, syy, sz
        out[_XZ + at], out[_YZ + at], out[_ZZ + at] = sxz, syz, szz


@njit(cache=True, error_model="numpy")
def _planes_of_row(
    run: FloatArray, count: int, half: int, support: float, spread: float, out: FloatArray
) -> None:
    """Planes of ``count`` cells in units and cells; all without a branch: vector code.

    A plane needs ``support`` cells whose smallest variance of position is ``spread`` cells^2.
    """
    width, nan = np.uint64(2 * half + 1), np.nan
    for j in range(np.uint64(count)):
        k, middle = j + width, float(j) + half
        n = run[_N + k] - run[_N + j]
        sx, sy, sz = (
            run[_X + k] - run[_X + j],
            run[_Y + k] - run[_Y + j],
            run[_Z + k] - run[_Z + j],
        )
        # products are taken about the middle of the window, which is exact, too
        sxx = run[_XX + k] - run[_XX + j] - middle * (2.0 * sx - middle * n)
        sxy = run[_XY + k] - run[_XY + j] - middle * sy
        sxz = run[_XZ + k] - run[_XZ + j] - middle * sz
        syy, syz = run[_YY + k] - run[_YY + j], run[_YZ + k] - run[_YZ + j]
        share = 1.0 / n
        mx, my, mz = (sx - middle * n) * share, sy * share, sz * share
        cxx, cyy, cxy = sxx * share - mx * mx, syy * share - my * my, sxy * share - mx * my
        cxz, cyz = sxz * share - mx * mz, syz * share - my * mz
        czz = (run[_ZZ + k] - run[_ZZ + j]) * share - mz * mz
        determinant, trace = cxx * cyy - cxy * cxy, cxx + cyy
        inverse = 1.0 / determinant
        a, b = (cxz * cyy - cyz * cxy) * inverse, (cyz * cxx - cxz * cxy) * inverse
        left = czz - a * cxz - b * cyz
        narrow = (trace < 2.0 * spread) | (determinant < spread * (trace - spread))
        bad = narrow | (n < support)
        out[j] = nan if bad else a
        out[_X + j] = nan if bad else b
        out[_XX + j] = nan if bad else mz - a * mx - b * my
        out[_Y + j] = nan if bad else np.sqrt(left if left > 0.0 else 0.0)


@njit(cache=True)
def zero_level_m(height_m: Float32Array) -> float:
    """A height near those of a (rows, cols) grid in metres, to the next 64 m; 0 where it is empty.

    Squares of what is relative to it lose no digits.
    """
    for value in height_m.flat:
        if abs(value) < np.inf:
            return float(_ZERO_STEP_M * np.rint(value / _ZERO_STEP_M))
    return 0.0


@njit(cache=True, error_model="numpy")
def _fit(
    height: Float32Array,
    wanted: BoolArray,
    half: int,
    limits: tuple[float, float],
    zero_m: float,
    step_m: float,
    out: Float32Array,
) -> None:
    """Slide down the grid; ``limits`` are support and spread."""
    rows, cols = height.shape
    sums, run, row_out = np.zeros((6, cols)), np.zeros(10 * _STRIDE), np.zeros(4 * _STRIDE)
    block, nan, unit = _STRIDE - 2 * half - 2, np.float32(np.nan), UNIT_M
    slope_unit = unit / step_m
    for row in range(min(half, rows)):
        _add_row(height, row, 1.0, zero_m, sums)
    for row in range(rows):
        if row + half < rows:
            _add_row(height, row + half, 1.0, zero_m, sums)
        if row - half - 1 >= 0:
            _add_row(height, row - half - 1, -1.0, zero_m, sums)
        for start in range(0, cols, block):
            count = min(block, cols - start)
            _running_sums(sums, start - half, start + count + half, row, run)
            _planes_of_row(run, count, half, limits[0], limits[1], row_out)
            for k in range(4):
                scale = slope_unit if k < 2 else unit
                base = zero_m if k == 2 else 0.0
                values, line = row_out[k * _STRIDE :], out[k, row, start : start + count]
                use = wanted[row, start : start + count]
                for c in range(count):
                    line[c] = np.float32(base + values[c] * scale) if use[c] else nan


def fit_planes(
    height_m: Float32Array,
    resolution_m: float,
    window_m: float,
    wanted: BoolArray,
    min_support: int = 8,
    min_spread: float = 0.1,
    zero_m: float | None = None,
) -> PlaneFit:
    """Fit a plane z = a x + b y + c to the known cells of the window around each wanted cell.

    Args:
        height_m: (rows, cols) float32, metres, NaN unknown.
        resolution_m: cell size.
        window_m: side of the window; rounded to an odd number of cells, at least 3.
        wanted: (rows, cols) where a plane is asked for; the cell itself may be unknown.
        min_support: fewest known cells.
        min_spread: smallest standard deviation of their positions, in any direction, as a share
            of the window: a single line of points makes no plane.
        zero_m: ``zero_level_m`` of the grid that this one is a part of; its own where None.

    Raises:
        TerrainError: the window is too wide.
    """
    heights = np.ascontiguousarray(height_m, dtype=np.float32)
    half = half_window(window_m, resolution_m)
    if half > _STRIDE // 4:
        raise TerrainError(
            f"a window of {window_m} m has {2 * half + 1} cells: above {_STRIDE // 2} cells"
        )
    out = np.empty((4, *heights.shape), np.float32)
    spread = (min_spread * (2 * half + 1)) ** 2
    zero = zero_level_m(heights) if zero_m is None else zero_m
    _fit(heights, wanted, half, (float(min_support), spread), zero, resolution_m, out)
    return PlaneFit(*out)


def half_window(window_m: float, resolution_m: float) -> int:
    """Cells on either side of the middle of a window of an odd number of cells."""
    return max(round(0.5 * (window_m / resolution_m - 1.0)), 1)
