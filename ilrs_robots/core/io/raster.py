"""An elevation file as rows of heights, whatever its format; refused where it is not the Moon's.

Rows run from north to south as in the files; positions are those of pixel centres. Nothing is
read until it is asked for, so the size of a file does not matter.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_writer import LOCAL_TAG
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


@contextmanager
def open_raster(path: str | Path, band: int = 1) -> Iterator[Raster]:
    """Open a PDS3 label or image, or anything else that GDAL reads.

    Args:
        path: ``.lbl`` or ``.img`` of PDS3, GeoTIFF (cloud-optimised or not), ...
        band: from 1.

    Raises:
        TerrainError: the file cannot be read, or is not a projected north-up map of the Moon
            with square pixels in metres.
    """
    from ilrs_robots.core.io import pds3

    path = Path(path)
    if not path.is_file():
        raise TerrainError(f"{path}: no such file")
    label = pds3.label_of(path)
    if label is not None:
        yield pds3.open_image(label, band)
    else:
        with _opened(path) as data:
            yield _of_gdal(data, path, band)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as data:
                yield data
    except RasterioError as error:
        raise TerrainError(f"{path}: cannot be read as elevation data ({error})") from error


def _of_gdal(data: Any, path: Path, band: int) -> Raster:
    projection = _projection(data, path.name)
    resolution = _resolution(data, path.name)
    if not 1 <= band <= data.count:
        raise TerrainError(f"{path.name}: band {band} of {data.count}")
    scale, offset = data.scales[band - 1], data.offsets[band - 1]

    def read(col0: int, row0: int, cols: int, rows: int) -> Float32Array:
        from rasterio.windows import Window

        raw = data.read(band, window=Window(col0, row0, cols, rows), masked=True)
        if raw.dtype == np.float32 and (scale, offset) == (1.0, 0.0):
            return np.asarray(np.ma.filled(raw, np.nan), dtype=np.float32)
        heights = np.ma.filled(raw.astype(np.float64), np.nan)
        with np.errstate(over="ignore"):
            return np.asarray(heights * scale + offset, dtype=np.float32)

    return Raster(
        path, data.height, data.width, resolution, data.transform.c, data.transform.f,
        projection, band, dict(data.tags()), read,
    )  # fmt: skip


def _projection(data: Any, name: str) -> str | None:
    """WKT of a projection of the Moon in metres; None for a local plane that we wrote."""
    crs = data.crs
    if crs is None:
        if data.tags().get(LOCAL_TAG) == "yes":
            return None
        raise TerrainError(f"{name}: no coordinate system; a projected one in metres is needed")
    wkt = str(crs.to_wkt())
    if crs.is_geographic:
        raise TerrainError(
            f"{name}: coordinates in degrees ({crs.to_string()[:60]}); "
            "reproject to metres, for example polar stereographic"
        )
    factor = float(crs.linear_units_factor[1])
    if abs(factor - 1.0) > 1e-9:
        raise TerrainError(f"{name}: map unit of {factor} m; must be 1 m")
    found = re.search(r'(?:SPHEROID|ELLIPSOID)\["[^"]*",\s*([0-9.eE+]+)', wkt)
    if found is None:
        raise TerrainError(f"{name}: the coordinate system names no radius; needs the Moon's")
    require_moon(float(found.group(1)), name)
    return wkt


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


def _resolution(data: Any, name: str) -> float:
    t = data.transform
    if t.b != 0.0 or t.d != 0.0:
        raise TerrainError(f"{name}: rotated by {math.degrees(math.atan2(t.d, t.a)):.3f} deg")
    if t.a <= 0.0 or t.e >= 0.0:
        raise TerrainError(
            f"{name}: pixel of {t.a} x {t.e} m; columns must run east (above 0) and rows south "
            "(below 0): the image is mirrored or upside down"
        )
    if abs(t.a + t.e) > 1e-6 * t.a:
        raise TerrainError(f"{name}: pixel of {t.a} x {-t.e} m; must be square")
    return float(t.a)
