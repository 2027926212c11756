"""Relays in lunar orbit and stations on the Earth: where they stand and whom they see.

An orbit is an ellipse fixed in the axes of MOON_ME as they stand at its epoch; the Moon then turns
under it at its mean rate. Perturbations are left out: a frozen orbit is chosen so that they keep
its shape; its node drifts by some degrees a month.

Reference: Vallado 2013, Fundamentals of Astrodynamics, algorithms 2 and 10 (Kepler's equation,
elements to position); Folta and Quinn 2006, AIAA 2006-6749 (lunar frozen orbits); Capitaine et
al. 2000, Astron. Astrophys. 355, 398 (Earth rotation angle).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.ephemeris import EARTH_RADIUS_M, utc_seconds
from ilrs_robots.core.environment.links import RadioConfig
from ilrs_robots.core.environment.moon_axes import (
    AU_M,
    DAY_S,
    EARTH,
    J2000_UNIX_S,
    TT_MINUS_UTC_S,
    body_vectors,
)
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import config_file, shown
from ilrs_robots.core.types import BoolArray, FloatArray

MOON_GM_M3PS2: Final = 4.9028001e12
"""Konopliv et al. 2013, GRAIL (GL0660B)."""
MOON_TURN_RPS: Final = 2.0 * math.pi / (27.321661 * DAY_S)
"""Mean sidereal rotation."""
_NEWTON: Final = 30


@dataclass(frozen=True)
class RelayConfig:
    """A relay on an elliptical orbit about the Moon."""

    name: str = param(doc="of the relay")
    epoch_utc: str = param(doc="of the elements, ISO 8601 with Z")
    semi_major_axis_km: float = param(doc="a", unit="km", low=1750.0, high=7e4)
    eccentricity: float = param(doc="e", low=0.0, high=0.95)
    inclination_deg: float = param(doc="to the Moon's equator", unit="deg", low=0.0, high=180.0)
    node_deg: float = param(doc="ascending node's longitude at the epoch", unit="deg", low=-360.0,
                            high=360.0)  # fmt: skip
    periapsis_deg: float = param(doc="argument of periapsis", unit="deg", low=-360.0, high=360.0)
    mean_anomaly_deg: float = param(doc="at the epoch", unit="deg", low=-360.0, high=360.0)
    terminal: RadioConfig = param(doc="radio towards the surface")
    trunk_mbps: float = param(100.0, doc="rate to the Earth", unit="Mbit/s", low=1e-3, high=1e5)
    min_elevation_deg: float = param(5.0, doc="above the local horizontal from which it is used",
                                     unit="deg", low=0.0, high=90.0)  # fmt: skip
    processing_s: float = param(0.05, doc="delay on board", unit="s", low=0.0, high=60.0)

    def __post_init__(self) -> None:
        """Check ranges, the epoch, and that the orbit stays above the ground."""
        config.check(self)
        utc_seconds(self.epoch_utc)
        lowest_km = self.semi_major_axis_km * (1.0 - self.eccentricity) - MOON_RADIUS_M * 1e-3
        if lowest_km < 10.0:
            raise ConfigError(
                f"eccentricity = {self.eccentricity}: periapsis is {lowest_km:.1f} km above "
                "ground, must be at least 10 km"
            )

    @property
    def period_s(self) -> float:
        """Of one turn about the Moon."""
        a_m = self.semi_major_axis_km * 1e3
        return 2.0 * math.pi * math.sqrt(a_m**3 / MOON_GM_M3PS2)

    def position_m(self, utc_s: ArrayLike) -> FloatArray:
        """Place in MOON_ME axes, (..., 3) metres, at (...) POSIX seconds."""
        times = np.asarray(utc_s, dtype=np.float64)
        since = times - utc_seconds(self.epoch_utc)
        e, a_m = self.eccentricity, self.semi_major_axis_km * 1e3
        mean = math.radians(self.mean_anomaly_deg) + 2.0 * math.pi * since / self.period_s
        anomaly = eccentric_anomaly(mean, e)
        x = a_m * (np.cos(anomaly) - e)
        y = a_m * math.sqrt(1.0 - e * e) * np.sin(anomaly)
        w, i = math.radians(self.periapsis_deg), math.radians(self.inclination_deg)
        node = math.radians(self.node_deg) - MOON_TURN_RPS * since
        ahead, aside = x * math.cos(w) - y * math.sin(w), x * math.sin(w) + y * math.cos(w)
        flat = aside * math.cos(i)
        return np.stack((
            ahead * np.cos(node) - flat * np.sin(node),
            ahead * np.sin(node) + flat * np.cos(node),
            aside * math.sin(i),
        ), axis=-1)  # fmt: skip


@dataclass(frozen=True)
class StationConfig:
    """A station on the Earth."""

    name: str = param(doc="of the station")
    latitude_deg: float = param(doc="geodetic", unit="deg", low=-90.0, high=90.0)
    longitude_deg: float = param(doc="east", unit="deg", low=-180.0, high=360.0)
    min_elevation_deg: float = param(8.0, doc="of the Moon", unit="deg", low=0.0, high=90.0)
    gain_over_noise_dbpk: float = param(45.0, doc="G/T", unit="dB/K", low=0.0, high=80.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class EarthNetworkConfig:
    """What ``config/networks/<network>.yaml`` says."""

    relays: tuple[RelayConfig, ...] = param((), doc="in lunar orbit")
    stations: tuple[StationConfig, ...] = param((), doc="on the Earth")
    ground_processing_s: float = param(0.2, doc="from station to centre", unit="s", low=0.0,
                                       high=60.0)  # fmt: skip

    def __post_init__(self) -> None:
        """Check ranges and that no name stands twice."""
        config.check(self)
        names = [r.name for r in self.relays] + [s.name for s in self.stations]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two relays or stations of the name {name!r}")

    def station_seen(self, utc_s: ArrayLike) -> BoolArray:
        """Whether each station sees the Moon, (..., S), at (...) POSIX seconds."""
        lat = np.radians([s.latitude_deg for s in self.stations])
        lon = np.radians([s.longitude_deg for s in self.stations])
        least = np.radians([s.min_elevation_deg for s in self.stations])
        seen: BoolArray = moon_elevation_rad(utc_s, lat, lon) >= least
        return seen


def load_network(name: str) -> EarthNetworkConfig:
    """Read ``config/networks/<name>.yaml`` (or the YAML file at that path).

    Raises:
        ConfigError: with file, key, value, limit and unit.
    """
    path = config_file("networks", name)
    return config.from_mapping(EarthNetworkConfig, config.load_yaml(path), shown(path))


def eccentric_anomaly(mean_rad: ArrayLike, eccentricity: float) -> FloatArray:
    """Solve Kepler's equation M = E - e sin E for (...) mean anomalies in radians."""
    mean = np.asarray(mean_rad, dtype=np.float64)
    reduced = np.remainder(mean + math.pi, 2.0 * math.pi) - math.pi
    guess = np.where(np.abs(reduced) > 0.5, np.sign(reduced) * math.pi, reduced)
    guess = guess if eccentricity > 0.8 else reduced + eccentricity * np.sin(reduced)
    for _ in range(_NEWTON):
        wrong = guess - eccentricity * np.sin(guess) - reduced
        change = wrong / (1.0 - eccentricity * np.cos(guess))
        guess = guess - change
        if np.all(np.abs(change) < 1e-14):
            break
    solved: FloatArray = guess + (mean - reduced)
    return solved


def seen_from(
    place_m: ArrayLike, latitude_rad: float, longitude_rad: float, height_m: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Azimuth, elevation (radians) and distance (m) of places seen from the Moon's ground.

    Args:
        place_m: (..., 3) MOON_ME, metres.
        latitude_rad: of the observer.
        longitude_rad: likewise.
        height_m: above the reference sphere.
    """
    p = np.asarray(place_m, dtype=np.float64)
    cl, sl = math.cos(latitude_rad), math.sin(latitude_rad)
    co, so = math.cos(longitude_rad), math.sin(longitude_rad)
    up = np.array([cl * co, cl * so, sl])
    east, north = np.array([-so, co, 0.0]), np.array([-sl * co, -sl * so, cl])
    to = p - (MOON_RADIUS_M + height_m) * up
    e, n, u = to @ east, to @ north, to @ up
    flat = np.hypot(e, n)
    return np.mod(np.arctan2(e, n), 2.0 * math.pi), np.arctan2(u, flat), np.hypot(flat, u)


def sees_earth(place_m: ArrayLike, utc_s: ArrayLike) -> BoolArray:
    """Whether the Moon leaves the line from places in orbit to the Earth free, (...).

    Args:
        place_m: (..., 3) MOON_ME, metres.
        utc_s: (...) POSIX seconds.
    """
    p = np.asarray(place_m, dtype=np.float64)
    times = np.asarray(utc_s, dtype=np.float64)
    earth = body_vectors(times.ravel())[:, EARTH].reshape(*times.shape, 3)
    toward = earth - p
    unit = toward / np.linalg.norm(toward, axis=-1, keepdims=True)
    along = np.sum(-p * unit, axis=-1)
    nearest = np.linalg.norm(p + np.maximum(along, 0.0)[..., None] * unit, axis=-1)
    free: BoolArray = nearest > MOON_RADIUS_M
    return free


def moon_elevation_rad(utc_s: ArrayLike, latitude_rad: ArrayLike, longitude_rad: ArrayLike) -> (
    FloatArray
):  # fmt: skip
    """Elevation of the Moon's centre over stations on a spherical Earth, (..., S) radians.

    The Earth's turn is counted from a point that does not precess; that its pole moves is left
    out: 0.3 degrees at most until 2060.

    Args:
        utc_s: (...) POSIX seconds.
        latitude_rad: (S,) of the stations.
        longitude_rad: (S,) likewise.
    """
    times = np.asarray(utc_s, dtype=np.float64)
    moon = np.array([_geocentric_moon(float(t)) for t in times.ravel()])
    moon = moon.reshape(*times.shape, 1, 3)
    days = (times - J2000_UNIX_S) / DAY_S
    turned = (0.7790572732640 + 1.00273781191135448 * days)[..., None] * 2.0 * math.pi
    lat, lon = np.asarray(latitude_rad), np.asarray(longitude_rad) + turned
    up = np.stack(
        np.broadcast_arrays(np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)),
        axis=-1,
    )
    to = moon - EARTH_RADIUS_M * up
    sine = np.sum(to * up, axis=-1) / np.linalg.norm(to, axis=-1)
    elevation: FloatArray = np.arcsin(sine)
    return elevation


def _geocentric_moon(utc_s: float) -> FloatArray:
    from astronomy import GeoMoon, Time  # where launch files run it is absent

    when = Time.FromTerrestrialTime((utc_s + TT_MINUS_UTC_S - J2000_UNIX_S) / DAY_S)
    moon = GeoMoon(when)
    return np.array([moon.x, moon.y, moon.z]) * AU_M
