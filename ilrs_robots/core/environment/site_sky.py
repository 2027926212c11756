"""Sun and Earth over the cells of a site: a few exact places, bilinear between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.environment.ephemeris import earth, sun
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.types import FloatArray, GridSpec

Body = Literal["sun", "earth"]
_NODE_SPACING_M: Final = 5_000.0
"""Bilinear between places this far apart is off by (d / R)^2 / 8, less than 0.0001 deg."""


@dataclass(frozen=True)
class SkyTrack:
    """One body over a site's nodes and over time.

    Attributes:
        utc_s: (T,) POSIX seconds.
        yaw_rad: (T, L, M) direction in ``map``, continuous across the nodes of one time.
        elevation_rad: (T, L, M) of the body's centre.
        radius_rad: (T,) apparent radius.
        distance_m: (T,) at the first node.
    """

    utc_s: FloatArray
    yaw_rad: FloatArray
    elevation_rad: FloatArray
    radius_rad: FloatArray
    distance_m: FloatArray


@dataclass(frozen=True)
class SiteSky:
    """The sky over a grid of ``map``.

    Attributes:
        frame: of ``map``.
        spec: the grid.
        height_m: of the site above the reference sphere; a kilometre moves nothing that counts.
    """

    frame: SiteFrame
    spec: GridSpec
    height_m: float = 0.0
    _nodes: tuple[FloatArray, FloatArray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find latitude and longitude of the nodes, which span the cells' centres."""
        s = self.spec
        x_end = s.origin_x_m + s.resolution_m * (s.cols - 1)
        y_end = s.origin_y_m + s.resolution_m * (s.rows - 1)
        across, along = (
            max(2, math.ceil((n - 1) * s.resolution_m / _NODE_SPACING_M) + 1)
            for n in (s.cols, s.rows)
        )
        x, y = np.meshgrid(
            np.linspace(s.origin_x_m, x_end, across), np.linspace(s.origin_y_m, y_end, along)
        )
        object.__setattr__(self, "_nodes", self.frame.place_of(x, y))

    def track(self, body: Body, utc_s: ArrayLike) -> SkyTrack:
        """Where a body stands over the nodes, for (T,) POSIX seconds.

        Raises:
            EphemerisError: a time outside 2020 to 2060.
        """
        times = np.atleast_1d(np.asarray(utc_s, dtype=np.float64))
        lat, lon = self._nodes
        look = sun if body == "sun" else earth
        seen = look(times[:, None, None], lat, lon, self.height_m)
        yaw = self.frame.yaw_of_azimuth(seen.azimuth_rad, lat, lon)
        first = yaw[:, :1, :1]
        yaw = first + np.remainder(yaw - first + math.pi, 2.0 * math.pi) - math.pi
        return SkyTrack(
            times, yaw, seen.elevation_rad, seen.radius_rad[:, 0, 0], seen.distance_m[:, 0, 0]
        )
