"""Sunlight at a site: its direction in ``map`` and how much of the Sun's disc is up."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.ephemeris import sun, utc_seconds
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.site import SiteConfig


@dataclass(frozen=True)
class SunLight:
    """Light of the Sun.

    Attributes:
        direction: (3,) float64 unit vector in map, from the Sun to the ground.
        intensity: 0 while the Sun is down, 1 while it is up, between them while it rises.
        elevation_rad: of the Sun's centre.
    """

    direction: FloatArray
    intensity: float
    elevation_rad: float


class SiteSun:
    """The Sun over one site as time passes.

    Args:
        site: its place and its epoch.
        height_m: of the ground above the reference sphere. From a height one sees below the
            horizontal, by acos(R / (R + h)).

    Raises:
        EphemerisError: the epoch lies outside the years for which the ephemeris is checked.
    """

    def __init__(self, site: SiteConfig, height_m: float) -> None:
        self._place = (math.radians(site.latitude_deg), math.radians(site.longitude_deg))
        self._frame = SiteFrame.of_site(*self._place)
        self._epoch_s = utc_seconds(site.epoch)
        self._height_m = height_m
        self._dip_rad = math.acos(MOON_RADIUS_M / (MOON_RADIUS_M + max(height_m, 0.0)))

    @property
    def east_yaw_rad(self) -> float:
        """Yaw of local east in map."""
        return float(self._frame.yaw_of_azimuth(0.5 * math.pi, *self._place))

    def at(self, time_s: float) -> SunLight:
        """Light at a ROS time, seconds after the site's epoch.

        Raises:
            EphemerisError: the time lies outside the years of the ephemeris.
        """
        seen = sun(self._epoch_s + time_s, *self._place, self._height_m)
        elevation, radius = float(seen.elevation_rad), float(seen.radius_rad)
        yaw = float(self._frame.yaw_of_azimuth(seen.azimuth_rad, *self._place))
        flat = math.cos(elevation)
        toward = np.array([flat * math.cos(yaw), flat * math.sin(yaw), math.sin(elevation)])
        up = (elevation + self._dip_rad + radius) / (2.0 * radius)
        return SunLight(-toward, min(max(up, 0.0), 1.0), elevation)
