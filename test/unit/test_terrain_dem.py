"""Dem: heights, normals and slopes between samples, and what lies outside."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

SPEC = GridSpec(-20.0, 10.0, 5.0, 9, 13)


def plane(a: float, b: float, c: float, spec: GridSpec = SPEC) -> Dem:
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    return Dem((a + b * x + c * y).astype(np.float32), spec)


def inside(n: int, seed: int = 0) -> np.ndarray:
    x0, y0, x1, y1 = plane(0, 0, 0).bounds_m
    return np.random.default_rng(seed).uniform((x0, y0), (x1, y1), (n, 2))


@settings(deadline=None)  # the first example compiles
@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_plane_is_exact(b: float, c: float) -> None:
    dem = plane(3.0, b, c)
    xy = inside(50)
    np.testing.assert_allclose(dem.height(xy), 3.0 + xy @ [b, c], atol=1e-5)
    expected = np.array([-b, -c, 1.0]) / math.sqrt(1.0 + b * b + c * c)
    np.testing.assert_allclose(dem.normal(xy), np.tile(expected, (50, 1)), atol=1e-5)
    np.testing.assert_allclose(dem.slope_rad(xy), math.atan(math.hypot(b, c)), atol=1e-5)


def test_bilinear_agrees_with_scipy() -> None:
    heights = np.random.default_rng(1).normal(size=SPEC.shape).astype(np.float32)
    xy = inside(500)
    index = (xy[:, ::-1] - (SPEC.origin_y_m, SPEC.origin_x_m)) / SPEC.resolution_m
    reference = ndimage.map_coordinates(heights.astype(np.float64), index.T, order=1)
    np.testing.assert_allclose(Dem(heights, SPEC).height(xy), reference, atol=1e-12)


def test_samples_are_met_on_every_node() -> None:
    heights = np.random.default_rng(2).normal(size=SPEC.shape).astype(np.float32)
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    xy = np.column_stack((x.ravel(), y.ravel()))
    dem = Dem(heights, SPEC)
    assert dem.contains(xy).all()
    np.testing.assert_array_equal(dem.height(xy), heights.ravel().astype(np.float64))


def test_outside_is_nan_and_never_clamped() -> None:
    dem = plane(1.0, 0.1, 0.1)
    x0, y0, x1, y1 = dem.bounds_m
    xy = np.array([[x0 - 0.01, y0], [x1 + 0.01, y1], [x0, y1 + 0.01], [1e9, 0.0], [np.nan, y0]])
    assert np.isnan(dem.height(xy)).all()
    assert np.isnan(dem.normal(xy)).all()
    assert np.isnan(dem.slope_rad(xy)).all()
    assert not dem.contains(xy).any()


def test_an_unknown_sample_makes_only_its_neighbourhood_unknown() -> None:
    heights = np.zeros(SPEC.shape, dtype=np.float32)
    heights[4, 6] = np.nan
    dem = Dem(heights, SPEC)
    x, y = SPEC.x_m()[6], SPEC.y_m()[4]
    assert np.isnan(dem.height(np.array([[x + 4.0, y + 4.0]]))[0])
    assert dem.height(np.array([[x + 6.0, y]]))[0] == 0.0


def test_refuses_what_cannot_be_a_dem() -> None:
    with pytest.raises(TerrainError, match="grid says"):
        Dem(np.zeros((3, 3), dtype=np.float32), SPEC)
    with pytest.raises(TerrainError, match="at least 2 x 2"):
        Dem(np.zeros((1, 4), dtype=np.float32), GridSpec(0, 0, 5.0, 1, 4))
    with pytest.raises(TerrainError, match=r"-1.0 m: must be above 0 m"):
        Dem(np.zeros((3, 3), dtype=np.float32), GridSpec(0, 0, -1.0, 3, 3))
    with pytest.raises(TerrainError, match="must be \\(N, 2\\)"):
        plane(0, 0, 0).height(np.zeros(2))


def test_heights_are_a_read_only_copy() -> None:
    heights = np.zeros(SPEC.shape, dtype=np.float32)
    dem = Dem(heights, SPEC)
    heights[0, 0] = 5.0
    assert dem.heights_m[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        dem.heights_m[0, 0] = 1.0
