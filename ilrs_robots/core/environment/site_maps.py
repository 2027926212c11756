"""Whole maps of a site: light, sight of the Earth, permanent shadow, temperature."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.illumination import (
    Illumination,
    illumination,
    permanent_shadow,
    visible_share,
)
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_sky import Body, SiteSky
from ilrs_robots.core.environment.temperature import temperature_map
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, Float32Array, GridSpec

Show = Callable[[str, int, int], None]
PANEL_M: Final = 2.0
"""Height of panels and antennas above ground where none is given."""
MAX_STEPS: Final = 200_000


@dataclass(frozen=True)
class SitePlace:
    """Which site a map is of.

    Attributes:
        name: of the site.
        latitude_rad: of its reference point.
        longitude_rad: likewise.
        utc_s: POSIX seconds of the time asked for.
    """

    name: str
    latitude_rad: float
    longitude_rad: float
    utc_s: float


@dataclass(frozen=True)
class MapRequest:
    """What is asked for.

    Attributes:
        what: ``lit``, ``earth``, ``psr`` or ``temperature``.
        days: span of ``lit`` and ``earth``; 0 asks for the moment.
        step_hours: between looks in the span.
        observer_m: above ground; None takes what suits.
        far: GeoTIFF of the terrain around, in the site's projection, or None.
    """

    what: str
    days: float = 29.53
    step_hours: float = 2.0
    observer_m: float | None = None
    far: Path | None = None

    def __post_init__(self) -> None:
        """Check ranges.

        Raises:
            ConfigError: naming the value, the limit and the unit.
        """
        if not 0.0 <= self.days <= 15_000.0:
            raise ConfigError(f"days = {self.days}: must be 0 to 15000 d")
        if not 0.01 <= self.step_hours <= 48.0:
            raise ConfigError(f"step = {self.step_hours} h: must be 0.01 to 48 h")
        if self.days * 24.0 / self.step_hours > MAX_STEPS:
            raise ConfigError(
                f"{self.days} d in steps of {self.step_hours} h: more than {MAX_STEPS} looks"
            )


@dataclass(frozen=True)
class SiteMap:
    """A map with what a picture and a raster of it say.

    Attributes:
        title: one line.
        notes: what it holds for: time, place, observer, terrain.
        label: quantity and unit.
        values: (rows, cols) float32 or bool.
        spec: where.
        frame: of ``map``.
        north_yaw_rad: of north at the grid's middle, in map.
        limits: of the colours, or None.
        sun_yaw_rad: of the Sun in map, for a moment.
        provenance: of the terrain.
    """

    title: str
    notes: tuple[str, ...]
    label: str
    values: Float32Array | BoolArray
    spec: GridSpec
    frame: SiteFrame
    north_yaw_rad: float
    limits: tuple[float, float] | None
    sun_yaw_rad: float | None
    provenance: Mapping[str, Any]

    def as_raster(self) -> Dem:
        """The map as a grid with the site's projection, for a GeoTIFF."""
        told = {
            "quantity": self.label,
            "title": self.title,
            "notes": list(self.notes),
            "terrain": dict(self.provenance),
            "origin_xy_m": [self.frame.origin_x_m, self.frame.origin_y_m],
        }
        return Dem(self.values.astype(np.float32), self.spec, self.frame.wkt(), told)


def make_map(request: MapRequest, place: SitePlace, dem: Dem, show: Show) -> SiteMap:
    """Compute one map.

    Args:
        request: what of.
        place: the site.
        dem: its terrain.
        show: called with the name of the work, steps done and steps in all.

    Raises:
        TerrainError: the terrain, near or far, cannot be used.
        EphemerisError: place or time are out of range.
    """
    frame = SiteFrame.of_dem(dem, place.latitude_rad, place.longitude_rad)
    sky = SiteSky(frame, dem.spec, float(np.nanmedian(dem.heights_m)))
    sky.track("sun", place.utc_s)  # a wrong time is told before the long work
    work = _Work(request, place, dem, frame, sky, show)
    makers = {
        "lit": lambda: work.light("sun"),
        "earth": lambda: work.light("earth"),
        "psr": work.shadow,
        "temperature": work.temperature,
    }
    return makers[request.what]()


@dataclass(frozen=True)
class _Work:
    request: MapRequest
    place: SitePlace
    dem: Dem
    frame: SiteFrame
    sky: SiteSky
    show: Show

    def light(self, body: Body) -> SiteMap:
        height = PANEL_M if self.request.observer_m is None else self.request.observer_m
        horizon = self._horizon(height)
        start, what = self.place.utc_s, "Sun" if body == "sun" else "Earth"
        if self.request.days == 0.0:
            share = visible_share(horizon, self.sky, start, body)
            label = f"visible share of the {what}'s disc (%)"
            return self._map(f"{what} in sight", label, 100.0 * share, (0.0, 100.0), height,
                             _utc(start), moment=True)  # fmt: skip
        found = self._span(horizon, body)
        night = float(np.nanmedian(found.longest_night_s)) / 86_400.0
        title = "Illumination" if body == "sun" else "Earth in sight"
        label = f"mean visible share of the {what}'s disc (%)"
        span = f"{_utc(start)} and {self.request.days:g} days on"
        made = self._map(title, label, 100.0 * found.average, None, height, span)
        gap = f"longest {'night' if body == 'sun' else 'gap'}: median {night:.1f} days"
        return replace(made, notes=(*made.notes, gap))

    def shadow(self) -> SiteMap:
        height = self.request.observer_m or 0.0
        horizon = self._horizon(height)
        self.show("permanent shadow", 0, 1)
        dark = permanent_shadow(horizon, self.sky, self.place.utc_s)
        self.show("permanent shadow", 1, 1)
        return self._map("Permanent shadow", "never lit", dark, None, height,
                         f"18.6 years about {_utc(self.place.utc_s)}")  # fmt: skip

    def temperature(self) -> SiteMap:
        horizon = self._horizon(0.0)
        kelvin, spec = temperature_map(
            self.dem, horizon, self.sky, self.place.utc_s,
            on_progress=lambda done, total: self.show("heat", done, total),
        )  # fmt: skip
        made = self._map("Surface temperature", "surface temperature (K)", kelvin, None, 0.0,
                         _utc(self.place.utc_s), moment=True)  # fmt: skip
        return replace(made, spec=spec)

    def _span(self, horizon: HorizonMap, body: Body) -> Illumination:
        step = 3600.0 * self.request.step_hours
        count = max(2, round(self.request.days * 86_400.0 / step))
        times = self.place.utc_s + step * np.arange(count)
        return illumination(
            horizon, self.sky, times, body,
            on_progress=lambda done, total: self.show("light", done, total),
        )  # fmt: skip

    def _horizon(self, observer_m: float) -> HorizonMap:
        settings = HorizonConfig(observer_m=observer_m)
        return horizon_map(
            self.dem, settings, far=self._far(settings.far_range_m), frame=self.frame,
            on_progress=lambda done, total: self.show("horizon", done, total),
        )  # fmt: skip

    def _far(self, range_m: float) -> Dem | None:
        if self.request.far is None:
            return None
        origin = (self.frame.origin_x_m, self.frame.origin_y_m)
        x0, y0, x1, y1 = self.dem.bounds_m
        window = (x0 - range_m + origin[0], y0 - range_m + origin[1],
                  x1 + range_m + origin[0], y1 + range_m + origin[1])  # fmt: skip
        far = read_geotiff(self.request.far, window, origin_xy_m=origin)
        frame = SiteFrame.of_dem(far, 0.0, 0.0) if far.projection else None
        if frame is None or not np.allclose(
            (frame.centre_latitude_rad, frame.centre_longitude_rad, frame.scale),
            (self.frame.centre_latitude_rad, self.frame.centre_longitude_rad, self.frame.scale),
            atol=1e-9,
        ):
            raise TerrainError(
                f"{self.request.far.name}: not in the site's projection ({self.frame.proj()}): "
                "reproject it"
            )
        return Dem(far.heights_m, far.spec, None, far.provenance)

    def _map(
        self,
        title: str,
        label: str,
        values: Float32Array | BoolArray,
        limits: tuple[float, float] | None,
        observer_m: float,
        when: str,
        moment: bool = False,
    ) -> SiteMap:
        x0, y0, x1, y1 = self.dem.bounds_m
        lat, lon = self.frame.place_of(0.5 * (x0 + x1), 0.5 * (y0 + y1))
        track = self.sky.track("sun", self.place.utc_s)
        up = math.degrees(float(track.elevation_rad.mean()))
        sun_yaw = float(track.yaw_rad.mean()) if moment else None
        where = (
            f"{abs(math.degrees(lat)):.3f} {'S' if lat < 0 else 'N'}, "
            f"{math.degrees(lon) % 360.0:.3f} E, observer {observer_m:g} m above ground"
        )
        source = str(self.dem.provenance.get("source", "procedural terrain"))
        around = "no terrain beyond" if self.request.far is None else self.request.far.name
        notes = (
            when + (f", Sun {up:.2f} deg high" if moment else ""),
            where,
            f"terrain: {source}; around it: {around}",
        )
        return SiteMap(
            f"{title}: {self.place.name}", notes, label, values, self.dem.spec, self.frame,
            float(self.frame.north_yaw(lat, lon)), limits, sun_yaw, self.dem.provenance,
        )  # fmt: skip


def _utc(utc_s: float) -> str:
    return f"{dt.datetime.fromtimestamp(utc_s, dt.UTC):%Y-%m-%d %H:%M} UTC"
