"""Vehicles that meet: each gets where it wants to, none touches another, and no dance lasts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fleet_worlds import Car, Plane
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.control.fleet import FleetConfig, FleetMemory, PeerBody, PeerWord
from ilrs_robots.core.control.navigator import NavigatorError, NavigatorState
from ilrs_robots.core.control.right_of_way import (
    even_line,
    first_within,
    in_the_way,
    passing_place,
    way_from,
)
from ilrs_robots.core.types import GridSpec

S = 1_000_000_000
BODY = PeerBody(1.5, 1.0, (0, "a"))
WALL_M = 2.0


def corridor(x, y):
    """Walls on both sides of a lane that one vehicle fills."""
    return (abs(x) < 10.0) & (abs(y) > WALL_M)


def open_ground(x, y):
    return np.zeros_like(x, dtype=bool)


def meet(ground, places, goals, seconds):
    """Long-range vehicles a, b, ... at (x, y, yaw); those whose goal is None stand."""
    cars = [Car(name, "long_range", *place) for name, place in zip("abcdef", places, strict=False)]
    plane = Plane(cars, ground)
    for car, goal in zip(cars, goals, strict=True):
        if goal is not None:
            car.navigator.set_goal(*goal)
    plane.run(seconds)
    return plane, cars


def test_two_meet_between_walls_and_both_get_through() -> None:
    places = [(-4.0, 0.0, 0.0), (6.5, 0.0, math.pi)]
    plane, (first, second) = meet(corridor, places, [(16.0, 0.0), (0.0, 0.0)], 200.0)
    assert first.out.state is NavigatorState.REACHED, first.said
    assert second.out.state is NavigatorState.REACHED, second.said
    assert plane.nearest_m > 0.3
    assert first.navigator.meetings.count == 0  # by its name it goes first
    assert "goes aside for a" in second.said
    assert "has gone aside for a" in second.said


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_crowds_on_open_ground_get_where_they_want(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.linspace(0.0, math.tau, 5)[:4] + rng.uniform(-0.3, 0.3, 4)
    ends = 14.0 * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    places = [(x, y, float(rng.uniform(-3.0, 3.0))) for x, y in ends]
    plane, cars = meet(open_ground, places, [tuple(-end) for end in ends], 600.0)
    assert [car.out.state for car in cars] == [NavigatorState.REACHED] * 4, [c.said for c in cars]
    assert plane.nearest_m > 0.3


def test_one_that_stands_on_open_ground_is_driven_around() -> None:
    places = [(-10.0, 0.0, 0.0), (0.0, 0.0, 0.0)]
    plane, (first, _) = meet(open_ground, places, [(8.0, 0.0), None], 90.0)
    assert first.out.state is NavigatorState.REACHED, first.said
    assert plane.nearest_m > 0.2


def test_one_that_closes_the_only_way_ends_the_goal_with_its_name() -> None:
    def closed(x, y):
        return abs(y) > WALL_M

    places = [(-7.0, 0.0, 0.0), (0.0, 0.0, 0.0)]
    plane, (first, _) = meet(closed, places, [(9.0, 0.0), None], 120.0)
    assert first.out.state is NavigatorState.FAILED
    assert first.out.error_code is NavigatorError.VEHICLE_IN_WAY
    assert first.out.reason.startswith("b stands in the way")
    assert plane.nearest_m > 0.3


def test_one_that_wants_through_and_never_comes_is_not_danced_around_for_ever() -> None:
    """Its wheels are stuck: it tells its way for ever, and the other yields a bounded number."""
    fleet = FleetConfig(swap_s=3.0, pass_s=20.0, parked_s=5.0, max_meetings=2)
    stuck = Car("a", "long_range", -4.0, 0.0, 0.0, fleet=fleet)
    other = Car("b", "long_range", 6.0, 0.0, math.pi, fleet=fleet)
    plane = Plane([stuck, other], corridor)
    stuck.moves = False
    stuck.navigator.set_goal(16.0, 0.0)
    other.navigator.set_goal(-16.0, 0.0)
    for _ in range(30):
        plane.run(5.0)
        if other.out.state is NavigatorState.FAILED:
            break
    assert other.out.state is NavigatorState.FAILED, other.said
    assert other.out.error_code is NavigatorError.VEHICLE_IN_WAY
    assert "a" in other.out.reason
    assert other.navigator.meetings.count <= fleet.max_meetings
    assert plane.nearest_m > 0.3


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.0, 3.0), st.floats(-math.pi, math.pi), st.floats(-0.5, 0.5), st.floats(0.0, 8.0),
)  # fmt: skip
def test_a_disc_holds_the_vehicle_whatever_it_did_since(
    speed: float, heading: float, accel: float, age_s: float
) -> None:
    """It drives on, speeds up or brakes; while words are fresh, and as it falls silent."""
    memory = FleetMemory({"a": BODY}, FleetConfig())
    vx, vy = speed * math.cos(heading), speed * math.sin(heading)
    assert memory.hear("a", PeerWord(S, 5.0, -3.0, vx, vy, 0.1), S)
    (disc,) = memory.discs(S + round(age_s * S))
    t = min(age_s, FleetConfig().silent_s)
    if accel < 0.0:
        t = min(t, speed / -accel)
    way = speed * t + 0.5 * accel * t * t if disc.silent_s <= 3.0 else min(1.0, t) * speed
    at = 5.0 + way * math.cos(heading), -3.0 + way * math.sin(heading)
    slack = 0.0 if speed > 0.0 or accel <= 0.0 else way
    assert math.dist(at, (disc.x_m, disc.y_m)) + BODY.radius_m <= disc.radius_m + slack + 1e-6


def test_a_silent_vehicle_stays_where_it_was_last_seen() -> None:
    memory = FleetMemory({"a": BODY}, FleetConfig())
    memory.hear("a", PeerWord(S, 5.0, -3.0), S)
    memory.hear_plan("a", S, np.array([[5.0, -3.0], [50.0, 0.0]]), S)
    for hours in (0.01, 1.0, 1000.0):
        (disc,) = memory.discs(round(hours * 3600 * S))
        assert (disc.x_m, disc.y_m, disc.radius_m) == (5.0, -3.0, BODY.radius_m)
        assert disc.stands
        assert len(disc.plan_m) == 0


def test_words_that_cannot_be_used_are_counted_and_change_nothing() -> None:
    memory = FleetMemory({"a": BODY}, FleetConfig())
    memory.hear("a", PeerWord(10 * S, 1.0, 2.0), 10 * S)
    for name, word in (
        ("b", PeerWord(10 * S, 0.0, 0.0)),
        ("a", PeerWord(11 * S, math.nan, 0.0)),
        ("a", PeerWord(11 * S, 0.0, 0.0, sigma_m=-1.0)),
        ("a", PeerWord(9 * S, 0.0, 0.0)),
        ("a", PeerWord(99 * S, 0.0, 0.0)),
    ):
        assert not memory.hear(name, word, 10 * S)
    assert dict(memory.refused) == {
        "stranger": 1, "not_finite": 2, "late": 1, "from_the_future": 1
    }  # fmt: skip
    assert memory.hear_plan("a", 10 * S, np.array([[5.0, 0.0]]), 10 * S)
    assert not memory.hear_plan("a", 10 * S, np.array([[math.inf, 0.0]]), 10 * S)
    assert not memory.hear_plan("a", 99 * S, np.array([[7.0, 0.0]]), 10 * S)
    assert (memory.refused["plan"], memory.refused["plan_from_the_future"]) == (1, 1)
    (disc,) = memory.discs(10 * S)
    assert (disc.x_m, disc.y_m, disc.idle_s) == (1.0, 2.0, 0.0)
    assert disc.plan_m.tolist() == [[5.0, 0.0]]
    (later,) = memory.discs(12 * S)
    assert later.idle_s == 2.0  # a way of another time made nobody busy


def test_first_within_lets_a_line_leave_what_it_begins_in() -> None:
    line, along = even_line(np.array([[0.0, 0.0], [10.0, 0.0]]), 20.0)
    assert first_within(line, along, np.array([[6.0, 1.0]]), 2.0) == pytest.approx(4.25, abs=0.26)
    assert first_within(line, along, np.array([[-1.0, 0.0]]), 2.0) == math.inf
    assert first_within(line, along, np.array([[1.0, 0.0]]), 2.0) <= 0.25
    assert first_within(line, along, np.array([[5.0, 9.0]]), 2.0) == math.inf


def test_who_goes_away_is_not_hindered_by_who_stands_behind() -> None:
    way, along = even_line(np.array([[0.0, 0.0], [10.0, 0.0]]), 20.0)
    assert not in_the_way((-1.0, 0.0), way, along, 3.0)
    assert in_the_way((5.0, 1.0), way, along, 3.0)
    left = way_from((4.0, 0.2), np.array([[0.0, 0.0], [10.0, 0.0]]))
    assert left[0].tolist() == [4.0, 0.2]
    assert left[1, 0] > 4.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(1.0, 4.0))
def test_a_passing_place_is_open_reached_and_far_enough_from_the_way(
    seed: int, needed_m: float
) -> None:
    rng = np.random.default_rng(seed)
    spec = GridSpec(-10.0, -10.0, 0.5, 41, 41)
    cost = (rng.random(spec.shape) < 0.25).astype(np.float32)
    cost[20, 20] = 0.0
    way = even_line(rng.uniform(-10.0, 10.0, (2, 2)), 40.0)[0]
    place = passing_place(cost, spec, (0.0, 0.0), [(way, needed_m)], 0.99, 10.0)
    if place is None:
        return
    row, col = spec.cell_of(np.array(place))
    assert cost[row, col] < 0.99
    away = np.hypot(*(way - np.array(place)).T).min()
    assert away > needed_m - spec.resolution_m * 1.5
