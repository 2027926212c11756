"""Behaviour of NavigationCostmap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning.costmap import (
    CostmapConfig,
    NavigationCostmap,
    prior_cost,
    region,
)
from ilrs_robots.core.types import GridSpec

SPEC = GridSpec(-10.0, -10.0, 0.25, 81, 81)
CONFIG = CostmapConfig()
LIMITS = VehicleLimits(math.radians(20.0), 0.24, 0.12, 2.6, 2.1)
IDENTITY = np.eye(4)


def observation(size: int = 100, value: float = 0.0) -> tuple[np.ndarray, GridSpec]:
    spec = GridSpec(-0.05 * (size - 1), -0.05 * (size - 1), 0.1, size, size)
    return np.full(spec.shape, value, dtype=np.float32), spec


def turned(x: float, y: float, yaw: float) -> np.ndarray:
    T = np.eye(4)
    T[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    T[:2, 3] = x, y
    return T


@settings(max_examples=40, deadline=None)
@given(
    st.floats(-3.0, 3.0),
    st.floats(-3.0, 3.0),
    st.floats(-math.pi, math.pi),
    st.integers(0, 99),
    st.integers(0, 99),
)
def test_a_closed_cell_closes_every_cell_its_centre_or_corner_falls_into(
    x: float, y: float, yaw: float, row: int, col: int
) -> None:
    cost, spec = observation()
    cost[row, col] = 1.0
    costmap = NavigationCostmap(CONFIG, SPEC)
    T = turned(x, y, yaw)
    costmap.fuse_observation(cost, spec, T)
    centre = spec.xy_of(np.array(row), np.array(col))
    corners = centre + 0.049 * np.array([[0, 0], [1, 1], [1, -1], [-1, 1], [-1, -1]])
    there = corners @ T[:2, :2].T + T[:2, 3]
    rows, cols = SPEC.cell_of(there)
    assert np.all(costmap.observed[rows, cols] == 1.0)
    assert 1 <= np.count_nonzero(costmap.observed == 1.0) <= 4


@settings(max_examples=20, deadline=None)
@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.floats(-math.pi, math.pi))
def test_pooling_takes_the_highest_and_leaves_no_holes(x: float, y: float, yaw: float) -> None:
    cost, spec = observation()
    rng = np.random.default_rng(0)
    cost[:] = rng.uniform(0.0, 0.9, cost.shape)
    T = turned(x, y, yaw)
    costmap = NavigationCostmap(CONFIG, SPEC)
    costmap.fuse_observation(cost, spec, T)
    xx, yy = np.meshgrid(spec.x_m(), spec.y_m())
    there = np.stack((xx.ravel(), yy.ravel()), axis=-1) @ T[:2, :2].T + T[:2, 3]
    rows, cols = SPEC.cell_of(there)
    expected = np.full(SPEC.shape, np.nan, np.float32)
    np.fmax.at(expected, (rows, cols), cost.ravel())
    assert np.array_equal(costmap.observed, expected, equal_nan=True)
    cx, cy = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    back = (np.stack((cx.ravel(), cy.ravel()), axis=-1) - T[:2, 3]) @ T[:2, :2]
    inside = (np.abs(back) < 4.7).all(axis=1).reshape(SPEC.shape)
    assert costmap.seen[inside].all()


def test_newest_observation_wins_and_nan_changes_nothing() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    cost, spec = observation(40, 0.2)
    rock = cost.copy()
    rock[18:22, 18:22] = 1.0
    costmap.fuse_observation(rock, spec, IDENTITY)
    assert costmap.observed[40, 40] == 1.0
    costmap.fuse_observation(np.full_like(cost, np.nan), spec, IDENTITY)
    assert costmap.observed[40, 40] == 1.0
    costmap.fuse_observation(cost, spec, IDENTITY)
    assert costmap.observed[40, 40] == np.float32(0.2)
    costmap.fuse_observation(cost, spec, turned(100.0, 0.0, 0.0))
    assert costmap.observed[40, 40] == np.float32(0.2)


def test_a_glimpse_can_close_a_cell_but_not_open_it() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    cost, spec = observation(40, np.nan)
    cost[20, 20] = 1.0
    costmap.fuse_observation(cost, spec, IDENTITY)
    assert costmap.observed[40, 40] == 1.0
    cost[20, 20] = 0.0
    costmap.fuse_observation(cost, spec, IDENTITY)
    assert costmap.observed[40, 40] == 1.0


def test_prior_counts_only_where_nothing_was_seen() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    prior = np.full(SPEC.shape, 0.5, np.float32)
    prior[:, :20] = np.nan
    prior[:, 60:] = 0.01
    costmap.set_prior(prior)
    cost, spec = observation(20, 0.2)
    costmap.fuse_observation(cost, spec, IDENTITY)
    assert costmap.cost[40, 40] == np.float32(0.2)
    assert costmap.cost[5, 40] == np.float32(0.5)
    assert costmap.cost[5, 5] == np.float32(CONFIG.unseen_cost)
    assert costmap.cost[5, 70] == np.float32(CONFIG.unseen_cost)
    assert not costmap.seen[5, 40]


def test_inflation_follows_the_distance_to_the_closed_cell() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    cost, spec = observation(200)
    costmap.fuse_observation(cost, spec, IDENTITY)
    costmap.mark_disc(0.0, 0.0, 0.1)
    xx, yy = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    away = np.hypot(xx, yy) - 0.125
    inflated = costmap.cost
    assert np.all(inflated[away < CONFIG.lethal_radius_m - 1e-5] == 1.0)
    soft = (away > CONFIG.lethal_radius_m + 1e-5) & (away < CONFIG.decay_radius_m)
    expected = CONFIG.near_cost * np.exp((CONFIG.lethal_radius_m - away) / CONFIG.decay_length_m)
    assert np.allclose(inflated[soft], expected[soft], atol=1e-4)
    assert np.all(inflated[(away > CONFIG.decay_radius_m + 0.01) & (away < 9.0)] == 0.0)
    assert np.allclose(costmap.clearance_m, np.maximum(away, 0.0), atol=1e-4)
    costmap.clear_marks()
    assert costmap.cost[40, 40] == 0.0


def test_without_any_closed_cell_nothing_is_inflated() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    assert np.all(costmap.cost == np.float32(CONFIG.unseen_cost))
    assert np.all(costmap.clearance_m > 5.0)


def test_moving_the_grid_keeps_what_was_seen() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    cost, spec = observation(100, 0.3)
    costmap.fuse_observation(cost, spec, IDENTITY)
    costmap.mark_disc(1.0, 1.0, 0.3)
    wide = costmap.moved_to(GridSpec(-20.0, -15.0, 0.25, 200, 161))
    assert np.count_nonzero(wide.seen) == np.count_nonzero(costmap.seen)
    back = wide.moved_to(SPEC)
    assert np.array_equal(back.observed, costmap.observed, equal_nan=True)
    assert np.array_equal(back.base_cost(), costmap.base_cost())
    with pytest.raises(ConfigError, match="coincide"):
        costmap.moved_to(GridSpec(-20.1, -15.0, 0.25, 200, 161))


class _Ramp:
    def slope_rad(self, xy_m: np.ndarray) -> np.ndarray:
        return np.where(np.abs(xy_m[:, 0]) <= 9.0, np.radians(15.0 + xy_m[:, 0]), np.nan)


def test_prior_is_soft_up_to_the_limit_with_margin() -> None:
    cost = prior_cost(_Ramp(), SPEC, LIMITS)
    slope = np.degrees(_Ramp().slope_rad(np.stack((SPEC.x_m(), SPEC.x_m()), axis=-1)))
    margin = math.degrees(CONFIG.prior_slope_margin_rad)
    row = cost[0]
    assert np.isnan(row[np.isnan(slope)]).all()
    known = ~np.isnan(slope)
    assert np.all(row[known & (slope < 20.0 + margin)] <= 0.95)
    assert np.all(row[known & (slope > 20.0 + margin + 0.01)] == 1.0)
    assert row[known & (slope <= 20.0)].max() == pytest.approx(CONFIG.prior_max_cost, rel=1e-3)
    assert np.all(np.diff(row[known]) >= 0.0)


def test_region_covers_the_points_within_bounds_on_one_lattice() -> None:
    points = np.array([[3.3, 4.4], [60.2, -7.7]])
    spec = region(CONFIG, points)
    x_min, _, x_max, _ = spec.bounds_m
    assert x_min <= 3.3 - 24.5
    assert x_max >= 60.2 + 24.5
    assert (spec.origin_x_m / 0.25) % 1.0 == 0.0
    cut = region(CONFIG, points, (0.0, -20.0, 70.0, 10.0))
    assert cut.bounds_m[0] >= -0.125
    assert cut.bounds_m[3] <= 10.125


def test_what_does_not_fit_is_refused() -> None:
    costmap = NavigationCostmap(CONFIG, SPEC)
    with pytest.raises(ConfigError, match="prior"):
        costmap.set_prior(np.zeros((3, 3), np.float32))
    cost, spec = observation(10)
    with pytest.raises(ConfigError, match="finite"):
        costmap.fuse_observation(cost, spec, np.full((4, 4), np.nan))
    with pytest.raises(ConfigError, match="observation"):
        costmap.fuse_observation(cost[:5], spec, IDENTITY)
    with pytest.raises(ConfigError, match="above the limit"):
        NavigationCostmap(CONFIG, GridSpec(0.0, 0.0, 0.25, 10_000, 10_000))
    with pytest.raises(ConfigError, match="decay_radius_m"):
        CostmapConfig(decay_radius_m=0.5)


def test_what_looked_closed_from_afar_is_doubted_until_it_is_near():
    config = CostmapConfig(trust_m=6.0)
    costmap = NavigationCostmap(config, GridSpec(-20.0, -20.0, 0.25, 161, 161))
    around = GridSpec(-15.0, -15.0, 0.25, 121, 121)
    seen = np.zeros(around.shape, np.float32)
    seen[:, 100] = 1.0  # a wall at x = 10 m
    costmap.fuse_observation(seen, around, np.eye(4))
    row, col = costmap.spec.cell_of(np.array([10.0, 0.0]))
    assert costmap.base_cost()[row, col] == pytest.approx(config.doubt_cost)
    assert costmap.cost[row, col] < config.lethal_cost
    nearer = GridSpec(-10.0, -15.0, 0.25, 121, 121)
    seen = np.zeros(nearer.shape, np.float32)
    seen[:, 80] = 1.0
    costmap.fuse_observation(seen, nearer, np.eye(4))
    assert costmap.cost[row, col] >= config.lethal_cost
    far_row, _ = costmap.spec.cell_of(np.array([10.0, 12.0]))
    assert costmap.cost[far_row, col] < config.lethal_cost
    moved = costmap.moved_to(GridSpec(-10.0, -20.0, 0.25, 161, 161))
    row, col = moved.spec.cell_of(np.array([10.0, 0.0]))
    assert moved.cost[row, col] >= config.lethal_cost


def test_a_dead_end_stays_closed_when_it_is_left_and_seen_again_from_afar():
    """Terrain that is always in view may open at any distance; what came back must be near."""
    spec = GridSpec(0.0, 0.0, 0.25, 200, 200)
    costmap = NavigationCostmap(CostmapConfig(), spec)
    window = GridSpec(-10.0, -10.0, 0.25, 81, 81)

    def look(x: float, y: float, wall: float) -> None:
        cost = np.zeros(window.shape, np.float32)
        xs, ys = np.meshgrid(window.x_m() + x, window.y_m() + y)
        cost[np.hypot(xs - 20.0, ys - 20.0) < 1.0] = wall
        T = np.eye(4)
        T[:2, 3] = x, y
        costmap.fuse_observation(cost, window, T)

    def closed() -> bool:
        return bool(costmap.observed[80, 80] == 1.0)

    look(18.0, 20.0, 1.0)
    assert closed()
    look(12.0, 20.0, 0.0)
    assert not closed(), "it was in view all the time and has gone"
    look(18.0, 20.0, 1.0)
    look(40.0, 40.0, 0.0)
    look(12.0, 20.0, 0.0)
    assert closed(), "seen again from 8 m"
    moved = costmap.moved_to(GridSpec(2.0, 2.0, 0.25, 180, 180))
    costmap = moved
    look(12.0, 20.0, 0.0)
    assert bool(costmap.observed[72, 72] == 1.0)
    look(17.0, 20.0, 0.0)
    assert costmap.observed[72, 72] == 0.0, "open when looked at from near"


def test_what_was_not_looked_at_from_near_may_be_a_way_once_there_is_no_other():
    """A wall, seen from 5.5 m: a grazing look closed the middle of its gap as well."""
    config = CostmapConfig(trust_m=8.0, recheck_m=4.0, lethal_radius_m=1.0)
    spec = GridSpec(-10.0, -10.0, 0.25, 81, 81)
    costmap = NavigationCostmap(config, spec)
    seen = np.zeros(spec.shape, np.float32)
    seen[:, 62] = 1.0  # a wall at x = 5.5 m
    costmap.fuse_observation(seen, spec, np.eye(4))
    at_wall, before_it = (spec.cell_of(np.array([x, 0.0])) for x in (5.5, 4.75))
    assert costmap.cost[tuple(at_wall)] >= config.lethal_cost
    visited_m2 = costmap.visited_m2
    assert visited_m2 == pytest.approx(np.pi * 4.0**2, rel=0.05)
    costmap.recheck()
    for cell in (at_wall, before_it):  # dear as far as it was closed: the thinnest place is tried
        assert costmap.cost[tuple(cell)] == pytest.approx(config.doubt_cost)
    moved = costmap.moved_to(GridSpec(-5.0, -10.0, 0.25, 81, 81))
    assert moved.cost[tuple(moved.spec.cell_of(np.array([5.5, 0.0])))] < config.lethal_cost
    T_map_odom = np.eye(4)
    T_map_odom[0, 3] = 2.0  # the vehicle has come to 3.5 m, and the wall is still there
    nearer = GridSpec(-10.0, -10.0, 0.25, 81, 81)
    seen = np.zeros(spec.shape, np.float32)
    seen[:, 54] = 1.0
    costmap.fuse_observation(seen, nearer, T_map_odom)
    assert costmap.cost[tuple(at_wall)] >= config.lethal_cost
    assert costmap.visited_m2 > visited_m2 + 10.0
    costmap.clear_marks()
    far = spec.cell_of(np.array([5.5, 6.0]))
    assert costmap.cost[tuple(far)] >= config.lethal_cost


def test_where_there_is_no_other_way_less_distance_is_kept_until_the_next_goal():
    config = CostmapConfig(lethal_radius_m=1.25, narrow_m=0.5)
    costmap = NavigationCostmap(config, GridSpec(-5.0, -5.0, 0.25, 41, 41))
    seen = np.zeros((41, 41), np.float32)
    seen[20, 20] = 1.0
    costmap.fuse_observation(seen, costmap.spec, np.eye(4))
    row, col = costmap.spec.cell_of(np.array([1.0, 0.0]))
    assert costmap.cost[row, col] >= config.lethal_cost
    costmap.narrow()
    assert costmap.cost[row, col] < config.lethal_cost
    assert costmap.cost[20, 20] >= config.lethal_cost
    costmap.clear_marks()
    assert costmap.cost[row, col] >= config.lethal_cost
    with pytest.raises(ConfigError, match="narrow_m"):
        CostmapConfig(lethal_radius_m=0.2, narrow_m=0.3)
