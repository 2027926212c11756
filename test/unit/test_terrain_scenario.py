"""The demonstration's course keeps its promises for every seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain import scenario
from ilrs_robots.core.terrain.corridor import blocked_cells, corridor_report, rocks_in_swath
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.core.terrain.scenario import demo_scenario
from ilrs_robots.core.terrain.surface import Crater, Features, Surface, SurfaceConfig
from ilrs_robots.core.types import GridSpec

CLEARANCE_M = 0.32
LIMIT_RAD = math.radians(20.0)
WIDTH_M = 2.1


@pytest.mark.parametrize("seed", range(1, 11))
def test_promises(seed: int) -> None:
    made = demo_scenario(seed, CLEARANCE_M, LIMIT_RAD, WIDTH_M)
    surface, start, goal = made.surface, made.start_xy_m, made.goal_xy_m
    report = corridor_report(surface, start, goal, WIDTH_M, CLEARANCE_M)
    assert report == made.report
    assert 65.0 <= report.length_m <= 80.0
    assert report.rocks_on_line >= 3
    assert report.rocks_over_clearance >= report.rocks_on_line
    assert report.max_slope_rad > LIMIT_RAD
    assert made.start_yaw_rad == pytest.approx(math.atan2(*(goal - start)[::-1]))
    assert np.abs(np.stack((start, goal))).max() < 150.0
    for place in (start, goal):
        check_calm(surface, place)


def check_calm(surface: Surface, place: np.ndarray) -> None:
    """Written independently of the module: plane fits, and rock tops on a grid."""
    spec = GridSpec(place[0] - 4.0, place[1] - 4.0, 0.1, 81, 81)
    x, y = np.meshgrid(spec.x_m() - place[0], spec.y_m() - place[1])
    ground = surface.grid_f64(spec)
    inside = np.hypot(x, y) <= 4.0
    assert (surface.top_grid(spec) - ground)[inside].max() < 0.1
    for cx, cy in ((0.0, 0.0), (2.5, 0.0), (-2.5, 0.0), (0.0, 2.5), (0.0, -2.5)):
        near = np.hypot(x - cx, y - cy) <= 1.2
        design = np.column_stack((x[near], y[near], np.ones(near.sum())))
        slope = np.linalg.lstsq(design, ground[near], rcond=None)[0][:2]
        assert math.degrees(math.atan(float(np.hypot(*slope)))) < 8.0


def test_the_same_seed_gives_the_same_course() -> None:
    one, same = (demo_scenario(4, CLEARANCE_M, LIMIT_RAD) for _ in range(2))
    assert one.features == same.features
    np.testing.assert_array_equal(one.goal_xy_m, same.goal_xy_m)
    spec = GridSpec(*one.start_xy_m.tolist(), 0.2, 60, 60)
    assert one.surface.top_grid(spec).tobytes() == same.surface.top_grid(spec).tobytes()


def test_a_vehicle_that_cannot_be_stopped_gets_no_course(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenario, "_CANDIDATES", 20)
    with pytest.raises(TerrainError, match=r"rocks over 2.5 m"):
        demo_scenario(1, 2.5, LIMIT_RAD)


def test_report_of_a_known_line() -> None:
    spec = GridSpec(-50.0, -50.0, 5.0, 21, 21)
    bare = SurfaceConfig(roughness_m=0.0, crater_density_m2=0.0, rock_k=0.0, ejecta_k=0.0)
    x, _ = np.meshgrid(spec.x_m(), spec.y_m())
    dem = Dem((math.tan(0.1) * x).astype(np.float32), spec)
    plain = Surface(dem, 1, bare)
    report = corridor_report(plain, (-30.0, 0.0), (30.0, 0.0), WIDTH_M, CLEARANCE_M)
    assert report.rocks_over_clearance == 0
    assert report.length_m == 60.0
    assert report.max_slope_rad == pytest.approx(0.1, abs=1e-4)
    pit = plain.with_features(Features((Crater(0.0, 0.0, 14.0, 2.6),)))
    steep = corridor_report(pit, (-30.0, 0.0), (30.0, 0.0), WIDTH_M, CLEARANCE_M)
    assert steep.max_slope_rad > LIMIT_RAD
    with pytest.raises(TerrainError, match="leaves the terrain"):
        corridor_report(plain, (0.0, 0.0), (80.0, 0.0), WIDTH_M, CLEARANCE_M)
    with pytest.raises(TerrainError, match="no length"):
        corridor_report(plain, (0.0, 0.0), (0.0, 0.0), WIDTH_M, CLEARANCE_M)


def test_swath_counts_footprints_not_centres() -> None:
    centres = np.array([[5, 1.4, 0], [5, 1.7, 0], [-0.4, 0, 0], [-0.8, 0, 0], [10.4, 0, 0]])
    rocks = Rocks(centres, np.tile([0.5, 0.3, 0.3], (5, 1)), np.zeros(5), np.arange(5))
    inside = rocks_in_swath(rocks, (0.0, 0.0), (10.0, 0.0), 2.3)
    np.testing.assert_array_equal(inside, [True, False, True, False, True])
    turned = Rocks(centres, rocks.semi_axes_m, np.full(5, math.pi / 2), rocks.ids)
    inside = rocks_in_swath(turned, (0.0, 0.0), (10.0, 0.0), 2.4)
    np.testing.assert_array_equal(inside, [True, True, False, False, False])


def test_blocked_cells_keep_their_distance() -> None:
    spec = GridSpec(-50.0, -50.0, 5.0, 21, 21)
    bare = SurfaceConfig(roughness_m=0.0, crater_density_m2=0.0, rock_k=0.0, ejecta_k=0.0)
    dem = Dem(np.zeros(spec.shape, dtype=np.float32), spec)
    surface = Surface(dem, 1, bare, Features((Crater(0.0, 0.0, 14.0, 2.6),)))
    cells = GridSpec(-25.0, -25.0, 0.5, 101, 101)
    wall = blocked_cells(surface, cells, math.radians(17.0), 0.2, 0.0)
    wide = blocked_cells(surface, cells, math.radians(17.0), 0.2, 1.6)
    x, y = np.meshgrid(cells.x_m(), cells.y_m())
    away = np.hypot(x, y)
    assert wall.any()
    assert away[wall].max() < 7.6
    assert not (wall & ~wide).any()
    assert 1.0 < away[wide].max() - away[wall].max() < 2.2
    assert not wide[away > 10.0].any()
