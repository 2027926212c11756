"""Slope of the wide surroundings of every cell, from a coarser grid.

The coarse grid belongs to the lattice, not to the window: a window that moves on sees the same
slopes, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.plane_fit import fit_planes
from ilrs_robots.core.types import Float32Array


@njit(cache=True, error_model="numpy")
def _block_means(
    height: Float32Array, size: int, first_row: int, first_col: int, out: Float32Array
) -> None:
    """Means of blocks; cell [0, 0] stands at ``first_row``, ``first_col`` of its block."""
    rows, cols = height.shape
    total = np.empty(cols, np.float32)
    count = np.empty(cols, np.float32)
    for row in range(out.shape[0]):
        total[:] = 0.0
        count[:] = 0.0
        for r in range(max(row * size - first_row, 0), min((row + 1) * size - first_row, rows)):
            line = height[r]
            for c in range(cols):
                known = line[c] == line[c]
                total[c] += line[c] if known else np.float32(0.0)
                count[c] += np.float32(1.0) if known else np.float32(0.0)
        for col in range(out.shape[1]):
            sum_ = n = np.float32(0.0)
            for c in range(
                max(col * size - first_col, 0), min((col + 1) * size - first_col, cols)
            ):
                sum_ += total[c]
                n += count[c]
            out[row, col] = sum_ / n if n > 0.0 else np.nan


@njit(cache=True, error_model="numpy")
def _spread_out(
    coarse: Float32Array, size: int, first_row: int, first_col: int, out: Float32Array
) -> None:
    """Interpolate linearly between the middles of the blocks; unknown blocks count as 0."""
    rows, cols = out.shape
    near = np.empty(cols, np.int64)
    share = np.empty(cols, np.float32)
    for c in range(cols):
        at = (c + first_col + 0.5) / size - 0.5
        near[c] = min(max(int(np.floor(at)), 0), coarse.shape[1] - 1)
        share[c] = min(max(at - near[c], 0.0), 1.0)
    last_row, last_col = coarse.shape[0] - 1, coarse.shape[1] - 1
    line = np.empty(coarse.shape[1] + 1, np.float32)
    one = np.float32(1.0)
    for row in range(rows):
        at = (row + first_row + 0.5) / size - 0.5
        low = min(max(int(np.floor(at)), 0), last_row)
        up = np.float32(min(max(at - low, 0.0), 1.0))
        first, second = coarse[low], coarse[min(low + 1, last_row)]
        for c in range(coarse.shape[1]):
            a = first[c] if first[c] == first[c] else np.float32(0.0)
            b = second[c] if second[c] == second[c] else np.float32(0.0)
            line[c] = (one - up) * a + up * b
        line[last_col + 1] = line[last_col]
        for c in range(cols):
            k = near[c]
            out[row, c] = (one - share[c]) * line[k] + share[c] * line[k + 1]


def block_size(window_m: float, resolution_m: float) -> int:
    """Cells along a block of the coarse grid: an eighth of the window."""
    return max(int(window_m / resolution_m / 8.0), 1)


def regional_slope(
    height_m: Float32Array,
    resolution_m: float,
    window_m: float,
    first_cell: tuple[int, int] = (0, 0),
    zero_m: float | None = None,
) -> tuple[Float32Array, Float32Array]:
    """Slope of the wide surroundings of every cell.

    Where the window supports no plane it is 0, as on level ground.

    Args:
        height_m: (rows, cols) float32, metres, NaN unknown.
        resolution_m: cell size.
        window_m: side of the window.
        first_cell: row and column of cell [0, 0] in the lattice that the blocks belong to.
        zero_m: as in ``fit_planes``.

    Returns:
        dz/dx and dz/dy, (rows, cols) float32 without NaN.
    """
    rows, cols = height_m.shape
    size = block_size(window_m, resolution_m)
    row, col = first_cell[0] % size, first_cell[1] % size
    coarse = np.empty((-(-(rows + row) // size), -(-(cols + col) // size)), np.float32)
    _block_means(height_m, size, row, col, coarse)
    everywhere = np.ones(coarse.shape, np.bool_)
    fit = fit_planes(coarse, size * resolution_m, window_m, everywhere, 6, zero_m=zero_m)
    slopes = np.empty((2, rows, cols), np.float32)
    _spread_out(fit.slope_x, size, row, col, slopes[0])
    _spread_out(fit.slope_y, size, row, col, slopes[1])
    return slopes[0], slopes[1]
