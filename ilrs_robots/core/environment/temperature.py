"""Maps of the regolith's surface temperature from a site's light over the last weeks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.environment.ephemeris import FIRST_UTC, EphemerisError
from ilrs_robots.core.environment.horizon import HorizonMap
from ilrs_robots.core.environment.light_kernels import share_map
from ilrs_robots.core.environment.site_sky import SiteSky, SkyTrack
from ilrs_robots.core.environment.thermal import (
    RegolithColumns,
    RegolithConfig,
    equilibrium_k,
    from_terrain_wpm2,
    irradiance_wpm2,
)
from ilrs_robots.core.environment.thermal_kernels import absorbed_map
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

DAY_S: Final = 86_400.0
_YEAR_SAMPLES: Final = 24 * 13


@dataclass(frozen=True)
class TemperatureConfig:
    """How far back a temperature map looks, and how finely."""

    history_days: float = param(60.0, doc="simulated before the time asked for", unit="d", low=1.0,
                                high=4000.0)  # fmt: skip
    step_s: float = param(21_600.0, doc="implicit step", unit="s", low=60.0, high=172_800.0)
    reach_m: float = param(500.0, doc="side of the square around a cell whose light and heat it "
                           "may see", unit="m", low=1.0, high=1e5)  # fmt: skip
    columns: int = param(70_000, doc="most columns; larger maps take every n-th cell", low=100)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


def temperature_map(
    dem: Dem,
    horizon: HorizonMap,
    sky: SiteSky,
    utc_s: float,
    *,
    settings: TemperatureConfig | None = None,
    regolith: RegolithConfig | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Float32Array, GridSpec]:
    """Surface temperature at one time.

    Columns start from the balance of their mean light over the year before, so that seasons
    count, and run through ``history_days`` of light. Each cell gets the Sun on its own slope and
    a share of what falls on the ground around it.

    Args:
        dem: of the site, metres.
        horizon: of the same grid, for an observer at the ground (height 0).
        sky: of the same grid.
        utc_s: POSIX seconds.
        settings: how.
        regolith: of what ground.
        on_progress: called with steps done and steps in all.

    Returns:
        (rows, cols) float32 kelvin, NaN where unknown, and its grid: every n-th cell of the DEM.

    Raises:
        EphemerisError: the time, or the year before it, lies outside 2020 to 2060.
        TerrainError: the grids differ.
    """
    s, ground = settings or TemperatureConfig(), regolith or RegolithConfig()
    if not dem.spec == horizon.spec == sky.spec:
        raise TerrainError("elevation model, horizon map and sky must be of one grid")
    year = 365.25 * DAY_S
    if utc_s - year < FIRST_UTC.timestamp():
        raise EphemerisError(
            "a temperature needs the light of the year before: a time from "
            f"{FIRST_UTC.year + 1}-01-01 on"
        )
    site = _LitGround(dem, horizon, sky, s, ground)
    steps = math.ceil(s.history_days * DAY_S / s.step_s)
    total, done = _YEAR_SAMPLES + steps, 0
    mean = np.zeros(site.sky_view.size)
    past = sky.track("sun", utc_s - year * (np.arange(_YEAR_SAMPLES) + 0.5) / _YEAR_SAMPLES)
    for n in range(_YEAR_SAMPLES):
        mean += site.absorbed_wpm2(past, n) / _YEAR_SAMPLES
        done += 1
        if on_progress is not None:
            on_progress(done, total)
    start = equilibrium_k(mean + ground.interior_wpm2, ground.emissivity)
    columns = RegolithColumns(start, ground)
    history = sky.track("sun", utc_s - s.step_s * (np.arange(steps)[::-1] + 0.5))
    for n in range(steps):
        columns.advance(site.absorbed_wpm2(history, n), s.step_s)
        done += 1
        if on_progress is not None:
            on_progress(done, total)
    out = columns.surface_k.astype(np.float32).reshape(site.spec.shape)
    out[site.unknown] = np.nan
    return out, site.spec


class _LitGround:
    """What the cells of a thinned grid absorb at any time."""

    def __init__(
        self, dem: Dem, horizon: HorizonMap, sky: SiteSky, s: TemperatureConfig, g: RegolithConfig
    ) -> None:
        every = math.ceil(math.sqrt(max(dem.heights_m.size / s.columns, 1.0)))
        full = dem.spec
        rows, cols = (math.ceil(n / every) for n in full.shape)
        self.spec = GridSpec(
            full.origin_x_m, full.origin_y_m, full.resolution_m * every, rows, cols
        )
        self._counts = np.ascontiguousarray(horizon.counts[:, ::every, ::every])
        self._regolith = g
        x, y = np.meshgrid(self.spec.x_m(), self.spec.y_m())
        slope = dem.gradient(np.stack((x.ravel(), y.ravel()), axis=-1))
        slope *= sky.frame.scale_at(x.ravel(), y.ravel())[:, None]
        normal = np.concatenate((-slope, np.ones((len(slope), 1))), axis=1)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        self._normal = normal.astype(np.float32).reshape(rows, cols, 3)
        view = HorizonMap(self._counts, self.spec, horizon.observer_m).sky_view()
        self.unknown = np.isnan(view) | np.isnan(self._normal).any(axis=2)
        self.sky_view: FloatArray = np.where(self.unknown, 1.0, view).astype(np.float64)
        self._window = max(1, round(s.reach_m / self.spec.resolution_m))
        self._view_around = self._around(self.sky_view)
        self._share = np.empty((rows, cols), dtype=np.float32)
        self._sunlight = np.empty((rows, cols))

    def _around(self, values: FloatArray) -> FloatArray:
        """Mean over the ground around each cell, (rows, cols), in the unit of the values."""
        # 0.3 s of imports that a rover on its way has no use for
        from scipy.ndimage import uniform_filter

        mean: FloatArray = uniform_filter(values, self._window, mode="nearest")
        return mean

    def absorbed_wpm2(self, track: SkyTrack, n: int) -> FloatArray:
        """(N,) W/m2 of all cells at one time of a track; 0 where the ground is unknown."""
        yaw, up = track.yaw_rad[n], track.elevation_rad[n]
        share_map(
            self._counts, 0, self.spec.rows, yaw, up, float(track.radius_rad[n]), self._share
        )
        # the terrain hides the lower part of the Sun; light comes from what is left, never lower
        height = max(float(up.mean()), 0.0)
        middle = float(yaw.mean())
        flat = math.cos(height)
        toward = np.array([flat * math.cos(middle), flat * math.sin(middle), math.sin(height)])
        light = float(irradiance_wpm2(track.distance_m[n]))
        absorbed_map(self._share, self._normal, toward, light, self._sunlight)
        self._sunlight[self.unknown] = 0.0
        around = self._around(self._sunlight)
        given = from_terrain_wpm2(around, self.sky_view, self._view_around, self._regolith)
        total: FloatArray = ((1.0 - self._regolith.albedo) * self._sunlight + given).ravel()
        return np.maximum(total, 0.0)
