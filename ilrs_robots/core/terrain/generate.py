"""Procedural terrain down to centimetres whose slopes at 5 m are those that LOLA saw.

``procedural_terrain`` gives fractal ground with craters of 20 m and more, ``Surface`` the smaller
craters, roughness and rocks. The detail steepens the ground a little, so the DEM's own slopes are
adjusted until the sum, averaged over footprints of 5 m, has the percentiles that are wanted.

Crater law: N(> D) = 0.02 D^-2 per square metre throughout, 1.3 % of geometric saturation
(1.54 D^-2), as in the steady state of small craters, 1 to 10 %; above the equilibrium diameter, if
one is given, N falls as D^-2.8. Rims, depths and ages: ``craters``. Rocks: ``rock_sources``,
clustered on the ejecta of fresh craters of any size.

Reference: Gault 1970, Radio Sci. 5, 273 (geometric saturation); Xiao and Werner 2015, J. Geophys.
Res. Planets 120, 2277 (equilibrium at 1 to 10 % of it); Moore et al. 1980 (production D^-2.8).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.craters import DEPTH
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.detail import detail_config
from ilrs_robots.core.terrain.features import BlockField, Features, SurfaceConfig
from ilrs_robots.core.terrain.hashing import stream
from ilrs_robots.core.terrain.procedural import (
    CRATER_DENSITY_M2,
    DEPTH_RATIOS,
    SMALLEST_CRATER_M,
    procedural_terrain,
)
from ilrs_robots.core.terrain.rock_sources import EJECTA_REACH
from ilrs_robots.core.terrain.slopes import SlopeStatistics, slope_statistics
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import FloatArray, GridSpec

BASELINE_M: Final = 5.0
REFERENCE_P95_RATIO: Final = 1.34
"""95th over 90th percentile of the slope at 5 m, 13.4 over 10.0 deg, LOLA at 87.18 S, 62.84 E."""
_TOLERANCE: Final = 0.03
_P95_TOLERANCE: Final = 0.07
_ROUNDS: Final = 5
_DRAWS: Final = 8
_SMALLEST_M: Final = 640.0
"""Over less ground percentiles mean little: a smaller window is the middle of so much."""
_LEAST_COVER: Final = 0.002  # fewer rocks than this are lost among those of the background
_LARGEST_SAMPLES: Final = 2_000_000_000


@dataclass(frozen=True)
class GenerateConfig:
    """What is made."""

    seed: int = param(1, doc="seed of everything", low=0)
    size_m: float = param(1000.0, doc="edge", unit="m", low=10.0, high=40_000.0)
    posting_m: float = param(5.0, doc="distance between samples", unit="m", low=0.02, high=100.0)
    median_slope_deg: float = param(
        4.3, doc="median slope at 5 m (at the posting, if that is coarser)", unit="deg",
        low=0.5, high=15.0,
    )  # fmt: skip
    p90_slope_deg: float = param(10.0, doc="its 90th percentile", unit="deg", low=1.0, high=29.0)
    equilibrium_m: float = param(
        0.0, doc="diameter above which craters are fewer than in the steady state; 0: none",
        unit="m", low=0.0, high=1e5,
    )  # fmt: skip
    detail: SurfaceConfig = param(
        SurfaceConfig(crater_density_m2=CRATER_DENSITY_M2), doc="rocks, craters below 20 m"
    )

    def __post_init__(self) -> None:
        """Check ranges, and that the file stays of a size that can be written and read."""
        config.check(self)
        side = self.size_m / self.posting_m
        if side * side > _LARGEST_SAMPLES:
            raise TerrainError(
                f"{self.size_m:g} m at {self.posting_m:g} m is {side:.0f} x {side:.0f} samples: "
                f"limit {_LARGEST_SAMPLES:.0e} samples"
            )

    @property
    def grid(self) -> GridSpec:
        """The samples: cell centres of a square around the origin."""
        n = max(round(self.size_m / self.posting_m), 1)
        first = -0.5 * self.posting_m * (n - 1)
        return GridSpec(first, first, self.posting_m, n, n)


def generate(settings: GenerateConfig) -> Surface:
    """Make terrain that covers ``settings.grid``.

    Raises:
        TerrainError: slopes, size or posting cannot be used, or no draw has the slopes.
    """
    spec = settings.grid
    base_m = max(settings.posting_m, BASELINE_M)
    fine = settings.posting_m < BASELINE_M
    n = math.ceil(max(spec.rows * spec.resolution_m, _SMALLEST_M) / base_m - 1e-9) + 2 * fine
    n += 0 if fine else (n - spec.rows) % 2
    for draw in range(_DRAWS):
        seed = settings.seed if draw == 0 else int(stream(settings.seed, f"draw {draw}") >> 1)
        surface = _adjusted(settings, seed, n * base_m, base_m, fine)
        if surface is not None:
            return surface if fine else _cropped(surface, spec)
    raise TerrainError(
        f"seed {settings.seed}: none of {_DRAWS} draws has slopes of "
        f"{settings.median_slope_deg:g} and {settings.p90_slope_deg:g} deg (median, p90) within "
        f"{100 * _TOLERANCE:g} % and a 95th percentile near {REFERENCE_P95_RATIO:g} times the 90th"
    )


def _cropped(surface: Surface, spec: GridSpec) -> Surface:
    """The middle of a DEM that is larger than the grid by the same number of cells all around."""
    dem = surface.dem
    cut = (dem.spec.rows - spec.rows) // 2
    heights = dem.heights_m[cut : cut + spec.rows, cut : cut + spec.cols]
    return Surface(Dem(heights, spec, None, dem.provenance), surface.seed, surface.config)


def _adjusted(
    settings: GenerateConfig, seed: int, size_m: float, posting_m: float, fine: bool
) -> Surface | None:
    """Terrain of one draw with the slopes that are wanted; None where it does not get them."""
    wanted = np.array([settings.median_slope_deg, settings.p90_slope_deg])
    asked = wanted.copy()
    for _ in range(_ROUNDS):
        dem, records = procedural_terrain(
            seed, size_m, posting_m, float(asked[0]), float(asked[1]),
            equilibrium_m=settings.equilibrium_m,
        )  # fmt: skip
        surface = _with_detail(dem, records, settings, fine)
        seen = slopes_at_baseline(surface, posting_m) if fine else _own(dem)
        p50, p90, p95 = (seen.percentile_deg(p) for p in (50.0, 90.0, 95.0))
        ratio = wanted / (p50, p90)
        if np.all(np.abs(ratio - 1.0) < _TOLERANCE):
            tail = p95 / (REFERENCE_P95_RATIO * settings.p90_slope_deg)
            return surface if abs(tail - 1.0) < _P95_TOLERANCE else None
        asked = asked * ratio
        asked[1] = max(asked[1], 1.91 * asked[0])
    return None


def _own(dem: Dem) -> SlopeStatistics:
    return slope_statistics(dem.heights_m, dem.spec.resolution_m)


def _with_detail(dem: Dem, records: FloatArray, settings: GenerateConfig, fine: bool) -> Surface:
    provenance = _provenance(settings)
    dem = Dem(dem.heights_m, dem.spec, None, provenance)
    if not fine:
        return Surface(dem, settings.seed, settings.detail)
    detail = replace(detail_config(dem, settings.detail), crater_max_m=SMALLEST_CRATER_M)
    return Surface(dem, settings.seed, detail, Features((), _ejecta(records, detail)))


def _ejecta(records: FloatArray, detail: SurfaceConfig) -> tuple[BlockField, ...]:
    """Rocks around the DEM's own craters, denser the fresher; none around the older half."""
    fresh, old = DEPTH_RATIOS
    found = []
    for x, y, radius, depth in records[:, : DEPTH + 1].tolist():
        strength = 2.0 * (depth / (2.0 * radius) - old) / (fresh - old) - 1.0
        cover = strength * detail.ejecta_k
        if cover > _LEAST_COVER:
            reach = min(2.0 * radius * EJECTA_REACH, 500.0)
            hole = min(0.8 * radius, 0.5 * reach)
            found.append(BlockField(x, y, reach, cover, hole, detail.rock_min_m))
    return tuple(found)


def _provenance(settings: GenerateConfig) -> dict[str, Any]:
    return {"source": "procedural", **asdict(settings)}


def slopes_at_baseline(surface: Surface, baseline_m: float = BASELINE_M) -> SlopeStatistics:
    """Slopes of a terrain's ground averaged over squares of a baseline, over its whole hull."""
    x_min, y_min, x_max, y_max = surface.bounds_m
    cols, rows = (int((v + 1e-6) // baseline_m) for v in (x_max - x_min, y_max - y_min))
    block = 4 if rows * cols <= 250_000 else 2
    step = baseline_m / block
    spec = GridSpec(x_min + 0.5 * step, y_min + 0.5 * step, step, rows * block, cols * block)
    return slope_statistics(surface.grid(spec), step, block)
