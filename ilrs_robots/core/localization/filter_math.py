"""Small compiled pieces of the error-state filter: rotations, and one update of the covariance."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.types import FloatArray

_TINY = 1e-12


@njit(cache=True, error_model="numpy")
def rotate_by(quat: FloatArray, x: float, y: float, z: float) -> None:
    """Turn a quaternion (4,) wxyz in place by a rotation vector in its own axes, rad."""
    angle = math.sqrt(x * x + y * y + z * z)
    scale = math.sin(0.5 * angle) / angle if angle > _TINY else 0.5
    a, b, c, d = quat[0], quat[1], quat[2], quat[3]
    e, f, g, h = math.cos(0.5 * angle), scale * x, scale * y, scale * z
    w = a * e - b * f - c * g - d * h
    i = a * f + b * e + c * h - d * g
    j = a * g - b * h + c * e + d * f
    k = a * h + b * g - c * f + d * e
    norm = math.sqrt(w * w + i * i + j * j + k * k)
    quat[0], quat[1], quat[2], quat[3] = w / norm, i / norm, j / norm, k / norm


@njit(cache=True, error_model="numpy")
def matrix_of(quat: FloatArray, R: FloatArray) -> None:
    """Write the rotation matrix (3, 3) of a unit quaternion (4,) wxyz into ``R``."""
    w, x, y, z = quat[0], quat[1], quat[2], quat[3]
    R[0, 0], R[0, 1], R[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    R[1, 0], R[1, 1], R[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    R[2, 0], R[2, 1], R[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@njit(cache=True, error_model="numpy")
def into(R: FloatArray, v: FloatArray, out: FloatArray) -> None:
    """Write R^T v, a vector (3,) in the axes of the body, into ``out``; no library is called."""
    for a in range(3):
        out[a] = R[0, a] * v[0] + R[1, a] * v[1] + R[2, a] * v[2]


@njit(cache=True, error_model="numpy")
def out_of(R: FloatArray, v: FloatArray, out: FloatArray) -> None:
    """Write R v, a vector (3,) out of the axes of the body, into ``out``."""
    for a in range(3):
        out[a] = R[a, 0] * v[0] + R[a, 1] * v[1] + R[a, 2] * v[2]


@njit(cache=True, error_model="numpy")
def cross(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """Write a x b, all (3,), into ``out``."""
    out[0], out[1], out[2] = (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


@njit(cache=True, error_model="numpy")
def turn_between(first: FloatArray, second: FloatArray, out: FloatArray) -> None:
    """Write the rotation vector (3,), rad, from one quaternion (4,) to another into ``out``."""
    a, b, c, d = first[0], -first[1], -first[2], -first[3]
    e, f, g, h = second[0], second[1], second[2], second[3]
    w = a * e - b * f - c * g - d * h
    x = a * f + b * e + c * h - d * g
    y = a * g - b * h + c * e + d * f
    z = a * h + b * g - c * f + d * e
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 * math.atan2(sine, w) / sine if sine > _TINY else 2.0
    out[0], out[1], out[2] = scale * x, scale * y, scale * z


@njit(cache=True, error_model="numpy")
def yaw_of(quat: FloatArray) -> float:
    """Heading of a quaternion (4,) wxyz, rad."""
    w, x, y, z = quat[0], quat[1], quat[2], quat[3]
    return math.atan2(2.0 * (w * z + x * y), w * w + x * x - y * y - z * z)


@njit(cache=True, error_model="numpy")
def put_skew(H: FloatArray, row: int, col: int, v: FloatArray, sign: float) -> None:
    """Put the matrix of the cross product with ``v`` (3,), times a sign, into a block of ``H``."""
    H[row, col + 1], H[row, col + 2] = -sign * v[2], sign * v[1]
    H[row + 1, col], H[row + 1, col + 2] = sign * v[2], -sign * v[0]
    H[row + 2, col], H[row + 2, col + 1] = -sign * v[1], sign * v[0]


@njit(cache=True, error_model="numpy")
def innovate(
    P: FloatArray, H: FloatArray, r: FloatArray, noise: FloatArray, m: int, alike: float,
    W: FloatArray, y: FloatArray,
) -> float:  # fmt: skip
    """Squared Mahalanobis distance of a residual; ``W`` and ``y`` get what ``correct`` needs.

    With S = H P H^T + noise = L L^T, W = P H^T L^-T and y = L^-1 r: the corrected covariance is
    P - W W^T, symmetric whatever the rounding, and the error is W y.

    Args:
        P: (ERROR, ERROR).
        H: (6, ERROR), of which ``m`` rows count.
        r: (6,) measured minus predicted.
        noise: (6, 6).
        m: number of values measured.
        alike: how many times the variance of a single answer the noise is.
        W: (ERROR, 6) scratch.
        y: (6,) scratch.

    Returns:
        the distance, by the noise of a single answer; negative where S has no root.
    """
    n = at.ERROR
    L = np.zeros((6, 6))
    for a in range(m):
        for i in range(n):
            W[i, a] = 0.0
        for j in range(n):
            h = H[a, j]
            if h != 0.0:
                for i in range(n):
                    W[i, a] += P[j, i] * h
    for a in range(m):
        for b in range(a + 1):
            total = 0.0
            for j in range(n):
                h = H[a, j]
                if h != 0.0:
                    total += h * W[j, b]
            L[a, b] = total
    single = -1.0
    if alike != 1.0:
        S = L.copy()
        for a in range(m):
            for b in range(a + 1):
                S[a, b] += noise[a, b] / alike
        single = _whiten(S, r, m, y)
    for a in range(m):
        for b in range(a + 1):
            L[a, b] += noise[a, b]
    distance = _whiten(L, r, m, y)
    if distance < 0.0:
        return -1.0
    for i in range(n):
        for a in range(m):
            value = W[i, a]
            for k in range(a):
                value -= W[i, k] * L[a, k]
            W[i, a] = value / L[a, a]
    return distance if alike == 1.0 else single


@njit(cache=True, error_model="numpy")
def _whiten(L: FloatArray, r: FloatArray, m: int, y: FloatArray) -> float:
    """Put the root of a matrix (6, 6), lower triangle, in its place and L^-1 r (6,) into ``y``.

    Returns:
        the square of ``y``; negative where there is no root.
    """
    distance = 0.0
    for a in range(m):
        for b in range(a + 1):
            total = L[a, b]
            for k in range(b):
                total -= L[a, k] * L[b, k]
            if a > b:
                L[a, b] = total / L[b, b]
            elif total > 0.0:
                L[a, a] = math.sqrt(total)
            else:
                return -1.0
        total = r[a]
        for k in range(a):
            total -= L[a, k] * y[k]
        y[a] = total / L[a, a]
        distance += y[a] * y[a]
    return distance


@njit(cache=True, error_model="numpy")
def correct(x: FloatArray, P: FloatArray, W: FloatArray, y: FloatArray, m: int) -> None:
    """Apply what ``innovate`` prepared to the nominal state (NOMINAL,) and P (ERROR, ERROR).

    Reference: Sola 2017, Quaternion kinematics for the error-state Kalman filter, section 6.
    """
    n = at.ERROR
    error = np.zeros(n)
    for i in range(n):
        for a in range(m):
            error[i] += W[i, a] * y[a]
    for i in range(n):
        for j in range(i + 1):
            total = 0.0
            for a in range(m):
                total += W[i, a] * W[j, a]
            P[i, j] -= total
            P[j, i] = P[i, j]
    for k in range(3):
        x[at.P_ + k] += error[at.E_P + k]
        x[at.V_ + k] += error[at.E_V + k]
        x[at.BG_ + k] += error[at.E_BG + k]
        x[at.BA_ + k] += error[at.E_BA + k]
        x[at.KEPT_P + k] += error[at.E_KP + k]
    x[at.SLIP_] += error[at.E_SLIP]
    x[at.SLIP_ + 1] += error[at.E_SLIP + 1]
    e, f = at.E_Q, at.E_KQ
    rotate_by(x[at.Q_ : at.Q_ + 4], error[e], error[e + 1], error[e + 2])
    rotate_by(x[at.KEPT_Q : at.KEPT_Q + 4], error[f], error[f + 1], error[f + 2])
