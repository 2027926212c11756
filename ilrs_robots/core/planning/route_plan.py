"""Routes through space, time and energy: the best one, the latest departure, or why there is none.

See ``route_search`` for how, ``route_why`` for what would have to change.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning import route_search, route_survive
from ilrs_robots.core.planning.leave_limits import WALK_WORDS, LeaveWords
from ilrs_robots.core.planning.route_graph import route_graph
from ilrs_robots.core.planning.route_ground import Closed, RouteGround
from ilrs_robots.core.planning.route_light import Incomes, LightSeries, SunPower, incomes
from ilrs_robots.core.planning.route_survive import NEVER, stored
from ilrs_robots.core.planning.route_track import Part, Tracker
from ilrs_robots.core.planning.route_types import Found, RouteAnswer, RouteCharger
from ilrs_robots.core.types import FloatArray, IntArray

_MANY_PLACES: Final = 4096
_GAIN: Final = 0.004
"""With more places, a later label must have this share of the battery more; else anything."""
_NEAR_CELLS: Final = 3
"""How far the open ground may be from a vehicle that stands on closed ground."""


class RoutePlanner:
    """Plans from one place to another over one ground and one series of light.

    Args:
        ground: of the vehicle.
        light: over it; the plan looks no further than it.
        sun: what it gives the vehicle.
        start_m: (2,) metres in map.
        goal_m: likewise.
        chargers: that it may use.
        leave_by_s: (rows, cols) seconds after the first map of light until which a cell may be
            passed, such as by a crew that must be able to walk home; None for no such limit.
        leave_words: what is said of that limit.

    Raises:
        PlanningError: start or goal are no places on the ground, the vehicle stands on closed
            ground with none open beside it, or the pieces do not belong together.
    """

    def __init__(
        self, ground: RouteGround, light: LightSeries, sun: SunPower,
        start_m: Sequence[float], goal_m: Sequence[float],
        chargers: Sequence[RouteCharger] = (), leave_by_s: FloatArray | None = None,
        leave_words: LeaveWords = WALK_WORDS,
    ) -> None:  # fmt: skip
        self.ground, self.light, self.sun = ground, light, sun
        self.goal = ground.cell(goal_m, "goal")
        self.start = self._open_start(ground.cell(start_m, "start"))
        self.chargers = tuple(chargers)
        if leave_by_s is not None and leave_by_s.shape != ground.spec.shape:
            raise PlanningError(
                f"leave_by_s has shape {leave_by_s.shape}: the ground says {ground.spec.shape}"
            )
        self.leave_by_s, self.leave_words = leave_by_s, leave_words
        stops = [c for charger in chargers for c in self._cells_near(charger)]
        self.graph = route_graph(ground, [self.start, self.goal, *stops], light.mean())
        self.charged_w = self._charged()
        self.incomes: Incomes = incomes(self.graph, light, sun, self.charged_w)
        self.battery = ground.vehicle.battery_numbers(ground.config.charge_margin)
        self.wheels_w = self.graph.energy_j / np.maximum(self.graph.time_s, 1e-9)
        self._into = self._ways_in()
        self.need, self.onward = self.survivable(self.battery)
        self.latest, self.way_latest = self._deadlines()

    def _open_start(self, cell: tuple[int, int]) -> tuple[int, int]:
        """The cell itself, or the nearest open one."""
        closed = self.ground.closed
        if closed[cell] == Closed.NO:
            return cell
        near = [
            (i * i + j * j, (cell[0] + i, cell[1] + j))
            for i in range(-_NEAR_CELLS, _NEAR_CELLS + 1)
            for j in range(-_NEAR_CELLS, _NEAR_CELLS + 1)
            if 0 <= cell[0] + i < closed.shape[0] and 0 <= cell[1] + j < closed.shape[1]
        ]
        open_ = [n for n in near if closed[n[1]] == Closed.NO]
        if not open_:
            raise PlanningError(
                f"the start {self.ground.why_closed(cell)}, and so does all ground within "
                f"{_NEAR_CELLS} cells"
            )
        return min(open_)[1]

    def _cells_near(self, charger: RouteCharger) -> list[tuple[int, int]]:
        """The open cell nearest to a charger, if one is in its reach."""
        spec = self.ground.spec
        rows, cols = np.nonzero(self.ground.closed == Closed.NO)
        if not len(rows):
            return []
        at = spec.xy_of(rows, cols)
        off = np.hypot(at[:, 0] - charger.x_m, at[:, 1] - charger.y_m)
        best = int(np.argmin(off))
        if off[best] > charger.reach_m + spec.resolution_m * math.sqrt(0.5):
            return []
        return [(int(rows[best]), int(cols[best]))]

    def _charged(self) -> FloatArray:
        """(N,) W of the charger at each place."""
        given = np.zeros(self.graph.places)
        at = {tuple(cell): n for n, cell in enumerate(self.graph.place.tolist())}
        for charger in self.chargers:
            for cell in self._cells_near(charger):
                if cell in at:
                    given[at[cell]] = max(given[at[cell]], charger.power_w)
        return given

    def _ways_in(self) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
        graph = self.graph
        origin = np.repeat(np.arange(graph.places), np.diff(graph.first))
        order = np.argsort(graph.to, kind="stable")
        first = np.searchsorted(graph.to[order], np.arange(graph.places + 1))
        return first.astype(np.int64), origin[order].astype(np.int32), order.astype(np.int64)

    def _deadlines(self) -> tuple[FloatArray, FloatArray]:
        graph = self.graph
        if self.leave_by_s is None:
            return np.full(graph.places, NEVER), np.full(len(graph.to), NEVER)
        by = self.leave_by_s
        cells = by[graph.cells // graph.width - 2, graph.cells % graph.width - 2]
        trails = np.minimum.reduceat(cells, graph.start[:-1]) if len(cells) else cells
        return by[graph.place[:, 0], graph.place[:, 1]], trails[graph.trail]

    def survivable(self, battery: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Least Wh with which each place is survived.

        Args:
            battery: (5,) in the order and units of ``stored``.

        Returns:
            (K + 1, N) when a step of time begins, and (K, N) at any time of it by driving on.
        """
        graph = self.graph
        need = np.empty((self.light.steps + 1, graph.places))
        onward = np.empty((self.light.steps, graph.places))
        route_survive.survive(
            graph.first, graph.to, graph.time_s, self.wheels_w, self.ground.vehicle.hotel_w,
            self.incomes.standing_w, self.incomes.driving_w10, self.light.step_s, battery,
            *self._into, need, onward,
        )  # fmt: skip
        return need, onward

    def place_of(self, cell: tuple[int, int]) -> int:
        """Index of a fixed cell's place, or -1."""
        found = np.flatnonzero((self.graph.place == cell).all(axis=1))
        return int(found[0]) if len(found) else -1

    def look(
        self, energy_wh: float, step: int = 0, *, value_h: float = 0.0,
        needs: tuple[FloatArray, FloatArray] | None = None, battery: FloatArray | None = None,
        walk: bool = True,
    ) -> Found:  # fmt: skip
        """Search from the start.

        Args:
            energy_wh: in the battery.
            step: of time at which it may leave.
            value_h: delay that a full battery at arrival is worth; 0 takes the first arrival.
            needs: (K + 1, N) and (K, N) in the unit Wh, in place of ``survivable``'s for the
                vehicle's own battery.
            battery: (5,) in place of the vehicle's, in the order and units of ``stored``.
            walk: heed ``leave_by_s``.
        """
        graph, free = self.graph, np.full(1, NEVER)
        latest = self.latest if walk else np.broadcast_to(free, self.latest.shape).copy()
        ways = self.way_latest if walk else np.broadcast_to(free, self.way_latest.shape).copy()
        used = self.battery if battery is None else battery
        need, onward = (self.need, self.onward) if needs is None else needs
        gain_wh = _GAIN * float(used[0]) if graph.places > _MANY_PLACES else 1e-6
        return Found(*route_search.search(
            (graph.first, graph.to, graph.time_s, self.wheels_w),
            (self.incomes.standing_w, self.incomes.driving_w10, float(self.light.step_s),
             float(self.ground.vehicle.hotel_w)),
            (need, onward, latest, ways), used,
            (step, self.place_of(self.start), self.place_of(self.goal)), float(energy_wh),
            float(value_h * 3600.0), float(gain_wh),
        ))  # fmt: skip

    def plan(self, charge: float, *, latest: bool = True, explain: bool = True) -> RouteAnswer:
        """The best route at a charge (0 to 1) when the first map of light begins.

        Args:
            charge: of the battery.
            latest: look for the latest departure as well.
            explain: say what would have to change where there is none.

        Raises:
            PlanningError: the charge is not 0 to 1.
        """
        if not 0.0 <= charge <= 1.0:
            raise PlanningError(f"charge = {charge}: must be 0 to 1")
        energy = charge * float(self.battery[0])
        found = self.look(energy, value_h=self.ground.config.hours_per_charge)
        if found.best >= 0:
            answer = self.answer(found, found.best, energy)
            return self._with_latest(answer, energy) if latest else answer
        from ilrs_robots.core.planning.route_why import why_none

        reason, changes = why_none(self, energy) if explain else ("there is no route", ())
        end = self._nearest(found)
        answer = self.answer(found, end, energy)
        return replace(answer, reached=False, reason=reason, changes=changes)

    def _nearest(self, found: Found) -> int:
        """Label of the place reached that lies nearest to the goal; the start's where none is."""
        labels = found.marks[1:]
        reached = np.flatnonzero(labels >= 0)
        if not len(reached):
            return 0
        off = np.hypot(*(self.graph.place[reached] - np.array(self.goal)).T)
        return int(labels[reached[int(np.argmin(off))]])

    def answer(self, found: Found, label: int, energy_wh: float) -> RouteAnswer:
        """Labels as a track with legs, from the start to one of them."""
        tracker = Tracker(
            self.graph, self.light, self.sun, self.battery, self.leave_by_s, self._enough
        )
        parts = tracker.straightened(self._parts(found, label), energy_wh)
        begin = float(found.when[0])
        if not parts:
            here = np.array([self.start], dtype=np.int64)
            parts = [Part(here, begin, begin)]
        track, legs = tracker.track(parts, energy_wh, begin)
        end = self.place_of((int(parts[-1].cells[-1, 0]), int(parts[-1].cells[-1, 1])))
        stay = self._stay(end, float(track.energy_wh[-1]), begin + float(track.time_s[-1]))
        moved = tuple(leg for leg in legs if leg.end_s > leg.start_s)
        return RouteAnswer(
            True, "", (), track, moved, float(self.battery[1]), float(self.battery[0]),
            stay - begin, notes=self._notes(),
        )  # fmt: skip

    def _enough(self, cell: IntArray, time_s: float, energy_wh: float) -> bool:
        """Whether it can live on from a place, (row, col), at a time with an energy."""
        place = self.place_of((int(cell[0]), int(cell[1])))
        step = min(int(time_s / self.light.step_s + 1e-9), self.light.steps - 1)
        left = (step + 1) * self.light.step_s - time_s
        power = float(self.incomes.standing_w[step, place])
        kept = float(stored(energy_wh, power, left, self.battery))
        lives = kept >= self.need[step + 1, place] or energy_wh >= self.onward[step, place]
        return bool(lives)

    def _parts(self, found: Found, label: int) -> list[Part]:
        """Drives, joined where it did not stop, and waits between them."""
        parts: list[Part] = []
        chain = found.chain(label)
        for before, after in itertools.pairwise(chain):
            way = int(found.way[after])
            leave = float(found.when[after]) - float(self.graph.time_s[way])
            cells = self.graph.way_cells(way)
            since = float(found.when[before])
            if leave > since + 1e-3:
                node = int(found.node[before])
                parts.append(Part(cells[:1], since, leave, float(self.charged_w[node])))
            end = float(found.when[after])
            if parts and parts[-1].drives and leave <= since + 1e-3:
                joined = np.concatenate((parts[-1].cells, cells[1:]))
                parts[-1] = Part(joined, parts[-1].start_s, end)
            else:
                parts.append(Part(cells, leave, end))
        return parts

    def _stay(self, place: int, energy_wh: float, time_s: float) -> float:
        """Until when it can stand at a place and still live on, seconds of the light's time."""
        step = min(int(time_s / self.light.step_s + 1e-9), self.light.steps - 1)
        wh, now = energy_wh, time_s
        for k in range(step, self.light.steps):
            until = (k + 1) * self.light.step_s
            wh = float(stored(wh, float(self.incomes.standing_w[k, place]), until - now,
                              self.battery))  # fmt: skip
            if wh < max(self.battery[1], self.need[k + 1, place]):
                return now
            now = until
        return now

    def _notes(self) -> tuple[str, ...]:
        if bool((self.incomes.standing_w[-1] >= 0.0).any()):
            return ()
        return (
            "when the light maps end no place is lit and none has a charger: the plan vouches for "
            f"the vehicle for {self.light.span_s / 3600.0:.0f} h only",
        )

    def _with_latest(self, answer: RouteAnswer, energy_wh: float) -> RouteAnswer:
        """Add the latest step of time from whose begin on the goal can still be reached."""
        start, wh, could = self.place_of(self.start), energy_wh, [energy_wh]
        stands = "after it the vehicle no longer survives where it starts"
        for k in range(self.light.steps - 1):
            wh = float(stored(wh, float(self.incomes.standing_w[k, start]), self.light.step_s,
                              self.battery))  # fmt: skip
            if (k + 1) * self.light.step_s > self.latest[start]:
                stands = f"after it {self.leave_words.late}"
                break
            if wh < max(self.battery[1], self.need[k + 1, start]):
                break
            could.append(wh)
        low, high = 0, len(could)
        while high - low > 1:
            middle = (low + high) // 2
            if self.look(could[middle], middle).best >= 0:
                low = middle
            else:
                high = middle
        by = "after it the goal can no longer be reached safely from there"
        if low == len(could) - 1:
            by = "the light maps end" if len(could) == self.light.steps else stands
        return replace(answer, latest_s=low * self.light.step_s, latest_by=by)
