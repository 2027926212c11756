"""Body motion between two joint samples, from wheel encoders and a known yaw rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray, IntArray, JointSample

_ENCODER_JUMP_RAD = 0.5
_RESTARTED_RAD = 1.0
"""Encoders restarted in a gap if all read less than this after it and one twice as much before."""


@dataclass(frozen=True)
class WheelState:
    """Joint values in the order of the kinematics.

    Attributes:
        stamp_ns: nanoseconds.
        steer_rad: (N,) angles, zero on fixed wheels.
        turned_rad: (N,) wheel positions.
        speed_rps: (N,) wheel speeds.
        standing: no wheel turns and none is being steered.
    """

    stamp_ns: int
    steer_rad: FloatArray
    turned_rad: FloatArray
    speed_rps: FloatArray
    standing: bool


@dataclass(frozen=True)
class WheelMotion:
    """Motion between two joint samples in the body's axes.

    Attributes:
        speed_mps: (2,) mean speed along x and y.
        residual_mps: what the wheels contradict.
        jumped: an encoder's position does not fit its speed; the speed was used.
    """

    speed_mps: FloatArray
    residual_mps: float
    jumped: bool


class WheelOdometry:
    """Pick wheels and steering out of joint samples and turn pairs of them into motion."""

    def __init__(
        self,
        kinematics: SteeringKinematics,
        wheel_names: Sequence[str],
        steer_names: Sequence[str],
        standing_rps: float,
        huber_mps: float,
        gap_s: float = 0.25,
        max_wheel_rps: float = 10.0,
    ) -> None:
        """Take names and thresholds.

        Args:
            kinematics: wheels in the order of ``wheel_names``.
            wheel_names: all wheels; their joints are ``<wheel>_wheel``.
            steer_names: the steered wheels; their joints are ``<wheel>_steer``.
            standing_rps: joint speed below which a joint stands.
            huber_mps: see ``SteeringKinematics.forward_given_yaw_rate``.
            gap_s: time between samples beyond which speeds say nothing of the way between.
            max_wheel_rps: fastest that a wheel can turn.

        Raises:
            ConfigError: names do not fit the kinematics.
        """
        count = len(kinematics.steered)
        steered = [n for n, turns in zip(wheel_names, kinematics.steered, strict=False) if turns]
        if len(wheel_names) != count or sorted(steered) != sorted(steer_names):
            raise ConfigError(
                f"wheels {list(wheel_names)} with {list(steer_names)} steered do not fit the "
                f"kinematics of {count} wheels"
            )
        self.kinematics = kinematics
        self._wheel_joints = [f"{name}_wheel" for name in wheel_names]
        self._steer_joints = [f"{name}_steer" for name in steered]
        self._standing_rps = standing_rps
        self._huber_mps = huber_mps
        self._gap_s, self._max_wheel_rps = gap_s, max_wheel_rps
        self._indices: dict[tuple[str, ...], tuple[list[int], list[int]] | None] = {}

    def state(self, sample: JointSample) -> WheelState | None:
        """Wheel state of a sample, or None when a joint is missing."""
        if sample.names not in self._indices:
            self._indices[sample.names] = self._find(sample.names)
        found = self._indices[sample.names]
        if found is None:
            return None
        wheels, steers = found
        position = np.asarray(sample.position_rad, dtype=np.float64)
        velocity = np.asarray(sample.velocity_rps, dtype=np.float64)
        steer = np.zeros(len(wheels))
        steer[self.kinematics.steered] = position[steers]
        moving = np.abs(velocity[wheels + steers])
        return WheelState(
            stamp_ns=sample.stamp_ns,
            steer_rad=steer,
            turned_rad=position[wheels],
            speed_rps=velocity[wheels],
            standing=bool(moving.max() < self._standing_rps),
        )

    def table(
        self, names: tuple[str, ...], position_rad: FloatArray, velocity_rps: FloatArray
    ) -> tuple[FloatArray, IntArray]:
        """What ``state`` picks, of many samples at once.

        Args:
            names: joints of the columns.
            position_rad: (J, M) positions.
            velocity_rps: (J, M) speeds.

        Returns:
            (J, 3, wheels) steering angles, wheel positions and speeds, and (J,) whether the
            vehicle stands: 1, 0, or -1 where a value is not finite or a joint is missing.
        """
        if names not in self._indices:
            self._indices[names] = self._find(names)
        found, count = self._indices[names], len(position_rad)
        wheels_count = len(self._wheel_joints)
        table, standing = np.zeros((count, 3, wheels_count)), np.full(count, -1, np.int64)
        if found is None:
            return table, standing
        wheels, steers = found
        table[:, 0, self.kinematics.steered] = position_rad[:, steers]
        table[:, 1], table[:, 2] = position_rad[:, wheels], velocity_rps[:, wheels]
        finite = np.isfinite(position_rad).all(axis=1) & np.isfinite(velocity_rps).all(axis=1)
        moving = np.abs(velocity_rps[:, wheels + steers]).max(axis=1, initial=0.0)
        standing[finite] = moving[finite] < self._standing_rps
        return table, standing

    def motion(self, first: WheelState, second: WheelState, yaw_rate_rps: float) -> WheelMotion:
        """Motion from the first sample to the second.

        Distances come from encoder positions, which lose nothing between samples; where a
        position jumps (a wrapped or restarted encoder) the speeds stand in. After a gap they do
        not: a position that cannot be, or an encoder that counts from zero again, gives no motion.
        """
        step_s = (second.stamp_ns - first.stamp_ns) * 1e-9
        turned = second.turned_rad - first.turned_rad
        expected = 0.5 * (first.speed_rps + second.speed_rps) * step_s
        bad = np.abs(turned - expected) > _ENCODER_JUMP_RAD
        if step_s > self._gap_s:
            expected = np.zeros_like(turned)
            restarted = np.abs(second.turned_rad).max() < _RESTARTED_RAD
            restarted &= np.abs(first.turned_rad).max() > 2.0 * _RESTARTED_RAD
            bad = (np.abs(turned) > self._max_wheel_rps * step_s + _ENCODER_JUMP_RAD) | restarted
        rate = np.where(bad, expected, turned) / step_s
        steer = 0.5 * (first.steer_rad + second.steer_rad)
        vx, vy, residual = self.kinematics.forward_given_yaw_rate(
            steer, rate, yaw_rate_rps, self._huber_mps
        )
        return WheelMotion(
            speed_mps=np.array([vx, vy]),
            residual_mps=residual,
            jumped=bool(bad.any()),
        )

    def _find(self, names: tuple[str, ...]) -> tuple[list[int], list[int]] | None:
        place = {name: index for index, name in enumerate(names)}
        if not all(joint in place for joint in self._wheel_joints + self._steer_joints):
            return None
        wheels = [place[joint] for joint in self._wheel_joints]
        return wheels, [place[joint] for joint in self._steer_joints]
