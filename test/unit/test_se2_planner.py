"""Plans through poses: kinematics, footprint, attitude, and replans that are as good as new."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning import search
from ilrs_robots.core.planning.attitude_prediction import Heights, predict_attitude
from ilrs_robots.core.planning.local_terrain import LocalTerrain, clearance_of, footprint_discs
from ilrs_robots.core.planning.se2_config import Se2Config, moves_of
from ilrs_robots.core.planning.se2_field import CostToGo
from ilrs_robots.core.planning.se2_planner import Se2Path, Se2Planner
from ilrs_robots.core.types import FloatArray, GridSpec
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import load_robot

SPEC = GridSpec(-10.0, -10.0, 0.1, 201, 201)
LENGTH, WIDTH = 2.6, 2.1
FOOTING = footing_of(load_robot("long_range"))


def terrain_of(cost: np.ndarray, heights: np.ndarray | None = None) -> LocalTerrain:
    cost = cost.astype(np.float32)
    ground = None if heights is None else Heights(SPEC, heights.astype(np.float32))
    return LocalTerrain(SPEC, cost, clearance_of(cost, SPEC.resolution_m, 0.99), ground)


def planner_of(**settings: object) -> Se2Planner:
    return Se2Planner(Se2Config(**settings), FOOTING, (LENGTH, WIDTH))  # type: ignore[arg-type]


def wall(gap_m: float) -> np.ndarray:
    """A wall along y at x = 0 with one gap around y = 0."""
    cost = np.zeros(SPEC.shape)
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    cost[(np.abs(x) < 0.25) & (np.abs(y) > 0.5 * gap_m)] = 1.0
    return cost


def rectangle_is_free(cost: np.ndarray, poses: FloatArray) -> bool:
    """Brute force: no closed cell's centre lies in the rectangle of any pose."""
    rows, cols = np.nonzero(cost >= 0.99)
    closed = SPEC.xy_of(rows, cols)
    for x, y, yaw in poses:
        dx, dy = closed[:, 0] - x, closed[:, 1] - y
        along = np.cos(yaw) * dx + np.sin(yaw) * dy
        across = -np.sin(yaw) * dx + np.cos(yaw) * dy
        if ((np.abs(along) < 0.5 * LENGTH) & (np.abs(across) < 0.5 * WIDTH)).any():
            return False
    return True


def random_ground(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    cost = np.zeros(SPEC.shape)
    for _ in range(9):
        cx, cy, radius = *rng.uniform(-7.0, 7.0, 2), rng.uniform(0.3, 1.0)
        if min(math.hypot(cx + 8.0, cy + 8.0), math.hypot(cx - 8.0, cy - 8.0)) > 3.0:
            cost[np.hypot(x - cx, y - cy) < radius] = 1.0
    return cost


def test_discs_cover_the_footprint_and_little_more() -> None:
    discs = footprint_discs(LENGTH, WIDTH)
    x, y = np.meshgrid(np.linspace(-1.3, 1.3, 200), np.linspace(-1.05, 1.05, 200))
    away = np.hypot(x[..., np.newaxis] - discs.along, y[..., np.newaxis]).min(axis=-1)
    assert away.max() <= discs.radius + 1e-9
    assert discs.radius <= 0.5 * WIDTH * 1.04 + 1e-9


def test_a_path_ahead_is_straight() -> None:
    path = planner_of().plan(terrain_of(np.zeros(SPEC.shape)), (-8.0, 0.0, 0.0), (8.0, 0.0, 0.0))
    assert path.reached
    assert path.length_m == pytest.approx(16.0, abs=0.15)
    assert np.abs(path.poses[:, 1]).max() < 0.3
    assert not path.reverse.any()


def test_without_turning_in_place_no_arc_is_tighter_than_the_radius() -> None:
    radius = 2.0
    planner = planner_of(
        turn_in_place=False, min_radius_m=radius, shot_m=0.3, goal_tolerance_m=1.0, greed=1.0
    )
    path = planner.plan(
        terrain_of(np.zeros(SPEC.shape)), (-4.0, 0.0, math.pi / 2), (4.0, 0.0, None)
    )
    steps = np.hypot(*np.diff(path.poses[:, :2], axis=0).T)
    turns = np.abs(np.remainder(np.diff(path.poses[:, 2]) + np.pi, 2.0 * np.pi) - np.pi)
    moving = steps > 1e-6
    assert turns[~moving].max(initial=0.0) < 1e-6
    assert (turns[moving] / steps[moving]).max() <= 1.01 / radius
    assert math.dist(path.poses[-1, :2], (4.0, 0.0)) < 1.0


def test_a_gap_a_tenth_wider_is_passed_at_the_right_heading() -> None:
    cost = wall(1.1 * WIDTH + 0.1)
    path = planner_of().plan(terrain_of(cost), (-5.0, 4.0, -1.0), (5.0, -4.0, None))
    assert path.reached
    assert rectangle_is_free(cost, path.poses)
    within = np.abs(path.poses[:, 0]) < 0.5
    assert np.abs(np.sin(path.poses[within, 2])).max() < 0.25


def test_a_gap_that_is_too_narrow_is_not_passed() -> None:
    with pytest.raises(PlanningError, match=r"cannot be reached|no way out"):
        planner_of().plan(terrain_of(wall(0.95 * WIDTH)), (-5.0, 0.0, 0.0), (5.0, 0.0, None))


def test_a_goal_in_a_gap_is_taken_along_it_only() -> None:
    terrain = terrain_of(wall(1.1 * WIDTH + 0.1))
    assert planner_of().plan(terrain, (-5.0, 0.0, 0.0), (0.0, 0.0, 0.0)).reached
    across = planner_of().plan(terrain, (-5.0, 0.0, 0.0), (0.0, 0.0, math.pi / 2))
    assert not across.reached
    assert "does not fit" in across.reason or "looked at" in across.reason


@pytest.mark.parametrize("seed", range(6))
def test_paths_over_random_ground_are_free_and_as_short_as_the_field_allows(seed: int) -> None:
    cost = random_ground(seed)
    planner = planner_of()
    path = planner.plan(terrain_of(cost), (-8.0, -8.0, 0.8), (8.0, 8.0, None))
    assert path.reached
    assert rectangle_is_free(cost, path.poses)
    least = planner._bound(planner.field.label, planner._coarse, path.poses[:1])[0]
    assert least <= path.cost_m * 1.03 + 0.3
    assert path.cost_m < 1.5 * least + 2.0


def test_a_steep_side_slope_is_driven_around() -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    ridge = 0.8 * np.exp(-(((y + 1.5) / 1.2) ** 2)) * (np.abs(x) < 4.0)
    settings = {"max_roll_rad": math.radians(14.0), "max_pitch_rad": math.radians(14.0)}
    blind = planner_of(**settings).plan(
        terrain_of(np.zeros(SPEC.shape)), (-8.0, 0.0, 0.0), (8.0, 0.0, None)
    )
    seeing = planner_of(**settings).plan(
        terrain_of(np.zeros(SPEC.shape), ridge), (-8.0, 0.0, 0.0), (8.0, 0.0, None)
    )
    ground = Heights(SPEC, ridge.astype(np.float32))
    rolls = [
        np.nanmax(np.abs(predict_attitude(ground, FOOTING, path.poses).roll_rad))
        for path in (blind, seeing)
    ]
    assert seeing.reached
    assert rolls[0] > math.radians(14.0) >= rolls[1]


@pytest.mark.parametrize("seed", range(4))
def test_a_replan_costs_what_a_new_plan_costs(seed: int) -> None:
    """On the way obstacles appear and vanish; the kept field and path stay as good as new."""
    rng = np.random.default_rng(seed)
    cost = random_ground(seed)
    planner, pose = planner_of(change_share=0.0), (-8.0, -8.0, 0.8)
    goal = (8.0, 8.0, None)
    path = planner.plan(terrain_of(cost), pose, goal)
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    kept = 0
    for _ in range(6):
        n = min(8, len(path.poses) - 2)
        pose = tuple(path.poses[n])
        near = pose[:2] + rng.uniform(-4.0, 4.0, 2)
        disc = np.hypot(x - near[0], y - near[1]) < 0.5
        far = (np.hypot(x - pose[0], y - pose[1]) > 2.6) & (np.hypot(x - 8.0, y - 8.0) > 2.6)
        cost[disc & far] = 1.0 if rng.random() < 0.6 else 0.0
        path = planner.plan(terrain_of(cost), pose, goal)
        new = planner_of().plan(terrain_of(cost), pose, goal)
        kept += path.kept
        assert path.reached == new.reached
        assert rectangle_is_free(cost, path.poses)
        assert path.cost_m <= new.cost_m * 1.12 + 0.5
    assert kept > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_repaired_field_is_a_new_field(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.random((60, 70)).astype(np.float32) * 0.8
    cost[rng.random(cost.shape) < 0.15] = 1.0
    cost[30, 40] = 0.0
    field, told = CostToGo(), CostToGo()
    for made in (field, told):
        made.update(search.factors(cost, 2.0, 0.99), (30, 40))
    for _ in range(6):
        row, col = rng.integers(0, 55, 2)
        cost[row : row + 5, col : col + 6] = rng.choice([0.0, 0.3, 1.0], (5, 6))
        cost[30, 40] = 0.0
        factor = search.factors(cost, 2.0, 0.99)
        before = field._factor.copy()
        assert field.bounds_still(before, (30, 40))
        assert not field.bounds_still(before, (31, 40))
        still = field.bounds_still(factor, (30, 40))
        label = field.update(factor, (30, 40))
        assert field.repaired < factor.size
        fresh, _ = search.search(factor, (30, 40), None, 16)
        np.testing.assert_array_equal(label, fresh)
        cheaper = np.isinf(before) & np.isfinite(factor) | (before > factor)
        where = (min(row, 30), max(row + 5, 31), min(col, 40), max(col + 6, 41))
        np.testing.assert_array_equal(told.update(factor, (30, 40), 0.0, where), fresh)
        assert told.repaired == field.repaired
        assert still == (not cheaper.any())


def test_moves_end_on_whole_headings_and_keep_their_radius() -> None:
    settings = Se2Config()
    moves = moves_of(settings)
    part = 2.0 * math.pi / settings.headings
    for m in range(len(moves.turn)):
        end = moves.place[m, moves.samples[m] - 1]
        assert end[2] == pytest.approx(moves.turn[m] * part, abs=1e-12)
        if moves.turn[m] and moves.step[m]:
            radius = moves.step[m] * moves.samples[m] / abs(end[2])
            assert radius >= settings.min_radius_m - 1e-9


def test_a_vehicle_in_closed_ground_finds_its_way_out() -> None:
    cost = np.zeros(SPEC.shape)
    cost[95:106, 95:106] = 1.0
    path = planner_of().plan(terrain_of(cost), (1.2, 0.0, 0.0), (8.0, 0.0, None))
    assert path.reached


def test_what_cannot_be_planned_is_said() -> None:
    terrain = terrain_of(np.zeros(SPEC.shape))
    with pytest.raises(PlanningError, match=r"goal x = 99.00 m is outside the map"):
        planner_of().plan(terrain, (0.0, 0.0, 0.0), (99.0, 0.0, None))
    with pytest.raises(PlanningError, match="yaw"):
        planner_of().plan(terrain, (0.0, 0.0, math.nan), (5.0, 0.0, None))
    closed = np.zeros(SPEC.shape)
    closed[:, 120:] = 1.0
    with pytest.raises(PlanningError, match=r"no free ground within 3\.0 m"):
        planner_of().plan(terrain_of(closed), (-5.0, 0.0, 0.0), (8.0, 0.0, None))


def test_the_path_in_force_is_kept_while_nothing_changes() -> None:
    planner, terrain = planner_of(), terrain_of(random_ground(2))
    first = planner.plan(terrain, (-8.0, -8.0, 0.8), (8.0, 8.0, None))
    second = planner.plan(terrain, tuple(first.poses[5]), (8.0, 8.0, None))
    assert isinstance(second, Se2Path)
    assert second.kept
    assert second.looked_at == 0
    np.testing.assert_array_equal(second.poses[1:], first.poses[6:])
    assert planner.field.repaired == 0
