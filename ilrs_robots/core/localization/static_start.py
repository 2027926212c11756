"""What standing still for a while shows: tilt, gyro bias, and the part of the accelerometer's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.geometry.se3 import quat_from_rpy
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import skew
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.types import FloatArray

LONGEST_SHAKE_RPS = 0.02
"""Spread of the rates beyond which a vehicle does not stand."""


class NotStandingError(IlrsError):
    """The samples are not of a vehicle that stands."""


@dataclass(frozen=True)
class StaticStart:
    """What a filter can begin with.

    Attributes:
        quat_wxyz: (4,) base_link in odom; its yaw was given.
        gyro_bias_rps: (3,) base_link; the Moon's own turn, 2.7e-6 rad/s, is part of it.
        accel_bias_mps2: (3,) base_link, along the force alone.
        covariance: (15, 15) as in ``FilterState``: a tilt that the accelerometer's bias makes
            belongs to that bias, so that learning one corrects the other.
    """

    quat_wxyz: FloatArray
    gyro_bias_rps: FloatArray
    accel_bias_mps2: FloatArray
    covariance: FloatArray


def static_start(
    rates_rps: FloatArray,
    forces_mps2: FloatArray,
    yaw_rad: float,
    yaw_sigma_rad: float,
    period_s: float,
    shared: DeadReckoningConfig,
    own: FilterConfig,
) -> StaticStart:
    """Average over samples of a standing vehicle.

    Args:
        rates_rps: (N, 3) base_link.
        forces_mps2: (N, 3) base_link.
        yaw_rad: heading, from elsewhere.
        yaw_sigma_rad: its standard deviation.
        period_s: time between samples.
        shared: gravity and gyro.
        own: accelerometer.

    Raises:
        NotStandingError: rates scatter, or the force is not that of gravity.

    Reference: Groves 2013, Principles of GNSS, inertial and multisensor integrated navigation,
        section 5.6.2 (levelling).
    """
    if len(rates_rps) < 2 or not np.isfinite(np.hstack((rates_rps, forces_mps2))).all():
        raise NotStandingError(f"{len(rates_rps)} samples: at least 2 that are finite are needed")
    shake = float(np.std(rates_rps, axis=0).max())
    force = np.mean(forces_mps2, axis=0)
    size, g = float(np.linalg.norm(force)), shared.gravity_mps2
    if shake > LONGEST_SHAKE_RPS or abs(size / g - 1.0) > shared.gravity_tolerance:
        raise NotStandingError(
            f"rates scatter by {shake:.4f} rad/s (limit {LONGEST_SHAKE_RPS}), force {size:.4f} "
            f"m/s2 (gravity {g}, tolerance {shared.gravity_tolerance:.0%})"
        )
    up = force / size
    roll, pitch = np.arctan2(up[1], up[2]), np.arctan2(-up[0], np.hypot(up[1], up[2]))
    time_s = len(rates_rps) * period_s
    spread = np.zeros((15, 15))
    bias = own.accel_bias_sigma_mps2**2 * np.eye(3)
    known = own.accel_noise_mps2_sqrt_hz**2 / time_s
    bias -= (own.accel_bias_sigma_mps2**2 - min(known, own.accel_bias_sigma_mps2**2)) * np.outer(
        up, up
    )
    lean = skew(up) / g  # a bias b makes the tilt err by up x b / g
    spread[12:15, 12:15] = bias
    spread[6:9, 12:15] = lean @ bias
    spread[12:15, 6:9] = spread[6:9, 12:15].T
    spread[6:9, 6:9] = lean @ bias @ lean.T + known / g**2 * (np.eye(3) - np.outer(up, up))
    spread[6:9, 6:9] += yaw_sigma_rad**2 * np.outer(up, up)
    gyro = shared.gyro_noise_rps_sqrt_hz**2 / time_s
    spread[9:12, 9:12] = (gyro + 1e-16) * np.eye(3)
    spread[3:6, 3:6] = own.standing_speed_sigma_mps**2 * np.eye(3)
    return StaticStart(
        quat_from_rpy(float(roll), float(pitch), yaw_rad),
        np.mean(rates_rps, axis=0),
        (size - g) * up,
        spread,
    )
