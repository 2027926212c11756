"""One vehicle's power in its place: light, heat, driving, charging, links."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ilrs_robots.core.environment.ephemeris import EphemerisError
from ilrs_robots.core.environment.sight import sun_share
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.power import BaseConfig, ChargerConfig, PowerConfig
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.site import read_site

HOUR = 3600.0


def ground(height=lambda x, y: 0.0 * x):
    spec = GridSpec(-600.0, -600.0, 10.0, 121, 121)
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    return Dem(height(x, y).astype(np.float32), spec)


def pose(x=0.0, y=-200.0, pitch=0.0, yaw=0.0):
    return se3.from_rpy(np.array([x, y, 0.0]), (0.0, pitch, yaw))


def step_of(robot="long_range", site="shackleton", dem=None, **power):
    model = load_robot(robot)
    model = dataclasses.replace(model, power=dataclasses.replace(model.power, **power))
    return PowerStep("r", model, read_site(site), ground() if dem is None else dem)


def closed(state, battery, start_j):
    ledger = state.ledger
    gain = battery.stored_j - start_j
    wrong = ledger.used_j - ledger.delivered_j - ledger.lost_j - gain
    return abs(wrong) <= 1e-9 * (ledger.offered_j + ledger.delivered_j)


def test_it_stands_in_the_light_and_the_battery_fills_and_every_joule_is_counted():
    step = step_of(charge=0.5)
    start = step.bus.battery.stored_j
    for hour in range(30):
        state = step.step(hour * HOUR, pose(yaw=0.3), 0.0)
        assert 0.0 <= state.charge <= 1.0
    assert state.light.share == 1.0
    assert state.solar_w > 150.0
    assert state.charge > 0.6
    assert closed(state, step.bus.battery, start)


def test_behind_a_hill_there_is_no_light_and_loads_go_one_by_one_when_the_battery_is_empty():
    wall = ground(lambda x, y: np.where(np.hypot(x, y) > 60.0, 80.0, 0.0))
    step = step_of(dem=wall, charge=0.2)
    states = [step.step(h * HOUR, pose(0.0, 0.0), 0.0) for h in range(40)]
    assert all(s.solar_w == 0.0 and s.light.share == 0.0 for s in states)
    assert np.all(np.diff([s.charge for s in states]) <= 0.0)
    last = states[-1]
    assert last.charge >= step.model.power.battery.reserve - 1e-9
    assert last.shed[0] == "instruments"
    assert last.box_k < states[0].box_k


def test_it_sleeps_through_darkness_on_its_radioisotopes_heat_and_wakes_in_the_light():
    wall = ground(lambda x, y: np.where(np.hypot(x, y) > 60.0, 80.0, 0.0))
    asleep = step_of(dem=wall, charge=0.16)
    days = [asleep.step(hours * HOUR, pose(0.0, 0.0), 0.0) for hours in (0, 36, 54, 72)]
    cells = asleep.model.power.battery
    assert all(s.charge >= cells.reserve - 1e-9 for s in days)
    assert set(asleep.model.power.loads_w) <= set(days[-1].shed)
    assert days[-1].box_k > 235.0
    assert 0.0 <= days[2].box_k - days[3].box_k < days[1].box_k - days[2].box_k
    cold = step_of(dem=wall, charge=0.16, radioisotope=None)
    assert [cold.step(h * HOUR, pose(0.0, 0.0), 0.0) for h in (0, 72)][-1].box_k < 220.0

    awake = step_of()
    awake.restart(days[-1].charge, days[-1].box_k, 72 * HOUR)
    light = [awake.step((72 + hours) * HOUR, pose(yaw=0.3), 0.0) for hours in range(1, 13)]
    assert not light[-1].shed
    assert light[-1].charge > days[-1].charge
    assert light[-1].box_k > days[-1].box_k


def test_uphill_costs_more_than_level_and_downhill_nothing():
    step = step_of()
    up, level, down = (step.drive_w(pose(pitch=p), 0.5) for p in (-0.2, 0.0, 0.2))
    assert up > level > 0.0 == down
    assert step.drive_w(pose(pitch=0.2), -0.5) == pytest.approx(up)
    assert step.drive_w(pose(), 0.0) == 0.0
    assert math.isfinite(step.drive_w(pose(pitch=-1.0), 0.5))
    assert step_of("hopper").drive_w(pose(), 1.0) == 0.0


def test_a_charger_fills_who_stands_beside_it():
    step = step_of("crewed_rover", charge=0.3)
    charger = step.site.base.chargers[0]
    at = pose(charger.x_m + 1.0, charger.y_m)
    moving = step.step(0.0, at, 0.5)
    assert moving.charger == ""
    state = step.step(HOUR, at, 0.0)
    assert state.charger == "charger_1"
    assert state.battery_w > 1000.0
    assert step.step(2 * HOUR, pose(), 0.0).charger == ""


def test_every_other_charger_in_use_leaves_enough_for_none_too_much():
    base = read_site("shackleton").base
    assert base.fission is not None
    granted = base.granted_w(base.chargers[0], 1e6)
    left = (base.fission.rated_w - base.fission.base_load_w) * base.fission.line_efficiency
    assert granted == min(base.chargers[0].max_w, left)
    weak = dataclasses.replace(base, fission=dataclasses.replace(base.fission, rated_w=27e3))
    assert weak.granted_w(base.chargers[0], 1e6) == pytest.approx(2e3 * 0.92 / 2.0)


def test_links_follow_the_place():
    hill = ground(lambda x, y: 60.0 * np.exp(-(((x - 120.0) / 50.0) ** 2) - ((y / 400.0) ** 2)))
    step = step_of("hopper", dem=hill)
    near = step.step(0.0, pose(-20.0, 0.0), 0.0)
    assert near.base is not None
    assert near.base.path[-1] == "habitat"
    assert near.earth is not None
    hidden = step_of(dem=hill)
    hidden.model = dataclasses.replace(
        hidden.model, comms=dataclasses.replace(hidden.model.comms, space=None)
    )
    hidden.site = dataclasses.replace(
        hidden.site,
        base=dataclasses.replace(hidden.site.base, radios=hidden.site.base.radios[:2]),
    )
    behind = hidden.step(0.0, pose(400.0, 0.0), 0.0)
    assert behind.base is None
    assert behind.earth is None


def test_a_long_gap_is_integrated_in_short_steps_and_time_set_back_moves_nothing():
    one, many = step_of(charge=0.5), step_of(charge=0.5)
    one.step(0.0, pose(), 0.0)
    for minute in range(61):
        last = many.step(60.0 * minute, pose(), 0.0)
    state = one.step(HOUR, pose(), 0.0)
    assert state.charge == pytest.approx(last.charge, abs=2e-4)
    before = one.bus.battery.stored_j
    one.step(0.0, pose(), 0.0)
    assert one.bus.battery.stored_j == pytest.approx(before, rel=1e-4)


def test_half_a_disc_over_a_level_edge_is_half_the_light():
    dem = ground(lambda x, y: np.where(x > 300.0, 20.0, 0.0))
    top = math.atan2(18.0, 310.0)
    shares = [sun_share(dem, (0.0, 0.0, 2.0), 0.0, top + k * 0.0046, 0.0046) for k in
              (-1.1, -0.5, 0.0, 0.5, 1.1)]  # fmt: skip
    assert shares[0] == 0.0
    assert shares[2] == pytest.approx(0.5, abs=0.03)
    assert shares[4] == 1.0
    assert shares[1] + shares[3] == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: step_of().step(1e12, pose(), 0.0), EphemerisError, "outside 2020-01-01"),
        (
            lambda: dataclasses.replace(load_robot("hopper").power, loads_w={"drive": 1.0}),
            ConfigError,
            "loads_w.drive: this load is computed",
        ),
        (
            lambda: dataclasses.replace(load_robot("hopper").power, loads_w={"lidar": -3.0}),
            ConfigError,
            "loads_w = -3.0 W: below the limit",
        ),
        (
            lambda: BaseConfig(chargers=(ChargerConfig("c", 0.0, 0.0, 100.0),)),
            ConfigError,
            "charger 'c': there is no fission station",
        ),
        (lambda: ChargerConfig("c", 0.0, 0.0, -1.0), ConfigError, "max_w = -1.0 W: below"),
    ],
)
def test_bad_input_is_one_clear_error(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_power_of_every_vehicle_is_complete():
    for name in ("long_range", "crewed_rover", "hopper"):
        model = load_robot(name)
        assert isinstance(model.power, PowerConfig)
        assert sum(model.power.loads_w.values()) < model.power.battery.max_discharge_w
