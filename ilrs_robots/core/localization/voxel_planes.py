"""A local map of planes: each voxel keeps the moments of its points and the plane through them.

A plane is told by the mean, the normal, the variance of the points across it and the variance of
the normal's direction. The latter is what tells a hill from noise: a plane of variance l1 across
and l2 along its shorter axis, fitted to n points, has a normal that is uncertain by
l1 / (n l2) rad2 about each axis.

Reference: Hatleskog and Alexis 2024, IEEE RA-L (arXiv 2410.10784), for the noise of normals in
point-to-plane registration; Niessner et al. 2013, ACM Trans. Graph. 32(6), for hashed voxels.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.cloud.voxel_sample import EMPTY, HALF_RANGE, key_of, slot_of
from ilrs_robots.core.types import Float32Array, FloatArray, IntArray

MOMENTS: Final = 10
"""Numbers kept per voxel: count, sums of x, y, z, of xx, xy, xz, yy, yz, zz about its centre."""
PLANE: Final = 8
"""Mean (3), normal (3), variance across, variance of the normal; the last below 0: no plane."""
_MEAN_Z: Final = 2
ACROSS: Final = 6
TURN: Final = 7
LEAST_POINTS: Final = 6
_LEAST_SPREAD: Final = 0.012
"""Variance along a plane's shorter axis, in squared voxels, below which it is a line; that of a
filled square is 1/12."""
_FLATNESS: Final = 0.02
"""Variance across over variance along the shorter axis: above it the points are no plane."""
_FORGET_AT: Final = 256.0
"""Points in a voxel above which what is old is halved, so that a map that drifts keeps up."""


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _smallest_axis(
    xx: float, xy: float, xz: float, yy: float, yz: float, zz: float
) -> tuple[float, float, float, float, float]:
    """Smallest and middle eigenvalue of a symmetric matrix, and the axis of the smallest.

    Closed form; the axis is the longest cross product of two rows of the matrix less the smallest
    eigenvalue (Eberly, A robust eigensolver for 3 x 3 symmetric matrices, 2014).
    """
    mean = (xx + yy + zz) / 3.0
    a, b, c = xx - mean, yy - mean, zz - mean
    size = math.sqrt((a * a + b * b + c * c + 2.0 * (xy * xy + xz * xz + yz * yz)) / 6.0)
    if size <= 0.0:
        return mean, mean, 0.0, 0.0, 1.0
    half_det = (a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)) / (
        2.0 * size * size * size
    )
    angle = math.acos(min(max(half_det, -1.0), 1.0)) / 3.0
    low = mean + 2.0 * size * math.cos(angle + 2.0 * math.pi / 3.0)
    high = mean + 2.0 * size * math.cos(angle)
    middle = 3.0 * mean - low - high
    a, b, c = xx - low, yy - low, zz - low
    best = 0.0
    nx, ny, nz = 0.0, 0.0, 1.0
    for pair in range(3):
        if pair == 0:
            u, v, w = xy * yz - xz * b, xz * xy - a * yz, a * b - xy * xy
        elif pair == 1:
            u, v, w = xy * c - xz * yz, xz * xz - a * c, a * yz - xy * xz
        else:
            u, v, w = b * c - yz * yz, yz * xz - xy * c, xy * yz - b * xz
        square = u * u + v * v + w * w
        if square > best:
            best, nx, ny, nz = square, u, v, w
    if best <= 0.0:
        return low, middle, 0.0, 0.0, 1.0
    scale = 1.0 / math.sqrt(best)
    return low, middle, nx * scale, ny * scale, nz * scale


@njit(cache=True, nogil=True, error_model="numpy")
def _fit(
    moments: FloatArray, plane: FloatArray, voxel_m: float, cx: float, cy: float, cz: float
) -> None:
    """The plane of one voxel from its moments about its centre (cx, cy, cz)."""
    plane[TURN] = -1.0
    n = moments[0]
    if n < LEAST_POINTS:
        return
    mx, my, mz = moments[1] / n, moments[2] / n, moments[3] / n
    low, middle, nx, ny, nz = _smallest_axis(
        moments[4] / n - mx * mx, moments[5] / n - mx * my, moments[6] / n - mx * mz,
        moments[7] / n - my * my, moments[8] / n - my * mz, moments[9] / n - mz * mz,
    )  # fmt: skip
    low = max(low * n / (n - 3.0), 0.0)
    if middle < _LEAST_SPREAD * voxel_m * voxel_m or low > _FLATNESS * middle:
        return
    plane[0], plane[1], plane[2] = cx + mx, cy + my, cz + mz
    plane[3], plane[4], plane[5] = nx, ny, nz
    plane[ACROSS] = low
    plane[TURN] = low / (n * middle)


@njit(cache=True, nogil=True, error_model="numpy")
def _insert(
    xyz: FloatArray,
    voxel_m: float,
    noise_m2: float,
    keys: IntArray,
    moments: FloatArray,
    planes: FloatArray,
    touched: NDArray[np.int64],
) -> int:
    """Add points to their voxels and fit anew what they touched; how many voxels are new.

    ``noise_m2`` is the least variance across that a plane is given: that of a range.
    """
    new = 0
    count = 0
    per_m = 1.0 / voxel_m
    for n in range(xyz.shape[0]):
        i = int(np.floor(xyz[n, 0] * per_m))
        j = int(np.floor(xyz[n, 1] * per_m))
        k = int(np.floor(xyz[n, 2] * per_m))
        key = key_of(i, j, k)
        slot = slot_of(keys, key)
        if keys[slot] == EMPTY:
            keys[slot] = key
            moments[slot, :] = 0.0
            planes[slot, TURN] = -1.0
            new += 1
        x = xyz[n, 0] - (i + 0.5) * voxel_m
        y = xyz[n, 1] - (j + 0.5) * voxel_m
        z = xyz[n, 2] - (k + 0.5) * voxel_m
        m = moments[slot]
        if m[0] >= _FORGET_AT:
            m *= 0.5
        m[0] += 1.0
        m[1] += x
        m[2] += y
        m[3] += z
        m[4] += x * x
        m[5] += x * y
        m[6] += x * z
        m[7] += y * y
        m[8] += y * z
        m[9] += z * z
        if planes[slot, TURN] > -2.0:
            planes[slot, TURN] = -2.0  # marked, to be fitted anew
            touched[count] = slot
            count += 1
    for n in range(count):
        slot = touched[n]
        key = keys[slot]
        i = (key >> 42) - HALF_RANGE
        j = ((key >> 21) & (2 * HALF_RANGE - 1)) - HALF_RANGE
        k = (key & (2 * HALF_RANGE - 1)) - HALF_RANGE
        _fit(
            moments[slot], planes[slot], voxel_m,
            (i + 0.5) * voxel_m, (j + 0.5) * voxel_m, (k + 0.5) * voxel_m,
        )  # fmt: skip
        if planes[slot, TURN] >= 0.0 and planes[slot, ACROSS] < noise_m2:
            planes[slot, TURN] *= noise_m2 / max(planes[slot, ACROSS], 1e-12)
            planes[slot, ACROSS] = noise_m2
    return new


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_near(
    keys: IntArray,
    moments: FloatArray,
    planes: FloatArray,
    voxel_m: float,
    centre_m: FloatArray,
    radius_m: float,
    new_keys: IntArray,
    new_moments: FloatArray,
    new_planes: FloatArray,
) -> int:
    """Copy the voxels within a radius into an empty table; how many."""
    kept = 0
    for slot in range(keys.shape[0]):
        key = keys[slot]
        if key == EMPTY:
            continue
        dx = ((key >> 42) - HALF_RANGE + 0.5) * voxel_m - centre_m[0]
        dy = (((key >> 21) & (2 * HALF_RANGE - 1)) - HALF_RANGE + 0.5) * voxel_m - centre_m[1]
        dz = ((key & (2 * HALF_RANGE - 1)) - HALF_RANGE + 0.5) * voxel_m - centre_m[2]
        if dx * dx + dy * dy + dz * dz > radius_m * radius_m:
            continue
        place = slot_of(new_keys, key)
        new_keys[place] = key
        new_moments[place] = moments[slot]
        new_planes[place] = planes[slot]
        kept += 1
    return kept


class VoxelPlanes:
    """Planes of the ground and of what stands on it, around a vehicle.

    Args:
        voxel_m: edge of a voxel.
        noise_m: least standard deviation across a plane.
        capacity: voxels that find room before what is far is dropped or room is made.

    Attributes:
        count: voxels that hold points.
    """

    def __init__(self, voxel_m: float, noise_m: float, capacity: int = 1 << 14) -> None:
        self.voxel_m = voxel_m
        self.count = 0
        self._noise_m2 = noise_m * noise_m
        self._allocate(1 << int(2 * capacity - 1).bit_length())

    def _allocate(self, size: int) -> None:
        self.keys: IntArray = np.full(size, EMPTY, np.int64)
        self.moments: FloatArray = np.zeros((size, MOMENTS))
        self.planes: FloatArray = np.zeros((size, PLANE))
        self.planes[:, TURN] = -1.0

    def insert(self, xyz_m: Float32Array | FloatArray, T_map_cloud: FloatArray) -> int:
        """Add a cloud.

        Args:
            xyz_m: (N, 3) metres, finite, in the cloud's frame.
            T_map_cloud: (4, 4).

        Returns:
            how many voxels are new.
        """
        T = np.asarray(T_map_cloud, dtype=np.float64)
        placed = np.ascontiguousarray(np.asarray(xyz_m, np.float64) @ T[:3, :3].T + T[:3, 3])
        before = self.count
        first = 0
        while first < len(placed):
            free = len(self.keys) // 2 - self.count
            if free <= 0:
                self._rebuild(np.zeros(3), np.inf, 2 * len(self.keys))
                continue
            part = placed[first : first + free]
            touched = np.empty(len(part), np.int64)
            self.count += _insert(
                part, self.voxel_m, self._noise_m2, self.keys, self.moments, self.planes, touched
            )
            first += len(part)
        return self.count - before

    def keep_near(self, centre_m: FloatArray, radius_m: float) -> None:
        """Drop the voxels whose centre is farther from a point than a radius.

        Args:
            centre_m: (3,) map frame.
            radius_m: metres.
        """
        self._rebuild(np.asarray(centre_m, np.float64), radius_m, len(self.keys))

    def _rebuild(self, centre_m: FloatArray, radius_m: float, size: int) -> None:
        keys, moments, planes = self.keys, self.moments, self.planes
        self._allocate(size)
        self.count = int(
            _keep_near(
                keys, moments, planes, self.voxel_m, centre_m, radius_m,
                self.keys, self.moments, self.planes,
            )
        )  # fmt: skip

    def found(self) -> FloatArray:
        """(K, 8) every plane: mean (3) metres, normal (3), variance across m2, of the normal."""
        rows: FloatArray = self.planes[(self.keys != EMPTY) & (self.planes[:, TURN] >= 0.0)]
        return rows
