"""Detail below a DEM's posting that continues the statistics of the DEM itself.

A DEM under a smooth cubic has the slopes of its posting at every shorter baseline; real ground is
rougher there. What is missing follows from self-affine scaling: the RMS deviation over a lag L is
nu(L) = nu(p) (L / p)^H, of which the cubic already has nu(p) L / p. The rest, at 1 m,

    nu_add = nu(p) sqrt(p^-2H - p^-2),   p in metres,

is the roughness that is added. nu(p) is taken from the median, so that a few steep crater walls do
not roughen the plains.

Reference: Shepard et al. 2001, J. Geophys. Res. 106, 32777 (RMS deviation, self-affine scaling);
Rosenburg et al. 2011, J. Geophys. Res. 116, E02001 (Hurst exponent 0.95 in the highlands).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.features import SurfaceConfig

POSTINGS_M: Final = (2.0, 10.0)
"""Roughness begins with waves of 5 m: a finer DEM holds them already, between them and a much
coarser posting there would be a gap."""
_HURST: Final = 0.95
_MAD_TO_RMS: Final = 1.4826  # of a Gaussian
_CRATER_POSTINGS: Final = 2.4  # a crater of less than about this many postings is not in the DEM


def deviation_m(dem: Dem) -> float:
    """Robust RMS deviation between neighbouring samples along rows and columns, metres.

    Raises:
        TerrainError: no two neighbours are known.
    """
    heights = dem.heights_m
    steps = [np.abs(np.diff(heights, axis=axis)) for axis in (0, 1)]
    known = np.concatenate([s[np.isfinite(s)] for s in steps])
    if known.size == 0:
        raise TerrainError(f"none of {heights.size} samples has a known neighbour: no statistics")
    return _MAD_TO_RMS * float(np.median(known))


def detail_config(dem: Dem, settings: SurfaceConfig | None = None) -> SurfaceConfig:
    """The random background that continues a DEM below its posting.

    Args:
        dem: of which the roughness, and the largest crater that it cannot show, are taken.
        settings: everything else.

    Raises:
        TerrainError: the posting is too fine or too coarse, or nothing is known.
    """
    settings = settings if settings is not None else SurfaceConfig()
    posting = dem.spec.resolution_m
    if not POSTINGS_M[0] <= posting <= POSTINGS_M[1]:
        raise TerrainError(
            f"posting {posting:g} m: detail can continue postings of {POSTINGS_M[0]:g} to "
            f"{POSTINGS_M[1]:g} m"
        )
    missing = deviation_m(dem) * math.sqrt(posting ** (-2.0 * _HURST) - posting**-2.0)
    largest = min(max(_CRATER_POSTINGS * posting, 2.0 * settings.crater_min_m), 60.0)
    return replace(settings, roughness_m=min(missing, 1.0), crater_max_m=largest)
