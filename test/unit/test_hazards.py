"""Hazards that a driver would name, on analytic scenes as a mast sees them, and on a real DEM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.mapping.elevation_map import ElevationMap, ElevationMapConfig
from ilrs_robots.core.mapping.layers import LayerContext, compute_layers
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.traversability import (
    REASONS,
    TraversabilityConfig,
    TraversabilityLayers,
    scaled_to,
    traversability,
)
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import limits_of

LOLA = Path(__file__).resolve().parents[3] / "shared" / "data" / "lola_shoemaker_5m_256.tif"
STEP = 0.1
CELLS = 160
LIMITS = VehicleLimits(np.radians(20.0), 0.24, 0.12, 2.6, 2.1)
MAST_M = 1.55


def axes() -> tuple[np.ndarray, np.ndarray]:
    """x and y, metres; the mast stands at x = 0, y = 0, 3 m inside the left edge."""
    x = np.arange(CELLS) * STEP - 3.0
    y = np.arange(CELLS) * STEP - 0.5 * CELLS * STEP
    return np.meshgrid(x, y)


def seen_from_mast(height: np.ndarray, noise: float = 0.005) -> np.ndarray:
    """What a sensor on a mast sees: cells that its line of sight reaches; the rest is unknown."""
    x, y = axes()
    base = height[CELLS // 2, 30] + MAST_M
    angle = (height - base) / np.maximum(np.hypot(x, y), 0.3)
    hidden = np.zeros(height.shape, bool)
    for share in np.linspace(0.02, 0.99, 160):
        col = np.rint((share * x + 3.0) / STEP).astype(int)
        row = np.rint((share * y) / STEP).astype(int) + CELLS // 2
        between = (np.abs(row - np.arange(CELLS)[:, None]) > 1) | (
            np.abs(col - np.arange(CELLS)[None]) > 1
        )
        hidden |= between & (angle[row, col] > angle + 1e-3)
    noisy = height + np.random.default_rng(1).normal(0.0, noise, height.shape)
    return np.where(hidden, np.nan, noisy).astype(np.float32)


def hazards(height: np.ndarray, **kwargs) -> TraversabilityLayers:
    return traversability(seen_from_mast(height), STEP, LIMITS, **kwargs)


def named(layers: TraversabilityLayers, name: str) -> np.ndarray:
    return layers.lethal & (layers.reason == REASONS.index(name))


@pytest.mark.parametrize("slope", [0.0, 0.15, -0.12])
def test_a_trench_ahead_is_a_hole_before_its_floor_is_seen(slope):
    x, _ = axes()
    ground = slope * x
    depth = np.clip((4.2 - x) / 0.5, 0.0, 1.0) * 1.2  # its far wall is steep, not upright
    trench = np.where(x > 3.0, ground - depth, ground)
    seen = seen_from_mast(trench)
    strip = (x > 3.05) & (x < 3.45)
    assert np.isnan(seen[70:90][strip[70:90]]).all()  # its near half is hidden
    layers = traversability(seen, STEP, LIMITS)
    before = named(layers, "hole")[70:90] & (x > 2.5)[70:90] & (x < 3.05)[70:90]
    inside = layers.lethal[70:90] & strip[70:90]
    assert before.any(axis=1).mean() > 0.9
    assert inside.any(axis=1).mean() > 0.9
    plain = hazards(ground)
    assert not plain.lethal.any()


def test_a_cliff_seen_from_above_is_a_drop():
    x, _ = axes()
    layers = hazards(np.where(x > 3.0, -1.5, 0.0))
    edge = named(layers, "drop") | named(layers, "hole")
    near = (x > 2.5) & (x < 3.1)
    assert (edge & near)[60:100].any(axis=1).mean() > 0.9
    assert not layers.lethal[:, (x[0] > 0.3) & (x[0] < 2.0)].any()


def test_a_crater_has_an_edge_and_the_ground_before_it_is_safe():
    x, y = axes()
    away = np.hypot(x - 5.0, y)
    bowl = np.where(away < 2.2, -1.3 * (1.0 - (away / 2.2) ** 2), 0.0)
    layers = hazards(bowl)
    rim = np.abs(away - 2.2) < 0.8
    ahead = np.abs(y) < 1.0
    assert layers.lethal[rim & ahead & (x < 3.3)].any()
    assert layers.lethal[(away < 2.2) & (x > 5.5) & ahead].any()
    assert not layers.lethal[(away > 3.6) & (x < 3.0)].any()


def test_the_shadow_of_a_rock_is_no_hole():
    x, y = axes()
    rock = 0.5 * np.sqrt(np.maximum(1.0 - ((x - 4.0) ** 2 + y**2) / 0.4**2, 0.0))
    layers = hazards(rock)
    assert np.isnan(seen_from_mast(rock)).sum() > 50
    assert named(layers, "obstacle").any()
    assert not named(layers, "hole").any()
    assert not named(layers, "drop").any()
    assert np.hypot(x - 4.0, y)[layers.lethal].max() < 0.8


@pytest.mark.parametrize("seed", range(3))
def test_smooth_ground_raises_no_false_alarm_however_sparsely_it_is_seen(seed):
    rng = np.random.default_rng(seed)
    x, y = axes()
    phase = rng.uniform(0.0, 6.0, 4)
    ground = 0.10 * x + 0.3 * np.sin(0.8 * x + phase[0]) + 0.25 * np.sin(0.7 * y + phase[1])
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(ground, STEP))))
    assert 15.0 < slope.max() < 24.0
    seen = seen_from_mast(ground, 0.01)
    away = np.hypot(x, y)
    rings = np.sin(40.0 * np.log(np.maximum(away, 0.5))) < -0.3  # beams meet the ground in rings
    seen[rings & (away > 4.0)] = np.nan
    layers = traversability(seen, STEP, LIMITS)
    safe = np.isfinite(layers.cost) & (slope < 17.0)
    assert safe.mean() > 0.25
    assert (layers.lethal & safe).sum() / safe.sum() < 0.002
    unseen_and_closed = layers.lethal & np.isnan(seen) & (slope < 15.0)
    assert unseen_and_closed.mean() < 0.002


@pytest.mark.parametrize("limits", [LIMITS, VehicleLimits(np.radians(10.0), 0.25, 0.05, 2.1, 2.1)])
def test_noise_of_the_sensor_alone_raises_no_false_alarm(limits):
    rng = np.random.default_rng(4)
    rise = np.tan(np.radians(6.0))
    built = ElevationMap(ElevationMapConfig(size_cells=200))
    azimuth, dip = np.meshgrid(np.linspace(-np.pi, np.pi, 512), np.radians(np.linspace(4, 40, 60)))
    ray = np.stack((np.cos(dip) * np.cos(azimuth), np.cos(dip) * np.sin(azimuth), -np.sin(dip)))
    for k in range(12):
        pose = np.eye(4)
        pose[:3, 3] = (0.2 * k, 0.0, MAST_M + rise * 0.2 * k)
        reach = MAST_M / (rise * ray[0] - ray[2])
        reach = np.where((reach > 0.6) & (reach < 40.0), reach, np.nan)
        points = (ray * (reach + rng.normal(0.0, 0.012, reach.shape))).reshape(3, -1).T
        built.update(points.astype(np.float32), pose, k * 200_000_000)
    upper = built.layer("upper_bound")
    layers = traversability(built.layer("elevation"), STEP, limits, upper_bound=upper)
    assert np.isfinite(layers.cost).mean() > 0.5
    assert layers.lethal.mean() < 1e-4


def test_what_dominates_is_named():
    x, y = axes()
    flat = np.zeros_like(x)
    rng = np.random.default_rng(0)
    trench = np.where(np.abs(x - 4.0) < 0.25, -0.5, 0.0)
    scenes = {
        "slope": (np.tan(np.radians(25.0)) * x, slice(60, 100), slice(60, 100)),
        "roughness": (rng.normal(0.0, 0.15, x.shape), slice(60, 100), slice(60, 100)),
        "obstacle": (np.where(np.hypot(x - 4, y) < 0.25, 0.4, flat), slice(78, 82), slice(68, 73)),
        "drop": (np.where(x > 4.0, -0.6, flat), slice(60, 100), slice(69, 70)),
        "hole": (trench, slice(60, 100), slice(66, 67)),
    }  # fmt: skip
    for name, (height, rows, cols) in scenes.items():
        limits = VehicleLimits(
            LIMITS.max_slope_rad, 3.0 if name == "roughness" else 0.24, 0.12, 2.6, 2.1
        )
        layers = traversability(height.astype(np.float32), STEP, limits)
        part = layers.reason[rows, cols][layers.lethal[rows, cols]]
        assert part.size, name
        assert np.median(part) == REASONS.index(name), name


@pytest.mark.parametrize(("policy", "cost"), [("open", np.nan), ("costly", 0.4), ("closed", 1.0)])
def test_the_unknown_costs_what_the_policy_says(policy, cost):
    ground = np.zeros((80, 80), np.float32)
    ground[:, 40:] = np.nan
    config = TraversabilityConfig(unknown=policy, unknown_cost=0.4)
    layers = traversability(ground, STEP, LIMITS, config)
    np.testing.assert_array_equal(layers.cost[:, 40:], np.float32(cost))
    assert (layers.lethal[:, 40:] == (policy == "closed")).all()
    assert (layers.reason[:, 40:] == REASONS.index("unknown")).all()
    assert (layers.cost[:, :40] < 0.01).all()
    with pytest.raises(
        ConfigError, match="unknown = 'maybe': must be one of open, costly, closed"
    ):
        TraversabilityConfig(unknown="maybe")


def test_a_smaller_vehicle_judges_on_its_own_scale_and_limits():
    small = VehicleLimits(np.radians(12.0), 0.06, 0.03, 0.8, 0.7)
    config = scaled_to(small, TraversabilityConfig())
    assert config.plane_window_m == pytest.approx(1.5 * 0.75 / 2.35)
    long_range = limits_of(load_robot("long_range"))
    same = scaled_to(long_range, TraversabilityConfig())
    assert same == TraversabilityConfig()
    x, y = axes()
    rock = np.where(np.hypot(x - 4.0, y) < 0.15, 0.1, 0.0).astype(np.float32)
    assert not traversability(rock, STEP, long_range).lethal.any()
    layers = traversability(rock, STEP, small, config)
    assert named(layers, "obstacle").any()
    assert np.hypot(x - 4.0, y)[layers.lethal].max() < 0.25


def slope_of_planes(height: np.ndarray, step: float, half: int) -> np.ndarray:
    """Slope of the least-squares plane of each window, from numpy's solver: another way."""
    y, x = np.mgrid[-half : half + 1, -half : half + 1] * step
    design = np.stack((x.ravel(), y.ravel(), np.ones(x.size)), axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(height, (2 * half + 1,) * 2)
    flat = windows.reshape(-1, x.size).astype(np.float64)
    a, b, _ = np.linalg.lstsq(design, flat.T, rcond=None)[0]
    return np.arctan(np.hypot(a, b)).reshape(windows.shape[:2])


@pytest.mark.parametrize("half", [1, 2])
def test_slopes_of_a_real_dem_agree_with_an_independent_reference(half):
    if not LOLA.exists():
        pytest.skip("no real terrain here: shared/data is absent")
    height = read_geotiff(LOLA).heights_m.astype(np.float32)
    config = TraversabilityConfig(plane_window_m=(2 * half + 1) * 5.0 - 0.1 * half)
    context = LayerContext(
        {"elevation": height}, GridSpec(0.0, 0.0, 5.0, *height.shape), LIMITS, config
    )
    slope = compute_layers(["slope"], context)["slope"]
    inner = slope[half:-half, half:-half]
    reference = slope_of_planes(height, 5.0, half)
    assert np.degrees(np.percentile(reference, 95)) > 10.0
    np.testing.assert_allclose(inner, reference, atol=1e-4)
