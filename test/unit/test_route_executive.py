"""A long way driven on simulated time: followed as planned, and planned anew where it must be."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from route_worlds import BATTERY, DRIVE, HOTEL_W, PLAIN, SUN_W, flat, planner_of

from ilrs_robots.core.control.route_executive import (
    Directive,
    ExecutiveConfig,
    RouteExecutive,
    RouteRequest,
    RouteState,
)
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.route_survive import stored

STEP_S = 600.0
HOURS = 4
DEM = flat(11, 60, 20.0)
START, GOAL = (20.0, 100.0), (1160.0, 100.0)
SMALL = replace(BATTERY, capacity_wh=85.0)
STATE = DRIVE.state(0.0)
SPEED_MPS = 0.5 * (1.0 - float(STATE.slip[0]))
WHEELS_W = float(STATE.energy_jpm[0]) * SPEED_MPS
SETTINGS = ExecutiveConfig(late_s=600.0, least_s=300.0, dark_s=60.0, closed_m=30.0, charge=0.1)
CONFIG = replace(PLAIN, place_m=20.0, hours_per_charge=2.0, charge_margin=0.1)


def night_from(hour: float) -> np.ndarray:
    """Lit until an hour, then only x below 200 m and above 1000 m, and a band in the middle."""
    steps = round(HOURS * 3600.0 / STEP_S)
    x = np.broadcast_to(DEM.spec.x_m(), DEM.spec.shape)
    share = np.ones((steps, *DEM.spec.shape))
    lit = (x < 200.0) | (x > 1000.0) | (np.abs(x - 600.0) < 60.0)
    share[round(hour * 3600.0 / STEP_S) :] = lit
    return share


@dataclass
class Drive:
    """A vehicle that does as it is told; its speed, its thirst and its light may be others."""

    believed: np.ndarray
    true: np.ndarray
    speed: float = 1.0
    thirst_w: float = 0.0
    wall: Callable[[float, float], bool] = lambda _x, _y: False
    charge: float = 0.6
    settings: ExecutiveConfig = SETTINGS
    explain: bool = False
    now_s: float = 0.0
    x: float = START[0]
    y: float = START[1]
    least_wh: float = math.inf
    requests: list[RouteRequest] = field(default_factory=list)
    states: list[RouteState] = field(default_factory=list)
    stood: dict[tuple[float, float], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wh = self.charge * SMALL.capacity_wh
        self.route = RouteExecutive(self.settings, GOAL)

    def plan(self, request: RouteRequest) -> None:
        self.requests.append(request)
        first = int(request.depart_s / STEP_S)
        planner = planner_of(
            DEM, self.believed[first:], request.start_m, request.goal_m,
            config=replace(CONFIG, speed_share=0.5 * request.pace),
            battery=SMALL, step_s=STEP_S, keep_outs=request.keep_outs,
        )  # fmt: skip
        self.route.answered(
            planner.plan(request.energy_wh / SMALL.capacity_wh, latest=False, explain=self.explain)
        )

    def light(self) -> float:
        row, col = DEM.spec.cell_of(np.array([self.x, self.y]))
        step = min(int(self.now_s / STEP_S), len(self.true) - 1)
        return float(self.true[step, row, col])

    def run(self, hours: float = HOURS, dt_s: float = 20.0) -> Directive:
        for _ in range(round(hours * 3600.0 / dt_s)):
            told = self.route.update(self.now_s, (self.x, self.y), self.wh, self.light())
            if not self.states or self.states[-1] is not told.state:
                self.states.append(told.state)
            if told.state in (RouteState.REACHED, RouteState.FAILED):
                break
            if self.route.request is not None:
                assert told.goal_m is None, "it stands while it is planned"
                self.plan(self.route.request)
                continue
            self.move(told, dt_s)
        return told

    def move(self, told: Directive, dt_s: float) -> None:
        watts = self.light() * SUN_W - HOTEL_W
        if told.goal_m is None:
            here = (round(self.x), round(self.y))
            self.stood[here] = self.stood.get(here, 0.0) + dt_s
        else:
            away = math.dist(told.goal_m, (self.x, self.y))
            step = min(SPEED_MPS * self.speed * dt_s, away)
            if away > 1e-9:
                x = self.x + step * (told.goal_m[0] - self.x) / away
                y = self.y + step * (told.goal_m[1] - self.y) / away
                if self.wall(x, y):
                    self.route.blocked(self.now_s, (self.x, self.y), self.wh, "it is walled in")
                    return
                self.x, self.y = x, y
            if away - step < 1e-6:
                self.route.arrived()
            dt_s = max(step / (SPEED_MPS * self.speed), 1e-3)
            watts -= WHEELS_W + self.thirst_w
        self.now_s += dt_s
        self.wh = float(stored(self.wh, watts, dt_s, np.array([
            SMALL.capacity_wh, 0.0, SMALL.max_charge_w, SMALL.charge_efficiency,
            SMALL.discharge_efficiency,
        ])))  # fmt: skip
        self.least_wh = min(self.least_wh, self.wh)

    def arrived(self) -> bool:
        return math.dist((self.x, self.y), GOAL) < 2.0


def drive(**changes: Any) -> Drive:
    world = {"believed": night_from(0.0), "true": night_from(0.0), **changes}
    return Drive(**world)


def test_a_route_is_followed_as_planned_with_its_stops() -> None:
    """What the battery holds does not last across the dark: it charges before, where it is lit."""
    done = drive()
    end = done.run()
    assert end.state is RouteState.REACHED
    assert done.arrived()
    assert done.route.replans == 0
    assert RouteState.STANDING in done.states
    assert all(x < 200.0 or abs(x - 600.0) < 60.0 for x, _ in done.stood)
    assert sum(done.stood.values()) > 200.0
    answer = done.route.route
    assert answer is not None
    assert done.now_s == pytest.approx(answer.arrive_s, rel=0.02)
    assert done.least_wh > SMALL.reserve * SMALL.capacity_wh


def test_near_goals_are_never_farther_than_a_hop() -> None:
    done = drive()
    at, seen = START, []
    for _ in range(4000):
        told = done.route.update(done.now_s, (done.x, done.y), done.wh, done.light())
        if told.state is RouteState.REACHED:
            break
        if done.route.request is not None:
            done.plan(done.route.request)
            continue
        if told.goal_m is not None and told.goal_m != at:
            seen.append(math.dist(told.goal_m, (done.x, done.y)))
            at = told.goal_m
        done.move(told, 20.0)
    assert max(seen) <= SETTINGS.hop_m + 1.0
    assert len(seen) >= 8


def test_a_vehicle_that_is_slower_than_planned_plans_anew_and_still_lives() -> None:
    done = drive(speed=0.8)
    end = done.run()
    assert end.state is RouteState.REACHED
    assert done.requests[0].pace == 1.0
    assert 0.75 < done.requests[-1].pace < 0.9, "the next plan counts on what was seen"
    assert done.least_wh > 0.0
    gaps = np.diff([r.depart_s for r in done.requests if r.why])
    assert (gaps >= SETTINGS.least_s).all()


def test_a_battery_that_falls_short_of_the_plan_is_answered_by_charging_longer() -> None:
    thirsty, lean = drive(thirst_w=40.0), drive()
    assert thirsty.run().state is RouteState.REACHED
    lean.run()
    assert any("Wh less than planned" in r.why for r in thirsty.requests)
    assert sum(thirsty.stood.values()) > sum(lean.stood.values())
    assert thirsty.least_wh > 0.0


def test_a_shadow_that_comes_early_is_seen_and_the_map_that_knows_it_is_asked() -> None:
    done = drive(believed=night_from(3.0), true=night_from(0.0))
    plan = done.plan

    def informed(request: RouteRequest) -> None:
        if request.why:
            done.believed = done.true
        plan(request)

    done.plan = informed  # type: ignore[method-assign]
    assert done.run().state is RouteState.REACHED
    whys = [r.why for r in done.requests if r.why]
    assert any("of the Sun are in sight, planned were 100 %" in why for why in whys)
    assert done.least_wh > 0.0


def test_ground_that_turns_out_to_be_closed_is_gone_round() -> None:
    done = drive(believed=night_from(99.0), true=night_from(99.0),
                 settings=replace(SETTINGS, hop_m=40.0),
                 wall=lambda x, y: abs(x - 400.0) < 15.0 and 50.0 < y < 140.0)  # fmt: skip
    assert done.run().state is RouteState.REACHED
    blocked = [r for r in done.requests if "no way was found" in r.why]
    assert blocked
    for before, after in itertools.pairwise(blocked):
        assert len(after.keep_outs) == len(before.keep_outs) + 1


def test_walled_in_it_gives_up_after_a_bounded_number_of_places() -> None:
    done = drive(believed=night_from(99.0), true=night_from(99.0),
                 wall=lambda x, _y: x > 400.0,
                 settings=replace(SETTINGS, most_closed=3))  # fmt: skip
    end = done.run()
    assert end.state is RouteState.FAILED
    assert "given up after 3 places" in end.sentence
    assert "walled in" in end.sentence
    assert len(done.requests) == 4


def test_a_goal_that_cannot_be_reached_is_refused_before_anything_moves() -> None:
    night = np.zeros_like(night_from(0.0))
    done = drive(believed=night, true=night, charge=0.5, explain=True)
    end = done.run()
    assert end.state is RouteState.FAILED
    assert "it needs" in end.sentence, "what would have to change"
    assert (done.x, done.y) == START


def test_when_the_goal_is_lost_on_the_way_it_goes_where_it_can_live_and_says_why() -> None:
    done = drive(speed=0.5)
    end = done.run()
    assert end.state is RouteState.FAILED
    assert end.sentence
    assert START[0] + 100.0 < done.x < 1000.0
    assert done.light() == 1.0, "it stands where it can live"
    assert done.now_s < 3600.0, "and says so at once"


def test_where_no_better_way_is_left_the_one_in_force_is_driven_on() -> None:
    """Short of power forty metres before the light: to stop there would be the end."""
    done = drive(thirst_w=40.0)
    assert done.run().state is RouteState.REACHED
    dark = [r for r in done.requests if 700.0 < r.start_m[0] < 1000.0]
    assert dark, "it asked, and nobody could help"
    assert done.least_wh > 0.0


def test_a_planner_that_refuses_ends_the_goal_with_its_sentence() -> None:
    route = RouteExecutive(SETTINGS, GOAL)
    assert route.update(0.0, START, 300.0).state is RouteState.PLANNING
    assert route.request is not None
    route.refused(str(PlanningError("the start is unknown ground")))
    end = route.update(1.0, START, 300.0)
    assert (end.state, end.sentence) == (RouteState.FAILED, "the start is unknown ground")


@pytest.mark.parametrize("blocked", [False, True])
def test_a_planner_that_refuses_on_the_way_leaves_the_route_in_force(blocked: bool) -> None:
    """An error of the planner must not leave the vehicle in the dark it just drives through."""
    done = drive(thirst_w=40.0)
    plan = done.plan

    def broken(request: RouteRequest) -> None:
        if not request.why:
            plan(request)
        else:
            done.requests.append(request)
            done.route.refused("planner broke off")

    done.plan = broken  # type: ignore[method-assign]
    if blocked:
        done.wall = lambda x, _y: x > 500.0
        end = done.run()
        assert (end.state, end.sentence) == (RouteState.FAILED, "planner broke off")
        return
    assert done.run().state is RouteState.REACHED
    assert len(done.requests) > 1
