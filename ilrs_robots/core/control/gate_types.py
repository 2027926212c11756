"""Parameters of the command gate, and what it decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.ground_guard import GuardConfig

SOURCES: Final = ("teleop", "nav")
"""Sources in order of precedence."""


@dataclass(frozen=True)
class GateConfig:
    """Limits of the command gate. Ages are counted in the time of the stamps."""

    max_speed_mps: float = param(0.7, doc="forward speed", unit="m/s", low=0.0, high=20.0)
    max_reverse_mps: float = param(0.4, doc="backward speed", unit="m/s", low=0.0, high=20.0)
    max_yaw_rate_rps: float = param(0.35, doc="yaw rate", unit="rad/s", low=0.0, high=5.0)
    max_accel_mps2: float = param(0.3, doc="speeding up", unit="m/s2", low=0.01, high=10.0)
    max_decel_mps2: float = param(
        0.8,
        doc="slowing down that is safe from tipping and sliding",
        unit="m/s2",
        low=0.01,
        high=10.0,
    )
    max_yaw_accel_rps2: float = param(
        0.5, doc="yaw rate growing", unit="rad/s2", low=0.01, high=10.0
    )
    max_yaw_decel_rps2: float = param(
        1.0, doc="yaw rate falling", unit="rad/s2", low=0.01, high=10.0
    )
    max_lateral_mps2: float = param(
        0.3, doc="speed by yaw rate: what leans a vehicle outwards in a curve", unit="m/s2",
        low=0.01, high=10.0,
    )  # fmt: skip
    max_map_age_s: float = param(1.5, doc="age of the terrain map", unit="s", low=0.0, high=60.0)
    max_pose_age_s: float = param(0.5, doc="age of the pose", unit="s", low=0.0, high=60.0)
    max_nav_age_s: float = param(0.3, doc="age of a nav command", unit="s", low=0.0, high=60.0)
    max_teleop_age_s: float = param(
        0.5, doc="age of a teleop command", unit="s", low=0.0, high=60.0
    )
    future_tolerance_s: float = param(
        0.1, doc="how far a stamp may lie ahead of now", unit="s", low=0.0, high=10.0
    )
    back_tolerance_s: float = param(
        0.05, doc="how far the clock may go back without a stop", unit="s", low=0.0, high=1.0
    )
    max_step_s: float = param(
        0.2, doc="longest time over which one output may ramp", unit="s", low=0.001, high=2.0
    )
    teleop_needs_map: bool = param(True, doc="whether teleop stops on a stale map as well")
    assist: bool = param(
        False, doc="teleop is bent to the closest safe command instead of only slowed down"
    )
    min_charge_nav: float = param(
        0.15, doc="charge below which the vehicle drives for an operator only", low=0.0, high=1.0
    )
    min_charge_teleop: float = param(
        0.05, doc="charge below which nobody drives: the rest keeps it warm", low=0.0, high=1.0
    )
    max_battery_age_s: float = param(
        30.0,
        doc="age of the charge, once one was heard, at which nav stops",
        unit="s",
        low=0.1,
        high=3600.0,
    )
    link_loss: str = param(
        "continue", doc="what becomes of a drive when nobody can be reached",
        choices=("continue", "stop"),
    )  # fmt: skip
    max_link_loss_s: float = param(
        60.0, doc="how long a lost link is borne before that", unit="s", low=0.0, high=1e6
    )
    guard: GuardConfig = param(GuardConfig(), doc="commands against the terrain map")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class GateDecision:
    """What goes to the wheels.

    Attributes:
        linear_mps: forward speed.
        angular_rps: yaw rate.
        reason: empty when a source is passed on, otherwise one short sentence.
        source: the source passed on, empty when none is.
        kind: ``ground``, ``vehicle``, ``power`` or ``link`` where that is what stops the vehicle.
        limited: what slows it down or bends its way, empty when nothing does.
    """

    linear_mps: float
    angular_rps: float
    reason: str
    source: str = ""
    kind: str = ""
    limited: str = ""
