"""Localisation by the error-state filter: the same step, and what else a filter can hear."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning import DeadReckoning, DeadReckoningConfig
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.filter_types import (
    BeaconRange,
    PositionFix,
    RelativePose,
    SensorHealth,
    SunDirection,
)
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.localization_step import LocalizationStep
from ilrs_robots.robots.model import RobotModel, require_rover
from ilrs_robots.robots.settings import filter_config_of, kinematics_of

METHODS: Final = ("filter", "dead_reckoning")
"""How a pose can be reckoned: by the error-state filter, or by wheels and gyro alone."""


class InertialStep(LocalizationStep):
    """Wheels, IMU and stars as ``LocalizationStep``, and scans, Sun, places and beacons.

    ``odom`` stays smooth: what an absolute place corrects moves ``map -> odom``.

    Args:
        model: the rover.
        robot: its name.
        cfg: mounts and noise.
        restart_at: (4, 4) T_map_base of a simulation's start, or None to keep the pose.
        own: the filter's parameters; None for the vehicle's own.
    """

    def __init__(
        self,
        model: RobotModel,
        robot: str,
        cfg: DeadReckoningConfig,
        restart_at: FloatArray | None = None,
        own: FilterConfig | None = None,
    ) -> None:
        self._own = own or filter_config_of(model)
        self._T_map_anchor: FloatArray = np.eye(4)
        super().__init__(model, robot, cfg, restart_at)

    def _make_filter(
        self, model: RobotModel, cfg: DeadReckoningConfig
    ) -> DeadReckoning | InertialOdometry:
        wheels = require_rover(model, "wheel odometry").wheels
        self.odometry = InertialOdometry(
            cfg, self._own, kinematics_of(model), wheels.names, wheels.steered
        )
        return self.odometry

    def start(
        self, T_map_base: FloatArray, stamp_ns: int, T_map_odom: FloatArray | None = None
    ) -> None:
        """As ``LocalizationStep.start``; the place in ``map`` is as sure as configured.

        Args:
            T_map_base: (4, 4) the pose.
            stamp_ns: its time.
            T_map_odom: (4, 4) where odom has been before, to go on in it; None for a new one.
        """
        super().start(T_map_base, stamp_ns, T_map_odom)
        self.odometry.filter.place_at(self._own.start_position_sigma_m**2 * np.eye(3))

    def memory(self) -> dict[str, Any]:
        """As ``LocalizationStep.memory``, and how sure the place in ``map`` was."""
        spread = self.map_covariance()[:3, :3]
        return {**super().memory(), "map_covariance_m2": spread.tolist()}

    def resume(self, memory: Mapping[str, Any], stamp_ns: int) -> None:
        """Take up what ``memory`` gave; see ``LocalizationStep.resume``.

        Args:
            memory: from ``memory``.
            stamp_ns: time of the first sample now.

        Raises:
            KeyError, TypeError, ValueError, TransformError: it is not what ``memory`` gives.
        """
        spread = np.array(memory.get("map_covariance_m2", np.zeros((3, 3))), dtype=np.float64)
        if spread.shape != (3, 3) or not np.isfinite(spread).all():
            raise ValueError(f"map_covariance_m2 = {spread}: expected (3, 3) finite numbers")
        super().resume(memory, stamp_ns)
        if spread.any():
            R = self._T_map_anchor[:3, :3]
            self.odometry.filter.place_at(R.T @ spread @ R)

    @property
    def T_map_odom(self) -> FloatArray:  # noqa: N802 - frame notation
        """(4, 4) pose of odom in ``map``: where it began, moved by absolute places."""
        origin, yaw = self.odometry.filter.anchor_from_odom
        if yaw == 0.0 and not origin.any():
            return self._T_map_anchor
        T_map_odom: FloatArray = self._T_map_anchor @ se3.from_rpy(origin, (0.0, 0.0, yaw))
        return T_map_odom

    @T_map_odom.setter
    def T_map_odom(self, T_map_odom: FloatArray) -> None:  # noqa: N802 - frame notation
        """Take a (4, 4) transform, metres."""
        origin, yaw = self.odometry.filter.anchor_from_odom
        T_anchor_odom = se3.from_rpy(origin, (0.0, 0.0, yaw))
        self._T_map_anchor = T_map_odom @ se3.invert(T_anchor_odom)
        anchor_yaw = se3.yaw_of(se3.split_transform(self._T_map_anchor)[1])
        self.odometry.set_map_to_odom_yaw(anchor_yaw)

    def relocate(self, T_map_base: FloatArray, covariance_m2: FloatArray | None = None) -> bool:
        """As ``LocalizationStep.relocate``; the position is then as sure as whoever gives it.

        Args:
            T_map_base: (4, 4) the pose.
            covariance_m2: (3, 3) of its position, or None to keep what the filter believes.

        Raises:
            TransformError: the pose is not rigid or not finite.
        """
        turned = super().relocate(T_map_base)
        self.T_map_odom = self.T_map_odom  # the axes of stars are those of the anchor
        if covariance_m2 is not None:
            R = self._T_map_anchor[:3, :3]
            self.odometry.filter.place_at(R.T @ np.asarray(covariance_m2, dtype=np.float64) @ R)
        return turned

    def newest(self) -> tuple[int, FloatArray]:
        """Stamp of the state, and (4, 4) T_odom_base then."""
        position, quat = self.odometry.position_m, self.odometry.quat_wxyz
        return self.odometry.filter.stamp_ns, se3.make_transform(position, quat)

    def doubt_place(self, sigma_m: float) -> None:
        """The place in ``map`` is not what was believed; ``odom`` is as good as it was."""
        self.odometry.filter.doubt_place(sigma_m)

    # -- further measurements ------------------------------------------------------------------
    def on_motion(
        self,
        from_ns: int,
        to_ns: int,
        T_from_to: FloatArray,
        covariance: FloatArray,
        keep: bool = True,
    ) -> bool:
        """Scan odometry.

        Args:
            from_ns: stamp of the older scan.
            to_ns: stamp of the newer one.
            T_from_to: (4, 4) motion of base_link.
            covariance: (6, 6) of position (m2) and rotation (rad2) in the axes of the older pose.
            keep: whether later motions will speak of the newer scan.

        Returns:
            whether it is one; the filter's gate judges it when its time comes.

        Raises:
            TransformError: the motion is not rigid.
        """
        way, turn = se3.split_transform(se3.require_rigid(T_from_to))
        back = np.eye(6)
        back[3:, 3:] = T_from_to[:3, :3].T
        spread = back @ np.asarray(covariance, dtype=np.float64) @ back.T
        return self.odometry.filter.scan(RelativePose(from_ns, to_ns, way, turn, spread, keep))

    def on_fix(self, fix: PositionFix) -> bool:
        """Place of base_link in ``map``; NaN coordinates were not measured.

        Whoever knows x or y alone must know them along the axes of odom's anchor; places of maps
        know both.
        """
        T_anchor_map = se3.invert(self._T_map_anchor)
        R = T_anchor_map[:3, :3]
        z_known = bool(np.isfinite(fix.position_m[2]))
        place = np.where(np.isfinite(fix.position_m), fix.position_m, self._T_map_anchor[:3, 3])
        local = R @ place + T_anchor_map[:3, 3]
        if not z_known:
            local[2] = np.nan
        spread = np.where(np.isfinite(fix.covariance_m2), fix.covariance_m2, 0.0)
        return self.odometry.filter.fix(PositionFix(fix.stamp_ns, local, R @ spread @ R.T))

    def on_range(self, sample: BeaconRange) -> bool:
        """Distance to a beacon whose place is given in ``map``."""
        T = se3.invert(self._T_map_anchor)
        beacon = T[:3, :3] @ sample.beacon_m + T[:3, 3]
        moved = BeaconRange(
            sample.stamp_ns, beacon, sample.range_m, sample.sigma_m, sample.antenna_m
        )
        return self.odometry.filter.beacon(moved)

    def on_sun(self, sample: SunDirection) -> bool:
        """The Sun's direction, seen in base_link and known in ``map``."""
        known = self._T_map_anchor[:3, :3].T @ sample.known
        return self.odometry.filter.sun(sample, known)

    # -- what it says of itself ----------------------------------------------------------------
    @property
    def health(self) -> dict[str, SensorHealth]:
        """What the gates made of each sensor."""
        return self.odometry.health

    @property
    def lost(self) -> bool:
        """Whether the position in ``map`` is known no better than ``trusted_position_m``."""
        return self.odometry.filter.lost

    def map_covariance(self) -> FloatArray:
        """(6, 6) of the pose in ``map``: m2 and rad2, x, y, z and rotations about its axes."""
        turn = np.eye(6)
        turn[:3, :3] = turn[3:, 3:] = self._T_map_anchor[:3, :3]
        spread: FloatArray = turn @ self.odometry.filter.pose_covariance(in_odom=False) @ turn.T
        return spread


def make_localization(
    method: str,
    model: RobotModel,
    robot: str,
    cfg: DeadReckoningConfig,
    restart_at: FloatArray | None = None,
    own: FilterConfig | None = None,
) -> LocalizationStep:
    """The localisation step of a method.

    Args:
        method: one of ``METHODS``.
        model: the rover.
        robot: its name.
        cfg: mounts and noise.
        restart_at: (4, 4) T_map_base of a simulation's start, or None to keep the pose.
        own: the filter's parameters; None for the vehicle's own.

    Raises:
        ConfigError: there is no such method.
    """
    if method == "filter":
        return InertialStep(model, robot, cfg, restart_at, own)
    if method == "dead_reckoning":
        return LocalizationStep(model, robot, cfg, restart_at)
    raise ConfigError(f"localisation method {method!r}: must be one of {', '.join(METHODS)}")
