"""The error-state filter fed with a rover's samples, in the place of dead reckoning."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ilrs_robots.core.clock import RESET_NS
from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.geometry.se3 import (
    normalise_quat,
    quat_conjugate,
    quat_from_rpy,
    quat_rotate,
)
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import quat_product, rotation_matrix
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.filter_types import FilterState, SensorHealth
from ilrs_robots.core.localization.resumption import Resumption
from ilrs_robots.core.localization.stamp_sequence import CONFIRM, Order, StampSequence, accepted
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.localization.turn_log import TurnLog
from ilrs_robots.core.localization.wheel_feed import WheelFeed
from ilrs_robots.core.localization.wheel_odometry import WheelState
from ilrs_robots.core.types import (
    AttitudeSample,
    FloatArray,
    ImuSample,
    JointSample,
    OdometryEstimate,
)

_NS = 1e-9
_CONFIRMED_TILT_RAD = 0.02
_LONGEST_GAP_S = 10.0
_GATES = {"stars": "attitude_gate", "wheels": "joints_gate"}


class InertialOdometry:
    """Pose of base_link in odom from IMU, wheels and stars, and from whatever else is heard.

    It takes and gives what ``DeadReckoning`` does; ``filter`` takes the rest (scan odometry, Sun,
    places, beacons). Wheels slip: how much the filter learns where something contradicts them.

    Args:
        config: mounts and noise, as for dead reckoning.
        own: the filter's parameters.
        kinematics: wheels in the order of ``wheel_names``.
        wheel_names: all wheels; their joints are ``<wheel>_wheel``.
        steer_names: the steered wheels; their joints are ``<wheel>_steer``.

    Attributes:
        filter: of which the pose is.
        wheel_names: the wheels, in the order of the kinematics.
        wheels: how they feed the filter, and which encoders seem dead.
    """

    def __init__(
        self,
        config: DeadReckoningConfig,
        own: FilterConfig,
        kinematics: SteeringKinematics,
        wheel_names: Sequence[str],
        steer_names: Sequence[str],
    ) -> None:
        self.config, self.own = config, own
        self.wheel_names = tuple(wheel_names)
        self.filter = StateFilter(config, own)
        self._counts: Counter[str] = self.filter.refused
        self.wheels = WheelFeed(config, own, kinematics, wheel_names, steer_names)
        self._imu_axes = rotation_matrix(quat_from_rpy(*config.imu_rpy_rad))
        self._star_to_base = quat_conjugate(quat_from_rpy(*config.star_tracker_rpy_rad))
        self._turns = TurnLog(config.imu_averages, round(own.delay_s * 1e9))
        self._start(-1, 0.0)

    def _start(self, stamp_ns: int, yaw_rad: float) -> None:
        begun = None if stamp_ns < 0 else stamp_ns - 1
        self._order = {"imu": StampSequence(begun), "joints": StampSequence(begun)}
        self._joints: WheelState | None = None
        self._absent: WheelState | None = None
        self._heard_stars_ns = self._resumed_ns = None
        self.wheels.forget()
        self._imu_step_ns = 20_000_000
        self._turns.forget()
        self.set_map_to_odom_yaw(yaw_rad)

    _heard_stars_ns: int | None
    _resumed_ns: int | None

    def reset(
        self,
        position: FloatArray,
        quat_wxyz: FloatArray,
        stamp_ns: int,
        map_to_odom_yaw_rad: float = 0.0,
    ) -> None:
        """Start anew at a known pose; see ``DeadReckoning.reset``.

        Args:
            position: (3,) metres, odom.
            quat_wxyz: (4,) base_link in odom.
            stamp_ns: time of the pose.
            map_to_odom_yaw_rad: yaw of odom's axes in map.

        Raises:
            TransformError: the quaternion is not one.
            ValueError: the position is not finite.
        """
        self.filter.reset(position, quat_wxyz, int(stamp_ns))
        self._start(int(stamp_ns), map_to_odom_yaw_rad)

    def resume(self, known: Resumption, stamp_ns: int, map_to_odom_yaw_rad: float = 0.0) -> None:
        """Go on after an absence; see ``DeadReckoning.resume``. Biases come along.

        Args:
            known: what was known when the absence began.
            stamp_ns: time of the first sample after it.
            map_to_odom_yaw_rad: yaw of odom's axes in map.
        """
        doubt = self.config.resume_attitude_sigma_rad
        self.filter.reset(known.position_m, known.quat_wxyz, int(stamp_ns), 0.0, doubt)
        self.filter.place_at(known.position_covariance_m2, odom=True)
        if known.gyro_bias_rps is not None and known.accel_bias_mps2 is not None:
            spread = self.filter.state().covariance
            self.filter.begin_with(known.gyro_bias_rps, known.accel_bias_mps2, spread)
        self._start(int(stamp_ns), map_to_odom_yaw_rad)
        self._resumed_ns = int(stamp_ns)
        self._absent = known.wheels
        if known.wheels is not None:
            self._order["joints"] = StampSequence(known.wheels.stamp_ns)

    # -- what it knows -------------------------------------------------------------------------
    @property
    def refused(self) -> Counter[str]:
        """How many samples were refused (or answered unusual), by reason."""
        found = Counter(self._counts)
        for name, row in self.filter.health().items():
            found[_GATES.get(name, f"{name}_gate")] += row.refused
        return +found

    @property
    def times_set_back(self) -> int:
        """How often the clock of the inertial samples was set back."""
        return self._counts["time_went_back"]

    @property
    def known(self) -> Resumption:
        """What ``resume`` needs after an absence that begins now."""
        state = self._now()
        position, quat = self._in_odom(state)
        spread = self.filter.pose_covariance(in_odom=True)[:3, :3]
        return Resumption(
            position, quat, self._joints, spread, state.gyro_bias_rps, state.accel_bias_mps2
        )

    @property
    def bias_rps(self) -> FloatArray:
        """(3,) estimated gyro bias, base_link."""
        return self._now().gyro_bias_rps

    @property
    def position_m(self) -> FloatArray:
        """(3,) of base_link in odom."""
        return self._in_odom(self._now())[0]

    @property
    def quat_wxyz(self) -> FloatArray:
        """(4,) latest attitude of base_link in odom."""
        return self._in_odom(self._now())[1]

    @property
    def health(self) -> dict[str, SensorHealth]:
        """What the gates made of each sensor."""
        return self.filter.health()

    @property
    def stars_hold(self) -> bool:
        """Whether a star tracker held the attitude within ``star_timeout_s``."""
        imu_ns, star_ns = self.filter.imu_ns, self._heard_stars_ns
        if star_ns is None or imu_ns is None:
            return False
        return (imu_ns - star_ns) * _NS <= self.config.star_timeout_s

    def silent(self, after_s: float) -> tuple[str, ...]:
        """Sensors that have spoken, but not within ``after_s`` before the newest IMU sample."""
        now_ns = self.filter.imu_ns or 0
        heard = self.filter.heard_ns.items()
        return tuple(name for name, at_ns in heard if (now_ns - at_ns) * _NS > after_s)

    def set_map_to_odom_yaw(self, yaw_rad: float) -> None:
        """Turn the filter's axes in map: what a star tracker says is taken back by this."""
        self._from_map = quat_from_rpy(0.0, 0.0, -yaw_rad)

    # -- samples -------------------------------------------------------------------------------
    def on_imu(self, sample: ImuSample) -> None:
        """Take one inertial measurement; it is used when a pose is asked for."""
        rate = self._imu_axes @ np.asarray(sample.angular_velocity_rps, dtype=np.float64)
        force = self._imu_axes @ np.asarray(sample.specific_force_mps2, dtype=np.float64)
        order = self._accept("imu", sample.stamp_ns, np.concatenate((rate, force)))
        if order is None:
            return
        last = self.filter.imu_ns
        if order is not Order.NEXT:
            self._jumped(order, sample.stamp_ns)
        elif last is not None and sample.stamp_ns > last:
            self._imu_step_ns = sample.stamp_ns - last
            self._counts["imu_gap"] += self._imu_step_ns * _NS > self.config.max_gap_s
        self._turns.add(sample.stamp_ns, rate)
        self.filter.imu(sample.stamp_ns, rate, force)
        if sample.stamp_ns - max(self.filter.stamp_ns, 0) > 200_000_000:
            self.filter.advance()

    def on_attitude(self, sample: AttitudeSample) -> None:
        """Correct the attitude by a star tracker, late by up to ``delay_s``."""
        quat = np.asarray(sample.quat_wxyz, dtype=np.float64)
        if not (np.isfinite(quat).all() and math.isfinite(sample.sigma_rad)):
            self._counts["attitude_not_finite"] += 1
            return
        imu_ns = self._order["imu"].last_ns
        if imu_ns is not None and sample.stamp_ns > imu_ns + RESET_NS:
            self._counts["attitude_from_the_future"] += 1
            return
        if abs(float(np.linalg.norm(quat)) - 1.0) > 0.01 or sample.sigma_rad <= 0.0:
            self._counts["attitude_not_valid"] += 1
            return
        in_anchor = quat_product(self._from_map, normalise_quat(quat))
        base = quat_product(in_anchor, self._star_to_base)
        if self.filter.stars(sample.stamp_ns, base, sample.sigma_rad):
            self._heard_stars_ns = max(sample.stamp_ns, self._heard_stars_ns or sample.stamp_ns)
        else:
            self._counts["attitude_stamp"] += 1

    def on_joints(self, sample: JointSample) -> OdometryEstimate | None:
        """Take the wheels' speed and give the pose at the sample's stamp.

        Returns:
            None for the first sample, a refused one, or while no IMU tells the motion.
        """
        values = np.concatenate((sample.position_rad, sample.velocity_rps))
        order = self._accept("joints", sample.stamp_ns, values)
        if order is None:
            return None
        if order is not Order.NEXT:
            self._joints = None
            self.wheels.forget()
            self._counts["joints_gap"] += order is Order.AHEAD
        state = self.wheels.state(sample)
        if state is None:
            self._counts["joints_missing"] += 1
            return None
        imu_ns = self.filter.imu_ns
        if imu_ns is None or (state.stamp_ns - imu_ns) * _NS > self.config.max_gap_s:
            self._counts["joints_without_imu"] += 1
            return None
        before, self._joints = self._joints, state
        if self._absent is not None:
            self.wheels.carry(self._absent, state, self.filter)
            self._absent = None
        if before is None or before.stamp_ns >= state.stamp_ns:
            return None
        step_s = self._imu_step_ns * _NS
        self.wheels.roll(before, state, self.filter, self._turns, step_s, self._counts)
        self.filter.advance()
        if self._unconfirmed(state.stamp_ns):
            self._counts["joints_without_attitude"] += 1
            return None
        return self._estimate(state.stamp_ns)

    # -- inside --------------------------------------------------------------------------------
    def _accept(self, what: str, stamp_ns: int, values: FloatArray) -> Order | None:
        return accepted(what, self._order[what], stamp_ns, values, self._counts)

    def _jumped(self, order: Order, stamp_ns: int) -> None:
        """The clock was set, or inertial samples are missing for long: the pose is kept."""
        last = self.filter.imu_ns or stamp_ns
        self.filter.advance()
        begin_ns = stamp_ns - CONFIRM * self._imu_step_ns
        self.filter.go_on_at(begin_ns)
        self._turns.forget()
        if order is Order.BACK:
            self._counts["time_went_back"] += 1
            self._heard_stars_ns = None
        else:
            self._counts["imu_gap"] += 1
            unseen = min((stamp_ns - last) * _NS, _LONGEST_GAP_S)
            rate, gain = self.config.gap_rate_rps * unseen, self.own.gap_accel_mps2 * unseen
            way = 0.5 * gain * unseen
            self.filter.doubt(begin_ns, np.array([way, gain, min(rate, 1.0), 0.0, 0.0, 0.0]))

    def _unconfirmed(self, now_ns: int) -> bool:
        """Whether the attitude is still that of before an absence."""
        if self._resumed_ns is None:
            return False
        waited_s = (now_ns - self._resumed_ns) * _NS
        health = self.filter.health()
        tilt = self.filter.state().covariance[6:8, 6:8]
        seen = "stars" in health and health["stars"].taken > 0
        level = waited_s >= self.config.gravity_window_s
        level = level and float(np.sqrt(np.trace(tilt))) < _CONFIRMED_TILT_RAD
        if not (seen or level) and waited_s < self.config.resume_wait_s:
            return True
        self._resumed_ns = None
        return False

    def _now(self) -> FilterState:
        self.filter.advance()
        return self.filter.state()

    def _in_odom(self, state: FilterState) -> tuple[FloatArray, FloatArray]:
        origin, yaw = self.filter.anchor_from_odom
        if yaw == 0.0 and not origin.any():
            return state.position_m, state.quat_wxyz
        back = quat_from_rpy(0.0, 0.0, -yaw)
        place = quat_rotate(back, (state.position_m - origin)[np.newaxis])[0]
        return place, quat_product(back, state.quat_wxyz)

    def _estimate(self, stamp_ns: int) -> OdometryEstimate:
        ahead_s = max((stamp_ns - self.filter.stamp_ns) * _NS, 0.0)
        state = self.filter.state(min(ahead_s, self.config.max_gap_s))
        position, quat = self._in_odom(state)
        return OdometryEstimate(
            stamp_ns=stamp_ns,
            position_m=position,
            quat_wxyz=quat,
            linear_mps=rotation_matrix(state.quat_wxyz).T @ state.velocity_mps,
            angular_rps=state.rate_rps,
            pose_covariance=self.filter.pose_covariance(in_odom=True),
        )
