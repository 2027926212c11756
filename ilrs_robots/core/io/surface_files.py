"""Terrain of any size written as a GeoTIFF, strip by strip, with its rocks and its statistics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_writer import dem_writer
from ilrs_robots.core.terrain.generate import BASELINE_M
from ilrs_robots.core.terrain.slopes import SlopeStatistics
from ilrs_robots.core.terrain.strips import surface_strips
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import GridSpec

RockUse = Literal["raised", "beside", "none"]
_COLUMNS = "x_m,y_m,z_m,semi_a_m,semi_b_m,semi_c_m,yaw_rad,height_above_ground_m"


def rocks_path(path: Path) -> Path:
    """Where the table of rocks lies that belongs to a file of heights."""
    return path.with_name(f"{path.stem}_rocks.csv")


def write_surface(
    path: Path,
    surface: Surface,
    spec: GridSpec,
    *,
    rocks: RockUse = "raised",
    progress: Callable[[float], None] | None = None,
    workers: int = 0,
) -> SlopeStatistics:
    """Write heights of a terrain on a grid; each file appears whole or not at all.

    Args:
        path: of the GeoTIFF.
        surface: the terrain; its DEM's provenance goes into the file.
        spec: the grid; at 5 m and coarser the DEM itself is written, without detail.
        rocks: in the heights, in a table beside the file, or left out.
        progress: is told the share that is done.
        workers: threads; 0 takes one per core.

    Returns:
        Statistics at a baseline of 5 m, or at the posting where that is longer.

    Raises:
        TerrainError: a file cannot be written.
    """
    fine = spec.resolution_m < BASELINE_M
    block = max(round(BASELINE_M / spec.resolution_m), 1)
    slopes = SlopeStatistics(spec.resolution_m, block if block <= min(spec.shape) // 2 else 1)
    provenance: dict[str, Any] = dict(surface.dem.provenance)
    if fine:
        provenance["rocks"] = rocks
        provenance["added_detail"] = {"seed": surface.seed, **asdict(surface.config)}
    table = _rock_table(surface, spec) if fine and rocks == "beside" else None
    source = (
        surface_strips(surface, spec, rocks=rocks == "raised", workers=workers)
        if fine
        else iter(((spec, surface.dem.heights_m),))
    )
    done = 0
    with _beside(rocks_path(path), table), dem_writer(
        path, spec, surface.dem.projection, provenance
    ) as writer:  # fmt: skip
        for strip, heights in source:
            writer.write(heights)
            slopes.add(heights[::-1])
            done += strip.rows
            if progress is not None:
                progress(done / spec.rows)
        slopes.close()
        writer.tag({**provenance, "slopes": slopes.table()})
    return slopes


def _rock_table(surface: Surface, spec: GridSpec) -> str:
    found = surface.rocks(*spec.bounds_m)
    rows = np.column_stack((
        found.centre_m, found.semi_axes_m, found.yaw_rad, found.height_above_ground_m
    ))  # fmt: skip
    lines = [",".join(f"{v:.4f}" for v in row) for row in rows]
    return "\n".join((_COLUMNS, *lines)) + "\n"


@contextmanager
def _beside(path: Path, text: str | None) -> Iterator[None]:
    """Put a text file in place when the block ends in order; None for no file."""
    if text is None:
        yield
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        yield
        os.replace(part, path)
    except OSError as error:
        raise TerrainError(f"{path}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)
