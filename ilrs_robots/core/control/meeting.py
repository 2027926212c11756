"""Meetings with the other vehicles of a site: stop before them, let them pass, go aside for them.

Deterministic: ranks decide (see ``right_of_way``), and both vehicles know them. The one that
yields stands in the other's way, or it would not have to: it goes to the nearest place beside the
other's way, backwards where the way leads behind it, and goes on when its own way is free. Where
it finds no place it stands, and after a while the other one yields instead. Each such step is
counted; after too many in one place the goal is given up with a sentence.
"""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.fleet import FleetMemory, PeerBody, PeerDisc
from ilrs_robots.core.control.meeting_types import MeetingAnswer, Met, Mode, Patiences
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.path import wrap
from ilrs_robots.core.control.progress import Patience
from ilrs_robots.core.control.right_of_way import (
    even_line,
    first_within,
    in_the_way,
    passing_place,
    raised,
    way_from,
)
from ilrs_robots.core.control.terrain_memory import TerrainMemory
from ilrs_robots.core.control.tracker import PathTracker
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.grid_planner import plan_path
from ilrs_robots.core.types import FloatArray

Pose = tuple[float, float, float]

TELL_M = 60.0
"""So much of its way a vehicle tells the others."""
_SLACK_M = 0.3
_MORE_SLACK_M = 0.4
"""Kept beyond what the other needs, and more at each further time."""
_WINDOW_S = 12.0
_LEAST_WINDOW_M = 4.0
"""Where ways cross, the one that yields waits before so much of the other's way."""
_NEAR_M = 1.5
_CLEAR_S = 1.0
_SEARCH_S = 1.0
_UNSEEN_COST = 0.9
_BACKWARDS_RAD = 1.9
_STALL_S = 4.0
_STAYS_M = 0.1


class Meetings:
    """One vehicle's side of every meeting.

    Attributes:
        fleet: what the others told.
        count: times of going aside here.
    """

    def __init__(
        self, config: NavigatorConfig, fleet: FleetMemory, own: PeerBody, half_length_m: float
    ) -> None:
        """Take what is known of the others and of the vehicle itself."""
        self.fleet, self._own, self._half_length_m = fleet, own, half_length_m
        self._config, self._settings = config, config.fleet
        self._tracker = PathTracker(config.tracker)
        self.reset()

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters."""
        self._config, self._settings = config, config.fleet
        self._tracker.config = config.tracker
        self.fleet.config = config.fleet

    def reset(self) -> None:
        """Begin anew, for another goal."""
        self.count = 0
        self._mode = Mode.FREE
        self._place: tuple[float, float] | None = None
        self._for = ""
        self._patience: dict[str, Patiences] = {}
        self._clear, self._stuck, self._stall = Patience(), Patience(), Patience()
        self._stalls = False
        self._since_ns = self._searched_ns = -(1 << 62)
        self._at = (0.0, 0.0)
        self._tracker.clear()

    @property
    def mode(self) -> Mode:
        """What it makes the vehicle do now."""
        return self._mode

    def way_m(self, path_m: FloatArray) -> FloatArray:
        """What to tell the others: (N, 2) metres of the way ahead, given (M, 2) to the goal.

        One that has gone aside tells that it stands there, and that it will go on.
        """
        if self._mode is Mode.HOLD:
            x, y = self._at
            return np.array([(x, y), (x + _STAYS_M, y)])
        path = self._tracker.path
        if self._mode is Mode.ASIDE and path is not None:
            return path.ahead(TELL_M)
        return even_line(path_m, TELL_M)[0]

    def parked(self, now_ns: int) -> list[tuple[float, float, float]]:
        """X, y and distance (m) that paths keep from each vehicle that stands and stays."""
        return [
            (disc.x_m, disc.y_m, self._beside_m(disc) + _MORE_SLACK_M)
            for disc in self.fleet.discs(now_ns)
            if disc.stands and disc.idle_s > self._settings.idle_s
        ]

    def look(
        self, now_ns: int, pose: Pose, v: float, path_m: FloatArray, ground: TerrainMemory
    ) -> MeetingAnswer:
        """Say what the others make the vehicle do.

        Args:
            now_ns: time of the stamps.
            pose: x, y (m) and yaw (rad) in map.
            v: forward speed, m/s.
            path_m: (N, 2) metres, map, its own way to the goal, empty where there is none.
            ground: what is known of it.
        """
        self._at = pose[:2]
        line, along = even_line(path_m, self._settings.look_m)
        met = self._meet(now_ns, pose, line, along)
        if not met:
            self._mode = Mode.FREE
            return MeetingAnswer()
        if self._mode is not Mode.FREE:
            return self._aside(now_ns, pose, v, met, (line, along), ground)
        given_up = self._note(now_ns, met, v)
        if given_up:
            return MeetingAnswer(0.0, None, given_up, given_up)
        opposed = [m for m in met if m.yields and m.in_way and math.isfinite(m.body_m)]
        if opposed and (now_ns - self._searched_ns) * 1e-9 >= _SEARCH_S:
            self._searched_ns = now_ns
            if self.count >= self._settings.max_meetings:
                return self._enough()
            if self._go_aside(now_ns, pose, opposed[0].disc.name, met, ground):
                return self._aside(now_ns, pose, v, met, (line, along), ground)
        stop_m, who = self._stop(met, line, along)
        if stop_m > self._settings.look_m:
            return MeetingAnswer()
        return MeetingAnswer(stop_m, None, f"waits for {who}" if stop_m < _NEAR_M else "")

    # -- what is met ------------------------------------------------------------------------
    def _beside_m(self, disc: PeerDisc) -> float:
        """Least distance of the own path from a vehicle's centre."""
        return self._own.half_width_m + disc.radius_m + self._settings.margin_m

    def _needs_m(self, disc: PeerDisc) -> float:
        """Least distance from another vehicle's way at which this one does not hinder it."""
        unsure_m = disc.radius_m - disc.body.radius_m
        return disc.body.half_width_m + self._own.radius_m + unsure_m + self._settings.margin_m

    def _meet(self, now_ns: int, pose: Pose, line: FloatArray, along: FloatArray) -> list[Met]:
        """Those that are near enough to matter."""
        found, reach_m = [], 2.0 * self._settings.look_m
        for disc in self.fleet.discs(now_ns):
            at = disc.x_m, disc.y_m
            if math.dist(at, pose[:2]) > reach_m + disc.radius_m:
                continue
            if len(disc.plan_m):
                way = way_from(at, disc.plan_m)
            elif not disc.stands:
                ahead = np.array(disc.velocity_mps) * _WINDOW_S
                way = np.array([at, (at[0] + ahead[0], at[1] + ahead[1])])
            else:
                way = np.array([at])
            way, way_along = even_line(way, TELL_M)
            swapped = self._patience.setdefault(disc.name, Patiences()).swapped
            yields = (self._own.rank > disc.body.rank) != swapped and len(way) > 1
            one = Met(disc, way, way_along, yields)
            one.extra_m = self._half_length_m - self._own.half_width_m
            one.body_m = first_within(line, along, np.array([at]), self._beside_m(disc))
            near = way_along <= self._settings.look_m
            one.in_way = in_the_way(pose[:2], way[near], way_along[near], self._needs_m(disc))
            found.append(one)
        return found

    def _stop(self, met: list[Met], line: FloatArray, along: FloatArray) -> tuple[float, str]:
        """How far the own path is free, and who is there."""
        best, who = math.inf, ""
        for one in met:
            stop_m = one.body_m - one.extra_m
            if one.yields and not one.in_way:
                speed = math.hypot(*one.disc.velocity_mps)
                window_m = max(speed * _WINDOW_S, _LEAST_WINDOW_M)
                part = one.way_m[one.along_m <= window_m]
                crosses_m = first_within(line, along, part, self._needs_m(one.disc))
                stop_m = min(stop_m, crosses_m - one.extra_m)
            if stop_m < best:
                best, who = stop_m, one.disc.name
        return max(best, 0.0), who

    def _note(self, now_ns: int, met: list[Met], v: float) -> str:
        """Count how long others have stood in the way; why the goal is given up, if it is."""
        settings, given_up = self._settings, ""
        for one in met:
            patience, wants = self._patience[one.disc.name], len(one.way_m) > 1
            near_m = one.body_m - one.extra_m - self._config.tracker.clear_margin_m
            blocks = near_m < _NEAR_M and one.disc.stands and abs(v) <= settings.standing_mps
            stood_s = patience.blocked.update(now_ns, blocks and wants and not one.yields)
            if stood_s > settings.swap_s:
                patience.swapped = not patience.swapped
                patience.blocked.update(now_ns, False)
            elif patience.swapped and math.isinf(one.body_m) and not one.in_way:
                patience.swapped = False
            parked_s = patience.parked.update(now_ns, blocks and not wants)
            if parked_s > settings.parked_s:
                silent = one.disc.silent_s > settings.silent_s
                how = f", silent for {one.disc.silent_s:.0f} s" if silent else ""
                given_up = f"{one.disc.name} stands in the way{how}: waited {parked_s:.0f} s"
        return given_up

    # -- going aside ------------------------------------------------------------------------
    def _go_aside(
        self, now_ns: int, pose: Pose, name: str, met: list[Met], ground: TerrainMemory
    ) -> bool:
        """Choose a place and the path to it; False where there is none."""
        view = ground.view
        if view is None:
            return False
        slack_m = _SLACK_M + _MORE_SLACK_M * self.count
        ways = [(m.way_m, self._needs_m(m.disc) + slack_m) for m in met if m.yields]
        bodies = [(m.disc.x_m, m.disc.y_m, self._beside_m(m.disc)) for m in met]
        away = [b for b in bodies if math.dist(b[:2], pose[:2]) > b[2]]
        cost = np.where(view.seen, view.cost, np.maximum(view.cost, np.float32(_UNSEEN_COST)))
        cost = raised(cost, view.spec, away, 1.0)
        place = passing_place(
            cost, view.spec, pose[:2], ways, view.lethal_cost, self._settings.search_m, view.seen
        )
        if place is None:
            return False
        try:
            path = plan_path(cost, view.spec, pose[:2], place, self._config.planner).xy_m
        except PlanningError:
            return False
        self._tracker.set_path(path, reverse=_leads_back(path, pose))
        self._mode, self._place, self._for = Mode.ASIDE, place, name
        self.count += 1
        self._since_ns = now_ns
        for patience in (self._clear, self._stuck, self._stall):
            patience.update(now_ns, False)
        self._stalls = False
        return True

    def _enough(self) -> MeetingAnswer:
        """Give the goal up: going aside again would not help."""
        self._mode = Mode.FREE
        said = f"given up after going aside {self.count} times for {self._for}: no way past it"
        return MeetingAnswer(0.0, None, said, said)

    def _aside(
        self,
        now_ns: int,
        pose: Pose,
        v: float,
        met: list[Met],
        own: tuple[FloatArray, FloatArray],
        ground: TerrainMemory,
    ) -> MeetingAnswer:
        """Drive to the place beside the way, stand there, and go on when the own way is free."""
        free_s = self._clear.update(now_ns, self._may_go_on(met, *own))
        late = (now_ns - self._since_ns) * 1e-9 > self._settings.pass_s
        if free_s > _CLEAR_S or late:
            self._mode = Mode.FREE
            return MeetingAnswer(sentence=f"goes on: {self._for} has passed")
        still = all(m.disc.stands for m in met if m.disc.name == self._for)
        hindered_s = self._stuck.update(now_ns, still and self._mode is Mode.HOLD)
        if (
            hindered_s > self._settings.swap_s
            or self._stall.update(now_ns, self._stalls) > _STALL_S
        ):
            if self.count >= self._settings.max_meetings:
                return self._enough()
            self._stuck.update(now_ns, False)
            self._go_aside(now_ns, pose, self._for, met, ground)
        said = f"has gone aside for {self._for}"
        if self._mode is Mode.HOLD:
            return MeetingAnswer(0.0, (0.0, 0.0), said)
        path = self._tracker.path
        ahead = ground.ahead(path, *pose[:2])
        if path is None or ahead is None:
            self._mode = Mode.HOLD
            return MeetingAnswer(0.0, (0.0, 0.0), said)
        line, along = even_line(path.ahead(self._settings.look_m), self._settings.look_m)
        bodies_m = [
            first_within(line, along, np.array([[m.disc.x_m, m.disc.y_m]]), self._beside_m(m.disc))
            - m.extra_m
            for m in met
        ]
        clear_m = max(min(ahead.closed_m, *bodies_m), 0.0)
        v_out, w_out, status = self._tracker.command(*pose, v, clear_m)
        self._stalls = v_out == 0.0 and not status.turning
        if status.done:
            self._mode = Mode.HOLD
            return MeetingAnswer(0.0, (0.0, 0.0), said)
        return MeetingAnswer(0.0, (v_out, w_out), f"goes aside for {self._for}")

    def _may_go_on(self, met: list[Met], line: FloatArray, along: FloatArray) -> bool:
        """Whether the own way leads neither into nor onto the way of those that pass."""
        if len(line) < 2:
            return False
        for one in met:
            if not one.yields or (one.disc.stands and len(one.way_m) < 2):
                continue
            if math.isfinite(one.body_m):
                return False
            if math.isfinite(first_within(line, along, one.way_m, self._needs_m(one.disc))):
                return False
        return True


def _leads_back(path_m: FloatArray, pose: Pose) -> bool:
    """Whether a (N, 2) path, metres, begins behind a vehicle."""
    away = np.hypot(path_m[:, 0] - pose[0], path_m[:, 1] - pose[1])
    x, y = path_m[int(np.argmax(away > 1.0)) or -1]
    return abs(wrap(math.atan2(y - pose[1], x - pose[0]) - pose[2])) > _BACKWARDS_RAD
