"""Parameters of dead reckoning."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_GRAVITY_MPS2


@dataclass(frozen=True)
class DeadReckoningConfig:
    """Mounts and noise of the sensors, and how far wheels are trusted."""

    imu_rpy_rad: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), doc="roll, pitch, yaw of the IMU in base_link", unit="rad"
    )
    star_tracker_rpy_rad: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), doc="roll, pitch, yaw of the star tracker in base_link", unit="rad"
    )
    gravity_mps2: float = param(
        MOON_GRAVITY_MPS2, doc="specific force at rest", unit="m/s2", low=0.1, high=30.0
    )
    gyro_noise_rps_sqrt_hz: float = param(
        2e-5, doc="gyro noise density", unit="rad/s/sqrt(Hz)", low=0.0, high=1.0
    )
    gyro_bias_sigma_rps: float = param(
        1e-4, doc="gyro bias at start", unit="rad/s", low=0.0, high=1.0
    )
    gyro_bias_walk_rps_sqrt_s: float = param(
        1e-8, doc="random walk of the gyro bias", unit="rad/s/sqrt(s)", low=0.0, high=1.0
    )
    imu_averages: bool = param(
        False, doc="an IMU's rate is the mean since its last sample; otherwise that at its stamp"
    )
    star_stamp_sigma_s: float = param(
        0.003, doc="stamps of gyro and star tracker fit this well", unit="s", low=0.0, high=1.0
    )
    initial_attitude_sigma_rad: float = param(
        0.01, doc="attitude at start", unit="rad", low=1e-6, high=1.0
    )
    standing_joint_rps: float = param(
        0.01, doc="joint speed below which it stands", unit="rad/s", low=0.0, high=1.0
    )
    standing_rate_rps: float = param(
        0.02, doc="body rate below which it stands", unit="rad/s", low=0.0, high=1.0
    )
    standing_after_s: float = param(
        0.5, doc="standing counts after this time", unit="s", low=0.0, high=60.0
    )
    standing_motion_rps: float = param(
        2e-4, doc="body rate that remains while standing", unit="rad/s", low=0.0, high=1.0
    )
    star_timeout_s: float = param(
        5.0, doc="gravity levels the attitude after this time without stars", unit="s", low=0.0
    )
    gravity_sigma_rad: float = param(
        0.005, doc="tilt from one second of specific force", unit="rad", low=1e-6, high=1.0
    )
    gravity_window_s: float = param(
        1.0, doc="time over which specific force is averaged", unit="s", low=0.02, high=60.0
    )
    gravity_tolerance: float = param(
        0.02, doc="relative deviation from gravity that still counts as unaccelerated", low=0.0
    )
    max_gap_s: float = param(
        0.25, doc="longest time without IMU over which attitude is held", unit="s", low=0.001
    )
    gap_rate_rps: float = param(
        0.1, doc="rate that may have been missed in an IMU gap", unit="rad/s", low=0.0, high=10.0
    )
    resume_attitude_sigma_rad: float = param(
        0.1, doc="doubt of the attitude after an absence", unit="rad", low=1e-4, high=1.0
    )
    resume_wait_s: float = param(
        5.0, doc="longest wait for stars or gravity after an absence", unit="s", low=0.0, high=60.0
    )
    max_wheel_rps: float = param(
        10.0, doc="fastest a wheel can turn", unit="rad/s", low=0.01, high=1000.0
    )
    slip_sigma: float = param(0.02, doc="slip on level ground", low=0.0, high=1.0)
    slip_per_slope: float = param(0.3, doc="slip per sine of the slope", low=0.0, high=10.0)
    expected_slip_per_slope: float = param(
        0.0,
        doc="calibrated slip towards the valley per sine of the slope, taken off the motion",
        low=0.0,
        high=5.0,
    )
    slip_length_m: float = param(
        5.0, doc="distance over which slip stays alike", unit="m", low=0.01, high=1000.0
    )
    huber_mps: float = param(
        0.03, doc="wheel contradiction that weighs less beyond", unit="m/s", low=0.001, high=10.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
