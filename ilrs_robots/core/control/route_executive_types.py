"""What passes between a route's executive, its planner and its vehicle."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.planning.route_ground import KeepOut

DRIVE = "drive"
"""Kind of a leg that moves."""


@dataclass(frozen=True)
class ExecutiveConfig:
    """Margins between plan and world, and how a route is cut into goals."""

    late_s: float = param(1800.0, doc="behind the plan: plan anew", unit="s", low=10.0, high=1e6)
    charge: float = param(
        0.05, doc="share of the battery below the plan: plan anew", low=0.001, high=1.0
    )
    light: float = param(0.3, doc="share of the Sun below the plan: plan anew", low=0.01, high=1.0)
    dark_s: float = param(600.0, doc="how long it must be as dark", unit="s", low=0.0, high=1e5)
    least_s: float = param(
        600.0, doc="least time between two plans that margins ask for", unit="s", low=0.0,
        high=1e5,
    )  # fmt: skip
    hop_m: float = param(
        120.0, doc="way between two goals on a drive", unit="m", low=5.0, high=1000.0
    )
    closed_m: float = param(
        20.0, doc="radius of what is kept out of where no way was found", unit="m", low=1.0,
        high=1000.0,
    )  # fmt: skip
    most_closed: int = param(
        8, doc="such places on the way to one goal before it is given up", low=0, high=1000
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class RouteRequest:
    """What is asked of whoever plans.

    Attributes:
        start_m: x and y in map.
        goal_m: likewise.
        depart_s: mission time.
        energy_wh: in the battery.
        keep_outs: ground that turned out to be closed.
        pace: speed made good so far over the planned one, at most 1; the next plan counts on it.
        why: what made it necessary, a phrase; empty for the first.
        blocked: the route in force cannot be driven on.
    """

    start_m: tuple[float, float]
    goal_m: tuple[float, float]
    depart_s: float
    energy_wh: float
    keep_outs: tuple[KeepOut, ...] = ()
    pace: float = 1.0
    why: str = ""
    blocked: bool = False


class RouteState(StrEnum):
    """What the executive is doing."""

    PLANNING = "planning"
    DRIVING = "driving"
    STANDING = "standing"
    REACHED = "reached"
    FAILED = "failed"


@dataclass(frozen=True)
class Directive:
    """What the vehicle shall do now.

    Attributes:
        state: see RouteState.
        goal_m: x and y in map to drive to; None while it stands.
        yaw_rad: heading there or while standing, in map, or None for any.
        until_s: mission time until which it stands, or None.
        sentence: for people.
        through: the drive goes on behind the goal: it may be passed without stopping.
    """

    state: RouteState
    goal_m: tuple[float, float] | None = None
    yaw_rad: float | None = None
    until_s: float | None = None
    sentence: str = ""
    through: bool = False
