"""Where a hopper is, standing and in flight: inertial navigation corrected by stars.

The anchor of the filter is ``map``. A hop of a kilometre takes well under a minute, over which the
inertial unit alone drifts by decimetres; heights over the ground, which decide a landing, come
from the altimeter and the landing map, not from here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import quat_product
from ilrs_robots.core.localization.filter_types import FilterState
from ilrs_robots.core.localization.hop_odometry import HopConfig, HopOdometry, HopPhase
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.types import (
    AttitudeSample,
    FloatArray,
    ImuSample,
    IntArray,
    OdometryEstimate,
)
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.settings import filter_config_of

_HISTORY = 256
_STALE_NS = 250_000_000
_ACCEL_BIAS = slice(12, 15)
_DOUBTED = 4.0
"""Times the accelerometers' own deviation of bias: from there on a flight's drift is not known."""
_IMPACT_SHARE = 1.3
"""Of what the engines can do to the empty vehicle: a force that only the ground makes."""


@dataclass(frozen=True)
class NavigationHealth:
    """Whether the pose can be flown by.

    Attributes:
        good: it can.
        reason: why not, empty where it can.
    """

    good: bool
    reason: str = ""


class HopLocalization:
    """Feeds the filter of a hopper, and keeps the poses of the last seconds for its scans.

    Args:
        model: the vehicle.
        start_pose: (4, 4) T_map_base where it stands, rigid.
        position_sigma_m: of each coordinate of that place.

    Attributes:
        odometry: the filter through standing, thrust, flight and contact.
    """

    def __init__(
        self, model: HopperModel, start_pose: FloatArray, position_sigma_m: float = 0.5
    ) -> None:
        imu, star = model.imu, model.star_tracker
        shared = DeadReckoningConfig(
            imu_rpy_rad=imu.rpy_rad,
            star_tracker_rpy_rad=star.rpy_rad,
            gyro_noise_rps_sqrt_hz=imu.gyro_noise_rps_sqrt_hz,
            gyro_bias_sigma_rps=max(imu.gyro_bias_rps, 1e-6),
            imu_averages=imu.averages,
        )
        self._imu_mount = se3.quat_from_rpy(*imu.rpy_rad)
        self._star_back = se3.quat_conjugate(se3.quat_from_rpy(*star.rpy_rad))
        inner = StateFilter(shared, filter_config_of(model))
        place, quat = se3.split_transform(start_pose)
        inner.reset(place, quat, -1, position_sigma_m)
        strongest = sum(t.max_thrust_n for t in model.thrusters.values() if t.group == "main")
        lightest = model.total_mass_kg - model.tank.propellant_kg
        impact = _IMPACT_SHARE * strongest / lightest
        self.odometry = HopOdometry(inner, HopConfig(impact_force_mps2=impact))
        self._imu, self._saturated_ns = imu, -(10**18)
        self._stars_ns: int | None = None
        self._poses: deque[tuple[int, FloatArray, FloatArray]] = deque(maxlen=_HISTORY)
        self.state: FilterState = inner.state()

    def on_imu(self, sample: ImuSample) -> None:
        """One inertial sample in the sensor's own axes."""
        rate = np.asarray(sample.angular_velocity_rps, dtype=np.float64)
        force = np.asarray(sample.specific_force_mps2, dtype=np.float64)
        limits = (self._imu.gyro_range_rps, self._imu.accel_range_mps2)
        finite = bool(np.isfinite(rate).all() and np.isfinite(force).all())
        full = finite and bool(
            np.abs(rate).max() >= 0.999 * limits[0] or np.abs(force).max() >= 0.999 * limits[1]
        )
        if full or not finite:
            self._saturated_ns = sample.stamp_ns
        if any(self._imu.rpy_rad):
            rate = se3.quat_rotate(self._imu_mount, rate)
            force = se3.quat_rotate(self._imu_mount, force)
        self.odometry.on_imu(ImuSample(sample.stamp_ns, rate, force))
        self.state = self.odometry.filter.state()
        self._poses.append((self.state.stamp_ns, self.state.position_m, self.state.quat_wxyz))

    def on_stars(self, sample: AttitudeSample) -> None:
        """The star tracker's attitude of its own frame in ``map``."""
        quat = quat_product(np.asarray(sample.quat_wxyz, dtype=np.float64), self._star_back)
        if self.odometry.filter.stars(sample.stamp_ns, quat, sample.sigma_rad):
            self._stars_ns = sample.stamp_ns

    def on_ground(self) -> None:
        """Its feet carry it and nothing burns: what looks like thrust is the ground's."""
        if self.odometry.phase in (HopPhase.THRUST, HopPhase.FLIGHT):
            self.odometry.phase = HopPhase.CONTACT

    @property
    def phase(self) -> HopPhase:
        """What carries the vehicle."""
        return self.odometry.phase

    @property
    def calm(self) -> bool:
        """Whether it stands, and its accelerometers' biases are not in doubt."""
        spread = np.sqrt(np.diagonal(self.state.covariance)[_ACCEL_BIAS])
        known = float(spread.max()) <= _DOUBTED * max(self._imu.accel_bias_mps2, 1e-5)
        return known and self.phase is HopPhase.STANDING

    def health(self, now_ns: int) -> NavigationHealth:
        """Whether the pose can be flown by, at a time of the IMU's clock."""
        stamp = self.state.stamp_ns
        if stamp < 0 or now_ns - stamp > _STALE_NS:
            return NavigationHealth(False, "the inertial unit is silent")
        if now_ns - self._saturated_ns < 1_000_000_000:
            return NavigationHealth(False, "the inertial unit is saturated")
        if self._stars_ns is None or now_ns - self._stars_ns > 10_000_000_000:
            return NavigationHealth(False, "no stars for 10 s")
        if self.odometry.filter.lost:
            return NavigationHealth(False, "the position is not known")
        return NavigationHealth(True)

    def poses(self, first_ns: int, last_ns: int) -> tuple[IntArray, FloatArray, FloatArray]:
        """Stamps (K,), places (K, 3) m and attitudes (K, 4) that span an interval; maybe none."""
        kept = [p for p in self._poses if first_ns - 20_000_000 <= p[0] <= last_ns + 20_000_000]
        stamps = np.array([p[0] for p in kept], dtype=np.int64)
        if len(kept) < 2 or stamps[0] > first_ns or stamps[-1] < last_ns:
            return np.zeros(0, dtype=np.int64), np.zeros((0, 3)), np.zeros((0, 4))
        return stamps, np.array([p[1] for p in kept]), np.array([p[2] for p in kept])

    def estimate(self) -> OdometryEstimate:
        """Pose in ``map`` and twist in base_link."""
        state = self.state
        back = se3.quat_conjugate(state.quat_wxyz)
        covariance = self.odometry.filter.pose_covariance(in_odom=False)
        return OdometryEstimate(
            state.stamp_ns, state.position_m, state.quat_wxyz,
            se3.quat_rotate(back, state.velocity_mps), state.rate_rps, covariance,
        )  # fmt: skip
