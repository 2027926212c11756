"""What a rover's wheels tell the error-state filter."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.encoder_watch import EncoderWatch
from ilrs_robots.core.localization.error_state import rotation_matrix
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.localization.turn_log import TurnLog
from ilrs_robots.core.localization.wheel_odometry import WheelMotion, WheelOdometry, WheelState
from ilrs_robots.core.types import FloatArray, IntArray, JointSample

_NS = 1e-9
_RESUMED_SLOPE = 0.1
"""Sine of the slope that is assumed along a way that nobody watched."""
_RESUMED_TURN_RAD = 0.05


class WheelFeed:
    """Turns joint samples into speeds of the body, and says when the vehicle stands.

    A speed is that of the middle between two samples. What the wheels contradict among themselves
    is noise of their mean; what they slip together the filter finds out.

    Args:
        config: mounts and noise.
        own: the filter's parameters.
        kinematics: wheels in the order of ``wheel_names``.
        wheel_names: all wheels.
        steer_names: the steered ones.

    Attributes:
        encoders: which seem dead.
    """

    def __init__(
        self,
        config: DeadReckoningConfig,
        own: FilterConfig,
        kinematics: SteeringKinematics,
        wheel_names: Sequence[str],
        steer_names: Sequence[str],
    ) -> None:
        self._config, self._own = config, own
        self.encoders = EncoderWatch(wheel_names)
        self._wheels = WheelOdometry(
            kinematics, wheel_names, steer_names, config.standing_joint_rps, config.huber_mps,
            gap_s=config.max_gap_s, max_wheel_rps=config.max_wheel_rps,
        )  # fmt: skip
        self._standing_ns: int | None = None

    def forget(self) -> None:
        """Begin anew: the clock was set, or samples are missing."""
        self._standing_ns = None

    def state(self, sample: JointSample) -> WheelState | None:
        """Wheel state of a sample, or None when a joint is missing."""
        return self._wheels.state(sample)

    def table(
        self, names: tuple[str, ...], position_rad: FloatArray, velocity_rps: FloatArray
    ) -> tuple[FloatArray, IntArray]:
        """What ``state`` picks, of many samples at once; see ``WheelOdometry.table``.

        Args:
            names: joints of the columns.
            position_rad: (J, M) positions, rad.
            velocity_rps: (J, M) speeds, rad/s.
        """
        return self._wheels.table(names, position_rad, velocity_rps)

    def roll(
        self,
        before: WheelState,
        state: WheelState,
        into: StateFilter,
        turns: TurnLog,
        imu_step_s: float,
        counts: Counter[str],
    ) -> None:
        """Tell a filter how the wheels rolled between two samples, and whether they stand."""
        config, own = self._config, self._own
        mean = turns.mean_rps(before.stamp_ns, state.stamp_ns)
        yaw_rate = 0.0 if mean is None else float(mean[2] - into.gyro_bias_rps[2])
        motion = self._wheels.motion(before, state, yaw_rate)
        counts["encoder_jump"] += motion.jumped
        counts["encoder_dead"] += self.encoders.look(before, state)
        speed = self._less_slip(motion, into)
        white = own.wheel_sigma_mps**2 + (own.contradiction_gain * motion.residual_mps) ** 2
        middle = (before.stamp_ns + state.stamp_ns) // 2
        spread = np.array([white, white, own.vertical_sigma_mps**2])
        step_s = (state.stamp_ns - before.stamp_ns) * _NS
        into.wheels(middle, speed, spread, max(2.0 * own.wheel_error_s / step_s, 1.0))
        if not state.standing:
            self._standing_ns = None
        elif self._standing_ns is None:
            self._standing_ns = state.stamp_ns
        if self._stands(state.stamp_ns, mean):
            white = config.gyro_noise_rps_sqrt_hz**2 / max(imu_step_s, 1e-4)
            rate = white + config.standing_motion_rps**2
            into.stands(state.stamp_ns, own.standing_speed_sigma_mps**2, rate)

    def _stands(self, now_ns: int, rate_rps: FloatArray | None) -> bool:
        if self._standing_ns is None or rate_rps is None:
            return False
        quiet = float(np.abs(rate_rps).max()) < self._config.standing_rate_rps
        return quiet and (now_ns - self._standing_ns) * _NS >= self._config.standing_after_s

    def _less_slip(self, motion: WheelMotion, into: StateFilter) -> FloatArray:
        """(3,) speed of the wheels less what is expected to slip towards the valley."""
        planar = np.array([motion.speed_mps[0], motion.speed_mps[1], 0.0])
        up = rotation_matrix(into.quat_wxyz)[2]
        slip = self._config.expected_slip_per_slope * math.hypot(planar[0], planar[1])
        planar[:2] -= slip * up[:2]
        return planar

    def carry(self, before: WheelState, state: WheelState, into: StateFilter) -> None:
        """The way through an absence, as far as encoders know it."""
        step_s = (state.stamp_ns - before.stamp_ns) * _NS
        if step_s <= 0.0:
            return
        motion = self._wheels.motion(before, state, 0.0)
        way = self._less_slip(motion, into) * step_s
        share = self._config.slip_sigma + self._config.slip_per_slope * _RESUMED_SLOPE
        length = math.hypot(way[0], way[1])
        variance = (
            2.0 * share**2 * self._config.slip_length_m * length
            + (_RESUMED_TURN_RAD * length) ** 2
        )
        into.way(state.stamp_ns, way, np.array([variance, variance, variance]))
