"""What an orbital DEM says of the ground before the vehicle has seen it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning.costmap_config import CostmapConfig
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec


class SlopeSource(Protocol):
    """What prior_cost asks of a DEM."""

    def slope_rad(self, xy_m: FloatArray) -> FloatArray:
        """(N,) slopes at (N, 2) points, NaN outside."""
        ...


def prior_cost(
    dem: SlopeSource,
    spec: GridSpec,
    limits: VehicleLimits,
    config: CostmapConfig | None = None,
) -> Float32Array:
    """Cost of an orbital DEM's slopes; soft, because the DEM is coarse and uncertain.

    A cell is closed only where the slope exceeds the limit by ``prior_slope_margin_rad``
    (orbital slopes are wrong by 1.5 to 2.5 degrees; median of PGDA-78).

    Args:
        dem: slopes in the map frame.
        spec: grid in the map frame.
        limits: the vehicle's slope limit.
        config: weights.

    Returns:
        (rows, cols) float32, NaN outside the DEM.
    """
    settings = CostmapConfig() if config is None else config
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    slope = dem.slope_rad(np.stack((x.ravel(), y.ravel()), axis=-1)).reshape(spec.shape)
    share = slope / limits.max_slope_rad
    cost = np.minimum(settings.prior_max_cost * share**2, 0.95)
    closed = slope > limits.max_slope_rad + settings.prior_slope_margin_rad
    return np.where(closed, 1.0, cost).astype(np.float32)
