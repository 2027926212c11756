"""A picture of terrain under the Sun of a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.environment.ephemeris import sun
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.types import Float32Array

UNKNOWN_RGB: Final = (96, 32, 96)
_WHITE_PERCENTILE: Final = 99.0  # of the lit ground: at the pole even that is grazed by the light
_GAMMA: Final = 2.2


@dataclass(frozen=True)
class Rendering:
    """A picture and the light in it.

    Attributes:
        pixels: (rows, cols, 3) uint8 red, green, blue; the first row has the largest y.
        azimuth_rad: of the Sun from north, clockwise, at the middle.
        elevation_rad: of its centre above the horizontal there.
        lit_share: of the known ground.
    """

    pixels: NDArray[np.uint8]
    azimuth_rad: float
    elevation_rad: float
    lit_share: float


def render(
    dem: Dem, utc_s: float, latitude_rad: float, longitude_rad: float, *, shadows: bool = True
) -> Rendering:
    """Shade terrain as the Sun lights it; only what the DEM holds casts shadows.

    Args:
        dem: of which a picture is made.
        utc_s: POSIX seconds.
        latitude_rad: of the middle.
        longitude_rad: of the middle.
        shadows: whether terrain throws any.

    Raises:
        EphemerisError: a time or place without an ephemeris.
        TerrainError: the projection is one in which directions are not known.
    """
    frame = SiteFrame.of_dem(dem, latitude_rad, longitude_rad)
    height = float(np.nanmean(dem.heights_m, dtype=np.float64))
    seen = sun(utc_s, latitude_rad, longitude_rad, height)
    yaw = float(frame.yaw_of_azimuth(seen.azimuth_rad, latitude_rad, longitude_rad))
    elevation = float(seen.elevation_rad)
    shade = hillshade(dem.heights_m, dem.spec.resolution_m, yaw, elevation, cast_shadows=shadows)
    known = ~np.isnan(shade)
    lit = float(np.mean(shade[known] > 0.0)) if known.any() else math.nan
    return Rendering(_picture(shade), float(seen.azimuth_rad), elevation, lit)


def _picture(shade: Float32Array) -> NDArray[np.uint8]:
    lit = shade[shade > 0.0]
    white = float(np.percentile(lit, _WHITE_PERCENTILE)) if lit.size else 1.0
    with np.errstate(invalid="ignore"):
        grey = np.clip(shade / white, 0.0, 1.0) ** (1.0 / _GAMMA)
    pixels = np.repeat(np.nan_to_num(255.0 * grey)[..., None], 3, axis=2).astype(np.uint8)
    pixels[np.isnan(shade)] = UNKNOWN_RGB
    return np.ascontiguousarray(pixels[::-1])
