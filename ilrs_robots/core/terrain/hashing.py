"""Random numbers that depend on a place, not on an order: counter-based hashing.

A lattice cell's content must be the same whoever asks for it, in whichever window. Every random
quantity of the refined terrain is therefore a hash of (seed, stream, cell, index).

Reference: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"
(the SplitMix64 finaliser).
"""

from __future__ import annotations

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S11 = np.uint64(11)
_UNIT = 1.0 / 9007199254740992.0  # 2^-53


@njit(cache=True)
def mix(value: np.uint64) -> np.uint64:
    """Scramble 64 bits (SplitMix64)."""
    z = value + _GAMMA
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@njit(cache=True)
def cell_key(seed: np.uint64, i: int, j: int) -> np.uint64:
    """Key of lattice cell (i, j), column and row of either sign."""
    key: np.uint64 = mix(mix(seed ^ np.uint64(i)) ^ np.uint64(j))
    return key


@njit(cache=True)
def unit(key: np.uint64, index: int) -> float:
    """The ``index``-th uniform number in [0, 1) of a key."""
    return float(mix(key + np.uint64(index) * _M2) >> _S11) * _UNIT


@njit(cache=True)
def poisson(mean: float, u: float) -> int:
    """Poisson count for a uniform ``u`` by inversion; at most 1000. For means up to about 50."""
    term = np.exp(-mean)
    total = term
    count = 0
    while u > total and count < 1000:
        count += 1
        term *= mean / count
        total += term
    return count


def stream(seed: int, name: str) -> np.uint64:
    """Seed of an independent stream: ``seed`` combined with a name.

    Args:
        seed: any Python integer.
        name: what the stream is for; its bytes enter the hash.
    """
    state = int(mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF)))
    for byte in name.encode():
        state = int(mix(np.uint64(state ^ byte)))
    return np.uint64(state)
