"""An elevation file as rows of heights, whatever its format; refused where it is not the Moon's.

Rows run from north to south as in the files; positions are those of pixel centres. Nothing is
read until it is asked for, so the size of a file does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import Float32Array

RADIUS_TOLERANCE: Final = 1e-3
MAX_HEIGHT_M: Final = 20_000.0
_FULL_BLOCKS: Final = 4_000_000  # samples that are converted at a time


@dataclass(frozen=True)
class Raster:
    """An open elevation file.

    Attributes:
        path: of the file.
        rows: lines.
        cols: samples of a line.
        resolution_m: pixel, metres.
        left_m: x of the western edge in the projection.
        top_m: y of the northern edge.
        projection: WKT, or None for a local plane.
        band: that is read.
        tags: what the file says about itself.
    """

    path: Path
    rows: int
    cols: int
    resolution_m: float
    left_m: float
    top_m: float
    projection: str | None
    band: int
    tags: Mapping[str, str]
    _read: Callable[[int, int, int, int], Float32Array]

    @property
    def name(self) -> str:
        """Of the file, for messages."""
        return self.path.name

    def read(self, col0: int, row0: int, cols: int, rows: int) -> Float32Array:
        """Heights of a window, (rows, cols) float32 metres from the north, NaN no-data.

        Raises:
            TerrainError: the file is damaged, or what it holds are no heights.
        """
        heights = np.empty((rows, cols), dtype=np.float32)
        step = max(_FULL_BLOCKS // cols, 1)
        for first in range(0, rows, step):
            count = min(step, rows - first)
            heights[first : first + count] = self._read(col0, row0 + first, cols, count)
            _require_heights(heights[first : first + count], self.name)
        return heights


def _require_heights(heights_m: Float32Array, name: str) -> None:
    heights_m[~np.isfinite(heights_m)] = np.nan
    if np.isnan(heights_m).all():
        return
    extreme = max(float(np.nanmax(heights_m)), float(np.nanmin(heights_m)), key=abs)
    if abs(extreme) > MAX_HEIGHT_M:
        raise TerrainError(
            f"{name}: height {extreme} m; must be within {MAX_HEIGHT_M} m of the reference "
            "sphere (a radius, another unit, or no-data that is not declared)"
        )


def require_moon(radius_m: float, name: str) -> None:
    """Refuse a map of another body.

    Args:
        radius_m: of the reference sphere, metres.
        name: of the file, for the message.

    Raises:
        TerrainError: it is not the Moon's.
    """
    if not abs(radius_m / MOON_RADIUS_M - 1.0) <= RADIUS_TOLERANCE:
        raise TerrainError(
            f"{name}: radius {radius_m:.0f} m; must be the Moon's {MOON_RADIUS_M:.0f} m "
            f"within {100 * RADIUS_TOLERANCE} %"
        )
