"""Kernels of the lidar: rays from interpolated poses, and what is left of the answers.

They run without the interpreter's lock, so that physics goes on meanwhile.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.types import FloatArray


@njit(cache=True, nogil=True)
def _rotate(q: FloatArray, v: FloatArray, out: FloatArray) -> None:
    tx = 2.0 * (q[2] * v[2] - q[3] * v[1])
    ty = 2.0 * (q[3] * v[0] - q[1] * v[2])
    tz = 2.0 * (q[1] * v[1] - q[2] * v[0])
    out[0] = v[0] + q[0] * tx + q[2] * tz - q[3] * ty
    out[1] = v[1] + q[0] * ty + q[3] * tx - q[1] * tz
    out[2] = v[2] + q[0] * tz + q[1] * ty - q[2] * tx


@njit(cache=True, nogil=True)
def fill_rays(
    local: np.ndarray, share: FloatArray, start: FloatArray, end: FloatArray, mount: FloatArray,
    origin_m: FloatArray, rays: np.ndarray,
) -> None:  # fmt: skip
    """Rays of some columns, each from the sensor's pose at its own time.

    Args:
        local: (N, K, 3) float32 unit vectors, sensor frame.
        share: (N,) of the way from the first pose to the second.
        start: (7,) position and wxyz of base_link in map at the first pose.
        end: (7,) at the second; attitudes are blended linearly, which a short period allows.
        mount: (7,) sensor in base_link.
        origin_m: (3,) subtracted from positions.
        rays: (N, K, 6) float32, written: origin and direction.
    """
    quat = np.empty(4)
    lever = np.empty(3)
    axes = np.empty((3, 3))
    turned = np.empty((3, 3))
    unit = np.eye(3)
    for i in range(3):
        _rotate(mount[3:], unit[i], axes[i])
    sign = 1.0 if np.sum(start[3:] * end[3:]) >= 0.0 else -1.0
    for n in range(local.shape[0]):
        u = share[n]
        norm = 0.0
        for i in range(4):
            quat[i] = (1.0 - u) * start[3 + i] + u * sign * end[3 + i]
            norm += quat[i] * quat[i]
        for i in range(4):
            quat[i] /= math.sqrt(norm)
        _rotate(quat, mount[:3], lever)
        for i in range(3):
            _rotate(quat, axes[i], turned[i])
        for k in range(local.shape[1]):
            for i in range(3):
                place = (1.0 - u) * start[i] + u * end[i] + lever[i] - origin_m[i]
                rays[n, k, i] = place
                rays[n, k, 3 + i] = (
                    local[n, k, 0] * turned[0, i]
                    + local[n, k, 1] * turned[1, i]
                    + local[n, k, 2] * turned[2, i]
                )


@njit(cache=True, nogil=True)
def keep_answers(
    local: np.ndarray, rays: np.ndarray, ranges_m: np.ndarray, normals: np.ndarray,
    shine: np.ndarray, noise_m: np.ndarray, lost: np.ndarray, limits_m: tuple[float, float],
    first: int, xyz_m: np.ndarray, column: np.ndarray, intensity: np.ndarray,
) -> int:  # fmt: skip
    """Write the points of every ray that answers, in the order of time; give their number.

    Args:
        local: (N, K, 3) float32 unit vectors, sensor frame.
        rays: (N, K, 6) float32.
        ranges_m: (N, K) float32, inf for a miss.
        normals: (N, K, 3) float32 of what was hit.
        shine: (N, K) float32, intensity of a face that looks at the sensor.
        noise_m: (N, K) float32, added to the range.
        lost: (N, K) bool.
        limits_m: shortest and longest range.
        first: number of the first column.
        xyz_m: (N * K, 3) float32, written.
        column: (N * K,) int64, written.
        intensity: (N * K,) float32, written.
    """
    count = 0
    for n in range(local.shape[0]):
        for k in range(local.shape[1]):
            measured = ranges_m[n, k] + noise_m[n, k]
            if lost[n, k] or not (limits_m[0] <= measured <= limits_m[1]):
                continue
            cosine = 0.0
            for i in range(3):
                xyz_m[count, i] = local[n, k, i] * measured
                cosine += normals[n, k, i] * rays[n, k, 3 + i]
            column[count] = first + n
            intensity[count] = shine[n, k] * abs(cosine)
            count += 1
    return count


def warm_up() -> None:
    """Compile both kernels."""
    local, rays = np.zeros((1, 1, 3), np.float32), np.zeros((1, 1, 6), np.float32)
    pose = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    fill_rays(local, np.zeros(1), pose, pose, pose, np.zeros(3), rays)
    plane = np.zeros((1, 1), np.float32)
    keep_answers(
        local, rays, plane, local, plane, plane, np.zeros((1, 1), np.bool_), (0.5, 1.0), 0,
        np.zeros((1, 3), np.float32), np.zeros(1, np.int64), np.zeros(1, np.float32),
    )  # fmt: skip
