"""Elevation models in files, read in windows, refused where they cannot be the Moon.

GeoTIFF rows run from north to south and coordinates refer to pixel corners; a ``Dem`` has row 0
at the lowest y and samples at pixel centres. Both conversions stand here and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_window import Bounds, Pixels, Progress, pixels_of, read_pixels
from ilrs_robots.core.io.dem_writer import PROVENANCE_TAG, dem_writer
from ilrs_robots.core.io.raster import Raster
from ilrs_robots.core.io.raster_files import open_raster
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, GridSpec

_HASHED_BYTES = 256 * 1024 * 1024
_ROWS = 256


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
        path: a GeoTIFF, a PDS3 image or its label, or what else GDAL can read; only the window
            is read from it.
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
    if origin_xy_m is not None and centre_origin:
        raise TerrainError("origin_xy_m and centre_origin: give one of them")
    with open_raster(path, band) as raster:
        dem = read_window(raster, pixels_of(raster, window))
    if centre_origin:
        x_min, y_min, x_max, y_max = dem.bounds_m
        origin_xy_m = (0.5 * (x_min + x_max), 0.5 * (y_min + y_max))
    return dem if origin_xy_m is None else moved(dem, origin_xy_m)


def read_window(
    raster: Raster, pixels: Pixels, factor: int = 1, progress: Progress | None = None
) -> Dem:
    """Read a window of an open file, averaged over blocks of ``factor`` pixels along a side.

    Args:
        raster: the file.
        pixels: of ``dem_window.pixels_of``.
        factor: of ``dem_window.factor_of``.
        progress: is told the share that is done.

    Raises:
        TerrainError: too much, damaged, or no height in the window.
    """
    heights, spec = read_pixels(raster, pixels, factor, progress)
    return Dem(heights, spec, raster.projection, provenance_of(raster, spec, factor))


def moved(dem: Dem, origin_xy_m: tuple[float, float]) -> Dem:
    """The same DEM with a point of its projection as (0, 0), in metres."""
    x, y = (float(v) for v in origin_xy_m)
    spec = replace(
        dem.spec, origin_x_m=dem.spec.origin_x_m - x, origin_y_m=dem.spec.origin_y_m - y
    )
    return replace(dem, spec=spec, provenance={**dem.provenance, "origin_xy_m": [x, y]})


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


def write_geotiff(
    path: str | Path, dem: Dem, marks: Mapping[str, BoolArray] | None = None
) -> None:
    """Write a DEM as a GeoTIFF; the file appears whole or not at all.

    An origin that ``read_geotiff`` has subtracted (``provenance["origin_xy_m"]``) is added again,
    so the file lies where its projection says.

    Args:
        path: of the file.
        dem: what is written, band 1.
        marks: further bands by name, (rows, cols) bool each, 1 where a sample is marked.

    Raises:
        TerrainError: the file cannot be written.
    """
    marks = marks or {}
    with dem_writer(path, dem.spec, dem.projection, dem.provenance, tuple(marks)) as writer:
        for first in range(dem.spec.rows, 0, -_ROWS):
            rows = slice(max(first - _ROWS, 0), first)
            writer.write(dem.heights_m[rows], [mark[rows] for mark in marks.values()])


def read_marks(path: str | Path) -> dict[str, BoolArray]:
    """The marks that ``write_geotiff`` wrote, (rows, cols) bool by name, row 0 southernmost.

    Raises:
        TerrainError: the file cannot be read.
    """
    import rasterio

    try:
        with rasterio.open(path) as data:
            names = data.descriptions[1:]
            return {
                name: np.asarray(data.read(band)[::-1] > 0.5)
                for band, name in enumerate(names, start=2)
                if name
            }
    except rasterio.errors.RasterioError as error:
        raise TerrainError(f"{path}: cannot be read as elevation data ({error})") from error


def provenance_of(raster: Raster, spec: GridSpec, factor: int = 1) -> dict[str, Any]:
    """Where heights come from that were read from a file; ``spec`` in its projection."""
    path, tags = raster.path, raster.tags
    size = path.stat().st_size
    x1 = spec.origin_x_m + spec.resolution_m * (spec.cols - 1)
    y1 = spec.origin_y_m + spec.resolution_m * (spec.rows - 1)
    found: dict[str, Any] = {
        "source": path.name,
        "size_bytes": size,
        "band": raster.band,
        "window_m": [spec.origin_x_m, spec.origin_y_m, x1, y1],
        "origin_xy_m": [0.0, 0.0],
    }
    if factor > 1:
        found["averaged"] = factor
    if size <= _HASHED_BYTES:
        with path.open("rb") as file:
            found["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    product = tags.get("PRODUCT_ID") or tags.get("TIFFTAG_IMAGEDESCRIPTION")
    if product:
        found["product"] = product
    if PROVENANCE_TAG in tags:
        try:
            found["derived_from"] = json.loads(tags[PROVENANCE_TAG])
        except ValueError:
            found["derived_from"] = tags[PROVENANCE_TAG]
    return found
