"""GeoTIFF files written a strip at a time; a file appears whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import BoolArray, Float32Array, GridSpec

PROVENANCE_TAG: Final = "ILRS_PROVENANCE"
LOCAL_TAG: Final = "ILRS_LOCAL_PLANE"
_TILE: Final = 256
_LARGE: Final = 4_000_000
"""Samples from which a file is tiled and compressed quickly rather than tightly."""


class DemWriter:
    """An open file; rows come from the north, each once."""

    def __init__(self, data: Any, spec: GridSpec, marks: int) -> None:
        self._data = data
        self._spec = spec
        self._marks = marks
        self._done = 0

    def write(self, heights_m: Float32Array, marks: Sequence[BoolArray] = ()) -> None:
        """Add the next rows.

        Args:
            heights_m: (rows, cols) metres, row 0 southernmost.
            marks: (rows, cols) bool for every mark that was announced.

        Raises:
            TerrainError: more rows or other columns than the file has.
        """
        from rasterio.windows import Window

        rows, cols = heights_m.shape
        if cols != self._spec.cols or self._done + rows > self._spec.rows:
            raise TerrainError(
                f"{rows} x {cols} samples after row {self._done}: the file has {self._spec.shape}"
            )
        window = Window(0, self._done, cols, rows)
        self._data.write(np.ascontiguousarray(heights_m[::-1], dtype=np.float32), 1, window=window)
        for band, mark in enumerate(marks, start=2):
            self._data.write(mark[::-1].astype(np.float32), band, window=window)
        self._done += rows

    @property
    def complete(self) -> bool:
        """Whether every row was written."""
        return self._done == self._spec.rows

    def tag(self, provenance: Mapping[str, Any]) -> None:
        """Say where the heights come from, replacing what was said before."""
        self._data.update_tags(**{PROVENANCE_TAG: json.dumps(dict(provenance), sort_keys=True)})


@contextmanager
def dem_writer(
    path: str | Path,
    spec: GridSpec,
    projection: str | None,
    provenance: Mapping[str, Any],
    marks: Sequence[str] = (),
) -> Iterator[DemWriter]:
    """Write a GeoTIFF beside its name and put it in place when the block ends in order.

    An origin that the reader has subtracted (``provenance["origin_xy_m"]``) is added again, so
    the file lies where its projection says.

    Args:
        path: of the file.
        spec: where the samples are.
        projection: WKT, or None for a local plane.
        provenance: where the heights come from.
        marks: names of further bands, 1 where a sample is marked and 0 elsewhere.

    Raises:
        TerrainError: the file cannot be written, or the block left rows out.
    """
    import rasterio

    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with rasterio.open(part, "w", **_profile(spec, projection, provenance, marks)) as data:
            for band, name in enumerate(("height", *marks), start=1):
                data.set_band_description(band, name)
            if projection is None:
                data.update_tags(**{LOCAL_TAG: "yes"})
            writer = DemWriter(data, spec, len(marks))
            writer.tag(provenance)
            yield writer
        if not writer.complete:
            raise TerrainError(f"{path}: rows were left out; nothing is written")
        os.replace(part, path)
    except (OSError, rasterio.errors.RasterioError, rasterio.errors.CRSError) as error:
        raise TerrainError(f"{path}: cannot be written ({error})") from error
    finally:
        for left in (part, part.with_name(part.name + ".aux.xml")):
            left.unlink(missing_ok=True)


def _profile(
    spec: GridSpec, projection: str | None, provenance: Mapping[str, Any], marks: Sequence[str]
) -> dict[str, Any]:
    from rasterio.transform import Affine

    shift = provenance.get("origin_xy_m", (0.0, 0.0))
    left = spec.origin_x_m + shift[0] - 0.5 * spec.resolution_m
    top = spec.origin_y_m + shift[1] + spec.resolution_m * (spec.rows - 0.5)
    profile: dict[str, Any] = {
        "driver": "GTiff", "dtype": "float32", "count": 1 + len(marks), "width": spec.cols,
        "height": spec.rows, "nodata": math.nan, "compress": "deflate", "predictor": 3,
        "interleave": "band", "crs": projection,
        "transform": Affine(spec.resolution_m, 0.0, left, 0.0, -spec.resolution_m, top),
    }  # fmt: skip
    if spec.rows * spec.cols >= _LARGE:
        profile |= {"tiled": True, "blockxsize": _TILE, "blockysize": _TILE, "zlevel": 1,
                    "num_threads": "all_cpus", "bigtiff": "if_safer"}  # fmt: skip
    return profile
