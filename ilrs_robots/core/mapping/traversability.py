"""What a vehicle can cross: slope, roughness and step height on its own scale, and their cost.

* **Slope** and **roughness** are those of the least-squares plane in a window on the scale of the
  vehicle, over seen cells only.
* **Step height** is how far a cell's highest surface stands above the lowest ground within a
  wheel's reach, or on two rings under the body, after the slope of the wider ground is taken off:
  a smooth slope has none, a rock has its height, and so has the upper edge of a drop. The rings
  find boulders so wide that no wheel spans their flank, but over which the body does not pass.
  The high cell is the one that is marked: obstacles do not grow before they are inflated.
* **Holes and drops** whose foot is not seen show as gaps with a lower far side; the edge and the
  unseen cells behind it are marked (``unseen_edges``).
* **Cost** is the largest of these, each as a share of its limit; 1.0 is lethal, everything else
  stays below 0.99. ``reason`` says which it is.
* **Unknown** stays NaN unless the policy gives it a cost. Gaps between seen cells that are
  narrower than twice ``fill_radius_m`` take the height of the plane through what surrounds them;
  beyond, and outwards, nothing is invented.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.mapping.judge import (
    LETHAL_COST,
    MAX_SAFE_COST,
    REASONS,
    JudgeRules,
    add_edges,
    apply_policy,
    judge,
    name_steps,
    slope_angle,
)
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.local_ground import LocalGround, local_ground
from ilrs_robots.core.mapping.traversability_config import TraversabilityConfig, scaled_to
from ilrs_robots.core.mapping.unseen_edges import EdgeRules, unseen_edges
from ilrs_robots.core.types import BoolArray, Float32Array, IntArray

__all__ = [
    "LETHAL_COST", "MAX_SAFE_COST", "REASONS", "TraversabilityConfig", "TraversabilityLayers",
    "judged", "scaled_to", "traversability",
]  # fmt: skip


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
        reason: uint8 index into ``REASONS`` of what dominates the cost; unseen cells behind a
            hidden edge have that one.
    """

    slope_rad: Float32Array
    step_m: Float32Array
    roughness_m: Float32Array
    cost: Float32Array
    lethal: BoolArray
    filled: BoolArray
    reason: NDArray[np.uint8]


def _ring(config: TraversabilityConfig, resolution_m: float) -> IntArray:
    """Offsets of the ring that tells obstacles from edges, twice as wide as the body's."""
    radius = max(2.0 * config.body_radius_m, 3.0 * config.step_radius_m) / resolution_m
    angle = np.arange(16) * (2.0 * np.pi / 16)
    offsets = np.rint(max(radius, 2.0) * np.stack((np.sin(angle), np.cos(angle)), axis=1))
    return np.ascontiguousarray(offsets, dtype=np.int64)


def _edge_rules(
    limits: VehicleLimits, config: TraversabilityConfig, resolution_m: float
) -> EdgeRules:
    return EdgeRules(
        int(config.gap_m / resolution_m + 1e-6),
        max(int(config.body_radius_m / resolution_m), 2),
        max(int(config.body_radius_m / resolution_m), 1),
        limits.max_step_m,
        math.tan(limits.max_slope_rad),
        resolution_m,
    )


def traversability(
    elevation: Float32Array,
    resolution_m: float,
    limits: VehicleLimits,
    config: TraversabilityConfig | None = None,
    upper_bound: Float32Array | None = None,
    first_cell: tuple[int, int] = (0, 0),
) -> TraversabilityLayers:
    """Judge a grid of heights for a vehicle.

    Args:
        elevation: (rows, cols) float32, metres, NaN unknown.
        resolution_m: cell size.
        limits: what the vehicle can cross, and its footprint.
        config: scales; defaults where None.
        upper_bound: (rows, cols) float32, highest surface of each cell; where it is given, steps
            are measured from the larger of the two down to ``elevation``.
        first_cell: row and column of cell [0, 0] in the lattice that the window moves on.

    Raises:
        TerrainError: the arrays are not two-dimensional or not alike.
    """
    cfg = config or TraversabilityConfig()
    heights = np.ascontiguousarray(elevation, dtype=np.float32)
    if heights.ndim != 2 or (upper_bound is not None and upper_bound.shape != heights.shape):
        raise TerrainError(f"heights must be grids of one shape, got {heights.shape}")
    ground = local_ground(heights, resolution_m, cfg, upper_bound, first_cell)
    return judged(ground, upper_bound, resolution_m, limits, cfg)


def judged(
    ground: LocalGround,
    upper_bound: Float32Array | None,
    resolution_m: float,
    limits: VehicleLimits,
    config: TraversabilityConfig,
) -> TraversabilityLayers:
    """What a vehicle makes of the ground.

    Args:
        ground: planes and steps.
        upper_bound: (rows, cols) float32, metres, highest surface of each cell, or None.
        resolution_m: cell size.
        limits: what the vehicle can cross.
        config: scales and policy.
    """
    step_m, surface = ground.step_m, ground.surface_m
    slope, cost = np.empty_like(step_m), np.empty_like(step_m)
    lethal: BoolArray = np.empty(cost.shape, np.bool_)
    reason = np.empty(cost.shape, np.uint8)
    slope_angle(ground.slope_x.ravel(), ground.slope_y.ravel(), slope.ravel())
    rules = _judge_rules(limits, config)
    flat = cost.ravel(), lethal.ravel(), reason.ravel()
    judge(slope.ravel(), step_m.ravel(), ground.roughness_m.ravel(), rules, *flat)
    top = surface if upper_bound is None else np.fmax(surface, upper_bound)
    name_steps(
        top, surface, ground.region_x, ground.region_y, step_m, _ring(config, resolution_m),
        np.float32(resolution_m), np.float32(0.5 * limits.max_step_m), reason,
    )  # fmt: skip
    if config.gap_m > 0.0:
        edges = _edge_rules(limits, config, resolution_m)
        depth, kind = unseen_edges(surface, ground.slope_x, ground.slope_y, step_m, edges)
        add_edges(depth.ravel(), kind.ravel(), rules, *flat)
    apply_policy(rules.unknown_cost, *flat)
    return TraversabilityLayers(
        slope, step_m, ground.roughness_m, cost, lethal, ground.filled, reason
    )


def _judge_rules(limits: VehicleLimits, cfg: TraversabilityConfig) -> JudgeRules:
    unknown = {"open": math.nan, "costly": cfg.unknown_cost, "closed": LETHAL_COST}[cfg.unknown]
    return JudgeRules(
        np.float32(limits.max_slope_rad),
        np.float32(limits.max_step_m),
        np.float32(limits.max_roughness_m),
        np.float32(unknown),
    )


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    limits = VehicleLimits(0.35, 0.24, 0.12, 2.6, 2.1)
    flat = np.zeros((20, 20), np.float32)
    flat[8:12, 8:12] = np.nan
    traversability(flat, 0.1, limits, upper_bound=flat)
