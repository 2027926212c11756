"""A chain of hops over candidate landing places, with what it takes to come back.

Dijkstra's search with propellant as the cost. Hops are planned exactly, but only those that the
search would take: until then a hop counts with the least impulses that any hop between its ends
needs. A vehicle with more propellant left can do whatever one with less can, so the cheapest way
to a place is enough.

Light and links are asked for at the time at which the cheapest way comes by: a place that is dark
then is no way-station, though a dearer or later way might find it lit.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_profile import impulsive_mps, plan_hop
from ilrs_robots.core.planning.hop_stay import DARK, StayModel
from ilrs_robots.core.planning.hop_types import (
    HopChain,
    HopProfile,
    HopRefusedError,
    HopStop,
    HopVehicle,
)
from ilrs_robots.core.planning.hop_ways import Departure, HopPlaces, HopWay
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import BoolArray


class HopChainPlanner:
    """Plans chains over fixed places and ground; what the ground refuses is not tried again."""

    def __init__(
        self, places: HopPlaces, vehicle: HopVehicle, tank_kg: float,
        settings: HopPlanConfig | None = None, dem: Dem | None = None,
        stays: StayModel | None = None,
    ) -> None:  # fmt: skip
        """Take what does not change.

        Args:
            places: candidates.
            vehicle: what flies.
            tank_kg: propellant of a full tank, of which the reserve is a share.
            settings: margins and reserve.
            dem: ground to keep clear of.
            stays: light, battery and links of places; None where nobody counts them.
        """
        self.places, self.vehicle, self.dem, self.stays = places, vehicle, dem, stays
        self.settings = settings or HopPlanConfig()
        self.reserve_kg = self.settings.reserve_share * tank_kg
        self._closed: dict[tuple[int, int], HopRefusedError] = {}

    def plan(
        self, start: int, goal: int, propellant_kg: float, *, one_way: bool = False,
        depart: Departure | None = None,
    ) -> HopChain:  # fmt: skip
        """The chain to a goal that leaves most propellant, and a way back from there.

        Args:
            start: number of the place where it stands.
            goal: number of the place to reach.
            propellant_kg: on board.
            one_way: whether the plan is declared to need no way back; the reserve is kept anyway.
            depart: when it begins, and with what in its battery; used where stays are counted.

        Raises:
            HopRefusedError: ``no_place``, ``clearance``, ``propellant`` or ``reserve`` with the
                propellant needed and held, and the number of the hop; ``dark`` or ``no_link``
                with light, energy and links of the place where it may not stand.
        """
        for name, place in (("start", start), ("goal", goal)):
            if not 0 <= place < len(self.places.open):
                raise HopRefusedError("no_place", f"{name} {place}: no such place")
        if not self.places.open[goal]:
            x, y, _ = self.places.position_m[goal]
            raise HopRefusedError("no_place", f"goal at x {x:.0f} m, y {y:.0f} m: closed ground")
        mass = self.vehicle.dry_kg + propellant_kg
        begin = self._begin(depart or Departure())
        out = self._search(start, mass, {goal}, begin)
        if not math.isfinite(out.mass_kg[goal]):
            raise self._why(out, start, goal, propellant_kg, begin)
        after = self._at_goal(out, goal, (depart or Departure()).goal_stay_s)
        stops = tuple(
            HopStop(p, self.places.position_m[p], float(out.mass_kg[p])) for p in out.places(goal)
        )
        hops = tuple(out.hops(goal))
        left = float(out.mass_kg[goal]) - self.vehicle.dry_kg
        back = () if one_way else self._back(goal, float(out.mass_kg[goal]), len(hops), after)
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
        stays = tuple(out.stay[s.place] for s in stops if s.place in out.stay)
        return HopChain(
            stops, hops, propellant_kg - left, left, back, back_kg, self.reserve_kg, stays
        )

    def _begin(self, depart: Departure) -> tuple[float, float]:
        """Site time and battery at the first launch."""
        full = math.inf if self.stays is None else self.stays.full_wh()
        return depart.time_s, full if depart.battery_wh is None else min(depart.battery_wh, full)

    def _at_goal(self, out: HopWay, goal: int, stay_s: float) -> tuple[float, float]:
        """When and with what it leaves the goal.

        Raises:
            HopRefusedError: its battery does not last.
        """
        at, held = out.lands[goal]
        if self.stays is None:
            return at, held
        stay = self.stays.stand(self.places.position_m[goal], at, held, stay_s, False)
        if stay.code:
            raise HopRefusedError(stay.code, f"goal: {stay.why}", hop=len(out.hops(goal)))
        out.stay[goal] = stay
        return at + stay_s, stay.end_wh

    def _spent(self, hops: tuple[HopProfile, ...]) -> float:
        return float(sum(self._burnt(hop) for hop in hops))

    def _burnt(self, hop: HopProfile) -> float:
        """Propellant of a hop with its share for errors and diverts."""
        return (1.0 + self.settings.dispersion_share) * hop.propellant_kg

    def _back(
        self, goal: int, mass: float, done: int, begin: tuple[float, float]
    ) -> tuple[HopProfile, ...]:
        havens = {int(p) for p in np.flatnonzero(self.places.haven & self.places.open)}
        if goal in havens:
            return ()
        way = self._search(goal, mass, havens, begin)
        reached = [p for p in havens if math.isfinite(way.mass_kg[p])]
        if not reached:
            # What would it take? The same search with a tank that never empties.
            free = self._search(goal, mass, havens, begin, unlimited=True)
            ends = [p for p in havens if math.isfinite(free.mass_kg[p])]
            held = mass - self.vehicle.dry_kg
            if not ends:
                code, said = free.why()
                text = f"no way back from the goal to any haven{said}"
                raise HopRefusedError(code, text, held_kg=held, hop=done + 1)
            needed = mass - max(float(free.mass_kg[p]) for p in ends)
            raise HopRefusedError(
                "reserve",
                f"the way back after hop {done} needs {needed:.2f} kg, {held:.2f} kg are left",
                needed, held, done + 1,
            )  # fmt: skip
        best = max(reached, key=lambda p: float(way.mass_kg[p]))
        return tuple(way.hops(best))

    def _search(
        self, start: int, mass_kg: float, goals: set[int], begin: tuple[float, float],
        unlimited: bool = False,
    ) -> HopWay:  # fmt: skip
        """Most mass at places, until the first goal is settled."""
        places, count = self.places, len(self.places.open)
        found = HopWay(np.full(count, -np.inf), np.full(count, -1))
        mass = found.mass_kg
        mass[start], found.lands[start], found.leaves[start] = mass_kg, begin, begin
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
                    self._in_flight(found, origin, hop)
                except HopRefusedError as refusal:
                    if found.refused is None or refusal.reason == DARK != found.refused.reason:
                        found.refused = refusal
                    continue
                left = float(mass[origin]) - self._burnt(hop)
                if left >= empty:
                    heapq.heappush(queue, (-left, place, origin, hop))
                continue
            done[place], mass[place] = True, -key
            if hop is not None:
                found.before[place], found.hop[place] = origin, hop
                found.lands[place] = self._in_flight(found, origin, hop)
            if place in goals and place != start:
                break
            if place != start and not (places.stop[place] and self._stands(found, place)):
                continue
            self._push(queue, place, -key, done, empty)
        mass[~done] = -np.inf
        return found

    def _in_flight(self, way: HopWay, origin: int, hop: HopProfile) -> tuple[float, float]:
        """Site time and battery after a hop from a place that it may leave.

        Raises:
            HopRefusedError: the battery does not last.
        """
        at, held = way.leaves[origin]
        taken = 0.0 if self.stays is None else self.stays.flight_wh(hop.duration_s)
        if taken > held:
            x, y, _ = self.places.position_m[origin]
            raise HopRefusedError(
                DARK, f"battery: the hop from ({x:.0f}, {y:.0f}) m takes {taken:.1f} Wh, "
                f"{held:.1f} Wh are held",
            )  # fmt: skip
        return at + hop.duration_s, held - taken

    def _stands(self, way: HopWay, place: int) -> bool:
        """Whether it may wait at a place for its next hop, at the time of its landing there."""
        at, held = way.lands[place]
        way.leaves[place] = at, held
        if self.stays is None:
            return True
        wait_s = self.stays.cfg.station_s
        stay = self.stays.stand(self.places.position_m[place], at, held, wait_s, True)
        if stay.code:
            way.left_out.append(stay)
            return False
        way.stay[place], way.leaves[place] = stay, (at + wait_s, stay.end_wh)
        return True

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

    def _why(
        self, out: HopWay, start: int, goal: int, held_kg: float, begin: tuple[float, float]
    ) -> HopRefusedError:
        """Why a goal is not reached: what an endless tank would have to hold, or the ground."""
        mass = self.vehicle.dry_kg + held_kg
        free = self._search(start, mass, {goal}, begin, unlimited=True)
        if not math.isfinite(free.mass_kg[goal]):
            free.refused = free.refused or out.refused
            code, said = free.why()
            text = f"no chain of hops reaches the goal{said}"
            return HopRefusedError(code, text, held_kg=held_kg)
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
