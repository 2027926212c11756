"""Dead reckoning over many samples at once: a recorded drive at a thousand times real time.

Samples that need no judgement go through the compiled kernel, all others through the class itself,
one by one; so the outcome is that of the class, but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core.localization import reckoning_kernel as kernel
from ilrs_robots.core.localization.attitude import (
    CHI2_3_999,
    HISTORY_NS,
    LEVEL_RATE_FACTOR,
    AttitudeEstimator,
)
from ilrs_robots.core.localization.dead_reckoning import SLOW_MPS, DeadReckoning
from ilrs_robots.core.localization.wheel_odometry import WheelState
from ilrs_robots.core.types import (
    AttitudeSample,
    FloatArray,
    ImuSample,
    IntArray,
    JointSample,
    OdometryEstimate,
)

IMU: Final = kernel.IMU
JOINTS: Final = kernel.JOINTS
STARS: Final = kernel.STARS


@dataclass(frozen=True)
class SampleBatch:
    """Samples in the order of their arrival; each kind has a table, in its own order.

    Attributes:
        kinds: (N,) int64, ``IMU``, ``JOINTS`` or ``STARS``.
        stamps_ns: (N,) int64.
        rows: (N,) int64, row in the table of its kind.
        imu: (I, 6) angular velocity rad/s and specific force m/s2, frame of the IMU.
        names: joints of the columns of the next two.
        position_rad: (J, M).
        velocity_rps: (J, M).
        stars: (A, 5) quaternion wxyz and sigma in rad.
    """

    kinds: IntArray
    stamps_ns: IntArray
    rows: IntArray
    imu: FloatArray
    names: tuple[str, ...]
    position_rad: FloatArray
    velocity_rps: FloatArray
    stars: FloatArray

    def sample(self, n: int) -> ImuSample | JointSample | AttitudeSample:
        """One of them as the class takes it."""
        kind, stamp, row = int(self.kinds[n]), int(self.stamps_ns[n]), int(self.rows[n])
        if kind == IMU:
            return ImuSample(stamp, self.imu[row, :3].copy(), self.imu[row, 3:].copy())
        if kind == JOINTS:
            position, velocity = self.position_rad[row].copy(), self.velocity_rps[row].copy()
            return JointSample(stamp, self.names, position, velocity)
        return AttitudeSample(stamp, self.stars[row, :4].copy(), float(self.stars[row, 4]))


@dataclass(frozen=True)
class Advance:
    """What a run of ordinary samples gave.

    Attributes:
        end: index of the first sample that was not taken.
        at: (K,) int64 indices of the samples that gave an estimate.
        position_m: (K, 3) odom.
        quat_wxyz: (K, 4).
        spread: (K, 6, 6) as ``OdometryEstimate.pose_covariance``.
        star_age_ns: (N,) int64 time since the stars after each sample; far below zero: none yet.
        last: the newest estimate, None where there was none.
    """

    end: int
    at: IntArray
    position_m: FloatArray
    quat_wxyz: FloatArray
    spread: FloatArray
    star_age_ns: IntArray
    last: OdometryEstimate | None


class ReckoningBatch:
    """The kernel over a ``DeadReckoning``, whose state it takes and gives back."""

    def __init__(self, reckoning: DeadReckoning) -> None:
        self._reckoning = reckoning
        self._prepared: tuple[SampleBatch, kernel.Given, kernel.Found] | None = None

    @property
    def usable(self) -> bool:
        """Whether the kernel can go on from the state at hand; the class must have begun."""
        own = self._reckoning
        estimator = own._attitude
        return (
            estimator.stamp_ns is not None
            and estimator.rate_rps is not None
            and own._joints is not None
            and own._resumed_ns is None
            and own.config.star_timeout_s > own.config.max_gap_s
        )

    def advance(self, batch: SampleBatch, first: int = 0, last: int | None = None) -> Advance:
        """Take ordinary samples from ``first`` on, up to one that the class must judge.

        Args:
            batch: samples; successive calls for one batch share what is prepared for it.
            first: index of the first one.
            last: index behind the last one, None for all.
        """
        last = len(batch.kinds) if last is None else last
        given, found = self._tables(batch)
        if not self.usable or first >= last:
            return _outcome(batch, given, found, first, first)
        held, mount = self._pack(len(batch.imu)), self._mount()
        end = int(kernel.run(mount, held, given, found, first, last))
        if end > first:
            self._unpack(held)
        return _outcome(batch, given, found, first, end)

    def _tables(self, batch: SampleBatch) -> tuple[kernel.Given, kernel.Found]:
        if self._prepared is not None and self._prepared[0] is batch:
            return self._prepared[1], self._prepared[2]
        wheels, standing = self._reckoning._wheels.table(
            batch.names, batch.position_rad, batch.velocity_rps
        )
        given = kernel.Given(
            batch.kinds, batch.stamps_ns, batch.rows, batch.imu, wheels, standing, batch.stars
        )
        count = len(batch.position_rad)
        found = kernel.Found(
            np.zeros(count, np.int64), np.empty((count, 3)), np.empty((count, 4)),
            np.empty((count, 6)), np.empty((count, 6, 6)), np.empty(len(batch.kinds), np.int64),
        )  # fmt: skip
        self._prepared = batch, given, found
        return given, found

    def _mount(self) -> kernel.Mount:
        own, cfg = self._reckoning, self._reckoning.config
        kinematics = own._wheels.kinematics
        return kernel.Mount(
            own._imu_axes, own._attitude._map_to_odom, own._attitude._star_to_base,
            kinematics.positions_xy_m.copy(), kinematics.radius_m, cfg.huber_mps,
            cfg.gravity_mps2, cfg.gyro_noise_rps_sqrt_hz, cfg.imu_averages, cfg.star_stamp_sigma_s,
            cfg.gyro_bias_walk_rps_sqrt_s,
            cfg.standing_rate_rps, cfg.standing_after_s, cfg.standing_motion_rps,
            cfg.star_timeout_s, cfg.gravity_sigma_rad, cfg.gravity_window_s,
            cfg.gravity_tolerance, LEVEL_RATE_FACTOR * cfg.standing_rate_rps, cfg.max_gap_s,
            cfg.slip_sigma, cfg.slip_per_slope, cfg.expected_slip_per_slope, cfg.slip_length_m,
            SLOW_MPS, CHI2_3_999, HISTORY_NS,
        )  # fmt: skip

    def _pack(self, more: int) -> kernel.Held:
        own, state, estimator = self._reckoning, self._reckoning._state, self._reckoning._attitude
        wheels, pending, history = own._joints, estimator._pending, estimator.history
        assert wheels is not None
        assert estimator.rate_rps is not None
        count = len(history._stamps_ns)
        stamps, quats = np.empty(count + more, np.int64), np.empty((count + more, 4))
        stamps[:count] = history._stamps_ns
        if count:
            quats[:count] = history._quats
        times = np.zeros(kernel.COUNT, np.int64)
        for place, value in (
            (kernel.IMU_LAST, own._order["imu"].last_ns),
            (kernel.JOINTS_LAST, own._order["joints"].last_ns),
            (kernel.TURNED, estimator.stamp_ns),
            (kernel.STAR, estimator._star_ns),
            (kernel.HEARD, own._star_ns),
            (kernel.FORCE, estimator._force_ns),
            (kernel.WHEELS, wheels.stamp_ns),
            (kernel.STANDING, own._standing_ns),
            (kernel.PENDING, None if pending is None else pending.stamp_ns),
        ):
            times[place] = kernel.NONE if value is None else value
        times[kernel.WHEELS_STEP] = own._joints_step_ns
        times[kernel.REJECTED], times[kernel.CONFIRMED] = estimator._rejected, estimator.confirmed
        times[kernel.END] = count
        star = np.zeros(5)
        if pending is not None:
            star[:4], star[4] = pending.quat_wxyz, pending.sigma_rad
        return kernel.Held(
            state.position_m.copy(), state.quat_wxyz.copy(), state.bias_rps.copy(),
            np.ascontiguousarray(state.covariance).copy(), estimator.rate_rps.copy(),
            np.array([estimator._step_s]), estimator._force_sum.copy(), own._joints_quat.copy(),
            np.stack((wheels.steer_rad, wheels.turned_rad, wheels.speed_rps)), star, times,
            stamps, quats,
        )  # fmt: skip

    def _unpack(self, held: kernel.Held) -> None:
        own, state, times = self._reckoning, self._reckoning._state, held.times.tolist()
        state.position_m, state.quat_wxyz = held.position, held.quat
        state.bias_rps, state.covariance = held.bias, held.covariance
        for what, place in (("imu", kernel.IMU_LAST), ("joints", kernel.JOINTS_LAST)):
            last_ns = _known(times[place])
            if last_ns is not None and last_ns != own._order[what].last_ns:
                own._order[what].go_on(last_ns)
        own._star_ns, own._standing_ns = (
            _known(times[kernel.HEARD]),
            _known(times[kernel.STANDING]),
        )
        own._joints_step_ns = times[kernel.WHEELS_STEP]
        own._joints_quat = held.wheels_quat
        steer, turned, speed = held.wheels
        standing = own._standing_ns is not None
        own._joints = WheelState(times[kernel.WHEELS], steer, turned, speed, standing)
        self._unpack_attitude(own._attitude, held, times)

    def _unpack_attitude(
        self, estimator: AttitudeEstimator, held: kernel.Held, times: list[int]
    ) -> None:
        estimator.stamp_ns, estimator.rate_rps = times[kernel.TURNED], held.rate
        estimator._step_s = float(held.step_s[0])
        estimator._force_sum, estimator._force_ns = held.force_sum, _known(times[kernel.FORCE])
        estimator._star_ns = _known(times[kernel.STAR])
        estimator._rejected = times[kernel.REJECTED]
        estimator.confirmed = bool(times[kernel.CONFIRMED])
        pending_ns = _known(times[kernel.PENDING])
        estimator._pending = None
        if pending_ns is not None:
            sigma = float(held.pending[4])
            estimator._pending = AttitudeSample(pending_ns, held.pending[:4], sigma)
        kept = slice(times[kernel.BEGIN], times[kernel.END])
        estimator.history.restore(held.history_ns[kept], held.history[kept])


def _known(time_ns: int) -> int | None:
    return None if time_ns == kernel.NONE else time_ns


def _outcome(
    batch: SampleBatch, given: kernel.Given, found: kernel.Found, first: int, end: int
) -> Advance:
    at = first + np.flatnonzero(given.kinds[first:end] == JOINTS)
    rows = given.rows[at]
    last = None
    if rows.size:
        row = rows[-1]
        last = OdometryEstimate(
            stamp_ns=int(batch.stamps_ns[at[-1]]),
            position_m=found.position[row].copy(),
            quat_wxyz=found.quat[row].copy(),
            linear_mps=found.twist[row, :3].copy(),
            angular_rps=found.twist[row, 3:].copy(),
            pose_covariance=found.spread[row].copy(),
        )
    return Advance(
        end,
        at,
        found.position[rows],
        found.quat[rows],
        found.spread[rows],
        found.star_age_ns,
        last,
    )


def warm_up() -> None:
    """Compile the kernel for the types in use."""
    none = np.empty(0, np.int64)
    held = kernel.Held(
        np.zeros(3), np.zeros(4), np.zeros(3), np.zeros((9, 9)), np.zeros(3), np.zeros(1),
        np.zeros(3), np.zeros(4), np.zeros((3, 2)), np.zeros(5),
        np.zeros(kernel.COUNT, np.int64), none, np.empty((0, 4)),
    )  # fmt: skip
    given = kernel.Given(
        none, none, none, np.empty((0, 6)), np.empty((0, 3, 2)), none, np.empty((0, 5))
    )
    found = kernel.Found(
        none, np.empty((0, 3)), np.empty((0, 4)), np.empty((0, 6)), np.empty((0, 6, 6)), none
    )
    mount = kernel.Mount(
        np.eye(3), np.zeros(4), np.zeros(4), np.zeros((2, 2)), 1.0, 1.0, 1.0, 1.0, True,
        *(1.0,) * 17, history_ns=HISTORY_NS,
    )  # fmt: skip
    kernel.run(mount, held, given, found, 0, 0)
