"""The true ground on a map's lattice, and the outlines of its rocks: what a map is scored against.

Written here once more, from the true surface alone and with other tools than the map's own layers,
so that an error of theirs does not hide itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

_FINE = 4
"""Samples of the true surface along a cell's side."""


class TrueGround(Protocol):
    """What an evaluator asks of the true terrain."""

    def top_grid(self, spec: GridSpec) -> Float32Array:
        """Heights of ground and rocks at cell centres."""
        ...

    def rocks(self, x_min: float, y_min: float, x_max: float, y_max: float) -> Rocks:
        """Every rock whose centre lies in a box."""
        ...


@dataclass(frozen=True)
class ScoreConfig:
    """What counts."""

    near_path_m: float = param(
        10.0, doc="cells farther from the path do not count", unit="m", low=0.5, high=100.0
    )
    warning_m: float = param(
        3.0, doc="a rock must be flagged before it is this near to the footprint", unit="m",
        low=0.1, high=50.0,
    )  # fmt: skip
    plane_m: float = param(1.5, doc="side of the square of slope and roughness", unit="m")
    step_reach_m: float = param(0.28, doc="within it a rise is a step", unit="m")
    body_reach_m: float = param(
        0.8, doc="within it the body meets what rises by more than a step", unit="m"
    )
    region_m: float = param(3.0, doc="side of the square of the slope under steps", unit="m")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class TrueCells:
    """The truth on the map's own lattice, each (rows, cols).

    Attributes:
        spec: where, in ``map``.
        top_m: mean height of the true top surface over the cell, float64.
        slope_rad: of the plane of least squares over ``plane_m``.
        roughness_m: root mean square residual to it.
        step_m: rise of the cell's highest point above the lowest within reach of wheel or body,
            after the region's slope is taken off.
    """

    spec: GridSpec
    top_m: FloatArray
    slope_rad: FloatArray
    roughness_m: FloatArray
    step_m: FloatArray

    def safe(self, limits: VehicleLimits) -> BoolArray:
        """Cells that the vehicle may truly cross."""
        fine: BoolArray = (
            (self.slope_rad < limits.max_slope_rad)
            & (self.roughness_m < limits.max_roughness_m)
            & (self.step_m < limits.max_step_m)
        )
        return fine


def true_cells(ground: TrueGround, spec: GridSpec, settings: ScoreConfig) -> TrueCells:
    """Measure the true surface on a lattice.

    Args:
        ground: the truth.
        spec: lattice in ``map``; NaN results where its margin leaves the terrain.
        settings: scales.
    """
    margin = int(np.ceil((settings.region_m + settings.body_reach_m) / spec.resolution_m))
    step = spec.resolution_m
    wide = GridSpec(
        spec.origin_x_m - margin * step, spec.origin_y_m - margin * step, step,
        spec.rows + 2 * margin, spec.cols + 2 * margin,
    )  # fmt: skip
    inset = 0.5 * step * (1.0 - 1.0 / _FINE)
    fine = GridSpec(
        wide.origin_x_m - inset, wide.origin_y_m - inset, step / _FINE,
        wide.rows * _FINE, wide.cols * _FINE,
    )  # fmt: skip
    blocks = np.asarray(ground.top_grid(fine), dtype=np.float64)
    blocks = blocks.reshape(wide.rows, _FINE, wide.cols, _FINE)
    mean, high, low = (f(blocks, axis=(1, 3)) for f in (np.mean, np.max, np.min))
    slope_x, slope_y, rough = _planes(mean, step, settings.plane_m)
    step_m = _rise(high, low, mean, step, settings)
    inner = (slice(margin, -margin),) * 2
    return TrueCells(
        spec, mean[inner], np.arctan(np.hypot(slope_x, slope_y))[inner], rough[inner],
        step_m[inner],
    )  # fmt: skip


def _planes(
    height: FloatArray, step_m: float, side_m: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Slopes along x and y and RMS residual of the plane over a square around each cell."""
    half = max(round(0.5 * side_m / step_m), 1)
    size = 2 * half + 1
    offsets = step_m * np.arange(-half, half + 1)
    level = float(np.nanmean(height))
    z = height - level
    ramp = offsets / (size * float(np.sum(offsets**2)))
    slope_x = ndimage.correlate1d(ndimage.uniform_filter1d(z, size, 0) * size, ramp, axis=1)
    slope_y = ndimage.correlate1d(ndimage.uniform_filter1d(z, size, 1) * size, ramp, axis=0)
    mean = ndimage.uniform_filter(z, size)
    variance = ndimage.uniform_filter(z * z, size) - mean * mean
    spread = float(np.mean(offsets**2))
    rest = variance - (slope_x**2 + slope_y**2) * spread
    return slope_x, slope_y, np.sqrt(np.maximum(rest, 0.0))


def _rise(
    high: FloatArray, low: FloatArray, mean: FloatArray, step_m: float, settings: ScoreConfig
) -> FloatArray:
    """How far each cell's highest point stands over what lies around, region's slope off."""
    slope_x, slope_y, _ = _planes(mean, step_m, settings.region_m)
    reach = max(settings.step_reach_m, settings.body_reach_m)
    cells = int(reach / step_m + 1e-6)
    padded = np.pad(low, cells, mode="edge")
    rows, cols = low.shape
    rise = np.zeros_like(high)
    for i in range(-cells, cells + 1):
        for j in range(-cells, cells + 1):
            if step_m * np.hypot(i, j) > reach + 1e-9:
                continue
            there = padded[cells + i : cells + i + rows, cells + j : cells + j + cols]
            tilt = step_m * (slope_x * j + slope_y * i)
            np.maximum(rise, high - there + tilt, out=rise)
    return rise


def outlines_of(rocks: Rocks) -> FloatArray:
    """(N, 16, 2) points of each rock's outline where it meets the ground, metres.

    One whose widest part lies above the ground is taken at its widest.
    """
    above = rocks.height_above_ground_m - rocks.semi_axes_m[:, 2]
    sunk = np.clip(np.minimum(above, 0.0) / rocks.semi_axes_m[:, 2], -1.0, 0.0)
    axes = rocks.semi_axes_m[:, :2] * np.sqrt(1.0 - sunk**2)[:, None]
    angle = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    local = axes[:, None, :] * np.stack((np.cos(angle), np.sin(angle)), axis=-1)
    cos, sin = np.cos(rocks.yaw_rad)[:, None], np.sin(rocks.yaw_rad)[:, None]
    turned = np.stack(
        (cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1]), -1
    )
    points: FloatArray = turned + rocks.centre_m[:, None, :2]
    return points
