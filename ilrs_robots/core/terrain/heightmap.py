"""A window of terrain as a 16-bit image, and each engine's rule of how far an image reaches.

An engine is told a *size*, and lays the samples out by a rule of its own. To get the same spacing
everywhere, each engine must therefore be told another size; ``extents`` is the one place that
knows them.

Reference: MuJoCo, XML reference, asset/hfield (``size`` is half the way between the outermost
samples). Gazebo Harmonic: gz-physics 7, dartsim/src/CustomHeightmapShape.cc (spacing is size / n);
gz-rendering 8, ogre2/src/Ogre2Heightmap.cc and terrain/Terra (2^n + 1 samples lose the last row
and column; spacing is size / 2^n from the corner on).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import FloatArray, GridSpec

FULL_SCALE: Final = 65535
SAMPLES: Final = (129, 257, 513, 1025, 2049)
"""Sides that Gazebo both collides with and draws: 2^n + 1."""
AUTO_LARGEST: Final = 1025
"""Largest side that is taken by itself: 2049 samples slow Gazebo down to real time."""
MIN_RELIEF_M: Final = 0.01
"""Flat ground gets so much, in one corner: an image must hold zero and full scale."""

U16Array = NDArray[np.uint16]
_STRIP = 64


@dataclass(frozen=True)
class BakeConfig:
    """Which part of a terrain is baked, and how fine; the window's middle is map's origin."""

    samples: int = param(
        0, doc="samples along a side, 2^n + 1; 0 takes the most that fit, 1025 at most", low=0
    )
    spacing_m: float = param(0.25, doc="distance between samples", unit="m", low=0.05, high=10.0)
    rock_min_m: float = param(
        0.1, doc="rocks that stand out less are left out", unit="m", low=0.0, high=5.0
    )
    rock_limit: int = param(400, doc="largest number of rocks, tallest first", low=0, high=5000)

    def __post_init__(self) -> None:
        """Check ranges and that the side is one that Gazebo can draw."""
        config.check(self)
        if self.samples and self.samples not in SAMPLES:
            raise ConfigError(
                f"samples = {self.samples}: Gazebo needs 2^n + 1 samples along a side, one of "
                f"{', '.join(str(n) for n in SAMPLES)}, or 0 for the most that fit"
            )

    def grid(self, bounds_m: tuple[float, float, float, float]) -> GridSpec:
        """The samples' places around map's origin.

        Args:
            bounds_m: hull of the terrain (x_min, y_min, x_max, y_max), metres.

        Raises:
            TerrainError: the terrain does not cover the window.
        """
        x_min, y_min, x_max, y_max = bounds_m
        reach = min(-x_min, -y_min, x_max, y_max)
        wanted = [n for n in SAMPLES if n <= AUTO_LARGEST]
        fitting = [n for n in wanted if 0.5 * (n - 1) * self.spacing_m <= reach]
        side = self.samples or max(fitting, default=wanted[0])
        half = 0.5 * (side - 1) * self.spacing_m
        if half > reach:
            raise TerrainError(
                f"{side} samples every {self.spacing_m} m reach {half:.2f} m from map's origin: "
                f"the terrain reaches {max(reach, 0.0):.2f} m; take fewer samples or a finer "
                "spacing"
            )
        return GridSpec(-half, -half, self.spacing_m, side, side)


@dataclass(frozen=True)
class EngineExtents:
    """What each engine must be told so that samples lie ``spacing`` apart, in metres.

    Attributes:
        mujoco_half_m: the first two numbers of an hfield's ``size``.
        gazebo_collision_m: x and y of ``<size>`` in a heightmap collision.
        gazebo_visual_m: x and y of ``<size>`` in a heightmap visual.
    """

    mujoco_half_m: float
    gazebo_collision_m: float
    gazebo_visual_m: float


def extents(samples: int, spacing_m: float) -> EngineExtents:
    """Sizes by each engine's rule; see the module.

    Args:
        samples: along a side, 2^n + 1.
        spacing_m: distance between samples.
    """
    between = (samples - 1) * spacing_m
    return EngineExtents(0.5 * between, samples * spacing_m, between)


@dataclass(frozen=True)
class Heightmap:
    """A square window around map's origin as an image.

    Attributes:
        pixels: (n, n) uint16. Row 0 is the northern edge (largest y), column 0 the western one,
            as Gazebo reads it. Holds 0 and 65535.
        spacing_m: between samples.
        low_m: height of pixel value 0 above the reference sphere.
        relief_m: height of pixel value 65535 above that.
    """

    pixels: U16Array
    spacing_m: float
    low_m: float
    relief_m: float

    def __post_init__(self) -> None:
        """Refuse what Gazebo would draw wrongly without saying so.

        Raises:
            TerrainError: not square, not 2^n + 1, not 16 bit, or not of full scale.
        """
        shape = self.pixels.shape
        if len(shape) != 2 or shape[0] != shape[1]:
            raise TerrainError(f"heightmap of shape {shape}: must be square with one channel")
        if shape[0] not in SAMPLES:
            raise TerrainError(
                f"heightmap of {shape[0]} samples along a side: must be 2^n + 1, one of "
                f"{', '.join(str(n) for n in SAMPLES)}"
            )
        if self.pixels.dtype != np.uint16:
            raise TerrainError(f"heightmap of {self.pixels.dtype}: must be 16 bit")
        low, high = int(self.pixels.min()), int(self.pixels.max())
        if (low, high) != (0, FULL_SCALE):
            raise TerrainError(
                f"heightmap holds {low} to {high}: must hold 0 and {FULL_SCALE}, because Gazebo "
                "stretches the brightest pixel to the full height"
            )

    @property
    def samples(self) -> int:
        """Samples along a side."""
        return int(self.pixels.shape[0])

    @property
    def spec(self) -> GridSpec:
        """Where the samples are, as a grid whose row 0 has the lowest y."""
        half = self.reach_m
        return GridSpec(-half, -half, self.spacing_m, self.samples, self.samples)

    @property
    def heights_m(self) -> FloatArray:
        """(n, n) float64 heights on ``spec``: row 0 has the lowest y."""
        share = self.pixels[::-1].astype(np.float64) / FULL_SCALE
        heights: FloatArray = self.low_m + self.relief_m * share
        return heights

    @property
    def reach_m(self) -> float:
        """How far the samples reach from map's origin along x and y."""
        return 0.5 * (self.samples - 1) * self.spacing_m

    def height(self, xy_m: ArrayLike) -> FloatArray:
        """Bilinear height at (N, 2) places in metres, (N,) float64; NaN beyond the samples."""
        return self._dem.height(xy_m)

    @cached_property
    def _dem(self) -> Dem:
        return Dem(self.heights_m.astype(np.float32), self.spec)


def bake(
    surface: Surface, spec: GridSpec, progress: Callable[[float], None] | None = None
) -> Heightmap:
    """Sample a terrain's ground, without rocks, into an image.

    Args:
        surface: the true terrain.
        spec: a square grid of 2^n + 1 samples, of ``BakeConfig.grid``.
        progress: is told the share that is done.

    Raises:
        TerrainError: the window holds unknown ground.
    """
    heights = np.empty(spec.shape)
    for first in range(0, spec.rows, _STRIP):
        rows = min(_STRIP, spec.rows - first)
        y = spec.origin_y_m + first * spec.resolution_m
        strip = replace(spec, origin_y_m=y, rows=rows)
        heights[first : first + rows] = surface.grid_f64(strip)
        if progress is not None:
            progress((first + rows) / spec.rows)
    unknown = int(np.isnan(heights).sum())
    if unknown:
        raise TerrainError(
            f"the window holds {unknown} of {heights.size} samples without a height, limit 0: "
            "fill or crop the DEM"
        )
    return of_heights(heights, spec.resolution_m)


def of_heights(heights_m: FloatArray, spacing_m: float) -> Heightmap:
    """An image of heights; errors are below half a step of relief / 65535.

    Args:
        heights_m: (n, n) finite, row 0 has the lowest y.
        spacing_m: between samples.

    Raises:
        TerrainError: as ``Heightmap``.
    """
    low, high = float(heights_m.min()), float(heights_m.max())
    relief = max(high - low, MIN_RELIEF_M)
    pixels = np.round((heights_m[::-1] - low) * (FULL_SCALE / relief)).astype(np.uint16)
    if int(pixels.max()) != FULL_SCALE:
        pixels[0, 0] = FULL_SCALE
    return Heightmap(np.ascontiguousarray(pixels), spacing_m, low, relief)
