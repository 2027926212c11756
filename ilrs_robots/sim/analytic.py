"""Terrains with formulas: what the simulator does on them can be checked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec, IntArray

HeightFunction = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class AnalyticRocks:
    """Given ellipsoids.

    Attributes:
        centre_m: (N, 3) metres.
        semi_axes_m: (N, 3) metres, c vertical.
        yaw_rad: (N,) rad.
        ids: (N,) one name each.
    """

    centre_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    semi_axes_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    yaw_rad: FloatArray = field(default_factory=lambda: np.zeros(0))
    ids: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @staticmethod
    def of(*rocks: tuple[float, float, float, float, float, float, float]) -> AnalyticRocks:
        """Rocks given as (x, y, z, a, b, c, yaw)."""
        table = np.array(rocks, dtype=np.float64).reshape(-1, 7)
        return AnalyticRocks(table[:, :3], table[:, 3:6], table[:, 6], np.arange(len(table)))


class AnalyticTerrain:
    """Ground z = f(x, y) with given rocks; there is none beyond ``half_m`` from the origin."""

    def __init__(
        self,
        function: HeightFunction,
        rocks: AnalyticRocks | None = None,
        half_m: float = math.inf,
    ) -> None:
        self._function, self._half_m = function, half_m
        self._rocks = rocks if rocks is not None else AnalyticRocks()

    def height(self, xy: FloatArray) -> FloatArray:
        """Ground at (N, 2) points, (N,) metres; NaN where there is none."""
        x, y = np.asarray(xy, dtype=np.float64).T
        inside = np.maximum(np.abs(x), np.abs(y)) <= self._half_m
        return np.where(inside, self._function(x, y) + 0.0 * x, np.nan)

    def grid(self, spec: GridSpec) -> Float32Array:
        """Ground at cell centres, (rows, cols) float32 metres."""
        x, y = np.meshgrid(spec.x_m(), spec.y_m())
        heights = self.height(np.stack((x.ravel(), y.ravel()), axis=-1))
        return heights.reshape(spec.shape).astype(np.float32)

    def rocks(self, x_min: float, y_min: float, x_max: float, y_max: float) -> AnalyticRocks:
        """Rocks whose centre lies in the window."""
        rocks = self._rocks
        x, y = rocks.centre_m[:, 0], rocks.centre_m[:, 1]
        keep = (x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max)
        return AnalyticRocks(
            rocks.centre_m[keep], rocks.semi_axes_m[keep], rocks.yaw_rad[keep], rocks.ids[keep]
        )


def plane(slope_rad: float = 0.0, rocks: AnalyticRocks | None = None) -> AnalyticTerrain:
    """A plane through the origin that rises along x."""
    return AnalyticTerrain(lambda x, y: math.tan(slope_rad) * x, rocks)


def hills(amplitude_m: float = 0.4, rocks: AnalyticRocks | None = None) -> AnalyticTerrain:
    """Smooth hills some ten metres long, with ripples of a metre and a half."""
    return AnalyticTerrain(
        lambda x, y: (
            amplitude_m * np.sin(0.35 * x) * np.cos(0.3 * y)
            + 0.02 * np.sin(4.1 * x + 0.3) * np.sin(3.7 * y)
        ),
        rocks,
    )
