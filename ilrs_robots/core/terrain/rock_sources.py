"""Where rocks lie: a random population that depends on the place only.

Reference: Golombek and Rapp 1997, J. Geophys. Res. 102, 4117: the share of the area covered by
rocks of diameter D and larger is F(D) = k exp(-q D), q = 1.79 + 0.152 / k. The number of rocks per
area follows from dN = -4 / (pi D^2) dF:

    N(> D) = (4 k q / pi) (exp(-q D) / D - q E1(q D)),  E1 the exponential integral.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit

from ilrs_robots.core.terrain.features import BlockField, SurfaceConfig
from ilrs_robots.core.terrain.hashing import cell_key, poisson, stream, unit
from ilrs_robots.core.types import FloatArray, IntArray

HEIGHT_RATIO = (0.4, 0.7)
"""Height above ground over diameter, smallest and largest."""

_ELONGATION = 1.5  # longest over shortest horizontal axis, largest
_TABLE = 256
# Columns of a source: a place where rocks come from.
SX, SY, RADIUS, HOLE, STRENGTH, DENSITY = range(6)
# Columns of a drawn rock.
X, Y, SEMI_A, SEMI_B, SEMI_C, YAW, HEIGHT = range(7)
EJECTA_DIAMETER_M = 5.0
"""Smaller craters do not reach below the regolith and throw no blocks."""
EJECTA_REACH = 1.6
"""Radius of a random crater's block field over its diameter."""


def area_share(diameter_m: FloatArray | float, k: float) -> FloatArray:
    """Share of the area covered by rocks of ``diameter_m`` and larger."""
    q = 1.79 + 0.152 / k
    return np.asarray(k * np.exp(-q * np.asarray(diameter_m)), dtype=np.float64)


def count_density(diameter_m: FloatArray | float, k: float) -> FloatArray:
    """Rocks per square metre of ``diameter_m`` and larger."""
    # 0.1 s of imports that a vehicle, which sees no rocks' law, has no use for.
    from scipy.special import exp1

    q = 1.79 + 0.152 / k
    d = np.asarray(diameter_m, dtype=np.float64)
    return np.asarray(4.0 * k * q / math.pi * (np.exp(-q * d) / d - q * exp1(q * d)))


@lru_cache(maxsize=64)
def size_table(k: float, smallest_m: float, largest_m: float) -> tuple[float, FloatArray]:
    """Density and inverse distribution of diameters between two limits.

    Returns:
        Rocks per square metre, and (2, T): -log of the share above a diameter, and the diameter.
    """
    diameters = np.geomspace(smallest_m, largest_m, _TABLE)
    above = count_density(diameters, k)
    density = float(above[0] - above[-1])
    share = np.maximum((above - above[-1]) / density, 1e-300)
    table = np.stack((-np.log(share), diameters))
    table[0, 0] = 0.0
    return density, table


@dataclass(frozen=True)
class Source:
    """Where rocks come from: place and thinning, seed, and table of diameters."""

    where: FloatArray
    seed: np.uint64
    table: FloatArray


def make_source(
    where: tuple[float, float, float, float, float],
    seed: np.uint64,
    k: float,
    smallest_m: float,
    largest_m: float,
) -> Source:
    """A source of rocks.

    Args:
        where: x, y, outer radius, radius of the hole in metres; strength 0..1 at the hole's edge.
        seed: of its stream.
        k: rock cover at strength 1.
        smallest_m: diameter.
        largest_m: diameter.
    """
    density, table = size_table(k, smallest_m, largest_m)
    return Source(np.array([*where, density]), seed, table)


def largest_reach_m(largest_m: float) -> float:
    """Longest horizontal semi-axis of a rock of a diameter."""
    return 0.5 * largest_m * math.sqrt(_ELONGATION)


@njit(cache=True)
def _diameter(table: np.ndarray, u: float) -> float:
    target = -math.log(1.0 - u)
    low = 0
    high = table.shape[1] - 1
    while high - low > 1:
        mid = (low + high) // 2
        if table[0, mid] <= target:
            low = mid
        else:
            high = mid
    span = table[0, high] - table[0, low]
    share = min(max((target - table[0, low]) / span, 0.0), 1.0) if span > 0.0 else 0.0
    diameter: float = table[1, low] + share * (table[1, high] - table[1, low])
    return diameter


@njit(cache=True)
def _thinning(source: np.ndarray, x: float, y: float) -> float:
    if math.isinf(source[RADIUS]):
        return 1.0
    dx = x - source[SX]
    dy = y - source[SY]
    r = math.sqrt(dx * dx + dy * dy)
    if r < source[HOLE] or r >= source[RADIUS]:
        return 0.0
    t = (r - source[HOLE]) / (source[RADIUS] - source[HOLE])
    s = 1.0 - t * t
    share: float = source[STRENGTH] * s * s
    return share


@njit(cache=True)
def _draw(table: np.ndarray, key: np.uint64, rock: np.ndarray) -> None:
    diameter = _diameter(table, unit(key, 4))
    elongation = math.sqrt(1.0 + (_ELONGATION - 1.0) * unit(key, 5))
    height = diameter * (HEIGHT_RATIO[0] + (HEIGHT_RATIO[1] - HEIGHT_RATIO[0]) * unit(key, 6))
    rock[SEMI_A] = 0.5 * diameter * elongation
    rock[SEMI_B] = 0.5 * diameter / elongation
    rock[SEMI_C] = height * (0.8 + 0.35 * unit(key, 7))
    rock[YAW] = math.pi * unit(key, 8)
    rock[HEIGHT] = height


@njit(cache=True, nogil=True)
def draw_rocks(
    source: np.ndarray, seed: np.uint64, table: np.ndarray, box: np.ndarray,
    rocks: np.ndarray, ids: np.ndarray, start: int,
) -> int:  # fmt: skip
    """Write the rocks of a source whose centres lie in [x_min, x_max) x [y_min, y_max).

    Rocks beyond the length of ``rocks`` are counted, not written. Returns the new count.
    """
    count = start
    density = source[DENSITY]
    cell = min(max(math.sqrt(4.0 / density), 0.5), 50.0)
    reach = source[RADIUS]
    i0 = math.floor(max(box[0], source[SX] - reach) / cell)
    i1 = math.floor(min(box[2], source[SX] + reach) / cell)
    j0 = math.floor(max(box[1], source[SY] - reach) / cell)
    j1 = math.floor(min(box[3], source[SY] + reach) / cell)
    for j in range(j0, j1 + 1):
        for i in range(i0, i1 + 1):
            lattice = cell_key(seed, i, j)
            for n in range(poisson(density * cell * cell, unit(lattice, 0))):
                key = cell_key(lattice, n, 5)
                x = (i + unit(key, 1)) * cell
                y = (j + unit(key, 2)) * cell
                if not (box[0] <= x < box[2] and box[1] <= y < box[3]):
                    continue
                if unit(key, 3) >= _thinning(source, x, y):
                    continue
                if count < rocks.shape[0]:
                    rocks[count, X] = x
                    rocks[count, Y] = y
                    _draw(table, key, rocks[count])
                    ids[count] = np.int64(key >> np.uint64(1))
                count += 1
    return count


def given_sources(
    seed: int, config: SurfaceConfig, fields: tuple[BlockField, ...]
) -> list[Source]:
    """The background, everywhere, and the block fields of a scenario."""
    found = []
    largest = config.rock_max_m
    if config.rock_k > 0.0:
        where = (0.0, 0.0, math.inf, 0.0, 1.0)
        key = stream(seed, "rocks")
        found.append(make_source(where, key, config.rock_k, config.rock_min_m, largest))
    for b in fields:
        if b.k > 0.0 and b.min_diameter_m < largest:
            where = (b.x_m, b.y_m, b.radius_m, b.hole_radius_m, 1.0)
            key = stream(seed, f"blocks {b.x_m:.6f} {b.y_m:.6f}")
            found.append(make_source(where, key, b.k, b.min_diameter_m, largest))
    return found


def ejecta_sources(seed: int, config: SurfaceConfig, craters: FloatArray) -> list[Source]:
    """Block fields around random craters, denser the fresher; none around small or old ones.

    Args:
        seed: of the terrain.
        config: of the random background.
        craters: (N, 5) x, y, radius, depth in metres, sharpness of the rim 0..0.5.
    """
    found = []
    for x, y, radius, _, sharp in craters.tolist():
        strength = 4.0 * sharp - 1.0
        if 2.0 * radius > EJECTA_DIAMETER_M and strength > 0.0:
            where = (x, y, 2.0 * radius * EJECTA_REACH, 0.8 * radius, strength)
            key = stream(seed, f"ejecta {x:.6f} {y:.6f}")
            found.append(
                make_source(where, key, config.ejecta_k, config.rock_min_m, config.rock_max_m)
            )
    return found


def draw_all(sources: list[Source], box: FloatArray) -> tuple[FloatArray, IntArray]:
    """Rocks of all sources with centres in a box: (N, 7) columns as named above, and ids."""
    size = 1024
    while True:
        drawn = np.empty((size, HEIGHT + 1))
        ids = np.empty(size, dtype=np.int64)
        count = 0
        for s in sources:
            count = draw_rocks(s.where, s.seed, s.table, box, drawn, ids, count)
        if count <= size:
            return drawn[:count], ids[:count]
        size = count
