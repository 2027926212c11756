"""What a landing place must be like, and the points at which the ground is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray, IntArray

LEGS = 6


@dataclass(frozen=True)
class LandingConfig:
    """A vehicle on six feet at even angles, and the limits of the ground under it."""

    feet_circle_m: float = param(
        0.95, doc="radius of the circle of the feet", unit="m", low=0.05, high=20.0
    )
    foot_m: float = param(0.10, doc="radius of a foot", unit="m", low=0.01, high=2.0)
    max_slope_rad: float = param(
        math.radians(10.0), doc="tilt of the standing vehicle", unit="rad", low=0.01, high=1.0
    )
    max_residual_m: float = param(
        0.05, doc="ground under a foot off the plane through all", unit="m", low=0.001, high=1.0
    )
    max_rock_m: float = param(
        0.25, doc="ground above that plane anywhere under it", unit="m", low=0.01, high=5.0
    )
    max_edge_m: float = param(0.15, doc="relief under one foot", unit="m", low=0.01, high=5.0)
    headings: int = param(6, doc="orientations between two feet", low=1, high=60)
    sigmas: float = param(3.0, doc="standard deviations of height kept", low=0.0, high=10.0)
    least_sigma_m: float = param(
        0.003, doc="of a height, where the map says less or nothing", unit="m", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges and that feet do not overlap.

        Raises:
            ConfigError: with value, limit and unit.
        """
        config.check(self)
        if 2.0 * self.foot_m >= self.feet_circle_m:
            raise ConfigError(
                f"foot_m = {self.foot_m} m: must be below half of feet_circle_m = "
                f"{self.feet_circle_m} m"
            )


class LandingTable(NamedTuple):
    """Points and limits as the kernel takes them; offsets are in cells from the place."""

    ring: IntArray
    """(K, 2) row and column of the feet's places, K = 6 headings, counter-clockwise."""
    turn: FloatArray
    """(K, 2) cosine and sine of their angle."""
    disc: IntArray
    """(D, 2) row and column of the pools that cover the ground underneath."""
    disc_xy: FloatArray
    """(D, 2) metres of those."""
    reach: int
    """Cells to any point that is looked at."""
    pool: int
    """Cells from the middle of a pool to its edge."""
    headings: int
    radius: float
    foot: float
    resolution: float
    slope: float
    residual: float
    rock: float
    edge: float
    sigmas: float


def table_of(settings: LandingConfig, resolution_m: float) -> LandingTable:
    """Points and limits for a map of this spacing.

    Args:
        settings: of the vehicle.
        resolution_m: of the map.

    Raises:
        ConfigError: cells are larger than the feet's circle can be judged with.
    """
    s = settings
    if not 0.0 < resolution_m <= 0.4 * s.feet_circle_m:
        raise ConfigError(
            f"landing map of {resolution_m} m cells: must be above 0 m and at most "
            f"{0.4 * s.feet_circle_m:.2f} m (0.4 of the feet's circle)"
        )
    angle = 2.0 * math.pi * np.arange(LEGS * s.headings) / (LEGS * s.headings)
    turn = np.column_stack((np.cos(angle), np.sin(angle)))
    ring = np.rint(s.feet_circle_m * turn[:, ::-1] / resolution_m).astype(np.int64)
    pool = max(round(0.15 / resolution_m), 0)
    span = (2 * pool + 1) * resolution_m
    count = math.ceil((s.feet_circle_m + s.foot_m) / span)
    side = np.arange(-count, count + 1) * (2 * pool + 1)
    rows, cols = (grid.ravel() for grid in np.meshgrid(side, side, indexing="ij"))
    # A pool counts where its nearest corner lies under the vehicle.
    gap_r = np.maximum(np.abs(rows) - pool - 0.5, 0.0)
    gap_c = np.maximum(np.abs(cols) - pool - 0.5, 0.0)
    inside = np.hypot(gap_r, gap_c) * resolution_m <= s.feet_circle_m + s.foot_m
    disc = np.column_stack((rows[inside], cols[inside])).astype(np.int64)
    reach = int(max(np.abs(disc).max() + pool, np.abs(ring).max())) + 1
    return LandingTable(
        ring, turn, disc, disc[:, ::-1].astype(np.float64) * resolution_m, reach, pool,
        s.headings, s.feet_circle_m, s.foot_m, resolution_m, math.tan(s.max_slope_rad),
        s.max_residual_m, s.max_rock_m, s.max_edge_m, s.sigmas,
    )  # fmt: skip


def disc_offsets(radius_m: float, resolution_m: float) -> np.ndarray:
    """Mask of the cells whose centres lie within a radius, odd-sided, uint8 for OpenCV."""
    count = math.floor(radius_m / resolution_m + 1e-9)
    side = np.arange(-count, count + 1) * resolution_m
    mask: np.ndarray = (np.hypot(*np.meshgrid(side, side)) <= radius_m + 1e-9).astype(np.uint8)
    return mask
