"""Azimuths and the axes of ``map``: the one place that knows the meridian convergence.

``map`` is the site grid: x and y run along the axes of the site's projection, so east and north
are turned against them. Poleward of 60 degrees the projection is polar stereographic (with the
axes of the LOLA products), elsewhere local with x to the east.

Reference: Snyder 1987, USGS Professional Paper 1395, eqs. 21-30 to 21-34 (axes of the polar
stereographic projection; it is conformal, so the convergence is the longitude's difference).
"""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.types import FloatArray

POLAR_LATITUDE_RAD: Final = math.radians(60.0)
"""Poleward of it the projection is polar stereographic."""

_MERIDIAN = re.compile(
    r'PARAMETER\["(?:central_meridian|longitude_of_center|straight_vertical_longitude_from_pole'
    r'|Longitude of natural origin|Longitude of origin)"\s*,\s*(-?[0-9.eE+]+)'
)


def central_meridian_rad(projection: str | None) -> float:
    """Longitude along which the y axis of a projection runs, 0 where it does not say.

    Args:
        projection: WKT, or None for a local plane.
    """
    found = _MERIDIAN.search(projection or "")
    return math.radians(float(found.group(1))) if found else 0.0


def east_yaw_rad(latitude_rad: float, longitude_rad: float, meridian_rad: float = 0.0) -> float:
    """Yaw of local east in ``map``, from x towards y; north is a quarter turn further.

    Args:
        latitude_rad: of the site's reference point.
        longitude_rad: of the site's reference point, to the east.
        meridian_rad: longitude of the projection's y axis.
    """
    if abs(latitude_rad) < POLAR_LATITUDE_RAD:
        return 0.0
    along = longitude_rad - meridian_rad
    # Seen from below the pole the meridians turn the other way around.
    return math.remainder(along if latitude_rad > 0.0 else -along, 2.0 * math.pi)


def map_yaw_rad(azimuth_rad: ArrayLike, east_rad: float) -> FloatArray:
    """Yaw in ``map`` of directions that are given by azimuth.

    Args:
        azimuth_rad: (...) clockwise from north.
        east_rad: of ``east_yaw_rad``.

    Returns:
        (...) float64 rad, from x towards y, -pi to pi.
    """
    yaw = 0.5 * math.pi + east_rad - np.asarray(azimuth_rad, dtype=np.float64)
    wrapped: FloatArray = np.arctan2(np.sin(yaw), np.cos(yaw))
    return wrapped


def map_direction(azimuth_rad: ArrayLike, elevation_rad: ArrayLike, east_rad: float) -> FloatArray:
    """Unit vectors in ``map`` towards a body in the sky.

    Args:
        azimuth_rad: (...) clockwise from north.
        elevation_rad: (...) above the horizontal.
        east_rad: of ``east_yaw_rad``.

    Returns:
        (..., 3) float64.
    """
    yaw = map_yaw_rad(azimuth_rad, east_rad)
    elevation = np.asarray(elevation_rad, dtype=np.float64)
    flat = np.cos(elevation)
    direction: FloatArray = np.stack(
        (flat * np.cos(yaw), flat * np.sin(yaw), np.sin(elevation)), axis=-1
    )
    return direction
