"""The search through space, time and energy against brute force, and what it promises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from route_worlds import BATTERY, PLAIN, flat, planner_of, sun_of

from ilrs_robots.core.planning.route_plan import RoutePlanner
from ilrs_robots.core.planning.route_survive import NEVER, stored

STEPS, STEP_S = 3, 110.0
"""A little over two moves of a small world, so that drives end in every part of a step."""


def small(seed: int, parked_w: float = 800.0) -> RoutePlanner:
    """Six cells in changing light; the battery does for a few moves."""
    rng = np.random.default_rng(seed)
    dem = flat(2, 3)
    share = (rng.random((STEPS, *dem.spec.shape)) < 0.5) * rng.random((STEPS, 1, 1))
    battery = replace(BATTERY, capacity_wh=14.0, reserve=0.2, max_charge_w=2000.0)
    config = replace(PLAIN, speed_share=0.2)
    return planner_of(
        dem, share, (0.0, 0.0), (20.0, 10.0), battery=battery,
        step_s=STEP_S, sun=sun_of(STEPS, parked_w, 500.0), config=config,
    )  # fmt: skip


State = tuple[int, float, float]


def moves(planner: RoutePlanner, n: int, t: float, wh: float, free: bool) -> Iterator[State]:
    """Every drive from a place at a time that keeps to the floor, and to the needs unless free."""
    graph, b, step_s = planner.graph, planner.battery, planner.light.step_s
    hotel = planner.ground.vehicle.hotel_w
    for e in range(graph.first[n], graph.first[n + 1]):
        end, here, left = t + graph.time_s[e], t, wh
        while here < end - 1e-9 and left >= b[1]:
            k = int(here / step_s + 1e-9)
            if k >= planner.light.steps:
                left = -math.inf
                break
            until = min(end, (k + 1) * step_s)
            net = planner.incomes.driving_w10[k, e] / 10.0 - hotel - planner.wheels_w[e]
            left, here = stored(left, net, until - here, b), until
        k = int(end / step_s + 1e-9)
        if left < b[1] or k >= planner.light.steps:
            continue
        v = int(graph.to[e])
        kept = stored(left, float(planner.incomes.standing_w[k, v]), (k + 1) * step_s - end, b)
        if free or kept >= planner.need[k + 1, v] or left >= planner.onward[k, v]:
            yield v, end, left


def brute(planner: RoutePlanner, goal: int, wh: float) -> list[tuple[float, float]]:
    """Time and energy of every arrival, by trying everything."""
    found, b, step_s = [], planner.battery, planner.light.step_s
    start = planner.place_of(planner.start)
    if wh < planner.need[0, start]:
        return []
    stack, seen = [(start, 0.0, wh)], set()
    while stack:
        n, t, held = stack.pop()
        if (n, round(t, 6), round(held, 9)) in seen:
            continue
        seen.add((n, round(t, 6), round(held, 9)))
        if n == goal:
            found.append((t, held))
            continue
        stack += list(moves(planner, n, t, held, False))
        k = int(t / step_s + 1e-9)
        if k + 1 < planner.light.steps:
            left = stored(held, float(planner.incomes.standing_w[k, n]), (k + 1) * step_s - t, b)
            if left >= max(b[1], planner.need[k + 1, n]):
                stack.append((n, (k + 1) * step_s, left))
    return found


def some_of(count: int, seeds: Sequence[int] | None = None) -> list[Any]:
    """The first three seeds at every run, the others in the long form."""
    long = [pytest.param(seed, marks=pytest.mark.soak) for seed in (seeds or range(count))[3:]]
    return [*(seeds or range(count))[:3], *long]


@pytest.mark.parametrize("seed", some_of(8))
def test_first_arrival_is_that_of_brute_force(seed: int) -> None:
    planner = small(seed)
    goal = planner.place_of(planner.goal)
    for wh in (3.2, 5.0, 8.0):
        every = brute(planner, goal, wh)
        found = planner.look(wh)
        assert (found.best >= 0) == bool(every), (seed, wh)
        if every:
            assert found.when[found.best] == pytest.approx(min(t for t, _ in every))


@pytest.mark.parametrize("seed", some_of(6))
def test_no_arrival_of_brute_force_is_better_than_all_labels(seed: int) -> None:
    """Exact where standing charges nothing; where it does, up to the length of a step."""
    planner = small(seed, 0.0)
    goal, b, step_s = planner.place_of(planner.goal), planner.battery, planner.light.step_s
    found = planner.look(8.0, value_h=1e6)
    at = np.flatnonzero(found.node == goal)
    for t, wh in brute(planner, goal, 8.0):
        best = -math.inf
        for label in at[found.when[at] <= t + 1e-9]:
            held, now = float(found.has[label]), float(found.when[label])
            while now < t - 1e-9:
                k = int(now / step_s + 1e-9)
                until = min(t, (k + 1) * step_s)
                power = float(planner.incomes.standing_w[k, goal])
                held, now = stored(held, power, until - now, b), until
            best = max(best, held)
        assert best >= wh - 1e-4, (seed, t, wh)


def lives(planner: RoutePlanner, n: int, t: float, wh: float) -> bool:
    """Whether something can be done so that the vehicle lives until the light maps end."""
    b, step_s = planner.battery, planner.light.step_s
    k = int(t / step_s + 1e-9)
    left = stored(wh, float(planner.incomes.standing_w[k, n]), (k + 1) * step_s - t, b)
    if left >= b[1]:
        if k + 1 == planner.light.steps:
            if left >= planner.need[k + 1, n]:
                return True
        elif lives(planner, n, (k + 1) * step_s, left):
            return True
    return any(lives(planner, *state) for state in moves(planner, n, t, wh, True))


@pytest.mark.parametrize("seed", some_of(6))
def test_what_a_place_is_said_to_need_does(seed: int) -> None:
    planner = small(seed)
    known = np.argwhere(planner.need[:-1] < NEVER)
    assert len(known)
    for k, n in known:
        assert lives(planner, int(n), k * STEP_S, float(planner.need[k, n]) + 1e-3), (k, n)


@pytest.mark.parametrize("seed", some_of(6))
def test_every_state_that_is_planned_into_can_be_left_alive(seed: int) -> None:
    planner = small(seed)
    found = planner.look(9.0, value_h=1e6)
    for n, t, wh in zip(found.node, found.when, found.has, strict=True):
        assert lives(planner, int(n), float(t), float(wh) + 1e-3), (n, t, wh)


@pytest.mark.parametrize("seed", some_of(5, (1, 2, 3, 6, 7)))
def test_latest_departure_holds_and_one_step_later_fails(seed: int) -> None:
    planner = small(seed)
    answer = planner.plan(8.0 / 14.0)
    assert answer.reached
    assert answer.latest_s is not None
    last = round(answer.latest_s / STEP_S)
    goal, wh, could = planner.place_of(planner.start), 8.0, []
    for k in range(planner.light.steps):
        could.append(wh >= max(planner.battery[1], planner.need[k, goal]) - 1e-9
                     and planner.look(wh, k).best >= 0)  # fmt: skip
        power = float(planner.incomes.standing_w[k, goal])
        wh = stored(wh, power, STEP_S, planner.battery)
    assert could[last]
    assert not any(could[last + 1 :])
    assert all(could[: last + 1]), "who can leave later can leave now: it may wait"
