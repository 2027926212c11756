"""What one place sees of the Sun, straight from the terrain: no horizon map has to be made."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.links import geometry_of
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def horizon_toward(z: np.ndarray, geo: np.ndarray, a: np.ndarray, yaw: float) -> float:
    """Elevation of the terrain's horizon from an antenna or panel (x, y, height) along a yaw.

    The ground is looked at where the ray crosses grid lines across it; holes hide nothing.
    """
    dx, dy = math.cos(yaw), math.sin(yaw)
    along_x = abs(dx) >= abs(dy)
    lead, side = (dx, dy) if along_x else (dy, dx)
    c, r = (a[0] - geo[0]) / geo[2], (a[1] - geo[1]) / geo[2]
    start, beside = (c, r) if along_x else (r, c)
    lines = z.shape[1] if along_x else z.shape[0]
    count = z.shape[0] if along_x else z.shape[1]
    turn = 1 if lead > 0.0 else -1
    k = math.floor(start) + 1 if lead > 0.0 else math.ceil(start) - 1
    steepest: float = -1e9
    while 0 <= k < lines:
        steps = (k - start) / lead
        at = beside + steps * side
        k += turn
        if not 0.0 <= at <= count - 1:
            break
        i = min(int(at), count - 2)
        line = k - turn
        first, second = (z[i, line], z[i + 1, line]) if along_x else (z[line, i], z[line, i + 1])
        along = steps * geo[2]
        rise = first + (at - i) * (second - first) - a[2] - along * along / (2.0 * MOON_RADIUS_M)
        if rise > steepest * along:
            steepest = rise / along
    elevation: float = math.atan(steepest)
    return elevation


def sun_share(
    dem: Dem, at_m: ArrayLike, yaw_rad: float, elevation_rad: float, radius_rad: float
) -> float:
    """Visible share of a disc over the terrain, 0 to 1.

    The horizon is a straight line through its height below and beside the disc's centre; beyond
    the terrain the Moon is a sphere of its median height.

    Args:
        dem: of the ground.
        at_m: (3,) x, y in map and height above the reference sphere, metres.
        yaw_rad: of the disc's centre in map.
        elevation_rad: of the disc's centre.
        radius_rad: of the disc.
    """
    at: FloatArray = np.ascontiguousarray(at_m, dtype=np.float64)
    geo = geometry_of(dem)
    level = float(np.nanmedian(dem.heights_m))
    limb = -math.sqrt(2.0 * max(float(at[2]) - level, 0.0) / MOON_RADIUS_M)
    wide = radius_rad / max(math.cos(elevation_rad), 1e-3)
    sides = [
        max(horizon_toward(dem.heights_m, geo, at, yaw_rad + turn), limb) for turn in (-wide, wide)
    ]
    rise = (sides[1] - sides[0]) / (2.0 * radius_rad)
    middle = max(horizon_toward(dem.heights_m, geo, at, yaw_rad), limb)
    s: float = (elevation_rad - middle) / (radius_rad * math.sqrt(1.0 + rise * rise))
    s = min(max(s, -1.0), 1.0)
    return 0.5 + (s * math.sqrt(1.0 - s * s) + math.asin(s)) / math.pi


def warm_up() -> None:
    """Compile the kernel."""
    z = np.zeros((2, 2), dtype=np.float32)
    z.flags.writeable = False
    horizon_toward(z, np.array([0.0, 0.0, 1.0, 0.0]), np.zeros(3), 0.3)
