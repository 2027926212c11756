"""Craters: their profile, and a random population that depends on the place only.

A crater is a bowl with a raised rim and an ejecta apron. ``t`` runs 0..1 from centre to crest:

    inside   z = rim - depth (1 - s(t)),  s = (1 - w) (3 t^2 - 2 t^3) + w t^2
    outside  z = rim e(t),                e = ((1 - w) h(q) + w t^-3 (1 - q^2)^2)

with h the cubic that falls from 1 to 0 without slope at its ends, q = (t - 1) / (REACH - 1), rim
height 0.18 depth (0.036 D for a fresh crater), and w = 0.5 for a fresh crater down to 0 for an old
one, whose crest is rounded. The profile is continuous everywhere and ends at REACH radii.

Reference: Pike 1977 (depth 0.196 D, rim height 0.036 D of fresh simple craters); McGetchin et al.
1973 (ejecta thickness ~ r^-3); Stopar et al. 2017, Icarus 298 (small craters are shallower);
Trask 1966 and Moore et al. 1980 (steady state N(> D) = 0.079 D^-2 per m^2).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.terrain.features import Crater, SurfaceConfig
from ilrs_robots.core.terrain.hashing import cell_key, poisson, stream, unit
from ilrs_robots.core.types import FloatArray

REACH = 2.2
RIM_SHARE = 0.18
_WARP = 1.12  # largest factor by which an irregular rim stretches a radius
_LATTICE = 1.25  # lattice cell over the largest diameter of a class: REACH / 2 * _WARP fits in
# Columns of a crater record.
X, Y, RADIUS, DEPTH, SHARP, E2C, E2S, E3C, E3S, EXTENT = range(10)


@njit(cache=True)
def crater_height(c: np.ndarray, x: float, y: float) -> float:
    """Height that crater record ``c`` adds at a point, metres."""
    dx = x - c[X]
    dy = y - c[Y]
    r2 = dx * dx + dy * dy
    if r2 >= c[EXTENT] * c[EXTENT]:
        return 0.0
    t = math.sqrt(r2) / c[RADIUS]
    if r2 > 0.0:
        inv = 1.0 / math.sqrt(r2)
        cs = dx * inv
        sn = dy * inv
        c2 = cs * cs - sn * sn
        s2 = 2.0 * cs * sn
        c3 = cs * c2 - sn * s2
        s3 = sn * c2 + cs * s2
        t *= 1.0 + c[E2C] * c2 + c[E2S] * s2 + c[E3C] * c3 + c[E3S] * s3
    rim = RIM_SHARE * c[DEPTH]
    w = c[SHARP]
    if t < 1.0:
        s = (1.0 - w) * t * t * (3.0 - 2.0 * t) + w * t * t
        inside: float = rim - c[DEPTH] * (1.0 - s)
        return inside
    if t >= REACH:
        return 0.0
    q = (t - 1.0) / (REACH - 1.0)
    smooth = (1.0 - q) * (1.0 - q) * (1.0 + 2.0 * q)
    fade = 1.0 - q * q
    outside: float = rim * ((1.0 - w) * smooth + w * fade * fade / (t * t * t))
    return outside


@njit(cache=True)
def _fill(
    c: np.ndarray, x: float, y: float, diameter: float, ratio: float, sharp: float, key: np.uint64,
    warp: float,
) -> None:  # fmt: skip
    c[X] = x
    c[Y] = y
    c[RADIUS] = 0.5 * diameter
    c[DEPTH] = ratio * diameter
    c[SHARP] = sharp
    a = 2.0 * math.pi * unit(key, 6)
    b = 2.0 * math.pi * unit(key, 7)
    c[E2C] = 0.65 * warp * math.cos(a)
    c[E2S] = 0.65 * warp * math.sin(a)
    c[E3C] = 0.35 * warp * math.cos(b)
    c[E3S] = 0.35 * warp * math.sin(b)
    c[EXTENT] = 0.5 * diameter * REACH / (1.0 - warp)


@njit(cache=True)
def draw_crater(cls: np.ndarray, law: np.ndarray, key: np.uint64, n: int, c: np.ndarray) -> None:
    """Draw all but the place of crater ``n`` of a lattice cell; c[X], c[Y] are given."""
    sub = cell_key(key, n, 11)
    b = law[0]
    lo = cls[1] ** -b
    hi = cls[2] ** -b
    diameter = (lo - unit(sub, 3) * (lo - hi)) ** (-1.0 / b)
    fresh = law[1]
    old = law[2]
    ratio = fresh * (old / fresh) ** (unit(sub, 4) ** law[3])
    sharp = 0.5 * (ratio - old) / (fresh - old)
    _fill(c, c[X], c[Y], diameter, ratio, sharp, sub, 0.03 + 0.06 * unit(sub, 5))


@njit(cache=True)
def erased(given: np.ndarray, x: float, y: float) -> bool:
    """Whether a given (young) crater has wiped out what was at a point."""
    for g in range(given.shape[0]):
        dx = x - given[g, X]
        dy = y - given[g, Y]
        if dx * dx + dy * dy < given[g, RADIUS] * given[g, RADIUS]:
            return True
    return False


@njit(cache=True)
def craters_height(
    classes: np.ndarray, seeds: np.ndarray, law: np.ndarray, given: np.ndarray, x: float, y: float
) -> float:
    """Sum of all craters at one point, metres."""
    total = 0.0
    for g in range(given.shape[0]):
        total += crater_height(given[g], x, y)
    c = np.empty(EXTENT + 1)
    for k in range(classes.shape[0]):
        cell = classes[k, 0]
        reach = classes[k, 4]
        ci = math.floor(x / cell)
        cj = math.floor(y / cell)
        for j in range(cj - 1, cj + 2):
            for i in range(ci - 1, ci + 2):
                key = cell_key(seeds[k], i, j)
                for n in range(poisson(classes[k, 3], unit(key, 0))):
                    c[X] = (i + unit(key, 2 * n + 1)) * cell
                    c[Y] = (j + unit(key, 2 * n + 2)) * cell
                    dx = x - c[X]
                    dy = y - c[Y]
                    if dx * dx + dy * dy < reach * reach and not erased(given, c[X], c[Y]):
                        draw_crater(classes[k], law, key, n, c)
                        total += crater_height(c, x, y)
    return total


@njit(cache=True, nogil=True)
def collect(
    classes: np.ndarray, seeds: np.ndarray, law: np.ndarray, given: np.ndarray,
    box: np.ndarray, margin: float, records: np.ndarray,
) -> int:  # fmt: skip
    """Write the random craters that may touch a box; returns how many there are.

    Counts beyond ``len(records)`` are counted, not written. ``margin`` < 0 means each class's own
    reach. The order is that of the lattice, hence the same for every box.
    """
    count = 0
    for k in range(classes.shape[0]):
        cell = classes[k, 0]
        grow = classes[k, 4] if margin < 0.0 else margin
        i0 = math.floor((box[0] - grow) / cell)
        i1 = math.floor((box[2] + grow) / cell)
        j0 = math.floor((box[1] - grow) / cell)
        j1 = math.floor((box[3] + grow) / cell)
        for j in range(j0, j1 + 1):
            for i in range(i0, i1 + 1):
                key = cell_key(seeds[k], i, j)
                for n in range(poisson(classes[k, 3], unit(key, 0))):
                    x = (i + unit(key, 2 * n + 1)) * cell
                    y = (j + unit(key, 2 * n + 2)) * cell
                    if x < box[0] - grow or x > box[2] + grow:
                        continue
                    if y < box[1] - grow or y > box[3] + grow or erased(given, x, y):
                        continue
                    if count < records.shape[0]:
                        records[count, X] = x
                        records[count, Y] = y
                        draw_crater(classes[k], law, key, n, records[count])
                    count += 1
    return count


@njit(cache=True)
def stamp(out: np.ndarray, x0: float, y0: float, res: float, records: np.ndarray) -> None:
    """Add crater records to a grid in place, each within its extent."""
    rows, cols = out.shape
    for n in range(records.shape[0]):
        c = records[n]
        j0 = max(math.ceil((c[X] - c[EXTENT] - x0) / res), 0)
        j1 = min(math.floor((c[X] + c[EXTENT] - x0) / res), cols - 1)
        i0 = max(math.ceil((c[Y] - c[EXTENT] - y0) / res), 0)
        i1 = min(math.floor((c[Y] + c[EXTENT] - y0) / res), rows - 1)
        for i in range(i0, i1 + 1):
            y = y0 + res * i
            for j in range(j0, j1 + 1):
                out[i, j] += crater_height(c, x0 + res * j, y)


def crater_classes(config: SurfaceConfig, seed: int) -> tuple[FloatArray, NDArray[np.uint64]]:
    """Diameter classes, an octave each: (K, 5) lattice cell, smallest, largest, mean, reach."""
    rows = []
    low = config.crater_min_m
    density, b = config.crater_density_m2, config.crater_exponent
    while density > 0.0 and low < config.crater_max_m * (1.0 - 1e-9):
        high = min(2.0 * low, config.crater_max_m)
        cell = _LATTICE * high
        mean = density * (low**-b - high**-b) * cell * cell
        rows.append((cell, low, high, mean, 0.5 * high * REACH * _WARP))
        low = high
    seeds = np.array([stream(seed, f"craters{k}") for k in range(len(rows))], dtype=np.uint64)
    return np.array(rows, dtype=np.float64).reshape(-1, 5), seeds


def crater_law(config: SurfaceConfig) -> FloatArray:
    """(4,) exponent, depth ratio fresh and old, bias towards old."""
    return np.array(
        [config.crater_exponent, config.depth_fresh, config.depth_old, config.age_bias]
    )


def crater_records(craters: tuple[Crater, ...]) -> FloatArray:
    """(N, 10) records of craters at given places."""
    columns = [(c.x_m, c.y_m, c.diameter_m, c.depth_m, c.irregularity) for c in craters]
    return records_of(np.array(columns, dtype=np.float64).reshape(-1, 5))


def records_of(columns_m: FloatArray) -> FloatArray:
    """Records of craters of any size.

    Args:
        columns_m: (N, 5) x, y, diameter, depth in metres, and departure of the rim from a circle.

    Returns:
        (N, 10) records.
    """
    records = np.zeros((len(columns_m), EXTENT + 1))
    for record, (x, y, diameter, depth, irregularity) in zip(
        records, columns_m.tolist(), strict=True
    ):
        ratio = depth / diameter
        sharp = 0.5 * min(max((ratio - 0.03) / 0.17, 0.0), 1.0)
        key = stream(0, f"given {x:.3f} {y:.3f}")
        _fill(record, x, y, diameter, ratio, sharp, key, irregularity)
    return records
