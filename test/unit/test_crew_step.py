"""The crew's way home while they ride: map, suits used up, and a word before it is too late."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from route_worlds import dem_of, flat

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.robots.crew_step import (
    WARNED,
    CrewStep,
    WalkBackConfig,
    WalkBackLevel,
)
from ilrs_robots.robots.model import RoverModel, load_robot
from ilrs_robots.robots.site import read_site

S = 1_000_000_000
CREW = load_robot("crewed_rover")
SITE = replace(read_site("shackleton"), structures=())


def crew_on(dem: Dem, hours: float = 7.0, **more: object) -> CrewStep:
    assert isinstance(CREW, RoverModel)
    assert CREW.crew is not None
    settings = replace(WalkBackConfig.of(CREW.crew.suit), hours_left=hours, **more)
    return CrewStep(SITE, dem, CREW.crew, (0.0, 20.0), settings)


def line(to_m: float, count: int = 200) -> np.ndarray:
    return np.stack((np.linspace(0.0, to_m, count)[1:], np.full(count - 1, 20.0)), axis=-1)


def test_the_map_shrinks_as_time_passes_and_says_where_the_warning_begins() -> None:
    step = crew_on(flat(5, 400, 50.0))
    step.pass_to(0)
    far = []
    for hours in (0, 2, 4):
        left = step.pass_to(3600 * hours * S)
        cost, spec = step.occupancy()
        assert (spec.rows, spec.cols) == (5, 400)
        row = cost[0]
        assert (np.diff(row[row < 1.0]) > 0.0).all()
        assert (row[np.argmax(row == 1.0) :] == 1.0).all()
        slack = step.walk.slack_s(left)[0]
        assert ((row < WARNED) == (slack > step.walk.suit.warn_s)).all()
        assert ((row < 1.0) == (slack >= 0.0)).all()
        far.append(int(np.argmax(row == 1.0)))
    assert far[0] > far[1] > far[2] > 0
    assert left.seconds == pytest.approx(3.0 * 3600.0)
    assert left.metabolic_wh == pytest.approx(1904.0 - 4.0 * 272.0)


def test_blocks_of_a_large_map_are_as_bad_as_their_worst_cell() -> None:
    wall = dem_of(lambda x, y: 40.0 * (np.abs(x - 1000.0) < 30.0), 40, 400, 5.0)
    fine, coarse = crew_on(wall), crew_on(wall, most_cells=1000)
    cost, spec = fine.occupancy()
    wide, blocks = coarse.occupancy()
    size = round(blocks.resolution_m / spec.resolution_m)
    assert blocks.rows * blocks.cols <= 1000
    assert blocks.origin_x_m == pytest.approx(spec.origin_x_m + 0.5 * (size - 1) * 5.0)
    rows, cols = blocks.rows, blocks.cols
    worst = cost[: rows * size, : cols * size].reshape(rows, size, cols, size).max(axis=(1, 3))
    np.testing.assert_allclose(wide, worst, atol=1e-6)
    assert (wide[:, blocks.cell_of(np.array([1200.0, 20.0]))[1]] == 1.0).all(), "behind the wall"


def test_unknown_ground_is_unknown_on_the_map() -> None:
    heights = np.array(flat(20, 20).heights_m)
    heights[10:, :] = np.nan
    cost, _ = crew_on(Dem(heights, flat(20, 20).spec)).occupancy()
    assert np.isnan(cost[12]).all()
    assert np.isfinite(cost[:8]).all()


def test_the_word_comes_long_before_the_crossing_and_gets_worse_on_the_way() -> None:
    """Away from home at 2 m/s on the level: fine, warned, and told to be late, in this order."""
    step = crew_on(flat(5, 400, 50.0))
    path, eta_s = line(19_000.0), 9500.0
    levels, told = [], []
    for k in range(0, 180, 5):
        step.pass_to(round(k * eta_s / 199) * S)
        here = (float(path[k, 0]), 20.0)
        word = step.judge(here, path[k + 1 :], eta_s * (198 - k) / 199)
        levels.append(word.level)
        told.append(word.cross_in_s)
    assert levels[0] is WalkBackLevel.CROSSES, "the whole path is looked at before it is driven"
    assert levels[-1] is WalkBackLevel.LOST
    assert levels == sorted(levels)
    assert told[0] > 1800.0
    assert told == sorted(told, reverse=True)
    near = step.judge((100.0, 20.0), line(300.0), 100.0)
    assert near.level is WalkBackLevel.FINE
    assert near.sentence == ""


def test_between_warning_and_crossing_it_says_in_how_many_minutes() -> None:
    step = crew_on(flat(5, 400, 50.0))
    slack = step.walk.slack_s(step.pass_to(0))[0]
    place = 50.0 * int(np.argmax(slack < 1200.0))
    word = step.judge((0.0, 20.0), line(place), 60.0)
    assert word.level is WalkBackLevel.WARN
    assert word.cross_in_s == math.inf
    assert 0.0 < word.warn_in_s <= 60.0
    assert "less than 30 min are left" in word.sentence
    assert not word.refused


def test_a_path_home_over_ground_that_nobody_can_walk_from_is_refused() -> None:
    """A plateau on the way: the vehicle could drive over it, the crew not walk down."""
    step = crew_on(
        dem_of(lambda x, y: 300.0 * ((y < 550.0) & (abs(x - 2500.0) < 501.0)), 41, 200, 50.0)
    )
    step.pass_to(0)
    start = np.array((4000.0, 20.0))
    over = step.judge((4000.0, 20.0), start + line(-3000.0) * (1, 0), 1500.0)
    assert over.level is WalkBackLevel.CROSSES
    assert over.homewards
    assert 300.0 < over.cross_in_s < 900.0
    assert over.refused
    corners = np.array([start, (4000.0, 1200.0), (1000.0, 1200.0), (1000.0, 20.0)])
    round_it = np.concatenate([np.linspace(a, b, 60)[1:] for a, b in pairwise(corners)])
    assert not step.judge((4000.0, 20.0), round_it, 2700.0).refused


def test_who_is_out_of_reach_of_home_may_be_driven_nearer_and_not_farther() -> None:
    step = crew_on(flat(5, 400, 50.0), hours=1.5)
    step.pass_to(0)
    late = (9000.0, 20.0)
    away = step.judge(late, line(500.0) + np.array(late) * (1, 0), 200.0)
    home = step.judge(late, line(-8000.0) + np.array(late) * (1, 0), 4000.0)
    assert away.level is home.level is WalkBackLevel.LOST
    assert away.refused
    assert not home.refused
    assert "too far from home" in home.sentence
    standing = step.judge((50.0, 20.0), np.zeros((0, 2)), 0.0)
    assert not standing.refused


def test_suits_that_are_set_anew_or_kept_over_a_restart_count_on() -> None:
    step = crew_on(flat(5, 100, 50.0))
    step.pass_to(0)
    step.pass_to(3600 * S)
    kept = step.memory()
    other = crew_on(flat(5, 100, 50.0))
    other.resume(kept)
    assert other.pass_to(5400 * S).seconds == pytest.approx(5.5 * 3600.0)
    step.reconfigure(replace(step.settings, hours_left=2.0))
    assert step.pass_to(3700 * S).seconds == pytest.approx(7100.0)
    step.reconfigure(replace(step.settings, policy="warn"))
    assert step.pass_to(3700 * S).seconds == pytest.approx(7100.0), "nothing else was set"
    with pytest.raises(ValueError, match="not finite"):
        other.resume({**kept, "seconds": math.nan})
