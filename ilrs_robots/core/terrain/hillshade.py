"""Shaded relief for reports and for the eye."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray


def hillshade(
    heights_m: Float32Array | FloatArray,
    resolution_m: float,
    sun_azimuth_rad: float,
    sun_elevation_rad: float,
    cast_shadows: bool = False,
) -> Float32Array:
    """Brightness of a Lambertian surface under the Sun.

    Args:
        heights_m: (rows, cols), row 0 has the lowest y.
        resolution_m: spacing, metres.
        sun_azimuth_rad: direction to the Sun from x towards y (a yaw, not a compass bearing).
        sun_elevation_rad: height of the Sun, 0..pi/2.
        cast_shadows: whether what stands in the Sun's way makes its cells black.

    Returns:
        (rows, cols) float32, 0..1; NaN where a height is unknown.
    """
    heights = np.asarray(heights_m, dtype=np.float64)
    dz_dy, dz_dx = np.gradient(heights, resolution_m)
    flat = math.cos(sun_elevation_rad)
    toward_sun = (
        math.sin(sun_elevation_rad)
        - flat * math.cos(sun_azimuth_rad) * dz_dx
        - flat * math.sin(sun_azimuth_rad) * dz_dy
    )
    shade = np.clip(toward_sun / np.sqrt(1.0 + dz_dx**2 + dz_dy**2), 0.0, 1.0)
    if cast_shadows:
        shade[shadowed(heights, resolution_m, sun_azimuth_rad, sun_elevation_rad)] = 0.0
    return np.asarray(shade, dtype=np.float32)


def shadowed(
    heights_m: Float32Array | FloatArray,
    resolution_m: float,
    sun_azimuth_rad: float,
    sun_elevation_rad: float,
    above_m: float = 0.0,
) -> BoolArray:
    """Which cells the ground keeps the Sun from.

    Args:
        heights_m: (rows, cols) metres, row 0 has the lowest y.
        resolution_m: spacing, metres.
        sun_azimuth_rad: direction to the Sun from x towards y.
        sun_elevation_rad: height of the Sun, 0..pi/2.
        above_m: height above its cell of what looks for the Sun, metres.

    Returns:
        (rows, cols) bool.
    """
    steps = (math.cos(sun_azimuth_rad), math.sin(sun_azimuth_rad))
    rise = resolution_m * math.tan(sun_elevation_rad)
    heights = np.asarray(heights_m, dtype=np.float64)
    dark: BoolArray = _in_shadow(heights, *steps, rise, above_m + 0.25 * rise)
    return dark


@njit(cache=True)
def _in_shadow(
    heights: np.ndarray, step_x: float, step_y: float, rise: float, above: float
) -> np.ndarray:
    """March from each cell towards the Sun, a cell at a time; nearest heights."""
    rows, cols = heights.shape
    dark = np.zeros((rows, cols), dtype=np.bool_)
    top = np.nanmax(heights)
    for i in range(rows):
        for j in range(cols):
            x = float(j)
            y = float(i)
            ray = heights[i, j] + above
            while ray <= top:
                x += step_x
                y += step_y
                ray += rise
                a = math.floor(y + 0.5)
                b = math.floor(x + 0.5)
                if a < 0 or b < 0 or a >= rows or b >= cols:
                    break
                if heights[a, b] > ray:
                    dark[i, j] = True
                    break
    return dark


def warm_up() -> None:
    """Compile the kernel."""
    hillshade(np.zeros((2, 2)), 1.0, 0.0, 0.5, cast_shadows=True)
