"""Measures of a drive as functions of arrays: lengths, pose errors, slopes, map errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec, IntArray

GridFunction = Callable[[GridSpec], NDArray[np.floating]]
"""Heights (rows, cols) in metres of a surface at the cell centres of a grid in ``map``."""

_ALIGNED_CELLS = 0.02
"""A turn that moves no cell by more than this share of its width counts as none."""
_SLOPE_BATCH = 4096


def path_length_m(stamps_ns: IntArray, positions_m: FloatArray, still_mps: float = 0.005) -> float:
    """Length of a driven path; what is slower than ``still_mps`` is shaking, not driving.

    Args:
        stamps_ns: (N,) int64, rising.
        positions_m: (N, 3) metres.
        still_mps: bound of standing still.
    """
    steps_m = np.linalg.norm(np.diff(positions_m, axis=0), axis=1)
    moving = steps_m > still_mps * 1e-9 * np.diff(stamps_ns)
    return float(steps_m[moving].sum())


def rpy_of(quats_wxyz: FloatArray) -> FloatArray:
    """(N, 3) roll, pitch, yaw about fixed x, y, z of (N, 4) unit quaternions, radians."""
    w, x, y, z = np.moveaxis(np.asarray(quats_wxyz, dtype=np.float64), -1, 0)
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return np.stack((roll, pitch, yaw), axis=-1)


def wrap_rad(angle: FloatArray) -> FloatArray:
    """Angles in [-pi, pi)."""
    wrapped: FloatArray = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


def compose(
    first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Poses (N, 3), (N, 4) of ``second`` seen from the parent of ``first``."""
    position = first[0] + se3.quat_rotate(first[1], second[0])
    return position, se3.quat_multiply(first[1], second[1])


def bilinear(values: NDArray[np.floating], spec: GridSpec, xy_m: FloatArray) -> FloatArray:
    """Values of a grid between its cell centres, (N,) float64, NaN outside."""
    col = (xy_m[..., 0] - spec.origin_x_m) / spec.resolution_m
    row = (xy_m[..., 1] - spec.origin_y_m) / spec.resolution_m
    found: FloatArray = map_coordinates(
        np.asarray(values, dtype=np.float64), [row, col], order=1, mode="constant", cval=np.nan
    )
    return found


def grid_around(
    points_xy_m: FloatArray,
    margin_m: float,
    resolution_m: float,
    max_cells: int,
    min_aspect: float = 0.0,
) -> GridSpec:
    """A grid that holds all points with a margin, coarser where it would exceed ``max_cells``.

    Args:
        points_xy_m: (N, 2) metres.
        margin_m: kept around them.
        resolution_m: finest spacing.
        max_cells: bound of the size.
        min_aspect: the shorter side is at least this share of the longer one.
    """
    low, high = points_xy_m.min(axis=0) - margin_m, points_xy_m.max(axis=0) + margin_m
    grow = 0.5 * np.maximum(0.0, min_aspect * (high - low).max() - (high - low))
    low, high = low - grow, high + grow
    area = float(np.prod(high - low))
    resolution = max(resolution_m, math.sqrt(area / max_cells))
    cols, rows = (int(n) for n in np.ceil((high - low) / resolution) + 1)
    return GridSpec(float(low[0]), float(low[1]), resolution, rows, cols)


def plane_slopes_rad(
    heights_m: NDArray[np.floating], spec: GridSpec, xy_m: FloatArray, size_m: float
) -> FloatArray:
    """Slope of the plane of least squares over a square around each point.

    Args:
        heights_m: (rows, cols) metres.
        spec: its grid.
        xy_m: (N, 2) metres.
        size_m: side of the square, about a footprint.

    Returns:
        (N,) radians, NaN where the square leaves the grid.
    """
    steps = max(3, int(np.ceil(size_m / spec.resolution_m)) | 1)
    offsets = np.linspace(-0.5 * size_m, 0.5 * size_m, min(steps, 21))
    dx, dy = (grid.ravel() for grid in np.meshgrid(offsets, offsets))
    square = np.stack((dx, dy), axis=-1)
    slopes = np.empty(len(xy_m))
    for first in range(0, len(xy_m), _SLOPE_BATCH):
        batch = slice(first, first + _SLOPE_BATCH)
        heights = bilinear(heights_m, spec, xy_m[batch, None, :] + square)
        slopes[batch] = np.arctan(np.hypot(heights @ dx, heights @ dy) / np.sum(dx * dx))
    return slopes


def yaw_only(transform: FloatArray) -> FloatArray:
    """The turn about z and the position of a (4, 4) transform, without its tilt."""
    position, quat = se3.split_transform(transform)
    return se3.from_rpy(position, (0.0, 0.0, se3.yaw_of(quat)))


@dataclass(frozen=True)
class MapErrors:
    """A map against the truth, cell by cell.

    Attributes:
        error_m: (rows, cols) map minus truth, NaN where the map is unknown.
        truth_m: (rows, cols) true heights in the axes of the map's frame.
    """

    error_m: FloatArray
    truth_m: FloatArray

    @property
    def known(self) -> FloatArray:
        """(N,) errors of the cells that are known."""
        return self.error_m[np.isfinite(self.error_m)]

    @property
    def rmse_m(self) -> float:
        """Root of the mean square error, NaN without a known cell."""
        return float(np.sqrt(np.mean(self.known**2))) if self.known.size else math.nan

    @property
    def bias_m(self) -> float:
        """Mean error, positive where the map is too high."""
        return float(np.mean(self.known)) if self.known.size else math.nan

    def percentile_m(self, percent: float) -> float:
        """Percentile of the absolute error."""
        return float(np.percentile(np.abs(self.known), percent)) if self.known.size else math.nan


def map_errors(
    elevation_m: Float32Array, spec: GridSpec, T_map_odom: FloatArray, surface: GridFunction
) -> MapErrors:
    """Compare an elevation map with a surface.

    Args:
        elevation_m: (rows, cols) in the map's own frame (odom), NaN unknown.
        spec: its window in that frame.
        T_map_odom: (4, 4) pose of that frame in ``map``.
        surface: true heights in ``map``.
    """
    xx, yy = np.meshgrid(spec.x_m(), spec.y_m())
    zz = np.where(np.isfinite(elevation_m), elevation_m, 0.0).astype(np.float64)
    points = np.stack((xx, yy, zz), axis=-1) @ T_map_odom[:3, :3].T + T_map_odom[:3, 3]
    turn = np.abs(T_map_odom[:3, :3] - np.eye(3)).max()
    if turn * max(spec.shape) < 2.0 * _ALIGNED_CELLS:
        shifted = GridSpec(
            spec.origin_x_m + float(T_map_odom[0, 3]),
            spec.origin_y_m + float(T_map_odom[1, 3]),
            spec.resolution_m,
            spec.rows,
            spec.cols,
        )
        truth = np.asarray(surface(shifted), dtype=np.float64)
    else:
        fine = grid_around(
            points[..., :2].reshape(-1, 2), spec.resolution_m, 0.5 * spec.resolution_m, 16_000_000
        )
        truth = bilinear(surface(fine), fine, points[..., :2])
    error = np.where(np.isfinite(elevation_m), points[..., 2] - truth, np.nan)
    return MapErrors(error, truth - (points[..., 2] - zz))


def coverage(
    elevation_m: Float32Array, spec: GridSpec, centre_xy_m: FloatArray, radius_m: float
) -> float:
    """Share of the cells within a radius that are known; NaN if none lies in the window."""
    dx = spec.x_m()[None, :] - centre_xy_m[0]
    dy = spec.y_m()[:, None] - centre_xy_m[1]
    near = dx * dx + dy * dy <= radius_m * radius_m
    return float(np.isfinite(elevation_m[near]).mean()) if near.any() else math.nan
