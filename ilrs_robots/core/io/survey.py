"""What an elevation file holds: slopes, heights, holes, place, provenance; strip by strip."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_files import provenance_of
from ilrs_robots.core.io.dem_window import MAX_STREAMED, Pixels, Progress, place_of
from ilrs_robots.core.io.dem_writer import PROVENANCE_TAG
from ilrs_robots.core.io.raster import Raster
from ilrs_robots.core.terrain.slopes import SlopeStatistics
from ilrs_robots.core.types import GridSpec

BASELINE_M: Final = 5.0
_STRIP_SAMPLES: Final = 8_000_000


@dataclass(frozen=True)
class Survey:
    """Statistics of a window of a file.

    Attributes:
        spec: the window's samples, in the file's projection.
        own: heights, and slopes at the file's posting.
        coarse: slopes at 5 m, where the posting is finer.
        place_deg: latitude and longitude of the middle; None on a local plane.
        provenance: of the file.
    """

    spec: GridSpec
    own: SlopeStatistics
    coarse: SlopeStatistics | None
    place_deg: tuple[float, float] | None
    provenance: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain data."""
        slopes = {f"{self.own.resolution_m:g}": self.own.table()}
        if self.coarse is not None:
            baseline = self.coarse.resolution_m * self.coarse.block
            slopes[f"{baseline:g}"] = self.coarse.table()
        return {
            "rows": self.spec.rows,
            "cols": self.spec.cols,
            "posting_m": self.spec.resolution_m,
            "low_m": self.own.low_m,
            "high_m": self.own.high_m,
            "no_data_samples": self.own.unknown,
            "latitude_deg": None if self.place_deg is None else round(self.place_deg[0], 6),
            "longitude_deg": None if self.place_deg is None else round(self.place_deg[1], 6),
            "slopes_by_baseline_m": slopes,
            "provenance": self.provenance,
        }


def survey(raster: Raster, pixels: Pixels, progress: Progress | None = None) -> Survey:
    """Run through a window.

    Args:
        raster: the file.
        pixels: the window.
        progress: is told the share that is done.

    Raises:
        TerrainError: too large, damaged, or no height at all.
    """
    col0, row0, cols, rows = pixels
    if rows * cols > MAX_STREAMED:
        raise TerrainError(
            f"{raster.name}: {rows} x {cols} samples; above the limit of {MAX_STREAMED}: "
            "give a window"
        )
    res = raster.resolution_m
    block = round(BASELINE_M / res)
    own = SlopeStatistics(res)
    coarse = SlopeStatistics(res, block) if 2 <= block <= min(rows, cols) // 2 else None
    step = max(_STRIP_SAMPLES // cols, 1)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        part = raster.read(col0, row0 + first, cols, count)
        own.add(part)
        if coarse is not None:
            coarse.add(part)
        if progress is not None:
            progress((first + count) / rows)
    own.close()
    if coarse is not None:
        coarse.close()
    if own.unknown == own.samples:
        raise TerrainError(f"{raster.name}: all {own.samples} samples of the window are no-data")
    x0 = raster.left_m + res * (col0 + 0.5)
    y0 = raster.top_m - res * (row0 + rows - 0.5)
    spec = GridSpec(x0, y0, res, rows, cols)
    place = None
    if raster.projection is not None:
        middle = x0 + 0.5 * res * (cols - 1), y0 + 0.5 * res * (rows - 1)
        place = place_of(raster.projection, *middle)
    return Survey(spec, own, coarse, place, _told(raster, spec))


def _told(raster: Raster, spec: GridSpec) -> dict[str, Any]:
    """What the file says of itself if we wrote it, otherwise what it is."""
    text = raster.tags.get(PROVENANCE_TAG)
    if text is None:
        return provenance_of(raster, spec)
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"source": found}
