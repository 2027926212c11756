"""Holes in a DEM filled smoothly: from coarse to fine, towards the membrane over each hole.

Known samples are averaged down a pyramid until nothing is missing. On the way back every unknown
sample starts from the coarser level and is relaxed towards the mean of its neighbours (discrete
Laplace equation), so long waves come from the coarse levels and the cost stays linear.

Reference: Gortler et al. 1996, SIGGRAPH, sec. 3.4 (pull, push); Briggs, Henson and McCormick 2000,
A Multigrid Tutorial, chapter 3 (relaxation from coarse to fine).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, Float32Array

_SWEEPS: Final = 60
_SMALLEST: Final = 2


def filled(dem: Dem, most_share: float = 0.5) -> tuple[Dem, BoolArray]:
    """Fill what is unknown.

    Args:
        dem: NaN where nothing is known.
        most_share: of the samples that may be filled, 0 to 1.

    Returns:
        The DEM without NaN, its provenance saying how much was filled; and (rows, cols) bool,
        where.

    Raises:
        TerrainError: more is unknown than may be filled, or everything.
    """
    marked = np.isnan(dem.heights_m)
    count = int(marked.sum())
    if count == 0:
        return dem, marked
    share = count / marked.size
    if count == marked.size or share > most_share:
        raise TerrainError(
            f"{count} of {marked.size} samples are no-data ({100 * share:.1f} %): limit "
            f"{100 * most_share:g} %; take another window or raise the limit"
        )
    heights = _fill(np.array(dem.heights_m), marked)
    provenance = {
        **dem.provenance,
        "filled_samples": count,
        "filled_share": round(share, 6),
        "fill_method": "membrane (Laplace) from coarse to fine",
    }
    return Dem(heights, dem.spec, dem.projection, provenance), marked


def _fill(heights: Float32Array, unknown: BoolArray) -> Float32Array:
    """Fill one level of the pyramid in place."""
    rows, cols = heights.shape
    if min(rows, cols) <= _SMALLEST:
        heights[unknown] = np.nanmean(heights, dtype=np.float64)
    else:
        coarse = np.empty(((rows + 1) // 2, (cols + 1) // 2), dtype=np.float32)
        _halve(heights, coarse)
        missing = np.isnan(coarse)
        if missing.any():
            coarse = _fill(coarse, missing)
        _spread(coarse, unknown, heights)
    where = np.argwhere(unknown).astype(np.int32)
    _relax(heights, where, _SWEEPS)
    return heights


@njit(cache=True, error_model="numpy")
def _halve(fine: np.ndarray, coarse: np.ndarray) -> None:
    """Mean of the known samples of every 2 x 2; NaN where there is none."""
    rows, cols = fine.shape
    for i in range(coarse.shape[0]):
        for j in range(coarse.shape[1]):
            total = 0.0
            known = 0
            for a in range(2 * i, min(2 * i + 2, rows)):
                for b in range(2 * j, min(2 * j + 2, cols)):
                    if not np.isnan(fine[a, b]):
                        total += fine[a, b]
                        known += 1
            coarse[i, j] = total / known if known else np.nan


@njit(cache=True, error_model="numpy")
def _spread(coarse: np.ndarray, unknown: np.ndarray, fine: np.ndarray) -> None:
    """Bilinear from the coarse level into what is unknown; a coarse sample lies between four."""
    rows, cols = coarse.shape
    for i in range(fine.shape[0]):
        r = min(max(0.5 * i - 0.25, 0.0), rows - 1.0)
        a = min(int(r), rows - 2)
        v = r - a
        for j in range(fine.shape[1]):
            if unknown[i, j]:
                c = min(max(0.5 * j - 0.25, 0.0), cols - 1.0)
                b = min(int(c), cols - 2)
                u = c - b
                low = coarse[a, b] * (1.0 - u) + coarse[a, b + 1] * u
                high = coarse[a + 1, b] * (1.0 - u) + coarse[a + 1, b + 1] * u
                fine[i, j] = low * (1.0 - v) + high * v


@njit(cache=True, error_model="numpy")
def _relax(heights: np.ndarray, where: np.ndarray, sweeps: int) -> None:
    """Gauss-Seidel sweeps, forth and back; the file's edge lets nothing through."""
    rows, cols = heights.shape
    for sweep in range(sweeps):
        for k in range(where.shape[0]):
            n = k if sweep % 2 == 0 else where.shape[0] - 1 - k
            i = where[n, 0]
            j = where[n, 1]
            total = 0.0
            count = 0
            if i > 0:
                total += heights[i - 1, j]
                count += 1
            if i + 1 < rows:
                total += heights[i + 1, j]
                count += 1
            if j > 0:
                total += heights[i, j - 1]
                count += 1
            if j + 1 < cols:
                total += heights[i, j + 1]
                count += 1
            heights[i, j] = total / count
