"""True lunar ground, what an orbital map makes of it, and what a vehicle sees along a way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.prior import LIKE_LOLA, orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface

CELL_M = 5.0


@dataclass(frozen=True)
class Site:
    """The truth, and a map of it with 0.4 m of error, 90 % interpolated, 3 m off."""

    surface: Surface
    prior: Dem
    shift_m: np.ndarray


@lru_cache(maxsize=4)
def site(seed: int, median_slope_deg: float = 5.0, size_m: float = 1000.0) -> Site:
    dem = procedural_dem(seed, size_m, 5.0, median_slope_deg, 2.33 * median_slope_deg)
    prior = orbital_prior(dem, seed + 1000, LIKE_LOLA)
    return Site(Surface(dem, seed), prior, np.array(prior.provenance["shift_xy_m"]))


def swath(
    ground: Surface | Dem, end_m: np.ndarray, heading_rad: float, rng: np.random.Generator,
    length_m: float = 250.0, width_m: float = 80.0, drift: float = 0.003,
) -> np.ndarray:  # fmt: skip
    """(K, 3) mean x, y and height of cells along a straight way that ends at a place.

    Odometry drifts backwards from the end, and gives the ground a slope of ``drift``.
    """
    along = np.arange(0.5 * CELL_M, length_m, CELL_M)
    across = np.arange(-0.5 * width_m + 0.5 * CELL_M, 0.5 * width_m, CELL_M)
    u, v = (axis.ravel() for axis in np.meshgrid(-along, across))
    c, s = np.cos(heading_rad), np.sin(heading_rad)
    xy = end_m + np.column_stack((c * u - s * v, s * u + c * v))
    height = np.zeros(len(xy))
    for corner in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        height += 0.25 * ground.height(xy + 0.25 * CELL_M * np.array(corner))
    off = drift * rng.normal(0.0, 1.0, 2)
    seen = np.column_stack((xy - u[:, None] * off, height + rng.normal(0.0, drift) * u))
    seen[:, 2] += rng.normal(0.0, 0.03, len(seen))
    return seen[np.isfinite(height)]
