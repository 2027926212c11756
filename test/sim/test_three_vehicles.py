"""The three bodies stand, drive and drop in the embedded simulator, without a warning.

Any warning of MuJoCo ends a step with ``SimulationError``.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.se3 import rpy_from_quat, yaw_of
from ilrs_robots.core.types import Cloud, ImuSample, JointSample, VelocityCommand
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.analytic import AnalyticRocks, AnalyticTerrain, plane
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.lockstep import Lockstep
from ilrs_robots.sim.world import EmbeddedWorld, SimConfig, SimRobot

pytestmark = pytest.mark.sim

NAMES = ("long_range", "crewed_rover", "hopper")


@pytest.fixture(scope="module")
def crewed():
    return load_robot("crewed_rover")


@pytest.fixture(scope="module")
def hopper():
    return load_robot("hopper")


def lift(world, height_m, roll_rad=0.0, pitch_rad=0.0):
    """Raise the vehicle and tilt it, at rest."""
    body = world._vehicles["rover"].body
    T = se3.from_rpy(body.position_m, (roll_rad, pitch_rad, 0.0))
    T[2, 3] += height_m
    body.place(*se3.split_transform(T))


def run(world, seconds):
    for _ in range(round(seconds / world.config.exchange_s)):
        world.step()


@pytest.mark.parametrize("name", NAMES)
def test_each_stands_with_its_weight_on_all_wheels_or_feet(make_world, name):
    model = load_robot(name)
    world = make_world(plane(), robot=model)
    run(world, 1.0)
    loads = []
    for _ in range(25):
        world.step()
        loads.append(world.evaluation("rover").wheel_load_n)
    weight = model.total_mass_kg * MOON_GRAVITY_MPS2
    load = np.mean(loads, axis=0)
    assert np.sum(load) == pytest.approx(weight, rel=0.01)
    np.testing.assert_allclose(load, weight / len(load), rtol=0.06)
    np.testing.assert_allclose(world.truth("rover").position_m, np.zeros(3), atol=2e-3)
    assert world.evaluation("rover").body_contacts == 0


def test_three_vehicles_share_a_world_and_sense(crewed, hopper):
    models = {"long_range": load_robot("long_range"), "crewed": crewed, "hopper": hopper}
    robots = [SimRobot(n, m, 0.0, 6.0 * k) for k, (n, m) in enumerate(models.items())]
    with EmbeddedWorld(plane(), robots, 1, SimConfig()) as world:
        events = []
        for _ in range(30):
            for name in ("long_range", "crewed"):
                world.command(name, VelocityCommand(world.time_ns, 0.5, 0.0))
            events += world.step()
        for name, model in models.items():
            payloads = [event.payload for event in events if event.robot == name]
            joints = next(p for p in payloads if isinstance(p, JointSample))
            assert set(joints.names) == set(world.joint_angles(name))
            imu = [p for p in payloads if isinstance(p, ImuSample)]
            assert len(imu) == pytest.approx(0.6 * model.imu.rate_hz, abs=1)
            cloud = next(p for p in payloads if isinstance(p, Cloud))
            assert cloud.frame_id == f"{name}/{model.lidar.frame}"
        assert world.truth("crewed").position_m[0] > 0.02
        assert abs(world.truth("hopper").position_m[0]) < 1e-3


# -- crewed rover ---------------------------------------------------------------------------------


def test_crewed_rover_drives_at_its_largest_speed_and_brakes_as_it_says(make_world, drive, crewed):
    """The wheels slow down at the limit; the vehicle slips on by traction over load."""
    world = make_world(plane(), robot=crewed)
    drive(world, 9.0, 0.0, 8.0)
    speed = world.truth("rover").linear_mps[0]
    assert speed == pytest.approx(crewed.limits.max_speed_mps, rel=0.03)
    start = world.truth("rover").position_m[0]
    drive(world, 0.0, 0.0, 6.0)
    way = world.truth("rover").position_m[0] - start
    assert abs(world.truth("rover").linear_mps[0]) < 0.01
    decel = crewed.limits.max_decel_mps2
    slip = SimConfig().contact.slip_compliance * decel / MOON_GRAVITY_MPS2
    assert way == pytest.approx(speed**2 / (2.0 * decel * (1.0 - slip)), rel=0.08)


def test_crewed_rover_turns_in_place_on_four_steered_wheels(make_world, drive, crewed):
    world = make_world(plane(), robot=crewed)
    drive(world, 0.0, 0.3, 4.0)
    start = world.truth("rover")
    drive(world, 0.0, 0.3, 5.0)
    end = world.truth("rover")
    turned = yaw_of(end.quat_wxyz) - yaw_of(start.quat_wxyz)
    assert turned == pytest.approx(1.5, rel=0.05)
    assert np.hypot(*end.position_m[:2]) < 0.08


def test_springs_take_a_bump_that_a_stiff_rover_would_jump_over(make_world, drive, crewed):
    """The seats rise less than the ground, and no wheel leaves its stops."""
    rock = AnalyticRocks.of((4.0, 0.9, 0.0, 0.3, 0.3, 0.18, 0.0))
    world = make_world(plane(rocks=rock), robot=crewed)
    rises, bumps = [], []
    for _ in range(60):
        drive(world, 1.5, 0.0, 0.1)
        rises.append(world.truth("rover").position_m[2])
        bumps.append(world.joint_angles("rover")["front_left_suspension"])
    springs = crewed.suspension.independent
    assert world.evaluation("rover").rock_contacts >= 1
    assert max(rises) < 0.09
    assert 0.03 < max(bumps) < springs.bump_m + 0.02
    assert min(bumps) > -springs.droop_m - 0.02


@pytest.mark.parametrize("name", ["long_range", "crewed_rover"])
def test_random_commands_on_rough_ground_raise_no_warning(make_world, name):
    model = load_robot(name)
    ground = AnalyticTerrain(
        lambda x, y: 0.10 * np.sin(1.3 * x + 1.7 * y) + 0.05 * np.cos(3.0 * y)
    )
    world = make_world(ground, robot=model)
    rng = np.random.default_rng(5)
    for _ in range(12):
        v, w = rng.uniform(-1.2, 1.2, 2) * (
            model.limits.max_speed_mps,
            model.limits.max_yaw_rate_rps,
        )
        for _ in range(25):
            world.command("rover", VelocityCommand(world.time_ns, v, w))
            world.step()
    roll, pitch, _ = np.degrees(rpy_from_quat(world.truth("rover").quat_wxyz))
    assert abs(roll) < 40.0
    assert abs(pitch) < 40.0


def test_crewed_rover_drives_to_a_goal_on_the_core_of_the_others():
    site, terrain = load_site("three")
    lockstep = Lockstep(site, terrain, "crewed_rover", seed=1)
    try:
        result = lockstep.drive((11.0, 4.0), duration_s=60.0)
        touches = lockstep.world.evaluation("crewed_rover").body_contacts
    finally:
        lockstep.world.close()
    assert result.outcome == "reached", result.reason
    assert result.goal_error_m < 1.0
    assert result.pose_error_m < 0.05 * result.driven_m
    assert touches == 0


# -- hopper ---------------------------------------------------------------------------------------


def test_hopper_dropped_from_half_a_metre_lands_on_its_legs(make_world, hopper):
    world = make_world(plane(), robot=hopper)
    lift(world, 0.5)
    lowest = 1.0
    for _ in range(250):
        world.step()
        lowest = min(lowest, *world.joint_angles("rover").values(), key=abs)
    truth, seen = world.truth("rover"), world.evaluation("rover")
    np.testing.assert_allclose(truth.position_m, np.zeros(3), atol=5e-3)
    assert np.linalg.norm(truth.linear_mps) < 1e-3
    assert seen.body_contacts == 0
    assert abs(seen.roll_rad) < 1e-3


def test_hopper_fast_and_tilted_at_its_limit_lands_upright_with_its_nozzles_free(
    make_world, hopper
):
    """1.5 m/s down, 0.5 m/s sideways, tilted by 5 degrees, on a slope at the limit."""
    world = make_world(plane(np.radians(hopper.limits.max_slope_deg)), robot=hopper)
    lift(world, 0.15, np.radians(5.0), np.radians(-10.0))
    body = world._vehicles["rover"].body
    down, side = hopper.limits.max_touchdown_down_mps, hopper.limits.max_touchdown_side_mps
    world._data.qvel[body._dof : body._dof + 3] = (0.0, side, -down)
    deepest = 0.0
    for _ in range(300):
        world.step()
        deepest = max(deepest, *world.joint_angles("rover").values())
    seen = world.evaluation("rover")
    assert 0.03 < deepest < hopper.legs.bump_m + 0.02
    assert seen.body_contacts == 0
    assert np.degrees(np.hypot(seen.roll_rad, seen.pitch_rad)) < hopper.limits.max_slope_deg + 3.0
    assert np.linalg.norm(world.truth("rover").linear_mps) < 5e-3


@pytest.mark.parametrize("falls", [False, True])
def test_hopper_falls_over_beyond_its_tipping_angle_only(make_world, hopper, falls):
    """It tips about the line through two neighbouring feet, whose distance is its lever."""
    world = make_world(plane(), robot=hopper)
    feet = np.array(list(hopper.legs.feet_m.values()))
    parts = [(hopper.body.mass_kg, hopper.body.centre_m[2])]
    parts += [(hopper.tank.propellant_kg, hopper.tank.centre_m[2])]
    height = sum(m * z for m, z in parts) / sum(m for m, _ in parts)
    tipping = np.arctan2(np.max(feet[:, 0]), height)  # front feet stand side by side
    lift(world, 0.8, pitch_rad=tipping * (1.3 if falls else 0.5))
    run(world, 8.0)
    seen = world.evaluation("rover")
    assert (seen.body_contacts > 0) is falls
    upright = np.cos(seen.roll_rad) * np.cos(seen.pitch_rad)
    assert bool(upright < 0.9) is falls


def test_hopper_takes_no_velocity_command(make_world, hopper):
    world = make_world(plane(), robot=hopper)
    with pytest.raises(SimulationError, match="rover: a hopper takes no velocity command"):
        world.command("rover", VelocityCommand(0, 0.5, 0.0))


def test_hopper_with_an_empty_tank_stands_higher(make_world, hopper):
    empty = dataclasses.replace(hopper, tank=dataclasses.replace(hopper.tank, propellant_kg=0.0))
    world = make_world(plane(), robot=empty)
    run(world, 1.0)
    sprung = hopper.tank.propellant_kg * MOON_GRAVITY_MPS2
    rise = sprung / (hopper.legs.stiffness_npm * len(hopper.legs.names))
    assert world.truth("rover").position_m[2] == pytest.approx(rise, abs=1e-3)
