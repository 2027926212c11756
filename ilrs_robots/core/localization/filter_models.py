"""Compiled measurement models of the error-state filter: residual, Jacobian and noise of each.

Each writes its Jacobian into ``H`` (6, ERROR), its residual into ``r`` (6,), its noise into
``N`` (6, 6) and gives the number of rows, 0 where it cannot be used. The state stands at the IMU;
``base_link`` is the lever ``l`` away, so a base velocity is R^T v - (w - bg) x l.

Reference: Sola 2017 for the error's conventions; Roumeliotis and Burdick 2002, Stochastic cloning,
for measurements between two poses; docs/localization.md has the equations.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.localization.filter_math import (
    cross,
    into,
    matrix_of,
    out_of,
    put_skew,
    rotate_by,
    turn_between,
)
from ilrs_robots.core.types import FloatArray


@njit(cache=True, error_model="numpy")
def wheels(
    x: FloatArray, c: FloatArray, z: FloatArray, R: FloatArray,
    H: FloatArray, r: FloatArray, N: FloatArray,
) -> int:  # fmt: skip
    """Speed of the wheels along x, y and none along z; values: speed and variance (3,), alike.

    Bumps make errors that last for many samples. Taken for white noise each sample would count
    anew, and sixteen in a row be believed four times as much as they know. As white noise of the
    same density, ``alike`` times the variance, they count for what they are; the gate looks at
    single samples.

    The slip is a speed of its own that adds to the body's, so that the model is linear in both:
    as a share of a measured speed it would take that speed's noise for knowledge.
    """
    lx, ly, lz = c[at.C_LEVER], c[at.C_LEVER + 1], c[at.C_LEVER + 2]
    wx, wy = x[at.NOW_W] - x[at.BG_], x[at.NOW_W + 1] - x[at.BG_ + 1]
    wz = x[at.NOW_W + 2] - x[at.BG_ + 2]
    v = np.empty(3)
    into(R, x[at.V_ : at.V_ + 3], v)
    r[0] = z[0] - (v[0] - (wy * lz - wz * ly)) - x[at.SLIP_]
    r[1] = z[1] - (v[1] - (wz * lx - wx * lz)) - x[at.SLIP_ + 1]
    r[2] = z[2] - (v[2] - (wx * ly - wy * lx))
    for a in range(3):
        N[a, a] = z[3 + a] * z[6]
        for k in range(3):
            H[a, at.E_V + k] = R[k, a]
    put_skew(H, 0, at.E_Q, v, 1.0)
    put_skew(H, 0, at.E_BG, c[at.C_LEVER : at.C_LEVER + 3], -1.0)
    H[0, at.E_SLIP] = 1.0
    H[1, at.E_SLIP + 1] = 1.0
    return 3


@njit(cache=True, error_model="numpy")
def stars(
    x: FloatArray, c: FloatArray, z: FloatArray, H: FloatArray, r: FloatArray, N: FloatArray
) -> int:
    """Attitude; values: quaternion (4,) of base_link in odom's anchor, sigma in rad."""
    turn_between(x[at.Q_ : at.Q_ + 4], z[:4], r)
    for a in range(3):
        H[a, at.E_Q + a] = 1.0
        for b in range(3):
            late = c[at.C_STAMP_SIGMA] ** 2
            N[a, b] = late * x[at.NOW_W + a] * x[at.NOW_W + b]
        N[a, a] += z[4] * z[4]
    return 3


@njit(cache=True, error_model="numpy")
def sun(z: FloatArray, R: FloatArray, H: FloatArray, r: FloatArray, N: FloatArray) -> int:
    """A direction; values: where it is (3,), where it is seen (3,) in base axes, sigma in rad.

    Only the two components across the direction count.
    """
    expected, least, e, f = np.empty(3), np.zeros(3), np.empty(3), np.empty(3)
    into(R, z, expected)
    smallest = 0
    for a in range(1, 3):
        if abs(expected[a]) < abs(expected[smallest]):
            smallest = a
    least[smallest] = 1.0
    cross(expected, least, e)
    size = math.sqrt(e[0] * e[0] + e[1] * e[1] + e[2] * e[2])
    for a in range(3):
        e[a] /= size
    for a in range(2):
        if a == 1:
            cross(expected, e, least)
            e[:] = least
        r[a] = 0.0
        for k in range(3):
            r[a] += e[k] * (z[3 + k] - expected[k])
        N[a, a] = z[6] * z[6]
        # expected' = expected + skew(expected) dq
        cross(e, expected, f)
        H[a, at.E_Q], H[a, at.E_Q + 1], H[a, at.E_Q + 2] = f[0], f[1], f[2]
    return 2


@njit(cache=True, error_model="numpy")
def scan(
    x: FloatArray, c: FloatArray, z: FloatArray, R: FloatArray,
    H: FloatArray, r: FloatArray, N: FloatArray,
) -> int:  # fmt: skip
    """Pose of base_link since the kept pose; values: way (3,), quaternion (4,), covariance (21,).

    The covariance is the upper triangle, row by row, of way and turn in the axes of the newer
    base_link for the turn and of the older for the way. A direction that the scans do not show
    carries a variance so large that it says nothing.
    """
    l = c[at.C_LEVER : at.C_LEVER + 3]  # noqa: E741
    K, D = np.empty((3, 3)), np.empty((3, 3))
    matrix_of(x[at.KEPT_Q : at.KEPT_Q + 4], K)
    matrix_of(z[3:7], D)
    apart, way, measured = np.empty(3), np.empty(3), np.empty(3)
    for a in range(3):
        apart[a] = x[at.P_ + a] - x[at.KEPT_P + a]
    into(K, apart, way)
    out_of(D, l, measured)
    q = x[at.KEPT_Q : at.KEPT_Q + 4].copy()
    turn = np.empty(3)
    none = np.zeros(4)
    none[0] = 1.0
    turn_between(none, z[3:7], turn)
    rotate_by(q, turn[0], turn[1], turn[2])
    turn_between(x[at.Q_ : at.Q_ + 4], q, r[3:6])
    for a in range(3):
        r[a] = z[a] + measured[a] - l[a] - way[a]
        for k in range(3):
            H[a, at.E_P + k] = K[k, a]
            H[a, at.E_KP + k] = -K[k, a]
            back = R[0, a] * K[0, k] + R[1, a] * K[1, k] + R[2, a] * K[2, k]
            H[3 + a, at.E_KQ + k] = -back
        H[3 + a, at.E_Q + a] = 1.0
    put_skew(H, 0, at.E_KQ, way, 1.0)
    place = 7
    for a in range(6):
        for b in range(a, 6):
            N[a, b] = z[place]
            N[b, a] = z[place]
            place += 1
    return 6


@njit(cache=True, error_model="numpy")
def fix(
    x: FloatArray, c: FloatArray, z: FloatArray, R: FloatArray,
    H: FloatArray, r: FloatArray, N: FloatArray,
) -> int:  # fmt: skip
    """Position of base_link in odom's anchor; values: (3,), covariance (6,) upper triangle.

    A coordinate that is NaN was not measured.
    """
    l = c[at.C_LEVER : at.C_LEVER + 3]  # noqa: E741
    arm, column = np.empty(3), np.empty(3)
    out_of(R, l, arm)
    C, turned = np.empty((3, 3)), np.empty((3, 3))
    C[0, 0], C[0, 1], C[0, 2] = z[3], z[4], z[5]
    C[1, 0], C[1, 1], C[1, 2] = z[4], z[6], z[7]
    C[2, 0], C[2, 1], C[2, 2] = z[5], z[7], z[8]
    # base = p - R l: its change by dq is R skew(l) dq
    for k in range(3):
        unit = np.zeros(3)
        unit[k] = 1.0
        cross(l, unit, column)
        out_of(R, column, turned[k])
    rows = 0
    for a in range(3):
        if not math.isfinite(z[a]):
            continue
        r[rows] = z[a] - (x[at.P_ + a] - arm[a])
        H[rows, at.E_P + a] = 1.0
        for k in range(3):
            H[rows, at.E_Q + k] = turned[k, a]
        place = 0
        for b in range(3):
            if math.isfinite(z[b]):
                N[rows, place] = C[a, b]
                place += 1
        rows += 1
    return rows


@njit(cache=True, error_model="numpy")
def beacon(
    x: FloatArray, c: FloatArray, z: FloatArray, R: FloatArray,
    H: FloatArray, r: FloatArray, N: FloatArray,
) -> int:  # fmt: skip
    """Distance; values: beacon (3,) in odom's anchor, antenna (3,) in base, range, sigma."""
    arm, away, seen, f = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for k in range(3):
        arm[k] = z[3 + k] - c[at.C_LEVER + k]
    out_of(R, arm, away)
    expected = 0.0
    for k in range(3):
        away[k] += x[at.P_ + k] - z[k]
        expected += away[k] * away[k]
    expected = math.sqrt(expected)
    if expected < 1e-3:
        return 0
    r[0] = z[6] - expected
    N[0, 0] = z[7] * z[7]
    for k in range(3):
        away[k] /= expected
        H[0, at.E_P + k] = away[k]
    # e^T R exp(dq) arm: derivative e^T R (dq x arm) = (arm x R^T e) . dq
    into(R, away, seen)
    cross(arm, seen, f)
    H[0, at.E_Q], H[0, at.E_Q + 1], H[0, at.E_Q + 2] = f[0], f[1], f[2]
    return 1


@njit(cache=True, error_model="numpy")
def stand(x: FloatArray, z: FloatArray, H: FloatArray, r: FloatArray, N: FloatArray) -> int:
    """Neither speed nor rate, so the gyro shows its bias; values: speed and rate variance.

    Reference: Skog, Haendel, Nilsson, Rantakokko 2010, zero-velocity detection.
    """
    for a in range(3):
        r[a] = -x[at.V_ + a]
        H[a, at.E_V + a] = 1.0
        N[a, a] = z[0]
        r[3 + a] = x[at.NOW_W + a] - x[at.BG_ + a]
        H[3 + a, at.E_BG + a] = 1.0
        N[3 + a, 3 + a] = z[1]
    return 6


@njit(cache=True, error_model="numpy")
def altitude(
    x: FloatArray, c: FloatArray, z: FloatArray, R: FloatArray,
    H: FloatArray, r: FloatArray, N: FloatArray,
) -> int:  # fmt: skip
    """Height of base_link over ground; values: height, ground at a place (3,), its slope (2,), s.

    Over a plane the height is z - z0 - gx (x - x0) - gy (y - y0).
    """
    arm = np.empty(3)
    out_of(R, c[at.C_LEVER : at.C_LEVER + 3], arm)
    across = z[4] * (x[at.P_] - arm[0] - z[1]) + z[5] * (x[at.P_ + 1] - arm[1] - z[2])
    r[0] = z[0] - (x[at.P_ + 2] - arm[2] - z[3] - across)
    H[0, at.E_P], H[0, at.E_P + 1], H[0, at.E_P + 2] = -z[4], -z[5], 1.0
    N[0, 0] = z[6] * z[6]
    return 1
