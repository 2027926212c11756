"""What the compiled dead reckoning holds: constants, state as arrays, attitudes of the past."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core.clock import RESET_NS
from ilrs_robots.core.localization import reckoning_math as rm
from ilrs_robots.core.types import FloatArray, IntArray

NONE: Final = -(2**62)
"""Stands for a time that is not known."""
IMU, JOINTS, STARS = 0, 1, 2
"""Kinds of samples."""
(IMU_LAST, JOINTS_LAST, TURNED, STAR, HEARD, FORCE, WHEELS, WHEELS_STEP, STANDING, PENDING,
 REJECTED, CONFIRMED, BEGIN, END, COUNT) = range(15)  # fmt: skip
"""Places in ``Held.times``: stamps, then counters, then the history's bounds."""
NS: Final = 1e-9
RESET: Final = RESET_NS


class Mount(NamedTuple):
    """What does not change: mounts, wheels, noise. Units as in ``DeadReckoningConfig``."""

    imu_axes: FloatArray
    map_to_odom: FloatArray
    star_to_base: FloatArray
    wheels_xy_m: FloatArray
    radius_m: float
    huber_mps: float
    gravity_mps2: float
    gyro_noise: float
    imu_averages: bool
    star_stamp_sigma_s: float
    bias_walk: float
    standing_rate: float
    standing_after_s: float
    standing_motion: float
    star_timeout_s: float
    gravity_sigma: float
    gravity_window_s: float
    gravity_tolerance: float
    level_rate: float
    max_gap_s: float
    slip_sigma: float
    slip_per_slope: float
    expected_slip: float
    slip_length_m: float
    slow_mps: float
    gate: float
    history_ns: int


class Held(NamedTuple):
    """What a run begins with and leaves: state, covariance, last samples, history."""

    position: FloatArray
    quat: FloatArray
    bias: FloatArray
    covariance: FloatArray
    rate: FloatArray
    step_s: FloatArray
    force_sum: FloatArray
    wheels_quat: FloatArray
    wheels: FloatArray
    pending: FloatArray
    times: IntArray
    history_ns: IntArray
    history: FloatArray


class Given(NamedTuple):
    """The samples: their order, and a table of each kind."""

    kinds: IntArray
    stamps: IntArray
    rows: IntArray
    imu: FloatArray
    wheels: FloatArray
    standing: IntArray
    stars: FloatArray


class Found(NamedTuple):
    """Estimates, one for each row of joints, and the stars' state after each sample."""

    filled: IntArray
    position: FloatArray
    quat: FloatArray
    twist: FloatArray
    spread: FloatArray
    star_age_ns: IntArray


@njit(cache=True, error_model="numpy")
def finite(values: FloatArray) -> bool:
    """Whether all of them are numbers."""
    for value in values:  # noqa: SIM110 - a loop is what numba compiles best
        if not math.isfinite(value):
            return False
    return True


@njit(cache=True, error_model="numpy")
def follows(last: int, stamp: int) -> bool:
    """Whether a stamp is the next, as ``StampSequence`` says."""
    return bool(last != NONE and last < stamp <= last + RESET)


@njit(cache=True, error_model="numpy")
def remember_attitude(mount: Mount, held: Held, stamp: int) -> None:
    """Append the attitude of now; what is too old goes."""
    times = held.times
    held.history_ns[times[END]] = stamp
    held.history[times[END]] = held.quat
    times[END] += 1
    while held.history_ns[times[BEGIN]] < stamp - mount.history_ns:
        times[BEGIN] += 1


@njit(cache=True, error_model="numpy")
def attitude_at(held: Held, stamp: int, out: FloatArray) -> bool:
    """Attitude at a stamp of the history; False outside of it."""
    begin, end = held.times[BEGIN], held.times[END]
    stamps = held.history_ns[begin:end]
    if begin == end or stamp < stamps[0] or stamp > stamps[-1]:
        return False
    after = np.searchsorted(stamps, stamp)
    if stamps[after] == stamp:
        out[:] = held.history[begin + after]
        return True
    share = (stamp - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
    rm.between(held.history[begin + after - 1], held.history[begin + after], share, out)
    return True


@njit(cache=True, error_model="numpy")
def attitude_near(mount: Mount, held: Held, stamp: int, out: FloatArray) -> bool:
    """From the history, or held on by the last rate for a short time."""
    ahead_s = (stamp - held.times[TURNED]) * NS
    if ahead_s <= 0.0:
        return bool(attitude_at(held, stamp, out))
    if ahead_s > mount.max_gap_s:
        return False
    turn = (held.rate - held.bias) * ahead_s
    rm.exponential(turn[0], turn[1], turn[2], out)
    rm.product(held.quat, out, out)
    return True
