"""Elevation models in GeoTIFF files, read in windows, refused where they cannot be the Moon.

GeoTIFF rows run from north to south and coordinates refer to pixel corners; a ``Dem`` has row 0
at the lowest y and samples at pixel centres. Both conversions stand here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray, GridSpec

RADIUS_TOLERANCE = 1e-3
MAX_SAMPLES = 100_000_000
MAX_HEIGHT_M = 20_000.0
_HASHED_BYTES = 256 * 1024 * 1024
_PROVENANCE_TAG = "ILRS_PROVENANCE"
_LOCAL_TAG = "ILRS_LOCAL_PLANE"

Bounds = tuple[float, float, float, float]


def read_geotiff(
    path: str | Path,
    window: Bounds | None = None,
    *,
    band: int = 1,
    origin_xy_m: tuple[float, float] | None = None,
    centre_origin: bool = False,
) -> Dem:
    """Read one band of a GeoTIFF as a DEM.

    Args:
        path: a file that GDAL can read; only the window is read from it.
        window: (x_min, y_min, x_max, y_max) in the file's projection, metres: the pixels whose
            centres lie inside. None reads everything.
        band: from 1.
        origin_xy_m: point of the file's projection that becomes (0, 0).
        centre_origin: make the middle of what is read (0, 0) instead.

    Returns:
        A DEM with NaN for no-data, the projection's WKT, and provenance: source, product, size
        and checksum of the file, band, window, origin.

    Raises:
        TerrainError: the file cannot be read, is not a projected north-up map of the Moon with
            square pixels in metres, or holds no height in the window.
    """
    path = Path(path)
    name = path.name
    if origin_xy_m is not None and centre_origin:
        raise TerrainError("origin_xy_m and centre_origin: give one of them")
    with _opened(path) as data:
        projection = _projection(data, name)
        resolution = _resolution(data, name)
        if not 1 <= band <= data.count:
            raise TerrainError(f"{name}: band {band} of {data.count}")
        col0, row0, cols, rows = _pixels(data, window, name)
        heights = _heights(data, band, (col0, row0, cols, rows), name)
        left, top = data.transform.c, data.transform.f
        tags = data.tags()
    x0 = left + resolution * (col0 + 0.5)
    y0 = top - resolution * (row0 + rows - 0.5)
    bounds = (x0, y0, x0 + resolution * (cols - 1), y0 + resolution * (rows - 1))
    if centre_origin:
        origin_xy_m = (0.5 * (bounds[0] + bounds[2]), 0.5 * (bounds[1] + bounds[3]))
    shift = (0.0, 0.0) if origin_xy_m is None else (float(origin_xy_m[0]), float(origin_xy_m[1]))
    spec = GridSpec(x0 - shift[0], y0 - shift[1], resolution, rows, cols)
    provenance = _provenance(path, tags, band, bounds, shift)
    return Dem(heights.astype(np.float32), spec, projection, provenance)


def require_complete(dem: Dem, name: str) -> None:
    """Refuse a DEM with holes, for whoever needs ground everywhere.

    Args:
        dem: in metres; NaN is a hole.
        name: of the file, for the message.

    Raises:
        TerrainError: how many samples are no-data, and where the first one lies.
    """
    holes = np.isnan(dem.heights_m)
    count = int(holes.sum())
    if count:
        row, col = (int(v) for v in np.argwhere(holes)[0])
        x, y = dem.spec.xy_of(np.array([row]), np.array([col]))[0]
        raise TerrainError(
            f"{name}: {count} of {holes.size} samples are no-data, limit 0 samples; the first "
            f"lies at x = {x:.1f} m, y = {y:.1f} m from the middle: fill or crop the file"
        )


def write_geotiff(path: str | Path, dem: Dem) -> None:
    """Write a DEM as a GeoTIFF; the file appears whole or not at all.

    An origin that ``read_geotiff`` has subtracted (``provenance["origin_xy_m"]``) is added again,
    so the file lies where its projection says.

    Raises:
        TerrainError: the file cannot be written.
    """
    import rasterio
    from rasterio.transform import Affine

    path = Path(path)
    shift = dem.provenance.get("origin_xy_m", (0.0, 0.0))
    s = dem.spec
    left = s.origin_x_m + shift[0] - 0.5 * s.resolution_m
    top = s.origin_y_m + shift[1] + s.resolution_m * (s.rows - 0.5)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "width": s.cols, "height": s.rows,
        "nodata": math.nan, "compress": "deflate", "predictor": 3,
        "crs": dem.projection,
        "transform": Affine(s.resolution_m, 0.0, left, 0.0, -s.resolution_m, top),
    }  # fmt: skip
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with rasterio.open(part, "w", **profile) as data:
            data.write(dem.heights_m[::-1], 1)
            tags = {_PROVENANCE_TAG: json.dumps(dict(dem.provenance), sort_keys=True)}
            if dem.projection is None:
                tags[_LOCAL_TAG] = "yes"
            data.update_tags(**tags)
        os.replace(part, path)
    except (OSError, rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
        raise TerrainError(f"{path}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    if not path.is_file():
        raise TerrainError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as data:
                yield data
    except RasterioError as error:
        raise TerrainError(f"{path}: cannot be read as elevation data ({error})") from error


def _projection(data: Any, name: str) -> str | None:
    """WKT of a projection of the Moon in metres; None for a local plane that we wrote."""
    crs = data.crs
    if crs is None:
        if data.tags().get(_LOCAL_TAG) == "yes":
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
    radius = float(found.group(1))
    if abs(radius / MOON_RADIUS_M - 1.0) > RADIUS_TOLERANCE:
        raise TerrainError(
            f"{name}: radius {radius:.0f} m; must be the Moon's {MOON_RADIUS_M:.0f} m "
            f"within {100 * RADIUS_TOLERANCE} %"
        )
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


def _pixels(data: Any, window: Bounds | None, name: str) -> tuple[int, int, int, int]:
    """First column, first row from the north, columns, rows."""
    t = data.transform
    col0, row0, col1, row1 = 0, 0, data.width - 1, data.height - 1
    if window is not None:
        if not (
            all(map(math.isfinite, window)) and window[0] < window[2] and window[1] < window[3]
        ):
            raise TerrainError(f"{name}: window {window}: must be x_min, y_min, x_max, y_max in m")
        col0 = max(col0, math.ceil((window[0] - t.c) / t.a - 0.5 - 1e-9))
        col1 = min(col1, math.floor((window[2] - t.c) / t.a - 0.5 + 1e-9))
        row0 = max(row0, math.ceil((t.f - window[3]) / t.a - 0.5 - 1e-9))
        row1 = min(row1, math.floor((t.f - window[1]) / t.a - 0.5 + 1e-9))
    cols, rows = col1 - col0 + 1, row1 - row0 + 1
    if cols < 2 or rows < 2:
        raise TerrainError(
            f"{name}: window {window} m holds {max(rows, 0)} x {max(cols, 0)} samples of the "
            f"file's {tuple(data.bounds)} m; needs at least 2 x 2"
        )
    if rows * cols > MAX_SAMPLES:
        raise TerrainError(
            f"{name}: {rows} x {cols} samples; above the limit of {MAX_SAMPLES}: give a window"
        )
    return col0, row0, cols, rows


def _heights(data: Any, band: int, pixels: tuple[int, int, int, int], name: str) -> FloatArray:
    from rasterio.windows import Window

    raw = data.read(band, window=Window(*pixels), masked=True)
    heights = np.ma.filled(raw.astype(np.float64), np.nan)[::-1]
    heights = heights * data.scales[band - 1] + data.offsets[band - 1]
    heights[~np.isfinite(heights)] = np.nan
    if np.isnan(heights).all():
        raise TerrainError(f"{name}: all {heights.size} samples of the window are no-data")
    extreme = float(heights.flat[np.nanargmax(np.abs(heights))])
    if abs(extreme) > MAX_HEIGHT_M:
        raise TerrainError(
            f"{name}: height {extreme} m; must be within {MAX_HEIGHT_M} m of the reference "
            "sphere (a radius, another unit, or no-data that is not declared)"
        )
    return np.asarray(heights, dtype=np.float64)


def _provenance(
    path: Path, tags: dict[str, str], band: int, bounds: Bounds, origin: tuple[float, float]
) -> dict[str, Any]:
    size = path.stat().st_size
    found: dict[str, Any] = {
        "source": path.name,
        "size_bytes": size,
        "band": band,
        "window_m": list(bounds),
        "origin_xy_m": list(origin),
    }
    if size <= _HASHED_BYTES:
        with path.open("rb") as file:
            found["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    product = tags.get("PRODUCT_ID") or tags.get("TIFFTAG_IMAGEDESCRIPTION")
    if product:
        found["product"] = product
    if _PROVENANCE_TAG in tags:
        try:
            found["derived_from"] = json.loads(tags[_PROVENANCE_TAG])
        except ValueError:
            found["derived_from"] = tags[_PROVENANCE_TAG]
    return found
