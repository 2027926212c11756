"""From an elevation map to the places where the hopper can stand in any orientation.

Unseen ground is unsafe: a place is judged only where every cell under the vehicle is known.
Heights count with the deviation that the map states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.mapping.threads import both
from ilrs_robots.core.planning import landing_kernel
from ilrs_robots.core.planning.landing_config import LandingConfig, disc_offsets, table_of
from ilrs_robots.core.types import BoolArray, Float32Array, GridSpec

REASONS: Final = ("safe", "unseen", "slope", "rough", "rock", "edge")
_FAR: Final = np.float32(1e6)


@dataclass(frozen=True)
class LandingMap:
    """Places of a map judged for landing; arrays are (rows, cols), NaN where not judged.

    Attributes:
        spec: the map's cells; a cell stands for the vehicle's middle on it.
        reason: uint8, index into ``REASONS``; 0 is safe.
        slope: float32, tangent of the largest tilt with its margin.
        rough_m: float32, largest residual of a foot with its margin, m.
        rock_m: float32, highest ground over the plane of the feet with its margin, m.
        elevation_m: float32, the heights that were judged, NaN unseen.
    """

    spec: GridSpec
    reason: NDArray[np.uint8]
    slope: Float32Array
    rough_m: Float32Array
    rock_m: Float32Array
    elevation_m: Float32Array

    @property
    def safe(self) -> BoolArray:
        """(rows, cols) whether the vehicle may land with its middle on the cell."""
        found: BoolArray = self.reason == landing_kernel.SAFE
        return found

    def counts(self) -> dict[str, int]:
        """Cells by reason."""
        number = np.bincount(self.reason.ravel(), minlength=len(REASONS))
        return {name: int(n) for name, n in zip(REASONS, number, strict=True)}


def landing_map(
    elevation_m: Float32Array, spec: GridSpec, settings: LandingConfig | None = None, *,
    variance_m2: Float32Array | None = None, keep_out: BoolArray | None = None,
    two_threads: bool = True,
) -> LandingMap:  # fmt: skip
    """Judge every cell as a landing place for all orientations.

    Args:
        elevation_m: (rows, cols) heights, NaN unseen.
        spec: their grid.
        settings: the vehicle and its limits; defaults where None.
        variance_m2: (rows, cols) variance of the heights, NaN unseen; None where none is known.
        keep_out: (rows, cols) cells that may not be stood on; they count as unseen.
        two_threads: whether a second core may help.

    Raises:
        TerrainError: arrays do not fit the grid.
        ConfigError: cells are too large.
    """
    settings = settings or LandingConfig()
    for name, layer in (("elevation", elevation_m), ("variance", variance_m2),
                        ("keep_out", keep_out)):  # fmt: skip
        if layer is not None and layer.shape != spec.shape:
            raise TerrainError(f"{name} is {layer.shape}: its grid is {spec.shape}")
    table = table_of(settings, spec.resolution_m)
    heights = np.ascontiguousarray(elevation_m, dtype=np.float32)
    known = np.isfinite(heights)
    sigma = np.full(spec.shape, settings.least_sigma_m, dtype=np.float32)
    if variance_m2 is not None:
        known &= variance_m2 >= 0.0
        deviation = np.sqrt(np.where(known, variance_m2, 0.0)).astype(np.float32)
        np.maximum(sigma, deviation, out=sigma)
    if keep_out is not None:
        known &= ~keep_out
    level = np.float32(np.median(heights[known][::97])) if known.any() else np.float32(0.0)
    heights = np.where(known, heights - level, np.float32(0.0))
    foot, relief, roof, worst, unseen = _filtered(heights, sigma, known, settings, spec)
    reason = np.empty(spec.shape, dtype=np.uint8)
    slope, rough, rock = (np.full(spec.shape, np.nan, dtype=np.float32) for _ in range(3))
    half = spec.rows // 2

    def part(side: int) -> None:
        low, high = (0, half) if side == 0 else (half, spec.rows)
        landing_kernel.judge(
            table, foot, relief, roof, worst, unseen, low, high, reason, slope, rough, rock
        )

    both(part, two_threads)
    return LandingMap(spec, reason, slope, rough, rock, np.asarray(elevation_m, np.float32))


def _filtered(
    heights: Float32Array, sigma: Float32Array, known: BoolArray, settings: LandingConfig,
    spec: GridSpec,
) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array, NDArray[np.uint8]]:  # fmt: skip
    """Highest under a foot, relief under it, highest in a pool, deviation around, unseen below."""
    table = table_of(settings, spec.resolution_m)
    res, diagonal = spec.resolution_m, 0.7072 * spec.resolution_m
    # A foot's middle lies up to half a diagonal off its cell, as does ground off its own cell.
    wide = disc_offsets(settings.foot_m + 2.0 * diagonal, res)
    tight = disc_offsets(settings.foot_m + 2.0 * diagonal, res)
    side = 2 * table.pool + 1
    foot = cv2.dilate(heights, wide)
    relief = cv2.dilate(heights, tight) - cv2.erode(heights, tight)
    roof = cv2.dilate(heights, np.ones((side, side), np.uint8)) if table.pool else heights
    span = np.ones((2 * table.reach + 1, 2 * table.reach + 1), np.uint8)
    worst = cv2.dilate(sigma, span)
    gaps = (~known).astype(np.uint8)
    if gaps.any():
        disc = disc_offsets(settings.feet_circle_m + settings.foot_m + 2.0 * diagonal, res)
        gaps = cv2.dilate(gaps, disc)
    return (
        np.asarray(foot, np.float32), np.asarray(relief, np.float32), np.asarray(roof, np.float32),
        np.asarray(worst, np.float32), np.asarray(gaps, np.uint8),
    )  # fmt: skip


def warm_up() -> None:
    """Compile the kernel."""
    spec = GridSpec(0.0, 0.0, 0.2, 24, 24)
    landing_map(np.zeros(spec.shape, np.float32), spec, two_threads=False)
