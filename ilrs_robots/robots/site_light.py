"""The Sun over a place of a site, as far as is known from orbit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.environment import ephemeris
from ilrs_robots.core.environment.sight import sun_share
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.thermal import irradiance_wpm2
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.site import SiteConfig


@dataclass(frozen=True)
class LightState:
    """The Sun over a place.

    Attributes:
        toward: (3,) unit vector to it, map.
        elevation_rad: of its centre.
        share: visible share of its disc, 0 to 1.
        irradiance_wpm2: of the whole disc at right angles.
    """

    toward: FloatArray
    elevation_rad: float
    share: float
    irradiance_wpm2: float


class SiteLight:
    """Where the Sun stands, and how much of it the ground hides.

    Args:
        site: place and epoch.
        prior: ground as known from orbit.

    Attributes:
        frame: of the site.
        epoch_s: UTC of ROS time zero, as the ephemeris counts.

    Raises:
        EphemerisError: the epoch is outside 2020 to 2060.
    """

    def __init__(self, site: SiteConfig, prior: Dem) -> None:
        self.epoch_s = ephemeris.utc_seconds(site.epoch)
        place = (math.radians(v) for v in (site.latitude_deg, site.longitude_deg))
        self.frame = SiteFrame.of_dem(prior, *place)
        self._prior = prior
        self._level_m = float(np.nanmedian(prior.heights_m))

    def at(self, time_s: float, position_m: FloatArray, panel_m: float) -> LightState:
        """The Sun from a height above the ground.

        Args:
            time_s: ROS time.
            position_m: (3,) map; its height counts where the ground is not known.
            panel_m: height above the ground.

        Raises:
            EphemerisError: the time is outside 2020 to 2060.
        """
        x, y = float(position_m[0]), float(position_m[1])
        lat, lon = (float(v) for v in self.frame.place_of(x, y))
        seen = ephemeris.sun(self.epoch_s + time_s, lat, lon, self._level_m)
        yaw = float(self.frame.yaw_of_azimuth(seen.azimuth_rad, lat, lon))
        up, radius = float(seen.elevation_rad), float(seen.radius_rad)
        ground = float(self._prior.height(np.array([[x, y]]))[0])
        base = ground if math.isfinite(ground) else float(position_m[2])
        share = sun_share(self._prior, (x, y, base + panel_m), yaw, up, radius)
        flat = math.cos(up)
        toward = np.array([flat * math.cos(yaw), flat * math.sin(yaw), math.sin(up)])
        return LightState(toward, up, share, float(irradiance_wpm2(seen.distance_m)))
