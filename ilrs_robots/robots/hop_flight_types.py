"""What the executive of a hop says, and its parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.hop_attitude import AttitudeConfig
from ilrs_robots.core.control.hop_steering import SteeringConfig
from ilrs_robots.core.control.terminal_law import TerminalConfig
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_stay import StayConfig
from ilrs_robots.core.types import FloatArray


class FlightPhase(Enum):
    """What a hopper is doing, in the order of a hop."""

    STANDING = "standing"
    RISE = "rise"
    BOOST = "boost"
    COAST = "coast"
    BRAKE = "brake"
    CRUISE = "cruise"
    SENSE = "sense"
    DESCENT = "descent"
    SETTLE = "settle"


class HopOutcome(Enum):
    """How a goal ended."""

    LANDED = "landed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    LOST = "lost"


class HopError(IntEnum):
    """Error codes of goals that a hopper does not reach."""

    REFUSED = 9201
    LOST = 9202
    STOPPED = 9203


@dataclass(frozen=True)
class HopFlightConfig:
    """Planning, steering and the executive's own limits."""

    plan: HopPlanConfig = param(HopPlanConfig(), doc="how hops are planned")
    steering: SteeringConfig = param(SteeringConfig(), doc="how they are followed")
    attitude: AttitudeConfig = param(AttitudeConfig(), doc="how it turns")
    terminal: TerminalConfig = param(TerminalConfig(), doc="the last metres")
    map_size_m: float = param(48.0, doc="side of the landing map", unit="m", low=5.0, high=200.0)
    map_cell_m: float = param(0.2, doc="its cell", unit="m", low=0.05, high=1.0)
    judge_s: float = param(
        0.6, doc="between two looks at the map of the landing area", unit="s", low=0.1, high=10.0
    )
    look_m: float = param(
        8.0, doc="height above which it sinks no faster than it can look", unit="m",
        low=0.0, high=100.0,
    )  # fmt: skip
    divert_m: float = param(12.0, doc="farthest divert", unit="m", low=0.0, high=100.0)
    divert_share: float = param(
        0.5, doc="of the reserve's propellant that a divert may take", low=0.0, high=1.0
    )
    dispersion_m: float = param(
        0.4, doc="deviation of where a landing ends on its own map", unit="m", low=0.0, high=10.0
    )
    contact_m: float = param(
        0.007, doc="way of a leg from its free length that is a foot on the ground", unit="m",
        low=0.001, high=0.2,
    )  # fmt: skip
    contact_feet: int = param(2, doc="feet on the ground that end the thrust", low=1, high=12)
    stalled_s: float = param(
        1.0, doc="sinking that ends so long without contact is a landing not felt", unit="s",
        low=0.2, high=20.0,
    )  # fmt: skip
    stalled_mps: float = param(0.15, doc="sinking slower than this", unit="m/s", low=0.01, high=1)
    settle_s: float = param(
        15.0, doc="to come to rest after contact", unit="s", low=1.0, high=120.0
    )
    rest_s: float = param(1.0, doc="at rest for so long is landed", unit="s", low=0.1, high=30.0)
    stand_s: float = param(
        4.0, doc="standing before a launch, to level the filter", unit="s", low=0.5, high=600.0
    )
    stay: StayConfig = param(StayConfig(), doc="what a way-station must be like")
    stay_s: float = param(
        3600.0, doc="in the dark after a landing that the battery must carry", unit="s", low=0.0,
        high=1e6,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class Supplies:
    """What is left besides propellant, and what the stay after a landing takes.

    Attributes:
        battery_wh: that may be used, reserve taken off.
        load_w: of everything that runs in flight.
        dark_wh: that the stay at the goal will take, before the Sun is seen again.
        temperature_k: of the box.
        coldest_k: that it may be at launch.
        hottest_k: likewise.
    """

    battery_wh: float
    load_w: float
    dark_wh: float = 0.0
    temperature_k: float = 293.0
    coldest_k: float = 253.0
    hottest_k: float = 323.0


@dataclass
class HopStatus:
    """Where a hop stands; one object for each goal.

    Attributes:
        phase: now.
        outcome: None while it goes on.
        reason: in one sentence, where it ended otherwise than landed, or what was unusual.
        goal_m: (3,) asked for, map.
        chosen_m: (3,) landing place last chosen on its own map, (x, y, z).
        verified: whether the place was seen before the landing.
        diverts: how often another place was chosen.
        safe: what its own map says of the chosen place; None before it was judged.
        why: the landing map's word for the chosen place.
        decided_m: height over the place at which it was settled for good, NaN before.
        last_m: lowest height at which a divert would still end safely, NaN before the descent.
        left_m: way to the goal, metres, map.
        touchdown_mps: (3,) velocity at contact as it believed it.
        landed_m: (3,) where it stands as it believes.
        notes: what happened on the way.
    """

    goal_m: FloatArray
    phase: FlightPhase = FlightPhase.STANDING
    outcome: HopOutcome | None = None
    reason: str = ""
    chosen_m: FloatArray = field(default_factory=lambda: np.full(3, np.nan))
    verified: bool = False
    diverts: int = 0
    safe: bool | None = None
    why: str = ""
    decided_m: float = math.nan
    last_m: float = math.nan
    left_m: float = math.nan
    touchdown_mps: FloatArray = field(default_factory=lambda: np.full(3, np.nan))
    landed_m: FloatArray = field(default_factory=lambda: np.full(3, np.nan))
    notes: list[str] = field(default_factory=list)
