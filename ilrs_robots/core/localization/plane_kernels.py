"""Kernels of point-to-plane registration: planes for points, and the sums of a step."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.cloud.voxel_sample import EMPTY, key_of, slot_of
from ilrs_robots.core.localization.voxel_planes import ACROSS, TURN
from ilrs_robots.core.types import FloatArray, IntArray

_FARTHEST: Final = 2.25
"""Squared voxels between a point and the mean of its plane."""


@njit(cache=True, nogil=True, error_model="numpy")
def associate(
    xyz: FloatArray,
    T: FloatArray,
    voxel_m: float,
    keys: IntArray,
    planes: FloatArray,
    slots: IntArray,
) -> int:
    """The plane of each point, -1 for none; how many have one.

    A point takes the plane whose mean is nearest, of those of the eight voxels around it.
    """
    per_m = 1.0 / voxel_m
    matched = 0
    for n in range(xyz.shape[0]):
        a, b, c = xyz[n, 0], xyz[n, 1], xyz[n, 2]
        x = T[0, 0] * a + T[0, 1] * b + T[0, 2] * c + T[0, 3]
        y = T[1, 0] * a + T[1, 1] * b + T[1, 2] * c + T[1, 3]
        z = T[2, 0] * a + T[2, 1] * b + T[2, 2] * c + T[2, 3]
        i0 = int(np.floor(x * per_m - 0.5))
        j0 = int(np.floor(y * per_m - 0.5))
        k0 = int(np.floor(z * per_m - 0.5))
        best, found = _FARTHEST * voxel_m * voxel_m, -1
        for corner in range(8):
            slot = slot_of(
                keys, key_of(i0 + (corner & 1), j0 + ((corner >> 1) & 1), k0 + (corner >> 2))
            )
            if keys[slot] == EMPTY or planes[slot, TURN] < 0.0:
                continue
            dx, dy, dz = x - planes[slot, 0], y - planes[slot, 1], z - planes[slot, 2]
            square = dx * dx + dy * dy + dz * dz
            if square < best:
                best, found = square, slot
        slots[n] = found
        matched += found >= 0
    return matched


@njit(cache=True, nogil=True, error_model="numpy")
def _add_noise(
    nx: float, ny: float, nz: float, qx: float, qy: float, qz: float, amount: float,
    J: FloatArray, noise: FloatArray,
) -> None:  # fmt: skip
    """What a turn of the normal about two axes in its plane adds to J^T J, upper half."""
    ex, ey, ez = 0.0, nz, -ny
    if abs(nz) <= 0.5:
        ex, ey, ez = ny, -nx, 0.0
    scale = 1.0 / math.sqrt(ex * ex + ey * ey + ez * ez)
    ex, ey, ez = ex * scale, ey * scale, ez * scale
    for _ in range(2):
        J[0], J[1], J[2] = ex, ey, ez
        J[3], J[4], J[5] = qy * ez - qz * ey, qz * ex - qx * ez, qx * ey - qy * ex
        for u in range(6):
            for v in range(u, 6):
                noise[u, v] += amount * J[u] * J[v]
        ex, ey, ez = ny * ez - nz * ey, nz * ex - nx * ez, nx * ey - ny * ex


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(
    xyz: FloatArray,
    T: FloatArray,
    planes: FloatArray,
    slots: IntArray,
    reach_m: float,
    range_m2: float,
    hessian: FloatArray,
    gradient: FloatArray,
    noise: FloatArray,
    with_noise: bool,
) -> tuple[float, float]:
    """Sums of J^T J, J^T r and of what the normals' noise adds to the former.

    J = (n, q x n) for a shift and a turn about the cloud's origin, q the lever of the point.

    Returns:
        sum of weights, weighted sum of squared distances.
    """
    hessian[:] = 0.0
    gradient[:] = 0.0
    if with_noise:
        noise[:] = 0.0
    weights, squares = 0.0, 0.0
    reach2 = reach_m * reach_m
    J = np.empty(6)
    for n in range(xyz.shape[0]):
        if slots[n] < 0:
            continue
        plane = planes[slots[n]]
        a, b, c = xyz[n, 0], xyz[n, 1], xyz[n, 2]
        qx = T[0, 0] * a + T[0, 1] * b + T[0, 2] * c
        qy = T[1, 0] * a + T[1, 1] * b + T[1, 2] * c
        qz = T[2, 0] * a + T[2, 1] * b + T[2, 2] * c
        dx, dy, dz = qx + T[0, 3] - plane[0], qy + T[1, 3] - plane[1], qz + T[2, 3] - plane[2]
        nx, ny, nz = plane[3], plane[4], plane[5]
        residual = dx * nx + dy * ny + dz * nz
        # The plane's own error grows with the distance from its mean.
        spread = plane[ACROSS] + range_m2 + plane[TURN] * (dx * dx + dy * dy + dz * dz)
        robust = reach2 / (reach2 + residual * residual)
        robust *= robust
        weight = robust / spread
        weights += robust
        squares += robust * residual * residual
        J[0], J[1], J[2] = nx, ny, nz
        J[3], J[4], J[5] = qy * nz - qz * ny, qz * nx - qx * nz, qx * ny - qy * nx
        for u in range(6):
            gradient[u] += weight * J[u] * residual
            for v in range(u, 6):
                hessian[u, v] += weight * J[u] * J[v]
        if with_noise:
            _add_noise(nx, ny, nz, qx, qy, qz, weight * plane[TURN], J, noise)
    for u in range(6):
        for v in range(u):
            hessian[u, v] = hessian[v, u]
            noise[u, v] = noise[v, u]
    return weights, squares
