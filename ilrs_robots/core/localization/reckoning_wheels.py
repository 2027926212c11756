"""Wheels in the compiled dead reckoning: as ``WheelOdometry`` and ``DeadReckoning.on_joints``."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.localization import reckoning_math as rm
from ilrs_robots.core.localization.reckoning_state import (
    JOINTS_LAST,
    NONE,
    NS,
    STANDING,
    TURNED,
    WHEELS,
    WHEELS_STEP,
    Found,
    Held,
    Mount,
    attitude_at,
    attitude_near,
    finite,
    follows,
)
from ilrs_robots.core.types import FloatArray

_ENCODER_JUMP_RAD: Final = 0.5


@njit(cache=True, error_model="numpy")
def on_joints(
    mount: Mount, held: Held, wheels: FloatArray, standing: int, stamp: int, found: Found, row: int
) -> bool:
    """``wheels`` is (3, N): steering angles, wheel positions, wheel speeds."""
    times = held.times
    before = times[WHEELS]
    ready = follows(times[JOINTS_LAST], stamp) and times[TURNED] != NONE and before != NONE
    if not ready or before >= stamp or standing < 0 or not finite(wheels.ravel()):
        return False
    step_s = (stamp - before) * NS
    quat, start, turn = np.empty(4), np.empty(4), np.empty(4)
    if step_s > mount.max_gap_s or not attitude_near(mount, held, stamp, quat):
        return False
    if not attitude_at(held, before, start):
        start[:] = held.wheels_quat
    rotation, planar, middle = np.empty(3), np.zeros(3), np.empty(4)
    rm.inverse_product(start, quat, turn)
    rm.logarithm(turn, rotation)
    if not wheel_speed(
        mount.wheels_xy_m, mount.radius_m, mount.huber_mps, held.wheels, wheels,
        rotation[2] / step_s, step_s, planar,
    ):  # fmt: skip
        return False
    residual, planar[2] = planar[2], 0.0
    rm.between(start, quat, 0.5, middle)
    _advance(mount, held, planar, residual, middle, step_s)
    times[JOINTS_LAST] = times[WHEELS] = stamp
    times[WHEELS_STEP] = stamp - before
    if standing == 0:
        times[STANDING] = NONE
    elif times[STANDING] == NONE:
        times[STANDING] = stamp
    held.wheels[:] = wheels
    held.wheels_quat[:] = quat
    found.filled[row] = 1
    found.position[row], found.quat[row] = held.position, quat
    found.twist[row, :3], found.twist[row, 3:] = planar, rotation / step_s
    _pose_spread(held, found.spread[row])
    return True


@njit(cache=True, error_model="numpy")
def _advance(
    mount: Mount,
    held: Held,
    planar: FloatArray,
    residual: float,
    middle: FloatArray,
    step_s: float,
) -> None:
    """Shift by the wheels' speed less the expected slip; ``planar`` becomes that speed."""
    R, variance = np.empty((3, 3)), np.empty(3)
    rm.matrix(middle, R)
    speed = math.hypot(planar[0], planar[1])
    seen = residual / max(speed, mount.slow_mps)
    base = mount.slip_sigma + min(seen, 1.0)
    for i in range(3):
        slope = abs(R[2, i]) if i < 2 else 0.0
        share = base + mount.slip_per_slope * slope
        variance[i] = 2.0 * share**2 * mount.slip_length_m * speed * step_s
    slip = mount.expected_slip * speed
    planar[0] -= slip * R[2, 0]
    planar[1] -= slip * R[2, 1]
    delta = planar * step_s
    for i in range(3):
        for j in range(3):
            held.position[i] += R[i, j] * delta[j]
    rm.spread_move(held.covariance, R, delta, variance)


@njit(cache=True, error_model="numpy")
def wheel_speed(
    places_xy_m: FloatArray, radius_m: float, huber_mps: float, first: FloatArray,
    second: FloatArray, yaw_rate: float, step_s: float, out: FloatArray,
) -> bool:  # fmt: skip
    """Speed along x and y and what the wheels contradict; False where an encoder jumps.

    As ``SteeringKinematics.forward_given_yaw_rate`` of the mean between two samples.

    Args:
        places_xy_m: (N, 2) wheels, base_link.
        radius_m: of every wheel.
        huber_mps: contradictions beyond it weigh less.
        first: (3, N) steering angles, wheel positions and speeds; rad, rad/s.
        second: (3, N) of the later sample.
        yaw_rate: rad/s.
        step_s: between them.
        out: (3,) filled, m/s.
    """
    count = second.shape[1]
    rows, known = np.empty((2 * count, 2)), np.empty(2 * count)
    for n in range(count):
        turned = second[1, n] - first[1, n]
        expected = 0.5 * (first[2, n] + second[2, n]) * step_s
        if abs(turned - expected) > _ENCODER_JUMP_RAD:
            return False
        steer = 0.5 * (first[0, n] + second[0, n])
        cos, sin = math.cos(steer), math.sin(steer)
        x, y = places_xy_m[n, 0], places_xy_m[n, 1]
        rows[n, 0], rows[n, 1] = cos, sin
        rows[count + n, 0], rows[count + n, 1] = -sin, cos
        known[n] = turned / step_s * radius_m - (x * sin - y * cos) * yaw_rate
        known[count + n] = -(x * cos + y * sin) * yaw_rate
    _solve(rows, known, out, np.inf)
    for _ in range(4):
        if _contradiction(rows, known, out, True) <= huber_mps:
            break
        _solve(rows, known, out, huber_mps)
    out[2] = _contradiction(rows, known, out, False)
    return True


@njit(cache=True, error_model="numpy")
def _solve(rows: FloatArray, known: FloatArray, out: FloatArray, huber: float) -> None:
    """Least squares of two unknowns, each row weighing less beyond ``huber`` from ``out``."""
    a = b = d = p = q = 0.0
    for n in range(rows.shape[0]):
        x, y = rows[n, 0], rows[n, 1]
        weight = 1.0
        if huber < np.inf:
            weight = huber / max(abs(known[n] - x * out[0] - y * out[1]), huber)
        a += weight * x * x
        b += weight * x * y
        d += weight * y * y
        p += weight * x * known[n]
        q += weight * y * known[n]
    determinant = a * d - b * b
    out[0] = (d * p - b * q) / determinant
    out[1] = (a * q - b * p) / determinant


@njit(cache=True, error_model="numpy")
def _contradiction(rows: FloatArray, known: FloatArray, speed: FloatArray, most: bool) -> float:
    largest = total = 0.0
    for n in range(rows.shape[0]):
        off = known[n] - rows[n, 0] * speed[0] - rows[n, 1] * speed[1]
        largest = max(largest, abs(off))
        total += off * off
    return largest if most else math.sqrt(total / rows.shape[0])


@njit(cache=True, error_model="numpy")
def _pose_spread(held: Held, out: FloatArray) -> None:
    """(6, 6) of x, y, z and rotations about the fixed axes."""
    axes, half = np.eye(6), np.empty((6, 6))
    rm.matrix(held.quat, axes[3:, 3:])
    for i in range(6):
        for k in range(6):
            half[i, k] = 0.0
            for j in range(6):
                half[i, k] += axes[i, j] * held.covariance[j, k]
    for i in range(6):
        for k in range(6):
            out[i, k] = 0.0
            for j in range(6):
                out[i, k] += half[i, j] * axes[k, j]
