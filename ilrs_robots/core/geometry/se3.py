"""Rigid transforms, unit quaternions (w, x, y, z) and interpolation of poses between stamps.

Scalar conversions go through transforms3d, everything that has a leading axis through numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from transforms3d import euler, quaternions

from ilrs_robots.core.errors import ExtrapolationError, TransformError
from ilrs_robots.core.types import FloatArray

_SMALL_ANGLE_COS = 1.0 - 1e-9
_MIN_NORM = 1e-6


def make_transform(position_m: ArrayLike, quat_wxyz: ArrayLike) -> FloatArray:
    """Build a homogeneous matrix.

    Args:
        position_m: (3,) metres.
        quat_wxyz: (4,) quaternion, normalised here.

    Returns:
        (4, 4) float64.

    Raises:
        TransformError: a number is not finite or the quaternion has no direction.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = quaternions.quat2mat(normalise_quat(quat_wxyz))
    matrix[:3, 3] = _vector(position_m, 3, "position")
    return matrix


def split_transform(transform: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Position (3,) and quaternion wxyz (4,), w >= 0, of a (4, 4) rigid transform.

    Raises:
        TransformError: the matrix is not rigid.
    """
    matrix = require_rigid(transform)
    quat = np.asarray(quaternions.mat2quat(matrix[:3, :3]), dtype=np.float64)
    return matrix[:3, 3].copy(), quat if quat[0] >= 0.0 else -quat


def invert(transform: FloatArray) -> FloatArray:
    """Inverse of a (4, 4) rigid transform, by transposition."""
    rotation = transform[:3, :3]
    inverse = np.eye(4)
    inverse[:3, :3] = rotation.T
    inverse[:3, 3] = -rotation.T @ transform[:3, 3]
    return inverse


def from_rpy(position_m: ArrayLike, rpy_rad: ArrayLike) -> FloatArray:
    """(4, 4) from a position and roll, pitch, yaw about fixed x, y, z (the URDF convention)."""
    roll, pitch, yaw = _vector(rpy_rad, 3, "roll, pitch, yaw")
    return make_transform(position_m, quat_from_rpy(roll, pitch, yaw))


def require_rigid(transform: ArrayLike, tolerance: float = 1e-4) -> FloatArray:
    """Check that a matrix is a rigid transform and return it as (4, 4) float64.

    Args:
        transform: (4, 4).
        tolerance: largest deviation of R^T R from identity; messages carry float32 at times.

    Raises:
        TransformError: wrong shape, not finite, scaled, sheared or mirrored.
    """
    matrix = np.asarray(transform, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise TransformError(f"a transform has shape (4, 4), got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise TransformError("the transform holds a number that is not finite")
    rotation = matrix[:3, :3]
    deviation = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    if deviation > tolerance or np.abs(matrix[3] - (0.0, 0.0, 0.0, 1.0)).max() > tolerance:
        raise TransformError(
            f"the transform is not rigid: R^T R is off by {deviation:.3g}, limit {tolerance:.3g}"
        )
    if np.linalg.det(rotation) < 0.0:
        raise TransformError("the transform is not rigid: it mirrors")
    return matrix


def normalise_quat(quat_wxyz: ArrayLike) -> FloatArray:
    """(4,) unit quaternion.

    Raises:
        TransformError: wrong shape, not finite or of no length.
    """
    quat = _vector(quat_wxyz, 4, "quaternion")
    norm = float(np.sqrt(quat @ quat))
    if norm < _MIN_NORM:
        raise TransformError("the quaternion is zero")
    return quat / norm


def _vector(values: ArrayLike, size: int, what: str) -> FloatArray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (size,):
        raise TransformError(f"{what} has shape ({size},), got {vector.shape}")
    if not np.isfinite(vector).all():
        raise TransformError(f"{what} holds a number that is not finite")
    return vector


def quat_from_rpy(roll_rad: float, pitch_rad: float, yaw_rad: float) -> FloatArray:
    """(4,) wxyz from roll, pitch, yaw about fixed x, y, z."""
    return np.asarray(euler.euler2quat(roll_rad, pitch_rad, yaw_rad, "sxyz"), dtype=np.float64)


def rpy_from_quat(quat_wxyz: ArrayLike) -> FloatArray:
    """(3,) roll, pitch, yaw in radians, about fixed x, y, z."""
    return np.asarray(euler.quat2euler(normalise_quat(quat_wxyz), "sxyz"), dtype=np.float64)


def yaw_of(quat_wxyz: ArrayLike) -> float:
    """Heading of the x axis in the horizontal plane, radians in [-pi, pi]."""
    w, x, y, z = np.asarray(quat_wxyz, dtype=np.float64)
    return float(np.arctan2(2.0 * (w * z + x * y), w * w + x * x - y * y - z * z))


def quat_multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """Hamilton product of (..., 4) quaternions, with broadcasting."""
    first, second = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    lw, lx, ly, lz = first[..., 0], first[..., 1], first[..., 2], first[..., 3]
    rw, rx, ry, rz = second[..., 0], second[..., 1], second[..., 2], second[..., 3]
    w = lw * rw - lx * rx - ly * ry - lz * rz
    product = np.empty((*np.shape(w), 4))
    product[..., 0] = w
    product[..., 1] = lw * rx + lx * rw + ly * rz - lz * ry
    product[..., 2] = lw * ry - lx * rz + ly * rw + lz * rx
    product[..., 3] = lw * rz + lx * ry - ly * rx + lz * rw
    return product


def quat_conjugate(quat_wxyz: FloatArray) -> FloatArray:
    """Inverse of (..., 4) unit quaternions."""
    result: FloatArray = np.asarray(quat_wxyz, dtype=np.float64) * (1.0, -1.0, -1.0, -1.0)
    return result


def quat_rotate(quat_wxyz: FloatArray, vectors: FloatArray) -> FloatArray:
    """Rotate (..., 3) vectors by (..., 4) unit quaternions, with broadcasting."""
    quat, vec = np.asarray(quat_wxyz, dtype=np.float64), np.asarray(vectors, dtype=np.float64)
    w, x, y, z = quat[..., 0], quat[..., 1], quat[..., 2], quat[..., 3]
    a, b, c = vec[..., 0], vec[..., 1], vec[..., 2]
    tx, ty, tz = 2.0 * (y * c - z * b), 2.0 * (z * a - x * c), 2.0 * (x * b - y * a)
    first = a + w * tx + y * tz - z * ty
    rotated = np.empty((*np.shape(first), 3))
    rotated[..., 0] = first
    rotated[..., 1] = b + w * ty + z * tx - x * tz
    rotated[..., 2] = c + w * tz + x * ty - y * tx
    return rotated


def slerp(q0: ArrayLike, q1: ArrayLike, u: ArrayLike) -> FloatArray:
    """Interpolate between unit quaternions along the shorter arc.

    Args:
        q0: (..., 4) wxyz at u = 0.
        q1: (..., 4) wxyz at u = 1.
        u: (...) fraction.

    Returns:
        (..., 4) unit quaternions.

    Reference: Shoemake 1985; linear with normalisation where the angle is below 1e-4 rad.
    """
    first = np.asarray(q0, dtype=np.float64)
    second = np.asarray(q1, dtype=np.float64)
    fraction = np.asarray(u, dtype=np.float64)[..., None]
    cosine = np.sum(first * second, axis=-1, keepdims=True)
    second = np.where(cosine < 0.0, -second, second)
    cosine = np.minimum(np.abs(cosine), 1.0)
    near = cosine > _SMALL_ANGLE_COS
    angle = np.where(near, 1.0, np.arccos(cosine))
    sine = np.sin(angle)
    weight0 = np.where(near, 1.0 - fraction, np.sin((1.0 - fraction) * angle) / sine)
    weight1 = np.where(near, fraction, np.sin(fraction * angle) / sine)
    blended = weight0 * first + weight1 * second
    unit: FloatArray = blended / np.linalg.norm(blended, axis=-1, keepdims=True)
    return unit


def interpolate_poses(
    stamps_ns: NDArray[np.int64],
    positions_m: FloatArray,
    quats_wxyz: FloatArray,
    query_ns: ArrayLike,
) -> tuple[FloatArray, FloatArray]:
    """Interpolate poses: positions linearly, attitudes by slerp; never extrapolate.

    Args:
        stamps_ns: (K,) int64, strictly increasing.
        positions_m: (K, 3) metres.
        quats_wxyz: (K, 4) unit quaternions.
        query_ns: (N,) int64.

    Returns:
        (N, 3) positions and (N, 4) quaternions.

    Raises:
        ExtrapolationError: a query lies outside the stamps; the message says how far, in seconds.
    """
    stamps = np.asarray(stamps_ns, dtype=np.int64)
    query = np.asarray(query_ns, dtype=np.int64)
    if query.size == 0:
        return np.empty((0, 3)), np.empty((0, 4))
    require_inside(stamps, int(query.min()), int(query.max()))
    if stamps.size == 1:
        return np.repeat(positions_m, query.size, axis=0), np.repeat(
            quats_wxyz, query.size, axis=0
        )
    upper = np.clip(np.searchsorted(stamps, query, side="right"), 1, stamps.size - 1)
    lower = upper - 1
    u = (query - stamps[lower]) / (stamps[upper] - stamps[lower])
    start = positions_m[lower]
    positions: FloatArray = start + u[:, None] * (positions_m[upper] - start)
    return positions, slerp(quats_wxyz[lower], quats_wxyz[upper], u)


def require_inside(
    stamps_ns: NDArray[np.int64], first_ns: int, last_ns: int, what: str = "poses"
) -> None:
    """Raise ``ExtrapolationError`` unless [first_ns, last_ns] lies within sorted stamps."""
    if stamps_ns.size == 0:
        raise ExtrapolationError(f"{what}: no data yet")
    before = int(stamps_ns[0]) - first_ns
    after = last_ns - int(stamps_ns[-1])
    if after > 0:
        raise ExtrapolationError(f"{what}: asked {after * 1e-9:.6f} s after the latest data")
    if before > 0:
        raise ExtrapolationError(f"{what}: asked {before * 1e-9:.6f} s before the earliest data")
