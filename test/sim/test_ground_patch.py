"""The patch that follows the vehicle, and what physics and lidar agree on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.types import GridSpec
from ilrs_robots.sim.analytic import AnalyticRocks, AnalyticTerrain, hills, plane
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.lidar_scene import build_scene

pytestmark = pytest.mark.sim


def rays_down(xy_m, scene, above_m=30.0):
    rays = np.zeros((len(xy_m), 6), dtype=np.float32)
    rays[:, :2] = xy_m - scene.origin_m[:2]
    rays[:, 2], rays[:, 5] = above_m, -1.0
    ranges, _, rock = scene.cast(rays, 1)
    return scene.origin_m[2] + above_m - ranges, rock


def test_physics_stands_on_the_terrain_at_the_centre_and_near_the_corners(make_world):
    terrain = AnalyticTerrain(lambda x, y: 0.3 * np.sin(x) + 0.02 * x * y + 0.1 * y)
    patch = make_world(terrain, at=(40.0, -25.0, 0.0)).ground("rover")
    spec = patch.spec
    rng = np.random.default_rng(2)
    rows, cols = rng.integers(0, spec.rows, 40), rng.integers(0, spec.cols, 40)
    corners = patch.centre_m + np.array([[11.9, 11.9], [-11.9, -11.9]])
    xy = np.concatenate((spec.xy_of(rows, cols), corners))
    np.testing.assert_allclose(patch.probe_m(xy), terrain.height(xy), atol=1e-3)


def test_a_move_keeps_every_shared_sample(make_world):
    patch = make_world(hills()).ground("rover")
    before, heights = patch.spec, patch.heights_m.astype(np.float64)
    probes = np.stack(np.meshgrid(np.arange(-3.0, 8.0), np.arange(-3.0, 8.0)), -1).reshape(-1, 2)
    probes += 0.037
    seen = patch.probe_m(probes)
    assert not patch.follow(np.array([4.0, 4.9]))
    assert patch.follow(np.array([5.3, 2.1]))
    after = patch.spec
    dx = round((after.origin_x_m - before.origin_x_m) / before.resolution_m)
    dy = round((after.origin_y_m - before.origin_y_m) / before.resolution_m)
    assert dx > 0
    assert dy > 0
    np.testing.assert_allclose(patch.heights_m[:-dy, :-dx], heights[dy:, dx:], atol=1e-6)
    np.testing.assert_allclose(patch.probe_m(probes), seen, atol=2e-5)


def test_two_hundred_metres_without_a_jump(make_world, drive, model, payloads):
    fast = dataclasses.replace(
        model,
        limits=dataclasses.replace(model.limits, max_speed_mps=2.5, max_accel_mps2=1.0),
        wheels=dataclasses.replace(model.wheels, max_speed_rps=12.0),
    )
    terrain = AnalyticTerrain(lambda x, y: 0.8 * np.sin(0.12 * x) * np.cos(0.1 * y))
    world = make_world(terrain, robot=fast, at=(0.0, 0.0, 0.4))
    up, moved, off = [], [], []
    while world.truth("rover").position_m[0] < 190.0:
        before = world.ground("rover").moves
        samples = payloads(drive(world, 2.5, 0.0, 0.02), "imu/data")
        up.append(samples[-1].specific_force_mps2[2])
        moved.append(world.ground("rover").moves > before)
        position = world.truth("rover").position_m
        off.append(position[2] - terrain.height(position[None, :2])[0])
        assert world.time_ns < 100e9
    assert np.count_nonzero(moved) > 30
    assert np.ptp(off) < 0.08
    at_moves = np.abs(np.array(up)[np.array(moved)] - 1.62)
    elsewhere = np.abs(np.array(up)[~np.array(moved)] - 1.62)
    assert at_moves.max() <= elsewhere.max()


def test_rocks_of_the_pool_are_the_terrains_ellipsoids(make_world):
    rocks = AnalyticRocks.of(
        (1.6, 0.0, 0.05, 0.3, 0.15, 0.2, 0.7), (-1.7, 0.2, 0.0, 0.2, 0.2, 0.15, 0.0)
    )
    patch = make_world(plane(rocks=rocks)).ground("rover")
    xy = np.array([[1.6, 0.0], [-1.7, 0.2], [1.6 + 0.2 * np.cos(0.7), 0.2 * np.sin(0.7)]])
    edge = 0.05 + 0.2 * np.sqrt(1.0 - (0.2 / 0.3) ** 2)
    seen = probe_without_vehicle(patch, xy)
    np.testing.assert_allclose(seen, [0.25, 0.15, edge], atol=1e-6)


def probe_without_vehicle(patch, xy):
    seen = patch.probe_m(xy)
    assert np.isfinite(seen).all()
    return seen


def test_rocks_follow_the_vehicle_by_id(make_world):
    many = [(2.0 * k, (-1.0) ** k, 0.0, 0.2, 0.2, 0.2, 0.0) for k in range(200)]
    world = make_world(plane(rocks=AnalyticRocks.of(*many)), at=(1.0, 0.0, 0.0), rock_pool=4)
    patch = world.ground("rover")
    first = dict(patch.slots)
    patch.follow(np.array([2.0, 0.0]))
    kept = set(first) & set(patch.slots)
    assert kept
    assert all(first[key] == patch.slots[key] for key in kept)
    patch.follow(np.array([150.0, 0.0]))
    assert set(patch.slots) <= {73, 74, 75, 76, 77}
    assert len(set(patch.slots.values())) == len(patch.slots) <= 4


def test_too_much_relief_is_an_error(make_world):
    with pytest.raises(SimulationError, match="patch_relief_m"):
        make_world(AnalyticTerrain(lambda x, y: np.where(x > 8.0, 100.0, 0.0)))


def test_lidar_and_physics_agree_about_the_ground(make_world):
    terrain = hills(0.6)
    world = make_world(terrain, at=(3.3, -2.2, 0.0))
    patch = world.ground("rover")
    scene = build_scene(terrain, patch.spec, patch.heights_m, 50.0)
    xy = patch.centre_m + np.random.default_rng(0).uniform(-11.5, 11.5, (300, 2))
    seen, _ = rays_down(xy, scene)
    np.testing.assert_allclose(seen, patch.probe_m(xy), atol=2e-4)
    np.testing.assert_allclose(seen, terrain.height(xy), atol=5e-3)


def test_rings_have_no_gap_and_the_right_height():
    terrain = hills(1.0)
    spec = GridSpec(-12.0, -12.0, 0.1, 241, 241)
    scene = build_scene(terrain, spec, terrain.grid(spec), 50.0)
    rng = np.random.default_rng(1)
    anywhere = rng.uniform(-50.0, 50.0, (20_000, 2))
    border = rng.uniform(-24.0, 24.0, (20_000, 2))
    border[:10_000, 0] = rng.choice([-24.0, -12.0, 12.0, 24.0], 10_000)
    border[10_000:, 1] = rng.choice([-24.0, -12.0, 12.0, 24.0], 10_000)
    for xy in (anywhere, border):
        seen, _ = rays_down(xy, scene)
        assert np.isfinite(seen).all()
        error = np.abs(seen - terrain.height(xy))
        distance = np.abs(xy).max(axis=1)
        assert error[distance < 11.9].max(initial=0.0) < 0.005
        assert error[distance < 23.5].max() < 0.015
        assert error.max() < 0.1


def test_unknown_ground_is_left_out_of_the_scene():
    terrain = AnalyticTerrain(lambda x, y: 0.0 * x, half_m=15.0)
    spec = GridSpec(-12.0, -12.0, 0.1, 241, 241)
    scene = build_scene(terrain, spec, terrain.grid(spec), 50.0)
    seen, _ = rays_down(np.array([[0.0, 0.0], [14.0, 3.0], [20.0, 0.0]]), scene)
    np.testing.assert_allclose(seen[:2], 0.0, atol=1e-5)
    assert np.isinf(seen[2])


def test_rocks_in_the_scene_are_the_ellipsoids():
    rock = AnalyticRocks.of((3.0, 1.0, 0.1, 0.5, 0.3, 0.4, 0.6))
    terrain = plane(rocks=rock)
    spec = GridSpec(-12.0, -12.0, 0.1, 241, 241)
    scene = build_scene(terrain, spec, terrain.grid(spec), 20.0)
    rng = np.random.default_rng(3)
    local = rng.uniform(-1.0, 1.0, (500, 2))
    local = local[np.hypot(*local.T) < 0.9]
    turn = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]])
    xy = np.array([3.0, 1.0]) + (local * [0.5, 0.3]) @ turn.T
    seen, hit = rays_down(xy, scene)
    top = 0.1 + 0.4 * np.sqrt(1.0 - np.sum(local**2, axis=1))
    above = top > 0.02
    assert hit[above].all()
    assert np.abs(seen - np.maximum(top, 0.0))[above].max() < 0.01
    assert abs(float(np.mean((seen - top)[above]))) < 0.002
