"""A tile of regolith for Gazebo: brightness and normals of one periodic field of bumps.

Gazebo draws a heightmap only with a texture and a normal map. The tile repeats without a seam,
because its field is a sum of whole waves.

Reference: Voss 1988, in The Science of Fractal Images, sec. 1.6 (spectral synthesis).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import FloatArray

TILE_M: Final = 8.0
"""Side of the ground that one tile covers."""
_SIDE: Final = 256
_SEED: Final = 1969
_DECAY: Final = 1.6  # of the waves' amplitude with their number: fine grain over soft bumps
_GREY: Final = 118.0  # regolith in sRGB under full Sun; the albedo of 0.12 alone would look black
_CONTRAST: Final = 9.0
_TILT: Final = 0.12  # RMS slope of the bumps that the eye sees between the heightmap's samples


def regolith_tile() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Brightness and normal map of the tile.

    Returns:
        Two (256, 256, 3) uint8 images: sRGB, and normals (x, y, z) as 127.5 (n + 1).
    """
    bumps = _bumps()
    shade = np.clip(_GREY + _CONTRAST * bumps, 0.0, 255.0)
    diffuse = np.repeat(np.round(shade).astype(np.uint8)[..., None], 3, axis=2)
    dx = 0.5 * (np.roll(bumps, -1, axis=1) - np.roll(bumps, 1, axis=1))
    dy = 0.5 * (np.roll(bumps, 1, axis=0) - np.roll(bumps, -1, axis=0))
    scale = _TILT / np.sqrt(np.mean(dx**2 + dy**2))
    normal = np.stack((-scale * dx, -scale * dy, np.ones_like(dx)), axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return diffuse, np.round(127.5 * (normal + 1.0)).astype(np.uint8)


def _bumps() -> FloatArray:
    """(256, 256) periodic field of mean 0 and variance 1."""
    rng = np.random.default_rng(_SEED)
    waves = np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE)))
    number = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None, :]) * _SIDE
    number[0, 0] = 1.0
    waves *= number**-_DECAY
    waves[0, 0] = 0.0
    field = np.fft.irfft2(waves, s=(_SIDE, _SIDE))
    unit: FloatArray = field / field.std()
    return unit
