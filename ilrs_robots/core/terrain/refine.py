"""A DEM of some metres made fine: the same ground, with detail that continues its statistics."""

from __future__ import annotations

import math
from dataclasses import replace

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.detail import detail_config
from ilrs_robots.core.terrain.features import SurfaceConfig
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import GridSpec

MAX_SAMPLES = 2_000_000_000


def refined(
    dem: Dem,
    posting_m: float,
    seed: int,
    *,
    settings: SurfaceConfig | None = None,
    rocks: bool = True,
) -> tuple[Surface, GridSpec]:
    """A terrain through the samples of a DEM, and the fine grid that fills the DEM's hull.

    Args:
        dem: without holes; 2 to 10 m.
        posting_m: of the grid, finer than the DEM's.
        seed: of the detail.
        settings: of the detail; roughness and largest crater follow from the DEM.
        rocks: whether there are any.

    Raises:
        TerrainError: the postings do not fit, or the grid would be too large.
    """
    if not 0.02 <= posting_m < dem.spec.resolution_m:
        raise TerrainError(
            f"posting {posting_m:g} m: must be at least 0.02 m and below the DEM's "
            f"{dem.spec.resolution_m:g} m"
        )
    detail = detail_config(dem, settings)
    if not rocks:
        detail = replace(detail, rock_k=0.0, ejecta_k=0.0)
    x_min, y_min, x_max, y_max = dem.bounds_m
    cols, rows = (math.floor(v / posting_m + 1e-6) for v in (x_max - x_min, y_max - y_min))
    if rows * cols > MAX_SAMPLES:
        raise TerrainError(
            f"{rows} x {cols} samples: limit {MAX_SAMPLES:.0e} samples; give a window"
        )
    half = 0.5 * posting_m
    spec = GridSpec(x_min + half, y_min + half, posting_m, rows, cols)
    provenance = {
        "source": "refined",
        "seed": int(seed),
        "posting_m": posting_m,
        "derived_from": dict(dem.provenance),
    }
    if "origin_xy_m" in dem.provenance:
        provenance["origin_xy_m"] = list(dem.provenance["origin_xy_m"])
    return Surface(replace(dem, provenance=provenance), seed, detail), spec
