"""Rocks as arrays of partly buried ellipsoids, and the height of their tops."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Rocks:
    """Partly buried ellipsoids, yawed about z only.

    Attributes:
        centre_m: (N, 3) float64, metres, frame of the terrain.
        semi_axes_m: (N, 3) float64, metres: two horizontal, then the vertical one.
        yaw_rad: (N,) float64, of the first axis from x.
        ids: (N,) int64, of the rock wherever it is asked for.
        height_above_ground_m: (N,) float64, of the top above the ground at the centre. Where it
            is not given, the centre is taken to lie at ground level.
    """

    centre_m: FloatArray
    semi_axes_m: FloatArray
    yaw_rad: FloatArray
    ids: IntArray
    height_above_ground_m: FloatArray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        """Check shapes.

        Raises:
            TerrainError: lengths differ.
        """
        n = len(self.ids)
        if len(self.height_above_ground_m) == 0 and n > 0:
            object.__setattr__(self, "height_above_ground_m", self.semi_axes_m[:, 2].copy())
        shapes = (
            self.centre_m.shape,
            self.semi_axes_m.shape,
            self.yaw_rad.shape,
            self.ids.shape,
            self.height_above_ground_m.shape,
        )
        if shapes != ((n, 3), (n, 3), (n,), (n,), (n,)):
            raise TerrainError(f"rock arrays have shapes {shapes}: lengths must agree")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def diameter_m(self) -> FloatArray:
        """(N,) geometric mean of the horizontal diameters, metres."""
        diameter: FloatArray = 2.0 * np.sqrt(self.semi_axes_m[:, 0] * self.semi_axes_m[:, 1])
        return diameter

    def select(self, keep: BoolArray | IntArray) -> Rocks:
        """Those for which ``keep`` holds, every column alike."""
        return Rocks(
            self.centre_m[keep],
            self.semi_axes_m[keep],
            self.yaw_rad[keep],
            self.ids[keep],
            self.height_above_ground_m[keep],
        )

    def taller_than(self, height_m: float) -> Rocks:
        """Those that stand higher above the ground than ``height_m``."""
        return self.select(self.height_above_ground_m > height_m)


@njit(cache=True, nogil=True)
def raise_to_tops(
    heights: np.ndarray, x0: float, y0: float, res: float,
    centre: np.ndarray, axes: np.ndarray, yaw: np.ndarray,
) -> None:  # fmt: skip
    """Lift a grid of ground heights, in place, to the tops of the ellipsoids above it."""
    rows, cols = heights.shape
    for n in range(centre.shape[0]):
        r = max(axes[n, 0], axes[n, 1])
        j0 = max(math.ceil((centre[n, 0] - r - x0) / res), 0)
        j1 = min(math.floor((centre[n, 0] + r - x0) / res), cols - 1)
        i0 = max(math.ceil((centre[n, 1] - r - y0) / res), 0)
        i1 = min(math.floor((centre[n, 1] + r - y0) / res), rows - 1)
        for i in range(i0, i1 + 1):
            for j in range(j0, j1 + 1):
                top = ellipsoid_top(centre[n], axes[n], yaw[n], x0 + res * j, y0 + res * i)
                if top > heights[i, j]:
                    heights[i, j] = top


@njit(cache=True)
def ellipsoid_top(centre: np.ndarray, axes: np.ndarray, yaw: float, x: float, y: float) -> float:
    """Height of the upper surface of an ellipsoid at a point, -inf beside it."""
    dx = x - centre[0]
    dy = y - centre[1]
    c = math.cos(yaw)
    s = math.sin(yaw)
    u = (c * dx + s * dy) / axes[0]
    v = (c * dy - s * dx) / axes[1]
    rest = 1.0 - u * u - v * v
    if rest < 0.0:
        return -math.inf
    top: float = centre[2] + axes[2] * math.sqrt(rest)
    return top


@njit(cache=True)
def tops_at(
    xy: np.ndarray, heights: np.ndarray, order: np.ndarray, starts: np.ndarray,
    x0: float, y0: float, cell: float, cols: int, rows: int,
    centre: np.ndarray, axes: np.ndarray, yaw: np.ndarray,
) -> None:  # fmt: skip
    """Lift heights at points, in place, to the rocks' tops; rocks are binned by ``cell``."""
    for p in range(xy.shape[0]):
        if math.isnan(heights[p]):
            continue
        ci = math.floor((xy[p, 0] - x0) / cell)
        cj = math.floor((xy[p, 1] - y0) / cell)
        for j in range(max(cj - 1, 0), min(cj + 2, rows)):
            for i in range(max(ci - 1, 0), min(ci + 2, cols)):
                for m in range(starts[j * cols + i], starts[j * cols + i + 1]):
                    n = order[m]
                    top = ellipsoid_top(centre[n], axes[n], yaw[n], xy[p, 0], xy[p, 1])
                    if top > heights[p]:
                        heights[p] = top


def lift_points(xy: FloatArray, ground: FloatArray, rocks: Rocks) -> FloatArray:
    """Height of rock top or ground at points.

    Args:
        xy: (N, 2) metres.
        ground: (N,) heights of the ground, metres.
        rocks: all that may reach the points.

    Returns:
        (N,) metres, a new array.
    """
    heights = ground.copy()
    if len(rocks) == 0 or len(xy) == 0:
        return heights
    cell = max(float(rocks.semi_axes_m[:, :2].max()), 0.25)
    low = rocks.centre_m[:, :2].min(axis=0)
    bins = np.floor((rocks.centre_m[:, :2] - low) / cell).astype(np.int64)
    cols, rows = (int(v) + 1 for v in bins.max(axis=0))
    flat = bins[:, 1] * cols + bins[:, 0]
    order: NDArray[np.int64] = np.argsort(flat, kind="stable")
    starts = np.searchsorted(flat[order], np.arange(cols * rows + 1))
    tops_at(
        xy, heights, order, starts, low[0], low[1], cell, cols, rows,
        rocks.centre_m, rocks.semi_axes_m, rocks.yaw_rad,
    )  # fmt: skip
    return heights
