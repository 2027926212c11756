"""A far goal: planned in a thread, driven by the real navigator from point to point."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from route_worlds import BATTERY, PLAIN, SUN_W, flat, planner_of, sun_of

from ilrs_robots.core.control.navigator import (
    Navigator,
    NavigatorConfig,
    NavigatorError,
    NavigatorOutput,
    NavigatorState,
)
from ilrs_robots.core.control.route_executive import ExecutiveConfig, RouteRequest
from ilrs_robots.core.environment.ephemeris import EphemerisError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning.costmap import CostmapConfig
from ilrs_robots.core.planning.route_types import RouteAnswer
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.far_goal import FarGoal, FarGoalConfig, Supply
from ilrs_robots.robots.route_worker import Show

LIMITS = VehicleLimits(math.radians(20.0), 0.24, 0.12, 2.6, 2.1)
NAVIGATION = NavigatorConfig(costmap=CostmapConfig(margin_m=14.0, resolution_m=0.5))
START, GOAL = (30.0, 50.0), (90.0, 50.0)
NEAR = (35.0, 50.0)
EXECUTIVE = ExecutiveConfig(hop_m=25.0, closed_m=6.0, late_s=900.0, least_s=10.0, dark_s=5.0)
SETTINGS = FarGoalConfig(beyond_m=20.0, pass_m=5.0, executive=EXECUTIVE)
CELLS = replace(BATTERY, capacity_wh=300.0)
FULL = Supply(CELLS.capacity_wh, 1.0)
S = 1_000_000_000
DT_NS = S // 5
WAIT_S = 60.0


def planned(
    request: RouteRequest, charge: float = 1.0, share: float = 1.0, driven_w: float = SUN_W,
    explain: bool = False,
) -> RouteAnswer:  # fmt: skip
    """A route over flat ground."""
    planner = planner_of(
        flat(11, 15, 10.0), np.full(4, share), request.start_m, request.goal_m, battery=CELLS,
        keep_outs=request.keep_outs, config=replace(PLAIN, charge_margin=0.1),
        sun=sun_of(4, driven=driven_w),
    )  # fmt: skip
    return planner.plan(charge, latest=False, explain=explain)


@dataclass
class Drive:
    """A unicycle that sees twelve metres of flat ground with discs, and whoever gives it goals."""

    plan: Callable[[RouteRequest, Show], RouteAnswer] = lambda request, _show: planned(request)
    discs: tuple[tuple[float, float, float], ...] = ()
    settings: FarGoalConfig = SETTINGS
    supply: Supply = FULL
    x: float = START[0]
    y: float = START[1]
    yaw: float = 0.0
    v: float = 0.0
    now_ns: int = 0
    requests: list[RouteRequest] = field(default_factory=list)
    outputs: list[NavigatorOutput] = field(default_factory=list)
    goals: list[tuple[float, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.navigator = Navigator(NAVIGATION, LIMITS)
        self.far = FarGoal(self.navigator, self._planned, self.settings)

    def _planned(self, request: RouteRequest, show: Show) -> RouteAnswer:
        self.requests.append(request)
        return self.plan(request, show)

    def aim(self, x: float, y: float) -> None:
        self.navigator.set_goal(x, y)
        self.far.aim(x, y, None)

    def look(self) -> None:
        spec = GridSpec(self.x - 12.0, self.y - 12.0, 0.4, 60, 60)
        x, y = np.meshgrid(spec.x_m(), spec.y_m())
        cost = np.zeros(spec.shape, np.float32)
        for cx, cy, r in self.discs:
            cost[(x - cx) ** 2 + (y - cy) ** 2 <= r**2] = 1.0
        self.navigator.on_traversability(cost, spec, np.eye(4), self.now_ns)

    def step(self) -> NavigatorOutput:
        at = (self.x, self.y)
        self.far.step(self.now_ns * 1e-9, at, self.supply)
        out = self.navigator.step(self.now_ns, self.x, self.y, self.yaw, self.v)
        goal = self.navigator._goal
        if goal is not None and (not self.goals or self.goals[-1] != goal):
            self.goals.append(goal)
        told = self.far.told(self.now_ns * 1e-9, at, self.supply, out)
        self.outputs.append(told)
        self.now_ns += DT_NS
        dt = DT_NS / S
        self.v, self.yaw = out.v, self.yaw + out.w * dt
        self.x += out.v * math.cos(self.yaw) * dt
        self.y += out.v * math.sin(self.yaw) * dt
        return told

    def run(self, seconds: float, wait: bool = True) -> NavigatorOutput:
        until = self.now_ns + round(seconds * S)
        while self.now_ns < until:
            if self.now_ns % S == 0:
                self.look()
            told = self.step()
            if told.state in (NavigatorState.REACHED, NavigatorState.FAILED):
                break
            if wait:
                self.far.worker.wait(WAIT_S)
        return told

    def away_m(self, x: float, y: float) -> float:
        return math.dist((self.x, self.y), (x, y))


def test_a_far_goal_is_reached_in_hops_and_tells_how_far_it_is() -> None:
    done = Drive()
    done.aim(*GOAL)
    end = done.run(300.0)
    assert (end.state, end.reason) == (NavigatorState.REACHED, "")
    assert done.away_m(*GOAL) < 0.5
    assert len(done.requests) == 1
    first = done.requests[0]
    assert (first.start_m, first.goal_m, first.energy_wh) == (START, GOAL, CELLS.capacity_wh)
    hops = [goal for goal in done.goals if goal[:2] != GOAL]
    assert len(hops) >= 2
    stood = [o.v for o in done.outputs[10:-10]]
    assert min(stood) > 0.0, "points on the way are passed, not stopped at"
    told = [o for o in done.outputs if o.distance_remaining_m and math.isfinite(o.eta_s)]
    assert told[0].distance_remaining_m == pytest.approx(60.0, abs=3.0)
    assert (np.diff([o.distance_remaining_m for o in told]) < 0.5).all()
    assert told[0].eta_s > 60.0 / 1.0


def test_a_near_goal_is_left_to_the_navigator() -> None:
    done = Drive()
    done.aim(*NEAR)
    assert done.run(60.0).state is NavigatorState.REACHED
    assert done.requests == []
    assert done.far.values() == {}


def test_a_stop_waits_until_its_time_where_the_plan_says() -> None:
    """Too little in the battery for all of the way: it stops to charge, and leaves in time."""
    done = Drive(lambda request, _show: planned(request, charge=0.21, driven_w=0.0))
    done.supply = replace(done.supply, energy_wh=0.21 * CELLS.capacity_wh)
    done.aim(*GOAL)
    while done.far.values().get("route") != "standing" and len(done.outputs) < 500:
        done.run(1.0)
    progress = done.far.executive.progress
    assert progress is not None
    n, stop = next((n, g) for n, g in enumerate(progress.answer.legs) if g.kind != "drive")
    here = done.x, done.y
    assert done.away_m(*progress.point(stop.first)) < 1.0
    assert done.away_m(*GOAL) > 20.0
    assert "stands to charge" in done.outputs[-1].reason
    assert done.far.values()["route_leg"] == f"{n + 1} of {len(progress.answer.legs)}"
    done.now_ns = round((stop.end_s - 2.0) * S)
    done.supply = replace(done.supply, energy_wh=CELLS.capacity_wh)
    done.run(1.0)
    assert done.away_m(*here) == 0.0
    done.run(8.0)
    assert done.away_m(*here) > 0.2
    assert done.run(300.0).state is NavigatorState.REACHED


class Slow:
    """A planner that takes as long as it is let."""

    def __init__(self) -> None:
        self.begun, self.go, self.over = (threading.Event() for _ in range(3))
        self.shown = 0

    def __call__(self, request: RouteRequest, show: Show) -> RouteAnswer:
        self.begun.set()
        try:
            while not self.go.wait(0.01):
                show("light", 3, 10)
                self.shown += 1
            return planned(request)
        finally:
            self.over.set()


def test_while_a_route_is_planned_the_vehicle_stands_and_says_so() -> None:
    slow = Slow()
    done = Drive(slow)
    done.aim(*GOAL)
    done.step()
    assert slow.begun.wait(WAIT_S)
    while not slow.shown:
        done.step()
    told = done.run(3.0, wait=False)
    assert (told.v, told.w, told.state) == (0.0, 0.0, NavigatorState.PLANNING)
    assert told.reason == "planning the route (light 30 %)"
    assert told.distance_remaining_m == pytest.approx(60.0)
    slow.go.set()
    assert done.run(300.0).state is NavigatorState.REACHED
    assert len(done.requests) == 1


def test_a_goal_that_is_dropped_or_replaced_while_planning_ends_the_planning() -> None:
    slow = Slow()
    done = Drive(slow)
    done.aim(*GOAL)
    done.step()
    assert slow.begun.wait(WAIT_S)
    done.aim(*NEAR)
    assert slow.over.wait(WAIT_S), "it goes on for nobody"
    assert not slow.go.is_set()
    assert done.run(60.0).state is NavigatorState.REACHED
    assert done.away_m(*NEAR) < 0.5
    assert len(done.requests) == 1


def broken(_request: RouteRequest, _show: Show) -> RouteAnswer:
    raise ZeroDivisionError("of a kind that nobody thought of")


def too_late(_request: RouteRequest, _show: Show) -> RouteAnswer:
    raise EphemerisError("1970-01-01: outside 2020 to 2060")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (broken, "the route planner broke off: ZeroDivisionError: of a kind"),
        (too_late, "1970-01-01: outside 2020 to 2060"),
        (lambda request, _show: planned(request, 0.12, 0.0, explain=True), "battery"),
    ],
)
def test_where_there_is_no_route_the_goal_ends_with_why_and_nothing_moved(
    plan: Any, words: str
) -> None:
    done = Drive(plan)
    done.aim(*GOAL)
    end = done.run(30.0)
    assert (end.state, end.error_code) == (NavigatorState.FAILED, NavigatorError.NO_ROUTE)
    assert words in end.reason
    assert done.away_m(*START) == 0.0


def test_a_point_of_the_route_on_a_rock_is_passed_beside_it() -> None:
    done = Drive()
    done.aim(*GOAL)
    done.run(2.0)
    x, y = done.goals[-1][:2]
    done.discs = ((x, y, 1.5),)
    assert done.run(400.0).state is NavigatorState.REACHED
    assert done.far.executive.replans == 0


def test_ground_that_no_way_leads_through_is_gone_round_by_another_route() -> None:
    wall = tuple((60.0, y, 1.0) for y in np.arange(38.0, 62.1, 1.5))
    small = NavigatorConfig(costmap=CostmapConfig(margin_m=10.0, resolution_m=0.5))
    done = Drive(discs=wall)
    done.navigator = Navigator(small, LIMITS)
    done.far = FarGoal(done.navigator, done._planned, done.settings)
    done.aim(*GOAL)
    end = done.run(900.0)
    assert end.state is NavigatorState.REACHED, end.reason
    assert max(abs(o[1] - 50.0) for o in done.goals) > 6.0


def test_less_light_or_charge_than_planned_asks_for_another_route() -> None:
    for change, words in (
        ({"light": 0.0}, "of the Sun are in sight"),
        ({"energy_wh": 0.5 * CELLS.capacity_wh}, "Wh less than planned"),
    ):
        done = Drive()
        done.aim(*GOAL)
        done.run(20.0)
        done.supply = replace(done.supply, **change)
        done.run(30.0)
        assert [r.why for r in done.requests if words in r.why], words
        assert done.requests[1].start_m != START


def test_a_simulation_that_is_reset_plans_the_same_goal_anew() -> None:
    done = Drive()
    done.aim(*GOAL)
    done.run(30.0)
    done.x, done.y, done.yaw, done.v, done.now_ns = *START, 0.0, 0.0, 0
    done.far.restart()
    assert done.run(300.0).state is NavigatorState.REACHED
    assert [r.start_m for r in done.requests] == [START, START]
