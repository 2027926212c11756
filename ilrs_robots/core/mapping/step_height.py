"""Height of every cell above the lowest ground within reach, the wider slope taken off."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.types import Float32Array, IntArray

_COLUMNS: Final = 128
"""Columns taken together; where none of them is known there is nothing to do."""


@njit(cache=True, error_model="numpy")
def _step_rows(
    upper: Float32Array,
    lowest: Float32Array,
    slope_x: Float32Array,
    slope_y: Float32Array,
    offsets: IntArray,
    pad: int,
    out: Float32Array,
) -> None:
    """Write upper minus the lowest neighbour.

    ``lowest`` is padded by ``pad`` and holds +inf where nothing is known; slopes are per cell.
    """
    rows, cols = upper.shape
    low = np.empty(_COLUMNS, np.float32)
    for row in range(rows):
        for start in range(0, cols, _COLUMNS):
            end = min(start + _COLUMNS, cols)
            top, line = upper[row, start:end], out[row, start:end]
            if not _any_known(top):
                line[:] = np.nan
                continue
            along_x, along_y = slope_x[row, start:end], slope_y[row, start:end]
            _lowest(lowest, row + pad, start + pad, along_x, along_y, offsets, low)
            for c in range(end - start):
                rise = top[c] - low[c]
                line[c] = np.float32(0.0) if rise < np.float32(0.0) else rise


@njit(cache=True, error_model="numpy")
def _any_known(values: Float32Array) -> bool:
    for value in values:  # noqa: SIM110 - numba has no generators in any()
        if value == value:
            return True
    return False


@njit(cache=True, error_model="numpy")
def _lowest(
    lowest: Float32Array,
    row: int,
    col: int,
    along_x: Float32Array,
    along_y: Float32Array,
    offsets: IntArray,
    low: Float32Array,
) -> None:
    """Lowest neighbour of each cell; four neighbours a pass, since loads are the cost."""
    low[:] = np.inf
    for k in range(0, offsets.shape[0], 4):
        y0, x0 = np.float32(offsets[k, 0]), np.float32(offsets[k, 1])
        y1, x1 = np.float32(offsets[k + 1, 0]), np.float32(offsets[k + 1, 1])
        y2, x2 = np.float32(offsets[k + 2, 0]), np.float32(offsets[k + 2, 1])
        y3, x3 = np.float32(offsets[k + 3, 0]), np.float32(offsets[k + 3, 1])
        near0 = lowest[row + offsets[k, 0], col + offsets[k, 1] :]
        near1 = lowest[row + offsets[k + 1, 0], col + offsets[k + 1, 1] :]
        near2 = lowest[row + offsets[k + 2, 0], col + offsets[k + 2, 1] :]
        near3 = lowest[row + offsets[k + 3, 0], col + offsets[k + 3, 1] :]
        for c in range(along_x.shape[0]):
            a, b = along_x[c], along_y[c]
            z0 = near0[c] - a * x0 - b * y0
            z1 = near1[c] - a * x1 - b * y1
            z2 = near2[c] - a * x2 - b * y2
            z3 = near3[c] - a * x3 - b * y3
            z0 = z0 if z0 < z1 else z1
            z2 = z2 if z2 < z3 else z3
            z0 = z0 if z0 < z2 else z2
            low[c] = z0 if z0 < low[c] else low[c]


def disc(radius_cells: float) -> IntArray:
    """(K, 2) row and column offsets of the cells within a radius, the middle included."""
    reach = int(radius_cells + 1e-6)
    grid = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    inside = np.hypot(grid[:, 0], grid[:, 1]) <= radius_cells + 1e-6
    return np.ascontiguousarray(grid[inside], dtype=np.int64)


@lru_cache(maxsize=16)
def reach_offsets(wheel_cells: float, body_cells: float) -> IntArray:
    """(K, 2) offsets: a disc of the wheel's reach and two rings out to the body's.

    Rings are enough for boulders; what is narrower lies within the disc of some cell.
    """
    parts = [disc(max(wheel_cells, 1.0))]
    for radius, count in ((0.5 * (wheel_cells + body_cells), 8), (body_cells, 12)):
        if radius > wheel_cells:
            angle = np.arange(count) * (2.0 * np.pi / count)
            ring = radius * np.stack((np.sin(angle), np.cos(angle)), axis=1)
            parts.append(np.rint(ring).astype(np.int64))
    offsets = np.unique(np.concatenate(parts), axis=0)
    offsets.setflags(write=False)
    return offsets


def step_height(
    upper_m: Float32Array,
    ground_m: Float32Array,
    slope_x: Float32Array,
    slope_y: Float32Array,
    resolution_m: float,
    offsets: IntArray,
) -> Float32Array:
    """Height of each cell above the lowest of its neighbours, relative to a slope.

    Args:
        upper_m: (rows, cols) float32, highest surface; NaN unknown.
        ground_m: (rows, cols) float32, where the lowest is looked for; NaN unknown.
        slope_x: dz/dx to take off, without NaN.
        slope_y: dz/dy.
        resolution_m: cell size.
        offsets: (K, 2) rows and columns of the neighbours.

    Returns:
        (rows, cols) float32, not below 0; NaN where ``upper_m`` is.
    """
    pad = max(int(np.abs(offsets).max()), 1)
    rows, cols = ground_m.shape
    lowest = np.full((rows + 2 * pad, cols + 2 * pad), np.inf, np.float32)
    np.copyto(lowest[pad:-pad, pad:-pad], ground_m, where=np.isfinite(ground_m))
    middle = np.zeros((-len(offsets) % 4, 2), np.int64)
    out = np.empty_like(upper_m)
    step = np.float32(resolution_m)
    whole = np.concatenate((offsets, middle))
    _step_rows(upper_m, lowest, slope_x * step, slope_y * step, whole, pad, out)
    return out
