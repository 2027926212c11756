"""What hop planning takes and gives: the vehicle in flight, burns, profiles, refusals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_GRAVITY_MPS2, STANDARD_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.planning.hop_stay import Stay
from ilrs_robots.core.types import FloatArray


@dataclass(frozen=True)
class HopVehicle:
    """What flies: masses and main engines. Attitude thrusters are not counted."""

    dry_kg: float = param(doc="mass without propellant", unit="kg", low=0.1, high=1e6)
    isp_s: float = param(doc="specific impulse", unit="s", low=10.0, high=1000.0)
    max_thrust_n: float = param(doc="of all main engines", unit="N", low=0.1, high=1e7)
    min_thrust_n: float = param(
        0.0, doc="least mean thrust, 0 for pulsed or restartable", unit="N", low=0.0, high=1e7
    )
    max_tilt_rad: float = param(
        1.05, doc="between thrust and upwards near the ground", unit="rad", low=0.05, high=1.5
    )
    gravity_mps2: float = param(
        MOON_GRAVITY_MPS2, doc="at the surface", unit="m/s2", low=0.01, high=30.0
    )

    def __post_init__(self) -> None:
        """Check ranges and that the bounds of thrust are in order.

        Raises:
            ConfigError: with value, limit and unit.
        """
        config.check(self)
        if self.min_thrust_n >= self.max_thrust_n:
            raise ConfigError(
                f"min_thrust_n = {self.min_thrust_n} N: must be below max_thrust_n = "
                f"{self.max_thrust_n} N"
            )

    @property
    def exhaust_mps(self) -> float:
        """Effective exhaust velocity."""
        return self.isp_s * STANDARD_GRAVITY_MPS2

    def propellant_kg(self, mass_kg: float, delta_v_mps: float) -> float:
        """Propellant that a change of speed takes (Tsiolkovsky's equation)."""
        return -mass_kg * math.expm1(-delta_v_mps / self.exhaust_mps)

    def delta_v_mps(self, mass_kg: float) -> float:
        """Change of speed that all propellant of a vehicle of that mass gives."""
        return self.exhaust_mps * math.log(max(mass_kg / self.dry_kg, 1.0))


class HopKind(Enum):
    """How a hop is flown."""

    BALLISTIC = "ballistic"
    HOVER = "hover"


class HopPart(Enum):
    """Parts of a hop in their order; a kind leaves out what it does not need."""

    RISE = "rise"
    BOOST = "boost"
    COAST = "coast"
    BRAKE = "brake"
    CRUISE = "cruise"
    SENSE = "sense"
    DESCENT = "descent"


@dataclass(frozen=True)
class HopPhase:
    """One part of a hop.

    Attributes:
        part: which.
        start_s: after the engines start.
        end_s: likewise.
        delta_v_mps: what the main engines give in it.
        direction: (3,) unit vector of thrust, map; upwards where it is not constant.
        thrust_n: constant thrust, NaN where it varies.
    """

    part: HopPart
    start_s: float
    end_s: float
    delta_v_mps: float
    direction: FloatArray
    thrust_n: float


@dataclass(frozen=True)
class HopProfile:
    """A planned hop, base_link in map; times in seconds after the engines start.

    Attributes:
        kind: ballistic or hover-hop.
        start_m: (3,) where it stands, metres.
        goal_m: (3,) where it lands, metres.
        mass_kg: at the start.
        propellant_kg: burnt.
        delta_v_mps: given by the main engines.
        impulsive_mps: what impulses alone would take between the same ends, without sensing.
        phases: in order, without gaps.
        time_s: (N,) of the samples.
        position_m: (N, 3) metres.
        velocity_mps: (N, 3).
        launch_mps: (3,) velocity when the boost ends.
        gate_m: (3,) where sensing begins.
        gate_mps: (3,) velocity there.
        apex_m: highest z.
        clearance_m: least height over the ground with all margins taken off; NaN without ground.
    """

    kind: HopKind
    start_m: FloatArray
    goal_m: FloatArray
    mass_kg: float
    propellant_kg: float
    delta_v_mps: float
    impulsive_mps: float
    phases: tuple[HopPhase, ...]
    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    launch_mps: FloatArray
    gate_m: FloatArray
    gate_mps: FloatArray
    apex_m: float
    clearance_m: float = math.nan

    @property
    def duration_s(self) -> float:
        """From the start of the engines to touchdown."""
        return self.phases[-1].end_s

    def phase(self, part: HopPart) -> HopPhase | None:
        """The phase of that part, or None where this kind of hop has none."""
        return next((p for p in self.phases if p.part is part), None)

    def state_at(self, time_s: float) -> tuple[FloatArray, FloatArray]:
        """Position (3,) m and velocity (3,) m/s, cubic between samples, held at both ends."""
        now = min(max(time_s, self.time_s[0]), self.time_s[-1])
        k = min(max(int(np.searchsorted(self.time_s, now)) - 1, 0), len(self.time_s) - 2)
        step = self.time_s[k + 1] - self.time_s[k]
        u = (now - self.time_s[k]) / step
        p0, p1 = self.position_m[k], self.position_m[k + 1]
        v0, v1 = self.velocity_mps[k] * step, self.velocity_mps[k + 1] * step
        a, b = 2.0 * (p0 - p1) + v0 + v1, 3.0 * (p1 - p0) - 2.0 * v0 - v1
        position = p0 + u * (v0 + u * (b + u * a))
        return position, (v0 + u * (2.0 * b + 3.0 * u * a)) / step


class HopRefusedError(PlanningError):
    """A hop or a chain of hops is not flown; the message says why, with the numbers.

    Attributes:
        reason: ``propellant``, ``reserve``, ``clearance``, ``unknown_ground``, ``thrust``,
            ``no_place``, ``out_of_reach``, ``steep``, ``keep_out``, ``dark``, ``no_link`` or
            ``busy``.
        needed_kg: propellant needed, NaN where that is not the reason.
        held_kg: propellant on board, NaN likewise.
        hop: number of the hop in a chain, from 1; 0 outside of a chain.
    """

    def __init__(
        self, reason: str, message: str, needed_kg: float = math.nan,
        held_kg: float = math.nan, hop: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.reason = reason
        self.needed_kg = needed_kg
        self.held_kg = held_kg
        self.hop = hop


@dataclass(frozen=True)
class HopStop:
    """A place of a chain where the vehicle stands.

    Attributes:
        place: number among the candidates.
        position_m: (3,) map, metres.
        mass_kg: after landing there.
    """

    place: int
    position_m: FloatArray
    mass_kg: float


@dataclass(frozen=True)
class HopChain:
    """Hops from the start to the goal, with what they leave.

    Attributes:
        stops: the start and every landing.
        hops: one less than stops.
        propellant_kg: burnt to the goal.
        left_kg: propellant after the last landing.
        back: hops back to a haven, empty for a one-way plan.
        back_kg: propellant of those.
        reserve_kg: kept besides.
        stays: light, battery and links at each way-station and at the goal, where they are
            counted.
    """

    stops: tuple[HopStop, ...]
    hops: tuple[HopProfile, ...]
    propellant_kg: float
    left_kg: float
    back: tuple[HopProfile, ...] = field(default=())
    back_kg: float = 0.0
    reserve_kg: float = 0.0
    stays: tuple[Stay, ...] = field(default=())
