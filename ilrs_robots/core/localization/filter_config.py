"""Parameters of the error-state filter besides those that it shares with dead reckoning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class FilterConfig:
    """Noise, gates and doubts of the error-state filter."""

    imu_position_m: tuple[float, float, float] = param(
        (0.0, 0.0, 0.0), doc="place of the IMU in base_link", unit="m"
    )
    accel_noise_mps2_sqrt_hz: float = param(
        5e-4, doc="accelerometer noise density", unit="m/s2/sqrt(Hz)", low=0.0, high=10.0
    )
    accel_bias_sigma_mps2: float = param(
        5e-4, doc="accelerometer bias at start", unit="m/s2", low=0.0, high=10.0
    )
    accel_bias_walk_mps2_sqrt_s: float = param(
        1e-6, doc="random walk of the accelerometer bias", unit="m/s2/sqrt(s)", low=0.0, high=1.0
    )
    start_position_sigma_m: float = param(
        1.0, doc="place in map at start", unit="m", low=0.0, high=1e4
    )
    initial_speed_sigma_mps: float = param(
        0.5, doc="speed at start", unit="m/s", low=0.0, high=1000.0
    )
    gap_accel_mps2: float = param(
        0.3, doc="acceleration that may be missed in an IMU gap", unit="m/s2", low=0.0, high=100.0
    )
    wheel_sigma_mps: float = param(
        0.02, doc="what bumps do to the wheels' speed", unit="m/s", low=1e-6, high=10.0
    )
    vertical_sigma_mps: float = param(
        0.02, doc="speed of the body's floor across the ground", unit="m/s", low=1e-6, high=10.0
    )
    wheel_error_s: float = param(
        0.35, doc="time over which those two stay alike; 0 for white noise", unit="s", low=0.0,
        high=10.0,
    )  # fmt: skip
    slip_sigma: float = param(
        0.01, doc="slip on level ground, share of the wheels' speed", low=0.0, high=1.0
    )
    slip_per_slope: float = param(
        0.1, doc="slip per sine of the slope, beside what is expected", low=0.0, high=10.0
    )
    lateral_slip_sigma: float = param(
        0.02, doc="sideways slip, share of the wheels' speed", low=0.0, high=1.0
    )
    contradiction_gain: float = param(
        1.0, doc="of what wheels contradict, this share is noise of their mean", low=0.0, high=10.0
    )
    standing_speed_sigma_mps: float = param(
        0.005, doc="speed that remains while standing", unit="m/s", low=1e-6, high=1.0
    )
    delay_s: float = param(
        2.0, doc="measurements this late are still put into their place", unit="s", low=0.1,
        high=60.0,
    )  # fmt: skip
    shut_after: int = param(3, doc="refusals in a row after which a sensor is doubted", low=1)
    reopen_after: int = param(3, doc="good answers in a row that end the doubt", low=1)
    lost_after: int = param(
        5, doc="refusals in a row after which what was known is doubted instead", low=1
    )
    doubt_position_m: float = param(
        30.0, doc="position, when places contradict", unit="m", low=0.0, high=1e5
    )
    doubt_speed_mps: float = param(
        0.3, doc="speed, when scans contradict", unit="m/s", low=0.0, high=100.0
    )
    doubt_attitude_rad: float = param(
        0.02, doc="attitude, when stars or scans contradict", unit="rad", low=0.0, high=3.0
    )
    doubt_gyro_bias_rps: float = param(
        1e-3, doc="gyro bias, when stars contradict", unit="rad/s", low=0.0, high=1.0
    )
    doubt_accel_bias_mps2: float = param(
        0.02, doc="accelerometer bias, when scans contradict", unit="m/s2", low=0.0, high=10.0
    )
    doubt_slip_mps: float = param(
        0.5, doc="speed of slip, when wheels contradict", unit="m/s", low=0.0, high=10.0
    )
    trusted_position_m: float = param(
        25.0, doc="position spread beyond which the filter calls itself lost", unit="m", low=0.1
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


def constants(shared: DeadReckoningConfig, own: FilterConfig) -> FloatArray:
    """(CONSTANTS,) for the kernels."""
    c = np.zeros(at.CONSTANTS)
    c[at.C_GRAVITY] = shared.gravity_mps2
    c[at.C_GYRO] = shared.gyro_noise_rps_sqrt_hz
    c[at.C_ACCEL] = own.accel_noise_mps2_sqrt_hz
    c[at.C_GYRO_WALK] = shared.gyro_bias_walk_rps_sqrt_s
    c[at.C_ACCEL_WALK] = own.accel_bias_walk_mps2_sqrt_s
    c[at.C_SLIP] = own.slip_sigma
    c[at.C_SLIP_SLOPE] = own.slip_per_slope
    c[at.C_SLIP_LENGTH] = shared.slip_length_m
    c[at.C_LATERAL] = own.lateral_slip_sigma
    c[at.C_AVERAGES] = float(shared.imu_averages)
    c[at.C_MAX_GAP] = shared.max_gap_s
    c[at.C_GAP_RATE] = shared.gap_rate_rps
    c[at.C_GAP_ACCEL] = own.gap_accel_mps2
    c[at.C_LEVER : at.C_LEVER + 3] = own.imu_position_m
    c[at.C_SHUT_AFTER], c[at.C_REOPEN_AFTER] = own.shut_after, own.reopen_after
    c[at.C_LOST_AFTER] = own.lost_after
    c[at.C_STAMP_SIGMA] = shared.star_stamp_sigma_s
    c[at.C_DOUBT_P], c[at.C_DOUBT_V] = own.doubt_position_m, own.doubt_speed_mps
    c[at.C_DOUBT_Q], c[at.C_DOUBT_BG] = own.doubt_attitude_rad, own.doubt_gyro_bias_rps
    c[at.C_DOUBT_BA], c[at.C_DOUBT_SLIP] = own.doubt_accel_bias_mps2, own.doubt_slip_mps
    return c
