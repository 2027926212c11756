"""Open an elevation file, by GDAL or as a PDS3 image."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io import pds3
from ilrs_robots.core.io.dem_writer import LOCAL_TAG
from ilrs_robots.core.io.raster import Raster, require_moon
from ilrs_robots.core.types import Float32Array


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
