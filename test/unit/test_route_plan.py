"""Routes against hand-made truth: energy, direction, light, chargers, and why there is none."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from route_worlds import BATTERY, DRIVE, HOTEL_W, PLAIN, SUN_W, dem_of, flat, planner_of, sun_of

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.planning.route_types import RouteAnswer, RouteCharger

DARK, LIT = np.zeros(3), np.ones(24)


def driven_wh(answer: RouteAnswer) -> float:
    return sum(leg.used_wh for leg in answer.legs if leg.kind == "drive")


def expected_wh(slope: float, length_m: float) -> tuple[float, float]:
    """Energy on the bus and time of a straight drive, from the drive model itself."""
    state = DRIVE.state(slope)
    speed = 0.5 * (1.0 - max(float(state.slip[0]), 0.0))
    time_s = length_m / speed
    return (float(state.energy_jpm[0]) * length_m + HOTEL_W * time_s) / 3600.0, time_s


def test_level_ground_costs_what_the_drive_model_says() -> None:
    answer = planner_of(flat(3, 20), DARK, (0.0, 10.0), (190.0, 10.0)).plan(1.0)
    used, time_s = expected_wh(0.0, 190.0)
    assert answer.reached
    assert answer.arrive_s == pytest.approx(time_s, rel=1e-3)
    assert driven_wh(answer) == pytest.approx(used, rel=1e-3)
    taken = 1000.0 - answer.track.energy_wh[-1]
    assert taken == pytest.approx(used / BATTERY.discharge_efficiency, rel=1e-3)


@pytest.mark.parametrize("up", [True, False])
def test_uphill_is_not_downhill(up: bool) -> None:
    dem = dem_of(lambda x, y: x * math.tan(math.radians(10.0)), 3, 20)
    ends = ((0.0, 10.0), (190.0, 10.0))
    answer = planner_of(dem, DARK, *(ends if up else ends[::-1])).plan(1.0)
    slope = math.radians(10.0 if up else -10.0)
    used, time_s = expected_wh(slope, 190.0 / math.cos(slope))
    assert driven_wh(answer) == pytest.approx(used, rel=5e-3)
    assert answer.arrive_s == pytest.approx(time_s, rel=5e-3)


def test_it_goes_round_a_hill_rather_than_over_it() -> None:
    def hill(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 40.0 * np.exp(-((x - 200.0) ** 2 + (y - 200.0) ** 2) / 2.0 / 60.0**2)

    dem = dem_of(hill, 41, 41)
    config = replace(PLAIN, hours_per_charge=100.0)
    answer = planner_of(
        dem, DARK, (0.0, 200.0), (400.0, 200.0), max_slope_deg=30.0, config=config
    ).plan(1.0)
    assert answer.reached
    assert answer.track.height_m.max() < 20.0, "the top is at 40 m"
    over = answer.length_m
    assert 400.0 < over < 600.0


def test_steep_ground_is_kept_clear_of_with_a_margin() -> None:
    dem = dem_of(
        lambda x, y: 40.0 * (np.abs(y - 100.0) < 35.0) * (np.abs(x - 100.0) < 15.0), 21, 21
    )
    config = replace(PLAIN, slope_margin_deg=5.0)
    answer = planner_of(dem, DARK, (0.0, 100.0), (200.0, 100.0), config=config).plan(1.0)
    assert answer.reached
    assert math.degrees(answer.track.slope_rad.max()) <= 15.0 + 1e-6


def dark_belt(lit_from_step: int, steps: int = 30) -> np.ndarray:
    """Lit at both ends; a belt of 1.4 km between them is dark until a step."""
    share = np.ones((steps, 3, 200))
    share[:lit_from_step, :, 30:170] = 0.0
    return share


def test_it_waits_in_the_light_for_what_the_battery_does_not_carry_it_through() -> None:
    """The dark belt takes 140 Wh out of the battery, which gives 108 at most."""
    battery = replace(BATTERY, capacity_wh=120.0)
    planner = planner_of(flat(3, 200), dark_belt(12), (0.0, 10.0), (1990.0, 10.0), battery=battery)
    answer = planner.plan(0.5)
    assert answer.reached
    waits = [leg for leg in answer.legs if leg.kind != "drive"]
    assert waits
    assert all(leg.light == 1.0 for leg in waits), "it waits where it is lit"
    assert answer.arrive_s > 11.0 * 3600.0
    assert answer.least_wh >= answer.floor_wh - 1e-6
    large = replace(BATTERY, capacity_wh=2000.0)
    at_once = planner_of(flat(3, 200), dark_belt(12), (0.0, 10.0), (1990.0, 10.0), battery=large)
    assert at_once.plan(0.5).arrive_s < 2.0 * 3600.0


def test_it_stops_at_a_charger_on_the_way_when_it_must() -> None:
    """From start to goal take 200 Wh of 234, to the charger half-way, and back to it, 100 each."""
    charger = RouteCharger("charger", 1000.0, 10.0, 5.0, 400.0)
    battery = replace(BATTERY, capacity_wh=260.0)
    world = flat(3, 200), np.zeros(24), (0.0, 10.0), (1990.0, 10.0)
    without = planner_of(*world, battery=battery).plan(1.0)
    assert not without.reached
    answer = planner_of(*world, battery=battery, chargers=(charger,)).plan(1.0)
    assert answer.reached, answer.reason
    stops = [leg for leg in answer.legs if leg.kind == "charge"]
    assert stops
    x = answer.track.xy_m[stops[0].first][0]
    assert x == pytest.approx(1000.0, abs=10.0)


def test_it_does_not_go_where_it_could_not_leave_alive() -> None:
    """The goal lies 1 km, 100 Wh, in the dark: 180 Wh do for the way there and not back."""
    share = np.ones((40, 3, 130))
    share[:, :, 30:] = 0.0
    battery = replace(BATTERY, capacity_wh=200.0)
    world = flat(3, 130), share, (0.0, 10.0), (1290.0, 10.0)
    answer = planner_of(*world, battery=battery).plan(1.0)
    assert not answer.reached
    assert "live on" in answer.reason
    assert any("Wh more" in change for change in answer.changes)
    assert answer.track.energy_wh.min() >= answer.floor_wh - 1e-6
    share[8:] = 1.0
    answer = planner_of(*world, battery=battery).plan(1.0)
    assert answer.reached, answer.reason


def test_latest_departure_is_before_the_dark_comes() -> None:
    """The way goes dark for good at 10 h; the goal has a charger."""
    share = np.ones((30, 3, 200))
    share[10:, :, 30:170] = 0.0
    battery = replace(BATTERY, capacity_wh=120.0)
    charger = RouteCharger("charger", 1990.0, 10.0, 5.0, 400.0)
    planner = planner_of(flat(3, 200), share, (0.0, 10.0), (1990.0, 10.0), battery=battery,
                         chargers=(charger,))  # fmt: skip
    answer = planner.plan(1.0)
    assert answer.reached
    assert answer.latest_s is not None
    assert 8.0 <= answer.latest_s / 3600.0 < 10.0
    step = round(answer.latest_s / 3600.0)
    assert planner.look(120.0, step).best >= 0
    assert planner.look(120.0, step + 1).best < 0


def test_a_whole_battery_at_arrival_is_worth_waiting_for_if_it_is_said_to_be() -> None:
    share = np.ones((24, 3, 60))
    share[:, :, 20:] = 0.0
    hasty = planner_of(flat(3, 60), share, (0.0, 10.0), (590.0, 10.0)).plan(0.5)
    config = replace(PLAIN, hours_per_charge=48.0)
    calm = planner_of(flat(3, 60), share, (0.0, 10.0), (590.0, 10.0), config=config).plan(0.5)
    assert calm.arrive_s > hasty.arrive_s + 3600.0
    assert calm.track.energy_wh[-1] > hasty.track.energy_wh[-1] + 100.0


def test_more_battery_is_said_in_watt_hours_and_is_enough() -> None:
    battery = replace(BATTERY, capacity_wh=150.0)
    world = flat(3, 200), np.zeros(4), (0.0, 10.0), (1990.0, 10.0)
    answer = planner_of(*world, battery=battery).plan(1.0)
    assert not answer.reached
    words = next(c for c in answer.changes if "battery that holds" in c)
    more = float(words.split("holds ")[1].split(" Wh")[0])
    assert planner_of(*world, battery=replace(battery, capacity_wh=150.0 + more)).plan(1.0).reached
    less = replace(battery, capacity_wh=150.0 + 0.9 * more)
    assert not planner_of(*world, battery=less).plan(1.0).reached


def test_a_partial_route_ends_nearer_to_the_goal() -> None:
    dem = dem_of(lambda x, y: np.where(x > 300.0, 60.0, 0.0), 11, 61)
    answer = planner_of(dem, LIT, (0.0, 50.0), (600.0, 50.0)).plan(1.0)
    assert not answer.reached
    assert "no way from start to goal" in answer.reason
    assert answer.track.xy_m[-1][0] == pytest.approx(280.0, abs=20.0)


def test_a_slope_that_would_have_to_be_allowed_is_named() -> None:
    dem = dem_of(lambda x, y: np.clip(x - 200.0, 0.0, 100.0) * math.tan(math.radians(25.0)), 5, 61)
    answer = planner_of(dem, LIT, (0.0, 20.0), (600.0, 20.0)).plan(1.0)
    assert not answer.reached
    words = next(c for c in answer.changes if "deg would have to be allowed" in c)
    assert float(words.split("slopes of ")[1].split(" ")[0]) == pytest.approx(25.0, abs=0.2)


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ((300.0, 100.0), "lies on a slope of"),
        ((100.0, 100.0), "keep-out 'pad'"),
    ],
)
def test_a_goal_on_closed_ground_is_refused_with_its_reason(
    goal: tuple[float, float], words: str
) -> None:
    dem = dem_of(
        lambda x, y: np.abs(x - 300.0) * math.tan(math.radians(30.0)) * (x > 200.0), 21, 41
    )
    dem = dem_of(lambda x, y: np.clip(x - 200.0, 0.0, None) * math.tan(math.radians(30.0)), 21, 41)
    pad = KeepOut("pad", 100.0, 100.0, 35.0)
    planner = planner_of(dem, LIT, (0.0, 0.0), goal, keep_outs=(pad,))
    answer = planner.plan(1.0)
    assert not answer.reached
    assert words in answer.reason
    assert answer.changes


def test_keep_outs_are_driven_round() -> None:
    pad = KeepOut("pad", 100.0, 100.0, 45.0)
    planner = planner_of(flat(21, 21), LIT, (0.0, 100.0), (200.0, 100.0), keep_outs=(pad,))
    answer = planner.plan(1.0)
    assert answer.reached
    off = np.hypot(answer.track.xy_m[:, 0] - 100.0, answer.track.xy_m[:, 1] - 100.0)
    assert off.min() > 45.0


@pytest.mark.parametrize(
    ("start", "goal", "words"),
    [
        ((0.0, 0.0), (900.0, 0.0), "goal at .* lies outside the terrain"),
        ((-50.0, 0.0), (90.0, 0.0), "start at .* lies outside the terrain"),
        ((0.0, 0.0), (math.nan, 0.0), "needs two coordinates"),
    ],
)
def test_bad_places_are_named(
    start: tuple[float, float], goal: tuple[float, float], words: str
) -> None:
    with pytest.raises(PlanningError, match=words):
        planner_of(flat(), LIT, start, goal)


@pytest.mark.parametrize(("shade_from", "length", "charge"), [(200.0, 500, 1.0), (0.0, 400, 0.6)])
def test_a_goal_in_the_night_or_beyond_the_range_is_refused_and_what_lacks_is_said(
    shade_from: float, length: int, charge: float
) -> None:
    """Dark ground that never gets light again; a way longer than the battery lasts."""
    dem = flat(3, length)
    share = np.ones((24, *dem.spec.shape))
    share[:, :, dem.spec.x_m() >= shade_from] = 0.0
    goal = (10.0 * (length - 1), 10.0)
    planner = planner_of(dem, share, (0.0, 10.0), goal)
    answer = planner.plan(charge)
    assert not answer.reached
    assert answer.reason
    assert any("needs" in change for change in answer.changes)
    end = float(answer.track.xy_m[-1, 0])
    assert end < goal[0]
    assert answer.least_wh >= answer.floor_wh


def test_a_goal_where_it_stands_is_reached_at_once() -> None:
    answer = planner_of(flat(), LIT, (50.0, 50.0), (50.0, 50.0)).plan(0.8)
    assert answer.reached
    assert answer.legs == ()
    assert answer.length_m == 0.0


def test_blocks_of_many_cells_lose_neither_gaps_nor_much_way() -> None:
    """A wall with one gap of one cell; places stand 80 m apart."""
    dem = dem_of(lambda x, y: 30.0 * (np.abs(x - 320.0) < 5.0) * (np.abs(y - 230.0) > 5.0), 64, 64)
    ends = (20.0, 600.0), (600.0, 600.0)
    rough = replace(PLAIN, max_roughness_m=100.0)
    config = replace(rough, place_m=80.0)
    coarse = planner_of(dem, LIT, *ends, config=config, max_slope_deg=35.0)
    fine = planner_of(dem, LIT, *ends, config=rough, max_slope_deg=35.0)
    assert coarse.graph.places < 90
    ours, best = coarse.plan(1.0, latest=False), fine.plan(1.0, latest=False)
    assert best.reached == ours.reached
    if ours.reached:
        assert ours.length_m <= 1.12 * best.length_m


def test_energy_of_a_track_is_that_of_its_parts() -> None:
    """Every joule of a plan: what was used, offered and lost explains the battery."""
    planner = planner_of(
        flat(3, 120), np.linspace(0.0, 1.0, 24), (0.0, 10.0), (1190.0, 10.0),
        sun=sun_of(24, SUN_W, 0.4 * SUN_W),
    )  # fmt: skip
    answer = planner.plan(0.9)
    assert answer.reached
    for leg in answer.legs:
        net = leg.income_wh - leg.used_wh
        gain = leg.end_wh - leg.start_wh
        if net < 0.0:
            assert gain <= net + 1e-6
            assert gain >= net / BATTERY.discharge_efficiency - 1e-6
        else:
            assert gain <= net + 1e-6
