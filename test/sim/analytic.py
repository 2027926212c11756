"""Terrains with formulas, for tests of the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

Height = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class AnalyticRocks:
    centre_m: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    semi_axes_m: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    yaw_rad: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def ids(self):
        return np.arange(len(self.yaw_rad), dtype=np.int64)


class AnalyticTerrain:
    """Ground z = f(x, y) and given rocks; outside ``half_m`` there is no ground."""

    def __init__(self, function: Height, rocks: AnalyticRocks | None = None, half_m=np.inf):
        self._function, self._rocks, self._half_m = function, rocks or AnalyticRocks(), half_m

    def height(self, xy):
        x, y = np.asarray(xy, dtype=np.float64).T
        inside = np.maximum(np.abs(x), np.abs(y)) <= self._half_m
        return np.where(inside, self._function(x, y) + 0.0 * x, np.nan)

    def grid(self, spec):
        x, y = np.meshgrid(spec.x_m(), spec.y_m())
        xy = np.stack((x.ravel(), y.ravel()), axis=-1)
        return self.height(xy).reshape(spec.shape).astype(np.float32)

    def rocks(self, x_min, y_min, x_max, y_max):
        r = self._rocks
        x, y = r.centre_m[:, 0], r.centre_m[:, 1]
        keep = (x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max)
        return _Chosen(r.centre_m[keep], r.semi_axes_m[keep], r.yaw_rad[keep], r.ids[keep])


@dataclass(frozen=True)
class _Chosen:
    centre_m: np.ndarray
    semi_axes_m: np.ndarray
    yaw_rad: np.ndarray
    ids: np.ndarray


def plane(slope_rad: float = 0.0, height_m: float = 0.0) -> AnalyticTerrain:
    """Rises along +x."""
    return AnalyticTerrain(lambda x, y: height_m + np.tan(slope_rad) * x)


def hills(amplitude_m: float = 0.4) -> AnalyticTerrain:
    """Smooth hills of some ten metres and ripples of a metre."""
    return AnalyticTerrain(
        lambda x, y: (
            amplitude_m * np.sin(0.35 * x) * np.cos(0.3 * y)
            + 0.02 * np.sin(4.1 * x + 0.3) * np.sin(3.7 * y)
        )
    )
