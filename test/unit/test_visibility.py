"""What moves leaves no ghost in the map; what stands stays, seen or not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lidar_scenes import Box, Plane, Post, scan_of

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping.elevation_map import ElevationMap, ElevationMapConfig
from ilrs_robots.core.mapping.sensor_noise import SensorNoise

S = 1_000_000_000
CONFIG = ElevationMapConfig(size_cells=160)
GROUND = Plane()


def at(position) -> np.ndarray:
    return se3.from_rpy(position, (0.0, 0.0, 0.0))


def driven(built: ElevationMap, scenes, path, first: int = 0, noise=None, **lidar) -> int:
    """Fuse one scan per scene and position; cells that were seen through."""
    through = 0
    for k, (scene, xy) in enumerate(zip(scenes, path, strict=True), first):
        position = (*xy, 1.6)
        points = scan_of(scene, position, k, **lidar)
        report = built.update(points, at(position), k * S // 5, noise=noise)
        through += report.cells_seen_through
    return through


def near(built: ElevationMap, x: float, y: float, radius: float) -> np.ndarray:
    gx, gy = np.meshgrid(built.spec.x_m(), built.spec.y_m())
    return np.hypot(gx - x, gy - y) < radius


def test_an_astronaut_who_walks_past_leaves_no_ghost():
    walk = [(3.0, -3.0 + 0.2 * k) for k in range(31)]
    path = [(0.01 * k, 0.02 * k) for k in range(31)]
    ghosts = {}
    for visibility in (False, True):
        built = ElevationMap(dataclasses.replace(CONFIG, visibility=visibility))
        driven(built, [[GROUND, Post(*xy)] for xy in walk], path)
        upper = built.layer("upper_bound")
        crossed = np.any([near(built, *xy, 0.25) for xy in walk[:-8]], axis=0)
        ghosts[visibility] = int((upper[crossed] > 0.25).sum())
        there = near(built, *walk[-1], 0.35)
        assert np.nanmax(upper[there]) > 1.0, "who is there now is in the map"
    assert ghosts[False] > 50, "the scene is one that leaves ghosts"
    assert ghosts[True] <= 0.02 * ghosts[False]


def test_another_rover_that_drives_through_leaves_no_ghost():
    def rover(x: float) -> list:
        return [GROUND, Box((x - 0.9, 2.4, 0.3), (x + 0.9, 3.4, 1.1)),
                *(Box((x + dx - 0.2, y, 0.0), (x + dx + 0.2, y + 0.2, 0.5))
                  for dx in (-0.8, 0.8) for y in (2.3, 3.3))]  # fmt: skip

    xs = np.arange(-4.0, 5.0, 0.3)
    built = ElevationMap(CONFIG)
    path = [(0.04 * k, 0.0) for k in range(len(xs) + 6)]
    scenes = [rover(x) for x in xs] + [[GROUND]] * 6
    driven(built, scenes, path)
    gx, gy = np.meshgrid(built.spec.x_m(), built.spec.y_m())
    lane = (np.abs(gy - 2.9) < 0.5) & (gx > -4.0) & (gx < 3.0)
    upper = built.layer("upper_bound")[lane]
    assert (upper > 0.2).sum() <= 0.01 * lane.sum()


def test_rocks_and_ridges_are_not_eaten():
    rocks = [Box((3.0, 0.02, 0.0), (3.3, 0.31, 0.3)), Box((2.0, -2.04, 0.0), (2.16, -1.88, 0.2)),
             Box((-4.03, -3.0, 0.0), (-3.9, 3.0, 0.25))]  # fmt: skip
    scene = [GROUND, *rocks]
    first, later = [(0.03 * k, 0.0) for k in range(8)], [(0.24, 0.04 * k) for k in range(20)]
    tops = []
    for visibility in (False, True):
        built = ElevationMap(dataclasses.replace(CONFIG, visibility=visibility))
        driven(built, [scene] * 8, first)
        driven(built, [scene] * 20, later, first=8)
        tops.append(built.layer("upper_bound") > 0.15)
    assert tops[0].sum() > 60
    assert (tops[1] & tops[0]).sum() >= 0.99 * tops[0].sum()


def test_a_thin_pole_stays_though_rays_pass_on_both_sides():
    scene = [GROUND, Post(4.0, 0.5, radius=0.03, height=1.0)]
    built = ElevationMap(CONFIG)
    path = [(0.04 * k, 0.03 * k) for k in range(30)]
    driven(built, [scene] * 30, path, columns=512)
    assert np.nanmax(built.layer("upper_bound")[near(built, 4.0, 0.5, 0.1)]) > 0.7


def test_what_leaves_the_field_of_view_stays():
    wall = Box((2.0, -0.5, 0.0), (2.3, 0.5, 1.2))
    built = ElevationMap(CONFIG)
    driven(built, [[GROUND, wall]] * 5, [(0.05 * k, 0.0) for k in range(5)])
    before = built.layer("upper_bound")
    tall = near(built, 2.15, 0.0, 0.5) & (before > 0.5)
    assert tall.sum() > 10
    # turned away: half a turn of the lidar is left, and it looks the other way
    for k in range(5, 25):
        position = (0.2, 0.0, 1.6)
        points = scan_of([GROUND, wall], position, k)
        points = points[points[:, 0] < -0.5]
        built.update(points, at(position), k * S // 5)
    np.testing.assert_array_equal(built.layer("upper_bound")[tall], before[tall])


def test_what_is_above_the_field_of_view_is_not_judged():
    """Under the belly of a lander rays run on to the ground behind: it is still there."""
    belly = Box((2.0, -1.0, 1.0), (3.0, 1.0, 1.4))
    legs = [Post(x, y, 0.05, 1.0) for x in (2.05, 2.95) for y in (-0.95, 0.95)]
    built = ElevationMap(CONFIG)
    path = [(0.03 * k, 0.02 * k) for k in range(6)]
    driven(built, [[GROUND, belly, *legs]] * 6, path)
    gx, gy = np.meshgrid(built.spec.x_m(), built.spec.y_m())
    under = (np.abs(gx - 2.1) < 0.1) & (np.abs(gy) < 0.8) & (built.layer("upper_bound") > 0.9)
    assert under.sum() > 10
    noise = SensorNoise(view_top_rad=np.radians(-25.0))
    for k in range(10):
        position = (0.02 * k, 0.03 * k, 1.6)
        points = scan_of([GROUND, belly, *legs], position, 50 + k)
        steep = points[:, 2] < -np.tan(np.radians(25.0)) * np.hypot(points[:, 0], points[:, 1])
        built.update(points[steep], at(position), (6 + k) * S // 5, noise=noise)
    assert (built.layer("upper_bound")[under] > 0.9).all()


def test_cells_that_the_scan_itself_saw_keep_their_height():
    scene = [GROUND, Box((3.0, -1.0, 0.0), (3.4, 1.0, 0.5))]
    built = ElevationMap(CONFIG)
    path = [(0.03 * k, 0.02 * k) for k in range(10)]
    for k, (x, y) in enumerate(path):
        before = built.layer("count")
        known = np.isfinite(built.layer("elevation"))
        built.update(scan_of(scene, (x, y, 1.6), k), at((x, y, 1.6)), k * S // 5)
        fused = built.layer("count") > before
        assert np.isfinite(built.layer("elevation")[fused & known]).all()


def test_a_map_that_was_seen_through_can_be_saved_halfway(tmp_path):
    scenes = [[GROUND, Post(3.0, 0.2 * k)] for k in range(10)]
    path = [(0.05 * k, 0.02 * k) for k in range(10)]
    whole, half = ElevationMap(CONFIG), ElevationMap(CONFIG)
    for built in (whole, half):
        driven(built, scenes[:5], path[:5])
    np.savez(tmp_path / "half.npz", **half.to_arrays())
    with np.load(tmp_path / "half.npz") as arrays:
        half = ElevationMap.from_arrays(dict(arrays))
    through = [driven(built, scenes[5:], path[5:], first=5) for built in (whole, half)]
    assert through[0] == through[1] > 0
    for name, array in whole.to_arrays().items():
        assert array.tobytes() == half.to_arrays()[name].tobytes(), name


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_points_does_not_matter_to_what_is_seen_through(seed):
    rng = np.random.default_rng(seed)
    maps = [ElevationMap(CONFIG), ElevationMap(CONFIG)]
    for k in range(8):
        position = (0.05 * k, 0.02 * k, 1.6)
        points = scan_of([GROUND, Post(3.0, 0.3 * k)], position, 10 * seed + k)
        maps[0].update(points, at(position), k * S)
        maps[1].update(points[rng.permutation(len(points))], at(position), k * S)
    for name in ("elevation", "upper_bound", "lower_bound"):
        first, second = (built.layer(name) for built in maps)
        np.testing.assert_allclose(second, first, atol=1e-4)
