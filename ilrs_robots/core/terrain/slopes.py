"""Slope statistics of any amount of terrain: strips go into a histogram, percentiles come out.

Slopes are those of ``Dem.slope_map_rad``: central differences over two cells, one-sided at the
edges, the convention of the published statistics of 5 m LOLA products ("5 m baseline"). For a
baseline longer than the posting, heights are first averaged over blocks, as an altimeter's
footprint does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numba import njit

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import Float32Array, FloatArray

PERCENTILES: Final = (50.0, 90.0, 95.0, 100.0)
STEEP_DEG: Final = (15.0, 20.0)
"""Limits of what wheeled vehicles drive; shares beyond them are told."""
_BINS_PER_DEG: Final = 100


@njit(cache=True, nogil=True, error_model="numpy")
def _count(rows3: np.ndarray, above: bool, below: bool, res: float, counts: np.ndarray) -> float:
    """Add the slopes of the middle one of three rows to a histogram; returns the steepest."""
    cols = rows3.shape[1]
    span_y = res * (int(above) + int(below))
    low = rows3[0] if below else rows3[1]
    high = rows3[2] if above else rows3[1]
    steepest = -1.0
    for j in range(cols):
        a = max(j - 1, 0)
        b = min(j + 1, cols - 1)
        dx = (float(rows3[1, b]) - float(rows3[1, a])) / (res * (b - a))
        dy = (float(high[j]) - float(low[j])) / span_y
        tangent = math.sqrt(dx * dx + dy * dy)
        if math.isnan(tangent):
            continue
        degrees = math.degrees(math.atan(tangent))
        steepest = max(steepest, degrees)
        counts[min(int(degrees * _BINS_PER_DEG), counts.shape[0] - 1)] += 1
    return steepest


@dataclass
class SlopeStatistics:
    """Heights and slopes seen so far; rows come in order, from the south or from the north.

    Attributes:
        resolution_m: posting of the rows that are added.
        block: edge of the blocks that are averaged before slopes are taken, in samples.
    """

    resolution_m: float
    block: int = 1
    samples: int = 0
    unknown: int = 0
    low_m: float = math.inf
    high_m: float = -math.inf
    steepest_deg: float = -1.0
    _counts: Any = field(default_factory=lambda: np.zeros(90 * _BINS_PER_DEG + 1, dtype=np.int64))
    _rest: list[Float32Array] = field(default_factory=list)
    _last: list[Float32Array] = field(default_factory=list)
    _started: bool = False

    def add(self, heights_m: Float32Array) -> None:
        """Add rows that follow those before: (rows, cols) metres, NaN unknown."""
        missing = int(np.isnan(heights_m).sum())
        self.samples += heights_m.size
        self.unknown += missing
        if missing < heights_m.size:
            self.low_m = min(self.low_m, float(np.nanmin(heights_m)))
            self.high_m = max(self.high_m, float(np.nanmax(heights_m)))
        for row in self._blocked(heights_m):
            self._last.append(row)
            if len(self._last) == 3:
                if not self._started:
                    self._take((self._last[0], self._last[0], self._last[1]), False, True)
                self._take(tuple(self._last), True, True)
                self._started = True
                self._last.pop(0)

    def close(self) -> None:
        """Take the last row as well; nothing can be added afterwards."""
        if self._started:
            self._take((self._last[0], self._last[1], self._last[1]), True, False)
        elif len(self._last) == 2:
            self._take((self._last[0], self._last[0], self._last[1]), False, True)
            self._take((self._last[0], self._last[1], self._last[1]), True, False)
        self._last = []

    def _take(self, rows: tuple[Float32Array, ...], below: bool, above: bool) -> None:
        if rows[1].size < 2:
            return
        found = _count(np.stack(rows), above, below, self.resolution_m * self.block, self._counts)
        self.steepest_deg = max(self.steepest_deg, found)

    def _blocked(self, heights_m: Float32Array) -> Iterable[Float32Array]:
        if self.block == 1:
            return heights_m
        self._rest.append(heights_m)
        rows = sum(len(part) for part in self._rest)
        if rows < self.block:
            return ()
        stacked = np.concatenate(self._rest)
        whole = rows // self.block * self.block
        self._rest = [stacked[whole:].copy()]
        return block_mean(stacked[:whole], self.block)

    def percentile_deg(self, percent: float) -> float:
        """Slope below which a share of the ground lies, degrees; NaN without any slope."""
        total = int(self._counts.sum())
        if total == 0:
            return math.nan
        if percent >= 100.0:
            return self.steepest_deg
        above = np.cumsum(self._counts)
        rank = percent / 100.0 * (total - 1) + 0.5
        bin_index = int(np.searchsorted(above, rank))
        before = int(above[bin_index - 1]) if bin_index else 0
        share = (rank - before) / max(int(self._counts[bin_index]), 1)
        return min((bin_index + min(max(share, 0.0), 1.0)) / _BINS_PER_DEG, self.steepest_deg)

    def share_steeper(self, limit_deg: float) -> float:
        """Share of the ground steeper than a limit in degrees, 0 to 1."""
        total = int(self._counts.sum())
        if total == 0:
            return math.nan
        return float(self._counts[round(limit_deg * _BINS_PER_DEG) :].sum()) / total

    def table(self) -> dict[str, float]:
        """Percentiles and shares by name, degrees and 0 to 1."""
        names = {f"p{p:g}_deg" if p < 100.0 else "max_deg": p for p in PERCENTILES}
        told = {name: round(self.percentile_deg(p), 3) for name, p in names.items()}
        for limit in STEEP_DEG:
            told[f"share_over_{limit:g}_deg"] = round(self.share_steeper(limit), 5)
        return told


def block_mean(heights_m: Float32Array, block: int) -> Float32Array:
    """Mean of square blocks, NaN where nothing of a block is known.

    Args:
        heights_m: (rows, cols) metres; rows and columns beyond whole blocks are left out.
        block: edge in samples.

    Raises:
        TerrainError: not even one block fits.
    """
    rows, cols = (n // block for n in heights_m.shape)
    if rows == 0 or cols == 0:
        raise TerrainError(f"{heights_m.shape} samples: fewer than a block of {block} x {block}")
    out = np.empty((rows, cols), dtype=np.float32)
    _block_mean(np.asarray(heights_m, dtype=np.float32), block, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _block_mean(heights: np.ndarray, block: int, out: np.ndarray) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = 0.0
            known = 0
            for a in range(i * block, (i + 1) * block):
                for b in range(j * block, (j + 1) * block):
                    height = heights[a, b]
                    if not math.isnan(height):
                        total += height
                        known += 1
            out[i, j] = total / known if known else np.nan


def slope_statistics(
    heights_m: Float32Array | FloatArray, resolution_m: float, block: int = 1
) -> SlopeStatistics:
    """Statistics of one array, (rows, cols) metres, NaN unknown; see ``SlopeStatistics``."""
    found = SlopeStatistics(resolution_m, block)
    found.add(np.asarray(heights_m, dtype=np.float32))
    found.close()
    return found
