"""Hazards that are kept from scan to scan are those of the whole window, to the last bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.mapping.hazard_tracker import HazardTracker, first_cell
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.traversability import TraversabilityConfig, traversability
from ilrs_robots.core.types import GridSpec

LIMITS = VehicleLimits(np.radians(20.0), 0.24, 0.12, 2.6, 2.1)
STEP = 0.1
SMALL = TraversabilityConfig(
    plane_window_m=0.5, step_radius_m=0.2, body_radius_m=0.4, region_window_m=1.2,
    fill_radius_m=0.2, gap_m=1.5,
)  # fmt: skip


class World:
    """Endless rough ground with rocks and holes, of which some cells are seen."""

    def __init__(self, seed: int, cells: int = 300) -> None:
        rng = np.random.default_rng(seed)
        rough = np.cumsum(np.cumsum(rng.normal(0.0, 0.002, (cells, cells)), 0), 1)
        self.height = (20.0 + rough - rough.mean()).astype(np.float32)
        for row, col, by in rng.uniform((0, 0, -0.8), (cells, cells, 0.8), (60, 3)):
            self.height[int(row) : int(row) + 5, int(col) : int(col) + 5] += np.float32(by)
        self.upper = self.height + rng.exponential(0.02, self.height.shape).astype(np.float32)
        self.seen = np.zeros(self.height.shape, bool)
        self.rng = rng

    def look(self, rows: slice, cols: slice, share: float) -> None:
        self.seen[rows, cols] |= self.rng.random(self.seen[rows, cols].shape) < share
        self.height[rows, cols] += np.float32(0.001)

    def window(self, row: int, col: int, size: int) -> tuple[np.ndarray, np.ndarray, GridSpec]:
        part = (slice(row, row + size), slice(col, col + size))
        ground = np.where(self.seen[part], self.height[part], np.nan).astype(np.float32)
        upper = np.where(self.seen[part], self.upper[part], np.nan).astype(np.float32)
        return ground, upper, GridSpec((col - 150) * STEP, (row - 150) * STEP, STEP, size, size)


def assert_same(got, ground, upper, spec, config) -> None:
    whole = traversability(ground, STEP, LIMITS, config, upper, first_cell(spec))
    for item in dataclasses.fields(whole):
        np.testing.assert_array_equal(
            getattr(got, item.name), getattr(whole, item.name), item.name
        )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**31),
    st.lists(
        st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 110), st.integers(0, 110),
                  st.integers(1, 25), st.floats(0.2, 1.0)),
        min_size=3, max_size=6,
    ),
)  # fmt: skip
def test_tracked_hazards_equal_those_of_the_whole_window(seed, walk):
    world, tracker, size = World(seed), HazardTracker(LIMITS, SMALL), 120
    row = col = 90
    world.look(slice(80, 220), slice(80, 220), 0.7)
    for down, right, top, left, side, share in walk:
        row, col = row + down, col + right
        looked = slice(row + top, row + top + side), slice(col + left, col + left + side)
        world.look(*looked, share)
        ground, upper, spec = world.window(row, col, size)
        assert_same(tracker.update(ground, upper, spec), ground, upper, spec, SMALL)


def test_little_that_changes_costs_little():
    world, tracker = World(3), HazardTracker(LIMITS, SMALL)
    world.look(slice(0, 300), slice(0, 300), 0.8)
    tracker.update(*world.window(20, 20, 250))
    assert tracker.computed_cells == 250 * 250
    world.look(slice(100, 110), slice(130, 150), 1.0)
    seen = world.window(20, 20, 250)
    assert_same(tracker.update(*seen), *seen, SMALL)
    assert tracker.computed_cells < 0.25 * 250 * 250
    tracker.update(*seen)
    assert tracker.computed_cells == 0
    world.look(slice(0, 300), slice(0, 300), 0.1)
    seen = world.window(20, 20, 250)
    assert_same(tracker.update(*seen), *seen, SMALL)
    assert tracker.computed_cells == 250 * 250


@pytest.mark.parametrize("move", [(0, 1), (-3, 0), (2, -2), (119, 0), (130, 5), (0, 0)])
def test_a_window_that_moves_keeps_what_it_has(move):
    world, tracker = World(5), HazardTracker(LIMITS, SMALL)
    world.look(slice(0, 300), slice(0, 300), 0.8)
    tracker.update(*world.window(20, 90, 120))
    seen = world.window(20 + move[0], 90 + move[1], 120)
    assert_same(tracker.update(*seen), *seen, SMALL)


def test_what_was_given_out_is_not_altered_later():
    world, tracker = World(7), HazardTracker(LIMITS, SMALL)
    world.look(slice(0, 300), slice(0, 300), 0.8)
    first = tracker.update(*world.window(20, 20, 120))
    copies = {f.name: getattr(first, f.name).copy() for f in dataclasses.fields(first)}
    world.look(slice(50, 60), slice(50, 60), 1.0)
    tracker.update(*world.window(21, 20, 120))
    for name, copy in copies.items():
        np.testing.assert_array_equal(getattr(first, name), copy)


def test_other_parameters_another_level_and_forgetting_begin_anew():
    world, tracker = World(9), HazardTracker(LIMITS, SMALL)
    world.look(slice(0, 300), slice(0, 300), 0.8)
    tracker.update(*world.window(20, 20, 120))
    wider = dataclasses.replace(SMALL, body_radius_m=0.6)
    tracker.reconfigure(wider)
    seen = world.window(20, 20, 120)
    assert_same(tracker.update(*seen), *seen, wider)
    world.height += np.float32(300.0)
    world.upper += np.float32(300.0)
    seen = world.window(20, 20, 120)
    assert_same(tracker.update(*seen), *seen, wider)
    tracker.forget()
    assert_same(tracker.update(*seen), *seen, wider)


def test_grids_that_do_not_fit_are_refused_and_nothing_is_lost():
    world, tracker = World(11), HazardTracker(LIMITS, SMALL)
    world.look(slice(0, 300), slice(0, 300), 0.8)
    ground, upper, spec = world.window(20, 20, 120)
    tracker.update(ground, upper, spec)
    with pytest.raises(TerrainError, match=r"heights are \(119, 120\)"):
        tracker.update(ground[1:], upper, spec)
    assert_same(tracker.update(ground, upper, spec), ground, upper, spec, SMALL)
    assert tracker.computed_cells == 0
