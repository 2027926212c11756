"""What a search for a chain of hops stands on: places, a departure, what it has found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.hop_stay import Stay
from ilrs_robots.core.planning.hop_types import HopProfile, HopRefusedError
from ilrs_robots.core.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class HopPlaces:
    """Candidate landing places; the start and the goal are among them.

    Attributes:
        position_m: (P, 3) base_link in map, m.
        open: (P,) whether the vehicle may land there at all: slope, hazards, keep-outs.
        stop: (P,) whether it may wait there for its next hop at any time; the planner's
            ``StayModel`` says when. The start and the goal need not be such places.
        haven: (P,) where a way back may end.
    """

    position_m: FloatArray
    open: BoolArray
    stop: BoolArray
    haven: BoolArray

    def __post_init__(self) -> None:
        """Check shapes.

        Raises:
            PlanningError: with the shapes.
        """
        count = len(self.position_m)
        shapes = [self.position_m.shape, self.open.shape, self.stop.shape, self.haven.shape]
        if shapes != [(count, 3), (count,), (count,), (count,)]:
            raise PlanningError(f"hop places {shapes}: must be (P, 3) and three of (P,)")


@dataclass(frozen=True)
class Departure:
    """When a chain begins, and with what besides propellant.

    Attributes:
        time_s: site time of the first launch.
        battery_wh: that may be used; None for a full battery.
        goal_stay_s: standing at the goal before the way back.
    """

    time_s: float = 0.0
    battery_wh: float | None = None
    goal_stay_s: float = 3600.0


@dataclass
class HopWay:
    """What a search found: the mass at each place, and the hop that led there.

    Time and battery are those on landing; ``leaves`` is when and with what it goes on.
    """

    mass_kg: FloatArray
    before: IntArray
    hop: dict[int, HopProfile] = field(default_factory=dict)
    lands: dict[int, tuple[float, float]] = field(default_factory=dict)
    leaves: dict[int, tuple[float, float]] = field(default_factory=dict)
    stay: dict[int, Stay] = field(default_factory=dict)
    refused: HopRefusedError | None = None
    left_out: list[Stay] = field(default_factory=list)

    def why(self) -> tuple[str, str]:
        """Code and end of a sentence on what stood in the way; places that it may not stand at."""
        said = "" if self.refused is None else f": {self.refused}"
        if not self.left_out:
            return "no_place" if self.refused is None else self.refused.reason, said
        count, first = len(self.left_out), self.left_out[0]
        which = "a way-station is" if count == 1 else f"{count} way-stations are"
        return first.code, f"{said}; {which} left out, the nearest for {first.why}"

    def hops(self, place: int) -> list[HopProfile]:
        """Hops from the search's start to a place."""
        found: list[HopProfile] = []
        while self.before[place] >= 0:
            found.append(self.hop[place])
            place = int(self.before[place])
        return found[::-1]

    def places(self, place: int) -> list[int]:
        """Places from the search's start to a place."""
        found = [place]
        while self.before[found[-1]] >= 0:
            found.append(int(self.before[found[-1]]))
        return found[::-1]
