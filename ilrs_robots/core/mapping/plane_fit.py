"""Least-squares plane in a square window around every cell, with unknown cells left out."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numba import njit

from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray


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
    y = float(row)
    for c in range(height.shape[1]):
        z = float(height[row, c])
        known = sign if z == z else 0.0
        kz = known * (z - zero_m) if z == z else 0.0
        sums[0, c] += known
        sums[1, c] += known * y
        sums[2, c] += known * y * y
        sums[3, c] += kz
        sums[4, c] += kz * y
        sums[5, c] += kz * (z - zero_m) if z == z else 0.0


@njit(cache=True, error_model="numpy")
def _fit_row(
    row: int,
    half: int,
    sums: FloatArray,
    wanted: BoolArray,
    support: float,
    spread: float,
    zero_m: float,
    out: Float32Array,
) -> None:
    """Slide along a row; sums are exact in the coordinates, so nothing drifts.

    A plane needs ``support`` cells whose smallest variance of position is ``spread`` cells^2.
    """
    cols = sums.shape[1]
    n = sx = sxx = sy = sxy = syy = sz = sxz = syz = szz = 0.0
    for c in range(-half, cols):
        enter, leave = c + half, c - half - 1
        if enter < cols:
            x = float(enter)
            n += sums[0, enter]
            sx += x * sums[0, enter]
            sxx += x * x * sums[0, enter]
            sy += sums[1, enter]
            sxy += x * sums[1, enter]
            syy += sums[2, enter]
            sz += sums[3, enter]
            sxz += x * sums[3, enter]
            syz += sums[4, enter]
            szz += sums[5, enter]
        if leave >= 0:
            x = float(leave)
            n -= sums[0, leave]
            sx -= x * sums[0, leave]
            sxx -= x * x * sums[0, leave]
            sy -= sums[1, leave]
            sxy -= x * sums[1, leave]
            syy -= sums[2, leave]
            sz -= sums[3, leave]
            sxz -= x * sums[3, leave]
            syz -= sums[4, leave]
            szz -= sums[5, leave]
        if c < 0 or n < support or not wanted[row, c]:
            continue
        share = 1.0 / n
        mx, my, mz = sx * share, sy * share, sz * share
        cxx, cyy, cxy = sxx * share - mx * mx, syy * share - my * my, sxy * share - mx * my
        determinant, trace = cxx * cyy - cxy * cxy, cxx + cyy
        if trace < 2.0 * spread or determinant < spread * (trace - spread):
            continue
        cxz, cyz, czz = sxz * share - mx * mz, syz * share - my * mz, szz * share - mz * mz
        inverse = 1.0 / determinant
        a = (cxz * cyy - cyz * cxy) * inverse
        b = (cyz * cxx - cxz * cxy) * inverse
        out[0, row, c] = a
        out[1, row, c] = b
        out[2, row, c] = zero_m + mz + a * (c - mx) + b * (row - my)
        out[3, row, c] = np.sqrt(max(czz - a * cxz - b * cyz, 0.0))


@njit(cache=True)
def _first_known(height: Float32Array) -> float:
    """Some height of the grid: squares of what is relative to it lose no digits."""
    for value in height.flat:
        if value == value:
            return float(value)
    return 0.0


@njit(cache=True, error_model="numpy")
def _fit(
    height: Float32Array,
    wanted: BoolArray,
    half: int,
    support: float,
    spread: float,
    out: Float32Array,
) -> None:
    rows, cols = height.shape
    sums = np.zeros((6, cols))
    zero_m = _first_known(height)
    for row in range(min(half, rows)):
        _add_row(height, row, 1.0, zero_m, sums)
    for row in range(rows):
        if row + half < rows:
            _add_row(height, row + half, 1.0, zero_m, sums)
        if row - half - 1 >= 0:
            _add_row(height, row - half - 1, -1.0, zero_m, sums)
        _fit_row(row, half, sums, wanted, support, spread, zero_m, out)


def fit_planes(
    height_m: Float32Array,
    resolution_m: float,
    window_m: float,
    wanted: BoolArray,
    min_support: int = 8,
    min_spread: float = 0.1,
) -> PlaneFit:
    """Fit a plane to the known cells of a square window around each wanted cell.

    The cost does not depend on the window. Running sums are float64.

    Args:
        height_m: (rows, cols) float32, NaN unknown.
        resolution_m: cell size.
        window_m: side of the window; rounded to an odd number of cells, at least 3.
        wanted: (rows, cols) where a plane is asked for; the cell itself may be unknown.
        min_support: fewest known cells.
        min_spread: smallest standard deviation of their positions, in any direction, as a share
            of the window: a single line of points makes no plane.
    """
    heights = np.ascontiguousarray(height_m, dtype=np.float32)
    half = max(round(0.5 * (window_m / resolution_m - 1.0)), 1)
    out = np.full((4, *heights.shape), np.nan, np.float32)
    spread = (min_spread * (2 * half + 1)) ** 2
    _fit(heights, wanted, half, float(min_support), spread, out)
    out[:2] /= resolution_m
    return PlaneFit(*out)


@njit(cache=True, error_model="numpy")
def _block_means(height: Float32Array, size: int, out: Float32Array) -> None:
    cols = height.shape[1]
    total = np.empty(cols, np.float32)
    count = np.empty(cols, np.float32)
    for row in range(out.shape[0]):
        total[:] = 0.0
        count[:] = 0.0
        for r in range(row * size, min((row + 1) * size, height.shape[0])):
            line = height[r]
            for c in range(cols):
                known = line[c] == line[c]
                total[c] += line[c] if known else np.float32(0.0)
                count[c] += np.float32(1.0) if known else np.float32(0.0)
        for col in range(out.shape[1]):
            end = min((col + 1) * size, cols)
            n = count[col * size : end].sum()
            out[row, col] = total[col * size : end].sum() / n if n > 0.0 else np.nan


def regional_slope(
    height_m: Float32Array, resolution_m: float, window_m: float
) -> tuple[Float32Array, Float32Array]:
    """Slope of the wide surroundings of every cell, from a coarser grid.

    Where the window supports no plane it is 0, as on level ground.

    Returns:
        dz/dx and dz/dy, (rows, cols) float32 without NaN.
    """
    rows, cols = height_m.shape
    size = max(int(window_m / resolution_m / 8.0), 1)
    coarse = np.empty((-(-rows // size), -(-cols // size)), np.float32)
    _block_means(height_m, size, coarse)
    fit = fit_planes(
        coarse, size * resolution_m, window_m, np.ones(coarse.shape, np.bool_), min_support=6
    )
    # whole blocks, so that coarse cell k covers cells k * size ... (k + 1) * size - 1
    whole = (coarse.shape[1] * size, coarse.shape[0] * size)
    slopes = []
    for slope in (fit.slope_x, fit.slope_y):
        level = np.nan_to_num(slope, copy=False)
        fine = cv2.resize(level, whole, interpolation=cv2.INTER_LINEAR)
        slopes.append(np.ascontiguousarray(fine[:rows, :cols]))
    return slopes[0], slopes[1]
