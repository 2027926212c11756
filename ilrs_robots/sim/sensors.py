"""Inertial unit, encoders and star tracker of one vehicle, fed with its poses and joint angles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from ilrs_robots.core.geometry.se3 import quat_from_rpy, quat_multiply
from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    FloatArray,
    ImuSample,
    JointSample,
)
from ilrs_robots.robots.sensor_parts import (
    AltimeterConfig,
    ImuConfig,
    JointStatesConfig,
    StarTrackerConfig,
)
from ilrs_robots.sim.terrain import Terrain


@dataclass(frozen=True)
class BodyState:
    """True state of base_link at an instant.

    Attributes:
        stamp_ns: nanoseconds.
        position_m: (3,) map.
        quat_wxyz: (4,) map.
        linear_map_mps: (3,) velocity of base_link's origin, map.
        angular_base_rps: (3,) base_link.
        joints_rad: (J,) joint angles.
    """

    stamp_ns: int
    position_m: FloatArray
    quat_wxyz: FloatArray
    linear_map_mps: FloatArray
    angular_base_rps: FloatArray
    joints_rad: FloatArray

    def pose(self) -> FloatArray:
        """(7,) position and attitude."""
        return np.concatenate((self.position_m, self.quat_wxyz))


class Imu:
    """Mean rate and mean specific force over each sample period.

    Both come from differences of attitude and of the sensor's velocity across the period, so they
    integrate to the true motion and contact chatter does not alias.

    Reference: IEEE Std 952 for the noise terms (white noise, constant bias drawn per run).
    """

    def __init__(self, config: ImuConfig, gravity_mps2: float, rng: np.random.Generator) -> None:
        self._mount = quat_from_rpy(*config.rpy_rad)
        self._lever_m = np.array(config.position_m)
        self._gravity = np.array([0.0, 0.0, -gravity_mps2])
        self._rng = rng
        self._rate_hz = config.rate_hz
        root_rate = math.sqrt(config.rate_hz)
        self._gyro_sigma = config.gyro_noise_rps_sqrt_hz * root_rate
        self._accel_sigma = config.accel_noise_mps2_sqrt_hz * root_rate
        self.gyro_bias_rps = config.gyro_bias_rps * rng.standard_normal(3)
        self.accel_bias_mps2 = config.accel_bias_mps2 * rng.standard_normal(3)

    def sample(self, before: BodyState, after: BodyState) -> ImuSample:
        """Measure the period between two states; the stamp is its end."""
        period_s = (after.stamp_ns - before.stamp_ns) * 1e-9
        turn, middle = np.empty(3), np.empty(4)
        mujoco.mju_subQuat(turn, after.quat_wxyz, before.quat_wxyz)
        middle[:] = before.quat_wxyz
        mujoco.mju_quatIntegrate(middle, turn, 0.5)
        change = self._velocity(after) - self._velocity(before)
        force = _turned(middle, change / period_s - self._gravity, inverse=True)
        noise = self._rng.standard_normal(6)
        if period_s * self._rate_hz > 1.5:  # the mean over several periods
            noise /= math.sqrt(period_s * self._rate_hz)
        rate = _turned(self._mount, turn / period_s, inverse=True)
        force = _turned(self._mount, force, inverse=True)
        return ImuSample(
            after.stamp_ns,
            rate + self.gyro_bias_rps + self._gyro_sigma * noise[:3],
            force + self.accel_bias_mps2 + self._accel_sigma * noise[3:],
        )

    def _velocity(self, state: BodyState) -> FloatArray:
        """Of the sensor, map axes."""
        swing = np.empty(3)
        mujoco.mju_cross(swing, state.angular_base_rps, self._lever_m)
        return state.linear_map_mps + _turned(state.quat_wxyz, swing)


class JointEncoders:
    """Quantised angles, and the mean speed over the period."""

    def __init__(self, config: JointStatesConfig, names: tuple[str, ...]) -> None:
        self._step_rad, self._names = config.encoder_resolution_rad, names

    def sample(self, before: BodyState, after: BodyState) -> JointSample:
        """Read the joints at the end of the period between two states."""
        period_s = (after.stamp_ns - before.stamp_ns) * 1e-9
        angles = after.joints_rad
        if self._step_rad > 0.0:
            angles = self._step_rad * np.round(angles / self._step_rad)
        velocity = (after.joints_rad - before.joints_rad) / period_s
        return JointSample(after.stamp_ns, self._names, angles.copy(), velocity)


class StarTracker:
    """Attitude of its own frame in map, with white noise about each axis."""

    def __init__(self, config: StarTrackerConfig, rng: np.random.Generator) -> None:
        self._mount = quat_from_rpy(*config.rpy_rad)
        self._sigma_rad = math.radians(config.sigma_deg)
        self._rng = rng

    def sample(self, state: BodyState) -> AttitudeSample:
        """Measure the attitude at an instant."""
        true = quat_multiply(state.quat_wxyz, self._mount)
        tilt = self._sigma_rad * self._rng.standard_normal(3)
        noise = np.concatenate(([1.0], 0.5 * tilt))
        seen = quat_multiply(true, noise / np.linalg.norm(noise))
        return AttitudeSample(state.stamp_ns, seen, self._sigma_rad)


class Altimeter:
    """Distance along a beam to the ground without its rocks, which are smaller than its spot."""

    _SAMPLES = 32
    _ROUNDS = 4

    def __init__(
        self, config: AltimeterConfig, terrain: Terrain, rng: np.random.Generator
    ) -> None:
        self._config, self._terrain, self._rng = config, terrain, rng
        self._lever_m = np.array(config.position_m)
        self._beam = _turned(quat_from_rpy(*config.rpy_rad), np.array([1.0, 0.0, 0.0]))

    def sample(self, state: BodyState) -> AltimeterSample:
        """Measure at an instant; NaN where the beam meets no ground within its range."""
        config = self._config
        start = state.position_m + _turned(state.quat_wxyz, self._lever_m)
        true = self._distance(start, _turned(state.quat_wxyz, self._beam))
        seen = true + config.range_sigma_m * float(self._rng.standard_normal())
        if not config.range_min_m <= seen <= config.range_max_m:
            seen = math.nan
        return AltimeterSample(state.stamp_ns, seen, config.range_sigma_m)

    def _distance(self, start_m: FloatArray, beam: FloatArray) -> float:
        """First crossing of the ground along the beam, refined by a bracket within a bracket."""
        above = float(start_m[2] - self._terrain.height(start_m[None, :2])[0])
        if not (above > 0.0 and beam[2] < -0.05):
            return math.nan
        low, high = 0.0, min(2.0 * above / -beam[2] + 5.0, self._config.range_max_m)
        for _ in range(self._ROUNDS):
            along = np.linspace(low, high, self._SAMPLES)
            places = start_m + along[:, None] * beam
            under = np.flatnonzero(places[:, 2] <= self._terrain.height(places[:, :2]))
            if not len(under) or under[0] == 0:
                return math.nan
            low, high = along[under[0] - 1], along[under[0]]
        return 0.5 * float(low + high)


def _turned(quat_wxyz: FloatArray, vector: FloatArray, inverse: bool = False) -> FloatArray:
    """(3,) rotated by a quaternion or by its inverse; MuJoCo's own is fast on one vector."""
    quat = quat_wxyz
    if inverse:
        quat = quat_wxyz * (1.0, -1.0, -1.0, -1.0)
    turned = np.empty(3)
    mujoco.mju_rotVecQuat(turned, vector, quat)
    return turned
