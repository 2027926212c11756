"""What dead reckoning takes along over an absence."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core.localization.wheel_odometry import WheelState
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class Resumption:
    """What dead reckoning needs to go on after an absence.

    Attributes:
        position_m: (3,) of base_link in odom.
        quat_wxyz: (4,) base_link in odom.
        wheels: the last joint sample, None if there was none.
        position_covariance_m2: (3, 3) of the position.
        gyro_bias_rps: (3,) base_link; None where it was not estimated.
        accel_bias_mps2: (3,) base_link; None where it was not estimated.
    """

    position_m: FloatArray
    quat_wxyz: FloatArray
    wheels: WheelState | None
    position_covariance_m2: FloatArray
    gyro_bias_rps: FloatArray | None = None
    accel_bias_mps2: FloatArray | None = None
