"""Undo a scan's own motion: every point is taken to where the sensor was at one stamp."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray, IntArray

MAX_TURN_RAD: Final = 0.01
"""Largest turn between the poses that points are interpolated between: 1 in 80 000 of a range."""
_MAX_POSES: Final = 4096


@njit(cache=True, nogil=True, error_model="numpy")
def _move_points(
    xyz: Float32Array,
    time_ns: IntArray,
    knots_ns: IntArray,
    matrices: FloatArray,
    out: Float32Array,
) -> None:
    """Apply to each point the transform at its time; ``matrices`` (K, 3, 4) at the knots.

    Between knots the moved point is interpolated linearly. Times come mostly in order, so the
    search starts where the last one ended.
    """
    last = knots_ns.shape[0] - 2
    k = 0
    for n in range(xyz.shape[0]):
        t = time_ns[n]
        while k < last and t >= knots_ns[k + 1]:
            k += 1
        while k > 0 and t < knots_ns[k]:
            k -= 1
        u = (t - knots_ns[k]) / (knots_ns[k + 1] - knots_ns[k])
        x, y, z = xyz[n, 0], xyz[n, 1], xyz[n, 2]
        for i in range(3):
            a, b = matrices[k, i], matrices[k + 1, i]
            first = a[0] * x + a[1] * y + a[2] * z + a[3]
            second = b[0] * x + b[1] * y + b[2] * z + b[3]
            out[n, i] = first + u * (second - first)


def deskew(
    cloud: Cloud,
    knot_stamps_ns: IntArray,
    positions_m: FloatArray,
    quats_wxyz: FloatArray,
    reference_ns: int,
) -> Float32Array:
    """Take every point to the sensor's frame at one stamp.

    Args:
        cloud: its points are in the sensor's frame at their own times; without per-point times
            all are at the cloud's stamp.
        knot_stamps_ns: (K,) int64, strictly increasing.
        positions_m: (K, 3) of the sensor in odom (any fixed frame) at the knots.
        quats_wxyz: (K, 4) likewise.
        reference_ns: stamp of the frame that the points are taken to.

    Returns:
        (N, 3) float32 metres, sensor frame at ``reference_ns``.

    Raises:
        ExtrapolationError: a point's time or the reference lies outside the knots.
        InvalidCloudError: ``shape``, where times and points do not match.
    """
    knots = np.asarray(knot_stamps_ns, dtype=np.int64)
    positions = np.asarray(positions_m, dtype=np.float64)
    quats = np.asarray(quats_wxyz, dtype=np.float64)
    xyz = np.ascontiguousarray(cloud.xyz_m, dtype=np.float32)
    at = np.array([reference_ns], dtype=np.int64)
    origin, attitude = se3.interpolate_poses(knots, positions, quats, at)
    if xyz.shape[0] == 0:
        return xyz.copy()
    offsets = np.zeros(xyz.shape[0], np.int64)
    if cloud.time_offset_ns is not None:
        offsets = np.asarray(cloud.time_offset_ns, dtype=np.int64)
    if offsets.shape != xyz.shape[:1]:
        raise InvalidCloudError("shape", f"{offsets.size} times for {xyz.shape[0]} points")
    first, last = int(offsets.min()) + cloud.stamp_ns, int(offsets.max()) + cloud.stamp_ns
    se3.require_inside(knots, first, last, "deskew")
    dense = _dense_stamps(knots, quats, first, last)
    position, quat = se3.interpolate_poses(knots, positions, quats, dense)
    inverse = se3.quat_conjugate(attitude)
    matrices = np.empty((dense.size, 3, 4))
    matrices[:, :, 3] = se3.quat_rotate(inverse, position - origin)
    turned = se3.quat_multiply(inverse, quat)
    for axis, unit in enumerate(np.eye(3)):
        matrices[:, :, axis] = se3.quat_rotate(turned, unit)
    if dense.size == 1:  # every point at one stamp
        dense, matrices = np.append(dense, dense + 1), np.repeat(matrices, 2, axis=0)
    out = np.empty_like(xyz)
    _move_points(xyz, offsets, dense - cloud.stamp_ns, matrices, out)
    return out


def _dense_stamps(
    knots_ns: IntArray, quats_wxyz: FloatArray, first_ns: int, last_ns: int
) -> IntArray:
    """Stamps that span the points, with the knots, so close that turns between are small."""
    inner = knots_ns[(knots_ns > first_ns) & (knots_ns < last_ns)]
    stamps = np.unique(np.concatenate(([first_ns], inner, [last_ns])))
    cosine = np.abs(np.sum(quats_wxyz[1:] * quats_wxyz[:-1], axis=1))
    turn = float(2.0 * np.arccos(np.minimum(cosine, 1.0)).max()) if cosine.size else 0.0
    pieces = min(int(np.ceil(turn / MAX_TURN_RAD)), _MAX_POSES)
    if pieces <= 1 or stamps.size == 1:
        return stamps
    share = np.arange(pieces) / pieces
    between = stamps[:-1, None] + (np.diff(stamps)[:, None] * share).astype(np.int64)
    return np.unique(np.concatenate((between.ravel(), stamps[-1:])))


def warm_up() -> None:
    """Compile the kernel for the types in use."""
    cloud = Cloud(0, "", np.zeros((2, 3), np.float32), np.array([0, 9], dtype=np.int64))
    level = np.tile((1.0, 0.0, 0.0, 0.0), (2, 1))
    deskew(cloud, np.array([0, 9], dtype=np.int64), np.zeros((2, 3)), level, 9)
