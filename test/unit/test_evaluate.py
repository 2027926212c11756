"""Measures of a drive against closed forms."""

import numpy as np
import pytest

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import GridSpec
from ilrs_robots.replay import metrics
from ilrs_robots.replay.evaluation import RunEvaluation

SPEC = GridSpec(-5.0, -4.0, 0.25, 33, 41)


def plane(a, b, c):
    return lambda spec: a * spec.x_m()[None, :] + b * spec.y_m()[:, None] + c


def test_path_length_of_a_circle():
    angle = np.linspace(0.0, 2.0 * np.pi, 2001)
    circle = np.column_stack((3.0 * np.cos(angle), 3.0 * np.sin(angle), np.zeros_like(angle)))
    stamps = (np.arange(2001) * 10**8).astype(np.int64)
    length = metrics.path_length_m(stamps, circle)
    assert length == pytest.approx(6.0 * np.pi, rel=1e-5)


def test_shaking_on_the_spot_is_no_path():
    rng = np.random.default_rng(1)
    stamps = (np.arange(1000) * 10**8).astype(np.int64)
    assert metrics.path_length_m(stamps, rng.normal(0.0, 5e-5, (1000, 3))) == 0.0


def test_roll_pitch_yaw_agree_with_the_scalar_form():
    rng = np.random.default_rng(2)
    angles = rng.uniform(-1.4, 1.4, (50, 3))
    quats = np.array([se3.quat_from_rpy(*row) for row in angles])
    np.testing.assert_allclose(metrics.rpy_of(quats), angles, atol=1e-12)


def test_compose_is_the_product_of_transforms():
    rng = np.random.default_rng(3)
    first, second = (
        (rng.normal(size=(1, 3)), se3.normalise_quat(rng.normal(size=4))[None]) for _ in range(2)
    )
    position, quat = metrics.compose(first, second)
    product = se3.make_transform(first[0][0], first[1][0]) @ se3.make_transform(
        second[0][0], second[1][0]
    )
    np.testing.assert_allclose(se3.make_transform(position[0], quat[0]), product, atol=1e-12)


def test_angles_wrap():
    wrapped = metrics.wrap_rad(np.array([0.1, np.pi + 0.1, -np.pi - 0.1, 4.0 * np.pi]))
    np.testing.assert_allclose(wrapped, [0.1, -np.pi + 0.1, np.pi - 0.1, 0.0], atol=1e-12)


def test_bilinear_is_exact_on_a_plane_and_unknown_outside():
    xy = np.array([[0.1, 0.2], [4.9, 3.9], [5.2, 0.0]])
    found = metrics.bilinear(plane(0.3, -0.2, 1.0)(SPEC), SPEC, xy)
    np.testing.assert_allclose(found[:2], 0.3 * xy[:2, 0] - 0.2 * xy[:2, 1] + 1.0)
    assert np.isnan(found[2])


@pytest.mark.parametrize("gradient", [(0.0, 0.0), (0.3, 0.0), (-0.2, 0.5)])
def test_slope_of_a_plane(gradient):
    heights = plane(*gradient, 7.0)(SPEC)
    slopes = metrics.plane_slopes_rad(heights, SPEC, np.array([[0.0, 0.0], [1.3, -0.7]]), 2.0)
    np.testing.assert_allclose(slopes, np.arctan(np.hypot(*gradient)), atol=1e-9)


def test_a_bump_smaller_than_the_footprint_is_not_a_slope():
    heights = np.zeros(SPEC.shape)
    heights[16, 20] = 0.3
    slope = metrics.plane_slopes_rad(heights, SPEC, np.array([[0.0, 0.0]]), 2.0)
    assert slope[0] == pytest.approx(0.0, abs=1e-9)


def test_grid_around_holds_the_points_and_its_bound():
    points = np.array([[0.0, 0.0], [100.0, 10.0]])
    fine = metrics.grid_around(points, 5.0, 0.1, 10**7)
    coarse = metrics.grid_around(points, 5.0, 0.1, 10_000, min_aspect=0.5)
    assert fine.resolution_m == 0.1
    assert coarse.rows * coarse.cols < 11_000
    assert coarse.rows >= 0.49 * coarse.cols
    for spec in (fine, coarse):
        assert spec.contains(points).all()


@pytest.mark.parametrize("yaw", [0.0, 0.3])
def test_map_errors_of_a_moved_and_turned_map(yaw):
    surface = plane(0.1, 0.05, 2.0)
    T_map_odom = se3.from_rpy((12.3, -4.5, 1.5), (0.0, 0.0, yaw))
    xx, yy = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    points = np.stack((xx, yy, np.zeros_like(xx)), -1) @ T_map_odom[:3, :3].T + T_map_odom[:3, 3]
    seen = (0.1 * points[..., 0] + 0.05 * points[..., 1] + 2.0 - 1.5).astype(np.float32)
    seen[:3] = np.nan
    found = metrics.map_errors(seen + np.float32(0.03), SPEC, T_map_odom, surface)
    assert found.rmse_m == pytest.approx(0.03, abs=1e-5)
    assert found.bias_m == pytest.approx(0.03, abs=1e-5)
    assert found.percentile_m(95) == pytest.approx(0.03, abs=1e-5)
    assert found.known.size == np.isfinite(seen).sum()
    np.testing.assert_allclose(found.truth_m[5:], seen[5:], atol=1e-5)


def test_an_unknown_map_has_no_error():
    unknown = np.full(SPEC.shape, np.nan, np.float32)
    found = metrics.map_errors(unknown, SPEC, np.eye(4), plane(0, 0, 0))
    assert np.isnan([found.rmse_m, found.bias_m, found.percentile_m(95)]).all()


def test_coverage_of_half_a_disc():
    elevation = np.zeros(SPEC.shape, np.float32)
    elevation[:, SPEC.x_m() < 0.0] = np.nan
    share = metrics.coverage(elevation, SPEC, np.zeros(2), 3.0)
    assert share == pytest.approx(0.5, abs=0.05)
    assert np.isnan(metrics.coverage(elevation, SPEC, np.array([90.0, 0.0]), 3.0))


def test_an_empty_evaluation_claims_nothing():
    summary = RunEvaluation("rover", np.zeros(2), 1.0).summary()
    claims = {k: v for k, v in summary.items() if v is not None and not k.startswith("goal_")}
    assert claims == {"maps_compared": 0, "missing": {}}
