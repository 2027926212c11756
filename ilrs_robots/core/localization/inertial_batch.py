"""The error-state filter over many samples at once: a recorded drive far faster than it went.

Samples that need no judgement go into the filter's table together; all others go through
``InertialOdometry`` one by one. The outcome is that of the class but for what lies ahead: a sample
of the wheels is used with the inertial samples on both sides of it, where the class that runs live
has only those before it.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.clock import RESET_NS
from ilrs_robots.core.geometry.se3 import quat_conjugate, quat_rotate
from ilrs_robots.core.localization.filter_layout import Kind
from ilrs_robots.core.localization.filter_poses import Poses, poses_of
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.localization.reckoning_batch import (
    IMU,
    JOINTS,
    STARS,
    Advance,
    SampleBatch,
)
from ilrs_robots.core.localization.reckoning_wheels import wheel_speed
from ilrs_robots.core.localization.wheel_odometry import WheelState
from ilrs_robots.core.types import (
    AttitudeSample,
    BoolArray,
    FloatArray,
    IntArray,
    OdometryEstimate,
)

_NS: Final = 1e-9
_CHUNK: Final = 2048
"""Samples that are taken together."""
_ENCODER_JUMP_RAD: Final = 0.5
_NEVER_NS: Final = -(2**62)
_UNIT_TOLERANCE: Final = 0.01


class InertialBatch:
    """Puts ordinary samples into an ``InertialOdometry``; see ``ReckoningBatch``."""

    def __init__(self, odometry: InertialOdometry) -> None:
        self._odometry = odometry
        self._batch: SampleBatch | None = None

    @property
    def usable(self) -> bool:
        """Whether samples can be taken so; the class must have begun."""
        own = self._odometry
        begun = own._joints is not None and own.filter.imu_ns is not None
        return begun and own._absent is None and own._resumed_ns is None

    def advance(self, batch: SampleBatch, first: int = 0, last: int | None = None) -> Advance:
        """Take ordinary samples from ``first`` on, up to one that the class must judge.

        Args:
            batch: samples; successive calls for one batch share what is prepared for it.
            first: index of the first one.
            last: index behind the last one, None for all.
        """
        last = len(batch.kinds) if last is None else last
        if self._batch is not batch:
            self._batch = batch
            self._ages = np.full(len(batch.kinds), _NEVER_NS)
            self._table = self._odometry.wheels.table(
                batch.names, batch.position_rad, batch.velocity_rps
            )
        at: list[IntArray] = []
        found: list[Poses] = []
        while first < last and self.usable:
            stop = min(first + _CHUNK, last)
            chunk = _Chunk(self._odometry, batch, self._table, first, stop)
            end = chunk.ordinary()
            if end > first:
                chunk.take(end, self._ages)
                at.append(chunk.at)
                found.append(chunk.poses)
            first = end
            if end < stop:
                break
        return _joined(batch, at, found, first, self._ages)


class _Chunk:
    """Some samples of a batch: which of them are ordinary, and how they are taken.

    Attributes:
        at: (K,) int64 indices of the samples that gave a pose.
        poses: these poses.
    """

    def __init__(
        self, odometry: InertialOdometry, batch: SampleBatch, table: tuple[FloatArray, IntArray],
        first: int, stop: int,
    ) -> None:  # fmt: skip
        self._own, self._batch, self._first = odometry, batch, first
        kinds, stamps = batch.kinds[first:stop], batch.stamps_ns[first:stop]
        self._kinds, self._stamps = kinds, stamps
        self._rows = batch.rows[first:stop]
        self._imu = np.flatnonzero(kinds == IMU)
        self._joints = np.flatnonzero(kinds == JOINTS)
        rows = self._rows[self._joints]
        joints = odometry._joints
        assert joints is not None
        assert odometry.filter.imu_ns is not None
        before = np.stack((joints.steer_rad, joints.turned_rad, joints.speed_rps))
        self._wheels = np.concatenate((before[None], table[0][rows]))
        self._wheel_ns = np.concatenate(([joints.stamp_ns], stamps[self._joints]))
        self._standing = table[1][rows]
        self._imu_ns = np.concatenate(([odometry.filter.imu_ns], stamps[self._imu]))
        self._values = batch.imu[self._rows[self._imu]]
        # The newest inertial stamp when each sample came.
        came = np.where(kinds == IMU, stamps, odometry.filter.imu_ns)
        self._newest_ns = np.maximum.accumulate(came)

    # -- judgement ------------------------------------------------------------------------------
    def ordinary(self) -> int:
        """Index of the first sample that the class must judge, or behind the last."""
        good = np.empty(len(self._kinds), dtype=bool)
        good[self._imu] = self._good_imu()
        good[self._joints] = self._good_joints()
        stars = np.flatnonzero(self._kinds == STARS)
        good[stars] = self._good_stars(stars)
        bad = np.flatnonzero(~good)
        return self._first + (int(bad[0]) if bad.size else len(good))

    def _good_imu(self) -> BoolArray:
        gap_ns = self._own.config.max_gap_s / _NS
        step = np.diff(self._imu_ns)
        finite = np.isfinite(self._values).all(axis=1)
        good: BoolArray = finite & (step > 0) & (step <= gap_ns)
        return good

    def _good_joints(self) -> BoolArray:
        gap_ns = self._own.config.max_gap_s / _NS
        step = np.diff(self._wheel_ns)
        good = (self._standing >= 0) & (step > 0) & (step <= gap_ns)
        good &= np.isfinite(self._wheels[1:]).all(axis=(1, 2))
        good &= self._wheel_ns[1:] - self._newest_ns[self._joints] <= gap_ns
        before, after = self._wheels[:-1], self._wheels[1:]
        turned = after[:, 1] - before[:, 1]
        expected = 0.5 * (before[:, 2] + after[:, 2]) * (step * _NS)[:, None]
        good &= (np.abs(turned - expected) <= _ENCODER_JUMP_RAD).all(axis=1)
        return good

    def _good_stars(self, stars: IntArray) -> BoolArray:
        values = self._batch.stars[self._rows[stars]]
        norm = np.sqrt((values[:, :4] ** 2).sum(axis=1))
        good: BoolArray = np.isfinite(values).all(axis=1) & (values[:, 4] > 0.0)
        good &= np.abs(norm - 1.0) <= _UNIT_TOLERANCE
        good &= self._stamps[stars] <= self._newest_ns[stars] + RESET_NS
        return good

    # -- taking ---------------------------------------------------------------------------------
    def take(self, end: int, ages_ns: IntArray) -> None:
        """Put all samples before ``end`` into the filter.

        Args:
            end: as ``ordinary`` gave it.
            ages_ns: (N,) filled: time since the stars after each sample of the batch.
        """
        own, count = self._own, end - self._first
        imu = int(np.searchsorted(self._imu, count))
        joints = int(np.searchsorted(self._joints, count))
        filter_, before = own.filter, own.filter._line.state.copy()
        axes = own._imu_axes.T
        rates, forces = self._values[:imu, :3] @ axes, self._values[:imu, 3:] @ axes
        stamps = self._imu_ns[1 : imu + 1]
        if imu:
            own._order["imu"].go_on(int(stamps[-1]))
            own._imu_step_ns = int(self._imu_ns[imu] - self._imu_ns[imu - 1])
            own._turns.extend(stamps, rates)
        if joints:
            self._roll(joints)
        filter_.many(Kind.IMU, stamps, np.hstack((rates, forces)))
        self._look_at_stars(count, ages_ns)
        done = filter_._line.advance(out=True, spreads=True)
        own._turns.trim()
        self.at = self._first + self._joints[:joints]
        wanted = self._wheel_ns[1 : joints + 1]
        known, states, spreads = done.stamps_ns, done.states, done.spreads
        if not len(known) or known[0] > (wanted[0] if joints else 0):
            known = np.concatenate(([before.times_ns[0]], known))
            states = np.concatenate((before.nominal[None], states))
            spreads = np.concatenate((before.covariance[None], spreads))
        index = np.maximum(np.searchsorted(known, wanted, side="right") - 1, 0)
        ahead = np.clip((wanted - known[index]) * _NS, 0.0, own.config.max_gap_s)
        self.poses = poses_of(states[index], spreads[index], ahead, filter_._lever)
        filter_.advance()

    def _look_at_stars(self, count: int, ages_ns: IntArray) -> None:
        own = self._own
        heard = np.full(count, own._heard_stars_ns or _NEVER_NS)
        for n in np.flatnonzero(self._kinds[:count] == STARS).tolist():
            sample = self._batch.sample(self._first + n)
            assert isinstance(sample, AttitudeSample)
            own.on_attitude(sample)
            heard[n:] = own._heard_stars_ns or _NEVER_NS
        known = heard != _NEVER_NS
        ages = ages_ns[self._first : self._first + count]
        ages[:] = np.where(known, self._newest_ns[:count] - heard, _NEVER_NS)

    def _roll(self, count: int) -> None:
        """Tell the filter how the wheels rolled, and when the vehicle stood."""
        own, feed = self._own, self._own.wheels
        config, given = own.config, own.own
        stamps, wheels = self._wheel_ns[: count + 1], self._wheels[: count + 1]
        turned = own._turns.turned_rad(stamps)
        mean = np.diff(turned, axis=0) / (np.diff(stamps) * _NS)[:, None]
        kinematics = feed._wheels.kinematics
        speed = np.empty((count, 3))
        _speeds(
            kinematics.positions_xy_m, kinematics.radius_m, config.huber_mps, wheels,
            mean[:, 2] - own.filter.gyro_bias_rps[2], np.diff(stamps) * _NS, speed,
        )  # fmt: skip
        residual = speed[:, 2].copy()
        speed[:, 2] = 0.0
        slip = config.expected_slip_per_slope * np.hypot(speed[:, 0], speed[:, 1])
        speed[:, :2] -= slip[:, None] * self._up(stamps[1:], turned[1:])[:, :2]
        white = given.wheel_sigma_mps**2 + (given.contradiction_gain * residual) ** 2
        step_s = np.diff(stamps) * _NS
        alike = np.maximum(2.0 * given.wheel_error_s / step_s, 1.0)
        vertical = np.full(count, given.vertical_sigma_mps**2)
        rows = np.column_stack((speed, white, white, vertical, alike))
        own.filter.many(Kind.WHEELS, (stamps[:-1] + stamps[1:]) // 2, rows)
        self._count_dead(count)
        self._stand(count, mean)
        own._order["joints"].go_on(int(stamps[-1]))
        steer, at, turning = wheels[-1]
        standing = feed._standing_ns is not None
        own._joints = WheelState(int(stamps[-1]), steer, at, turning, standing)

    def _up(self, stamps: IntArray, turned_rad: FloatArray) -> FloatArray:
        """(J, 3) the vertical in the body's axes at (J,) stamps, until which it turned so far."""
        own, filter_ = self._own, self._own.filter
        begin = np.array([filter_.stamp_ns])
        first = own._turns.turned_rad(begin)
        turns = np.diff(turned_rad, axis=0, prepend=first)
        turns -= np.diff(stamps, prepend=begin)[:, None] * _NS * filter_.gyro_bias_rps
        up = quat_rotate(quat_conjugate(filter_.quat_wxyz), np.array([0.0, 0.0, 1.0]))
        carried: FloatArray = _carried(up, turns)
        return carried

    def _stand(self, count: int, mean_rps: FloatArray) -> None:
        own, feed, config = self._own, self._own.wheels, self._own.config
        stamps, stands = self._wheel_ns[1 : count + 1], self._standing[:count] == 1
        moved = np.maximum.accumulate(np.where(stands, -1, np.arange(count)))
        begun = stamps[0] if feed._standing_ns is None else feed._standing_ns
        since = np.where(moved < 0, begun, stamps[np.minimum(moved + 1, count - 1)])
        quiet = np.abs(mean_rps).max(axis=1) < config.standing_rate_rps
        sure = stands & quiet & ((stamps - since) * _NS >= config.standing_after_s)
        white = config.gyro_noise_rps_sqrt_hz**2 / max(own._imu_step_ns * _NS, 1e-4)
        row = (own.own.standing_speed_sigma_mps**2, white + config.standing_motion_rps**2)
        own.filter.many(Kind.STAND, stamps[sure], np.tile(row, (int(sure.sum()), 1)))
        feed._standing_ns = int(since[-1]) if stands[-1] else None

    def _count_dead(self, count: int) -> None:
        """Encoders that stand while others turn: rarely any, and then one by one."""
        own, watch = self._own, self._own.wheels.encoders
        turned = np.abs(np.diff(self._wheels[: count + 1, 1], axis=0))
        rate = turned / (np.diff(self._wheel_ns[: count + 1]) * _NS)[:, None]
        for k in np.flatnonzero(watch.asks(rate)).tolist():
            pair = [self._state(n) for n in (k, k + 1)]
            own._counts["encoder_dead"] += watch.look(pair[0], pair[1])

    def _state(self, n: int) -> WheelState:
        steer, turned, speed = self._wheels[n]
        return WheelState(int(self._wheel_ns[n]), steer, turned, speed, False)


@njit(cache=True, error_model="numpy")
def _speeds(
    places_xy_m: FloatArray, radius_m: float, huber_mps: float, wheels: FloatArray,
    yaw_rate_rps: FloatArray, step_s: FloatArray, out: FloatArray,
) -> None:  # fmt: skip
    """Rows of ``out`` (J, 3) from (J + 1, 3, N) wheels; see ``wheel_speed``."""
    for k in range(len(out)):
        wheel_speed(
            places_xy_m, radius_m, huber_mps, wheels[k], wheels[k + 1], yaw_rate_rps[k],
            step_s[k], out[k],
        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _carried(vector: FloatArray, turns_rad: FloatArray) -> FloatArray:
    """(J, 3) a unit vector (3,) of the world in axes that turn by each of (J, 3) in a row."""
    out = np.empty_like(turns_rad)
    x, y, z = vector
    for k in range(len(turns_rad)):
        a, b, c = turns_rad[k]
        # Half the turn's square as well: samples may lie a quarter of a second apart.
        u, v, w = b * z - c * y, c * x - a * z, a * y - b * x
        x += -u + 0.5 * (b * w - c * v)
        y += -v + 0.5 * (c * u - a * w)
        z += -w + 0.5 * (a * v - b * u)
        length = math.sqrt(x * x + y * y + z * z)
        x, y, z = x / length, y / length, z / length
        out[k, 0], out[k, 1], out[k, 2] = x, y, z
    return out


def _joined(
    batch: SampleBatch, at: list[IntArray], found: list[Poses], end: int, ages_ns: IntArray
) -> Advance:
    if not at:
        none = np.empty(0, np.int64)
        empty = np.empty((0, 3)), np.empty((0, 4)), np.empty((0, 6, 6))
        return Advance(end, none, *empty, ages_ns, None)
    where = np.concatenate(at)
    position, quat, linear, angular, spread = (np.concatenate(p) for p in zip(*found, strict=True))
    last = None
    if where.size:
        last = OdometryEstimate(
            int(batch.stamps_ns[where[-1]]), position[-1].copy(), quat[-1].copy(),
            linear[-1].copy(), angular[-1].copy(), spread[-1].copy(),
        )  # fmt: skip
    return Advance(end, where, position, quat, spread, ages_ns, last)


def warm_up() -> None:
    """Compile the kernel for the types in use."""
    none = np.empty((0, 3))
    _carried(np.array([0.0, 0.0, 1.0]), none)
    _speeds(np.zeros((2, 2)), 1.0, 1.0, np.zeros((1, 3, 2)), np.empty(0), np.empty(0), none)
