"""What the simulator asks of a terrain; ``core.terrain.surface.Surface`` answers it."""

from __future__ import annotations

from typing import Protocol

from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec, IntArray


class RockSet(Protocol):
    """Ellipsoids: semi-axes a, b horizontal, c vertical, turned about z only."""

    @property
    def centre_m(self) -> FloatArray:
        """(N, 3) metres, map."""

    @property
    def semi_axes_m(self) -> FloatArray:
        """(N, 3) metres."""

    @property
    def yaw_rad(self) -> FloatArray:
        """(N,) rad."""

    @property
    def ids(self) -> IntArray:
        """(N,) names that do not depend on the window."""


class Terrain(Protocol):
    """Ground and rocks as pure functions of place."""

    def height(self, xy: FloatArray, /) -> FloatArray:
        """Ground without rocks at (N, 2) points, (N,) metres; NaN outside."""

    def grid(self, spec: GridSpec, /) -> Float32Array:
        """The same on a grid, (rows, cols) float32 metres."""

    def rocks(self, x_min: float, y_min: float, x_max: float, y_max: float, /) -> RockSet:
        """Every rock whose centre lies in the window."""
