"""Rigid transforms: group axioms, conventions, interpolation against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.core.errors import ExtrapolationError, TransformError
from ilrs_robots.core.geometry import se3


def random_transforms(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [se3.make_transform(rng.normal(size=3), rng.normal(size=4)) for _ in range(count)]


def test_group_axioms():
    first, second, third = random_transforms(3)
    np.testing.assert_allclose((first @ second) @ third, first @ (second @ third), atol=1e-12)
    for matrix in (first, second, third):
        np.testing.assert_allclose(matrix @ se3.invert(matrix), np.eye(4), atol=1e-12)
        np.testing.assert_allclose(se3.invert(matrix) @ matrix, np.eye(4), atol=1e-12)


def test_split_undoes_make_and_keeps_w_positive():
    for matrix in random_transforms(20):
        position, quat = se3.split_transform(matrix)
        assert quat[0] >= 0.0
        np.testing.assert_allclose(se3.make_transform(position, quat), matrix, atol=1e-12)


def test_rpy_is_the_urdf_convention():
    # yaw turns x to y; pitch lowers the nose; roll raises the left side
    np.testing.assert_allclose(
        se3.from_rpy((0, 0, 0), (0, 0, np.pi / 2))[:3, 0], (0, 1, 0), atol=1e-12
    )
    np.testing.assert_allclose(
        se3.from_rpy((0, 0, 0), (0, np.pi / 2, 0))[:3, 0], (0, 0, -1), atol=1e-12
    )
    np.testing.assert_allclose(
        se3.from_rpy((0, 0, 0), (np.pi / 2, 0, 0))[:3, 1], (0, 0, 1), atol=1e-12
    )
    rpy = (0.3, -0.4, 1.2)
    quat = se3.quat_from_rpy(*rpy)
    np.testing.assert_allclose(se3.rpy_from_quat(quat), rpy, atol=1e-12)
    assert se3.yaw_of(quat) == pytest.approx(1.2)


def test_quaternion_operations_agree_with_matrices():
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 50, 4))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    vectors = rng.normal(size=(50, 3))
    product = se3.quat_multiply(first, second)
    rotated = se3.quat_rotate(product, vectors)
    for k in range(50):
        a = se3.make_transform(np.zeros(3), first[k])[:3, :3]
        b = se3.make_transform(np.zeros(3), second[k])[:3, :3]
        np.testing.assert_allclose(rotated[k], a @ b @ vectors[k], atol=1e-12)
    back = se3.quat_rotate(se3.quat_conjugate(product), rotated)
    np.testing.assert_allclose(back, vectors, atol=1e-12)


def test_slerp_has_constant_rate_and_takes_the_short_way():
    q0, q1 = se3.quat_from_rpy(0, 0, 0.2), se3.quat_from_rpy(0, 0, 1.4)
    u = np.linspace(0.0, 1.0, 13)
    yaws = [se3.yaw_of(q) for q in se3.slerp(q0, q1, u)]
    np.testing.assert_allclose(yaws, 0.2 + 1.2 * u, atol=1e-12)
    yaws = [se3.yaw_of(q) for q in se3.slerp(q0, -q1, u)]
    np.testing.assert_allclose(yaws, 0.2 + 1.2 * u, atol=1e-12)
    tiny = se3.slerp(q0, se3.quat_from_rpy(0, 0, 0.2 + 1e-7), np.array([0.5]))[0]
    assert se3.yaw_of(tiny) == pytest.approx(0.2 + 5e-8, abs=1e-12)


def test_interpolation_is_exact_at_knots_and_linear_between_with_large_stamps():
    base = 1_700_000_000_000_000_000  # wall clock: float64 seconds would lose 100 ns
    stamps = base + np.array([0, 100, 1000], dtype=np.int64)
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [1, 9, 0]])
    quats = np.array([se3.quat_from_rpy(0, 0, yaw) for yaw in (0.0, 0.5, 0.5)])
    got, attitude = se3.interpolate_poses(
        stamps, positions, quats, base + np.array([0, 25, 100, 550, 1000])
    )
    np.testing.assert_allclose(
        got, [[0, 0, 0], [0.25, 0, 0], [1, 0, 0], [1, 4.5, 0], [1, 9, 0]], atol=1e-12
    )
    yaws = [se3.yaw_of(q) for q in attitude]
    np.testing.assert_allclose(yaws, [0, 0.125, 0.5, 0.5, 0.5], atol=1e-12)


def test_interpolation_never_extrapolates():
    stamps = np.array([0, 1_000_000_000], dtype=np.int64)
    positions, quats = np.zeros((2, 3)), np.tile([1.0, 0, 0, 0], (2, 1))
    with pytest.raises(ExtrapolationError, match=r"0\.250000 s after"):
        se3.interpolate_poses(stamps, positions, quats, np.array([1_250_000_000]))
    with pytest.raises(ExtrapolationError, match="before the earliest"):
        se3.interpolate_poses(stamps, positions, quats, np.array([-1]))
    with pytest.raises(ExtrapolationError, match="no data"):
        se3.interpolate_poses(stamps[:0], positions[:0], quats[:0], np.array([0]))


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (2.0 * np.eye(4), "rigid"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "mirrors"),
        (np.full((4, 4), np.nan), "finite"),
        (np.eye(3), "shape"),
    ],
)
def test_what_is_not_rigid_is_refused(matrix, said):
    with pytest.raises(TransformError, match=said):
        se3.split_transform(matrix)


def test_bad_quaternions_and_positions_are_refused():
    with pytest.raises(TransformError, match="zero"):
        se3.make_transform((0, 0, 0), (0, 0, 0, 0))
    with pytest.raises(TransformError, match="finite"):
        se3.make_transform((0, np.nan, 0), (1, 0, 0, 0))
    with pytest.raises(TransformError, match="shape"):
        se3.make_transform((0, 0), (1, 0, 0, 0))
