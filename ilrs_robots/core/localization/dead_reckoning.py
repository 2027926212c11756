"""Dead reckoning: wheels for distance, gyro for attitude, stars or gravity to hold it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ilrs_robots.core.clock import RESET_NS
from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.geometry.se3 import (
    normalise_quat,
    quat_from_rpy,
)
from ilrs_robots.core.localization.attitude import AttitudeEstimator
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import (
    ATTITUDE,
    POSITION,
    ErrorStateFilter,
    between,
    quat_inverse_product,
    quat_log,
    rotation_matrix,
)
from ilrs_robots.core.localization.resumption import Resumption
from ilrs_robots.core.localization.stamp_sequence import CONFIRM, Order, StampSequence, accepted
from ilrs_robots.core.localization.wheel_odometry import WheelMotion, WheelOdometry, WheelState
from ilrs_robots.core.types import (
    AttitudeSample,
    FloatArray,
    ImuSample,
    JointSample,
    OdometryEstimate,
)

__all__ = ["DeadReckoning", "DeadReckoningConfig"]

_NS = 1e-9
SLOW_MPS = 0.1


class DeadReckoning:
    """Pose of base_link in odom, whose axes are those of map turned by a constant yaw.

    Wheels give the speed along the ground, the attitude turns it into three dimensions: driving
    up a slope raises z. Samples that are not finite or whose stamps do not grow are refused and
    counted in ``refused``; nothing is made up for them. When several samples in a row agree that
    time was set back, the pose is kept and goes on in the new time (``time_went_back``).

    Reference: Sola 2017, Quaternion kinematics for the error-state Kalman filter.

    Attributes:
        wheel_names: the wheels, in the order of the kinematics.
        refused: how many samples were refused (or answered unusual), by reason.
    """

    def __init__(
        self,
        config: DeadReckoningConfig,
        kinematics: SteeringKinematics,
        wheel_names: Sequence[str],
        steer_names: Sequence[str],
    ) -> None:
        """Start at the origin of odom, level; ``reset`` sets another pose.

        Args:
            config: mounts and noise.
            kinematics: wheels in the order of ``wheel_names``.
            wheel_names: all wheels; their joints are ``<wheel>_wheel``.
            steer_names: the steered wheels; their joints are ``<wheel>_steer``.

        Raises:
            ConfigError: names do not fit the kinematics.
        """
        self.config = config
        self.wheel_names = tuple(wheel_names)
        self.refused: Counter[str] = Counter()
        self._wheels = WheelOdometry(
            kinematics,
            wheel_names,
            steer_names,
            config.standing_joint_rps,
            config.huber_mps,
            gap_s=config.max_gap_s,
            max_wheel_rps=config.max_wheel_rps,
        )
        self._imu_axes = rotation_matrix(quat_from_rpy(*config.imu_rpy_rad))
        self._order = {"imu": StampSequence(), "joints": StampSequence()}
        self._star_ns: int | None = None
        self._joints_step_ns = 0
        self._joints: WheelState | None = None
        self._joints_quat = np.array([1.0, 0.0, 0.0, 0.0])
        self._standing_ns: int | None = None
        self._resumed_ns: int | None = None
        self._state = self._initial(np.zeros(3), self._joints_quat)
        self._attitude = AttitudeEstimator(config, self._state, self.refused, None, 0.0)

    def reset(
        self,
        position: FloatArray,
        quat_wxyz: FloatArray,
        stamp_ns: int,
        map_to_odom_yaw_rad: float = 0.0,
    ) -> None:
        """Start anew at a known pose.

        Args:
            position: (3,) metres, odom.
            quat_wxyz: (4,) base_link in odom.
            stamp_ns: time of the pose; samples that are a little older are refused.
            map_to_odom_yaw_rad: yaw of odom's axes in map, taken off star tracker attitudes.

        Raises:
            TransformError: the quaternion is not one.
            ValueError: the position is not finite.
        """
        place = np.array(position, dtype=np.float64)
        if place.shape != (3,) or not np.isfinite(place).all():
            raise ValueError(f"position {place}: expected three finite numbers")
        self._order = {what: StampSequence(int(stamp_ns) - 1) for what in self._order}
        self._joints = self._standing_ns = self._star_ns = self._resumed_ns = None
        self._state = self._initial(place, normalise_quat(quat_wxyz))
        self._joints_quat = self._state.quat_wxyz
        self._attitude = AttitudeEstimator(
            self.config, self._state, self.refused, int(stamp_ns), map_to_odom_yaw_rad
        )

    def resume(self, known: Resumption, stamp_ns: int, map_to_odom_yaw_rad: float = 0.0) -> None:
        """Go on after an absence: how far the wheels turned meanwhile the encoders know.

        The attitude of then is doubted by ``resume_attitude_sigma_rad``, and no pose is given
        before stars or gravity have confirmed one, or ``resume_wait_s`` have passed: a vehicle
        that is just being braked feels no true down, and a map begun with a wrong tilt keeps it.

        Args:
            known: what was known when the absence began.
            stamp_ns: time of the first sample after it.
            map_to_odom_yaw_rad: yaw of odom's axes in map.

        Raises:
            TransformError: the quaternion is not one.
            ValueError: the position is not finite.
        """
        doubt = self.config.resume_attitude_sigma_rad
        self.reset(known.position_m, known.quat_wxyz, stamp_ns, map_to_odom_yaw_rad)
        self._state.covariance[ATTITUDE, ATTITUDE] = doubt**2 * np.eye(3)
        self._state.covariance[POSITION, POSITION] = known.position_covariance_m2
        self._resumed_ns = int(stamp_ns)
        if known.wheels is not None:
            self._joints = known.wheels
            self._order["joints"] = StampSequence(known.wheels.stamp_ns)

    @property
    def times_set_back(self) -> int:
        """How often the clock of the inertial samples was set back."""
        return self.refused["time_went_back"]

    @property
    def known(self) -> Resumption:
        """What ``resume`` needs after an absence that begins now."""
        spread = self._state.covariance[POSITION, POSITION].copy()
        return Resumption(self.position_m, self.quat_wxyz, self._joints, spread)

    @property
    def bias_rps(self) -> FloatArray:
        """(3,) estimated gyro bias, base_link."""
        return self._state.bias_rps.copy()

    @property
    def position_m(self) -> FloatArray:
        """(3,) of base_link in odom."""
        return self._state.position_m.copy()

    @property
    def quat_wxyz(self) -> FloatArray:
        """(4,) latest attitude of base_link in odom."""
        return self._state.quat_wxyz.copy()

    @property
    def stars_hold(self) -> bool:
        """Whether a star tracker held the attitude within ``star_timeout_s``."""
        return self._attitude.stars_hold

    def set_map_to_odom_yaw(self, yaw_rad: float) -> None:
        """Turn the axes of odom in map: what a star tracker says is taken back by this."""
        self._attitude.set_map_to_odom_yaw(yaw_rad)

    def on_imu(self, sample: ImuSample) -> None:
        """Turn the attitude by the gyro; while standing, learn its bias."""
        rate = self._imu_axes @ np.asarray(sample.angular_velocity_rps, dtype=np.float64)
        force = self._imu_axes @ np.asarray(sample.specific_force_mps2, dtype=np.float64)
        order = self._accept("imu", sample.stamp_ns, np.concatenate((rate, force)))
        if order is None:
            return
        if order is Order.BACK:
            self.refused["time_went_back"] += 1
            self._attitude.go_on_at(sample.stamp_ns, CONFIRM)
            self._star_ns = None
        self._attitude.turn(sample.stamp_ns, rate, gap=order is Order.AHEAD)
        if self._stands(sample.stamp_ns):
            self._attitude.stand()
        self._attitude.level(force)

    def on_attitude(self, sample: AttitudeSample) -> None:
        """Correct the attitude by a star tracker; applied as soon as the IMU reaches its stamp."""
        values = np.append(np.asarray(sample.quat_wxyz, dtype=np.float64), sample.sigma_rad)
        if not self._accept_stars(sample.stamp_ns, values):
            return
        if abs(float(np.linalg.norm(values[:4])) - 1.0) > 0.01 or sample.sigma_rad <= 0.0:
            self.refused["attitude_not_valid"] += 1
            return
        self._attitude.on_stars(sample)

    def on_joints(self, sample: JointSample) -> OdometryEstimate | None:
        """Move by the wheels and give the pose at the sample's stamp.

        Returns:
            None for the first sample, a refused one, or while no IMU tells the attitude.
        """
        values = np.concatenate((sample.position_rad, sample.velocity_rps))
        order = self._accept("joints", sample.stamp_ns, values)
        if order is None:
            return None
        if order is not Order.NEXT:
            self._standing_ns = None
            self.refused["joints_gap"] += order is Order.AHEAD
        state = self._wheels.state(sample)
        if state is None:
            self.refused["joints_missing"] += 1
            return None
        if not state.standing:
            self._standing_ns = None
        elif self._standing_ns is None:
            self._standing_ns = sample.stamp_ns
        quat = self._attitude.at(sample.stamp_ns)
        if quat is None:
            self.refused["joints_without_imu"] += 1
            return None
        if self._unconfirmed(sample.stamp_ns):
            self.refused["joints_without_attitude"] += 1
            return None
        before, start = self._joints, self._joints_quat
        self._joints, self._joints_quat = state, quat
        if before is None:
            return None
        if before.stamp_ns >= state.stamp_ns:  # encoders know how far the wheels turned meanwhile
            step_ns = CONFIRM * max(self._joints_step_ns, 1_000_000)
            before = replace(before, stamp_ns=state.stamp_ns - step_ns)
        else:
            self._joints_step_ns = state.stamp_ns - before.stamp_ns
        known = self._attitude.history.at(before.stamp_ns)
        return self._advance(before, state, start if known is None else known, quat)

    def _initial(self, position: FloatArray, quat: FloatArray) -> ErrorStateFilter:
        tilt, bias = self.config.initial_attitude_sigma_rad, self.config.gyro_bias_sigma_rps
        return ErrorStateFilter(position, quat, np.diag(np.repeat([0.0, tilt**2, bias**2], 3)))

    def _accept(self, what: str, stamp_ns: int, values: FloatArray) -> Order | None:
        return accepted(what, self._order[what], stamp_ns, values, self.refused)

    def _accept_stars(self, stamp_ns: int, values: FloatArray) -> bool:
        """Judge stars by the IMU's time: they may be late, but not ahead, and not repeated."""
        if not np.isfinite(values).all():
            self.refused["attitude_not_finite"] += 1
            return False
        imu_ns = self._order["imu"].last_ns
        if imu_ns is not None and stamp_ns > imu_ns + RESET_NS:
            self.refused["attitude_from_the_future"] += 1
            return False
        if self._star_ns is not None and stamp_ns <= self._star_ns:
            self.refused["attitude_stamp"] += 1
            return False
        self._star_ns = stamp_ns
        return True

    def _unconfirmed(self, now_ns: int) -> bool:
        """Whether the attitude is still that of before an absence."""
        if self._resumed_ns is None:
            return False
        waited_s = (now_ns - self._resumed_ns) * _NS
        if not self._attitude.confirmed and waited_s < self.config.resume_wait_s:
            return True
        self._resumed_ns = None
        return False

    def _stands(self, now_ns: int) -> bool:
        if self._standing_ns is None or self._joints is None:
            return False
        stood_s = (self._joints.stamp_ns - self._standing_ns) * _NS
        age_s = abs(now_ns - self._joints.stamp_ns) * _NS
        return age_s <= self.config.max_gap_s and stood_s >= self.config.standing_after_s

    def _advance(
        self, before: WheelState, state: WheelState, start: FloatArray, quat: FloatArray
    ) -> OdometryEstimate:
        step_s = (state.stamp_ns - before.stamp_ns) * _NS
        rotation = quat_log(quat_inverse_product(start, quat))
        motion = self._wheels.motion(before, state, float(rotation[2]) / step_s)
        if motion.jumped:
            self.refused["encoder_jump"] += 1
        middle = between(start, quat, 0.5)
        speed = self._less_slip(motion, middle)
        self._state.move(speed * step_s, middle, self._slip_variance(motion, middle, step_s))
        return OdometryEstimate(
            stamp_ns=state.stamp_ns,
            position_m=self._state.position_m.copy(),
            quat_wxyz=quat.copy(),
            linear_mps=speed,
            angular_rps=rotation / step_s,
            pose_covariance=self._state.pose_covariance(),
        )

    def _less_slip(self, motion: WheelMotion, quat: FloatArray) -> FloatArray:
        """(3,) body velocity: that of the wheels less what is expected to slip towards the valley.

        Reference: Helmick et al. 2006, slip as a function of the slope, learnt on inclines; here
        linear in the sines of the slopes along and across the body.
        """
        planar = np.array([motion.speed_mps[0], motion.speed_mps[1], 0.0])
        up = rotation_matrix(quat)[2]
        slip = self.config.expected_slip_per_slope * float(np.linalg.norm(planar))
        planar[:2] -= slip * up[:2]
        return planar

    def _slip_variance(self, motion: WheelMotion, quat: FloatArray, step_s: float) -> FloatArray:
        """(3,) variance that a step adds along the body's axes.

        Slip is a share of the distance that stays alike over ``slip_length_m``; it grows with the
        slope and with what the wheels contradict.
        """
        speed = math.hypot(motion.speed_mps[0], motion.speed_mps[1])
        up = rotation_matrix(quat)[2]
        seen = motion.residual_mps / max(speed, SLOW_MPS)
        base = self.config.slip_sigma + min(seen, 1.0)
        share = base + self.config.slip_per_slope * np.abs([up[0], up[1], 0.0])
        return np.asarray(2.0 * share**2 * self.config.slip_length_m * speed * step_s)
