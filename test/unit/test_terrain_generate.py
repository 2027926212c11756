"""Generated and refined terrain: slopes, size laws and strips, and the files they end in."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.io.surface_files import rocks_path, write_surface
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.detail import detail_config, deviation_m
from ilrs_robots.core.terrain.generate import GenerateConfig, generate, slopes_at_baseline
from ilrs_robots.core.terrain.procedural import (
    CRATER_DENSITY_M2,
    DEPTH_RATIOS,
    _craters,
    procedural_dem,
)
from ilrs_robots.core.terrain.refine import refined
from ilrs_robots.core.terrain.slopes import slope_statistics
from ilrs_robots.core.terrain.strips import strips_from_north, surface_strips
from ilrs_robots.core.terrain.surface import Surface, SurfaceConfig
from ilrs_robots.core.types import GridSpec

LOLA = {50.0: 4.3, 90.0: 10.0, 95.0: 13.4}
"""Degrees at 5 m, 87.18 S."""


@pytest.mark.parametrize("seed", [1, 2, 9])
def test_fine_terrain_has_the_moons_slopes_at_five_metres(seed: int) -> None:
    surface = generate(GenerateConfig(seed=seed, posting_m=0.1))
    seen = slopes_at_baseline(surface)
    for percent, wanted in LOLA.items():
        assert seen.percentile_deg(percent) == pytest.approx(wanted, rel=0.1)
    assert 18.0 < seen.percentile_deg(100.0) < 38.0
    spec = GenerateConfig(seed=seed, posting_m=0.1).grid
    corners = np.array([spec.bounds_m[:2], spec.bounds_m[2:]])
    assert np.isfinite(surface.height(corners)).all()
    assert spec.bounds_m == pytest.approx((-500.0, -500.0, 500.0, 500.0))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1, 41))
def test_every_seed_has_the_moons_slopes(seed: int) -> None:
    for size in (600.0, 1000.0, 2000.0):
        seen = slopes_at_baseline(generate(GenerateConfig(seed=seed, size_m=size, posting_m=1.0)))
        for percent, wanted in LOLA.items():
            assert seen.percentile_deg(percent) == pytest.approx(wanted, rel=0.1), size


def test_coarse_terrain_is_the_dem_alone() -> None:
    settings = GenerateConfig(seed=4, size_m=640.0, posting_m=10.0)
    surface = generate(settings)
    assert surface.dem.spec == settings.grid
    part = generate(replace(settings, size_m=200.0)).dem
    np.testing.assert_array_equal(part.heights_m, surface.dem.heights_m[22:42, 22:42])
    seen = slope_statistics(surface.dem.heights_m, 10.0)
    assert seen.percentile_deg(50.0) == pytest.approx(4.3, rel=0.05)
    assert surface.dem.provenance["seed"] == 4


def test_other_slopes_can_be_asked_for() -> None:
    settings = GenerateConfig(
        seed=3, size_m=600.0, posting_m=1.0, median_slope_deg=2.5, p90_slope_deg=6.0
    )
    seen = slopes_at_baseline(generate(settings))
    assert seen.percentile_deg(50.0) == pytest.approx(2.5, rel=0.05)
    assert seen.percentile_deg(90.0) == pytest.approx(6.0, rel=0.05)
    with pytest.raises(TerrainError, match=r"1\.9 median < p90"):
        generate(replace(settings, median_slope_deg=5.0))


def test_the_dems_own_craters_keep_the_size_law_and_their_depths() -> None:
    records = _craters(np.random.default_rng(11), 4000.0, 20.0, 0.0)
    inside = (np.abs(records[:, :2]) < 2000.0).all(axis=1)
    away = np.hypot(records[:, 0], records[:, 1]) > 400.0  # the middle is kept drivable
    found = records[inside & away]
    diameter, area = 2.0 * found[:, 2], 4000.0**2 - math.pi * 400.0**2
    for limit in (20.0, 40.0, 80.0):
        expected = CRATER_DENSITY_M2 * (limit**-2 - 500.0**-2) * area
        assert abs((diameter > limit).sum() - expected) < 4.0 * math.sqrt(expected)
    ratio = found[:, 3] / diameter
    assert DEPTH_RATIOS[1] <= ratio.min() + 1e-9
    assert ratio.max() <= DEPTH_RATIOS[0] + 1e-9
    assert 0.03 < np.median(ratio) < 0.08  # most are old


def test_above_the_equilibrium_diameter_craters_are_fewer() -> None:
    """The same draws, thinned: ground changes only where large craters have gone."""
    one = procedural_dem(5, 1280.0)
    same = procedural_dem(5, 1280.0, equilibrium_m=1e4)
    fewer = procedural_dem(5, 1280.0, equilibrium_m=30.0)
    np.testing.assert_array_equal(one.heights_m, same.heights_m)
    assert np.abs(one.heights_m - fewer.heights_m).max() > 1.0


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"size_m": 40_000.0, "posting_m": 0.1}, TerrainError, "400000 x 400000 samples: limit"),
        ({"size_m": 5.0}, ConfigError, "size_m = 5.0 m: below the limit 10.0 m"),
        ({"posting_m": math.nan}, ConfigError, "posting_m is NaN"),
        ({"seed": -1}, ConfigError, "seed = -1: below the limit 0"),
    ],
)
def test_refuses_what_cannot_be_made(
    changes: dict[str, float], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        GenerateConfig(**changes)  # type: ignore[arg-type]


def test_strips_from_the_north_are_the_whole_grid() -> None:
    surface = Surface(procedural_dem(2, 320.0), 2)
    spec = GridSpec(-60.0, -40.0, 0.25, 300, 471)
    assert [s.rows for s in strips_from_north(spec, 128)] == [128, 128, 44]
    for rocks, whole in ((False, surface.grid(spec)), (True, surface.top_grid(spec))):
        parts = [h for _, h in surface_strips(surface, spec, rocks=rocks, workers=2)]
        np.testing.assert_allclose(np.concatenate(parts[::-1]), whole, atol=1e-5)


def test_rocks_cluster_on_the_ejecta_of_fresh_craters_and_leave_old_ones_alone() -> None:
    surface = generate(GenerateConfig(seed=3, posting_m=0.1))
    half = 480.0
    rocks = surface.rocks(-half, -half, half, half)
    fields = [b for b in surface.features.block_fields if b.k > 0.02 and abs(b.x_m) < 400.0]
    fields = [b for b in fields if abs(b.y_m) < 400.0]
    assert len(fields) >= 3
    everywhere = len(rocks) / (2.0 * half) ** 2
    for b in fields:
        away = np.hypot(*(rocks.centre_m[:, :2] - (b.x_m, b.y_m)).T)
        on_rim = (away > b.hole_radius_m) & (away < 0.5 * b.radius_m)
        area = math.pi * (0.25 * b.radius_m**2 - b.hole_radius_m**2)
        assert on_rim.sum() / area > 1.5 * everywhere
    bare = replace(SurfaceConfig(), ejecta_k=0.0)
    plain = generate(GenerateConfig(seed=3, posting_m=0.1, detail=bare))
    assert plain.features.block_fields == ()


def test_written_terrain_holds_its_rocks_or_lists_them(tmp_path: Path) -> None:
    settings = GenerateConfig(seed=6, size_m=200.0, posting_m=0.5)
    surface = generate(settings)
    raised, beside = tmp_path / "raised.tif", tmp_path / "beside.tif"
    write_surface(raised, surface, settings.grid)
    slopes = write_surface(beside, surface, settings.grid, rocks="beside")
    high, ground = read_geotiff(raised), read_geotiff(beside)
    assert high.spec == ground.spec == settings.grid
    rise = high.heights_m - ground.heights_m
    table = np.loadtxt(rocks_path(beside), delimiter=",", skiprows=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "beside.tif", "beside_rocks.csv", "raised.tif"
    ]  # fmt: skip
    tallest = table[np.argmax(table[:, 7])]
    row, col = (int(v) for v in ground.spec.cell_of(tallest[:2]))
    there = float(rise[row - 1 : row + 2, col - 1 : col + 2].max())
    assert 0.4 * tallest[7] < there < tallest[7] + 0.2
    assert rise.max() < 2.5
    assert rise.min() >= -1e-4
    assert 0.0 < (rise > 0.05).mean() < 0.05
    found = high.provenance["derived_from"]
    assert found["added_detail"]["roughness_m"] == surface.config.roughness_m
    assert ground.provenance["derived_from"]["slopes"] == slopes.table()
    np.testing.assert_allclose(ground.heights_m, surface.grid(settings.grid), atol=1e-4)


def test_refined_ground_keeps_the_slopes_of_its_source_and_goes_on_below() -> None:
    source = procedural_dem(7, 640.0)
    surface, spec = refined(source, 1.0, 1, rocks=False)
    fine = surface.grid(spec)
    assert np.isfinite(fine).all()
    own = slope_statistics(source.heights_m, 5.0)
    again = slope_statistics(fine, 1.0, 5)
    for percent in (50.0, 90.0, 95.0):
        assert again.percentile_deg(percent) == pytest.approx(own.percentile_deg(percent), rel=0.1)
    at_nodes = surface.height(np.array([[2.5, 2.5], [102.5, -97.5]]))
    there = source.height(np.array([[2.5, 2.5], [102.5, -97.5]]))
    np.testing.assert_allclose(at_nodes, there, atol=1.5)
    wanted = deviation_m(source) * 5.0**-0.95  # self-affine from 5 m down to 1 m
    found = deviation_m(Dem(fine, spec))
    assert found == pytest.approx(wanted, rel=0.15)


def test_real_ground_refines_like_generated_ground(shared_data: Path) -> None:
    path = shared_data / "lola_shoemaker_5m_256.tif"
    if not path.is_file():
        pytest.skip(f"real data is not there ({path.name})")
    dem = read_geotiff(path)
    assert detail_config(dem).roughness_m == pytest.approx(0.0275, abs=0.006)
    surface, spec = refined(dem, 0.5, 1)
    part = replace(spec, rows=1600, cols=1600)
    again = slope_statistics(surface.grid(part), 0.5, 10)
    own = slope_statistics(dem.heights_m[:161, :161], 5.0)
    for percent in (50.0, 90.0, 95.0):
        assert again.percentile_deg(percent) == pytest.approx(own.percentile_deg(percent), rel=0.1)


@pytest.mark.parametrize(
    ("resolution", "posting", "words"),
    [
        (20.0, 0.1, "posting 20 m: detail can continue postings of 2 to 10 m"),
        (5.0, 5.0, "posting 5 m: must be at least 0.02 m and below the DEM's 5 m"),
        (5.0, math.nan, "posting nan m: must be at least"),
    ],
)
def test_refuses_what_cannot_be_refined(resolution: float, posting: float, words: str) -> None:
    spec = GridSpec(0.0, 0.0, resolution, 10, 10)
    rough = np.random.default_rng(0).normal(size=spec.shape).astype(np.float32)
    with pytest.raises(TerrainError, match=words):
        refined(Dem(rough, spec), posting, 1)


def test_roughness_of_unknown_ground_is_refused() -> None:
    spec = GridSpec(0.0, 0.0, 5.0, 4, 4)
    with pytest.raises(TerrainError, match="none of 16 samples has a known neighbour"):
        detail_config(Dem(np.full(spec.shape, np.nan, dtype=np.float32), spec), SurfaceConfig())
