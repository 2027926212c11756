"""Heat in the ground and in a box: balance, conservation, published temperatures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.constants import STEFAN_BOLTZMANN_WPM2K4
from ilrs_robots.core.environment.ephemeris import EphemerisError, utc_seconds
from ilrs_robots.core.environment.horizon import HorizonConfig, horizon_map
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.environment.site_sky import SiteSky
from ilrs_robots.core.environment.temperature import TemperatureConfig, temperature_map
from ilrs_robots.core.environment.thermal import (
    SOLAR_CONSTANT_WPM2,
    ElectronicsBox,
    ElectronicsBoxConfig,
    RegolithColumns,
    RegolithConfig,
    equilibrium_k,
    from_terrain_wpm2,
    irradiance_wpm2,
)
from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

LUNATION_S = 29.530589 * 86_400.0


def day(columns: RegolithColumns, noon_wpm2: np.ndarray, steps: int, lunations: int) -> np.ndarray:
    """Surface temperatures of the last of some equatorial days, (steps, N) K."""
    dt = LUNATION_S / steps
    seen = []
    for n in range(steps * lunations):
        sun = max(math.cos(2.0 * math.pi * (n + 0.5) / steps), 0.0)
        columns.advance(noon_wpm2 * sun, dt)
        seen.append(columns.surface_k.copy())
    return np.array(seen[-steps:])


def test_heat_is_conserved_step_by_step() -> None:
    rng = np.random.default_rng(4)
    columns = RegolithColumns(rng.uniform(40.0, 350.0, 6))
    for _ in range(200):
        before, dt = columns.heat_jpm2(), float(rng.uniform(60.0, 20_000.0))
        absorbed = rng.uniform(0.0, 1200.0, 6) * (rng.random(6) < 0.6)
        columns.advance(absorbed, dt)
        gained = (absorbed + columns.settings.interior_wpm2 - columns.emitted_wpm2()) * dt
        np.testing.assert_allclose(columns.heat_jpm2() - before, gained, rtol=0.0, atol=0.05)
        assert before.min() > 1e5  # J/m2
    assert columns.surface_k.min() > 2.0


def test_under_constant_light_the_surface_comes_to_the_temperature_of_balance() -> None:
    flux = np.array([0.0, 20.0, 500.0])
    settings = RegolithConfig(layers=8)
    columns = RegolithColumns([60.0, 120.0, 300.0], settings)
    for _ in range(600):
        columns.advance(flux, 30 * 86_400.0)
    expected = equilibrium_k(flux + settings.interior_wpm2)
    np.testing.assert_allclose(columns.surface_k, expected, rtol=2e-3)


def test_flat_ground_under_a_low_sun_and_slopes_that_face_it_are_as_the_references_say() -> None:
    for elevation_deg, kelvin in ((1.5, 155.0), (4.0, 198.0), (21.5, 300.0)):
        lit = 0.88 * SOLAR_CONSTANT_WPM2 * math.sin(math.radians(elevation_deg))
        assert float(equilibrium_k(lit)) == pytest.approx(kelvin, abs=1.5)


def test_an_equatorial_day_is_as_diviner_saw_it() -> None:
    # Williams et al. 2017, Icarus 283, 300: noon 387 to 397 K, midnight about 101 K, before
    # sunrise 95 K at the equator
    noon = np.array([0.88 * SOLAR_CONSTANT_WPM2])
    seen = day(RegolithColumns([250.0]), noon, 240, 8)[:, 0]
    assert seen.max() == pytest.approx(388.0, abs=8.0)
    assert seen[120] == pytest.approx(101.0, abs=8.0)
    assert seen.min() == pytest.approx(95.0, abs=7.0)


def test_long_steps_tell_nearly_the_same_as_short_ones() -> None:
    noon = np.array([0.88 * SOLAR_CONSTANT_WPM2 * 0.05])
    fine = day(RegolithColumns([120.0]), noon, 720, 2)[:, 0]
    rough = day(RegolithColumns([120.0]), noon, 180, 2)[:, 0]
    assert np.abs(fine[2::4] - rough).max() < 6.0
    assert np.abs(fine[2::4] - rough).mean() < 1.5


def test_a_dark_crater_floor_is_cold_and_lives_on_what_its_walls_send() -> None:
    # Ingersoll 1992: in a spherical bowl the shaded floor gets S sin(e) f (1-A)(eps + A(1-f)) /
    # (1 - A f), f = 1 / (1 + D^2 / 4 d^2)
    settings = RegolithConfig()
    f = 1.0 / (1.0 + 1.0 / (4.0 * 0.1**2))
    a, eps = settings.albedo, settings.emissivity
    sunlight = SOLAR_CONSTANT_WPM2 * math.sin(math.radians(1.5))
    expected = sunlight * f * (1.0 - a) * (eps + a * (1.0 - f)) / (1.0 - a * f)
    got = float(from_terrain_wpm2(sunlight * (1.0 - f), 1.0 - f, 1.0 - f, settings))
    assert got == pytest.approx(expected, rel=a**2)
    # a floor that sees little of lit walls is near 40 K, one without any 24 K
    assert 30.0 < float(equilibrium_k(0.13 + settings.interior_wpm2)) < 45.0
    assert 20.0 < float(equilibrium_k(settings.interior_wpm2)) < 30.0


def test_sunlight_falls_with_the_square_of_the_distance() -> None:
    assert float(irradiance_wpm2(149_597_870_700.0)) == pytest.approx(SOLAR_CONSTANT_WPM2)
    assert float(irradiance_wpm2(2 * 149_597_870_700.0)) == pytest.approx(SOLAR_CONSTANT_WPM2 / 4)


def test_the_box_conserves_heat_and_its_heater_holds_the_set_point() -> None:
    settings = ElectronicsBoxConfig()
    box = ElectronicsBox(settings)
    rng = np.random.default_rng(1)
    kelvin, heated = 280.0, []
    for n in range(2000):
        dissipated = float(rng.uniform(0.0, 8.0))
        state = box.step(kelvin, 600.0, dissipated_w=dissipated, ground_k=90.0)
        stored = settings.capacity_jpk * (state.temperature_k - kelvin)
        moved = (dissipated + state.heater_w - state.lost_w) * 600.0
        assert stored == pytest.approx(moved, abs=1e-6)
        assert 0.0 <= state.heater_w <= settings.heater_w
        kelvin = state.temperature_k
        if n > 1000:
            assert kelvin == pytest.approx(settings.setpoint_k, abs=1e-9)
            heated.append(state.heater_w + dissipated)
    lost = box.loss_w(settings.setpoint_k, 90.0)
    assert np.mean(heated) == pytest.approx(lost, rel=1e-6)
    assert lost == pytest.approx(
        0.03 * 1.5 * STEFAN_BOLTZMANN_WPM2K4 * (263.15**4 - 0.5 * 90.0**4) + 0.05 * (263.15 - 90.0)
    )


def test_a_heater_that_is_too_weak_lets_the_box_cool_to_its_balance() -> None:
    box = ElectronicsBox(ElectronicsBoxConfig(heater_w=5.0))
    kelvin = 270.0
    for _ in range(3000):
        state = box.step(kelvin, 3600.0, dissipated_w=0.0, ground_k=50.0)
        kelvin = state.temperature_k
    assert state.heater_w == 5.0
    assert kelvin < 263.0
    assert box.loss_w(kelvin, 50.0) == pytest.approx(5.0, rel=1e-6)
    warm = box.step(300.0, 600.0, dissipated_w=0.0, ground_k=380.0, sunlight_w=500.0)
    assert warm.heater_w == 0.0
    assert warm.temperature_k > 300.0


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigError, match="dissipated power = -1"):
        ElectronicsBox().step(280.0, 1.0, dissipated_w=-1.0, ground_k=90.0)
    with pytest.raises(ConfigError, match="time step = 0"):
        ElectronicsBox().step(280.0, 0.0, dissipated_w=1.0, ground_k=90.0)
    with pytest.raises(ConfigError, match="start nan K"):
        RegolithColumns([math.nan])
    with pytest.raises(TerrainError, match="must not be below 0"):
        RegolithColumns([100.0]).advance([-3.0], 10.0)
    with pytest.raises(TerrainError, match="columns"):
        RegolithColumns([100.0]).advance([1.0, 2.0], 10.0)
    with pytest.raises(ConfigError, match="albedo"):
        RegolithConfig(albedo=1.5)


def test_a_map_is_warm_where_slopes_face_the_sun_and_cold_where_it_never_shines() -> None:
    x = np.arange(-100.0, 101.0, 10.0)
    inside = np.minimum(np.hypot(x[None, :], x[:, None]), 60.0)
    bowl = (-12.0 * (1.0 - (inside / 60.0) ** 2)).astype(np.float32)
    spec = GridSpec(-100.0, -100.0, 10.0, 21, 21)
    dem = Dem(bowl, spec)
    sky = SiteSky(SiteFrame.of_site(math.radians(-87.0), 0.3), spec)
    horizon = horizon_map(dem, HorizonConfig(observer_m=0.0, azimuths=120))
    settings = TemperatureConfig(history_days=30.0, step_s=43_200.0, reach_m=120.0)
    hours = utc_seconds("2035-05-15T00:00:00Z") + 3600.0 * np.arange(720.0)
    time = float(hours[np.argmax(sky.track("sun", hours).elevation_rad[:, 0, 0])])
    told: list[int] = []
    kelvin, grid = temperature_map(
        dem, horizon, sky, time, settings=settings, on_progress=lambda done, _: told.append(done)
    )
    assert told == list(range(1, len(told) + 1))
    assert grid == spec
    yaw = float(sky.track("sun", time - 21_600.0).yaw_rad.mean())
    way = np.array([math.cos(yaw), math.sin(yaw)])
    facing, averted, plain = (
        kelvin[tuple(int(v[0]) for v in spec.cell_of(p[None, :]))]
        for p in (-45.0 * way, 30.0 * way, 92.0 * way)
    )
    assert 30.0 < averted < 130.0  # the floor and the wall below the Sun
    assert 160.0 < plain < 230.0
    assert 220.0 < facing < 330.0
    thin, coarse = temperature_map(
        dem, horizon, sky, time,
        settings=TemperatureConfig(history_days=30.0, step_s=43_200.0, reach_m=120.0, columns=121),
    )  # fmt: skip
    assert coarse.resolution_m == 20.0
    assert thin.shape == (11, 11)
    assert np.abs(thin - kelvin[::2, ::2]).max() < 25.0
    with pytest.raises(EphemerisError, match="2021-01-01"):
        temperature_map(dem, horizon, sky, utc_seconds("2020-06-01T00:00:00Z"))
