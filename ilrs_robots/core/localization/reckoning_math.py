"""Quaternions, and the error-state filter's steps, compiled: as ``error_state`` but in place.

The array forms there are the reference; a test compares them.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.types import FloatArray

_TINY = 1e-12


@njit(cache=True, error_model="numpy")
def product(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """Product of two quaternions; ``out`` may be either of them."""
    a, b, c, d = left[0], left[1], left[2], left[3]
    e, f, g, h = right[0], right[1], right[2], right[3]
    out[0] = a * e - b * f - c * g - d * h
    out[1] = a * f + b * e + c * h - d * g
    out[2] = a * g - b * h + c * e + d * f
    out[3] = a * h + b * g - c * f + d * e


@njit(cache=True, error_model="numpy")
def inverse_product(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """The turn from the first to the second."""
    a, b, c, d = left[0], -left[1], -left[2], -left[3]
    e, f, g, h = right[0], right[1], right[2], right[3]
    out[0] = a * e - b * f - c * g - d * h
    out[1] = a * f + b * e + c * h - d * g
    out[2] = a * g - b * h + c * e + d * f
    out[3] = a * h + b * g - c * f + d * e


@njit(cache=True, error_model="numpy")
def exponential(x: float, y: float, z: float, out: FloatArray) -> None:
    """Quaternion of a rotation vector."""
    angle = math.sqrt(x * x + y * y + z * z)
    scale = math.sin(0.5 * angle) / angle if angle > _TINY else 0.5
    out[0] = math.cos(0.5 * angle)
    out[1], out[2], out[3] = scale * x, scale * y, scale * z


@njit(cache=True, error_model="numpy")
def logarithm(quat: FloatArray, out: FloatArray) -> None:
    """Rotation vector of a unit quaternion."""
    w, x, y, z = quat[0], quat[1], quat[2], quat[3]
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 * math.atan2(sine, w) / sine if sine > _TINY else 2.0
    out[0], out[1], out[2] = scale * x, scale * y, scale * z


@njit(cache=True, error_model="numpy")
def matrix(quat: FloatArray, out: FloatArray) -> None:
    """Rotation matrix of a unit quaternion."""
    w, x, y, z = quat[0], quat[1], quat[2], quat[3]
    out[0, 0] = 1.0 - 2.0 * (y * y + z * z)
    out[0, 1] = 2.0 * (x * y - w * z)
    out[0, 2] = 2.0 * (x * z + w * y)
    out[1, 0] = 2.0 * (x * y + w * z)
    out[1, 1] = 1.0 - 2.0 * (x * x + z * z)
    out[1, 2] = 2.0 * (y * z - w * x)
    out[2, 0] = 2.0 * (x * z - w * y)
    out[2, 1] = 2.0 * (y * z + w * x)
    out[2, 2] = 1.0 - 2.0 * (x * x + y * y)


@njit(cache=True, error_model="numpy")
def between(first: FloatArray, second: FloatArray, share: float, out: FloatArray) -> None:
    """Attitude at ``share`` of the shortest way from the first to the second."""
    turn, vector = np.empty(4), np.empty(3)
    inverse_product(first, second, turn)
    logarithm(turn, vector)
    exponential(share * vector[0], share * vector[1], share * vector[2], turn)
    product(first, turn, out)


@njit(cache=True, error_model="numpy")
def spread_turn(
    covariance: FloatArray, step: FloatArray, step_s: float, noise: float, walk: float
) -> None:
    """Covariance after a turn by the quaternion ``step``; blocks of its sparse Jacobian."""
    R, rows = np.empty((3, 3)), np.empty((3, 9))
    matrix(step, R)
    for i in range(3):
        for k in range(9):
            rows[i, k] = -step_s * covariance[6 + i, k]
            for j in range(3):
                rows[i, k] += R[j, i] * covariance[3 + j, k]
    for i in range(3):
        for k in range(9):
            covariance[3 + i, k] = rows[i, k]
    for k in range(9):
        for i in range(3):
            rows[i, k] = -step_s * covariance[k, 6 + i]
            for j in range(3):
                rows[i, k] += covariance[k, 3 + j] * R[j, i]
    for k in range(9):
        for i in range(3):
            covariance[k, 3 + i] = rows[i, k]
    for i in range(3):
        covariance[3 + i, 3 + i] += noise
        covariance[6 + i, 6 + i] += walk


@njit(cache=True, error_model="numpy")
def spread_move(
    covariance: FloatArray, R: FloatArray, delta: FloatArray, variance: FloatArray
) -> None:
    """Covariance after a shift by ``delta`` in the axes of ``R``, with its own variance."""
    B = np.empty((3, 3))
    for i in range(3):  # -R @ skew(delta)
        B[i, 0] = -(R[i, 1] * delta[2] - R[i, 2] * delta[1])
        B[i, 1] = -(R[i, 2] * delta[0] - R[i, 0] * delta[2])
        B[i, 2] = -(R[i, 0] * delta[1] - R[i, 1] * delta[0])
    for i in range(3):
        for k in range(9):
            for j in range(3):
                covariance[i, k] += B[i, j] * covariance[3 + j, k]
    for k in range(9):
        for i in range(3):
            for j in range(3):
                covariance[k, i] += covariance[k, 3 + j] * B[i, j]
    for i in range(3):
        for k in range(3):
            for j in range(3):
                covariance[i, k] += R[i, j] * variance[j] * R[k, j]


@njit(cache=True, error_model="numpy")
def _inverse(S: FloatArray, out: FloatArray) -> None:
    """Inverse of a (3, 3) matrix by cofactors."""
    out[0, 0] = S[1, 1] * S[2, 2] - S[1, 2] * S[2, 1]
    out[0, 1] = S[0, 2] * S[2, 1] - S[0, 1] * S[2, 2]
    out[0, 2] = S[0, 1] * S[1, 2] - S[0, 2] * S[1, 1]
    out[1, 0] = S[1, 2] * S[2, 0] - S[1, 0] * S[2, 2]
    out[1, 1] = S[0, 0] * S[2, 2] - S[0, 2] * S[2, 0]
    out[1, 2] = S[0, 2] * S[1, 0] - S[0, 0] * S[1, 2]
    out[2, 0] = S[1, 0] * S[2, 1] - S[1, 1] * S[2, 0]
    out[2, 1] = S[0, 1] * S[2, 0] - S[0, 0] * S[2, 1]
    out[2, 2] = S[0, 0] * S[1, 1] - S[0, 1] * S[1, 0]
    scale = 1.0 / (S[0, 0] * out[0, 0] + S[0, 1] * out[1, 0] + S[0, 2] * out[2, 0])
    for i in range(3):
        for k in range(3):
            out[i, k] *= scale


@njit(cache=True, error_model="numpy")
def correct(
    covariance: FloatArray,
    block: FloatArray,
    first: int,
    residual: FloatArray,
    noise: FloatArray,
    gate: float,
    error: FloatArray,
) -> bool:
    """Error state by a measurement whose Jacobian is ``block`` at columns ``first`` and on.

    ``covariance`` and ``error`` are written, unless it lies beyond the gate: then False.
    """
    cross, S, inverse = np.empty((9, 3)), np.zeros((3, 3)), np.empty((3, 3))
    for i in range(9):
        for m in range(3):
            cross[i, m] = 0.0
            for j in range(3):
                cross[i, m] += covariance[i, first + j] * block[m, j]
    for m in range(3):
        for k in range(3):
            S[m, k] = noise[m, k]
            for j in range(3):
                S[m, k] += block[m, j] * cross[first + j, k]
    _inverse(S, inverse)
    distance = 0.0
    for m in range(3):
        for k in range(3):
            distance += residual[m] * inverse[m, k] * residual[k]
    if distance > gate:
        return False
    gain = np.zeros((9, 3))
    for i in range(9):
        error[i] = 0.0
        for m in range(3):
            for k in range(3):
                gain[i, m] += cross[i, k] * inverse[k, m]
            error[i] += gain[i, m] * residual[m]
    _joseph(covariance, gain, block, first, noise)
    return True


@njit(cache=True, error_model="numpy")
def _joseph(
    covariance: FloatArray, gain: FloatArray, block: FloatArray, first: int, noise: FloatArray
) -> None:
    """Covariance after a correction in Joseph's form, made symmetric."""
    keep, half, whole = np.eye(9), np.empty((9, 9)), np.empty((9, 9))
    for i in range(9):
        for j in range(3):
            for m in range(3):
                keep[i, first + j] -= gain[i, m] * block[m, j]
    for i in range(9):
        for k in range(9):
            half[i, k] = 0.0
            for j in range(9):
                half[i, k] += keep[i, j] * covariance[j, k]
    for i in range(9):
        for k in range(9):
            whole[i, k] = 0.0
            for j in range(9):
                whole[i, k] += half[i, j] * keep[k, j]
            for m in range(3):
                for n in range(3):
                    whole[i, k] += gain[i, m] * noise[m, n] * gain[k, n]
    for i in range(9):
        for k in range(9):
            covariance[i, k] = 0.5 * (whole[i, k] + whole[k, i])
