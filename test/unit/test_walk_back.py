"""Where a crew can walk home from, and that no plan leaves it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from route_worlds import PLAIN, dem_of, flat, planner_of

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.walk_back import (
    SuitConfig,
    SuitState,
    metabolic_w,
    walk_back,
    walking_speed_mps,
)

MASS_KG = 180.0
SUIT = SuitConfig(detour=1.0)
LIT = np.ones(24)


def test_speed_and_power_are_those_of_the_papers() -> None:
    """Marquez 2007: 1.6 m/s on the level, 0.4 at 6 deg up; Santee et al. 2001 on the level."""
    slopes = np.radians([0.0, 6.0, 15.0, -10.0, 3.0])
    assert walking_speed_mps(slopes) == pytest.approx([1.6, 0.4, 0.05, 1.0, 1.0])
    level = (3.28 * 180.0 + 71.1) * (0.661 * 1.6 + 0.115)
    assert float(metabolic_w(0.0, 1.6, 180.0)) == pytest.approx(level)
    assert float(metabolic_w(0.1, 0.8, 180.0)) > float(metabolic_w(0.0, 0.8, 180.0))


def test_level_ground_takes_distance_over_speed() -> None:
    walk = walk_back(flat(5, 101), SUIT, MASS_KG, [(0.0, 20.0)])
    speed = 1.6 * SUIT.speed_share
    assert walk.need_s[2, 100] == pytest.approx(1000.0 / speed, rel=1e-3)
    power = float(metabolic_w(0.0, speed, MASS_KG))
    assert walk.need_wh[2, 100] == pytest.approx(power * 1000.0 / speed / 3600.0, rel=1e-3)
    assert walk.need_s[2, 0] == 0.0


def test_walking_home_uphill_takes_longer_than_downhill() -> None:
    dem = dem_of(lambda x, y: x * math.tan(math.radians(5.0)), 5, 41)
    low = walk_back(dem, SUIT, MASS_KG, [(0.0, 20.0)]).need_s[2, 40]
    high = walk_back(dem, SUIT, MASS_KG, [(400.0, 20.0)]).need_s[2, 0]
    assert high > 1.5 * low


def test_ground_too_steep_to_walk_is_gone_round_or_cut_off() -> None:
    wall = dem_of(lambda x, y: 40.0 * (np.abs(x - 200.0) < 5.0) * (y < 150.0), 21, 41)
    walk = walk_back(wall, SUIT, MASS_KG, [(0.0, 0.0)])
    direct = walk_back(flat(21, 41), SUIT, MASS_KG, [(0.0, 0.0)])
    assert walk.need_s[0, 40] > direct.need_s[0, 40] + 60.0
    closed = dem_of(lambda x, y: 40.0 * (np.abs(x - 200.0) < 5.0), 21, 41)
    cut = walk_back(closed, SUIT, MASS_KG, [(0.0, 0.0)])
    assert np.isnan(cut.need_s[0, 40])
    assert cut.leave_by_s(SuitState.fresh(SUIT))[0, 40] == -1.0


def test_the_live_map_shrinks_as_the_suits_are_used() -> None:
    walk = walk_back(flat(101, 101, 60.0), SUIT, MASS_KG, [(3000.0, 3000.0)])
    fresh = SuitState.fresh(SUIT)
    areas = []
    for hours in (0.0, 2.0, 4.0, 5.5):
        left = SuitState(fresh.seconds - 3600.0 * hours,
                         fresh.metabolic_wh - hours * SUIT.riding_w)  # fmt: skip
        areas.append(int((walk.slack_s(left) >= 0.0).sum()))
    assert areas == sorted(areas, reverse=True)
    assert areas[0] > areas[-1] > 0


def test_the_warning_comes_before_the_crossing() -> None:
    """Driving straight away at 2 m/s: warned half an hour of slack before the last moment."""
    walk = walk_back(flat(3, 400, 50.0), SUIT, MASS_KG, [(0.0, 50.0)])
    time_s = np.arange(0.0, 9000.0, 10.0)
    xy = np.stack((2.0 * time_s, np.full(len(time_s), 50.0)), axis=-1)
    left = SuitState.fresh(SUIT)
    warned = walk.crossed_in_s(xy, time_s, left)
    crossed = walk.crossed_in_s(xy, time_s, left, slack_s=0.0)
    assert 0.0 < warned < crossed < math.inf
    at = walk.slack_at(xy, time_s, left)
    assert at[int(warned / 10.0)] < SUIT.warn_s <= at[int(warned / 10.0) - 1]


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(k, marks=pytest.mark.soak) for k in (2, 3))]
)
def test_from_every_point_of_every_plan_the_crew_can_walk_home(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bumps = rng.uniform(0.0, 1.0, (4, 3)) * (3000.0, 3000.0, 40.0)
    dem = dem_of(
        lambda x, y: sum(z * np.exp(-((x - a) ** 2 + (y - b) ** 2) / 2.0 / 300.0**2)
                         for a, b, z in bumps), 61, 61, 50.0,
    )  # fmt: skip
    suit = replace(SUIT, metabolic_wh=900.0)
    walk = walk_back(dem, suit, MASS_KG, [(100.0, 100.0)])
    left = SuitState.fresh(suit)
    config = replace(PLAIN, place_m=100.0, speed_share=1.0)
    goal = tuple(rng.uniform(500.0, 3000.0, 2))
    planner = planner_of(dem, LIT, (100.0, 100.0), goal, config=config,
                         leave_by=walk.leave_by_s(left))  # fmt: skip
    answer = planner.plan(1.0)
    slack = walk.slack_at(answer.track.xy_m, answer.track.time_s, left)
    assert (slack >= -1.0).all(), "whatever the plan, reached or not"
    if not answer.reached:
        assert planner.look(1000.0).best < 0
        assert "walk home" in answer.reason or answer.changes


def test_a_goal_beyond_the_suits_is_refused_in_their_terms() -> None:
    dem = flat(5, 200, 50.0)
    walk = walk_back(dem, SUIT, MASS_KG, [(0.0, 100.0)])
    planner = planner_of(dem, LIT, (0.0, 100.0), (9900.0, 100.0),
                         leave_by=walk.leave_by_s(SuitState.fresh(SUIT)))  # fmt: skip
    answer = planner.plan(1.0)
    assert not answer.reached
    assert "walk home" in answer.reason
    assert any("suits" in change for change in answer.changes)
    assert answer.track.xy_m[-1][0] > 3000.0, "it goes as far as they allow"


def test_a_door_off_the_terrain_is_refused() -> None:
    with pytest.raises(PlanningError, match="doors"):
        walk_back(flat(), SUIT, MASS_KG, [(1e6, 0.0)])
