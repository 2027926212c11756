"""Ground as local planning and control look at it: cost, distance to closed cells, heights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.planning.attitude_prediction import Heights, HeightTable
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

_WIDER = 1.04
_NOWHERE = GridSpec(0.0, 0.0, 1.0, 2, 2)


class TerrainTable(NamedTuple):
    """Terrain as kernels take it."""

    cost: Float32Array
    clearance: Float32Array
    x0: float
    y0: float
    resolution: float
    heights: HeightTable
    peak: Float32Array
    known: bool
    """Whether there are heights."""


@dataclass(frozen=True)
class LocalTerrain:
    """Cost in the frame of the poses, and heights that may lie in another one.

    Attributes:
        spec: grid of ``cost`` and ``clearance_m``.
        cost: (rows, cols) float32, 0 to 1, of the cells themselves, not inflated.
        clearance_m: (rows, cols) float32, distance to the nearest closed cell's edge.
        heights: the ground's heights, or None where nobody told.
        peak_radius_m: the highest ground within it is what the underside passes over.
    """

    spec: GridSpec
    cost: Float32Array
    clearance_m: Float32Array
    heights: Heights | None = None
    peak_radius_m: float = 0.5

    def __post_init__(self) -> None:
        """Check shapes.

        Raises:
            ConfigError: an array is not that of the grid.
        """
        for name, layer in (("cost", self.cost), ("clearance", self.clearance_m)):
            if layer.shape != self.spec.shape:
                raise ConfigError(f"{name} {layer.shape}: the grid is {self.spec.shape}")

    @cached_property
    def table(self) -> TerrainTable:
        """What kernels take."""
        heights = self.heights
        known = heights is not None
        if heights is None:
            heights = Heights(_NOWHERE, np.full(_NOWHERE.shape, np.nan, np.float32))
        table = heights.table
        return TerrainTable(
            np.ascontiguousarray(self.cost, dtype=np.float32),
            np.ascontiguousarray(self.clearance_m, dtype=np.float32),
            self.spec.origin_x_m,
            self.spec.origin_y_m,
            self.spec.resolution_m,
            table,
            highest_around(table.upper, self.peak_radius_m / table.resolution),
            known,
        )


def highest_around(upper_m: Float32Array, radius: float) -> Float32Array:
    """Highest known value within a disc around each cell.

    Args:
        upper_m: (rows, cols) float32, metres, NaN unknown.
        radius: in cells.

    Returns:
        (rows, cols) float32, NaN where nothing in the disc is known.
    """
    size = 2 * max(int(radius), 0) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    low = np.float32(-3e38)
    held = np.where(np.isnan(upper_m), low, upper_m)
    highest = np.asarray(cv2.dilate(held, disc, borderType=cv2.BORDER_CONSTANT, borderValue=-3e38))
    return np.where(highest <= low, np.float32(np.nan), highest)


def clearance_of(cost: Float32Array, resolution_m: float, lethal_cost: float) -> Float32Array:
    """Distance of each cell's centre from the edge of the nearest closed cell.

    Args:
        cost: (rows, cols) float32, 0 to 1, closed from ``lethal_cost`` on; NaN is closed.
        resolution_m: cell size.
        lethal_cost: cost from which a cell is closed.

    Returns:
        (rows, cols) float32, metres, 0 in closed cells, at most 1000 m.
    """
    free = (cost < lethal_cost).astype(np.uint8)
    away = np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))
    clear = np.clip((away - 0.5) * np.float32(resolution_m), 0.0, 1000.0)
    return np.asarray(clear, dtype=np.float32)


class Discs(NamedTuple):
    """Discs along the vehicle's axis that together cover its footprint."""

    along: FloatArray
    """(D,) centres, metres, base_link."""
    radius: float


def footprint_discs(length_m: float, width_m: float, wider: float = _WIDER) -> Discs:
    """The fewest equal discs that cover a rectangle and stand out by no more than a share.

    A rectangle is too wide for a gap exactly when it is; discs of half its diagonal refuse gaps
    that it fits. With more and smaller discs the excess goes to zero.

    Args:
        length_m: of the footprint.
        width_m: of the footprint.
        wider: width of the discs over that of the footprint.
    """
    half = 0.5 * width_m
    reach = half * math.sqrt(wider**2 - 1.0)
    count = max(math.ceil(0.5 * length_m / reach), 1)
    part = length_m / count
    along = -0.5 * length_m + part * (np.arange(count) + 0.5)
    return Discs(np.asarray(along, dtype=np.float64), math.hypot(0.5 * part, half))
