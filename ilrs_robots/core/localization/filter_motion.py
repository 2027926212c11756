"""Compiled propagation of the error-state filter by inertial measurements."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.localization.filter_math import matrix_of, rotate_by
from ilrs_robots.core.types import FloatArray

CREEPING_MPS = 0.1
"""Below this speed the slip's speed no longer follows the body's."""
_LONGEST_GAP_S = 10.0
"""A gap adds no more uncertainty than this: nothing is known by then."""


@njit(cache=True, error_model="numpy")
def move(
    x: FloatArray, P: FloatArray, c: FloatArray, dt: float, w: FloatArray, f: FloatArray,
    gap: bool,
) -> None:  # fmt: skip
    """Carry state and covariance over a time in which rate and specific force stay alike.

    The rotation halfway carries the force, so that a turn within the step costs nothing to
    second order. In a gap nothing is known of the motion: attitude and speed are held, and doubted
    by ``gap_rate_rps`` and ``gap_accel_mps2``.

    Args:
        x: (NOMINAL,) nominal state.
        P: (ERROR, ERROR).
        c: (CONSTANTS,).
        dt: seconds.
        w: (3,) measured rate, rad/s, base axes.
        f: (3,) measured specific force, m/s2, base axes.
        gap: whether the measurements say nothing of this time.

    Reference: Sola 2017, sections 5.3 and 5.4.
    """
    rx = (w[0] - x[at.BG_]) * dt
    ry = (w[1] - x[at.BG_ + 1]) * dt
    rz = (w[2] - x[at.BG_ + 2]) * dt
    fx, fy, fz = f[0] - x[at.BA_], f[1] - x[at.BA_ + 1], f[2] - x[at.BA_ + 2]
    fall = c[at.C_GRAVITY]
    if gap:
        rx, ry, rz, fx, fy, fz, fall = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    R, E = np.empty((3, 3)), np.empty((3, 3))
    half = x[at.Q_ : at.Q_ + 4].copy()
    rotate_by(half, 0.5 * rx, 0.5 * ry, 0.5 * rz)
    matrix_of(half, R)
    for k in range(3):
        gain = R[k, 0] * fx + R[k, 1] * fy + R[k, 2] * fz
        if k == 2:
            gain -= fall
        x[at.P_ + k] += (x[at.V_ + k] + 0.5 * gain * dt) * dt
        x[at.V_ + k] += gain * dt
    rotate_by(x[at.Q_ : at.Q_ + 4], rx, ry, rz)
    turn = np.array([1.0, 0.0, 0.0, 0.0])
    rotate_by(turn, -rx, -ry, -rz)
    matrix_of(turn, E)
    A = np.empty((3, 3))
    for k in range(3):
        A[k, 0] = (R[k, 2] * fy - R[k, 1] * fz) * dt
        A[k, 1] = (R[k, 0] * fz - R[k, 2] * fx) * dt
        A[k, 2] = (R[k, 1] * fx - R[k, 0] * fy) * dt
    _transition(P, A, R, E, dt)
    _noise(P, c, dt, gap)
    _slip(x, P, c, R, dt)


@njit(cache=True, error_model="numpy")
def _transition(P: FloatArray, A: FloatArray, R: FloatArray, E: FloatArray, dt: float) -> None:
    """P becomes F P F^T; only nine rows of F differ from the unit matrix.

    dp' = dp + dt dv;  dv' = dv + A dq - R dt dba;  dq' = E dq - dt dbg.
    """
    n = at.ERROR
    p, v, q, g, b = at.E_P, at.E_V, at.E_Q, at.E_BG, at.E_BA
    rows = np.empty((9, n))
    for k in range(3):
        for j in range(n):
            rows[k, j] = P[p + k, j] + dt * P[v + k, j]
            rows[3 + k, j] = (
                P[v + k, j]
                + A[k, 0] * P[q, j] + A[k, 1] * P[q + 1, j] + A[k, 2] * P[q + 2, j]
                - dt * (R[k, 0] * P[b, j] + R[k, 1] * P[b + 1, j] + R[k, 2] * P[b + 2, j])
            )  # fmt: skip
            rows[6 + k, j] = (
                E[k, 0] * P[q, j] + E[k, 1] * P[q + 1, j] + E[k, 2] * P[q + 2, j]
                - dt * P[g + k, j]
            )  # fmt: skip
    for k in range(9):
        for j in range(9, n):
            P[k, j] = rows[k, j]
            P[j, k] = rows[k, j]
    for i in range(9):
        for k in range(3):
            P[i, p + k] = rows[i, p + k] + dt * rows[i, v + k]
            P[i, v + k] = (
                rows[i, v + k]
                + A[k, 0] * rows[i, q] + A[k, 1] * rows[i, q + 1] + A[k, 2] * rows[i, q + 2]
                - dt * (R[k, 0] * rows[i, b] + R[k, 1] * rows[i, b + 1] + R[k, 2] * rows[i, b + 2])
            )  # fmt: skip
            P[i, q + k] = (
                E[k, 0] * rows[i, q] + E[k, 1] * rows[i, q + 1] + E[k, 2] * rows[i, q + 2]
                - dt * rows[i, g + k]
            )  # fmt: skip
    for i in range(9):
        for j in range(i):
            mean = 0.5 * (P[i, j] + P[j, i])
            P[i, j], P[j, i] = mean, mean


@njit(cache=True, error_model="numpy")
def _noise(P: FloatArray, c: FloatArray, dt: float, gap: bool) -> None:
    for k in range(3):
        P[at.E_V + k, at.E_V + k] += c[at.C_ACCEL] ** 2 * dt
        P[at.E_Q + k, at.E_Q + k] += c[at.C_GYRO] ** 2 * dt
        P[at.E_BG + k, at.E_BG + k] += c[at.C_GYRO_WALK] ** 2 * dt
        P[at.E_BA + k, at.E_BA + k] += c[at.C_ACCEL_WALK] ** 2 * dt
        if gap:
            unseen = min(dt, _LONGEST_GAP_S)
            P[at.E_Q + k, at.E_Q + k] += (c[at.C_GAP_RATE] * unseen) ** 2
            P[at.E_V + k, at.E_V + k] += (c[at.C_GAP_ACCEL] * unseen) ** 2
            P[at.E_P + k, at.E_P + k] += (0.5 * c[at.C_GAP_ACCEL] * unseen * unseen) ** 2


@njit(cache=True, error_model="numpy")
def _slip(x: FloatArray, P: FloatArray, c: FloatArray, R: FloatArray, dt: float) -> None:
    """The slip's speed stays a share of the body's, and forgets itself over the wheels' way.

    First-order Gauss-Markov; its spread grows with the slope along and across the body (Helmick
    et al. 2006: slip as a function of slope). The share is kept to the speed that was last used,
    so that what noise adds to the speed it takes away again.
    """
    after = max(_speed(x), CREEPING_MPS)
    ratio = after / max(x[at.SLIP_SPEED], CREEPING_MPS)
    x[at.SLIP_SPEED] = after
    stays = math.exp(-x[at.WHEEL_MPS] * dt / c[at.C_SLIP_LENGTH])
    scale = ratio * stays
    for k in range(2):
        s = at.E_SLIP + k
        spread = c[at.C_SLIP] if k == 0 else c[at.C_LATERAL]
        spread = (spread + c[at.C_SLIP_SLOPE] * abs(R[2, k])) * after
        x[at.SLIP_ + k] *= scale
        for j in range(at.ERROR):
            P[s, j] *= scale
            P[j, s] *= scale
        more = spread * spread * (1.0 - stays * stays)
        if after <= CREEPING_MPS:  # that nothing slips at rest says nothing of what comes
            more = max(spread * spread - P[s, s], 0.0)
        P[s, s] += more


@njit(cache=True, error_model="numpy")
def _speed(x: FloatArray) -> float:
    return math.sqrt(x[at.V_] ** 2 + x[at.V_ + 1] ** 2 + x[at.V_ + 2] ** 2)
