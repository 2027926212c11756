"""The ground of a Gazebo world, baked heights and rocks, as ray casting asks for it."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.terrain.heightmap import Heightmap
from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec


class BakedGround:
    """What wheels and rays meet in Gazebo, which is coarser than the terrain it was baked from.

    Args:
        heightmap: baked ground.
        rocks: those of the world.
    """

    def __init__(self, heightmap: Heightmap, rocks: Rocks) -> None:
        self._heightmap, self._rocks = heightmap, rocks

    def height(self, xy: FloatArray, /) -> FloatArray:
        """Ground without rocks at (N, 2) points, (N,) metres; NaN outside."""
        return self._heightmap.height(xy)

    def grid(self, spec: GridSpec, /) -> Float32Array:
        """The same on a grid, (rows, cols) float32 metres."""
        xy = np.stack(np.meshgrid(spec.x_m(), spec.y_m()), axis=-1).reshape(-1, 2)
        return self.height(xy).reshape(spec.shape).astype(np.float32)

    def rocks(self, x_min: float, y_min: float, x_max: float, y_max: float, /) -> Rocks:
        """Every rock whose centre lies in the window."""
        x, y = self._rocks.centre_m[:, 0], self._rocks.centre_m[:, 1]
        return self._rocks.select((x >= x_min) & (x < x_max) & (y >= y_min) & (y < y_max))
