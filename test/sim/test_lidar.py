"""Ranges, times and noise of the simulated lidar in a running world."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.geometry.se3 import from_rpy, make_transform
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.sim.analytic import AnalyticRocks, hills, plane
from ilrs_robots.sim.lidar import ray_directions
from ilrs_robots.sim.lidar_rays import fill_rays, keep_answers
from ilrs_robots.sim.lidar_scene import rock_mesh

pytestmark = pytest.mark.sim


def scans(world, payloads, seconds, v_mps=0.0, w_rps=0.0):
    """Clouds of some seconds and the true poses at every exchange."""
    events, poses = [], [world.truth("rover")]
    for _ in range(round(seconds / world.config.exchange_s)):
        if v_mps or w_rps:
            world.command("rover", VelocityCommand(world.time_ns, v_mps, w_rps))
        events.extend(world.step())
        poses.append(world.truth("rover"))
    return payloads(events, "lidar/points"), poses


def test_ranges_on_a_plane_have_the_stated_noise_and_no_bias(
    make_world, payloads, model, base_to_lidar
):
    world = make_world(plane(), lidar=True)
    clouds, poses = scans(world, payloads, 1.25)
    base = make_transform(poses[-1].position_m, poses[-1].quat_wxyz)
    sensor = base @ base_to_lidar
    errors = []
    for cloud in clouds:
        measured = np.linalg.norm(cloud.xyz_m.astype(np.float64), axis=1)
        directions = cloud.xyz_m / measured[:, None] @ sensor[:3, :3].T
        true = -sensor[2, 3] / directions[:, 2]
        near = (true > 1.0) & (true < 40.0)
        errors.append((measured - true)[near])
    error = np.concatenate(errors)
    assert len(error) > 50_000
    assert abs(error.mean()) < 0.002
    assert error.std() == pytest.approx(model.lidar.range_sigma_m, rel=0.05)


def test_stamps_offsets_and_limits(make_world, payloads, model):
    world = make_world(hills(), lidar=True)
    clouds, _ = scans(world, payloads, 0.9)
    period = round(1e9 / model.lidar.rate_hz)
    assert [c.stamp_ns for c in clouds] == [0, period, 2 * period, 3 * period]
    for cloud in clouds:
        assert cloud.frame_id == f"rover/{model.lidar.frame}"
        assert cloud.xyz_m.dtype == np.float32
        assert (np.diff(cloud.time_offset_ns) >= 0).all()
        assert cloud.time_offset_ns[0] >= 0
        assert period * 0.9 < cloud.time_offset_ns[-1] < period
        ranges = np.linalg.norm(cloud.xyz_m, axis=1)
        assert ranges.min() >= model.lidar.range_min_m - 1e-4
        assert ranges.max() <= model.lidar.range_max_m + 1e-3
        assert cloud.intensity.min() >= 0.0
        assert cloud.intensity.max() <= 255.0
        azimuth = np.arctan2(cloud.xyz_m[:, 1], cloud.xyz_m[:, 0])
        turn = (azimuth.astype(np.float64) + np.pi) / (2 * np.pi)
        column = np.rint(turn * model.lidar.columns).astype(np.int64) % model.lidar.columns
        np.testing.assert_array_equal(cloud.time_offset_ns, column * period // model.lidar.columns)


def test_dropouts_take_their_share(make_world, payloads, model):
    counts = []
    for dropout in (0.0, 0.25):
        lidar = dataclasses.replace(model.lidar, dropout=dropout)
        robot = dataclasses.replace(model, lidar=lidar)
        clouds, _ = scans(make_world(plane(), lidar=True, robot=robot), payloads, 0.25)
        counts.append(len(clouds[0].xyz_m))
    assert counts[1] / counts[0] == pytest.approx(0.75, abs=0.02)


def test_motion_within_a_scan_distorts_it_as_the_true_motion_says(
    make_world, payloads, quiet_model, base_to_lidar
):
    world = make_world(plane(0.1), lidar=True, robot=quiet_model)
    clouds, poses = scans(world, payloads, 4.0, v_mps=0.3, w_rps=0.3)
    cloud = clouds[-2]
    stamps = np.array([p.stamp_ns for p in poses])
    times = cloud.stamp_ns + cloud.time_offset_ns
    placed = np.empty((len(times), 3))
    frozen = np.empty((len(times), 3))
    first = sensor_pose(poses, stamps, np.array([cloud.stamp_ns]), base_to_lidar)[0]
    for stamp in np.unique(times):
        mine = times == stamp
        T_map_lidar = sensor_pose(poses, stamps, np.array([stamp]), base_to_lidar)[0]
        placed[mine] = cloud.xyz_m[mine] @ T_map_lidar[:3, :3].T + T_map_lidar[:3, 3]
        frozen[mine] = cloud.xyz_m[mine] @ first[:3, :3].T + first[:3, 3]
    assert np.abs(placed[:, 2] - np.tan(0.1) * placed[:, 0]).max() < 0.004
    assert np.abs(frozen[:, :2] - placed[:, :2]).max() > 0.3


def sensor_pose(poses, stamps, query, base_to_lidar):
    from ilrs_robots.core.geometry.se3 import interpolate_poses

    positions, quats = interpolate_poses(
        stamps,
        np.array([p.position_m for p in poses]),
        np.array([p.quat_wxyz for p in poses]),
        query,
    )
    return [make_transform(p, q) @ base_to_lidar for p, q in zip(positions, quats, strict=True)]


def test_a_rock_is_seen_where_its_ellipsoid_is(make_world, payloads, quiet_model, base_to_lidar):
    axes, centre, yaw = np.array([0.6, 0.4, 0.5]), np.array([5.0, 0.5, 0.2]), 0.5
    rock = AnalyticRocks.of((*centre, *axes, yaw))
    world = make_world(plane(rocks=rock), lidar=True, robot=quiet_model)
    clouds, poses = scans(world, payloads, 0.45)
    truth = make_transform(poses[-1].position_m, poses[-1].quat_wxyz)
    sensor = truth @ base_to_lidar
    cloud = clouds[-1]
    rotation = from_rpy(np.zeros(3), np.array([0.0, 0.0, yaw]))[:3, :3]
    start = rotation.T @ (sensor[:3, 3] - centre) / axes
    ranges = np.linalg.norm(cloud.xyz_m.astype(np.float64), axis=1)
    directions = cloud.xyz_m / ranges[:, None] @ sensor[:3, :3].T
    scaled = directions @ rotation / axes
    a, b = np.sum(scaled**2, axis=1), scaled @ start
    root = b**2 - a * (start @ start - 1.0)
    enters = (-b - np.sqrt(np.maximum(root, 0.0))) / a
    falls = -sensor[2, 3] / directions[:, 2]
    squarely = (root > 0.3 * root.max()) & ((enters < falls) | (falls < 0.0))
    assert np.count_nonzero(squarely) > 100
    error = ranges[squarely] - enters[squarely]
    assert np.abs(error).max() < 0.02
    assert abs(error.mean()) < 0.003
    assert cloud.intensity[squarely].max() > 30.0


def test_directions_cover_the_field_of_view(model):
    directions = ray_directions(model.lidar)
    assert directions.shape == (model.lidar.columns, model.lidar.channels, 3)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0, atol=1e-6)
    elevation = np.degrees(np.arcsin(directions[0, :, 2]))
    assert elevation[0] == pytest.approx(model.lidar.elevation_min_deg, abs=1e-3)
    assert elevation[-1] == pytest.approx(model.lidar.elevation_max_deg, abs=1e-3)


def test_ray_kernel_equals_the_transform_chain():
    rng = np.random.default_rng(5)
    local = rng.standard_normal((4, 3, 3)).astype(np.float32)
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    quat = rng.standard_normal(4)
    quat /= np.linalg.norm(quat)
    mount = from_rpy(np.array([0.7, 0.1, 1.5]), np.array([0.1, 0.2, 0.3]))
    from ilrs_robots.core.geometry.se3 import split_transform

    start = np.array([1.0, 2.0, 3.0, *quat])
    end = np.array([1.2, 2.1, 3.3, *-quat])
    share, origin = np.array([0.0, 0.3, 0.6, 1.0]), np.array([0.5, 0.5, 0.5])
    rays = np.empty((4, 3, 6), dtype=np.float32)
    fill_rays(local, share, start, end, np.concatenate(split_transform(mount)), origin, rays)
    for n, u in enumerate(share):
        chain = make_transform((1 - u) * start[:3] + u * end[:3], quat) @ mount
        np.testing.assert_allclose(
            rays[n, :, :3], np.tile(chain[:3, 3] - origin, (3, 1)), atol=1e-5
        )
        np.testing.assert_allclose(rays[n, :, 3:], local[n] @ chain[:3, :3].T, atol=1e-5)


def test_answer_kernel_equals_the_array_form():
    rng = np.random.default_rng(6)
    shape = (5, 7)
    local = rng.standard_normal((*shape, 3)).astype(np.float32)
    rays = rng.standard_normal((*shape, 6)).astype(np.float32)
    normals = rng.standard_normal((*shape, 3)).astype(np.float32)
    ranges = rng.uniform(0.0, 10.0, shape).astype(np.float32)
    ranges[0, :3] = np.inf
    shine = rng.uniform(1.0, 2.0, shape).astype(np.float32)
    noise = rng.normal(0.0, 0.1, shape).astype(np.float32)
    lost = rng.random(shape) < 0.3
    xyz, column = np.empty((35, 3), np.float32), np.empty(35, np.int64)
    intensity = np.empty(35, np.float32)
    count = keep_answers(
        local, rays, ranges, normals, shine, noise, lost, (1.0, 9.0), 10, xyz, column, intensity
    )
    measured = ranges + noise
    keep = (measured >= 1.0) & (measured <= 9.0) & ~lost
    assert count == np.count_nonzero(keep)
    np.testing.assert_allclose(xyz[:count], (local * measured[..., None])[keep], rtol=1e-6)
    np.testing.assert_array_equal(column[:count], np.nonzero(keep)[0] + 10)
    cosine = np.abs(np.sum(normals * rays[..., 3:], axis=-1))
    np.testing.assert_allclose(intensity[:count], (shine * cosine)[keep], rtol=1e-5)


def test_a_rock_is_drawn_as_finely_as_its_size_asks_for():
    """No corner of a near rock lies 6 mm off its ellipsoid, and pebbles cost few triangles."""
    for semi_axis_m, most in ((0.02, 20), (0.08, 80), (0.3, 320), (1.0, 1280)):
        rocks = AnalyticRocks.of((2.0, 0.0, 0.0, semi_axis_m, semi_axis_m, semi_axis_m, 0.3))
        vertices, faces = rock_mesh(plane(), rocks, np.zeros(3))
        off_m = np.linalg.norm(vertices - (2.0, 0.0, 0.0), axis=1) - semi_axis_m
        assert np.abs(off_m).max() < 0.006
        assert len(faces) == most
