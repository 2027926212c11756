"""Procedural DEM, orbital prior and hillshade."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_files import read_geotiff
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.terrain.prior import PriorConfig, orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Crater, Features, Surface
from ilrs_robots.core.types import GridSpec


@pytest.mark.parametrize("seed", [1, 2, 3, 5, 8, 13, 20])
def test_slopes_are_those_of_the_moon(seed: int) -> None:
    dem = procedural_dem(seed)
    slopes = np.degrees(dem.slope_map_rad())
    p50, p90, p95, largest = np.percentile(slopes, (50, 90, 95, 100))
    assert p50 == pytest.approx(4.3, rel=0.03)
    assert p90 == pytest.approx(10.0, rel=0.05)
    assert p95 == pytest.approx(13.4, rel=0.12)
    assert 18.0 < largest < 38.0
    assert dem.spec.shape == (256, 256)
    assert dem.spec.bounds_m == (-640.0, -640.0, 640.0, 640.0)


@pytest.mark.parametrize("seed", range(1, 11))
def test_the_middle_is_drivable(seed: int) -> None:
    dem = procedural_dem(seed)
    x, y = np.meshgrid(dem.spec.x_m(), dem.spec.y_m())
    middle = np.degrees(dem.slope_map_rad())[np.hypot(x, y) < 100.0]
    assert np.percentile(middle, 90) < 9.0
    assert middle.max() < 18.0


def test_the_same_seed_is_the_same_ground() -> None:
    one, same, other = procedural_dem(5), procedural_dem(5), procedural_dem(6)
    assert one.heights_m.tobytes() == same.heights_m.tobytes()
    assert np.abs(one.heights_m - other.heights_m).max() > 1.0
    assert one.provenance["seed"] == 5


def test_other_sizes_and_slopes() -> None:
    dem = procedural_dem(1, 400.0, 2.5, median_slope_deg=3.0, p90_slope_deg=6.5)
    assert dem.spec.shape == (160, 160)
    assert np.degrees(np.median(dem.slope_map_rad())) == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size_m": 50.0}, "10 samples"),
        ({"size_m": 1e6}, "200000 samples"),
        ({"resolution_m": 0.0}, "above 0 m"),
        ({"median_slope_deg": 9.0}, "1.9 median"),
    ],
)
def test_refuses_what_cannot_be_made(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(TerrainError, match=words):
        procedural_dem(1, **arguments)


def test_prior_has_the_stated_error_and_nothing_that_was_added() -> None:
    dem = procedural_dem(2)
    surface = Surface(dem, 2, features=Features((Crater(0.0, 0.0, 60.0, 12.0),)))
    prior = orbital_prior(surface, 2)
    error = prior.heights_m.astype(np.float64) - dem.heights_m
    assert prior.spec == dem.spec
    assert float(np.sqrt(np.mean(error**2))) == pytest.approx(0.4, rel=0.1)
    slope = np.hypot(*np.gradient(error, 5.0))
    assert 1.5 < math.degrees(math.atan(float(np.sqrt(np.mean(slope**2))))) < 2.5
    apart = float(np.mean(error[:, 3:] * error[:, :-3]) / np.mean(error**2))
    assert apart == pytest.approx(math.exp(-0.5), abs=0.08)  # 15 m apart
    assert orbital_prior(dem, 2).heights_m.tobytes() == prior.heights_m.tobytes()
    assert orbital_prior(dem, 3).heights_m.tobytes() != prior.heights_m.tobytes()


def test_prior_of_a_finer_dem_has_the_coarse_posting_and_keeps_unknown_ground() -> None:
    spec = GridSpec(0.0, 0.0, 1.0, 101, 121)
    x, _ = np.meshgrid(spec.x_m(), spec.y_m())
    heights = (0.1 * x).astype(np.float32)
    heights[:30, :30] = np.nan
    prior = orbital_prior(Dem(heights, spec), 1, PriorConfig(error_m=0.0))
    assert prior.spec == GridSpec(0.0, 0.0, 5.0, 21, 25)
    assert np.isnan(prior.heights_m[2, 2])
    np.testing.assert_allclose(prior.heights_m[10, 10], 5.0, atol=0.01)


def test_hillshade_of_planes_is_the_cosine_of_incidence() -> None:
    x, y = np.meshgrid(np.arange(20.0), np.arange(30.0))
    elevation, azimuth = math.radians(20.0), math.radians(130.0)
    flat = hillshade(0.0 * x, 1.0, azimuth, elevation)
    np.testing.assert_allclose(flat, math.sin(elevation), rtol=1e-6)
    toward = -math.tan(0.3) * (math.cos(azimuth) * x + math.sin(azimuth) * y)
    np.testing.assert_allclose(
        hillshade(toward, 1.0, azimuth, elevation), math.sin(elevation + 0.3), rtol=1e-5
    )
    np.testing.assert_allclose(hillshade(-2.0 * toward, 1.0, azimuth, elevation), 0.0)


def test_a_wall_casts_a_shadow_of_its_height() -> None:
    heights = np.zeros((5, 60))
    heights[:, 40] = 10.0
    lit = hillshade(heights, 1.0, 0.0, math.atan(0.5), cast_shadows=True)
    dark = np.flatnonzero(lit[2] == 0.0)
    assert dark.min() in (20, 21)
    assert (lit[2, 21:40] == 0.0).all()
    assert (lit[2, 45:] > 0.0).all()


def test_statistics_of_real_terrain(shared_data: Path) -> None:
    path = shared_data / "lola_shoemaker_5m_256.tif"
    if not path.is_file():
        pytest.skip(f"real data is not there ({path.name})")
    dem = read_geotiff(path)
    slopes = np.degrees(dem.slope_map_rad())
    np.testing.assert_allclose(
        np.percentile(slopes, (50, 90, 95, 100)), (4.3, 10.0, 13.4, 27.6), atol=0.1
    )
    assert float(dem.heights_m.min()) == pytest.approx(467.69, abs=0.01)
    assert float(dem.heights_m.max()) == pytest.approx(593.42, abs=0.01)
    assert dem.bounds_m == (75362.5, 38362.5, 76637.5, 39637.5)
    surface = Surface(dem, 1)
    grid = surface.grid(GridSpec(76000.0, 39000.0, 0.1, 200, 200))
    assert np.isfinite(grid).all()
    assert np.ptp(grid) < 10.0
