"""The base: rated power is never exceeded, who came first is charged, and what a failure does."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.energy.charging import PluggedVehicle, fair_shares, grants_w
from ilrs_robots.core.energy.sources import SolarArrayConfig
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.base_places import places_of
from ilrs_robots.robots.base_step import BaseStep, VehicleWord
from ilrs_robots.robots.power import SolarTowerConfig
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.site import initial_pose, load_prior

POWERS = st.floats(0.0, 1e5)
AT_1, AT_2, AWAY = (-19.0, 19.0), (-17.0, 27.0), (40.0, 0.0)


@st.composite
def askers(draw: st.DrawFn) -> list[PluggedVehicle]:
    count = draw(st.integers(0, 6))
    return [PluggedVehicle(f"v{n}", draw(POWERS), draw(POWERS), draw(st.booleans()))
            for n in range(count)]  # fmt: skip


@given(POWERS, POWERS, st.floats(0.1, 1.0), askers())
def test_never_more_is_given_than_there_is(
    sources_w: float, base_load_w: float, efficiency: float, plugged: list[PluggedVehicle]
) -> None:
    granted = grants_w(sources_w, base_load_w, efficiency, plugged)
    given_w = math.fsum(granted.values())
    assert given_w / efficiency <= max(sources_w - base_load_w, 0.0) * (1.0 + 1e-9)
    for one in plugged:
        assert 0.0 <= granted[one.name] <= one.wanted_w
    wanted_w = math.fsum(one.wanted_w for one in plugged)
    left_w = max(sources_w - base_load_w, 0.0) * efficiency
    assert given_w == pytest.approx(min(wanted_w, left_w), abs=1e-6)
    urgent = [one for one in plugged if one.urgent]
    if any(granted[one.name] > 1e-6 for one in plugged if not one.urgent):
        assert all(granted[one.name] == pytest.approx(one.wanted_w) for one in urgent)


@given(POWERS, st.lists(POWERS, max_size=6))
def test_what_is_short_is_shared_so_that_the_least_get_most(
    available: float, wanted: list[float]
) -> None:
    """Nobody gets more than one who was not given all that he asked for."""
    shares = fair_shares(available, wanted)
    short = [s for s, w in zip(shares, wanted, strict=True) if s < w - 1e-6]
    assert all(max(shares) <= s + 1e-6 for s in short)
    assert fair_shares(available, wanted[::-1]) == pytest.approx(shares[::-1])


def test_powers_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="demand = nan W"):
        PluggedVehicle("v", math.nan, 1.0)
    with pytest.raises(ConfigError, match=r"line_efficiency = 0\.0"):
        grants_w(1.0, 0.0, 0.0, [])
    with pytest.raises(ConfigError, match="two of one name"):
        grants_w(1.0, 0.0, 1.0, [PluggedVehicle("v", 1.0, 1.0)] * 2)


@pytest.fixture(scope="module")
def place():
    return load_prior("shackleton")


@pytest.fixture
def base(place) -> BaseStep:
    site, prior = place
    return BaseStep(site, prior, {r.name: r.load_model() for r in site.robots})


def word(at, charge: float = 0.5, heard_s: float = 0.0) -> VehicleWord:
    return VehicleWord(heard_s, at, charge)


def test_who_came_first_is_charged_and_the_next_one_after_him(base: BaseStep) -> None:
    first = base.step(1.0, {"long_range": word(AT_1), "crewed_rover": word(AWAY)})
    limits = {c.name: c.max_w for c in base.site.base.chargers}
    asked = {name: model.power.charger_w for name, model in base.models.items()}
    assert first.chargers == {"charger_1": "long_range", "charger_2": ""}
    assert first.granted_w == {"long_range": min(asked["long_range"], limits["charger_1"])}

    near = (AT_1[0] - 2.0, AT_1[1] - 3.0)  # of charger_1 only
    both = base.step(2.0, {"crewed_rover": word(near), "long_range": word(AT_1)})
    assert both.chargers["charger_1"] == "long_range"
    assert both.waiting == ("crewed_rover",)
    assert "crewed_rover" not in both.granted_w

    after = base.step(3.0, {"crewed_rover": word(near), "long_range": word(AT_2)})
    assert after.chargers == {"charger_1": "crewed_rover", "charger_2": "long_range"}
    assert after.waiting == ()


def test_a_vehicle_that_is_not_heard_or_full_gets_no_charge(base: BaseStep) -> None:
    words = {"long_range": word(AT_1, 1.0), "crewed_rover": word(AT_2)}
    state = base.step(5.0, words)
    loads = base.models["long_range"].power.loads_w
    assert state.granted_w["long_range"] == pytest.approx(math.fsum(loads.values()))
    late = base.step(20.0, {"long_range": word(AT_1, heard_s=19.0), "crewed_rover": word(AT_2)})
    assert set(late.granted_w) == {"long_range"}
    assert base.step(21.0, {"submarine": word(AT_1, heard_s=21.0)}).granted_w == {}


@settings(max_examples=15, deadline=None)
@given(rated_w=st.floats(0.0, 30e3), charges=st.tuples(st.floats(0, 1), st.floats(0, 1)),
       fails=st.booleans())  # fmt: skip
def test_a_weak_station_is_never_overloaded(place, rated_w, charges, fails) -> None:
    site, prior = place
    assert site.base.fission is not None
    station = replace(site.base.fission, rated_w=rated_w, base_load_w=20e3)
    weak = replace(site, base=replace(site.base, fission=station, towers=()))
    models = {r.name: r.load_model() for r in site.robots}
    base = BaseStep(weak, prior, models, fails)
    state = base.step(1.0, {"long_range": word(AT_1, charges[0]),
                            "crewed_rover": word(AT_2, charges[1])})  # fmt: skip
    spent_w = math.fsum(state.granted_w.values()) / station.line_efficiency
    assert spent_w <= max(rated_w - 20e3, 0.0) + 1e-6
    assert set(state.granted_w) == {"long_range", "crewed_rover"}
    assert not fails or spent_w == 0.0


def test_towers_feed_the_base_while_the_sun_is_over_it_and_it_works(place) -> None:
    site, prior = place
    tower = SolarTowerConfig("t", -38.0, 34.0, SolarArrayConfig(50.0, pointing="tracking",
                                                               mast_m=200.0))  # fmt: skip
    base = BaseStep(replace(site, base=replace(site.base, towers=(tower,))), prior, {})
    lit = base.step(0.0, {})
    assert 5e3 < lit.towers_w["t"] < 50.0 * 1400.0 * 0.3
    assert lit.sources_w == lit.fission_w + lit.towers_w["t"]
    base.failed = True
    dark = base.step(1.0, {})
    assert dark.sources_w == 0.0
    assert dark.failed


def test_a_vehicle_charges_by_what_the_base_grants(place) -> None:
    site, prior = place
    model = site.robot("long_range").load_model()
    power = PowerStep("long_range", model, site, prior)
    pose = initial_pose(replace(site.robot("long_range"), x_m=AT_1[0], y_m=AT_1[1]), prior)
    power.restart(0.4, 290.0)
    power.step(0.0, pose, 0.0)
    for granted_w, better in ((0.0, None), (model.power.charger_w, 0.0)):
        power.grant_w = granted_w
        state = power.step((power._time_s or 0.0) + 60.0, pose, 0.0)
        assert state.charger == "charger_1"
        own_w = state.sources_w - granted_w
        assert own_w >= 0.0
        assert better is None or state.battery_w > better
    power.grant_w = 1e9
    held = power.step((power._time_s or 0.0) + 60.0, pose, 0.0)
    assert held.sources_w <= own_w + model.power.charger_w + 1.0


def test_what_stands_at_the_base_has_its_place(place) -> None:
    found = {p.name: p for p in places_of(*place)}
    assert {p.kind for p in found.values()} >= {"charger", "tower", "beacon", "landing_pad"}
    pad = next(p for p in found.values() if p.kind == "landing_pad")
    assert pad.keep_out_m == pytest.approx(10.0, abs=0.5)
    mast = found["mast"]
    ground = float(place[1].height([[mast.x_m, mast.y_m]])[0])
    assert mast.z_m > ground + 5.0
