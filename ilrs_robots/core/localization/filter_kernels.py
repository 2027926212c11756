"""Compiled run of the error-state filter over a table of events in the order of their stamps."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.localization import filter_models as models
from ilrs_robots.core.localization.filter_layout import Kind
from ilrs_robots.core.localization.filter_math import (
    correct,
    cross,
    innovate,
    matrix_of,
    out_of,
    yaw_of,
)
from ilrs_robots.core.localization.filter_motion import move
from ilrs_robots.core.types import FloatArray, IntArray

_IMU, _WHEELS, _STARS, _SUN = int(Kind.IMU), int(Kind.WHEELS), int(Kind.STARS), int(Kind.SUN)
_SCAN, _FIX, _RANGE = int(Kind.SCAN), int(Kind.FIX), int(Kind.RANGE)
_STAND, _ALTITUDE = int(Kind.STAND), int(Kind.ALTITUDE)
_KEEP, _DOUBT, _MOVE = int(Kind.KEEP), int(Kind.DOUBT), int(Kind.MOVE)

_FORGIVEN_DIAGONAL = (0, 3, 5)
CHI2_999 = np.array([0.0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458])
"""Squared distances that one in a thousand exceeds, by the number of values."""
CHI2_95 = np.array([0.0, 3.841, 5.991, 7.815, 9.488, 11.070, 12.592])


@njit(cache=True, error_model="numpy")
def run(
    stamps_ns: IntArray, kinds: IntArray, values: FloatArray, first: int, last: int, total: int,
    x: FloatArray, P: FloatArray, times_ns: IntArray, statistics: FloatArray, c: FloatArray,
    out: FloatArray, spreads: FloatArray,
) -> None:  # fmt: skip
    """Take events ``first`` to ``last`` of a table of ``total``, none beyond the last IMU sample.

    A time between two inertial samples is carried by the later of them, so a measurement there
    changes nothing but itself: what comes out does not depend on the order of arrival.

    Args:
        stamps_ns: (M,) int64, sorted.
        kinds: (M,) int64, see ``Kind``.
        values: (M, WIDTH).
        first: index of the first event to take.
        last: index after the last.
        total: how many events the table holds.
        x: (NOMINAL,), changed.
        P: (ERROR, ERROR), changed.
        times_ns: (TIMES,) int64, changed.
        statistics: (kinds, STATISTICS), changed.
        c: (CONSTANTS,).
        out: (last - first, NOMINAL) gets the state after each event, or (0, NOMINAL).
        spreads: (last - first, ERROR, ERROR) gets its covariance, or (0, ERROR, ERROR).
    """
    imu = first
    w, f = np.zeros(3), np.zeros(3)
    for i in range(first, last):
        now = stamps_ns[i]
        imu = max(imu, i)
        while imu < total and kinds[imu] != _IMU:
            imu += 1
        if times_ns[at.T_STATE] < 0:
            times_ns[at.T_STATE] = now
        step_ns = now - times_ns[at.T_STATE]
        if step_ns > 0:
            gap = imu >= total
            if not gap:
                gap = _between(stamps_ns[imu], values[imu], now, x, times_ns, c, w, f)
            move(x, P, c, step_ns * at.NS, w, f, gap)
            for k in range(3):
                x[at.NOW_W + k] = x[at.BG_ + k] if gap else w[k]
            times_ns[at.T_STATE] = now
        kind = kinds[i]
        if kind == _IMU:
            for k in range(3):
                x[at.LAST_W + k], x[at.LAST_A + k] = values[i, k], values[i, 3 + k]
            times_ns[at.T_IMU] = now
        elif kind == _KEEP:
            _keep(x, P, times_ns, now)
        elif kind == _DOUBT:
            _doubt(x, P, values[i])
        elif kind == _MOVE:
            _way(x, P, values[i])
        else:
            _measure(kind, now, values[i], x, P, times_ns, statistics, c)
        if out.shape[0] > 0:
            out[i - first] = x
        if spreads.shape[0] > 0:
            spreads[i - first] = P


@njit(cache=True, error_model="numpy")
def _between(
    next_ns: int, sample: FloatArray, now: int, x: FloatArray, times_ns: IntArray, c: FloatArray,
    w: FloatArray, f: FloatArray,
) -> bool:  # fmt: skip
    """Rate and force from the state's time to ``now``; gives whether a gap hides them."""
    before = times_ns[at.T_IMU]
    gap = bool(before >= 0 and (next_ns - before) * at.NS > c[at.C_MAX_GAP])
    share = 1.0
    if c[at.C_AVERAGES] == 0.0 and before >= 0 and next_ns > before:
        middle = 0.5 * ((times_ns[at.T_STATE] - before) + (now - before))
        share = middle / (next_ns - before)
    for k in range(3):
        w[k] = x[at.LAST_W + k] + share * (sample[k] - x[at.LAST_W + k])
        f[k] = x[at.LAST_A + k] + share * (sample[3 + k] - x[at.LAST_A + k])
    return gap


@njit(cache=True, error_model="numpy")
def _keep(x: FloatArray, P: FloatArray, times_ns: IntArray, now: int) -> None:
    """The kept pose becomes a copy of this one, with all its covariances."""
    for k in range(3):
        x[at.KEPT_P + k] = x[at.P_ + k]
    for k in range(4):
        x[at.KEPT_Q + k] = x[at.Q_ + k]
    for k in range(3):
        for j in range(at.ERROR):
            P[at.E_KP + k, j] = P[at.E_P + k, j]
            P[at.E_KQ + k, j] = P[at.E_Q + k, j]
    for k in range(3):
        for j in range(at.ERROR):
            P[j, at.E_KP + k] = P[j, at.E_P + k]
            P[j, at.E_KQ + k] = P[j, at.E_Q + k]
    times_ns[at.T_KEPT] = now


@njit(cache=True, error_model="numpy")
def _doubt(x: FloatArray, P: FloatArray, z: FloatArray) -> None:
    """Values: standard deviations of position, speed, attitude, both biases, slip; and a mark.

    With the mark the position is doubted in the anchor alone: the way in odom is what it was.
    """
    if z[6] > 0.0:
        for k in _FORGIVEN_DIAGONAL:
            x[at.FORGIVEN + k] -= z[0] * z[0]
    starts = (at.E_P, at.E_V, at.E_Q, at.E_BG, at.E_BA, at.E_SLIP)
    for g in range(6):
        size = 2 if g == 5 else 3
        for k in range(size):
            more = z[g] * z[g]
            if g == 5:  # a wheel that spins for long makes slip no less certain than unknown
                more = max(more - P[starts[g] + k, starts[g] + k], 0.0)
            P[starts[g] + k, starts[g] + k] += more


@njit(cache=True, error_model="numpy")
def _way(x: FloatArray, P: FloatArray, z: FloatArray) -> None:
    """Values: way (3,) and its variance (3,) in the body's axes."""
    R, J = np.empty((3, 3)), np.empty((3, 3))
    way, unit, column = np.empty(3), np.zeros(3), np.empty(3)
    matrix_of(x[at.Q_ : at.Q_ + 4], R)
    out_of(R, z, way)
    for k in range(3):
        x[at.P_ + k] += way[k]
        unit[:] = 0.0
        unit[k] = -1.0
        cross(z, unit, column)
        out_of(R, column, J[k])  # p' = p - R skew(way) dq: column k of it
    n, p, q = at.ERROR, at.E_P, at.E_Q
    rows = np.empty((3, n))
    for a in range(3):
        for j in range(n):
            more = J[0, a] * P[q, j] + J[1, a] * P[q + 1, j] + J[2, a] * P[q + 2, j]
            rows[a, j] = P[p + a, j] + more
    for a in range(3):
        for j in range(3, n):
            P[p + a, j], P[j, p + a] = rows[a, j], rows[a, j]
    for a in range(3):
        for b in range(3):
            total = rows[a, p + b]
            for k in range(3):
                total += rows[a, q + k] * J[k, b] + R[a, k] * z[3 + k] * R[b, k]
            P[p + a, p + b] = total


@njit(cache=True, error_model="numpy")
def _measure(
    kind: int, now: int, z: FloatArray, x: FloatArray, P: FloatArray, times_ns: IntArray,
    statistics: FloatArray, c: FloatArray,
) -> None:  # fmt: skip
    H, r, N = np.zeros((6, at.ERROR)), np.zeros(6), np.zeros((6, 6))
    R = np.empty((3, 3))
    matrix_of(x[at.Q_ : at.Q_ + 4], R)
    m = 0
    if kind == _WHEELS:
        x[at.WHEEL_MPS] = math.sqrt(z[0] * z[0] + z[1] * z[1])
        m = models.wheels(x, c, z, R, H, r, N)
    elif kind == _STARS:
        m = models.stars(x, c, z, H, r, N)
    elif kind == _SUN:
        m = models.sun(z, R, H, r, N)
    elif kind == _SCAN:
        if now - np.int64(z[28]) == times_ns[at.T_KEPT]:
            m = models.scan(x, c, z, R, H, r, N)
    elif kind == _FIX:
        m = models.fix(x, c, z, R, H, r, N)
    elif kind == _RANGE:
        m = models.beacon(x, c, z, R, H, r, N)
    elif kind == _STAND:
        x[at.WHEEL_MPS] = 0.0
        m = models.stand(x, z, H, r, N)
    elif kind == _ALTITUDE:
        m = models.altitude(x, c, z, R, H, r, N)
    row = statistics[kind]
    if m == 0:
        row[at.S_REFUSED] += 1.0
        return
    W, y = np.empty((at.ERROR, 6)), np.empty(6)
    alike = z[6] if kind == _WHEELS else 1.0
    distance = innovate(P, H, r, N, m, alike, W, y)
    if not _passes(row, distance, m, alike, c):
        after = max(round(c[at.C_LOST_AFTER] * alike), 1)
        if row[at.S_BAD] > 0 and row[at.S_BAD] % after == 0:
            row[at.S_LOST] += 1.0
            _lose(kind, x, P, c, row[at.S_BAD] / after)
        return
    if kind == _ALTITUDE and z[7] > 0.0:
        _upright(x, P, W, y)
    elif kind in (_FIX, _RANGE, _ALTITUDE):
        _absolute(x, P, W, y, m)
    else:
        correct(x, P, W, y, m)


@njit(cache=True, error_model="numpy")
def _upright(x: FloatArray, P: FloatArray, W: FloatArray, y: FloatArray) -> None:
    """Correct height and speed upwards by one value, and nothing else.

    What else is correlated with them is considered, not corrected: with a gain K that is zero
    there, P - K H P - (K H P)^T + K S K^T is P - w w^T but for what is considered on both sides.

    Reference: Schmidt 1966, Application of state-space methods to navigation problems.
    """
    n, w = at.ERROR, W[:, 0].copy()
    z, up = at.E_P + 2, at.E_V + 2
    for j in range(n):
        if j not in (z, up):
            W[j, 0] = 0.0
    _absolute(x, P, W, y, 1)
    for j in range(n):
        if j not in (z, up):
            P[z, j] -= w[z] * w[j]
            P[up, j] -= w[up] * w[j]
            P[j, z], P[j, up] = P[z, j], P[up, j]


@njit(cache=True, error_model="numpy")
def _passes(row: FloatArray, distance: float, m: int, alike: float, c: FloatArray) -> bool:
    """Gate with hysteresis: a sensor that was refused often must agree well, and often.

    Where ``alike`` answers in a row share their error, so many count as one. The statistics hold
    the distances of all that passed.
    """
    row[at.S_LAST] = distance
    limit = CHI2_95[m] if row[at.S_DOUBTED] > 0.0 else CHI2_999[m]
    if 0.0 <= distance <= limit:
        row[at.S_TAKEN] += 1.0
        row[at.S_NIS] += distance
        row[at.S_DOF] += m
        row[at.S_BAD] = 0.0
        row[at.S_GOOD] += 1.0
        if row[at.S_GOOD] >= c[at.C_REOPEN_AFTER] * alike:
            row[at.S_DOUBTED] = 0.0
        return True
    row[at.S_REFUSED] += 1.0
    row[at.S_BAD] += 1.0
    row[at.S_GOOD] = 0.0
    if row[at.S_BAD] >= c[at.C_SHUT_AFTER] * alike:
        row[at.S_DOUBTED] = 1.0
    return False


@njit(cache=True, error_model="numpy")
def _lose(kind: int, x: FloatArray, P: FloatArray, c: FloatArray, rounds: float) -> None:
    """A sensor contradicts again and again: what it could know better becomes doubtful.

    Wheels say that they slip; scans that speed or accelerometers are off; stars that attitude or
    gyros are; absolute places that the vehicle is not where it is believed to be. The doubt
    grows with the rounds, so that far contradictions are reached as well.
    """
    z = np.zeros(7)
    if kind == _WHEELS:
        z[5] = c[at.C_DOUBT_SLIP]
    elif kind in (_STARS, _SUN):
        z[2], z[3] = c[at.C_DOUBT_Q], c[at.C_DOUBT_BG]
    elif kind in (_FIX, _RANGE, _ALTITUDE):
        z[0], z[6] = c[at.C_DOUBT_P], 1.0
    elif kind == _STAND:
        z[1], z[3], z[4] = c[at.C_DOUBT_V], c[at.C_DOUBT_BG], c[at.C_DOUBT_BA]
    else:
        z[1], z[2] = c[at.C_DOUBT_V], c[at.C_DOUBT_Q]
        z[3], z[4] = c[at.C_DOUBT_BG], c[at.C_DOUBT_BA]
    for k in range(6):
        z[k] *= rounds
    _doubt(x, P, z)


@njit(cache=True, error_model="numpy")
def _absolute(x: FloatArray, P: FloatArray, W: FloatArray, y: FloatArray, m: int) -> None:
    """Correct, and move odom's place in its anchor so that the pose in odom does not jump."""
    before, yaw = x[at.P_ : at.P_ + 3].copy(), yaw_of(x[at.Q_ : at.Q_ + 4])
    for a in range(3):
        for b in range(a, 3):
            place = at.FORGIVEN + a * 3 - (a * (a - 1)) // 2 + (b - a)
            x[place] += P[a, b]
    correct(x, P, W, y, m)
    for a in range(3):
        for b in range(a, 3):
            place = at.FORGIVEN + a * 3 - (a * (a - 1)) // 2 + (b - a)
            x[place] -= P[a, b]
    old = x[at.SHIFT_YAW]
    turned = old + yaw_of(x[at.Q_ : at.Q_ + 4]) - yaw
    dx, dy = before[0] - x[at.SHIFT], before[1] - x[at.SHIFT + 1]
    in_x = math.cos(old) * dx + math.sin(old) * dy
    in_y = -math.sin(old) * dx + math.cos(old) * dy
    x[at.SHIFT] = x[at.P_] - (math.cos(turned) * in_x - math.sin(turned) * in_y)
    x[at.SHIFT + 1] = x[at.P_ + 1] - (math.sin(turned) * in_x + math.cos(turned) * in_y)
    x[at.SHIFT + 2] += x[at.P_ + 2] - before[2]
    x[at.SHIFT_YAW] = turned
