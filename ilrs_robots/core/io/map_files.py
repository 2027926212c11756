"""Terrain maps as files: npz, which restores a map, and GeoTIFF, which others read.

An npz file holds every array of the map as it is, and its anchor: the pose of the map's frame
(odom) in ``map`` when it was saved, so that a map that is loaded after odom began elsewhere can
be moved. Nothing in it is executed when it is read. Both kinds appear whole or not at all.

GeoTIFF rows run from north to south and coordinates refer to pixel corners; here row 0 has the
lowest y and positions are cell centres.
"""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import TerrainError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.whole_files import put, write_whole
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

KINDS: Final = (".npz", ".tif")
"""Suffixes of the files that maps are written to; the first can be read back."""
MAX_BYTES: Final = 1 << 30
"""Of a file's arrays once unpacked: a file cannot make a vehicle run out of memory."""
_VERSION: Final = 1
_META: Final = "saved_map_json"
_ARRAY: Final = "map/"
_LAYER: Final = "layer/"
_UNREADABLE: Final = (
    OSError, ValueError, KeyError, IndexError, TypeError, EOFError, MemoryError,
    NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_LOCAL_TAG: Final = "ILRS_LOCAL_PLANE"


@dataclass(frozen=True)
class Place:
    """Where ``map`` lies on the Moon.

    Attributes:
        projection: WKT of the site's projection, None for a local plane.
        origin_xy_m: point of the projection that is (0, 0) in ``map``.
        site: name of the site.
    """

    projection: str | None = None
    origin_xy_m: tuple[float, float] = (0.0, 0.0)
    site: str = ""


@dataclass(frozen=True)
class SavedMap:
    """A map as it is kept.

    Attributes:
        arrays: the map's whole state, as the map itself gives and takes it.
        spec: its window, odom frame.
        layers: (rows, cols) float32 by name, for whoever reads the file without this package.
        T_map_odom: (4, 4) anchor, or None where nobody knew it.
        stamp_ns: newest point in the map, None for an empty one.
        place: where ``map`` lies.
        units: unit of each layer.
    """

    arrays: Mapping[str, NDArray[Any]]
    spec: GridSpec
    layers: Mapping[str, Float32Array]
    T_map_odom: FloatArray | None
    stamp_ns: int | None
    place: Place = field(default_factory=Place)
    units: Mapping[str, str] = field(default_factory=dict)


def save_map(path: Path, saved: SavedMap) -> None:
    """Write a map as npz.

    Raises:
        StorageError: the file cannot be written.
    """
    spec = saved.spec
    meta = {
        "version": _VERSION,
        "grid": [
            spec.origin_x_m, spec.origin_y_m, spec.resolution_m, spec.rows, spec.cols
        ],
        "T_map_odom": None if saved.T_map_odom is None else saved.T_map_odom.tolist(),
        "stamp_ns": saved.stamp_ns,
        "projection": saved.place.projection,
        "origin_xy_m": list(saved.place.origin_xy_m),
        "site": saved.place.site,
        "units": dict(saved.units),
    }  # fmt: skip
    content: dict[str, NDArray[Any]] = {_META: np.array(json.dumps(meta))}
    content |= {_ARRAY + name: array for name, array in saved.arrays.items()}
    content |= {
        _LAYER + name: array for name, array in saved.layers.items() if name not in saved.arrays
    }
    if any(array.dtype.hasobject for array in content.values()):
        raise TerrainError(f"{path.name}: a map's arrays are plain numbers")

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez(file, **content)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())

    write_whole(path, write, sum(array.nbytes for array in content.values()))


def load_map(path: Path) -> SavedMap:
    """Read what ``save_map`` wrote.

    Raises:
        TerrainError: there is no such file, or it is not such a map; the message says why.
    """
    if not path.is_file():
        raise TerrainError(f"{path.name}: no such file")
    try:
        _refuse_large(path)
        with np.load(path, allow_pickle=False) as file:
            if _META not in file.files:
                raise TerrainError(f"{path.name}: not a terrain map: {_META!r} is missing")
            meta = json.loads(str(file[_META]))
            arrays = {
                name.removeprefix(_ARRAY): file[name]
                for name in file.files
                if name.startswith(_ARRAY)
            }
            layers = {
                name.removeprefix(_LAYER): file[name]
                for name in file.files
                if name.startswith(_LAYER)
            }
        return _saved(path.name, meta, arrays, layers)
    except _UNREADABLE as error:
        raise TerrainError(f"{path.name}: not a terrain map ({error})") from error


def _refuse_large(path: Path) -> None:
    with zipfile.ZipFile(path) as packed:
        total = sum(item.file_size for item in packed.infolist())
    if total > MAX_BYTES:
        raise TerrainError(f"{path.name}: {total} bytes once unpacked, limit {MAX_BYTES} bytes")


def _saved(
    name: str,
    meta: Mapping[str, Any],
    arrays: dict[str, NDArray[Any]],
    layers: dict[str, NDArray[Any]],
) -> SavedMap:
    if meta["version"] != _VERSION:
        raise TerrainError(f"{name}: version {meta['version']}, this program reads {_VERSION}")
    x, y, step, rows, cols = meta["grid"]
    spec = GridSpec(float(x), float(y), float(step), int(rows), int(cols))
    if not np.isfinite((spec.origin_x_m, spec.origin_y_m, step)).all() or step <= 0.0:
        raise TerrainError(f"{name}: grid {meta['grid']}")
    anchor = None if meta["T_map_odom"] is None else np.array(meta["T_map_odom"], np.float64)
    if anchor is not None:
        try:
            anchor = se3.require_rigid(anchor)
        except TransformError as error:
            raise TerrainError(f"{name}: anchor: {error}") from error
    shown = {k: v for k, v in arrays.items() if v.shape == spec.shape and v.dtype == np.float32}
    for key, layer in layers.items():
        if layer.shape != spec.shape or layer.dtype != np.float32:
            raise TerrainError(
                f"{name}: layer {key} is {layer.dtype} {layer.shape}, the grid has {spec.shape}"
            )
    stamp = meta["stamp_ns"]
    origin = (float(meta["origin_xy_m"][0]), float(meta["origin_xy_m"][1]))
    place = Place(meta["projection"], origin, str(meta["site"]))
    units = {str(k): str(v) for k, v in meta["units"].items()}
    return SavedMap(
        arrays, spec, shown | layers, anchor, None if stamp is None else int(stamp), place, units
    )


HEIGHT_UNIT: Final = "m"
HEIGHTS: Final = (
    "elevation",
    "upper_bound",
    "lower_bound",
    "pass_height",
    "elevation_filled",
    "prior",
)
"""Layers that hold heights in the frame of the map: they rise with it."""


def export_geotiff(path: Path, saved: SavedMap, names: tuple[str, ...] = ()) -> None:
    """Write layers as bands of a GeoTIFF in the site's projection, NaN where unknown.

    The cells are not resampled: where odom is turned against ``map`` the file's grid is turned.
    Heights become heights in ``map``; without an anchor everything stays in odom.

    Args:
        path: ends in ``.tif``.
        saved: the map.
        names: layers in the order of the bands; empty for all.

    Raises:
        TerrainError: an unknown layer, a map that is tilted, or the file cannot be written.
    """
    import rasterio

    chosen = names or tuple(saved.layers)
    unknown = [name for name in chosen if name not in saved.layers]
    if unknown or not chosen:
        raise TerrainError(
            f"no layer {unknown[0] if unknown else ''!r}; the map has {', '.join(saved.layers)}"
        )
    anchor = np.eye(4) if saved.T_map_odom is None else saved.T_map_odom
    rise_m = _tilt_m(anchor, saved.spec)
    if rise_m > 0.5 * saved.spec.resolution_m:
        raise TerrainError(
            f"odom is tilted against map: {rise_m:.3f} m across the window, limit half a cell"
        )
    spec, place = saved.spec, saved.place
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": len(chosen), "width": spec.cols,
        "height": spec.rows, "nodata": math.nan, "compress": "deflate", "predictor": 3,
        "crs": place.projection, "transform": rasterio.Affine(*_affine(anchor, spec, place)),
    }  # fmt: skip

    try:
        # GDAL tells nobody of a full disk when it closes a file: it writes into memory
        with rasterio.MemoryFile() as memory:
            with memory.open(**profile) as data:
                for band, name in enumerate(chosen, start=1):
                    lift = float(anchor[2, 3]) if name in HEIGHTS else 0.0
                    data.write((saved.layers[name][::-1] + np.float32(lift)), band)
                    data.set_band_description(band, name)
                    data.set_band_unit(band, saved.units.get(name, ""))
                if place.projection is None:
                    data.update_tags(**{_LOCAL_TAG: "yes"})
                data.update_tags(ILRS_FRAME="odom" if saved.T_map_odom is None else "map")
            content = memory.getbuffer()
            write_whole(path, lambda part: put(part, content), len(content))
    except (rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
        raise TerrainError(f"{path.name}: cannot be written ({error})") from error


def _tilt_m(anchor: FloatArray, spec: GridSpec) -> float:
    """How much the tilt of a frame changes heights across the window."""
    size = max(spec.shape) * spec.resolution_m
    return float(np.hypot(anchor[2, 0], anchor[2, 1])) * size


def _affine(anchor: FloatArray, spec: GridSpec, place: Place) -> tuple[float, ...]:
    """Coefficients from pixel (column, row from the north) to the projection."""
    step = spec.resolution_m
    along, up = anchor[:2, 0] * step, anchor[:2, 1] * step
    corner = np.array(
        [spec.origin_x_m - 0.5 * step, spec.origin_y_m + (spec.rows - 0.5) * step, 0.0, 1.0]
    )
    left, top = (anchor @ corner)[:2] + np.array(place.origin_xy_m)
    a, d = along.tolist()
    b, e = (-up).tolist()
    return a, b, float(left), d, e, float(top)


def inside(folder: Path, named: str, kinds: tuple[str, ...] = KINDS) -> Path:
    """The file of a request, which must lie in the folder that maps are kept in.

    Args:
        folder: that folder.
        named: relative to it, or absolute within it.
        kinds: suffixes that are allowed.

    Raises:
        TerrainError: the file lies elsewhere, has another suffix or no name.
    """
    root = folder.resolve()
    if not named or "\0" in named:
        raise TerrainError("file_path is empty: a name such as 'site.npz' is needed")
    path = (root / named).resolve()
    if not path.is_relative_to(root) or path == root:
        raise TerrainError(f"{named!r} is not in the folder of maps {str(folder)!r}")
    if path.suffix not in kinds:
        raise TerrainError(f"{named!r} ends in {path.suffix!r}: must be {' or '.join(kinds)}")
    if not re.fullmatch(r"[^\s/][^/]*", path.name):
        raise TerrainError(f"{named!r} is no name for a file")
    return path
