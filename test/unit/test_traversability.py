"""Hazards on analytic ground, and the compiled loops against their array forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.plane_fit import fit_planes
from ilrs_robots.core.mapping.regional_slope import regional_slope
from ilrs_robots.core.mapping.step_height import reach_offsets
from ilrs_robots.core.mapping.traversability import (
    REASONS,
    TraversabilityConfig,
    traversability,
)

STEP = 0.1
LIMITS = VehicleLimits(
    max_slope_rad=np.radians(20.0),
    max_step_m=0.24,
    max_roughness_m=0.12,
    footprint_length_m=2.6,
    footprint_width_m=2.1,
)


def grid(cells: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a grid around zero."""
    axis = (np.arange(cells) - cells // 2) * STEP
    x, y = np.meshgrid(axis, axis)
    return x, y


def plane(degrees: float, azimuth: float = 0.7, cells: int = 100) -> np.ndarray:
    x, y = grid(cells)
    rise = np.tan(np.radians(degrees))
    return (rise * (np.cos(azimuth) * x + np.sin(azimuth) * y)).astype(np.float32)


def rock(height: float, radius: float, under: np.ndarray | None = None) -> np.ndarray:
    """An ellipsoid that stands in the middle."""
    x, y = grid(100 if under is None else len(under))
    bump = height * np.sqrt(np.maximum(1.0 - (x**2 + y**2) / radius**2, 0.0))
    return (bump + (0.0 if under is None else under)).astype(np.float32)


def judged(elevation: np.ndarray, noise: float = 0.005, **kwargs):
    rng = np.random.default_rng(1)
    noisy = elevation + rng.normal(0.0, noise, elevation.shape).astype(np.float32)
    return traversability(noisy, STEP, LIMITS, **kwargs)


@pytest.mark.parametrize("azimuth", [0.0, 0.7, 2.0, -1.2])
@pytest.mark.parametrize("degrees", [0.0, 5.0, 15.0, 25.0])
def test_slope_is_the_planes_and_is_no_step(degrees, azimuth):
    layers = judged(plane(degrees, azimuth))
    np.testing.assert_allclose(np.degrees(layers.slope_rad), degrees, atol=1.0)
    assert layers.step_m.max() < 0.05
    assert layers.roughness_m.max() < 0.01
    assert layers.lethal.all() == (degrees > 20.0)
    assert layers.lethal.any() == (degrees > 20.0)
    if degrees == 15.0:
        np.testing.assert_allclose(layers.cost, 0.98 * 15.0 / 20.0, atol=0.03)
        assert (layers.reason == REASONS.index("slope")).all()


@pytest.mark.parametrize("under", [0.0, 10.0])
@pytest.mark.parametrize("radius", [0.15, 0.3, 0.6, 1.0])
def test_a_high_rock_is_lethal_and_a_low_one_is_not(radius, under):
    ground = plane(under)
    x, y = grid()
    on_rock = np.hypot(x, y) < radius
    high, low = judged(rock(0.35, radius, ground)), judged(rock(0.10, radius, ground))
    assert high.lethal[on_rock].any()
    assert (high.reason[high.lethal] == REASONS.index("obstacle")).any()
    assert not low.lethal.any()
    # the step is the rock itself, not the ground around it
    steps = high.lethal & (high.reason == REASONS.index("obstacle"))
    assert not steps[np.hypot(x, y) > radius + 0.1].any()
    assert np.nanmax(high.step_m) == pytest.approx(0.35, abs=0.12)


def test_the_upper_bound_makes_a_thin_rock_visible():
    flat = np.zeros((60, 60), np.float32)
    upper = flat.copy()
    upper[30, 30] = 0.3
    assert not traversability(flat, STEP, LIMITS).lethal.any()
    layers = traversability(flat, STEP, LIMITS, upper_bound=upper)
    assert np.argwhere(layers.lethal).tolist() == [[30, 30]]


def test_a_drop_is_marked_at_its_upper_edge():
    x, _ = grid()
    layers = judged(np.where(x > 0.0, 0.0, -0.4).astype(np.float32))
    lethal_x = x[layers.lethal & (layers.reason == REASONS.index("drop"))]
    assert lethal_x.min() > 0.0
    assert lethal_x.max() < 0.85


def test_roughness_is_the_residual_to_the_plane():
    rng = np.random.default_rng(0)
    noise = rng.normal(0.0, 0.03, (100, 100)).astype(np.float32)
    layers = traversability(plane(8.0) + noise, STEP, LIMITS)
    assert np.median(layers.roughness_m) == pytest.approx(0.03, rel=0.05)


def test_unknown_stays_unknown_but_small_gaps_are_filled_from_what_surrounds_them():
    elevation = plane(10.0)
    elevation[40:44, 40:44] = np.nan  # 0.4 m: a gap
    elevation[60:80, 20:40] = np.nan  # 2 m: nobody knows
    elevation[:, 90:] = np.nan  # the border of what was seen
    layers = traversability(elevation, STEP, LIMITS)
    np.testing.assert_array_equal(
        layers.filled & ~_inside(60, 80, 20, 40), _inside(40, 44, 40, 44)
    )
    assert np.isfinite(layers.cost[40:44, 40:44]).all()
    assert np.isnan(layers.cost[63:77, 23:37]).all()
    assert np.isnan(layers.cost[:, 90:]).all()
    np.testing.assert_array_equal(layers.reason == 0, np.isnan(layers.cost))
    np.testing.assert_allclose(np.degrees(layers.slope_rad[layers.filled]), 10.0, atol=0.1)
    assert layers.step_m[layers.filled].max() < 0.01


def _inside(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((100, 100), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_nothing_seen_is_nothing_known():
    layers = traversability(np.full((30, 40), np.nan, np.float32), STEP, LIMITS)
    assert np.isnan(layers.cost).all()
    assert not layers.lethal.any()


def test_a_single_line_of_points_makes_no_plane():
    elevation = np.full((60, 60), np.nan, np.float32)
    elevation[30] = 0.0
    assert np.isnan(traversability(elevation, STEP, LIMITS).slope_rad).all()


def brute_force_planes(height, half, min_support, spread_cells):
    rows, cols = height.shape
    out = np.full((4, rows, cols), np.nan)
    for r in range(rows):
        for c in range(cols):
            top, left = max(r - half, 0), max(c - half, 0)
            window = height[top : r + half + 1, left : c + half + 1]
            at = np.argwhere(np.isfinite(window))
            if len(at) < min_support:
                continue
            y, x = (at + np.array([top - r, left - c])).T
            # Two columns may spread by exactly the limit: rounding must not decide.
            if np.linalg.eigvalsh(np.cov(x, y, bias=True))[0] < spread_cells**2 - 1e-9:
                continue
            z = window[np.isfinite(window)].astype(np.float64)
            columns = np.stack((x, y, np.ones(len(z))), axis=1)
            solution = np.linalg.lstsq(columns, z, rcond=None)[0]
            residual = np.sqrt(np.mean((z - columns @ solution) ** 2))
            out[:, r, c] = *solution, residual
    return out


@settings(max_examples=15, deadline=None)
@example(seed=1763646, half=2, unknown=0.5)
@given(st.integers(0, 2**31), st.integers(1, 4), st.floats(0.0, 0.9))
def test_planes_agree_with_least_squares(seed, half, unknown):
    rng = np.random.default_rng(seed)
    height = (1000.0 + rng.normal(0.0, 1.0, (13, 17))).astype(np.float32)
    height[rng.random(height.shape) < unknown] = np.nan
    width = 2 * half + 1
    fit = fit_planes(height, 1.0, float(width), np.ones(height.shape, bool), 4, 0.1)
    expected = brute_force_planes(height, half, 4, 0.1 * width)
    for got, want in zip(fit, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_allclose(got, want, atol=2e-4)


def test_step_agrees_with_the_array_form():
    rng = np.random.default_rng(4)
    height = rng.normal(0.0, 0.05, (30, 26)).astype(np.float32)
    height[rng.random(height.shape) < 0.2] = np.nan
    upper = height + np.abs(rng.normal(0.0, 0.1, height.shape)).astype(np.float32)
    config = TraversabilityConfig(fill_radius_m=0.0)
    layers = traversability(height, STEP, LIMITS, config, upper)
    slope_x, slope_y = regional_slope(height, STEP, config.region_window_m)
    offsets = reach_offsets(2.8, 8.0)
    assert np.hypot(*offsets.T).max() == pytest.approx(8.0, abs=0.5)
    for r, c in np.argwhere(np.isfinite(layers.slope_rad))[::7]:
        lowest = np.inf
        for dr, dc in offsets:
            if 0 <= r + dr < 30 and 0 <= c + dc < 26 and np.isfinite(height[r + dr, c + dc]):
                rise = STEP * (slope_x[r, c] * dc + slope_y[r, c] * dr)
                lowest = min(lowest, height[r + dr, c + dc] - rise)
        assert layers.step_m[r, c] == pytest.approx(upper[r, c] - lowest, abs=1e-5)


@pytest.mark.parametrize("cells", [97, 100, 130])
def test_the_regional_slope_is_exact_on_planes(cells):
    elevation = plane(12.0, 0.7, cells)
    elevation[np.random.default_rng(0).random(elevation.shape) < 0.2] = np.nan
    slope_x, slope_y = regional_slope(elevation, STEP, 3.0)
    rise = np.tan(np.radians(12.0))
    np.testing.assert_allclose(slope_x, rise * np.cos(0.7), atol=0.015)
    np.testing.assert_allclose(slope_y, rise * np.sin(0.7), atol=0.015)
    empty = np.full((cells, cells), np.nan, np.float32)
    assert not np.any(regional_slope(empty, STEP, 3.0))


def test_cost_has_no_value_between_safe_and_lethal():
    rng = np.random.default_rng(6)
    rough = np.cumsum(rng.normal(0.0, 0.05, (100, 100)), axis=0).astype(np.float32)
    cost = traversability(rough, STEP, LIMITS).cost
    known = cost[np.isfinite(cost)]
    assert ((known >= 0.0) & ((known <= 0.98) | (known == 1.0))).all()
    assert (known == 1.0).any()
    assert (known < 0.98).any()


def test_the_callers_arrays_are_left_alone():
    elevation, upper = rock(0.3, 0.4), rock(0.4, 0.4)
    elevation[50:53, 20:23] = np.nan
    copies = elevation.copy(), upper.copy()
    traversability(elevation, STEP, LIMITS, upper_bound=upper)
    np.testing.assert_array_equal(elevation, copies[0])
    np.testing.assert_array_equal(upper, copies[1])


def test_bad_input_is_refused():
    with pytest.raises(TerrainError, match="one shape"):
        traversability(np.zeros(10, np.float32), STEP, LIMITS)
    with pytest.raises(TerrainError, match="one shape"):
        traversability(np.zeros((9, 9)), STEP, LIMITS, upper_bound=np.zeros((9, 8)))
    with pytest.raises(ConfigError, match=r"max_step_m = -1 m: below"):
        VehicleLimits(0.3, -1, 0.1, 2.0, 2.0)
    with pytest.raises(ConfigError, match="plane_window_m"):
        TraversabilityConfig(plane_window_m=0.0)
