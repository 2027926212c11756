"""The actuator end of a rover: velocity commands in, set points of steering and wheels out.

Whatever moves the wheels (the embedded simulator, Gazebo, a motor driver) calls this each period,
so that a vehicle steers and stops alike everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.types import FloatArray, VelocityCommand

ACTUATOR_TIMEOUT_S: Final = 0.25
"""Time after the last command at which the actuators begin to stop by themselves."""

_ALIGNED_RAD = math.radians(5.0)
_ASTRAY_RAD = math.radians(30.0)
_OVERLAP_RAD = math.radians(10.0)
"""How far beyond a quarter turn a wheel stays with the way it was sent before it swings round.
Such a wheel is near the centre of the curve and hardly rolls; the swing takes seconds."""


@dataclass(frozen=True)
class DriveLimits:
    """What the drive holds to, whatever is asked.

    Attributes:
        max_speed_mps: forward and backward.
        max_yaw_rate_rps: to either side.
        max_accel_mps2: away from standstill.
        max_decel_mps2: towards standstill.
        max_yaw_accel_rps2: away from standstill.
        max_yaw_decel_rps2: towards standstill.
        max_wheel_rps: of any wheel.
    """

    max_speed_mps: float
    max_yaw_rate_rps: float
    max_accel_mps2: float
    max_decel_mps2: float
    max_yaw_accel_rps2: float
    max_yaw_decel_rps2: float
    max_wheel_rps: float


@dataclass(frozen=True)
class DriveSetPoint:
    """What steering and wheels shall do until the next period.

    Attributes:
        steer_rad: (N,) angle of each wheel, zero on fixed ones; None keeps the angles.
        wheel_rps: (N,) speed of each wheel.
    """

    steer_rad: FloatArray | None
    wheel_rps: FloatArray


class WheelDrive:
    """Turns the newest command into set points, and stops when commands stay away.

    Attributes:
        v_mps: speed that is driven now.
        w_rps: yaw rate that is driven now.
    """

    def __init__(self, kinematics: SteeringKinematics, limits: DriveLimits) -> None:
        self._kinematics, self._limits = kinematics, limits
        self.reset()

    def reset(self) -> None:
        """Stand still and forget the command."""
        self.v_mps = self.w_rps = 0.0
        self._command = (0.0, 0.0)
        self._deadline_ns: int | None = None
        self._wanted: FloatArray | None = None

    def command(self, command: VelocityCommand, now_ns: int) -> None:
        """Take a command at time ``now_ns``; it is clipped to the limits.

        Raises:
            ValueError: it is not finite.
        """
        limits = self._limits
        v = min(max(command.linear_mps, -limits.max_speed_mps), limits.max_speed_mps)
        w = min(max(command.angular_rps, -limits.max_yaw_rate_rps), limits.max_yaw_rate_rps)
        scale = self._kinematics.speed_scale(v, w, limits.max_wheel_rps)
        self._command = (scale * v, scale * w)
        self._deadline_ns = now_ns + round(ACTUATOR_TIMEOUT_S * 1e9)

    def step(self, now_ns: int, period_s: float, angles_rad: FloatArray) -> DriveSetPoint:
        """Set points for the coming period.

        The speed is reduced while wheels still point elsewhere, and is zero at 30 degrees.

        Args:
            now_ns: time of the angles.
            period_s: until the next call.
            angles_rad: (N,) angles of the wheels now, rad; zero on fixed ones.
        """
        limits = self._limits
        if self._deadline_ns is not None and now_ns + round(period_s * 1e9) > self._deadline_ns:
            self._deadline_ns, self._command = None, (0.0, 0.0)
        v, w = self._command
        wanted: FloatArray | None = None
        share = 1.0
        if v or w:
            # A wheel at the centre of the curve may point either way. It stays with the way it
            # was sent: by the angle it has on its way there, a curve that wavers turns it to and
            # fro for ever.
            before = angles_rad if self._wanted is None else self._wanted
            wanted, _ = self._kinematics.inverse(v, w, before, _OVERLAP_RAD)
            astray = float(np.max(np.abs(wanted - angles_rad), initial=0.0))
            share = (_ASTRAY_RAD - astray) / (_ASTRAY_RAD - _ALIGNED_RAD)
            share = min(max(share, 0.0), 1.0)
        self._wanted = wanted
        speed_up, slow_down = limits.max_accel_mps2, limits.max_decel_mps2
        self.v_mps = _ramp(self.v_mps, share * v, speed_up * period_s, slow_down * period_s)
        speed_up, slow_down = limits.max_yaw_accel_rps2, limits.max_yaw_decel_rps2
        self.w_rps = _ramp(self.w_rps, share * w, speed_up * period_s, slow_down * period_s)
        speeds = self._kinematics.wheel_speeds(self.v_mps, self.w_rps, angles_rad)
        return DriveSetPoint(wanted, speeds)

    def state(self) -> list[float]:
        """What the next steps depend on."""
        wanted = () if self._wanted is None else self._wanted
        return [self.v_mps, self.w_rps, *self._command, float(self._deadline_ns or -1), *wanted]


def _ramp(value: float, target: float, faster: float, slower: float) -> float:
    """Move towards the target; towards zero by ``slower``, away from it by ``faster``."""
    if value * target < 0.0:
        target = 0.0
    step = slower if abs(target) < abs(value) else faster
    return value + min(max(target - value, -step), step)
