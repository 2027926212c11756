"""One point per voxel: the mean of those that fall into it, in the order of their first point."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.types import Float32Array, FloatArray, IntArray

HALF_RANGE: Final = 1 << 20
"""Voxels on either side of the origin along an axis: 21 bits hold an index."""
EMPTY: Final = -1
_FIRST_ROOM: Final = 1 << 14
"""Voxels; a small table stays in the cache. Where it is full, a larger one is begun anew."""


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def key_of(column: int, row: int, layer: int) -> int:
    """One number for a voxel's three indices, each within ``HALF_RANGE``."""
    packed: int = ((column + HALF_RANGE) << 42) | ((row + HALF_RANGE) << 21) | (layer + HALF_RANGE)
    return packed


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def slot_of(keys: IntArray, key: int) -> int:
    """Where a key stands in an open-addressed table of 2^n keys, or the free place for it."""
    mask = keys.shape[0] - 1
    mixed = key * 0x9E3779B97F4A7C1
    slot: int = (mixed ^ (mixed >> 29)) & mask
    while keys[slot] != EMPTY and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@njit(cache=True, nogil=True, error_model="numpy")
def _sample(
    xyz: Float32Array,
    voxel_m: float,
    near_m: float,
    far_m: float,
    keys: IntArray,
    places: NDArray[np.int32],
    sums: FloatArray,
    counts: NDArray[np.int32],
) -> int:
    """Fill ``sums`` and ``counts`` of the voxels that hold points; how many, -1 for no room."""
    found = 0
    per_m = 1.0 / voxel_m
    near, far = near_m * near_m, far_m * far_m
    last_key, last_place = EMPTY, 0
    for n in range(xyz.shape[0]):
        x, y, z = float(xyz[n, 0]), float(xyz[n, 1]), float(xyz[n, 2])
        square = x * x + y * y + z * z
        if not (near <= square <= far):  # false for NaN as well
            continue
        key = key_of(int(np.floor(x * per_m)), int(np.floor(y * per_m)), int(np.floor(z * per_m)))
        if key == last_key:
            place = last_place
        else:
            slot = slot_of(keys, key)
            if keys[slot] == EMPTY:
                if found == sums.shape[0]:
                    return -1
                keys[slot] = key
                places[slot] = found
                counts[found] = 0
                sums[found, 0] = sums[found, 1] = sums[found, 2] = 0.0
                found += 1
            place = places[slot]
            last_key, last_place = key, place
        sums[place, 0] += x
        sums[place, 1] += y
        sums[place, 2] += z
        counts[place] += 1
    return found


def voxel_sample(
    xyz_m: Float32Array, voxel_m: float, near_m: float = 0.0, far_m: float = 1e4
) -> Float32Array:
    """Thin a cloud to one mean point per voxel.

    Args:
        xyz_m: (N, 3) float32, any frame whose origin is the sensor's.
        voxel_m: edge of a voxel.
        near_m: nearer points are left out, and so are those that are not finite.
        far_m: farther points are left out.

    Returns:
        (M, 3) float32 metres, in the order in which voxels are met first.

    Raises:
        InvalidCloudError: ``shape``.
        ValueError: ``far_m`` is beyond 2^20 voxels.
    """
    xyz = np.ascontiguousarray(xyz_m, dtype=np.float32)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise InvalidCloudError("shape", f"points have shape (N, 3), got {xyz.shape}")
    if not (voxel_m > 0.0 and far_m < voxel_m * HALF_RANGE):
        raise ValueError(
            f"voxel_m = {voxel_m} m: must be above {far_m / HALF_RANGE:.3g} m for points as far "
            f"as {far_m} m"
        )
    found, size = -1, _FIRST_ROOM
    while found < 0:
        keys = np.full(2 * size, EMPTY, np.int64)
        places = np.empty(2 * size, np.int32)
        sums, counts = np.empty((size, 3)), np.empty(size, np.int32)
        found = _sample(xyz, voxel_m, near_m, far_m, keys, places, sums, counts)
        size *= 4
    means: Float32Array = (sums[:found] / counts[:found, None]).astype(np.float32)
    return means


def warm_up() -> None:
    """Compile the kernel for the types in use."""
    voxel_sample(np.ones((2, 3), np.float32), 0.5)
