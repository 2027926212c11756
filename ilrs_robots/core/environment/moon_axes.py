"""Where the Sun and the Earth are in the axes that turn with the Moon.

astronomy-engine gives the Moon, the Earth's orbit (VSOP87) and the Moon's axis (IAU 2015 report)
one instant at a time, in Python. The vectors are smooth, so they are sampled at Chebyshev nodes
of sixteen-day pieces and evaluated as polynomials for any number of times: 2e-6 deg off for the
Earth, 1e-8 for the Sun (the test holds the pieces against the direct computation).

Reference: Archinal et al. 2018, Celest. Mech. Dyn. Astron. 130:22 (the Moon's axis); Cross,
astronomy-engine; Boyd, Chebyshev and Fourier Spectral Methods, 2001, section 5.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import numpy as np

from ilrs_robots.core.types import FloatArray

AU_M: Final = 149_597_870_700.0
"""IAU 2012 resolution B2."""
LIGHT_SPEED_MPS: Final = 299_792_458.0
"""SI."""
J2000_UNIX_S: Final = 946_728_000.0
"""2000-01-01T12:00:00Z as POSIX time."""
TT_MINUS_UTC_S: Final = 69.184
"""32.184 s plus the 37 leap seconds since 2017 (IERS Bulletin C). Later leap seconds are unknown;
one of them moves the Sun by 0.00014 deg."""
EARTH_LIGHT_S: Final = 1.28
"""Mean light time to the Earth; its variation of 0.1 s moves the Earth by 0.00001 deg."""
DAY_S: Final = 86_400.0

_PIECE_S: Final = 16.0 * DAY_S
_NODES: Final = 16
SUN: Final = 0
EARTH: Final = 1


def body_vectors(utc_s: FloatArray) -> FloatArray:
    """Apparent positions of Sun and Earth seen from the Moon's centre.

    Args:
        utc_s: (N,) POSIX seconds.

    Returns:
        (N, 2, 3) metres in MOON_ME axes (x to the mean Earth, z to the north pole); [:, SUN] and
        [:, EARTH].
    """
    times = np.asarray(utc_s, dtype=np.float64)
    piece = np.floor(times / _PIECE_S).astype(np.int64)
    out = np.empty((len(times), 2, 3))
    order = np.argsort(piece, kind="stable")
    ends = np.flatnonzero(np.diff(piece[order])) + 1
    for group in np.split(order, ends):
        if group.size:
            number = int(piece[group[0]])
            u = 2.0 * (times[group] / _PIECE_S - number) - 1.0
            values = np.polynomial.chebyshev.chebval(u, _piece(number))
            out[group] = values.reshape(6, -1).T.reshape(-1, 2, 3)
    return out


def direct_vectors(utc_s: float) -> FloatArray:
    """The same for one time without pieces, (2, 3) metres; the reference of the test.

    The relative position one light time ago stands for light time and aberration together: what
    it neglects is the bend of the Moon's path in those 500 s, about a kilometre at the Sun.
    """
    sun_s = float(np.linalg.norm(_earth_from_sun(utc_s))) / LIGHT_SPEED_MPS
    axes = _axes(utc_s)
    moon_m = _moon_from_earth(utc_s - EARTH_LIGHT_S)
    sun_m = -_earth_from_sun(utc_s - sun_s) - _moon_from_earth(utc_s - sun_s)
    return np.stack((axes @ sun_m, axes @ -moon_m))


@functools.lru_cache(maxsize=8192)
def _piece(number: int) -> FloatArray:
    """(_NODES, 6) Chebyshev coefficients of one piece."""
    theta = math.pi * (np.arange(_NODES) + 0.5) / _NODES
    u = np.cos(theta)
    at = (number + 0.5 * (u + 1.0)) * _PIECE_S
    values = np.stack([direct_vectors(float(t)).ravel() for t in at])
    basis = np.cos(np.outer(np.arange(_NODES), theta))
    coefficients: FloatArray = (2.0 / _NODES) * basis @ values
    coefficients[0] *= 0.5
    coefficients.flags.writeable = False
    return coefficients


def _time(utc_s: float) -> Any:
    """Terrestrial time is what the series need; the library's own guess of UT is left out."""
    from astronomy import Time  # where launch files run it is absent

    return Time.FromTerrestrialTime((utc_s + TT_MINUS_UTC_S - J2000_UNIX_S) / DAY_S)


def _moon_from_earth(utc_s: float) -> FloatArray:
    from astronomy import GeoMoon

    moon = GeoMoon(_time(utc_s))
    return np.array([moon.x, moon.y, moon.z]) * AU_M


def _earth_from_sun(utc_s: float) -> FloatArray:
    from astronomy import Body, HelioVector

    earth = HelioVector(Body.Earth, _time(utc_s))
    return np.array([earth.x, earth.y, earth.z]) * AU_M


def _axes(utc_s: float) -> FloatArray:
    """(3, 3) rotation from J2000 equatorial into MOON_ME axes."""
    from astronomy import Body, RotationAxis

    axis = RotationAxis(Body.Moon, _time(utc_s))
    ra, spin = math.radians(15.0 * axis.ra), math.radians(axis.spin)
    north = np.array([axis.north.x, axis.north.y, axis.north.z])
    node = np.array([-math.sin(ra), math.cos(ra), 0.0])
    x = math.cos(spin) * node + math.sin(spin) * np.cross(north, node)
    return np.stack((x, np.cross(north, x), north))
