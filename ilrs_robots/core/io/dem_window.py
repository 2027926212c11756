"""Windows of an elevation file: pixels inside bounds, around a place, averaged to a posting."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.raster import Raster
from ilrs_robots.core.terrain.slopes import block_mean
from ilrs_robots.core.types import Float32Array, GridSpec

MAX_SAMPLES: Final = 100_000_000
"""Of what is held in memory."""
MAX_STREAMED: Final = 2_000_000_000
"""Of what is run through in strips: a 3.5 GB LOLA product holds 1.6e9."""
_STRIP_SAMPLES: Final = 8_000_000

Bounds = tuple[float, float, float, float]
Pixels = tuple[int, int, int, int]
"""First column, first row from the north, columns, rows."""
Progress = Callable[[float], None]


def pixels_of(raster: Raster, window: Bounds | None) -> Pixels:
    """The pixels whose centres lie in a window of the projection, metres; None for all.

    Raises:
        TerrainError: the window is none, or holds fewer than 2 x 2 pixels.
    """
    res, name = raster.resolution_m, raster.name
    col0, row0, col1, row1 = 0, 0, raster.cols - 1, raster.rows - 1
    if window is not None:
        if not (
            all(map(math.isfinite, window)) and window[0] < window[2] and window[1] < window[3]
        ):
            raise TerrainError(f"{name}: window {window}: must be x_min, y_min, x_max, y_max in m")
        col0 = max(col0, math.ceil((window[0] - raster.left_m) / res - 0.5 - 1e-9))
        col1 = min(col1, math.floor((window[2] - raster.left_m) / res - 0.5 + 1e-9))
        row0 = max(row0, math.ceil((raster.top_m - window[3]) / res - 0.5 - 1e-9))
        row1 = min(row1, math.floor((raster.top_m - window[1]) / res - 0.5 + 1e-9))
    cols, rows = col1 - col0 + 1, row1 - row0 + 1
    if cols < 2 or rows < 2:
        raise TerrainError(
            f"{name}: window {window} m holds {max(rows, 0)} x {max(cols, 0)} samples of the "
            f"file's {bounds_of(raster)} m; needs at least 2 x 2"
        )
    return col0, row0, cols, rows


def bounds_of(raster: Raster) -> Bounds:
    """Outer edges of a file (x_min, y_min, x_max, y_max), metres."""
    res = raster.resolution_m
    bottom = raster.top_m - res * raster.rows
    return raster.left_m, bottom, raster.left_m + res * raster.cols, raster.top_m


def window_around(
    raster: Raster, latitude_deg: float, longitude_deg: float, size_m: float
) -> Bounds:
    """A square of the projection around a place.

    Args:
        raster: the file.
        latitude_deg: of the middle.
        longitude_deg: east, of the middle.
        size_m: edge in map metres.

    Raises:
        TerrainError: the place is none, the file has no projection, or does not reach the whole
            square.
    """
    if not abs(latitude_deg) <= 90.0 or not abs(longitude_deg) <= 360.0:
        raise TerrainError(
            f"latitude {latitude_deg:g} deg, longitude {longitude_deg:g} deg: must lie within "
            "-90 to 90 and -360 to 360 deg"
        )
    if not (math.isfinite(size_m) and size_m > 0.0):
        raise TerrainError(f"size {size_m:g} m: must be above 0 m")
    x, y = projected(raster, latitude_deg, longitude_deg)
    half = 0.5 * size_m
    wanted = (x - half, y - half, x + half, y + half)
    have, slack = bounds_of(raster), 1e-6 * raster.resolution_m
    if not (
        wanted[0] >= have[0] - slack
        and wanted[1] >= have[1] - slack
        and wanted[2] <= have[2] + slack
        and wanted[3] <= have[3] + slack
    ):
        raise TerrainError(
            f"{raster.name}: {size_m:g} m around latitude {latitude_deg:g} deg, longitude "
            f"{longitude_deg:g} deg are x {wanted[0]:.1f} to {wanted[2]:.1f} m and y "
            f"{wanted[1]:.1f} to {wanted[3]:.1f} m: the file spans x {have[0]:.1f} to "
            f"{have[2]:.1f} m and y {have[1]:.1f} to {have[3]:.1f} m"
        )
    return wanted


def projected(raster: Raster, latitude_deg: float, longitude_deg: float) -> tuple[float, float]:
    """X and y of a place in a file's projection, metres.

    Raises:
        TerrainError: the file is a local plane, or the place has no image in the projection.
    """
    from rasterio.crs import CRS
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    if raster.projection is None:
        raise TerrainError(f"{raster.name}: a local plane without a projection has no latitudes")
    crs = CRS.from_wkt(raster.projection)
    try:
        (x,), (y,) = transform(_moon(crs), crs, [longitude_deg], [latitude_deg])
    except RasterioError as error:
        raise TerrainError(f"{raster.name}: the place is not on this map ({error})") from error
    if not (math.isfinite(x) and math.isfinite(y)):
        raise TerrainError(
            f"{raster.name}: latitude {latitude_deg:g} deg, longitude {longitude_deg:g} deg is "
            "not on this map"
        )
    return float(x), float(y)


def place_of(projection: str, x_m: float, y_m: float) -> tuple[float, float]:
    """Latitude and longitude in degrees of a point of a projection given as WKT, metres."""
    from rasterio.crs import CRS
    from rasterio.warp import transform

    crs = CRS.from_wkt(projection)
    (lon,), (lat,) = transform(crs, _moon(crs), [x_m], [y_m])
    return float(lat), float(lon)


def _moon(crs: object) -> object:
    """Latitudes and longitudes on the same sphere as a projection's."""
    from rasterio.crs import CRS

    told = crs.to_dict()  # type: ignore[attr-defined]
    radius = told.get("R", told.get("a", 1_737_400.0))
    return CRS.from_proj4(f"+proj=longlat +R={radius} +no_defs")


def factor_of(raster: Raster, posting_m: float | None) -> int:
    """How many pixels are averaged along a side for a posting; None for the file's own.

    Raises:
        TerrainError: the posting is no multiple of the file's.
    """
    if posting_m is None:
        return 1
    factor = round(posting_m / raster.resolution_m) if math.isfinite(posting_m) else 0
    if factor < 1 or abs(factor * raster.resolution_m / posting_m - 1.0) > 1e-6:
        raise TerrainError(
            f"{raster.name}: posting {posting_m:g} m: must be a multiple of the file's "
            f"{raster.resolution_m:g} m; finer ground comes from `ilrs terrain refine`"
        )
    return factor


def read_pixels(
    raster: Raster, pixels: Pixels, factor: int = 1, progress: Progress | None = None
) -> tuple[Float32Array, GridSpec]:
    """Heights of a window, averaged over blocks, a strip at a time.

    Args:
        raster: the file.
        pixels: window of it.
        factor: edge of the blocks; rows and columns that fill no block are left out.
        progress: is told the share that is done.

    Returns:
        (rows, cols) float32 metres, row 0 southernmost, NaN no-data; and where the samples are
        in the projection.

    Raises:
        TerrainError: too much, too little, damaged or no height at all.
    """
    col0, row0, cols, rows = pixels
    out_rows, out_cols = rows // factor, cols // factor
    _require_size(raster, rows, cols, out_rows, out_cols)
    heights = np.empty((out_rows, out_cols), dtype=np.float32)
    step = max(_STRIP_SAMPLES // (cols * factor), 1)
    for first in range(0, out_rows, step):
        count = min(step, out_rows - first)
        part = raster.read(col0, row0 + first * factor, out_cols * factor, count * factor)
        heights[first : first + count] = part if factor == 1 else block_mean(part, factor)
        if progress is not None:
            progress((first + count) / out_rows)
    if np.isnan(heights).all():
        raise TerrainError(f"{raster.name}: all {heights.size} samples of the window are no-data")
    res = raster.resolution_m
    x0 = raster.left_m + res * (col0 + 0.5 * factor)
    y0 = raster.top_m - res * (row0 + factor * (out_rows - 0.5))
    return heights[::-1], GridSpec(x0, y0, res * factor, out_rows, out_cols)


def _require_size(raster: Raster, rows: int, cols: int, out_rows: int, out_cols: int) -> None:
    if out_rows * out_cols > MAX_SAMPLES:
        raise TerrainError(
            f"{raster.name}: {out_rows} x {out_cols} samples; above the limit of {MAX_SAMPLES}: "
            "give a window or a coarser posting"
        )
    if rows * cols > MAX_STREAMED:
        raise TerrainError(
            f"{raster.name}: {rows} x {cols} samples to average; above the limit of "
            f"{MAX_STREAMED}: give a window"
        )
    if out_rows < 2 or out_cols < 2:
        raise TerrainError(
            f"{raster.name}: {out_rows} x {out_cols} samples of that posting in the window; "
            "needs at least 2 x 2"
        )
