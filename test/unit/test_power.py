"""Sources, battery and bus: never over or under, and no joule appears or is lost."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.energy.battery import Battery, BatteryConfig
from ilrs_robots.core.energy.bus import PowerBus
from ilrs_robots.core.energy.sources import (
    PLUTONIUM_HALF_LIFE_S,
    FissionStationConfig,
    RadioisotopeConfig,
    SolarArrayConfig,
)
from ilrs_robots.core.errors import ConfigError

CELLS = BatteryConfig(capacity_wh=100.0, max_charge_w=200.0, max_discharge_w=300.0)
WARM_K = 293.0

steps = st.lists(
    st.tuples(
        st.floats(0.0, 2000.0), st.floats(0.0, 2000.0), st.floats(0.1, 7200.0),
        st.floats(30.0, 330.0),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(steps, st.floats(0.0, 1.0))
def test_battery_is_never_over_or_under_and_the_ledger_is_closed(program, charge):
    bus = PowerBus(Battery(CELLS, charge))
    start, moved = bus.battery.stored_j, 1.0
    floor = min(start, CELLS.reserve * bus.battery.capacity_j)
    for sources_w, load_w, dt_s, temperature_k in program:
        loads = {"computer": 0.4 * load_w, "heater": 0.6 * load_w}
        state = bus.step(dt_s, sources_w, loads, temperature_k)
        assert floor * (1.0 - 1e-12) <= bus.battery.stored_j <= bus.battery.capacity_j
        assert -CELLS.max_discharge_w - 1e-9 <= state.battery_w <= CELLS.max_charge_w + 1e-9
        assert state.delivered_w["heater"] == 0.0 or "computer" not in state.shed
        moved += (sources_w + load_w) * dt_s
    ledger, gain = bus.ledger, bus.battery.stored_j - start
    assert abs(ledger.offered_j - ledger.used_j - ledger.spilled_j) < 1e-9 * moved
    assert abs(ledger.used_j - ledger.delivered_j - ledger.lost_j - gain) < 1e-9 * moved
    assert ledger.spilled_j > -1e-9 * moved


def test_a_closed_loop_of_charge_and_discharge_conserves_energy():
    lossless = BatteryConfig(
        capacity_wh=100.0, max_charge_w=200.0, max_discharge_w=200.0, charge_efficiency=1.0,
        discharge_efficiency=1.0,
    )  # fmt: skip
    battery = Battery(lossless, 0.5)
    start = battery.stored_j
    for _ in range(1000):
        battery.step(117.3, 10.0, WARM_K)
        battery.step(-117.3, 10.0, WARM_K)
    assert battery.stored_j == pytest.approx(start, rel=1e-9)


def test_round_trip_loses_what_the_efficiencies_say():
    battery = Battery(CELLS, 0.2)
    start = battery.stored_j
    taken = battery.step(100.0, 600.0, WARM_K).charged_j
    given_j = 0.0
    while battery.stored_j > start + 1e-6:
        left = (battery.stored_j - start) * CELLS.discharge_efficiency
        given_j += battery.step(-min(100.0, left), 1.0, WARM_K).given_j
    both = CELLS.charge_efficiency * CELLS.discharge_efficiency
    assert given_j / taken == pytest.approx(both, rel=1e-9)


def test_cold_takes_capacity_and_charging_away_and_gives_it_back():
    battery = Battery(CELLS, 1.0)
    usable = [battery.usable_j(t) for t in (293.0, 260.0, 235.0, 200.0)]
    assert np.all(np.diff(usable) < 0.0)
    assert usable[-1] == 0.0
    assert battery.step(-50.0, 10.0, 200.0).given_j == 0.0
    assert battery.usable_j(293.0) == usable[0]
    half = Battery(CELLS, 0.5)
    assert half.step(100.0, 10.0, 240.0).charged_j == 0.0
    assert half.step(100.0, 10.0, 293.0).charged_j == 1000.0


def test_the_least_vital_load_goes_first():
    bus = PowerBus(Battery(CELLS, 0.0))
    state = bus.step(1.0, 50.0, {"computer": 40.0, "heater": 20.0, "drive": 100.0}, WARM_K)
    assert state.shed == ("drive", "heater")
    assert state.delivered_w == {"computer": 40.0, "heater": 10.0, "drive": 0.0}


@pytest.mark.parametrize(
    ("pointing", "expected"),
    [("tracking", 1.0), ("azimuth", 0.6), ("cylinder", 0.6 / math.pi), ("fixed", 0.8)],
)
def test_pointing_decides_how_much_light_falls_on_the_cells(pointing, expected):
    array = SolarArrayConfig(area_m2=1.0, pointing=pointing)
    assert array.light_on([0.6, 0.0, 0.8]) == pytest.approx(expected)
    assert array.light_on(np.ones((4, 2, 3)) / math.sqrt(3.0)).shape == (4, 2)


def test_cells_in_shadow_give_nothing_and_half_a_disc_a_little_more_than_half():
    array = SolarArrayConfig(area_m2=2.0)
    none, half, whole = array.power_w(1361.0, [0.0, 0.5, 1.0], 1.0)
    assert none == 0.0
    assert 0.5 < half / whole < 0.6  # cooler cells are better ones
    assert 0.2 < whole / (2.0 * 1361.0) < 0.3
    assert SolarArrayConfig(area_m2=1.0).light_on([0.0, 0.0, -1.0]) == 0.0


def test_radioisotope_halves_in_its_half_life_and_gives_heat_and_electricity_once():
    unit = RadioisotopeConfig(heat_w=100.0, electric_w=6.0, converter_loss_per_year=0.0)
    new, old = unit.power_w(0.0), unit.power_w(PLUTONIUM_HALF_LIFE_S)
    assert sum(new) == pytest.approx(100.0)
    np.testing.assert_allclose(old, np.array(new) / 2.0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.0, 1e5), min_size=1, max_size=8))
def test_fission_power_is_shared_and_never_more_than_there_is(demand):
    station = FissionStationConfig(rated_w=40e3, base_load_w=15e3, line_efficiency=0.9)
    granted = station.granted_w(demand)
    assert granted.sum() <= 25e3 * 0.9 * (1.0 + 1e-12)
    assert np.all(granted <= np.array(demand))
    if sum(demand) <= 25e3 * 0.9:
        np.testing.assert_array_equal(granted, demand)
    else:
        short = granted < np.array(demand) * (1.0 - 1e-12)
        assert np.all(granted[short] >= granted.max() * (1.0 - 1e-9))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PowerBus(Battery(CELLS)).step(1.0, -5.0, {}, WARM_K), "sources = -5.0 W"),
        (lambda: PowerBus(Battery(CELLS)).step(1.0, 5.0, {"x": -1.0}, WARM_K), "x = -1.0 W"),
        (lambda: Battery(CELLS).step(math.nan, 1.0, WARM_K), "battery = nan W"),
        (lambda: Battery(CELLS).step(1.0, 0.0, WARM_K), "battery = 0.0 s"),
        (lambda: Battery(CELLS, 1.2), "charge of the battery = 1.2"),
        (lambda: BatteryConfig(100.0, 1.0, 1.0, empty_v=40.0), "empty_v = 40.0 V: must be below"),
        (lambda: BatteryConfig(-1.0, 1.0, 1.0), "capacity_wh = -1.0 Wh: below"),
        (lambda: SolarArrayConfig(area_m2=-1.0), "area_m2 = -1.0 m2: below"),
        (lambda: SolarArrayConfig(1.0).power_w(1361.0, 1.4, 1.0), "share of the Sun = 1.4"),
        (lambda: SolarArrayConfig(1.0).power_w(-1.0, 1.0, 1.0), "irradiance = -1.0 W/m2"),
        (lambda: RadioisotopeConfig(5.0, 6.0), "electric_w = 6.0 W: must not be above"),
        (lambda: RadioisotopeConfig(5.0).power_w(-1.0), "= -1.0 s: must be 0 s or more"),
        (lambda: FissionStationConfig().granted_w([1.0, -2.0]), "charger = -2.0 W"),
    ],
)
def test_bad_input_is_one_clear_error(make, says):
    with pytest.raises(ConfigError, match=says):
        make()
