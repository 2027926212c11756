"""Dead reckoning through a whole run of ordinary samples, compiled.

It does what ``DeadReckoning`` does sample by sample, for samples that need no judgement. At the
first that does (not finite, out of order, after a gap, beyond a gate, before the start) it stops
with everything as before that sample, and the class takes over. What the class does is the
reference; a test compares both.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.localization import reckoning_math as rm
from ilrs_robots.core.localization.reckoning_state import (
    BEGIN,
    CONFIRMED,
    COUNT,
    END,
    FORCE,
    HEARD,
    IMU,
    IMU_LAST,
    JOINTS,
    JOINTS_LAST,
    NONE,
    NS,
    PENDING,
    REJECTED,
    RESET,
    STANDING,
    STAR,
    STARS,
    TURNED,
    WHEELS,
    WHEELS_STEP,
    Found,
    Given,
    Held,
    Mount,
    attitude_at,
    finite,
    follows,
    remember_attitude,
)
from ilrs_robots.core.localization.reckoning_wheels import on_joints
from ilrs_robots.core.types import FloatArray, IntArray

__all__ = [
    "BEGIN", "CONFIRMED", "COUNT", "END", "FORCE", "HEARD", "IMU", "IMU_LAST", "JOINTS",
    "JOINTS_LAST", "NONE", "PENDING", "REJECTED", "STANDING", "STAR", "STARS", "TURNED", "WHEELS",
    "WHEELS_STEP", "Found", "Given", "Held", "Mount", "run",
]  # fmt: skip


@njit(cache=True, error_model="numpy")
def run(mount: Mount, held: Held, given: Given, found: Found, first: int, last: int) -> int:
    """Take samples from ``first`` to below ``last``; gives the first that was not taken."""
    before, cov_before = np.empty(20), np.empty((9, 9))
    times_before = np.empty(COUNT, dtype=np.int64)
    for n in range(first, last):
        kind, stamp, row = given.kinds[n], given.stamps[n], given.rows[n]
        if kind == JOINTS:
            good = on_joints(
                mount, held, given.wheels[row], given.standing[row], stamp, found, row
            )
        else:
            _remember(held, before, cov_before, times_before)
            if kind == IMU:
                good = _on_imu(mount, held, given.imu[row], stamp)
            else:
                good = _on_stars(mount, held, given.stars[row], stamp)
            if not good:
                _restore(held, before, cov_before, times_before)
        if not good:
            return n
        star, turned = held.times[STAR], held.times[TURNED]
        known = star != NONE and turned != NONE
        found.star_age_ns[n] = turned - star if known else NONE
    return last


@njit(cache=True, error_model="numpy")
def _remember(held: Held, before: FloatArray, covariance: FloatArray, times: IntArray) -> None:
    before[:3], before[3:7], before[7:10] = held.position, held.quat, held.bias
    before[10:13], before[13:16], before[16] = held.rate, held.force_sum, held.step_s[0]
    covariance[:] = held.covariance
    times[:] = held.times


@njit(cache=True, error_model="numpy")
def _restore(held: Held, before: FloatArray, covariance: FloatArray, times: IntArray) -> None:
    held.position[:], held.quat[:], held.bias[:] = before[:3], before[3:7], before[7:10]
    held.rate[:], held.force_sum[:], held.step_s[0] = before[10:13], before[13:16], before[16]
    held.covariance[:] = covariance
    held.times[:] = times


# -- gyro ---------------------------------------------------------------------------------------
@njit(cache=True, error_model="numpy")
def _on_imu(mount: Mount, held: Held, values: FloatArray, stamp: int) -> bool:
    times = held.times
    turned = times[TURNED]
    if not (finite(values) and follows(times[IMU_LAST], stamp) and turned != NONE):
        return False
    step_s = (stamp - turned) * NS
    if stamp <= turned or step_s > mount.max_gap_s:
        return False
    rate, force = np.zeros(3), np.zeros(3)
    for i in range(3):
        for j in range(3):
            rate[i] += mount.imu_axes[i, j] * values[j]
            force[i] += mount.imu_axes[i, j] * values[3 + j]
    times[IMU_LAST] = stamp
    _turn(mount, held, rate, step_s)
    remember_attitude(mount, held, stamp)
    times[TURNED], held.step_s[0] = stamp, step_s
    held.rate[:] = rate
    if times[PENDING] != NONE and times[PENDING] <= stamp:
        star_ns, times[PENDING] = times[PENDING], NONE
        if not _see(mount, held, held.pending, star_ns):
            return False
    if _stands(mount, times, stamp):
        _stand(mount, held)
    return bool(_level(mount, held, force, stamp))


@njit(cache=True, error_model="numpy")
def _turn(mount: Mount, held: Held, rate: FloatArray, step_s: float) -> None:
    turn, step = np.empty(3), np.empty(4)
    for i in range(3):
        mean = rate[i] if mount.imu_averages else 0.5 * (rate[i] + held.rate[i])
        turn[i] = (mean - held.bias[i]) * step_s
    rm.exponential(turn[0], turn[1], turn[2], step)
    rm.product(held.quat, step, held.quat)
    norm = 0.0
    for i in range(4):
        norm += held.quat[i] * held.quat[i]
    norm = math.sqrt(norm)
    for i in range(4):
        held.quat[i] /= norm
    noise, walk = mount.gyro_noise**2 * step_s, mount.bias_walk**2 * step_s
    rm.spread_turn(held.covariance, step, step_s, noise, walk)


@njit(cache=True, error_model="numpy")
def _stands(mount: Mount, times: IntArray, now: int) -> bool:
    if times[STANDING] == NONE or times[WHEELS] == NONE:
        return False
    stood_s = (times[WHEELS] - times[STANDING]) * NS
    age_s = abs(now - times[WHEELS]) * NS
    return bool(age_s <= mount.max_gap_s and stood_s >= mount.standing_after_s)


@njit(cache=True, error_model="numpy")
def _stand(mount: Mount, held: Held) -> None:
    if np.abs(held.rate).max() >= mount.standing_rate:
        return
    white = mount.gyro_noise**2 / max(held.step_s[0], 1e-4)
    noise = (mount.standing_motion**2 + white) * np.eye(3)
    residual, error = held.rate - held.bias, np.empty(9)
    rm.correct(held.covariance, np.eye(3), 6, residual, noise, np.inf, error)
    _take(held, error)


@njit(cache=True, error_model="numpy")
def _take(held: Held, error: FloatArray) -> None:
    turn = np.empty(4)
    rm.exponential(error[3], error[4], error[5], turn)
    rm.product(held.quat, turn, held.quat)
    for i in range(3):
        held.position[i] += error[i]
        held.bias[i] += error[6 + i]


@njit(cache=True, error_model="numpy")
def _level(mount: Mount, held: Held, force: FloatArray, now: int) -> bool:
    times = held.times
    dark = times[STAR] == NONE or (now - times[STAR]) * NS > mount.star_timeout_s
    size = math.sqrt(force[0] ** 2 + force[1] ** 2 + force[2] ** 2) / mount.gravity_mps2
    quiet = np.abs(held.rate).max() < mount.level_rate
    if not (dark and quiet and abs(size - 1.0) < mount.gravity_tolerance):
        times[FORCE] = NONE
        return True
    if times[FORCE] == NONE:
        held.force_sum[:] = 0.0
        times[FORCE] = now
    axes = np.empty((3, 3))
    rm.matrix(held.quat, axes)
    for i in range(3):
        for j in range(3):
            held.force_sum[i] += axes[i, j] * force[j]
    if (now - times[FORCE]) * NS < mount.gravity_window_s:
        return True
    times[FORCE] = NONE
    length = math.sqrt(held.force_sum[0] ** 2 + held.force_sum[1] ** 2 + held.force_sum[2] ** 2)
    residual, block = np.zeros(3), np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            residual[i] += axes[j, i] * held.force_sum[j] / length
        residual[i] -= axes[2, i]
    x, y, z = axes[2, 0], axes[2, 1], axes[2, 2]
    block[0, 1], block[0, 2], block[1, 0] = -z, y, z
    block[1, 2], block[2, 0], block[2, 1] = -x, -y, x
    noise = mount.gravity_sigma**2 * np.eye(3)
    return bool(_hold(mount, held, block, residual, noise))


# -- stars --------------------------------------------------------------------------------------
@njit(cache=True, error_model="numpy")
def _on_stars(mount: Mount, held: Held, values: FloatArray, stamp: int) -> bool:
    times = held.times
    if not finite(values) or values[4] <= 0.0 or times[TURNED] == NONE:
        return False
    if times[IMU_LAST] == NONE or stamp > times[IMU_LAST] + RESET:
        return False
    norm = math.sqrt(values[0] ** 2 + values[1] ** 2 + values[2] ** 2 + values[3] ** 2)
    if (times[HEARD] != NONE and stamp <= times[HEARD]) or abs(norm - 1.0) > 0.009:
        return False
    times[HEARD] = times[STAR] = stamp
    if stamp > times[TURNED]:
        times[PENDING] = stamp
        held.pending[:] = values
        return True
    return bool(_see(mount, held, values, stamp))


@njit(cache=True, error_model="numpy")
def _see(mount: Mount, held: Held, values: FloatArray, stamp: int) -> bool:
    then, measured, turn, seen = np.empty(4), np.empty(4), np.empty(4), np.empty(3)
    if not attitude_at(held, stamp, then):
        return False
    norm = math.sqrt(values[0] ** 2 + values[1] ** 2 + values[2] ** 2 + values[3] ** 2)
    rm.product(mount.map_to_odom, values[:4] / norm, measured)
    rm.product(measured, mount.star_to_base, measured)
    rm.inverse_product(then, measured, turn)
    rm.logarithm(turn, seen)
    rm.inverse_product(held.quat, then, turn)
    R, residual = np.empty((3, 3)), np.zeros(3)
    rm.matrix(turn, R)
    for i in range(3):
        for j in range(3):
            residual[i] += R[i, j] * seen[j]
    noise = values[4] ** 2 * np.eye(3)
    for i in range(3):
        for j in range(3):
            noise[i, j] += mount.star_stamp_sigma_s**2 * held.rate[i] * held.rate[j]
    if not _hold(mount, held, np.eye(3), residual, noise):
        return False
    held.times[REJECTED] = 0
    return True


@njit(cache=True, error_model="numpy")
def _hold(
    mount: Mount, held: Held, block: FloatArray, residual: FloatArray, noise: FloatArray
) -> bool:
    """Correct the attitude, and turn the history along with it."""
    error = np.empty(9)
    if not rm.correct(held.covariance, block, 3, residual, noise, mount.gate, error):
        return False
    _take(held, error)
    times = held.times
    times[CONFIRMED] = 1
    turn, last = np.empty(4), held.history[times[END] - 1].copy()
    last[1:] *= -1.0
    rm.product(held.quat, last, turn)
    for k in range(times[BEGIN], times[END]):
        rm.product(turn, held.history[k], held.history[k])
    return True
