"""The elevation map on analytic scenes, and its invariances."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError, InvalidCloudError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping import fusion, rays, threads
from ilrs_robots.core.mapping.elevation_map import (
    LAYER_NAMES,
    ElevationMap,
    ElevationMapConfig,
)

LIDAR = Path(__file__).resolve().parents[3] / "shared" / "data" / "lidar"
S = 1_000_000_000
CONFIG = ElevationMapConfig(size_cells=200)
SIGMA_M = 0.012
Ground = Callable[[np.ndarray, np.ndarray], np.ndarray]


@functools.cache
def scan_of(
    ground: Ground,
    position: tuple[float, float, float],
    seed: int,
    columns: int = 512,
    channels: int = 64,
    dropout: float = 0.02,
    reach_m: float = 14.0,
) -> np.ndarray:
    """Rays from a levelled lidar to the first crossing of z = ground(x, y), with range noise."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns, endpoint=False) + rng.uniform(0, 0.01),
        np.radians(np.linspace(-45.0, 5.0, channels)) + rng.uniform(-0.005, 0.005),
    )
    ray = np.stack(
        (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
         np.sin(elevation)), axis=-1,
    ).reshape(-1, 3)  # fmt: skip
    ray = ray[rng.random(len(ray)) >= dropout]
    low, high = np.full(len(ray), np.nan), np.full(len(ray), np.nan)
    going = np.arange(len(ray))
    steps = np.arange(0.35, reach_m, 0.06)
    for previous, reach in itertools.pairwise(steps):
        at = np.asarray(position) + reach * ray[going]
        hit = at[:, 2] <= ground(at[:, 0], at[:, 1])
        low[going[hit]], high[going[hit]] = previous, reach
        going = going[~hit]
    seen = np.isfinite(high)
    ray, low, high = ray[seen], low[seen], high[seen]
    for _ in range(12):
        middle = 0.5 * (low + high)
        at = np.asarray(position) + middle[:, None] * ray
        below = at[:, 2] <= ground(at[:, 0], at[:, 1])
        high, low = np.where(below, middle, high), np.where(below, low, middle)
    reach = high + rng.normal(0.0, SIGMA_M, len(ray))
    return (reach[:, None] * ray).astype(np.float32)


def pose(position, yaw: float = 0.0) -> np.ndarray:
    return se3.from_rpy(position, (0.0, 0.0, yaw))


def mapped(ground: Ground, scans: int = 5, config=CONFIG, **options) -> ElevationMap:
    """The map after some scans along a short drive in x."""
    built = ElevationMap(config, (0.0, 0.0))
    for k in range(scans):
        x = 0.2 * k
        position = (x, 0.0, float(ground(np.array([x]), np.zeros(1))[0]) + 1.8)
        built.update(scan_of(ground, position, k, **options), pose(position), k * S // 5)
    return built


def truth_on(built: ElevationMap, ground: Ground) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y = np.meshgrid(built.spec.x_m(), built.spec.y_m())
    return x, y, ground(x, y)


def flat(x, y):
    return np.zeros_like(x)


def slope_15(x, y):
    return np.tan(np.radians(15.0)) * (0.8 * x + 0.6 * y)


def step_30cm(x, y):
    return np.where(x > 3.03, 0.3, 0.0)


def test_flat_ground():
    built = mapped(flat)
    x, y, truth = truth_on(built, flat)
    error = built.layer("elevation") - truth
    seen = np.isfinite(error)
    near = np.hypot(x, y) < 4.0
    assert np.sqrt(np.mean(error[seen] ** 2)) < 0.008
    assert np.percentile(np.abs(error[seen]), 95) < 0.012
    assert abs(np.mean(error[seen])) < 0.005
    ring = near & (np.hypot(x - 0.4, y) > 2.4)
    assert seen[ring].mean() > 0.9
    upper = built.layer("upper_bound")[seen]
    assert (upper >= built.layer("elevation")[seen]).all()
    assert np.percentile(upper, 99.5) < 0.04


def test_slope():
    built = mapped(slope_15)
    x, y, truth = truth_on(built, slope_15)
    elevation = built.layer("elevation")
    near = np.isfinite(elevation) & (np.hypot(x, y) < 8.0)
    assert np.sqrt(np.mean((elevation - truth)[near] ** 2)) < 0.008
    columns = np.stack((x[near], y[near], np.ones(near.sum())), axis=1)
    gradient = np.linalg.lstsq(columns, elevation[near], rcond=None)[0][:2]
    expected = np.tan(np.radians(15.0)) * np.array([0.8, 0.6])
    np.testing.assert_allclose(gradient, expected, atol=0.02)


def test_step_is_kept_and_the_upper_bound_reaches_its_edge():
    built = mapped(step_30cm, scans=8)
    x, y, truth = truth_on(built, step_30cm)
    elevation, upper = built.layer("elevation"), built.layer("upper_bound")
    aside = (np.abs(x - 3.03) > 0.1) & (np.hypot(x, y) < 6.0) & np.isfinite(elevation)
    assert np.sqrt(np.mean((elevation - truth)[aside] ** 2)) < 0.01
    low = elevation[aside & (x < 3.0)].mean()
    high = elevation[aside & (x > 3.1)].mean()
    assert high - low == pytest.approx(0.3, abs=0.025)
    face = (np.abs(x - 3.0) < 0.01) & (np.abs(y) < 2.0)
    assert np.isfinite(upper[face]).mean() > 0.95
    assert np.nanmedian(upper[face]) == pytest.approx(0.3, abs=0.05)


def rock(x, y):
    inside = 1.0 - ((x - 4.0) / 0.3) ** 2 - ((y - 1.0) / 0.25) ** 2
    return 0.35 * np.sqrt(np.maximum(inside, 0.0))


def test_rock_tops_are_represented_and_their_shadow_stays_unknown():
    built = mapped(rock, scans=6)
    x, y, truth = truth_on(built, rock)
    upper, elevation = built.layer("upper_bound"), built.layer("elevation")
    on_top = np.hypot(x - 4.0, y - 1.0) < 0.15
    assert np.nanmax(upper[on_top]) == pytest.approx(0.35, abs=0.04)
    assert np.isfinite(upper[on_top]).mean() > 0.8
    away = (np.hypot(x - 4.0, y - 1.0) > 0.5) & np.isfinite(elevation) & (np.hypot(x, y) < 8.0)
    assert np.sqrt(np.mean((elevation - truth)[away] ** 2)) < 0.01

    def wall(px, py):
        return np.where((px > 3.0) & (px < 3.2) & (np.abs(py) < 1.0), 1.0, 0.0)

    shadow = mapped(wall, scans=4).layer("elevation")
    behind = (x > 3.5) & (x < 5.0) & (np.abs(y) < 0.5)
    assert np.isnan(shadow[behind]).all()


def test_dropout_costs_coverage_not_accuracy():
    error = {}
    for dropout in (0.02, 0.7):
        built = mapped(flat, scans=3, dropout=dropout)
        heights = built.layer("elevation")
        error[dropout] = np.sqrt(np.nanmean(heights**2)), np.isfinite(heights).mean()
    assert error[0.7][1] < error[0.02][1]
    assert error[0.7][0] < 0.009


def test_variance_is_honest():
    errors, variances = [], []
    for seed in range(4):
        built = ElevationMap(CONFIG)
        points = scan_of(flat, (0.0, 0.0, 1.8), seed)
        built.update(points, pose((0.0, 0.0, 1.8)), 0)
        seen = built.layer("count") > 0
        errors.append(built.layer("elevation")[seen])
        variances.append(built.layer("variance")[seen])
    ratio = np.concatenate(errors) ** 2 / np.concatenate(variances)
    # the floor of the height noise makes the map modest, never sure of what is wrong
    assert np.mean(ratio < 9.0) > 0.995


def shapes(x, y):
    return 0.2 * np.sin(x) + step_30cm(x, y) + 0.1 * np.cos(2.0 * y)


def test_order_of_points_does_not_matter_and_same_order_gives_same_bytes():
    rng = np.random.default_rng(5)
    scans = [scan_of(shapes, (0.3 * k, 0.0, 2.1), k) for k in range(4)]
    maps = [ElevationMap(CONFIG) for _ in range(3)]
    for k, scan in enumerate(scans):
        at = pose((0.3 * k, 0.0, 2.1))
        maps[0].update(scan, at, k * S)
        maps[1].update(scan.copy(), at, k * S)
        maps[2].update(scan[rng.permutation(len(scan))], at, k * S)
    for name in LAYER_NAMES:
        first, again, shuffled = (built.layer(name) for built in maps)
        assert first.tobytes() == again.tobytes()
        tolerance = 1e-4 if name in ("elevation", "upper_bound") else 1e-6
        np.testing.assert_allclose(shuffled, first, atol=tolerance, rtol=1e-3)


def test_one_core_and_two_give_the_same_bytes():
    """Scans that two threads share, moved and with intensity; pinned to a core one does it all."""
    scan = np.vstack([scan_of(shapes, (0.0, 0.0, 1.5), seed) for seed in (1, 2)])
    assert len(scan) > fusion.ALONE
    bright = np.abs(scan[:, 0]).astype(np.float32)
    allowed = os.sched_getaffinity(0)
    states = []
    for cores in (allowed, {min(allowed)}):
        os.sched_setaffinity(0, cores)
        try:
            assert threads.two_cores() == (len(cores) > 1)
            built = ElevationMap(ElevationMapConfig())
            for k in range(6):
                built.recentre((0.3 * k, -0.2 * k))
                built.update(scan, pose((0.03 * k, 0.0, 1.5)), k * S // 10, intensity=bright)
        finally:
            os.sched_setaffinity(0, allowed)
        states.append(built.to_arrays())
    for name, array in states[0].items():
        assert np.asarray(array).tobytes() == np.asarray(states[1][name]).tobytes(), name


def test_the_half_of_the_rays_that_a_dense_scan_follows_clears_what_has_gone():
    """A block that is there for four scans of dense ground and then is not, leaves nothing."""
    config = ElevationMapConfig()

    def block(x, y):
        return np.where((np.abs(x - 4.0) < 0.4) & (np.abs(y - 1.0) < 0.4), 0.8, 0.0)

    dense = dict(columns=1200, channels=96)
    built, ghosts = ElevationMap(config), []
    for k in range(14):
        scan = scan_of(block if k < 4 else flat, (0.0, 0.0, 1.5), k % 2, **dense)
        report = built.update(scan, pose((0.0, 0.0, 1.5)), k * S // 10)
        upper = built.layer("upper_bound")
        ghosts.append(int(np.nansum(upper > 0.3)))
    assert report.cells_touched > rays.DENSE
    assert ghosts[3] >= 8
    assert ghosts[-1] == 0


def reference_update(points, T, config, spec):
    """First scan into an empty map, with arrays: mean, variance, highest point, count per cell."""
    local = points.astype(np.float64)
    square = np.sum(local**2, axis=1)
    with np.errstate(invalid="ignore"):
        keep = (square >= config.range_min_m**2) & (square <= config.range_max_m**2)
    world = local @ T[:3, :3].T + T[:3, 3]
    row, col = spec.cell_of(np.where(np.isfinite(world[:, :2]), world[:, :2], 1e9))
    keep &= (row >= 0) & (row < spec.rows) & (col >= 0) & (col < spec.cols)
    rise2 = (world[:, 2] - T[2, 3]) ** 2
    variance = (
        config.height_sigma_m**2
        + config.range_sigma_m**2 * rise2 / square
        + config.angle_sigma_rad**2 * (square - rise2)
    )
    cell = (row * spec.cols + col)[keep]
    weight, height = 1.0 / variance[keep], world[keep, 2]
    cells = spec.rows * spec.cols
    total = np.bincount(cell, weight, cells)
    count = np.bincount(cell, minlength=cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(cell, weight * height, cells) / total
        spread = np.bincount(cell, weight * (height - mean[cell]) ** 2, cells) / total
        noise = np.maximum(1.0 / total, spread / count)
    noise = np.clip(noise, config.min_sigma_m**2, config.max_sigma_m**2)
    top = np.full(cells, -np.inf)
    np.maximum.at(top, cell, height)
    return (a.reshape(spec.shape) for a in (mean, noise, top, count))


def test_one_scan_agrees_with_the_array_form():
    rng = np.random.default_rng(3)
    built = ElevationMap(ElevationMapConfig(size_cells=60), (1.0, -2.0))
    points = rng.uniform(-6.0, 6.0, (20_000, 3)).astype(np.float32)
    points[::50] = np.nan
    points[::70] *= 0.01
    T = se3.from_rpy((1.3, -2.2, 0.7), (0.05, -0.1, 2.0))
    world = points.astype(np.float64) @ T[:3, :3].T + T[:3, 3]
    place = (world[:, :2] - (built.spec.origin_x_m, built.spec.origin_y_m)) / 0.1 + 0.5
    edge = np.abs(place - np.rint(place)).min(axis=1) < 1e-3  # float32 may round across an edge
    points = points[~edge]
    mean, noise, top, count = reference_update(points, T, built.config, built.spec)
    report = built.update(points, T, 0)
    seen = count > 0
    np.testing.assert_array_equal(built.layer("count"), count)
    np.testing.assert_allclose(built.layer("elevation")[seen], mean[seen], atol=2e-5)
    np.testing.assert_allclose(built.layer("variance")[seen], noise[seen], rtol=2e-3)
    assert (built.layer("upper_bound")[seen] <= top[seen] + 1e-5).all()
    assert np.isnan(built.layer("elevation")[~seen]).all()
    assert report.cells_touched == seen.sum()
    assert report.fused == count.sum()
    assert report.points == len(points)
    assert report.dropped["non_finite"] == np.isnan(points[:, 0]).sum()
    assert report.dropped["range"] > 0
    assert report.dropped["outside"] > 0


@pytest.mark.parametrize("move", [(0.7, 0.0), (0.0, -1.3), (3.3, 2.9), (-5.0, 9.9), (0.04, 0.04)])
def test_moving_there_and_back_leaves_what_is_still_inside(move):
    built = mapped(shapes, scans=2)
    before, spec = {n: built.layer(n) for n in LAYER_NAMES}, built.spec
    built.recentre(move)
    there = built.spec
    built.recentre((0.0, 0.0))
    assert built.spec == spec
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    row, col = there.cell_of(np.stack((x, y), axis=-1))
    inside = (row >= 0) & (row < there.rows) & (col >= 0) & (col < there.cols)
    assert 0 < inside.sum() <= inside.size
    for name in LAYER_NAMES:
        after = built.layer(name)
        np.testing.assert_array_equal(after[inside], before[name][inside])
        outside = after[~inside]
        assert (outside == 0).all() if name == "count" else np.isnan(outside).all()


def test_the_map_does_not_depend_on_how_its_window_got_there():
    scan = scan_of(shapes, (0.0, 0.0, 2.1), 0)
    direct = ElevationMap(CONFIG, (12.3, -4.5))
    rolled = ElevationMap(CONFIG, (0.0, 0.0))
    for middle in ((3.0, 1.0), (9.1, -2.0), (12.3, -4.5)):
        rolled.recentre(middle)
    at = pose((12.0, -4.0, 2.1), 0.4)
    direct.update(scan, at, 0)
    rolled.update(scan, at, 0)
    assert direct.spec == rolled.spec
    for name in LAYER_NAMES:
        assert direct.layer(name).tobytes() == rolled.layer(name).tobytes()


def test_a_jump_beyond_the_window_empties_it():
    built = mapped(flat, scans=1)
    built.recentre((1000.0, -1000.0))
    assert np.isnan(built.layer("elevation")).all()
    assert built.layer("count").sum() == 0
    assert built.spec.contains(np.array([1000.0, -1000.0]))


def test_cells_are_where_the_spec_says():
    built = ElevationMap(ElevationMapConfig(size_cells=40), (5.03, -7.0))
    target = np.array([[5.52, -7.81, 0.4]])
    at = se3.from_rpy((4.0, -6.0, 1.0), (0.0, 0.0, 1.0))
    local = (target - at[:3, 3]) @ at[:3, :3]
    built.update(local.astype(np.float32), at, 0)
    row, col = built.spec.cell_of(target[0, :2])
    assert built.layer("elevation")[row, col] == pytest.approx(0.4, abs=1e-5)
    assert np.isfinite(built.layer("elevation")).sum() == 1


def point_scan(z: float, count: int = 6) -> np.ndarray:
    """Points straight below a sensor at 5 m, into one cell."""
    return np.tile(np.float32([0.01, 0.01, z - 5.0]), (count, 1))


def test_what_contradicts_is_gated_raises_the_bound_and_wins_in_the_end():
    built = ElevationMap(ElevationMapConfig(size_cells=10))
    at = pose((0.0, 0.0, 5.0))
    row, col = built.spec.cell_of(np.zeros(2))
    for k in range(20):
        built.update(point_scan(0.0), at, k * S)
    report = built.update(point_scan(0.4), at, 21 * S)
    assert report.dropped["gated"] == 6
    assert built.layer("elevation")[row, col] == pytest.approx(0.0, abs=1e-3)
    assert built.layer("upper_bound")[row, col] == pytest.approx(0.4, abs=1e-3)
    for k in range(22, 30):
        built.update(point_scan(0.4), at, k * S)
    assert built.layer("elevation")[row, col] == pytest.approx(0.4, abs=0.01)
    # and back: a thing that moved away leaves no ghost where the ground is seen again
    for k in range(30, 150):
        built.update(point_scan(0.0), at, k * S)
    assert built.layer("elevation")[row, col] == pytest.approx(0.0, abs=0.01)
    assert built.layer("upper_bound")[row, col] == pytest.approx(0.0, abs=0.03)


def test_obstacles_out_of_sight_stay():
    built = ElevationMap(ElevationMapConfig(size_cells=10))
    built.update(point_scan(0.4), pose((0.2, 0.0, 5.0)), 0)
    before = {n: built.layer(n) for n in LAYER_NAMES}
    seen = before["count"] > 0
    for k in range(1, 200):
        built.update(point_scan(0.0), pose((-0.3, 0.0, 5.0)), k * S)
    for name in LAYER_NAMES:
        np.testing.assert_array_equal(built.layer(name)[seen], before[name][seen])


def test_pose_uncertainty_is_common_to_all_points():
    covariance = np.diag([0.0, 0.0, 0.02**2, 0.01**2, 0.003**2, 0.0])
    built = ElevationMap(ElevationMapConfig(size_cells=100))
    distance = 4.05
    points = np.tile(np.float32([distance, 0.0, -1.0]), (500, 1))
    built.update(points, pose((0.0, 0.0, 1.0)), 0, covariance)
    row, col = built.spec.cell_of(np.array([distance, 0.0]))
    expected = 0.02**2 + (0.01 * distance) ** 2
    assert built.layer("variance")[row, col] == pytest.approx(expected, rel=0.05)


def test_variance_grows_while_a_cell_is_not_seen():
    config = ElevationMapConfig(size_cells=10, growth_m2_per_s=1e-4)
    gated = {}
    for wait_s in (1, 100):
        built = ElevationMap(config)
        for k in range(10):
            built.update(point_scan(0.0), pose((0.0, 0.0, 5.0)), k * S)
        later = (10 + wait_s) * S
        gated[wait_s] = built.update(point_scan(0.2), pose((0.0, 0.0, 5.0)), later).dropped[
            "gated"
        ]
    assert gated == {1: 6, 100: 0}


def test_last_seen_holds_its_resolution_on_a_wall_clock():
    built = ElevationMap(ElevationMapConfig(size_cells=10))
    start = 1_900_000_000 * S
    for k in range(3):
        built.update(point_scan(0.0), pose((0.0, 0.0, 5.0)), start + k * S // 10)
    assert built.time_origin_ns == start
    assert np.nanmax(built.layer("last_seen_s")) == pytest.approx(0.2)


def test_saved_arrays_restore_the_map(tmp_path):
    built = mapped(shapes, scans=2)
    built.recentre((1.7, -3.1))
    np.savez(tmp_path / "map.npz", **built.to_arrays())
    with np.load(tmp_path / "map.npz") as arrays:
        restored = ElevationMap.from_arrays(dict(arrays))
    assert restored.spec == built.spec
    assert restored.config == built.config
    scan, at = scan_of(shapes, (1.7, -3.1, 2.1), 9), pose((1.7, -3.1, 2.1))
    for which in (built, restored):
        which.update(scan, at, 5 * S)
    for name in LAYER_NAMES:
        assert restored.layer(name).tobytes() == built.layer(name).tobytes()
    arrays = built.to_arrays()
    del arrays["variance"]
    with pytest.raises(ConfigError, match="'variance' is missing"):
        ElevationMap.from_arrays(arrays)


def test_clear_forgets():
    built = mapped(flat, scans=1)
    spec = built.spec
    built.clear()
    assert built.spec == spec
    assert np.isnan(built.layer("elevation")).all()
    assert built.layer("count").sum() == 0


def test_bad_input_leaves_the_map_intact():
    built = mapped(flat, scans=1)
    before = {n: built.layer(n).tobytes() for n in LAYER_NAMES}
    good = scan_of(flat, (0.0, 0.0, 1.8), 0, columns=30)
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    for points, at, error, said in (
        (np.empty((0, 3), np.float32), np.eye(4), InvalidCloudError, "no points"),
        (np.full((9, 3), np.nan, np.float32), np.eye(4), InvalidCloudError, "finite"),
        (np.zeros((9, 4), np.float32), np.eye(4), InvalidCloudError, "shape"),
        (good, sheared, TransformError, "rigid"),
        (good, np.full((4, 4), np.nan), TransformError, "finite"),
        (good, np.eye(3), TransformError, "shape"),
    ):
        with pytest.raises(error, match=said):
            built.update(points, at, S)
    with pytest.raises(ConfigError, match="finite"):
        built.recentre((np.nan, 0.0))
    with pytest.raises(KeyError, match="no layer 'colour'"):
        built.layer("colour")
    assert {n: built.layer(n).tobytes() for n in LAYER_NAMES} == before


def test_too_large_a_map_is_refused_with_value_limit_and_unit():
    with pytest.raises(
        ConfigError, match=r"size_cells = 1000000 cells: above the limit 2000 cells"
    ):
        ElevationMapConfig(size_cells=10**6)
    with pytest.raises(ConfigError, match="must be below"):
        ElevationMapConfig(range_min_m=50.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        CONFIG.size_cells = 3


@pytest.mark.skipif(not LIDAR.is_dir(), reason="the real scans are not there")
def test_real_scans_fill_the_map():
    built = ElevationMap(ElevationMapConfig(range_max_m=60.0))
    for k in range(2):
        raw = np.load(LIDAR / f"os1_128_scan{k}.npy")
        points = np.stack([raw[axis] for axis in "xyz"], axis=1)
        report = built.update(points, pose((0.0, 0.0, 1.8)), k * S // 10)
        assert report.points == len(points)
        assert report.cells_touched > 25_000
    heights = built.layer("elevation")
    assert np.isfinite(heights).sum() > 30_000
    assert (built.layer("upper_bound") >= heights)[np.isfinite(heights)].all()
