"""Parameters of the sampling controller and what it knows of the vehicle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class MppiConfig:
    """How many motions are tried, how far, and what is held against them.

    Weights count per second of the horizon, so that they do not depend on its division.
    """

    rollouts: int = param(600, doc="motions tried per cycle", low=16, high=20_000)
    steps: int = param(40, doc="steps of the horizon", low=5, high=500)
    step_s: float = param(0.1, doc="length of a step", unit="s", low=0.01, high=1.0)
    knots: int = param(8, doc="independent values of the noise along the horizon", low=2, high=100)
    speed_sigma: float = param(
        0.2, doc="noise of the speed, share of the largest", low=0.0, high=1
    )
    curvature_sigma_rpm: float = param(
        0.2, doc="noise of the curvature", unit="rad/m", low=0.001, high=10.0
    )
    max_curvature_rpm: float = param(
        1.0, doc="tightest arc; tighter turns are made in place", unit="rad/m", low=0.01, high=10
    )
    temperature: float = param(0.3, doc="how much worse motions still count", low=1e-4, high=1e4)
    seed: int = param(7, doc="of the noise", low=0)
    w_lateral: float = param(2.0, doc="per square metre beside the path", low=0.0, high=1e4)
    w_heading: float = param(0.3, doc="against the path's direction", low=0.0, high=1e4)
    w_speed: float = param(4.0, doc="per squared share of speed short of the wanted", low=0.0)
    w_fast: float = param(40.0, doc="per squared share of speed above the wanted", low=0.0)
    w_ground: float = param(0.5, doc="of the ground's cost c / (1 - c)", low=0.0, high=1e4)
    w_near: float = param(2.0, doc="of closed ground at hand", low=0.0, high=1e4)
    near_m: float = param(
        0.25, doc="distance over which that falls by e", unit="m", low=0.01, high=10.0
    )
    w_attitude: float = param(1.0, doc="of roll and pitch at their limits", low=0.0, high=1e4)
    w_effort: float = param(0.02, doc="of changing speed and curvature", low=0.0, high=1e4)
    w_end: float = param(1.0, doc="per metre that the path is not gained", low=0.0, high=1e4)
    tilt_margin_rad: float = param(
        0.05, doc="kept from the limits of roll and pitch", unit="rad", low=0.0, high=0.5
    )
    belly_margin_m: float = param(0.03, doc="kept under the body", unit="m", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)
        if self.knots > self.steps:
            raise ConfigError(f"knots = {self.knots}: must not be above steps = {self.steps}")


@dataclass(frozen=True)
class DrivingLimits:
    """What a vehicle can do and must not, for predicting and judging its motion."""

    max_speed_mps: float = param(0.6, doc="forward speed", unit="m/s", low=0.01, high=20.0)
    max_yaw_rate_rps: float = param(0.3, doc="yaw rate", unit="rad/s", low=0.01, high=5.0)
    max_accel_mps2: float = param(0.3, doc="speeding up", unit="m/s2", low=0.01, high=10.0)
    max_decel_mps2: float = param(0.25, doc="slowing down", unit="m/s2", low=0.01, high=10.0)
    max_roll_rad: float = param(0.45, doc="roll", unit="rad", low=0.01, high=1.5)
    max_pitch_rad: float = param(0.45, doc="pitch", unit="rad", low=0.01, high=1.5)
    slip_per_slope: float = param(0.4, doc="slip ratio per sine of the slope", low=0.0, high=5.0)
    steer_rate_rps: float = param(
        0.5, doc="at which wheels are turned", unit="rad/s", low=0.01, high=10.0
    )
    steer_arm_m: float = param(
        1.0, doc="steered wheels from the axle line", unit="m", low=0.01, high=20.0
    )
    friction: float = param(0.75, doc="of a wheel on the ground", low=0.05, high=3.0)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class MppiTable(NamedTuple):
    """Configuration and limits as the kernel takes them."""

    step_s: float
    max_v: float
    max_w: float
    max_k: float
    accel: float
    decel: float
    k_rate: float
    """Largest change of curvature, rad/m/s: the wheels have to be turned."""
    steer_arm: float
    slip: float
    tan_roll: float
    tan_pitch: float
    belly_margin: float
    near: float
    w_lateral: float
    w_heading: float
    w_speed: float
    w_fast: float
    w_ground: float
    w_near: float
    w_attitude: float
    w_effort: float
    w_end: float
