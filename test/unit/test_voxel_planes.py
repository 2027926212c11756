"""Thinning, and planes in voxels: the kernels against their array forms, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.cloud.voxel_sample import voxel_sample
from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.voxel_planes import ACROSS, LEAST_POINTS, TURN, VoxelPlanes


def sampled_by_arrays(xyz: np.ndarray, voxel_m: float) -> dict[tuple[int, ...], np.ndarray]:
    index = np.floor(xyz.astype(np.float64) / voxel_m).astype(int)
    keys, inverse = np.unique(index, axis=0, return_inverse=True)
    sums = np.zeros((len(keys), 3))
    np.add.at(sums, inverse.ravel(), xyz.astype(np.float64))
    counts = np.bincount(inverse.ravel())
    return dict(zip(map(tuple, keys.tolist()), sums / counts[:, None], strict=True))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 3.0), st.integers(1, 3000))
def test_a_voxel_gives_the_mean_of_its_points(seed: int, voxel_m: float, count: int) -> None:
    xyz = np.random.default_rng(seed).normal(0.0, 8.0, (count, 3)).astype(np.float32)
    wanted = sampled_by_arrays(xyz, voxel_m)
    found = voxel_sample(xyz, voxel_m)
    assert len(found) == len(wanted)
    means = np.array(sorted(v.tolist() for v in wanted.values()))
    np.testing.assert_allclose(np.array(sorted(found.tolist())), means, atol=1e-4)


def test_what_is_near_far_or_no_number_is_left_out() -> None:
    xyz = np.array(
        [[0.5, 0, 0], [5, 0, 0], [50, 0, 0], [np.nan, 1, 1], [np.inf, 0, 0]], np.float32
    )
    np.testing.assert_array_equal(voxel_sample(xyz, 0.1, 1.0, 40.0), [[5.0, 0.0, 0.0]])
    assert voxel_sample(np.empty((0, 3), np.float32), 0.1).shape == (0, 3)
    with pytest.raises(InvalidCloudError, match=r"\(N, 3\)"):
        voxel_sample(np.zeros((4, 2), np.float32), 0.1)
    with pytest.raises(ValueError, match="must be above"):
        voxel_sample(xyz, 1e-4)


def test_the_sample_keeps_the_order_in_which_voxels_are_met() -> None:
    xyz = np.array([[9, 0, 0], [1, 0, 0], [9.1, 0, 0], [-3, 0, 0]], np.float32)
    np.testing.assert_allclose(voxel_sample(xyz, 1.0)[:, 0], [9.05, 1.0, -3.0], atol=1e-6)


def test_planes_are_those_that_an_eigenvalue_solver_finds() -> None:
    """The closed form against LAPACK, on patches of every tilt."""
    rng = np.random.default_rng(3)
    cloud, planes = [], VoxelPlanes(2.0, 1e-6)
    for k in range(40):
        R = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        flat = rng.normal(size=(30, 3)) * (0.4, 0.35, 0.01)
        middle = np.array([4.0 * k + 1.0, 1.0, 1.0])
        cloud.append(middle + np.clip(flat @ R.T, -0.95, 0.95))
    planes.insert(np.concatenate(cloud), np.eye(4))
    found = planes.found()
    assert len(found) == 40
    for points in cloud:
        values, axes = np.linalg.eigh(np.cov(points.T, bias=True))
        row = found[np.argmin(np.abs(found[:, 0] - points[:, 0].mean()))]
        np.testing.assert_allclose(row[:3], points.mean(axis=0), atol=1e-9)
        assert abs(row[3:6] @ axes[:, 0]) == pytest.approx(1.0, abs=1e-6)
        assert row[ACROSS] == pytest.approx(values[0] * 30 / 27, rel=1e-5)
        assert row[TURN] == pytest.approx(row[ACROSS] / (30 * values[1]), rel=1e-5)


@pytest.mark.parametrize("spread", [(0.3, 0.001, 0.001), (0.3, 0.3, 0.3)], ids=["line", "ball"])
def test_lines_and_clutter_are_no_planes(spread: tuple[float, float, float]) -> None:
    points = np.random.default_rng(1).normal(size=(200, 3)) * spread
    planes = VoxelPlanes(4.0, 0.01)
    planes.insert(np.clip(points, -1.9, 1.9) + 2.0, np.eye(4))
    assert planes.count == 1
    assert len(planes.found()) == 0


def test_few_points_are_no_plane_until_more_come() -> None:
    rng = np.random.default_rng(1)
    planes = VoxelPlanes(1.0, 0.01)
    points = np.column_stack((rng.uniform(0.0, 1.0, (LEAST_POINTS + 4, 2)), np.full(10, 0.5)))
    planes.insert(points[: LEAST_POINTS - 1], np.eye(4))
    assert len(planes.found()) == 0
    planes.insert(points[LEAST_POINTS - 1 :], np.eye(4))
    assert len(planes.found()) == 1


def test_noise_of_a_normal_is_what_the_map_says() -> None:
    """Many fits of one flat patch: the scatter of the normals is the variance that is told."""
    rng = np.random.default_rng(8)
    turns, told = [], []
    for _ in range(400):
        points = np.column_stack((rng.uniform(0.0, 1.0, (25, 2)), rng.normal(0.5, 0.02, 25)))
        planes = VoxelPlanes(1.0, 1e-4)
        planes.insert(points, np.eye(4))
        row = planes.found()[0]
        turns.append(row[3] / row[5])
        told.append(row[TURN])
    assert np.var(turns) == pytest.approx(np.mean(told), rel=0.35)


def test_the_map_grows_past_its_first_room_and_drops_what_is_far() -> None:
    rng = np.random.default_rng(2)
    planes = VoxelPlanes(1.0, 0.01, capacity=64)
    cloud = np.column_stack((rng.uniform(-20.0, 20.0, (40_000, 2)), np.full(40_000, 0.5)))
    new = planes.insert(cloud, se3.from_rpy((5.0, 0.0, 0.0), (0.0, 0.0, 0.4)))
    assert new == planes.count > 1500
    assert planes.insert(cloud, se3.from_rpy((5.0, 0.0, 0.0), (0.0, 0.0, 0.4))) == 0
    before = planes.found()
    planes.keep_near(np.array([5.0, 0.0, 0.0]), 10.0)
    kept = planes.found()
    away = np.linalg.norm(kept[:, :3] - (5.0, 0.0, 0.0), axis=1)
    assert 0 < len(kept) < len(before)
    assert away.max() < 11.0
    rows = {tuple(row) for row in before.tolist()}
    assert all(tuple(row) in rows for row in kept.tolist())
