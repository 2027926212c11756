"""Deskewing: a wall seen while turning is a wall, and the loop agrees with its array form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.cloud.deskew import deskew
from ilrs_robots.core.errors import ExtrapolationError, InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import Cloud

START = 1_700_000_000_000_000_000
PERIOD = 200_000_000


def motion(stamps_ns: np.ndarray, yaw_rate: float, speed: float = 2.0):
    """Poses of a sensor that drives and turns at constant rates, also nodding."""
    t = (np.asarray(stamps_ns) - START) * 1e-9
    positions = np.stack((100.0 + speed * t, -50.0 + 0.3 * t, 1.5 + 0.1 * t), axis=1)
    quats = np.array([se3.quat_from_rpy(0.05, 0.1 + 0.2 * s, 1.0 + yaw_rate * s) for s in t])
    return positions, quats


def reference(cloud, knots, positions, quats, reference_ns):
    """Array form: the pose of each point by slerp, then into the reference frame."""
    offsets = cloud.time_offset_ns
    stamps = cloud.stamp_ns + (np.zeros(len(cloud.xyz_m), int) if offsets is None else offsets)
    at, turn = se3.interpolate_poses(knots, positions, quats, stamps)
    world = at + se3.quat_rotate(turn, cloud.xyz_m.astype(np.float64))
    origin, attitude = se3.interpolate_poses(knots, positions, quats, np.array([reference_ns]))
    return se3.quat_rotate(se3.quat_conjugate(attitude), world - origin)


def some_cloud(count: int, seed: int, ordered: bool = True) -> Cloud:
    rng = np.random.default_rng(seed)
    times = rng.integers(0, PERIOD, count)
    xyz = rng.uniform(-40.0, 40.0, (count, 3)).astype(np.float32)
    return Cloud(START, "lidar", xyz, np.sort(times) if ordered else times)


@pytest.mark.parametrize("yaw_rate", [0.0, 0.35, 6.0])
@pytest.mark.parametrize("ordered", [True, False])
def test_agrees_with_the_array_form(yaw_rate, ordered):
    cloud = some_cloud(3000, 1, ordered)
    knots = START + np.array([-10_000_000, 0, 70_000_000, 100_000_000, PERIOD], dtype=np.int64)
    positions, quats = motion(knots, yaw_rate)
    for reference_ns in (START, START + PERIOD, START + 12_345_678):
        got = deskew(cloud, knots, positions, quats, reference_ns)
        assert got.dtype == np.float32
        expected = reference(cloud, knots, positions, quats, reference_ns)
        np.testing.assert_allclose(got, expected, atol=2e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 12), st.integers(1, 40))
def test_any_knots_and_times(seed, n_knots, count):
    rng = np.random.default_rng(seed)
    knots = START + np.unique(np.concatenate(([0, PERIOD], rng.integers(0, PERIOD, n_knots))))
    positions = np.cumsum(rng.normal(0.0, 0.1, (knots.size, 3)), axis=0)
    quats = np.array([se3.quat_from_rpy(*rng.normal(0.0, 0.2, 3)) for _ in knots])
    cloud = some_cloud(count, seed, ordered=False)
    at = int(rng.integers(START, START + PERIOD))
    got = deskew(cloud, knots, positions, quats, at)
    expected = reference(cloud, knots, positions, quats, at)
    np.testing.assert_allclose(got, expected, atol=3e-3)


def test_a_wall_seen_while_turning_is_straight():
    stamps = START + np.linspace(0, PERIOD, 400).astype(np.int64)
    positions, quats = motion(stamps, 1.0)
    wall = np.stack((np.full(400, 110.0), np.linspace(-55.0, -45.0, 400), np.ones(400)), axis=1)
    seen = se3.quat_rotate(se3.quat_conjugate(quats), wall - positions).astype(np.float32)
    cloud = Cloud(START, "lidar", seen, stamps - START)
    knots = START + np.linspace(0, PERIOD, 9).astype(np.int64)
    end = START + PERIOD
    moved = deskew(cloud, knots, *motion(knots, 1.0), end)
    position, quat = motion(np.array([end]), 1.0)
    world = position + se3.quat_rotate(quat, moved.astype(np.float64))
    np.testing.assert_allclose(world, wall, atol=2e-3)
    left_alone = position + se3.quat_rotate(quat, seen.astype(np.float64))
    assert np.abs(left_alone - wall).max() > 0.5


def test_without_motion_nothing_moves():
    cloud = some_cloud(100, 2)
    knots = START + np.array([0, PERIOD], dtype=np.int64)
    positions, quats = motion(np.array([START, START]), 0.0)
    np.testing.assert_allclose(
        deskew(cloud, knots, positions, quats, START), cloud.xyz_m, atol=1e-5
    )


def test_a_scan_at_one_instant_moves_as_a_whole():
    cloud = Cloud(START + PERIOD, "lidar", some_cloud(50, 3).xyz_m)
    knots = START + np.array([0, PERIOD], dtype=np.int64)
    poses = motion(knots, 0.5)
    moved = deskew(cloud, knots, *poses, START)
    np.testing.assert_allclose(moved, reference(cloud, knots, *poses, START), atol=1e-4)


def test_the_callers_points_are_left_alone():
    cloud = some_cloud(50, 4)
    before = cloud.xyz_m.copy()
    knots = START + np.array([0, PERIOD], dtype=np.int64)
    deskew(cloud, knots, *motion(knots, 0.5), START)
    np.testing.assert_array_equal(cloud.xyz_m, before)


def test_what_the_knots_do_not_cover_is_refused():
    cloud = some_cloud(50, 5)
    knots = START + np.array([0, PERIOD // 2], dtype=np.int64)
    with pytest.raises(ExtrapolationError, match="after the latest"):
        deskew(cloud, knots, *motion(knots, 0.5), START)
    with pytest.raises(ExtrapolationError, match="before the earliest"):
        deskew(cloud, knots, *motion(knots, 0.5), START - 1)
    short = Cloud(START, "lidar", cloud.xyz_m, cloud.time_offset_ns[1:])
    with pytest.raises(InvalidCloudError, match="49 times for 50 points"):
        deskew(short, knots, *motion(knots, 0.5), START)
    empty = Cloud(START, "lidar", np.empty((0, 3), np.float32), np.empty(0, np.int64))
    assert deskew(empty, knots, *motion(knots, 0.5), START).shape == (0, 3)
