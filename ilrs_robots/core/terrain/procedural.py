"""A DEM from a seed: fractal base and craters whose slopes match those of LOLA.

The base is Gaussian with a power-law spectrum whose short waves are somewhat stronger in some
places than in others. Craters of 20 m and more have their natural depths; a few big degraded ones
make the heavy tail of steep slopes that a Gaussian field lacks. How strong the base is, and how
deep the big craters, is solved for, so that median and 90th percentile of the slope
(``Dem.slope_map_rad``) take given values, by default those of a LOLA tile (see
``REFERENCE_SLOPES_DEG``). The ground about the origin is kept drivable.

Reference: Rosenburg et al. 2011, J. Geophys. Res. 116, E02001 (Hurst exponent near 0.95 in the
highlands at 5 m and more); Trask 1966 (N(> D) ~ D^-2); Moore et al. 1980 (production ~ D^-2.8);
Saupe 1988 (spectral synthesis); LOLA PGDA product 78, Barker et al. 2021, Planet. Space Sci. 203,
105119.
"""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.craters import EXTENT, SHARP, records_of, stamp
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hashing import stream
from ilrs_robots.core.types import FloatArray, GridSpec

REFERENCE_SLOPES_DEG = (4.3, 10.0)
"""Median and 90th percentile at 5 m posting, LOLA tile at 87.18 S, 62.84 E."""

CRATER_DENSITY_M2 = 0.02
"""Craters above 1 m per square metre, N(> D) ~ D^-2; those of a LOLA tile look sparse."""
SMALLEST_CRATER_M = 20.0
"""Smaller ones are left to ``Surface``."""
DEPTH_RATIOS = (0.14, 0.03)
"""Depth / diameter, new and old, as seen at 5 m posting."""

_HURST = 1.0
_PATCH_M = 120.0  # size of the rougher and the smoother places
_UNEVEN = 0.3  # contrast between them, in log
_STEEPER = 0.8  # by which the exponent of the production law exceeds that of the steady state
_CENTRE_M = 130.0  # radius of the ground that is kept drivable
_CENTRE_DEPTH = 0.05  # deepest depth / diameter of the craters that reach into it
_BIG = 9  # degraded craters of a tenth to three tenths of the edge, around the middle
_BIG_DEPTH = (0.02, 0.16)  # least and largest mean depth / diameter of them
_MAX_SAMPLES = 8192


def procedural_dem(
    seed: int,
    size_m: float = 1280.0,
    resolution_m: float = 5.0,
    median_slope_deg: float = REFERENCE_SLOPES_DEG[0],
    p90_slope_deg: float = REFERENCE_SLOPES_DEG[1],
    *,
    equilibrium_m: float = 0.0,
) -> Dem:
    """Make a square DEM around the origin; see ``procedural_terrain``."""
    return procedural_terrain(
        seed, size_m, resolution_m, median_slope_deg, p90_slope_deg, equilibrium_m=equilibrium_m
    )[0]


def procedural_terrain(
    seed: int,
    size_m: float = 1280.0,
    resolution_m: float = 5.0,
    median_slope_deg: float = REFERENCE_SLOPES_DEG[0],
    p90_slope_deg: float = REFERENCE_SLOPES_DEG[1],
    *,
    equilibrium_m: float = 0.0,
) -> tuple[Dem, FloatArray]:
    """Make a square DEM around the origin.

    Args:
        seed: of everything in it.
        size_m: edge, metres; samples stand at the centres of size / resolution cells.
        resolution_m: posting, metres.
        median_slope_deg: of the slope at the posting.
        p90_slope_deg: its 90th percentile; more than 1.9 times the median, else a Gaussian
            field without craters is steeper already.
        equilibrium_m: diameter above which there are fewer craters than in the steady state,
            N(> D) ~ D^-2.8; 0 for none.

    Returns:
        The DEM, and its craters of 20 m and more but for the few big ones: (N, 10) records.

    Raises:
        TerrainError: size, posting or slopes cannot be used.
    """
    n = _samples(size_m, resolution_m)
    if not 0.0 < 1.9 * median_slope_deg < p90_slope_deg < 30.0:
        raise TerrainError(
            f"slopes {median_slope_deg} and {p90_slope_deg} deg: need 0 < 1.9 median < p90 < 30"
        )
    rng = np.random.default_rng(int(stream(seed, "procedural dem")))
    half = 0.5 * resolution_m * (n - 1)
    spec = GridSpec(-half, -half, resolution_m, n, n)
    base = _base(rng, n, resolution_m)
    layers = [base]
    craters = _craters(rng, size_m, max(SMALLEST_CRATER_M, 4.0 * resolution_m), equilibrium_m)
    for records in (craters, _big(rng, size_m)):
        layers.append(np.zeros((n, n)))
        stamp(layers[-1], -half, -half, resolution_m, records)
    heights = _solve(layers, resolution_m, median_slope_deg, p90_slope_deg)
    heights -= heights[n // 2, n // 2]
    provenance = {
        "source": "procedural",
        "seed": int(seed),
        "size_m": size_m,
        "resolution_m": resolution_m,
        "median_slope_deg": median_slope_deg,
        "p90_slope_deg": p90_slope_deg,
    }
    return Dem(heights.astype(np.float32), spec, None, provenance), craters


def _samples(size_m: float, resolution_m: float) -> int:
    if not (math.isfinite(size_m) and math.isfinite(resolution_m) and resolution_m > 0.0):
        raise TerrainError(f"size {size_m} m at {resolution_m} m: must be finite and above 0 m")
    n = round(size_m / resolution_m)
    if not 32 <= n <= _MAX_SAMPLES:
        raise TerrainError(
            f"{size_m} m at {resolution_m} m is {n} samples: must be 32 to {_MAX_SAMPLES}"
        )
    return n


def _filtered(rng: np.random.Generator, n: int, gain: FloatArray) -> FloatArray:
    """Periodic Gaussian field, (n, n), white noise through a filter over ``_frequency``."""
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((n, n))) * gain, s=(n, n))
    return np.asarray(field, dtype=np.float64)


def _frequency(n: int) -> FloatArray:
    """Cycles per sample on the half plane of ``rfft2``, infinite where it is zero."""
    f = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None, :])
    f[0, 0] = np.inf
    return np.asarray(f)


def _base(rng: np.random.Generator, n: int, resolution_m: float) -> FloatArray:
    """Fractal ground of no particular height, gentlest in the middle."""
    f = _frequency(n)
    spectrum = f ** -(_HURST + 1.0)
    share = 1.0 / (1.0 + (f * _PATCH_M / resolution_m) ** 4)
    state = rng.bit_generator.state
    long = _filtered(rng, n, spectrum * share)
    rng.bit_generator.state = state
    short = _filtered(rng, n, spectrum * (1.0 - share))
    uneven = _filtered(rng, n, np.exp(-((f * _PATCH_M / resolution_m) ** 2)) / f)
    base = long + short * np.exp(_UNEVEN * uneven / uneven.std())
    row, col = _gentlest(base, resolution_m)
    return np.roll(base, (n // 2 - row, n // 2 - col), (0, 1))


def _gentlest(field: FloatArray, resolution_m: float) -> tuple[int, int]:
    """Row and column about which a periodic field is the least steep."""
    n = len(field)
    dz_dy = np.roll(field, -1, 0) - np.roll(field, 1, 0)
    dz_dx = np.roll(field, -1, 1) - np.roll(field, 1, 1)
    f = _frequency(n)
    f[0, 0] = 0.0
    width = min(0.6 * _CENTRE_M / resolution_m, n / 6.0)
    blur = np.exp(-2.0 * (math.pi * width * f) ** 2)
    steep = np.fft.irfft2(np.fft.rfft2((dz_dx**2 + dz_dy**2) ** 2) * blur, s=(n, n))
    row, col = np.unravel_index(int(np.argmin(steep)), steep.shape)
    return int(row), int(col)


def _craters(
    rng: np.random.Generator, size_m: float, smallest_m: float, equilibrium_m: float
) -> FloatArray:
    """Records of craters of all ages; those that reach the middle are old ones."""
    largest = 0.125 * size_m
    if largest <= smallest_m:
        return np.zeros((0, EXTENT + 1))
    reach = 0.5 * size_m + 0.5 * largest
    low, high = smallest_m**-2, largest**-2
    count = rng.poisson(CRATER_DENSITY_M2 * (low - high) * (2.0 * reach) ** 2)
    diameter = (low - rng.uniform(size=count) * (low - high)) ** -0.5
    xy = rng.uniform(-reach, reach, (count, 2))
    fresh, old = DEPTH_RATIOS
    ratio = fresh * (old / fresh) ** (rng.uniform(size=count) ** 0.55)
    near = np.hypot(xy[:, 0], xy[:, 1]) - diameter < _CENTRE_M
    ratio = np.where(near, np.minimum(ratio, _CENTRE_DEPTH), ratio)
    keep = ~(near & (diameter > 0.6 * _CENTRE_M))
    if equilibrium_m > 0.0:
        share = np.maximum(diameter / equilibrium_m, 1.0) ** -_STEEPER
        keep &= rng.spawn(1)[0].uniform(size=count) < share  # what follows stays the same
    return _records(xy[keep], diameter[keep], ratio[keep])


def _big(rng: np.random.Generator, size_m: float) -> FloatArray:
    """Records of a few big craters around the middle, their mean depth / diameter about 1."""
    diameter = rng.uniform(0.1, 0.3, _BIG) * size_m
    turn = 2.0 * math.pi * (np.arange(_BIG) + rng.uniform(0.0, 0.8, _BIG)) / _BIG
    nearest = _CENTRE_M + 0.8 * diameter
    away = nearest + rng.uniform(size=_BIG) * np.maximum(0.6 * size_m - nearest, 0.0)
    xy = np.stack((away * np.cos(turn), away * np.sin(turn)), axis=1)
    records = _records(xy, diameter, rng.uniform(0.35, 1.9, _BIG))
    records[:, SHARP] = 0.0
    return records


def _records(xy_m: FloatArray, diameter_m: FloatArray, ratio: FloatArray) -> FloatArray:
    rims = np.full(len(diameter_m), 0.08)
    return records_of(np.column_stack((xy_m, diameter_m, diameter_m * ratio, rims)))


def _solve(
    layers: list[FloatArray], resolution_m: float, median_deg: float, p90_deg: float
) -> FloatArray:
    """Sum of base, craters and big craters with the two percentiles of slope, or the nearest."""
    median, p90 = np.tan(np.radians([median_deg, p90_deg]))
    base, craters, big = (np.array(np.gradient(v, resolution_m)) for v in layers)
    low, high = _BIG_DEPTH
    for _ in range(9):
        depth = 0.5 * (low + high)
        fixed = craters + depth * big
        weight = _weight(base, fixed, float(median))
        if float(np.percentile(np.hypot(*(weight * base + fixed)), 90.0)) < p90:
            low = depth
        else:
            high = depth
    return np.asarray(weight * layers[0] + layers[1] + depth * layers[2])


def _weight(base: FloatArray, fixed: FloatArray, median: float) -> float:
    """Factor of the base for which the slope has a median."""
    weight = median / float(np.median(np.hypot(*base)))
    for _ in range(6):
        weight *= median / float(np.median(np.hypot(*(weight * base + fixed))))
    return weight
