"""How ground looks in the Sun: Lambert's law, shadows of the ground itself, one exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

SUN_RADIUS_RAD: Final = math.radians(0.2666)
"""Mean apparent radius of the Sun at one astronomical unit (IAU 2015 nominal radius)."""
PENUMBRA: Final = (-0.6, 0.0, 0.6)
"""Points of the disc that are looked for, in radii from its centre."""
MAX_PIXELS: Final = 1024
LIT: Final = np.array([0.86, 0.83, 0.78])
DARK: Final = np.array([0.060, 0.068, 0.090])
"""What shadow is drawn as: light scattered by other ground, brightened so that it can be read."""


@dataclass(frozen=True)
class Sun:
    """Where the Sun stands over the site.

    Attributes:
        yaw_rad: from x of map towards y.
        elevation_rad: of its centre above the horizontal.
    """

    yaw_rad: float
    elevation_rad: float

    @property
    def toward(self) -> FloatArray:
        """(3,) unit vector."""
        flat = math.cos(self.elevation_rad)
        return np.array([
            flat * math.cos(self.yaw_rad), flat * math.sin(self.yaw_rad),
            math.sin(self.elevation_rad),
        ])  # fmt: skip

    def apart_rad(self, other: Sun) -> float:
        """Angle to another place in the sky."""
        return math.acos(min(1.0, max(-1.0, float(self.toward @ other.toward))))


def irradiance(heights_m: Float32Array, resolution_m: float, sun: Sun) -> Float32Array:
    """Share of the Sun's light that falls on each cell, its visible disc times Lambert's cosine.

    Args:
        heights_m: (rows, cols) metres, without holes.
        resolution_m: spacing.
        sun: where it stands.

    Returns:
        (rows, cols) float32, 0 to 1.
    """
    shades = [
        hillshade(heights_m, resolution_m, sun.yaw_rad, max(up, 1e-4), cast_shadows=True)
        for up in (sun.elevation_rad + part * SUN_RADIUS_RAD for part in PENUMBRA)
        if up > 0.0
    ]
    total = np.zeros(heights_m.shape, dtype=np.float32)
    for shade in shades:
        total += shade
    return np.asarray(total / len(PENUMBRA), dtype=np.float32)


def exposure(light: Float32Array) -> float:
    """The brightness that is drawn as nearly white: of the best lit tenth of what is lit."""
    lit = light[light > 1e-4]
    return float(np.percentile(lit, 90.0)) if lit.size > 10 else 1.0


def colours(light: Float32Array, relief: Float32Array, white: float) -> FloatArray:
    """(rows, cols, 3) sRGB 0 to 1 of lit and dark ground.

    Args:
        light: (rows, cols) of ``irradiance``.
        relief: (rows, cols) 0 to 1, by which dark ground still shows its shape.
        white: of ``exposure``.
    """
    seen = np.clip(light / white, 0.0, 1.3)[..., None] ** 0.55
    dim = (0.35 + 1.1 * relief)[..., None]
    return np.clip(0.95 * LIT * seen + DARK * dim, 0.0, 1.0)


def jpeg_of(rgb: FloatArray) -> bytes:
    """An image of (rows, cols, 3) colours 0 to 1; row 0 comes first."""
    image = np.round(255.0 * rgb[..., ::-1]).astype(np.uint8)
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise ValueError(f"an image of shape {rgb.shape} cannot be encoded")
    return bytes(data)


class GroundPicture:
    """The site's ground as a picture under the Sun.

    Args:
        prior: ground as known from orbit.

    Attributes:
        per_cell: pixels along a cell of the ground's grid.
        spec: grid of the pixels' centres.
        white: the exposure in force.
    """

    def __init__(self, prior: Dem) -> None:
        cells = max(prior.spec.shape) - 1
        self.per_cell = max(1, min(4, MAX_PIXELS // cells))
        rows, cols = ((n - 1) * self.per_cell for n in prior.spec.shape)
        step = prior.spec.resolution_m / self.per_cell
        self.spec = GridSpec(
            prior.spec.origin_x_m + 0.5 * step,
            prior.spec.origin_y_m + 0.5 * step,
            step,
            rows,
            cols,
        )
        at_x, at_y = ((np.arange(n, dtype=np.float32) + 0.5) / self.per_cell for n in (cols, rows))
        x, y = np.meshgrid(at_x, at_y)
        filled = np.nan_to_num(prior.heights_m, nan=float(np.nanmedian(prior.heights_m)))
        self._heights = np.asarray(cv2.remap(filled, x, y, cv2.INTER_CUBIC), dtype=np.float32)
        self._relief = hillshade(self._heights, step, 2.2, 0.6)
        self.light = np.zeros(self._heights.shape, dtype=np.float32)
        self.white = 1.0

    def shine(self, sun: Sun) -> FloatArray:
        """(rows, cols, 3) sRGB 0 to 1 under the Sun."""
        self.light = irradiance(self._heights, self.spec.resolution_m, sun)
        self.white = exposure(self.light)
        return colours(self.light, self._relief, self.white)

    def lit_at(self, xy_m: FloatArray) -> FloatArray:
        """Whether places of map are in the Sun, (N,) 0 or 1; 1 outside the picture.

        Args:
            xy_m: (N, 2) metres.
        """
        s = self.spec
        col = np.round((xy_m[:, 0] - s.origin_x_m) / s.resolution_m).astype(int)
        row = np.round((xy_m[:, 1] - s.origin_y_m) / s.resolution_m).astype(int)
        inside = (row >= 0) & (row < s.rows) & (col >= 0) & (col < s.cols)
        lit = np.ones(len(xy_m))
        lit[inside] = self.light[row[inside], col[inside]] > 1e-4
        return lit
