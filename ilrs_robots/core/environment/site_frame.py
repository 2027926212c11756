"""Between places on the Moon and ``map``, and between azimuths from north and yaws in ``map``.

``map`` is the site grid: axes of the site's projection, origin at its reference point. Poleward of
60 degrees the projection is polar stereographic with x along longitude 90 E (the convention of the
LOLA products), elsewhere stereographic about the site. Both are one formula, and conformal, so one
angle, the meridian convergence, turns every direction at a place.

Reference: Snyder 1987, Map Projections: A Working Manual, USGS PP 1395, chapter 21, equations
21-2 to 21-4, 20-14, 20-15, 20-18.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.ephemeris import EphemerisError
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray

POLAR_FROM_RAD: Final = math.radians(60.0)
_POLE: Final = 1e-9  # rad: closer to a pole than 2 mm, north is taken along longitude 0's line


@dataclass(frozen=True)
class SiteFrame:
    """The projection of one site's ``map`` on the sphere.

    Attributes:
        centre_latitude_rad: of the projection, a pole or the site.
        centre_longitude_rad: likewise; the meridian that runs along y through the centre.
        origin_x_m: projected x of the point that is (0, 0) in ``map``.
        origin_y_m: projected y of it.
        scale: at the centre of the projection.
    """

    centre_latitude_rad: float
    centre_longitude_rad: float
    origin_x_m: float = 0.0
    origin_y_m: float = 0.0
    scale: float = 1.0

    @classmethod
    def of_site(cls, latitude_rad: float, longitude_rad: float) -> SiteFrame:
        """The frame of a site by its reference point.

        Raises:
            EphemerisError: the point is not on the Moon.
        """
        if not abs(latitude_rad) <= math.pi / 2.0 + 1e-12 or not math.isfinite(longitude_rad):
            raise EphemerisError(
                f"latitude {math.degrees(latitude_rad):g} deg, longitude "
                f"{math.degrees(longitude_rad):g} deg: latitude must lie within -90 to 90 deg"
            )
        if abs(latitude_rad) < POLAR_FROM_RAD:
            return cls(latitude_rad, longitude_rad)
        polar = cls(math.copysign(math.pi / 2.0, latitude_rad), 0.0)
        x, y = polar.map_of(latitude_rad, longitude_rad)
        return cls(polar.centre_latitude_rad, 0.0, float(x), float(y))

    @classmethod
    def of_dem(cls, dem: Dem, latitude_rad: float, longitude_rad: float) -> SiteFrame:
        """The frame of a DEM: that of its own projection, or of the site where it has none.

        Args:
            dem: in ``map``; ``provenance["origin_xy_m"]`` says what its reader subtracted.
            latitude_rad: of the site's reference point, for a DEM on a local plane.
            longitude_rad: likewise.

        Raises:
            TerrainError: the DEM's projection is not stereographic.
            EphemerisError: the site is not on the Moon.
        """
        if dem.projection is None:
            return cls.of_site(latitude_rad, longitude_rad)
        from rasterio.crs import CRS

        told = CRS.from_wkt(dem.projection).to_dict()
        if told.get("proj") != "stere":
            raise TerrainError(
                f"projection {told.get('proj', 'unknown')!r}: directions are known in "
                "stereographic maps only; reproject the terrain"
            )
        centre = math.radians(float(told.get("lat_0", 0.0)))
        scale = float(told.get("k", told.get("k_0", 1.0)))
        if "lat_ts" in told:
            scale *= 0.5 * (1.0 + abs(math.sin(math.radians(float(told["lat_ts"])))))
        shift = dem.provenance.get("origin_xy_m", (0.0, 0.0))
        return cls(
            centre,
            math.radians(float(told.get("lon_0", 0.0))),
            float(shift[0]) - float(told.get("x_0", 0.0)),
            float(shift[1]) - float(told.get("y_0", 0.0)),
            scale,
        )

    def proj(self) -> str:
        """The projection as a PROJ string; its origin is that of the projection, not of map."""
        lat, lon = (math.degrees(v) for v in (self.centre_latitude_rad, self.centre_longitude_rad))
        return (
            f"+proj=stere +lat_0={lat:.12g} +lon_0={lon:.12g} +k={self.scale:.12g} "
            f"+R={MOON_RADIUS_M:.0f} +units=m +no_defs"
        )

    def wkt(self) -> str:
        """The projection as WKT, for files."""
        from rasterio.crs import CRS

        return str(CRS.from_string(self.proj()).to_wkt())

    def map_of(
        self, latitude_rad: ArrayLike, longitude_rad: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """X and y in ``map``, (...) metres, of places on the sphere given in radians.

        Raises:
            EphemerisError: a place opposite the projection's centre.
        """
        lat = np.asarray(latitude_rad, dtype=np.float64)
        lon = np.asarray(longitude_rad, dtype=np.float64) - self.centre_longitude_rad
        s0, c0 = math.sin(self.centre_latitude_rad), math.cos(self.centre_latitude_rad)
        toward = s0 * np.sin(lat) + c0 * np.cos(lat) * np.cos(lon)
        if np.any(toward < -0.999):
            raise EphemerisError("a place opposite the site has no place in its projection")
        k = 2.0 * self.scale * MOON_RADIUS_M / (1.0 + toward)
        x = k * np.cos(lat) * np.sin(lon)
        y = k * (c0 * np.sin(lat) - s0 * np.cos(lat) * np.cos(lon))
        return x - self.origin_x_m, y - self.origin_y_m

    def place_of(self, x_m: ArrayLike, y_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude, (...) radians (longitude -pi to pi), of points of ``map``."""
        x = np.asarray(x_m, dtype=np.float64) + self.origin_x_m
        y = np.asarray(y_m, dtype=np.float64) + self.origin_y_m
        s0, c0 = math.sin(self.centre_latitude_rad), math.cos(self.centre_latitude_rad)
        rho = np.hypot(x, y)
        c = 2.0 * np.arctan2(rho, 2.0 * self.scale * MOON_RADIUS_M)
        # sin(c) / rho without a division by zero at the centre
        ratio = 1.0 + np.cos(c)
        ratio = 0.5 * ratio / (self.scale * MOON_RADIUS_M)
        along_y = y * ratio
        lat = np.arcsin(np.clip(np.cos(c) * s0 + along_y * c0, -1.0, 1.0))
        lon = self.centre_longitude_rad + np.arctan2(x * ratio, np.cos(c) * c0 - along_y * s0)
        return lat, np.mod(lon + math.pi, 2.0 * math.pi) - math.pi

    def scale_at(self, x_m: ArrayLike, y_m: ArrayLike) -> FloatArray:
        """Map metres per metre on the reference sphere, (...), at points of ``map`` in metres."""
        x = np.asarray(x_m, dtype=np.float64) + self.origin_x_m
        y = np.asarray(y_m, dtype=np.float64) + self.origin_y_m
        reach = (x * x + y * y) / (2.0 * self.scale * MOON_RADIUS_M) ** 2
        k: FloatArray = self.scale * (1.0 + reach)
        return k

    def north_yaw(self, latitude_rad: ArrayLike, longitude_rad: ArrayLike) -> FloatArray:
        """Yaw in ``map`` of local north, (...) radians, at places given in radians.

        North is the way to the north pole. In a conformal map the great circle from the place to
        the centre stays straight; the angle between it and the meridian is the same on the
        sphere and in the map. At a pole itself north is the limit along the longitude given.
        """
        lat, lon = np.broadcast_arrays(
            np.asarray(latitude_rad, dtype=np.float64), np.asarray(longitude_rad, dtype=np.float64)
        )
        lat = np.clip(lat, -math.pi / 2.0 + _POLE, math.pi / 2.0 - _POLE)
        turn = lon - self.centre_longitude_rad
        s0, c0 = math.sin(self.centre_latitude_rad), math.cos(self.centre_latitude_rad)
        # derivative of (x, y) after latitude, up to a positive factor: Snyder's x, y over k
        toward = 1.0 + s0 * np.sin(lat) + c0 * np.cos(lat) * np.cos(turn)
        d_toward = s0 * np.cos(lat) - c0 * np.sin(lat) * np.cos(turn)
        x, y = np.cos(lat) * np.sin(turn), c0 * np.sin(lat) - s0 * np.cos(lat) * np.cos(turn)
        dx = -np.sin(lat) * np.sin(turn) * toward - x * d_toward
        dy = (c0 * np.cos(lat) + s0 * np.sin(lat) * np.cos(turn)) * toward - y * d_toward
        yaw: FloatArray = np.arctan2(dy, dx)
        return yaw

    def yaw_of_azimuth(
        self, azimuth_rad: ArrayLike, latitude_rad: ArrayLike, longitude_rad: ArrayLike
    ) -> FloatArray:
        """Turn an azimuth from local north into a yaw of the site grid.

        This is the one place where the meridian convergence enters.

        Args:
            azimuth_rad: (...) clockwise from local north, radians.
            latitude_rad: (...) of the place where the azimuth was taken, radians.
            longitude_rad: (...) of it, radians.

        Returns:
            (...) radians, 0 to 2 pi, counter-clockwise from x of ``map``.
        """
        north = self.north_yaw(latitude_rad, longitude_rad)
        yaw: FloatArray = np.mod(north - np.asarray(azimuth_rad), 2.0 * math.pi)
        return yaw

    def azimuth_of_yaw(
        self, yaw_rad: ArrayLike, latitude_rad: ArrayLike, longitude_rad: ArrayLike
    ) -> FloatArray:
        """The inverse of ``yaw_of_azimuth``: (...) radians, 0 to 2 pi, clockwise from north."""
        north = self.north_yaw(latitude_rad, longitude_rad)
        azimuth: FloatArray = np.mod(north - np.asarray(yaw_rad), 2.0 * math.pi)
        return azimuth
