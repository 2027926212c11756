"""Attitude of a vehicle that stands on its thrust: where to point, and the torque to get there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.localization.error_state import (
    quat_inverse_product,
    quat_log,
)
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class AttitudeConfig:
    """How fast a vehicle turns in flight."""

    powered_rps: float = param(
        5.0, doc="bandwidth while main engines turn it", unit="rad/s", low=0.1, high=20.0
    )
    free_rps: float = param(
        0.8, doc="bandwidth on attitude thrusters alone", unit="rad/s", low=0.05, high=20.0
    )
    powered_rps2: float = param(
        0.7, doc="that main engines turn it by at hover", unit="rad/s2", low=0.01, high=50.0
    )
    free_rps2: float = param(
        0.12, doc="that attitude thrusters turn it by", unit="rad/s2", low=0.001, high=50.0
    )
    damping: float = param(0.9, doc="of the critical", low=0.1, high=3.0)
    max_rate_rps: float = param(0.9, doc="largest rate", unit="rad/s", low=0.01, high=5.0)
    max_tilt_rad: float = param(
        1.0, doc="of the thrust from upwards", unit="rad", low=0.05, high=3.2
    )
    rest_rad: float = param(
        0.01,
        doc="an error left alone without main engines",
        unit="rad",
        low=0.0,
        high=0.5,
    )
    rest_rps: float = param(
        0.006, doc="a rate left alone without main engines", unit="rad/s", low=0.0, high=0.5
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


def pointing(up: FloatArray, yaw_rad: float) -> FloatArray:
    """(4,) attitude whose z axis is a direction and whose x axis looks towards a yaw.

    Args:
        up: (3,) wanted direction of the thrust, unit vector, any length but zero.
        yaw_rad: towards which x points as far as it can.
    """
    z = up / math.sqrt(float(up @ up))
    ahead = np.array([math.cos(yaw_rad), math.sin(yaw_rad), 0.0])
    y = np.array([z[1] * ahead[2] - z[2] * ahead[1], z[2] * ahead[0] - z[0] * ahead[2],
                  z[0] * ahead[1] - z[1] * ahead[0]])  # fmt: skip
    norm = math.sqrt(float(y @ y))
    if norm < 1e-6:  # the thrust points along the heading: any roll will do
        y, norm = np.array([-ahead[1], ahead[0], 0.0]), 1.0
    y = y / norm
    x = np.array([y[1] * z[2] - y[2] * z[1], y[2] * z[0] - y[0] * z[2],
                  y[0] * z[1] - y[1] * z[0]])  # fmt: skip
    w2 = 1.0 + x[0] + y[1] + z[2]
    if w2 > 0.1:
        s = 2.0 * math.sqrt(w2)
        quat = np.array([0.25 * s, (y[2] - z[1]) / s, (z[0] - x[2]) / s, (x[1] - y[0]) / s])
    else:
        quat = _from_columns(x, y, z)
    return quat / math.sqrt(float(quat @ quat))


def _from_columns(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """Quaternion wxyz of a rotation by more than a right angle, by its largest part."""
    k = int(np.argmax((x[0], y[1], z[2])))
    if k == 0:
        return np.array([y[2] - z[1], 1.0 + x[0] - y[1] - z[2], y[0] + x[1], z[0] + x[2]])
    if k == 1:
        return np.array([z[0] - x[2], y[0] + x[1], 1.0 - x[0] + y[1] - z[2], z[1] + y[2]])
    return np.array([x[1] - y[0], z[0] + x[2], z[1] + y[2], 1.0 - x[0] - y[1] + z[2]])


def within_tilt(up: FloatArray, max_tilt_rad: float) -> FloatArray:
    """The direction itself, or the nearest one that leans no further than the limit.

    Args:
        up: (3,) direction in any unit and of any length; straight up where it is zero.
        max_tilt_rad: from the vertical.
    """
    size = math.sqrt(float(up @ up))
    if size < 1e-9:
        return np.array([0.0, 0.0, 1.0])
    side = math.hypot(up[0], up[1])
    if math.atan2(side, up[2]) <= max_tilt_rad or side < 1e-12:
        return up / size
    lean = math.sin(max_tilt_rad) / side
    return np.array([lean * up[0], lean * up[1], math.cos(max_tilt_rad)])


class AttitudeControl:
    """Quaternion feedback with a limited rate.

    The error is turned into a rate at which to close it, never beyond the largest and never so
    fast that it could not be stopped in what is left of the error; the torque
    makes the vehicle turn at that rate. On pulsed thrusters small errors are left alone, or they
    would be chased to and fro for nothing.

    Reference: Wie 2008, Space Vehicle Dynamics and Control, 7.3 (eigenaxis with slew limit).

    Args:
        cfg: bandwidths and limits.
    """

    def __init__(self, cfg: AttitudeConfig) -> None:
        self._cfg = cfg

    def torque_nm(
        self, quat_wxyz: FloatArray, rate_rps: FloatArray, wanted_wxyz: FloatArray,
        inertia_kgm2: FloatArray, powered: bool,
    ) -> FloatArray:  # fmt: skip
        """(3,) torque in base_link.

        Args:
            quat_wxyz: (4,) attitude of base_link.
            rate_rps: (3,) its rate, base_link.
            wanted_wxyz: (4,) wanted attitude, same axes.
            inertia_kgm2: (3,) moments about base_link's axes; unit kg m2.
            powered: whether the main engines burn.
        """
        cfg = self._cfg
        error = quat_log(quat_inverse_product(quat_wxyz, wanted_wxyz))
        rest = not powered
        if rest and np.abs(error).max() < cfg.rest_rad and np.abs(rate_rps).max() < cfg.rest_rps:
            return np.zeros(3)
        natural = cfg.powered_rps if powered else cfg.free_rps
        gain = 2.0 * cfg.damping * natural
        slow = cfg.powered_rps2 if powered else cfg.free_rps2
        size = math.sqrt(float(error @ error))
        closing = (natural / (2.0 * cfg.damping)) * error
        # no faster than it can be stopped again in the angle that is left
        most = min(cfg.max_rate_rps, math.sqrt(2.0 * slow * size))
        fastest = math.sqrt(float(closing @ closing))
        if fastest > most:
            closing = closing * (most / fastest)
        spin = inertia_kgm2 * rate_rps
        gyro = np.array([
            rate_rps[1] * spin[2] - rate_rps[2] * spin[1],
            rate_rps[2] * spin[0] - rate_rps[0] * spin[2],
            rate_rps[0] * spin[1] - rate_rps[1] * spin[0],
        ])  # fmt: skip
        torque: FloatArray = inertia_kgm2 * gain * (closing - rate_rps) + gyro
        return torque
