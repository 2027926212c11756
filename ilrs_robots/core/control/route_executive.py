"""Follows a route through space and time, and asks for another where the world differs from it.

Days pass on a long way: shadows move, the battery holds more or less than was planned, ground
turns out to be closed. The executive sends the vehicle from point to point of its route, lets it
stand where and as long as the plan stands, compares what is with what was planned, and asks for a
new route from here and now when they differ by more than a margin. It has no clock, no vehicle and
no planner of its own: same calls, same answers.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ilrs_robots.core.control.route_executive_types import (
    DRIVE,
    Directive,
    ExecutiveConfig,
    RouteRequest,
    RouteState,
)
from ilrs_robots.core.control.route_progress import RouteProgress
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.planning.route_types import RouteAnswer, RouteLeg

__all__ = ["Directive", "ExecutiveConfig", "RouteExecutive", "RouteRequest", "RouteState"]

_NEVER = -math.inf
_SLOWEST = 0.2
_OUTSIDE = 1.1
_LONG_S = 3600.0
"""A stop of this length is a place to stay at."""


class RouteExecutive:
    """From a far goal to near ones, in space and time.

    Call ``update`` now and then, ``arrived`` and ``blocked`` when a near goal has ended. While
    ``request`` holds something, give it to the planner and the planner's answer to ``answered``
    (or its refusal to ``refused``); the vehicle stands meanwhile.

    Attributes:
        request: for the planner, or None.
        replans: how often a route was asked for because the world differed.
    """

    def __init__(
        self, settings: ExecutiveConfig, goal_m: tuple[float, float],
        yaw_rad: float | None = None,
    ) -> None:  # fmt: skip
        """Take the far goal: x and y in map, and the heading there or None."""
        self.settings, self._goal, self._yaw = settings, goal_m, yaw_rad
        self.request: RouteRequest | None = None
        self.replans = 0
        self._plan: RouteProgress | None = None
        self._closed: list[KeepOut] = []
        self._asked_s = _NEVER
        self._pace = 1.0
        self._dark_since_s: float | None = None
        self._final: Directive | None = None
        self._why_ends = ""

    @property
    def route(self) -> RouteAnswer | None:
        """The route in force."""
        return None if self._plan is None else self._plan.answer

    @property
    def progress(self) -> RouteProgress | None:
        """How far along the route in force the vehicle is."""
        return self._plan

    def update(
        self, now_s: float, xy_m: tuple[float, float], energy_wh: float,
        light: float | None = None,
    ) -> Directive:  # fmt: skip
        """Compare world and plan; what to do now.

        Args:
            now_s: mission time.
            xy_m: where the vehicle is, map.
            energy_wh: in its battery.
            light: share of the Sun over it, 0 to 1, or None where nobody says.
        """
        if self._final is not None:
            return self._final
        if self.request is None and self._plan is None:
            self._ask(now_s, xy_m, energy_wh, "")
        if self.request is None and self._plan is not None:
            why = self._differs(self._plan, now_s, xy_m, energy_wh, light)
            if why and now_s - self._asked_s >= self.settings.least_s:
                self._ask(now_s, xy_m, energy_wh, why)
        if self.request is not None or self._plan is None:
            why = "" if self.request is None else self.request.why
            said = f"planning anew: {why}" if why else "planning the route"
            return Directive(RouteState.PLANNING, sentence=said)
        return self._go_on(self._plan, now_s)

    def answered(self, answer: RouteAnswer) -> None:
        """Take the route that was asked for.

        A first route that does not reach the goal ends it: nobody has moved yet. Of a later one
        the vehicle takes what leads to the first place where it can stand for long; there the goal
        ends. Where no such way is left either, the route in force is driven on, unless it is
        blocked: standing still would not help.
        """
        request, self.request = self.request, None
        if request is None or self._final is not None:
            return
        plan = self._plan
        if answer.reached:
            self._plan, self._why_ends = RouteProgress(answer, request.depart_s), ""
        elif plan is not None and answer.legs:
            answer = replace(answer, legs=_to_a_stand(answer.legs))
            self._plan, self._why_ends = RouteProgress(answer, request.depart_s), _told(answer)
        elif plan is None or request.blocked:
            self._fail(_told(answer))
        self._dark_since_s = None

    def refused(self, sentence: str) -> None:
        """The planner cannot plan at all.

        A route in force is driven on, unless it is blocked: standing still, perhaps in the dark,
        would not help.
        """
        request, self.request = self.request, None
        if request is None or self._plan is None or request.blocked:
            self._fail(sentence)

    def arrived(self) -> None:
        """The point that was driven to is reached."""
        plan = self._plan
        if plan is None or plan.current is None:
            return
        plan.done = plan.via
        if plan.done >= plan.current.last:
            plan.leg += 1

    def blocked(
        self, now_s: float, xy_m: tuple[float, float], energy_wh: float, sentence: str
    ) -> None:
        """No way was found to the point that was driven to: it is kept out of, and planned anew.

        Args:
            now_s: mission time.
            xy_m: where the vehicle stands, map.
            energy_wh: in its battery.
            sentence: why.
        """
        plan, limit = self._plan, self.settings.most_closed
        if plan is None or self._final is not None:
            return
        if len(self._closed) >= limit:
            self._fail(f"given up after {limit} places that turned out to be closed: {sentence}")
            return
        at = plan.ahead(xy_m, _OUTSIDE * self.settings.closed_m)
        self._closed.append(KeepOut(f"closed ground {len(self._closed) + 1}", *at,
                                    self.settings.closed_m))  # fmt: skip
        self._ask(now_s, xy_m, energy_wh, f"no way was found: {sentence}", blocked=True)

    def _ask(
        self, now_s: float, xy_m: tuple[float, float], energy_wh: float, why: str,
        blocked: bool = False,
    ) -> None:  # fmt: skip
        self._asked_s = now_s
        self.replans += bool(why)
        if self._plan is not None:
            self._pace = self._pace_of(self._plan, now_s, xy_m)
        keep_outs = tuple(self._closed)
        self.request = RouteRequest(
            xy_m, self._goal, now_s, energy_wh, keep_outs, self._pace, why, blocked
        )

    def _pace_of(self, plan: RouteProgress, now_s: float, xy_m: tuple[float, float]) -> float:
        """Speed over that of a plan without any pace; what hardly began says nothing."""
        taken_s = now_s - plan.depart_s
        if taken_s < self.settings.late_s:
            return self._pace
        made_s = plan.planned(now_s, xy_m)[0]
        return min(max(self._pace * made_s / taken_s, _SLOWEST), 1.0)

    def _fail(self, sentence: str) -> None:
        self._final = Directive(RouteState.FAILED, sentence=sentence)

    def _go_on(self, plan: RouteProgress, now_s: float) -> Directive:
        leg = plan.current
        while leg is not None and leg.kind != DRIVE and now_s >= plan.depart_s + leg.end_s:
            plan.done, plan.leg = leg.last, plan.leg + 1
            leg = plan.current
        if leg is None:
            if self._why_ends:
                self._fail(self._why_ends)
            else:
                self._final = Directive(RouteState.REACHED)
            assert self._final is not None
            return self._final
        if leg.kind != DRIVE:
            until_s = plan.depart_s + leg.end_s
            said = f"stands to {leg.kind} for {(until_s - now_s) / 60.0:.0f} min"
            return Directive(RouteState.STANDING, None, leg.park_yaw_rad, until_s, said)
        plan.done = max(plan.done, leg.first)
        plan.via = max(plan.via, plan.next_via(self.settings.hop_m))
        last = plan.via == leg.last and plan.leg == len(plan.answer.legs) - 1
        goal = self._goal if last and not self._why_ends else plan.point(plan.via)
        stop = plan.answer.legs[plan.leg + 1 :][:1]
        yaw = self._yaw if last else None
        if plan.via == leg.last and stop:
            yaw = stop[0].park_yaw_rad
        return Directive(RouteState.DRIVING, goal, yaw, through=plan.via != leg.last)

    def _differs(
        self, plan: RouteProgress, now_s: float, xy_m: tuple[float, float], energy_wh: float,
        light: float | None,
    ) -> str:  # fmt: skip
        """In what the world differs from the plan, as a phrase."""
        time_s, planned_wh, planned_light = plan.planned(now_s, xy_m)
        settings, capacity_wh = self.settings, plan.answer.capacity_wh
        late_s = now_s - plan.depart_s - time_s
        if late_s > settings.late_s:
            return f"{late_s / 60.0:.0f} min behind the plan"
        short_wh = planned_wh - energy_wh
        if short_wh > settings.charge * capacity_wh:
            return f"the battery holds {short_wh:.0f} Wh less than planned"
        if light is None or planned_light - light <= settings.light:
            self._dark_since_s = None
            return ""
        self._dark_since_s = now_s if self._dark_since_s is None else self._dark_since_s
        if now_s - self._dark_since_s < settings.dark_s:
            return ""
        return (
            f"{100.0 * light:.0f} % of the Sun are in sight, planned were "
            f"{100.0 * planned_light:.0f} %"
        )


def _to_a_stand(legs: tuple[RouteLeg, ...]) -> tuple[RouteLeg, ...]:
    """Legs before the first long stop, or all of them."""
    for n, leg in enumerate(legs):
        if leg.kind != DRIVE and leg.end_s - leg.start_s >= _LONG_S:
            return legs[:n]
    return legs


def _told(answer: RouteAnswer) -> str:
    changes = "; ".join(answer.changes[:2])
    return f"{answer.reason}; {changes}" if changes else answer.reason
