"""Direction, distance and apparent size of Sun and Earth at any place on the Moon, 2020 to 2060.

Azimuths run clockwise from local north, elevations from the local horizontal of the sphere. Both
are topocentric: the Earth's parallax across the Moon is up to 0.26 deg. Within 0.0043 deg of
JPL's DE421 with its own librations, 2020 to 2050, and of the Horizons rows (tests); what is left
is mostly the mean axis of the IAU report against the true one.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.moon_axes import EARTH, SUN, body_vectors
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.types import FloatArray

SUN_RADIUS_M: Final = 695_700_000.0
"""Nominal solar radius, IAU 2015 resolution B3."""
EARTH_RADIUS_M: Final = 6_371_000.0
"""Mean radius (IUGG)."""
FIRST_UTC: Final = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
LAST_UTC: Final = dt.datetime(2060, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
HEIGHT_LIMIT_M: Final = 100_000.0


class EphemerisError(IlrsError):
    """A time or a place for which no direction can be given."""


@dataclass(frozen=True)
class SkyPosition:
    """Where a body stands; all arrays have the shape that time and place broadcast to.

    Attributes:
        azimuth_rad: clockwise from local north, 0 to 2 pi.
        elevation_rad: of the body's centre above the local horizontal.
        distance_m: from the place.
        radius_rad: apparent radius of the disc.
    """

    azimuth_rad: FloatArray
    elevation_rad: FloatArray
    distance_m: FloatArray
    radius_rad: FloatArray


def utc_seconds(time: dt.datetime | str) -> float:
    """POSIX seconds of a mission time.

    Args:
        time: an aware datetime, or ISO 8601 text with its offset (Z).

    Raises:
        EphemerisError: not a time, without an offset, or outside 2020 to 2060.
    """
    parsed = _parsed(time) if isinstance(time, str) else time
    if parsed.utcoffset() is None:
        raise EphemerisError(f"time {time!s}: says no offset from UTC; write it with Z")
    seconds = parsed.timestamp()
    _require_in_range(np.array([seconds]))
    return seconds


def _parsed(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise EphemerisError(
            f"time {text!r}: not an ISO 8601 time, such as 2035-01-15T00:00:00Z"
        ) from error


def sun(
    utc_s: ArrayLike, latitude_rad: ArrayLike, longitude_rad: ArrayLike, height_m: ArrayLike = 0.0
) -> SkyPosition:
    """The Sun's place in the sky.

    Args:
        utc_s: (...) POSIX seconds; see ``utc_seconds``.
        latitude_rad: (...) MOON_ME latitude, radians, broadcast with ``utc_s``: (T, 1) with (P,).
        longitude_rad: (...) east longitude, radians, likewise.
        height_m: (...) above the reference sphere, metres, likewise.

    Raises:
        EphemerisError: a time outside 2020 to 2060, or a place that is not on the Moon.
    """
    return _sky(SUN, SUN_RADIUS_M, utc_s, latitude_rad, longitude_rad, height_m)


def earth(
    utc_s: ArrayLike, latitude_rad: ArrayLike, longitude_rad: ArrayLike, height_m: ArrayLike = 0.0
) -> SkyPosition:
    """The Earth's place in the sky.

    Args:
        utc_s: (...) POSIX seconds.
        latitude_rad: (...) MOON_ME latitude, radians, broadcast with ``utc_s``.
        longitude_rad: (...) east longitude, radians, likewise.
        height_m: (...) above the reference sphere, metres, likewise.

    Raises:
        EphemerisError: as for ``sun``.
    """
    return _sky(EARTH, EARTH_RADIUS_M, utc_s, latitude_rad, longitude_rad, height_m)


def _sky(
    body: int,
    body_radius_m: float,
    utc_s: ArrayLike,
    latitude_rad: ArrayLike,
    longitude_rad: ArrayLike,
    height_m: ArrayLike,
) -> SkyPosition:
    times = np.asarray(utc_s, dtype=np.float64)
    lat, lon, height = np.broadcast_arrays(
        *(np.asarray(v, dtype=np.float64) for v in (latitude_rad, longitude_rad, height_m))
    )
    _require_in_range(times)
    _require_place(lat, lon, height)
    centre = body_vectors(times.ravel())[:, body].reshape(*times.shape, 3)
    return _seen_from(centre, lat, lon, height, body_radius_m)


def _seen_from(
    centre_m: FloatArray, lat: FloatArray, lon: FloatArray, height: FloatArray, body_m: float
) -> SkyPosition:
    sin_lat, cos_lat, sin_lon, cos_lon = np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)
    x, y, z = (centre_m[..., k] for k in range(3))
    outward = cos_lon * x + sin_lon * y
    east = cos_lon * y - sin_lon * x
    north = cos_lat * z - sin_lat * outward
    up = cos_lat * outward + sin_lat * z - (MOON_RADIUS_M + height)
    flat = np.hypot(east, north)
    distance = np.hypot(flat, up)
    return SkyPosition(
        azimuth_rad=np.mod(np.arctan2(east, north), 2.0 * math.pi),
        elevation_rad=np.arctan2(up, flat),
        distance_m=distance,
        radius_rad=np.arcsin(body_m / distance),
    )


def _require_in_range(utc_s: FloatArray) -> None:
    wrong = ~((utc_s >= FIRST_UTC.timestamp()) & (utc_s <= LAST_UTC.timestamp()))
    if wrong.any():
        value = float(utc_s[wrong].flat[0])
        try:
            shown = dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
        except (OverflowError, ValueError, OSError):
            shown = f"{value} s"
        raise EphemerisError(
            f"time {shown}: outside {FIRST_UTC:%Y-%m-%d} to {LAST_UTC:%Y-%m-%d} UTC, for which "
            "the ephemeris is checked"
        )


def _require_place(lat: FloatArray, lon: FloatArray, height: FloatArray) -> None:
    limits = (
        ("latitude", np.degrees(lat), 90.0, "deg"),
        ("longitude", np.degrees(lon), 360.0, "deg"),
        ("height", height, HEIGHT_LIMIT_M, "m"),
    )
    for name, values, limit, unit in limits:
        wrong = ~(np.abs(values) <= limit * (1.0 + 1e-12))
        if wrong.any():
            value = float(values[wrong].flat[0])
            raise EphemerisError(
                f"{name} {value:g} {unit}: must lie within -{limit:g} to {limit:g} {unit}"
            )
