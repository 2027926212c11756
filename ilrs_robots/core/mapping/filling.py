"""Heights for cells that were not seen, from what surrounds them, and how far to trust them.

Known heights are averaged into coarser and coarser grids; on the way back each unknown cell takes
the interpolated coarser height, and a few relaxation sweeps per level pull it towards the mean of
its neighbours. What comes out is near the membrane through the known cells (Laplace's equation) at
a cost in proportion to the cells, however large the holes are. Planes are met exactly but for the
sweeps' rest, and nothing lies beyond the highest and the lowest known height.

Reference: Gortler et al. 1996, The lumigraph, section 3.4 (pull and push); Briggs, Henson,
McCormick 2000, A multigrid tutorial, chapter 3 (nested iteration).
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numba import njit

from ilrs_robots.core.types import BoolArray, Float32Array

_SWEEPS: Final = 4
_OVER: Final = 1.3
"""Over-relaxation: above 1.5 the sweeps, which take a whole row at once, no longer settle."""


@njit(cache=True, error_model="numpy")
def _pull(
    value: Float32Array, weight: Float32Array, coarse: Float32Array, coarse_weight: Float32Array
) -> None:
    """Weighted means of two by two cells; a weight is at most 1."""
    rows, cols = value.shape
    total, count = np.zeros(cols + 2, np.float32), np.zeros(cols + 2, np.float32)
    zero, one = np.float32(0.0), np.float32(1.0)
    for row in range(coarse.shape[0]):
        low, high = 2 * row, min(2 * row + 1, rows - 1)
        second = one if high != low else zero
        v0, w0, v1, w1 = value[low], weight[low], value[high], weight[high]
        for c in range(cols):
            total[c] = w0[c] * v0[c] + second * w1[c] * v1[c]
            count[c] = w0[c] + second * w1[c]
        for c in range(coarse.shape[1]):
            n = count[2 * c] + count[2 * c + 1]
            coarse[row, c] = (total[2 * c] + total[2 * c + 1]) / n if n > zero else zero
            coarse_weight[row, c] = min(n, one)


@njit(cache=True, error_model="numpy")
def _push(value: Float32Array, weight: Float32Array, coarse: Float32Array) -> None:
    """Blend the coarser grid, interpolated linearly, into what has not the full weight."""
    rows, cols = value.shape
    half_rows, half_cols = coarse.shape
    line, fine = np.empty(half_cols, np.float32), np.empty(2 * half_cols, np.float32)
    near, far, one = np.float32(0.75), np.float32(0.25), np.float32(1.0)
    for row in range(rows):
        k = row >> 1
        other = min(max(k + (1 if row & 1 else -1), 0), half_rows - 1)
        for c in range(half_cols):
            line[c] = near * coarse[k, c] + far * coarse[other, c]
        for c in range(half_cols):
            fine[2 * c] = near * line[c] + far * line[max(c - 1, 0)]
            fine[2 * c + 1] = near * line[c] + far * line[min(c + 1, half_cols - 1)]
        v, w = value[row], weight[row]
        for c in range(cols):
            v[c] = v[c] * w[c] + (one - w[c]) * fine[c]


@njit(cache=True, error_model="numpy")
def _relax(value: Float32Array, weight: Float32Array, over: np.float32) -> None:
    """Move unknown cells towards the mean of their four neighbours, row by row."""
    rows, cols = value.shape
    mean = np.empty(cols, np.float32)
    quarter, one, last = np.float32(0.25), np.float32(1.0), cols - 1
    for row in range(rows):
        below, above, here = value[max(row - 1, 0)], value[min(row + 1, rows - 1)], value[row]
        mean[0] = quarter * (below[0] + above[0] + here[0] + here[min(1, last)])
        mean[last] = quarter * (below[last] + above[last] + here[last] + here[max(last - 1, 0)])
        for c in range(1, last):
            mean[c] = quarter * (below[c] + above[c] + here[c - 1] + here[c + 1])
        w = weight[row]
        for c in range(cols):
            here[c] += over * (one - w[c]) * (mean[c] - here[c])


def fill_holes(height_m: Float32Array) -> Float32Array:
    """Fill every unknown cell.

    Args:
        height_m: (rows, cols) float32, metres, NaN unknown.

    Returns:
        (rows, cols) float32 without NaN; known cells are as they were. All NaN where nothing is
        known.
    """
    known: BoolArray = np.isfinite(height_m)
    count = int(known.sum())
    if count in (0, known.size):
        return np.where(known, height_m, np.float32(np.nan))
    middle = np.float32(np.where(known, height_m, 0.0).sum(dtype=np.float64) / count)
    value = np.where(known, height_m - middle, np.float32(0.0))
    weight = known.astype(np.float32)
    levels = [(value, weight)]
    while min(value.shape) > 2:
        half = ((value.shape[0] + 1) // 2, (value.shape[1] + 1) // 2)
        coarse, coarse_weight = np.empty(half, np.float32), np.empty(half, np.float32)
        _pull(value, weight, coarse, coarse_weight)
        value, weight = coarse, coarse_weight
        levels.append((value, weight))
    top, full = levels[-1]
    share = full.sum()
    top[full == 0.0] = (top * full).sum() / share
    for (value, weight), (coarse, _) in zip(levels[-2::-1], levels[:0:-1], strict=True):
        _push(value, weight, coarse)
        for _ in range(_SWEEPS):
            _relax(value, weight, np.float32(_OVER))
    return np.where(known, height_m, levels[0][0] + middle)


def distance_to_known_m(known: BoolArray, resolution_m: float) -> Float32Array:
    """Distance of every cell of a (rows, cols) bool grid to the nearest known one.

    Returns:
        (rows, cols) float32 metres, infinite where nothing is known.
    """
    if not known.any():
        return np.full(known.shape, np.inf, np.float32)
    unknown = (~known).astype(np.uint8)
    cells = cv2.distanceTransform(unknown, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    distance: Float32Array = np.asarray(cells, np.float32) * np.float32(resolution_m)
    return distance


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    ground = np.zeros((9, 9), np.float32)
    ground[3, 3:6] = np.nan
    fill_holes(ground)
