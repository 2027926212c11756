"""A chain of hops over candidate landing places, with what it takes to come back.

Dijkstra's search with propellant as the cost. Hops are planned exactly, but only those that the
search would take: until then a hop counts with the least impulses that any hop between its ends
needs. A vehicle with more propellant left can do whatever one with less can, so the cheapest way
to a place is enough.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_profile import impulsive_mps, plan_hop
from ilrs_robots.core.planning.hop_types import (
    HopChain,
    HopProfile,
    HopRefusedError,
    HopStop,
    HopVehicle,
)
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class HopPlaces:
    """Candidate landing places; the start and the goal are among them.

    Attributes:
        position_m: (P, 3) base_link in map, m.
        open: (P,) whether the vehicle may land there at all: slope, hazards, keep-outs.
        stop: (P,) whether it may wait there for its next hop: light, link. The start and the goal
            need not be such places.
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
class _Way:
    """What a search found: the mass at each place, and the hop that led there."""

    mass_kg: FloatArray
    before: IntArray
    hop: dict[int, HopProfile]
    refused: HopRefusedError | None

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


class HopChainPlanner:
    """Plans chains over fixed places and ground; what the ground refuses is not tried again."""

    def __init__(
        self, places: HopPlaces, vehicle: HopVehicle, tank_kg: float,
        settings: HopPlanConfig | None = None, dem: Dem | None = None,
    ) -> None:  # fmt: skip
        """Take what does not change.

        Args:
            places: candidates.
            vehicle: what flies.
            tank_kg: propellant of a full tank, of which the reserve is a share.
            settings: margins and reserve.
            dem: ground to keep clear of.
        """
        self.places, self.vehicle, self.dem = places, vehicle, dem
        self.settings = settings or HopPlanConfig()
        self.reserve_kg = self.settings.reserve_share * tank_kg
        self._closed: dict[tuple[int, int], HopRefusedError] = {}

    def plan(
        self, start: int, goal: int, propellant_kg: float, *, one_way: bool = False
    ) -> HopChain:
        """The chain to a goal that leaves most propellant, and a way back from there.

        Args:
            start: number of the place where it stands.
            goal: number of the place to reach.
            propellant_kg: on board.
            one_way: whether the plan is declared to need no way back; the reserve is kept anyway.

        Raises:
            HopRefusedError: ``no_place``, ``clearance``, ``propellant`` or ``reserve`` with the
                propellant needed and held, and the number of the hop.
        """
        for name, place in (("start", start), ("goal", goal)):
            if not 0 <= place < len(self.places.open):
                raise HopRefusedError("no_place", f"{name} {place}: no such place")
        if not self.places.open[goal]:
            x, y, _ = self.places.position_m[goal]
            raise HopRefusedError("no_place", f"goal at x {x:.0f} m, y {y:.0f} m: closed ground")
        mass = self.vehicle.dry_kg + propellant_kg
        out = self._search(start, mass, {goal})
        if not math.isfinite(out.mass_kg[goal]):
            raise self._why(out, start, goal, propellant_kg)
        stops = tuple(
            HopStop(p, self.places.position_m[p], float(out.mass_kg[p])) for p in out.places(goal)
        )
        hops = tuple(out.hops(goal))
        left = float(out.mass_kg[goal]) - self.vehicle.dry_kg
        back = () if one_way else self._back(goal, float(out.mass_kg[goal]), len(hops))
        back_kg = self._spent(back)
        if left - back_kg < self.reserve_kg:
            needed = propellant_kg - left + back_kg + self.reserve_kg
            way = "" if one_way else f", {back_kg:.2f} kg for the way back"
            raise HopRefusedError(
                "reserve",
                f"{len(hops)} hops take {propellant_kg - left:.2f} kg{way} and "
                f"{self.reserve_kg:.2f} kg are kept: {needed:.2f} kg needed, "
                f"{propellant_kg:.2f} kg held",
                needed, propellant_kg, len(hops) + len(back),
            )  # fmt: skip
        return HopChain(stops, hops, propellant_kg - left, left, back, back_kg, self.reserve_kg)

    def _spent(self, hops: tuple[HopProfile, ...]) -> float:
        return float(sum(self._burnt(hop) for hop in hops))

    def _burnt(self, hop: HopProfile) -> float:
        """Propellant of a hop with its share for errors and diverts."""
        return (1.0 + self.settings.dispersion_share) * hop.propellant_kg

    def _back(self, goal: int, mass: float, done: int) -> tuple[HopProfile, ...]:
        havens = {int(p) for p in np.flatnonzero(self.places.haven & self.places.open)}
        if goal in havens:
            return ()
        way = self._search(goal, mass, havens)
        reached = [p for p in havens if math.isfinite(way.mass_kg[p])]
        if not reached:
            # What would it take? The same search with a tank that never empties.
            free = self._search(goal, mass, havens, unlimited=True)
            ends = [p for p in havens if math.isfinite(free.mass_kg[p])]
            held = mass - self.vehicle.dry_kg
            if not ends:
                refused = free.refused
                raise HopRefusedError(
                    "no_place" if refused is None else refused.reason,
                    "no way back from the goal to any haven"
                    + ("" if refused is None else f": {refused}"),
                    held_kg=held, hop=done + 1,
                )  # fmt: skip
            needed = mass - max(float(free.mass_kg[p]) for p in ends)
            raise HopRefusedError(
                "reserve",
                f"the way back after hop {done} needs {needed:.2f} kg, {held:.2f} kg are left",
                needed, held, done + 1,
            )  # fmt: skip
        best = max(reached, key=lambda p: float(way.mass_kg[p]))
        return tuple(way.hops(best))

    def _search(
        self, start: int, mass_kg: float, goals: set[int], unlimited: bool = False
    ) -> _Way:
        """Most mass at places, until the first goal is settled."""
        places, count = self.places, len(self.places.open)
        found = _Way(np.full(count, -np.inf), np.full(count, -1), {}, None)
        mass, refused = found.mass_kg, None
        mass[start] = mass_kg
        empty = 1.0 if unlimited else self.vehicle.dry_kg
        done = np.zeros(count, dtype=np.bool_)
        queue: list[tuple[float, int, int, HopProfile | None]] = [(-mass_kg, start, -1, None)]
        while queue:
            key, place, origin, hop = heapq.heappop(queue)
            if done[place]:
                continue
            if origin >= 0 and hop is None:
                try:
                    hop = self._hop(origin, place, float(mass[origin]), unlimited)
                except HopRefusedError as refusal:
                    refused = refused or refusal
                    continue
                left = float(mass[origin]) - self._burnt(hop)
                if left >= empty:
                    heapq.heappush(queue, (-left, place, origin, hop))
                continue
            done[place], mass[place] = True, -key
            if hop is not None:
                found.before[place], found.hop[place] = origin, hop
            if place in goals and place != start:
                break
            if place != start and not places.stop[place]:
                continue
            self._push(queue, place, -key, done, empty)
        mass[~done] = -np.inf
        return _Way(mass, found.before, found.hop, refused)

    def _push(
        self, queue: list[tuple[float, int, int, HopProfile | None]], place: int, mass: float,
        done: BoolArray, empty: float,
    ) -> None:  # fmt: skip
        """Hops from a place, with the least that each can take."""
        where, g = self.places.position_m, self.vehicle.gravity_mps2
        least = impulsive_mps(where[place], where, g)
        left = mass * np.exp(-least / self.vehicle.exhaust_mps)
        ways = np.flatnonzero(self.places.open & ~done & (left > empty))
        for other in ways:
            if other != place:
                heapq.heappush(queue, (-float(left[other]), int(other), place, None))

    def _hop(self, origin: int, place: int, mass: float, unlimited: bool) -> HopProfile:
        vehicle = self.vehicle
        if unlimited:
            vehicle = HopVehicle(
                1.0, vehicle.isp_s, vehicle.max_thrust_n, vehicle.min_thrust_n,
                vehicle.max_tilt_rad, vehicle.gravity_mps2,
            )  # fmt: skip
        if (origin, place) in self._closed:
            raise self._closed[origin, place]
        start, goal = self.places.position_m[origin], self.places.position_m[place]
        try:
            return plan_hop(start, goal, mass, vehicle, self.settings, dem=self.dem)
        except HopRefusedError as refusal:
            if refusal.reason in ("clearance", "unknown_ground", "out_of_reach"):
                self._closed[origin, place] = refusal
            raise

    def _why(self, out: _Way, start: int, goal: int, held_kg: float) -> HopRefusedError:
        """Why a goal is not reached: what an endless tank would have to hold, or the ground."""
        mass = self.vehicle.dry_kg + held_kg
        free = self._search(start, mass, {goal}, unlimited=True)
        if not math.isfinite(free.mass_kg[goal]):
            refused = free.refused or out.refused
            reason = "no_place" if refused is None else refused.reason
            return HopRefusedError(
                reason,
                "no chain of hops reaches the goal" + ("" if refused is None else f": {refused}"),
                held_kg=held_kg,
            )
        hops = free.hops(goal)
        spent, number = 0.0, len(hops)
        for n, hop in enumerate(hops, start=1):
            spent += self._burnt(hop)
            if spent > held_kg:
                number = n
                break
        needed = self._spent(tuple(hops))
        return HopRefusedError(
            "propellant",
            f"{len(hops)} hops to the goal need {needed:.2f} kg, {held_kg:.2f} kg are held: not "
            f"enough for hop {number}",
            needed, held_kg, number,
        )  # fmt: skip
