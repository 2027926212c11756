"""What a vehicle can cross: slope, roughness and step height on its own scale, and their cost.

* **Slope** and **roughness** are those of the least-squares plane in a window on the scale of the
  vehicle, over seen cells only.
* **Step height** is how far a cell's highest surface stands above the lowest ground within a
  wheel's reach, or on two rings under the body, after the slope of the wider ground is taken off:
  a smooth slope has none, a rock has its height, and so has the upper edge of a drop. The rings
  find boulders so wide that no wheel spans their flank, but over which the body does not pass.
  The high cell is the one that is marked: obstacles do not grow before they are inflated.
* **Cost** is the largest of the three, each as a share of its limit; 1.0 is lethal, everything
  else stays below 0.99.
* **Unknown** stays NaN. Gaps between seen cells that are narrower than twice ``fill_radius_m``
  take the height of the plane through what surrounds them; beyond, and outwards, nothing is
  invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core import config as params
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.plane_fit import fit_planes, regional_slope
from ilrs_robots.core.mapping.step_height import disc, reach_offsets, step_height
from ilrs_robots.core.types import BoolArray, Float32Array

LETHAL_COST: Final = 1.0
MAX_SAFE_COST: Final = 0.98
REASONS: Final = ("unknown", "slope", "step", "roughness")
"""Names of the values of ``TraversabilityLayers.reason``."""


@dataclass(frozen=True)
class TraversabilityConfig:
    """Scales at which the ground is judged."""

    plane_window_m: float = param(
        1.5, doc="side of the window of slope and roughness", unit="m", low=0.1, high=30.0
    )
    step_radius_m: float = param(
        0.28, doc="reach of a wheel: within it a step is seen", unit="m", low=0.02, high=5.0
    )
    body_radius_m: float = param(
        0.8, doc="reach under the body within which a boulder is seen", unit="m", low=0.0, high=9.0
    )
    region_window_m: float = param(
        3.0, doc="side of the window of the slope that steps are relative to", unit="m",
        low=0.2, high=60.0,
    )  # fmt: skip
    fill_radius_m: float = param(
        0.3, doc="unseen cells farther from seen ones stay unknown", unit="m", low=0.0, high=5.0
    )
    min_support: int = param(8, doc="seen cells that a plane needs", low=3, high=10_000)

    def __post_init__(self) -> None:
        """Check ranges."""
        params.check(self)


@dataclass(frozen=True)
class TraversabilityLayers:
    """Hazards of a grid, each (rows, cols); NaN is unknown.

    Attributes:
        slope_rad: steepness of the local plane, float32.
        step_m: step height, float32.
        roughness_m: root mean square residual to the plane, float32.
        cost: 0..1 float32, of the cell itself; lethal is 1.0.
        lethal: bool, where ``cost`` is 1.0.
        filled: bool, cells whose height is interpolated.
        reason: uint8 index into ``REASONS`` of what dominates the cost.
    """

    slope_rad: Float32Array
    step_m: Float32Array
    roughness_m: Float32Array
    cost: Float32Array
    lethal: BoolArray
    filled: BoolArray
    reason: NDArray[np.uint8]


@njit(cache=True, error_model="numpy")
def _judge(
    slope: Float32Array,
    step: Float32Array,
    roughness: Float32Array,
    most: Float32Array,
    cost: Float32Array,
    lethal: BoolArray,
    reason: NDArray[np.uint8],
) -> None:
    """Cost, its dominating reason, and what is lethal; flat arrays, the last three written."""
    one, safe = np.float32(1.0), np.float32(MAX_SAFE_COST)
    for k in range(cost.shape[0]):
        first, second, third = slope[k] / most[0], step[k] / most[1], roughness[k] / most[2]
        worst = max(first, second, third)
        why = 1 if first == worst else (2 if second == worst else 3)
        known = worst == worst
        lethal[k] = known and worst >= one
        cost[k] = one if lethal[k] else worst * safe
        reason[k] = why if known else 0


def _known_mask(ground: Float32Array, radius_cells: float) -> tuple[BoolArray, BoolArray]:
    """Seen cells, and the gaps between them that may be filled."""
    seen: BoolArray = np.isfinite(ground)
    reach = int(radius_cells + 1e-6)
    if reach < 1:
        return seen, np.zeros_like(seen)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    offsets = disc(radius_cells) + reach
    kernel[offsets[:, 0], offsets[:, 1]] = 1
    mask = cv2.copyMakeBorder(seen.view(np.uint8), *(reach,) * 4, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, kernel)[reach:-reach, reach:-reach]
    return seen, (closed != 0) & ~seen


def traversability(
    elevation: Float32Array,
    resolution_m: float,
    limits: VehicleLimits,
    config: TraversabilityConfig | None = None,
    upper_bound: Float32Array | None = None,
) -> TraversabilityLayers:
    """Judge a grid of heights for a vehicle.

    Args:
        elevation: (rows, cols) float32, metres, NaN unknown.
        resolution_m: cell size.
        limits: what the vehicle can cross, and its footprint.
        config: scales; defaults where None.
        upper_bound: (rows, cols) float32, highest surface of each cell; where it is given, steps
            are measured from the larger of the two down to ``elevation``.

    Raises:
        TerrainError: the arrays are not two-dimensional or not alike.
    """
    cfg = config or TraversabilityConfig()
    ground = np.ascontiguousarray(elevation, dtype=np.float32)
    if ground.ndim != 2 or (upper_bound is not None and upper_bound.shape != ground.shape):
        raise TerrainError(f"heights must be grids of one shape, got {ground.shape}")
    seen, fill = _known_mask(ground, cfg.fill_radius_m / resolution_m)
    fit = fit_planes(ground, resolution_m, cfg.plane_window_m, seen | fill, cfg.min_support)
    filled: BoolArray = fill & np.isfinite(fit.level_m)
    surface = ground.copy()
    np.copyto(surface, fit.level_m, where=filled)
    top = surface if upper_bound is None else np.fmax(surface, upper_bound)
    offsets = reach_offsets(cfg.step_radius_m / resolution_m, cfg.body_radius_m / resolution_m)
    slope_x, slope_y = regional_slope(ground, resolution_m, cfg.region_window_m)
    step_m = step_height(top, surface, slope_x, slope_y, resolution_m, offsets)
    slope_rad = np.arctan(np.sqrt(fit.slope_x**2 + fit.slope_y**2))
    step_m[np.isnan(slope_rad)] = np.nan
    return _combine(slope_rad, step_m, fit.residual_m, filled, limits)


def _combine(
    slope_rad: Float32Array,
    step_m: Float32Array,
    roughness_m: Float32Array,
    filled: BoolArray,
    limits: VehicleLimits,
) -> TraversabilityLayers:
    cost = np.empty_like(slope_rad)
    lethal: BoolArray = np.empty(cost.shape, np.bool_)
    reason = np.empty(cost.shape, np.uint8)
    most = np.array(
        (limits.max_slope_rad, limits.max_step_m, limits.max_roughness_m), dtype=np.float32
    )
    _judge(
        slope_rad.ravel(), step_m.ravel(), roughness_m.ravel(), most,
        cost.ravel(), lethal.ravel(), reason.ravel(),
    )  # fmt: skip
    return TraversabilityLayers(slope_rad, step_m, roughness_m, cost, lethal, filled, reason)


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    limits = VehicleLimits(0.35, 0.24, 0.12, 2.6, 2.1)
    traversability(np.zeros((20, 20), np.float32), 0.1, limits)
