"""Parameters of the costmap and the grid it lies on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray, GridSpec


@dataclass(frozen=True)
class CostmapConfig:
    """Resolution, what unseen ground costs, and how far hazards are kept away."""

    resolution_m: float = param(0.25, doc="cell size", unit="m", low=0.02, high=10.0)
    margin_m: float = param(
        25.0, doc="ground around start and goal that is planned on", unit="m", low=1.0, high=1000.0
    )
    max_cells: int = param(4_000_000, doc="largest map", low=100, high=100_000_000)
    lethal_cost: float = param(0.99, doc="cost from which a cell is closed", low=0.1, high=1.0)
    unseen_cost: float = param(0.1, doc="least cost of ground not yet seen", low=0.0, high=0.98)
    lethal_radius_m: float = param(
        1.25, doc="the vehicle's centre stays this far from closed cells", unit="m", low=0.0
    )
    narrow_m: float = param(
        0.1, doc="by which that distance shrinks where there is no other way", unit="m", low=0.0,
        high=10.0,
    )  # fmt: skip
    near_cost: float = param(0.75, doc="cost just outside that radius", low=0.0, high=0.98)
    decay_length_m: float = param(
        0.6, doc="distance over which that cost falls by e", unit="m", low=0.01, high=100.0
    )
    decay_radius_m: float = param(
        3.0, doc="distance beyond which hazards cost nothing", unit="m", low=0.0, high=100.0
    )
    trust_m: float = param(
        5.0, doc="ground that was only seen from farther away is doubted, not closed", unit="m",
        low=0.0, high=1000.0,
    )  # fmt: skip
    recheck_m: float = param(
        3.5, doc="the same distance once no way is left", unit="m", low=0.0, high=1000.0
    )
    doubt_cost: float = param(
        0.8, doc="cost of ground that looked closed from far away", low=0.0, high=0.98
    )
    prior_max_cost: float = param(
        0.6, doc="prior cost of a slope at the limit", low=0.0, high=0.98
    )
    prior_slope_margin_rad: float = param(
        0.09, doc="excess over the slope limit that closes a prior cell", unit="rad", low=0.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
        if self.narrow_m > self.lethal_radius_m:
            raise ConfigError(
                f"narrow_m = {self.narrow_m} m: must not be above lethal_radius_m = "
                f"{self.lethal_radius_m} m"
            )
        if self.decay_radius_m < self.lethal_radius_m:
            raise ConfigError(
                f"decay_radius_m = {self.decay_radius_m} m: must not be below lethal_radius_m = "
                f"{self.lethal_radius_m} m"
            )


def region(
    config: CostmapConfig, points_xy_m: FloatArray, bounds_m: tuple[float, ...] | None = None
) -> GridSpec:
    """Grid around points with the margin, on the lattice of whole multiples of the resolution.

    Args:
        config: resolution and margin.
        points_xy_m: (N, 2) map.
        bounds_m: x_min, y_min, x_max, y_max that the grid must not leave, or None.
    """
    low = points_xy_m.min(axis=0) - config.margin_m
    high = points_xy_m.max(axis=0) + config.margin_m
    if bounds_m is not None:
        low, high = np.maximum(low, bounds_m[:2]), np.minimum(high, bounds_m[2:])
    first = np.ceil(low / config.resolution_m).astype(int)
    last = np.floor(high / config.resolution_m).astype(int)
    cols, rows = np.maximum(last - first + 1, 1)
    origin = first * config.resolution_m
    return GridSpec(float(origin[0]), float(origin[1]), config.resolution_m, int(rows), int(cols))
