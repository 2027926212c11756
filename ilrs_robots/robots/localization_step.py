"""Localisation of a rover as one step: sensor samples in, pose of the body in ``odom`` out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning import (
    DeadReckoning,
    DeadReckoningConfig,
)
from ilrs_robots.core.localization.inertial_batch import InertialBatch
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.localization.reckoning_batch import Advance, ReckoningBatch, SampleBatch
from ilrs_robots.core.localization.resumption import Resumption
from ilrs_robots.core.localization.wheel_odometry import WheelState
from ilrs_robots.core.types import (
    AttitudeSample,
    FloatArray,
    ImuSample,
    JointSample,
    OdometryEstimate,
)
from ilrs_robots.robots.model import RobotModel, require_rover
from ilrs_robots.robots.settings import kinematics_of

STANDING_FORCE_TOLERANCE: Final = 0.1
"""Relative deviation from gravity up to which a specific force shows where down is."""

_BIASES: Final = ("gyro_bias_rps", "accel_bias_mps2")
_WHEEL_VALUES: Final = ("steer_rad", "turned_rad", "speed_rps")


class LocalizationStep:
    """Wheel odometry, gyro and star tracker to the pose of ``base_link`` in ``odom``.

    ``odom`` starts at the given pose in ``map``: its origin stands where the robot stands and its
    axes are parallel to those of ``map``, so ``map -> odom`` is a pure translation until an
    absolute fix moves it.

    Where the samples' time is set back, a simulation was reset: the step starts again at
    ``restart_at``. Without one (hardware, whose clock was set) the pose is kept and goes on.

    Args:
        model: the rover.
        robot: its name.
        cfg: dead reckoning.
        restart_at: (4, 4) T_map_base of a simulation's start, or None to keep the pose.
    """

    def __init__(
        self,
        model: RobotModel,
        robot: str,
        cfg: DeadReckoningConfig,
        restart_at: FloatArray | None = None,
    ) -> None:
        self.robot = robot
        self.restarts = 0
        self._restart_at = restart_at
        self._filter: DeadReckoning | InertialOdometry = self._make_filter(model, cfg)
        self._batch: ReckoningBatch | InertialBatch = (
            ReckoningBatch(self._filter)
            if isinstance(self._filter, DeadReckoning)
            else InertialBatch(self._filter)
        )
        self._R_base_imu = se3.from_rpy(np.zeros(3), model.imu.rpy_rad)[:3, :3]
        self.T_map_odom: FloatArray = np.eye(4)
        self.started = False

    def _make_filter(
        self, model: RobotModel, cfg: DeadReckoningConfig
    ) -> DeadReckoning | InertialOdometry:
        wheels = require_rover(model, "wheel odometry").wheels
        return DeadReckoning(cfg, kinematics_of(model), wheels.names, wheels.steered)

    def start(
        self, T_map_base: FloatArray, stamp_ns: int, T_map_odom: FloatArray | None = None
    ) -> None:
        """Put the robot at a pose in ``map`` and start odometry there.

        Args:
            T_map_base: (4, 4) the pose.
            stamp_ns: its time.
            T_map_odom: (4, 4) where odom has been before, to go on in it; None for a new one.
        """
        position, quat = se3.split_transform(T_map_base)
        if T_map_odom is None:
            T_map_odom = se3.make_transform(position, np.array([1.0, 0.0, 0.0, 0.0]))
        position, quat = se3.split_transform(se3.invert(T_map_odom) @ T_map_base)
        yaw_rad = se3.yaw_of(se3.split_transform(T_map_odom)[1])
        self._filter.reset(position, quat, stamp_ns, yaw_rad)
        self.T_map_odom = T_map_odom
        self.started = True

    def start_level(
        self, T_map_base: FloatArray, sample: ImuSample, T_map_odom: FloatArray | None = None
    ) -> None:
        """Start at a position and heading, with roll and pitch from the specific force.

        A vehicle rarely stands upright, and a map that begins with a wrong tilt keeps it.

        Args:
            T_map_base: (4, 4) position and heading; its roll and pitch are not used.
            sample: taken while the vehicle stands.
            T_map_odom: (4, 4) where odom has been before, or None.
        """
        up = self._R_base_imu @ np.asarray(sample.specific_force_mps2, dtype=np.float64)
        roll = pitch = 0.0
        if self.stands(sample):
            roll = float(np.arctan2(up[1], up[2]))
            pitch = float(np.arctan2(-up[0], np.hypot(up[1], up[2])))
        position, quat = se3.split_transform(T_map_base)
        T_level = se3.from_rpy(position, (roll, pitch, se3.yaw_of(quat)))
        self.start(T_level, sample.stamp_ns, T_map_odom)

    def stands(self, sample: ImuSample) -> bool:
        """Whether the specific force is that of a vehicle that neither falls nor is shaken."""
        length = float(np.linalg.norm(sample.specific_force_mps2))
        expected = self._filter.config.gravity_mps2
        return bool(abs(length / expected - 1.0) < STANDING_FORCE_TOLERANCE)

    def memory(self) -> dict[str, Any]:
        """What ``resume`` needs in another life of this step, as JSON takes it."""
        known = self._filter.known
        T_odom_base = se3.make_transform(known.position_m, known.quat_wxyz)
        kept: dict[str, Any] = {
            "map_odom": self.T_map_odom.tolist(),
            "odom_base": T_odom_base.tolist(),
            "position_covariance_m2": known.position_covariance_m2.tolist(),
        }
        for name in _BIASES:
            if getattr(known, name) is not None:
                kept[name] = getattr(known, name).tolist()
        if known.wheels is not None:
            kept |= {name: getattr(known.wheels, name).tolist() for name in _WHEEL_VALUES}
            kept["wheels_ns"] = known.wheels.stamp_ns
        return kept

    def resume(self, memory: Mapping[str, Any], stamp_ns: int) -> None:
        """Go on where another life of this step ended.

        Args:
            memory: as ``memory`` gave it.
            stamp_ns: time of the first sample now.

        Raises:
            KeyError, TypeError, ValueError, TransformError: it is not what ``memory`` gives;
                nothing was changed.
        """
        T_map_odom = se3.require_rigid(np.array(memory["map_odom"], dtype=np.float64))
        T_odom_base = se3.require_rigid(np.array(memory["odom_base"], dtype=np.float64))
        spread = np.array(memory["position_covariance_m2"], dtype=np.float64)
        if spread.shape != (3, 3) or not np.isfinite(spread).all():
            raise ValueError(f"position_covariance_m2 = {spread}: expected (3, 3) finite numbers")
        wheels = _wheels_of(memory, len(self._filter.wheel_names))
        yaw_rad = se3.yaw_of(se3.split_transform(T_map_odom)[1])
        biases = [_bias_of(memory, name) for name in _BIASES]
        known = Resumption(*se3.split_transform(T_odom_base), wheels, spread, *biases)
        self._filter.resume(known, stamp_ns, yaw_rad)
        self.T_map_odom = T_map_odom
        self.started = True

    def on_imu(self, sample: ImuSample) -> None:
        """Integrate one inertial measurement."""
        before = self._filter.times_set_back
        self._filter.on_imu(sample)
        if self._restart_at is not None and self._filter.times_set_back > before:
            self.restarts += 1
            self.start_level(self._restart_at, sample)
            self._filter.on_imu(sample)

    def on_attitude(self, sample: AttitudeSample) -> None:
        """Correct attitude by a star tracker's answer."""
        self._filter.on_attitude(sample)

    def on_joints(self, sample: JointSample) -> OdometryEstimate | None:
        """Advance the position; None while there is not enough to do so."""
        return self._filter.on_joints(sample)

    def advance(self, batch: SampleBatch, first: int, last: int) -> Advance:
        """Take ordinary samples of a batch from ``first`` to below ``last``; see ``Advance``."""
        return self._batch.advance(batch, first, last)

    def relocate(self, T_map_base: FloatArray) -> bool:
        """Move ``map -> odom`` so that the robot stands at a pose in ``map``.

        ``odom`` does not jump, so the rolling map and everything else that lives in it stays
        right. Roll and pitch are those that the filter holds. So is the heading while a star
        tracker holds it: it knows better than whoever gives the pose.

        Returns:
            whether the pose's heading was used.

        Raises:
            TransformError: the pose is not rigid or not finite.
        """
        position, quat = se3.split_transform(T_map_base)
        at, attitude = self._filter.position_m, self._filter.quat_wxyz
        held = self._filter.stars_hold
        yaw = se3.yaw_of(se3.split_transform(self.T_map_odom)[1])
        if not held:
            yaw = se3.yaw_of(quat) - se3.yaw_of(attitude)
        turned = se3.from_rpy(np.zeros(3), (0.0, 0.0, yaw))
        turned[:3, 3] = position - turned[:3, :3] @ at
        self.T_map_odom = turned
        self._filter.set_map_to_odom_yaw(yaw)
        return not held

    @property
    def stars_hold(self) -> bool:
        """Whether a star tracker holds the attitude."""
        return self._filter.stars_hold

    @property
    def counters(self) -> dict[str, int]:
        """Refused measurements by reason."""
        return dict(self._filter.refused)


def _bias_of(memory: Mapping[str, Any], name: str) -> FloatArray | None:
    """A bias that a memory tells of, None where it does not.

    Raises:
        ValueError: not three finite values.
    """
    if name not in memory:
        return None
    bias = np.array(memory[name], dtype=np.float64)
    if bias.shape != (3,) or not np.isfinite(bias).all():
        raise ValueError(f"{name} = {bias}: expected 3 finite numbers")
    return bias


def _wheels_of(memory: Mapping[str, Any], count: int) -> WheelState | None:
    """The wheels that a memory tells of.

    Raises:
        ValueError: not one finite value for each wheel.
    """
    if "wheels_ns" not in memory:
        return None
    steer, turned, speed = (np.array(memory[name], dtype=np.float64) for name in _WHEEL_VALUES)
    for name, value in zip(_WHEEL_VALUES, (steer, turned, speed), strict=True):
        if value.shape != (count,) or not np.isfinite(value).all():
            raise ValueError(f"{name} = {value}: expected {count} finite numbers")
    return WheelState(int(memory["wheels_ns"]), steer, turned, speed, standing=False)
