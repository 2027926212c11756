"""Behaviour and optimality of the grid planner."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.planning.grid_planner import PlannerConfig, path_cost, plan_path
from ilrs_robots.core.planning.path_geometry import polyline_cost, resample, straighten
from ilrs_robots.core.planning.search import PAD, STEPS, cost_field, factors, search, trace
from ilrs_robots.core.types import GridSpec

WEIGHT = 2.0


def grid(rows: int, cols: int, resolution: float = 0.25) -> tuple[np.ndarray, GridSpec]:
    return np.zeros((rows, cols), dtype=np.float32), GridSpec(0.0, 0.0, resolution, rows, cols)


def reference_field(cost: np.ndarray, start: tuple[int, int], connectivity: int) -> np.ndarray:
    """The same graph, edge by edge, for scipy."""
    rows, cols = cost.shape
    factor = np.where(cost < 0.99, 1.0 + WEIGHT * cost / (1.0 - np.minimum(cost, 0.989)), np.inf)
    ends, weights = [], []
    for row in range(rows):
        for col in range(cols):
            for dr, dc in STEPS[:connectivity]:
                r, c = row + dr, col + dc
                if not (0 <= r < rows and 0 <= c < cols):
                    continue
                sr, sc = int(np.sign(dr)), int(np.sign(dc))
                cells = [factor[row, col], factor[r, c]]
                if abs(dr) + abs(dc) == 3:
                    aside = (sr, 0) if abs(dr) == 2 else (0, sc)
                    cells += [factor[row + aside[0], col + aside[1]], factor[row + sr, col + sc]]
                slanted = abs(dr) == abs(dc)
                if slanted and np.isinf(factor[r, col]) and np.isinf(factor[row, c]):
                    continue
                weight = math.hypot(dr, dc) * np.mean(cells)
                if np.isfinite(weight):
                    ends.append((row * cols + col, r * cols + c))
                    weights.append(weight)
    first, second = np.array(ends).T
    graph = coo_array((weights, (first, second)), shape=(rows * cols, rows * cols)).tocsr()
    return dijkstra(graph, indices=start[0] * cols + start[1]).reshape(rows, cols)


def random_cost(seed: int, rows: int, cols: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0.0, 0.95, (rows, cols)).astype(np.float32)
    cost[rng.random((rows, cols)) < 0.25] = 1.0
    cost[0, 0] = 0.0
    return cost


@pytest.mark.parametrize("connectivity", [8, 16])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(3, 14), cols=st.integers(3, 14))
def test_field_equals_dijkstra_on_the_same_graph(
    connectivity: int, seed: int, rows: int, cols: int
) -> None:
    cost = random_cost(seed, rows, cols)
    expected = reference_field(cost, (0, 0), connectivity)
    ours = cost_field(cost, 1.0, (0, 0), WEIGHT, connectivity=connectivity)
    assert np.allclose(ours, expected, rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), connectivity=st.sampled_from([8, 16]))
def test_search_for_one_goal_is_as_cheap_as_the_field(seed: int, connectivity: int) -> None:
    cost = random_cost(seed, 25, 30)
    field = cost_field(cost, 1.0, (0, 0), WEIGHT, connectivity=connectivity)
    reachable = np.argwhere(np.isfinite(field))
    goal = tuple(int(v) for v in reachable[seed % len(reachable)])
    factor = factors(cost, WEIGHT, 0.99)
    label, came = search(factor, (0, 0), goal, connectivity)
    assert label[goal[0] + PAD, goal[1] + PAD] == pytest.approx(field[goal], rel=1e-5)
    steps = trace(came, (0, 0), goal)
    if len(steps) > 1:
        assert polyline_cost(factor, steps) == pytest.approx(field[goal], rel=1e-4)


def test_straight_line_on_free_ground() -> None:
    cost, spec = grid(200, 200)
    path = plan_path(cost, spec, (1.0, 1.0), (41.3, 19.7))
    assert path.reached
    assert path.length_m == pytest.approx(math.hypot(40.3, 18.7), rel=1e-3)
    assert path.cost_s == pytest.approx(path.length_m / 0.5, rel=1e-6)
    assert np.allclose(path.xy_m[[0, -1]], [[1.0, 1.0], [41.3, 19.7]])
    gaps = np.hypot(*np.diff(path.xy_m, axis=0).T)
    assert gaps.max() < 0.4


def test_detour_round_a_wall_is_within_three_percent() -> None:
    cost, spec = grid(240, 240)
    cost[:160, 120:124] = 1.0
    start, goal = (10.0, 10.0), (50.0, 10.0)
    path = plan_path(cost, spec, start, goal)
    corner_y = 160 * 0.25 - 0.125
    left, right = 120 * 0.25 - 0.125, 124 * 0.25 - 0.125
    shortest = (
        math.hypot(left - start[0], corner_y - start[1])
        + (right - left)
        + math.hypot(goal[0] - right, corner_y - goal[1])
    )
    assert shortest - 1e-6 <= path.length_m <= 1.03 * shortest
    assert math.isfinite(path.cost_s)


def test_costly_ground_is_gone_round_when_that_is_cheaper() -> None:
    cost, spec = grid(160, 160)
    cost[60:100, 60:100] = 0.8
    path = plan_path(cost, spec, (5.0, 20.0), (35.0, 20.0))
    row, col = spec.cell_of(path.xy_m)
    assert cost[row, col].max() < 0.1
    mild = np.where(cost > 0.0, np.float32(0.02), cost)
    through = plan_path(mild, spec, (5.0, 20.0), (35.0, 20.0))
    assert through.length_m < 30.5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_smoothed_path_costs_no_more_than_the_search_found_and_stays_open(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost, spec = grid(80, 80)
    yy, xx = np.mgrid[:80, :80]
    for _ in range(25):
        y, x, r = rng.uniform(0, 80), rng.uniform(0, 80), rng.uniform(2, 7)
        cost[np.hypot(yy - y, xx - x) < r + 3] = np.maximum(
            cost[np.hypot(yy - y, xx - x) < r + 3], 0.5
        )
        cost[np.hypot(yy - y, xx - x) < r] = 1.0
    cost[:3, :3] = cost[-3:, -3:] = 0.0
    goal = (79 * 0.25, 79 * 0.25)
    field = cost_field(cost, 0.25, (0, 0), WEIGHT, connectivity=16)
    if not np.isfinite(field[79, 79]):
        return
    path = plan_path(cost, spec, (0.0, 0.0), goal)
    assert path.cost_s <= field[79, 79] / 0.5 * 1.001
    assert path_cost(path.xy_m, cost, spec) == pytest.approx(path.cost_s)


def test_path_between_two_closed_corners_does_not_leak() -> None:
    cost, spec = grid(9, 9)
    cost[np.arange(9), np.arange(9)[::-1]] = 1.0
    with pytest.raises(PlanningError, match=r"nearest reachable ground is .* limit 0\.1 m"):
        plan_path(cost, spec, (0.0, 0.0), (2.0, 2.0), PlannerConfig(goal_tolerance_m=0.1))
    assert polyline_cost(factors(cost, 1.0, 0.99), np.array([[0.0, 0.0], [8.0, 8.0]])) == np.inf


def test_closed_start_is_left_by_the_nearest_free_ground() -> None:
    cost, spec = grid(80, 80)
    cost[30:50, 30:50] = 1.0
    path = plan_path(cost, spec, (8.0, 10.0), (18.0, 10.0))
    assert path.reached
    assert "closed ground" in path.reason
    row, col = spec.cell_of(path.xy_m)
    closed = cost[row, col] >= 0.99
    first_free = int(np.argmin(closed))
    assert not closed[first_free:].any()
    assert math.dist(path.xy_m[first_free], path.xy_m[0]) < 1.0


def test_start_deep_in_closed_ground_is_refused() -> None:
    cost, spec = grid(80, 80)
    cost[10:70, 10:70] = 1.0
    with pytest.raises(PlanningError, match=r"no free ground within 2\.5 m"):
        plan_path(cost, spec, (10.0, 10.0), (18.0, 10.0))


def test_closed_goal_gives_a_partial_path_or_a_sentence() -> None:
    cost, spec = grid(120, 120)
    cost[56:64, 76:84] = 1.0
    path = plan_path(cost, spec, (2.0, 15.0), (20.0, 15.0))
    assert not path.reached
    assert "cannot be reached" in path.reason
    assert 0.5 < math.dist(path.xy_m[-1], (20.0, 15.0)) < 1.5
    cost[30:90, 50:110] = 1.0
    with pytest.raises(PlanningError, match=r"goal \(20\.00, 15\.00\) m cannot be reached: .* m"):
        plan_path(cost, spec, (2.0, 15.0), (20.0, 15.0))


@pytest.mark.parametrize(
    ("start", "goal", "message"),
    [
        ((0.0, 0.0), (99.0, 0.0), r"goal x = 99.00 m is outside the map.* -0.12 to 4.88 m"),
        ((0.0, -1.0), (1.0, 0.0), r"start y = -1.00 m is outside"),
        ((0.0, 0.0), (1.0, math.nan), r"goal y = nan: not finite"),
        ((math.inf, 0.0), (1.0, 0.0), r"start x = inf: not finite"),
    ],
)
def test_bad_places_are_refused(
    start: tuple[float, float], goal: tuple[float, float], message: str
) -> None:
    cost, spec = grid(20, 20)
    with pytest.raises(PlanningError, match=message):
        plan_path(cost, spec, start, goal)


def test_previous_path_is_kept_until_another_is_clearly_better() -> None:
    cost, spec = grid(120, 120)
    cost[40:80, 58:62] = 1.0
    start, goal = (5.0, 14.8), (25.0, 15.2)
    below = plan_path(cost, spec, start, (25.0, 14.8))
    assert np.mean(plan_path(cost, spec, start, goal).xy_m[:, 1]) > 15.0
    again = plan_path(cost, spec, start, goal, previous=below.xy_m)
    assert again.kept
    assert np.mean(again.xy_m[:, 1]) < 15.0
    cost[:40, 58:62] = 1.0
    other = plan_path(cost, spec, start, goal, previous=below.xy_m)
    assert not other.kept
    assert np.mean(other.xy_m[:, 1]) > 15.0
    assert path_cost(below.xy_m, cost, spec) == math.inf


def test_unknown_cells_are_closed_and_start_equals_goal_is_fine() -> None:
    cost, spec = grid(20, 20)
    cost[:, 10] = np.nan
    with pytest.raises(PlanningError):
        plan_path(cost, spec, (0.0, 0.0), (4.5, 0.0), PlannerConfig(goal_tolerance_m=1.0))
    here = plan_path(cost, spec, (1.0, 1.0), (1.0, 1.0))
    assert here.reached
    assert here.length_m == 0.0
    near = plan_path(cost, spec, (1.0, 1.0), (1.05, 1.0))
    assert near.length_m == pytest.approx(0.05)


def test_resample_and_straighten_keep_the_ends() -> None:
    points = np.array([[0.0, 0.0], [0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    out = resample(points, 0.3)
    assert np.allclose(out[[0, -1]], [[0, 0], [3, 4]])
    gaps = np.hypot(*np.diff(out, axis=0).T)
    assert gaps.sum() == pytest.approx(7.0)
    assert 0.2 < gaps.min() <= gaps.max() <= 0.3 + 1e-9
    factor = np.ones((20, 20), dtype=np.float32)
    assert len(straighten(factor, np.array([[0.0, 0], [1, 1], [2, 2], [5, 5]]))) == 2


def test_bad_connectivity_is_refused() -> None:
    with pytest.raises(ConfigError, match="8 or 16"):
        PlannerConfig(connectivity=12)
