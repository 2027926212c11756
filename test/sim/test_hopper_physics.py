"""A hopper's flight against formulas: parabola, rocket equation, torque, mass flow, valves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2, STANDARD_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import AltimeterSample, ImuSample, TankSample, ThrusterCommand
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.analytic import AnalyticTerrain, plane
from ilrs_robots.sim.errors import SimulationError

pytestmark = pytest.mark.sim

G = MOON_GRAVITY_MPS2


@pytest.fixture(scope="module")
def ideal():
    """A hopper whose thrusters neither err nor pulse."""
    model = load_robot("hopper")
    groups = {
        "main": dataclasses.replace(
            model.thruster_groups["main"], noise=0.0, gain_error=0.0, misalignment_deg=0.0
        ),
        "attitude": dataclasses.replace(
            model.thruster_groups["attitude"], noise=0.0, gain_error=0.0, misalignment_deg=0.0,
            pulse_s=0.0,
        ),
    }  # fmt: skip
    return dataclasses.replace(model, thruster_groups=groups)


@pytest.fixture
def flying(make_world, ideal):
    """A world whose hopper is in the air with a velocity."""

    def make(height_m=400.0, velocity=(0.0, 0.0, 0.0), terrain=None, model=ideal):
        world = make_world(terrain or plane(), robot=model)
        body = world._vehicles["rover"].body
        place = body.position_m + np.array([0.0, 0.0, height_m])
        body.place(place, np.array([1.0, 0.0, 0.0, 0.0]))
        world._data.qvel[body._dof : body._dof + 3] = velocity
        return world

    return make


def mains(model, newtons):
    groups = [t.group for t in model.thrusters.values()]
    return np.array([newtons if g == "main" else 0.0 for g in groups])


def push(world, thrust_n, seconds):
    events = []
    for _ in range(round(seconds / world.config.exchange_s)):
        world.thrust("rover", ThrusterCommand(world.time_ns, thrust_n))
        events += world.step()
    return events


def test_without_thrust_it_flies_a_parabola(flying):
    """Legs unfold on their springs, which moves the body itself by a centimetre."""
    world = flying(velocity=(12.0, -3.0, 20.0))
    start = world.truth("rover").position_m
    for _ in range(500):
        world.step()
    moved, t = world.truth("rover").position_m - start, 10.0
    np.testing.assert_allclose(moved[:2], [120.0, -30.0], atol=0.02)
    assert moved[2] == pytest.approx(20.0 * t - 0.5 * G * t * t, abs=0.02)
    np.testing.assert_allclose(world.truth("rover").angular_rps, np.zeros(3), atol=1e-6)


def test_a_burn_follows_the_rocket_equation_and_empties_the_tank_as_told(flying, ideal):
    world = flying()
    thrust, seconds, isp = 4 * 150.0, 12.0, ideal.tank.isp_s
    push(world, mains(ideal, 0.25 * thrust), 2.0)  # the lag is over
    before, speed = world.evaluation("rover").propellant_kg, world.truth("rover").linear_mps[2]
    push(world, mains(ideal, 0.25 * thrust), seconds)
    after = world.evaluation("rover")
    gained = world.truth("rover").linear_mps[2] - speed + G * seconds
    dry = ideal.total_mass_kg - ideal.tank.propellant_kg
    exhaust = isp * STANDARD_GRAVITY_MPS2
    spent = before - after.propellant_kg
    assert spent == pytest.approx(thrust * seconds / exhaust, rel=1e-6)
    assert gained == pytest.approx(
        exhaust * np.log((dry + before) / (dry + after.propellant_kg)), rel=1e-3
    )
    np.testing.assert_allclose(after.thrust_n, mains(ideal, 150.0), atol=1e-6)


def test_torque_turns_it_by_its_inertia_and_a_lighter_tank_turns_faster(flying, ideal):
    names = list(ideal.thrusters)
    couple = np.array([10.0 if n == "pitch_rear_up" else 0.0 for n in names])
    rates = []
    for left_kg in (ideal.tank.propellant_kg, 1.0):
        world = flying()
        world.hopper("rover").engines.fill(left_kg)
        whole = world._model.body_subtreemass[world._model.body("rover/base").id]
        assert whole == pytest.approx(ideal.total_mass_kg - ideal.tank.propellant_kg + left_kg)
        push(world, couple, 0.2)
        first = world.truth("rover").angular_rps[1]
        push(world, couple, 0.4)
        rates.append((world.truth("rover").angular_rps[1] - first) / 0.4)
    inertia = pitch_inertia(ideal)
    torque = 10.0 * 0.52  # a push at the rear's lever, nose down: positive about y
    assert rates[0] == pytest.approx(torque / inertia, rel=0.02)
    assert rates[1] > rates[0]


def pitch_inertia(model):
    """Of body, tank and legs about the common centre of mass, legs as rods, kg m2."""
    sx, _, sz = model.body.size_m
    zs = [(model.body.mass_kg, model.body.centre_m[2], 0.0)]
    own = model.body.mass_kg * (0.25 * (0.5 * sx) ** 2 + sz**2 / 12.0)
    zs.append((model.tank.propellant_kg, model.tank.centre_m[2], 0.0))
    own += 0.4 * model.tank.propellant_kg * model.tank.radius_m**2
    for name, foot in model.legs.feet_m.items():
        hip = np.array(model.legs.hips_m[name])
        rod, middle = hip - foot, 0.5 * (hip + foot)
        zs.append((model.legs.mass_kg, middle[2], middle[0]))
        own += model.legs.mass_kg / 12.0 * (rod[0] ** 2 + rod[2] ** 2)
    mass = sum(m for m, _, _ in zs)
    z0 = sum(m * z for m, z, _ in zs) / mass
    return own + sum(m * ((z - z0) ** 2 + x**2) for m, z, x in zs)


def test_valves_hold_their_bounds_pulses_make_the_mean_and_stuck_is_stuck(flying):
    model = load_robot("hopper")
    world = flying(model=model)
    names = list(model.thrusters)
    low = mains(model, 30.0)  # below the least of 40 N, above its half
    push(world, low, 0.6)
    lit = world.evaluation("rover").thrust_n[:4]
    np.testing.assert_allclose(lit, 40.0, rtol=0.06)
    push(world, mains(model, 15.0), 0.6)
    np.testing.assert_allclose(world.evaluation("rover").thrust_n[:4], 0.0, atol=0.01)
    yaw = np.zeros(len(names))
    yaw[names.index("yaw_left_front")] = yaw[names.index("yaw_left_rear")] = 2.0
    turned, seen = world.truth("rover").angular_rps[2], []
    for _ in range(100):
        push(world, yaw, 0.02)
        seen.append(world.evaluation("rover").thrust_n[names.index("yaw_left_front")])
    assert max(seen) > 5.0
    assert np.mean(seen) == pytest.approx(2.0, rel=0.1)
    assert world.truth("rover").angular_rps[2] > turned + 0.05
    engines = world.hopper("rover").engines
    engines.fail("main_left", "off")
    engines.fail("main_front", "on")
    push(world, mains(model, 100.0), 0.6)
    stuck = world.evaluation("rover").thrust_n
    assert stuck[names.index("main_left")] == pytest.approx(0.0, abs=0.01)
    assert stuck[names.index("main_front")] == pytest.approx(200.0, rel=0.06)
    with pytest.raises(ConfigError, match="known are main_front"):
        engines.fail("main_top", "off")
    with pytest.raises(ConfigError, match="12 finite numbers"):
        world.thrust("rover", ThrusterCommand(0, np.full(12, np.nan)))


def test_an_empty_tank_gives_nothing_and_its_gauge_says_so(flying, ideal):
    world = flying()
    world.hopper("rover").engines.fill(0.5)
    events = push(world, mains(ideal, 200.0), 3.0)
    seen = world.evaluation("rover")
    assert seen.propellant_kg == 0.0
    assert not seen.thrust_n.any()
    last = [e.payload for e in events if isinstance(e.payload, TankSample)][-1]
    assert ideal.tank.propellant_of(last.pressure_pa) == pytest.approx(0.0, abs=1.0)
    full = ideal.tank.pressure_of(ideal.tank.propellant_kg)
    assert full == pytest.approx(ideal.tank.pressure_pa)


def test_altimeter_and_imu_tell_of_the_fall_over_a_slope(flying):
    """Free fall feels no force; the beam ends where the slope is, however far."""
    world = flying(50.0, terrain=AnalyticTerrain(lambda x, y: 0.1 * x - 5.0))
    events = []
    for _ in range(50):
        events += world.step()
    start = np.array(world._vehicles["rover"].robot.model.altimeter.position_m)
    beam = [e.payload for e in events if isinstance(e.payload, AltimeterSample)][-1]
    place = world.truth("rover").position_m + start
    assert beam.range_m == pytest.approx(place[2] - (0.1 * place[0] - 5.0), abs=0.2)
    force = [e.payload.specific_force_mps2 for e in events if isinstance(e.payload, ImuSample)]
    np.testing.assert_allclose(np.mean(force[50:], axis=0), np.zeros(3), atol=0.01)


def test_commands_that_stop_coming_shut_the_valves_on_the_ground(make_world, ideal):
    world = make_world(plane(), robot=ideal)
    push(world, mains(ideal, 60.0), 0.5)
    assert world.evaluation("rover").thrust_n.sum() == pytest.approx(240.0, rel=1e-3)
    for _ in range(40):
        world.step()
    assert world.evaluation("rover").thrust_n.sum() < 0.1


def test_a_slope_too_steep_tips_it_over_and_the_world_says_so(make_world, ideal):
    world = make_world(plane(np.radians(8.0)), robot=ideal)
    assert world.evaluation("rover").feet_down == 6
    assert not world.evaluation("rover").tipped
    body = world._vehicles["rover"].body
    body.place(body.position_m + np.array([0.0, 0.0, 0.6]), np.array([0.85, 0.0, -0.527, 0.0]))
    for _ in range(300):
        world.step()
    assert world.evaluation("rover").tipped


def test_the_world_ends_where_the_terrain_does_in_flight_too(flying):
    world = flying(30.0, (40.0, 0.0, 5.0), AnalyticTerrain(lambda x, y: 0.0 * x, half_m=60.0))

    def fly():
        for _ in range(120):
            world.step()

    with pytest.raises(SimulationError, match="the terrain ends at x ="):
        fly()
