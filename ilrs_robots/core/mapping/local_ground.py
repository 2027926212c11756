"""What the ground around each cell is like, whatever the vehicle's limits: planes and steps.

Each cell depends on its surroundings alone, to the last bit (``halo_cells`` says how far), so that
part of a grid can be computed anew by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ilrs_robots.core.mapping.plane_fit import fit_planes, half_window, zero_level_m
from ilrs_robots.core.mapping.regional_slope import block_size, regional_slope
from ilrs_robots.core.mapping.step_height import disc, reach_offsets, step_height
from ilrs_robots.core.mapping.traversability_config import TraversabilityConfig
from ilrs_robots.core.types import BoolArray, Float32Array


class LocalGround(NamedTuple):
    """Ground around each cell, (rows, cols); float32 but for ``filled``; NaN is unknown."""

    surface_m: Float32Array
    """Elevation, with narrow gaps filled."""
    filled: BoolArray
    slope_x: Float32Array
    """dz/dx of the plane at the scale of the vehicle."""
    slope_y: Float32Array
    roughness_m: Float32Array
    step_m: Float32Array
    region_x: Float32Array
    """dz/dx of the wide surroundings, without NaN."""
    region_y: Float32Array


def halo_cells(config: TraversabilityConfig, resolution_m: float) -> int:
    """How far the ground of a cell reaches: beyond, nothing can change it."""
    window = half_window(config.plane_window_m, resolution_m)
    surface = max(window, 2 * int(config.fill_radius_m / resolution_m + 1e-6))
    offsets = reach_offsets(
        config.step_radius_m / resolution_m, config.body_radius_m / resolution_m
    )
    block = block_size(config.region_window_m, resolution_m)
    region = block * (half_window(config.region_window_m, block * resolution_m) + 2)
    return max(int(np.abs(offsets).max()) + surface, region) + 1


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


def local_ground(
    elevation_m: Float32Array,
    resolution_m: float,
    config: TraversabilityConfig,
    upper_bound_m: Float32Array | None = None,
    first_cell: tuple[int, int] = (0, 0),
    zero_m: float | None = None,
) -> LocalGround:
    """Planes and steps of a grid of heights.

    Args:
        elevation_m: (rows, cols) float32, contiguous, NaN unknown.
        resolution_m: cell size.
        config: scales.
        upper_bound_m: (rows, cols) float32, highest surface of each cell, or None.
        first_cell: row and column of cell [0, 0] in the lattice that the window moves on.
        zero_m: ``zero_level_m`` of the grid that this one is a part of; its own where None.
    """
    cfg, step = config, resolution_m
    zero = zero_level_m(elevation_m) if zero_m is None else zero_m
    seen, fill = _known_mask(elevation_m, cfg.fill_radius_m / step)
    fit = fit_planes(
        elevation_m, step, cfg.plane_window_m, seen | fill, cfg.min_support, zero_m=zero
    )
    filled: BoolArray = fill & np.isfinite(fit.level_m)
    surface = np.where(filled, fit.level_m, elevation_m)
    top = surface if upper_bound_m is None else np.fmax(surface, upper_bound_m)
    region = regional_slope(elevation_m, step, cfg.region_window_m, first_cell, zero)
    offsets = reach_offsets(cfg.step_radius_m / step, cfg.body_radius_m / step)
    step_m = step_height(top, surface, *region, step, offsets)
    step_m[np.isnan(fit.slope_x)] = np.nan
    return LocalGround(surface, filled, fit.slope_x, fit.slope_y, fit.residual_m, step_m, *region)
