"""Fractal roughness below the posting of a DEM: octaves of hashed gradient noise.

Each octave has its own lattice, turned by the golden angle and shifted, so that no direction and
no lattice point is preferred by the sum. Gradient noise has zero mean.

Reference: Perlin 2002, "Improving noise" (gradient noise, quintic fade); Shepard et al. 2001,
J. Geophys. Res. 106, 32777 (RMS deviation nu(L) = nu(1 m) L^H as the measure of roughness);
Rosenburg et al. 2011, J. Geophys. Res. 116, E02001 (median Hurst exponents of the Moon: 0.95 in
the highlands, 0.76 in the maria).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.terrain.hashing import cell_key, stream
from ilrs_robots.core.types import FloatArray

OCTAVES = 6
LONGEST_M = 5.0
LACUNARITY = 1.9
_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
# RMS deviation at a lag of 1 m of the sum with amplitudes spacing^H, measured on 200 m squares.
_HURST = (0.5, 0.7, 0.8, 0.95)
_DEVIATION_1M = (0.6774, 0.7493, 0.8066, 0.9185)

_ANGLES = np.arange(64) * (2.0 * math.pi / 64)
gradient_x = np.cos(_ANGLES)
gradient_y = np.sin(_ANGLES)


@njit(cache=True)
def fade(t: float) -> float:
    """Perlin's quintic: 0 to 1 without slope or curvature at the ends."""
    return t * t * t * (t * (t * 6.0 - 15.0) + 10.0)


@njit(cache=True)
def octave(seed: np.uint64, x: float, y: float) -> float:
    """Gradient noise on the unit lattice, C2, zero mean, within about +-0.7."""
    fx = np.floor(x)
    fy = np.floor(y)
    i = int(fx)
    j = int(fy)
    u = x - fx
    v = y - fy
    a = int(cell_key(seed, i, j) >> np.uint64(58))
    b = int(cell_key(seed, i + 1, j) >> np.uint64(58))
    c = int(cell_key(seed, i, j + 1) >> np.uint64(58))
    d = int(cell_key(seed, i + 1, j + 1) >> np.uint64(58))
    su = fade(u)
    sv = fade(v)
    na = gradient_x[a] * u + gradient_y[a] * v
    nb = gradient_x[b] * (u - 1.0) + gradient_y[b] * v
    nc = gradient_x[c] * u + gradient_y[c] * (v - 1.0)
    nd = gradient_x[d] * (u - 1.0) + gradient_y[d] * (v - 1.0)
    low = na + su * (nb - na)
    high = nc + su * (nd - nc)
    value: float = low + sv * (high - low)
    return value


@njit(cache=True)
def roughness_at(table: np.ndarray, seeds: np.ndarray, x: float, y: float) -> float:
    """Sum of the octaves at one point, metres."""
    total = 0.0
    for k in range(table.shape[0]):
        xr = table[k, 0] * x - table[k, 1] * y + table[k, 2]
        yr = table[k, 1] * x + table[k, 0] * y + table[k, 3]
        total += table[k, 4] * octave(seeds[k], xr, yr)
    return total


def octave_table(
    seed: int, deviation_1m_m: float, hurst: float
) -> tuple[FloatArray, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """Parameters of the octaves.

    Args:
        seed: of the terrain.
        deviation_1m_m: RMS height difference between points 1 m apart, metres.
        hurst: exponent of its growth with the distance, 0..1.

    Returns:
        (OCTAVES, 5) cos / spacing, sin / spacing, shift x, shift y, amplitude in metres; and
        (OCTAVES,) uint64 seeds.
    """
    table = np.empty((OCTAVES, 5))
    seeds = np.empty(OCTAVES, dtype=np.uint64)
    scale = deviation_1m_m / float(np.interp(hurst, _HURST, _DEVIATION_1M))
    for k in range(OCTAVES):
        spacing = LONGEST_M / LACUNARITY**k
        angle = 0.4 + k * _GOLDEN_ANGLE
        seeds[k] = stream(seed, f"roughness{k}")
        shift = np.random.default_rng(int(seeds[k])).uniform(0.0, 1.0, 2)
        amplitude = scale * spacing**hurst
        table[k] = (math.cos(angle) / spacing, math.sin(angle) / spacing, *shift, amplitude)
    return table, seeds
