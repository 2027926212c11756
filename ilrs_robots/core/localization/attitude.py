"""Attitude from gyro, star tracker and gravity, on top of the error-state filter."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ilrs_robots.core.geometry.se3 import (
    normalise_quat,
    quat_conjugate,
    quat_from_rpy,
)
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import (
    ATTITUDE,
    BIAS,
    AttitudeHistory,
    ErrorStateFilter,
    quat_exp,
    quat_inverse_product,
    quat_log,
    quat_product,
    rotation_matrix,
    skew,
)
from ilrs_robots.core.types import AttitudeSample, FloatArray

_NS = 1e-9
_HISTORY_NS = 2_000_000_000
_LONGEST_GAP_S = 10.0
"""A gap adds no more uncertainty than this: the turn is unknown by then."""
_CHI2_3_999 = 16.27
_LOST_AFTER = 5
_LEVEL_RATE_FACTOR = 2.5


class AttitudeEstimator:
    """Propagate by the gyro, correct by stars, by gravity while there are none.

    Stamps given to it grow; rates and forces are in base_link and finite.

    Attributes:
        stamp_ns: time of the latest gyro rate (or of the start), None before the first.
        rate_rps: (3,) latest measured rate, bias still in it; None before the first.
        history: attitudes of the last two seconds.
        confirmed: whether stars or gravity have been heard since the start.
    """

    def __init__(
        self,
        config: DeadReckoningConfig,
        state: ErrorStateFilter,
        refused: Counter[str],
        stamp_ns: int | None,
        map_to_odom_yaw_rad: float,
    ) -> None:
        """Start at the attitude of ``state``; refused answers are counted in ``refused``."""
        self.history = AttitudeHistory(_HISTORY_NS)
        self.stamp_ns = stamp_ns
        self.rate_rps: FloatArray | None = None
        self.confirmed = False
        self._config = config
        self._state = state
        self._refused = refused
        self._step_s = 0.0
        self._star_ns: int | None = None
        self._pending: AttitudeSample | None = None
        self._rejected = 0
        self.set_map_to_odom_yaw(map_to_odom_yaw_rad)
        self._star_to_base = quat_conjugate(quat_from_rpy(*config.star_tracker_rpy_rad))
        self._force_sum = np.zeros(3)
        self._force_ns: int | None = None
        if stamp_ns is not None:
            self.history.add(stamp_ns, state.quat_wxyz)

    @property
    def stars_hold(self) -> bool:
        """Whether stars answered within ``star_timeout_s`` before the latest rate."""
        if self._star_ns is None or self.stamp_ns is None:
            return False
        return (self.stamp_ns - self._star_ns) * _NS <= self._config.star_timeout_s

    def set_map_to_odom_yaw(self, yaw_rad: float) -> None:
        """Yaw of odom's axes in map, taken off what stars say."""
        self._map_to_odom = quat_from_rpy(0.0, 0.0, -yaw_rad)

    def go_on_at(self, stamp_ns: int, steps: int) -> None:
        """Keep the attitude where time was set back: the last rate was ``steps`` before now."""
        self.history = AttitudeHistory(_HISTORY_NS)
        self.stamp_ns = stamp_ns - max(round(steps * self._step_s / _NS), 1)
        self.history.add(self.stamp_ns, self._state.quat_wxyz)
        self._star_ns = self._force_ns = self._pending = None

    def turn(self, stamp_ns: int, rate_rps: FloatArray, gap: bool = False) -> None:
        """Turn up to a stamp: by this rate where it is a mean, else by that of the last two.

        To take the mean of two means would leave the attitude half a period behind, which
        rocking over rough ground shows to a star tracker as an error of several sigma.

        Args:
            stamp_ns: nanoseconds.
            rate_rps: (3,) base_link.
            gap: whether data are missing for so long (or the clock was set ahead) that the rates
                say nothing of the time between: the attitude is held and its variance grows.
        """
        if self.stamp_ns is None:
            self.history.add(stamp_ns, self._state.quat_wxyz)
        elif stamp_ns > self.stamp_ns:
            step_s = (stamp_ns - self.stamp_ns) * _NS
            mean = rate_rps
            if self.rate_rps is not None and not self._config.imu_averages:
                mean = 0.5 * (rate_rps + self.rate_rps)
            if gap:
                mean, step_s = self._state.bias_rps, min(step_s, _LONGEST_GAP_S)
            else:
                self._step_s = step_s
            noise = self._config.gyro_noise_rps_sqrt_hz**2 * step_s
            if step_s > self._config.max_gap_s:
                self._refused["imu_gap"] += 1
                noise += (self._config.gap_rate_rps * step_s) ** 2
            walk = self._config.gyro_bias_walk_rps_sqrt_s**2 * step_s
            self._state.turn(mean, step_s, noise, walk)
            self.history.add(stamp_ns, self._state.quat_wxyz)
        self.stamp_ns, self.rate_rps = stamp_ns, rate_rps
        if self._pending is not None and self._pending.stamp_ns <= stamp_ns:
            pending, self._pending = self._pending, None
            self._apply(pending)

    def stand(self) -> None:
        """Zero-rate update: the vehicle stands, so what the gyro shows is bias.

        Reference: Skog, Haendel, Nilsson, Rantakokko 2010, zero-velocity detection.
        """
        rate = self.rate_rps
        if rate is None or float(np.abs(rate).max()) >= self._config.standing_rate_rps:
            return
        white = self._config.gyro_noise_rps_sqrt_hz**2 / max(self._step_s, 1e-4)
        noise = self._config.standing_motion_rps**2 + white
        jacobian = np.zeros((3, 9))
        jacobian[:, BIAS] = np.eye(3)
        self._state.correct(jacobian, rate - self._state.bias_rps, noise * np.eye(3))

    def level(self, force_mps2: FloatArray) -> None:
        """Hold roll and pitch by gravity while there are no stars and no acceleration."""
        stamp_ns, rate, config = self.stamp_ns, self.rate_rps, self._config
        if stamp_ns is None or rate is None:
            return
        dark = not self.stars_hold
        size = float(np.sqrt(force_mps2 @ force_mps2)) / config.gravity_mps2
        quiet = float(np.abs(rate).max()) < _LEVEL_RATE_FACTOR * config.standing_rate_rps
        if not (dark and quiet and abs(size - 1.0) < config.gravity_tolerance):
            self._force_ns = None
            return
        if self._force_ns is None:
            self._force_sum, self._force_ns = np.zeros(3), stamp_ns
        axes = rotation_matrix(self._state.quat_wxyz)
        self._force_sum = self._force_sum + axes @ force_mps2
        if (stamp_ns - self._force_ns) * _NS < config.gravity_window_s:
            return
        self._force_ns = None
        up = axes.T @ (self._force_sum / np.linalg.norm(self._force_sum))
        predicted = axes[2]
        jacobian = np.zeros((3, 9))
        jacobian[:, ATTITUDE] = skew(predicted)
        noise = config.gravity_sigma_rad**2 * np.eye(3)
        self._correct("gravity", jacobian, up - predicted, noise)

    def on_stars(self, sample: AttitudeSample) -> None:
        """Correct by a star tracker, as soon as the gyro reaches its stamp."""
        self._star_ns = sample.stamp_ns
        if self.rate_rps is None or self.stamp_ns is None or sample.stamp_ns > self.stamp_ns:
            self._pending = sample
        else:
            self._apply(sample)

    def at(self, stamp_ns: int) -> FloatArray | None:
        """Attitude at a stamp: from the history, or held on by the last rate for a short time."""
        if self.rate_rps is None or self.stamp_ns is None:
            return None
        ahead_s = (stamp_ns - self.stamp_ns) * _NS
        if ahead_s <= 0.0:
            return self.history.at(stamp_ns)
        if ahead_s > self._config.max_gap_s:
            return None
        rotation = (self.rate_rps - self._state.bias_rps) * ahead_s
        return quat_product(self._state.quat_wxyz, quat_exp(rotation))

    def _apply(self, sample: AttitudeSample) -> None:
        """Correct by the difference at the sample's own stamp, seen in the axes of now."""
        then = self.history.at(sample.stamp_ns)
        if then is None:
            self._refused["attitude_late"] += 1
            return
        in_odom = quat_product(self._map_to_odom, normalise_quat(sample.quat_wxyz))
        measured = quat_product(in_odom, self._star_to_base)
        difference = quat_log(quat_inverse_product(then, measured))
        to_now = quat_inverse_product(self._state.quat_wxyz, then)
        jacobian = np.zeros((3, 9))
        jacobian[:, ATTITUDE] = np.eye(3)
        residual = rotation_matrix(to_now) @ difference
        noise = sample.sigma_rad**2 * np.eye(3)
        if self.rate_rps is not None:  # what a stamp that is off by a little makes of a turn
            slip = self._config.star_stamp_sigma_s * self.rate_rps
            noise += np.outer(slip, slip)
        if self._correct("attitude", jacobian, residual, noise):
            self._rejected = 0
            return
        self._rejected += 1
        if self._rejected >= _LOST_AFTER:
            spread = self._config.initial_attitude_sigma_rad * self._rejected
            self._state.covariance[ATTITUDE, ATTITUDE] += spread**2 * np.eye(3)

    def _correct(
        self, what: str, jacobian: FloatArray, residual: FloatArray, noise: FloatArray
    ) -> bool:
        if not self._state.correct(jacobian, residual, noise, _CHI2_3_999):
            self._refused[f"{what}_gate"] += 1
            return False
        self.confirmed = True
        self.history.replace_latest(self._state.quat_wxyz)
        return True
