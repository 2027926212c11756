"""How the vehicle stands, drives, slips and stops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry.se3 import rpy_from_quat, yaw_of
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.sim.analytic import AnalyticRocks, AnalyticTerrain, plane
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.world import ACTUATOR_TIMEOUT_S

pytestmark = pytest.mark.sim


def test_weight_rests_on_the_wheels_alike(make_world, model):
    world = make_world(plane())
    loads = []
    for _ in range(25):
        world.step()
        loads.append(world.evaluation("rover").wheel_load_n)
    weight = model.total_mass_kg * MOON_GRAVITY_MPS2
    assert np.sum(np.mean(loads, axis=0)) == pytest.approx(weight, rel=0.01)
    np.testing.assert_allclose(np.mean(loads, axis=0), weight / 6.0, rtol=0.06)


def test_base_link_stands_at_ground_level(make_world):
    truth = make_world(plane()).truth("rover")
    np.testing.assert_allclose(truth.position_m, [0.0, 0.0, 0.0], atol=2e-3)


@pytest.mark.parametrize(
    ("yaw_deg", "roll_deg", "pitch_deg"), [(0.0, 0.0, -15.0), (90.0, -15.0, 0.0)]
)
def test_attitude_follows_the_slope(make_world, yaw_deg, roll_deg, pitch_deg):
    world = make_world(plane(math.radians(15.0)), at=(0.0, 0.0, math.radians(yaw_deg)))
    seen = np.degrees(rpy_from_quat(world.truth("rover").quat_wxyz))
    assert seen[0] == pytest.approx(roll_deg, abs=0.4)
    assert seen[1] == pytest.approx(pitch_deg, abs=0.4)


def test_differential_makes_the_rockers_mirror_each_other(make_world, drive):
    world = make_world(AnalyticTerrain(lambda x, y: 0.12 * np.sin(1.5 * x + 2.0 * y)))
    angles = []
    for _ in range(20):
        drive(world, 0.6, 0.0, 0.4)
        now = world.joint_angles("rover")
        angles.append((now["rocker_left"], now["rocker_right"]))
    left, right = np.array(angles).T
    assert np.ptp(left) > 0.02
    np.testing.assert_allclose(left, -right, atol=3e-3)


def test_straight_drive_covers_speed_times_time(make_world, drive):
    world = make_world(plane())
    drive(world, 0.5, 0.0, 3.0)
    start = world.truth("rover")
    drive(world, 0.5, 0.0, 4.0)
    end = world.truth("rover")
    assert end.position_m[0] - start.position_m[0] == pytest.approx(2.0, rel=0.02)
    assert abs(end.position_m[1]) < 0.05
    assert end.linear_mps[0] == pytest.approx(0.5, rel=0.02)


def test_backwards_and_curved_drives_follow_the_command(make_world, drive):
    world = make_world(plane())
    drive(world, -0.4, 0.1, 5.0)
    start = world.truth("rover")
    drive(world, -0.4, 0.1, 4.0)
    end = world.truth("rover")
    turned = yaw_of(end.quat_wxyz) - yaw_of(start.quat_wxyz)
    assert turned == pytest.approx(0.4, rel=0.04)
    assert end.linear_mps[0] == pytest.approx(-0.4, rel=0.03)


def test_point_turn_stays_in_place(make_world, drive):
    world = make_world(plane())
    drive(world, 0.0, 0.2, 4.0)
    start = world.truth("rover")
    drive(world, 0.0, 0.2, 5.0)
    end = world.truth("rover")
    turned = yaw_of(end.quat_wxyz) - yaw_of(start.quat_wxyz)
    assert turned == pytest.approx(1.0, rel=0.05)
    assert np.hypot(*end.position_m[:2]) < 0.06


def test_slip_is_small_on_flat_ground_and_grows_with_the_slope(make_world, drive):
    slips = []
    for slope_deg in (0.0, 10.0, 20.0):
        world = make_world(plane(math.radians(slope_deg)))
        drive(world, 0.3, 0.0, 3.0)
        seen = []
        for _ in range(25):
            drive(world, 0.3, 0.0, 0.1)
            seen.append(world.evaluation("rover").wheel_slip)
        slips.append(float(np.mean(seen)))
    assert abs(slips[0]) < 0.01
    assert 0.04 < slips[1] < 0.11
    assert 0.10 < slips[2] < 0.22


def test_slip_ratio_does_not_depend_on_the_speed(make_world, drive):
    world = make_world(plane(math.radians(12.0)))
    slips = []
    for speed in (0.1, 0.5):
        drive(world, speed, 0.0, 3.0)
        seen = []
        for _ in range(25):
            drive(world, speed, 0.0, 0.06)
            seen.append(world.evaluation("rover").wheel_slip)
        slips.append(float(np.mean(seen)))
    assert slips[0] == pytest.approx(slips[1], abs=0.02)


def test_parked_vehicle_stays_on_a_slope(make_world):
    world = make_world(plane(math.radians(20.0)))
    for _ in range(100):
        world.step()
    start = world.truth("rover").position_m
    for _ in range(200):
        world.step()
    assert np.linalg.norm(world.truth("rover").position_m - start) < 0.004


def test_actuators_stop_by_themselves(make_world, drive, model):
    world = make_world(plane())
    drive(world, 0.5, 0.0, 3.0)
    silent_since = world.time_ns
    speeds = {}
    for _ in range(100):
        world.step()
        speeds[(world.time_ns - silent_since) * 1e-9] = world.truth("rover").linear_mps[0]
    before = [v for t, v in speeds.items() if t < ACTUATOR_TIMEOUT_S - 0.03]
    assert min(before) > 0.45
    braking = 0.5 / model.limits.max_accel_mps2
    after = [abs(v) for t, v in speeds.items() if t > ACTUATOR_TIMEOUT_S + braking]
    assert max(after) < 0.03


def test_a_command_of_zero_stops_too(make_world, drive):
    world = make_world(plane())
    drive(world, 0.4, 0.0, 2.5)
    drive(world, 0.0, 0.0, 2.5)
    assert abs(world.truth("rover").linear_mps[0]) < 0.005


def test_commands_are_clipped_to_the_limits(make_world, drive, model):
    world = make_world(plane())
    drive(world, 50.0, 0.0, 4.0)
    assert world.truth("rover").linear_mps[0] < 1.03 * model.limits.max_speed_mps


@pytest.mark.parametrize("above_clearance", [False, True])
def test_only_rocks_over_the_clearance_hit_the_belly(make_world, drive, model, above_clearance):
    top = model.body.clearance_m + (0.08 if above_clearance else -0.08)
    rock = AnalyticRocks.of((2.5, 0.0, top - 0.4, 0.3, 0.3, 0.4, 0.0))
    world = make_world(plane(rocks=rock))
    drive(world, 0.5, 0.0, 6.0)
    assert (world.evaluation("rover").body_contacts > 0) is above_clearance


def test_a_wheel_climbs_a_small_rock_and_the_body_tilts(make_world, drive):
    rock = AnalyticRocks.of((1.8, 0.88, 0.0, 0.25, 0.25, 0.15, 0.3))
    world = make_world(plane(rocks=rock))
    rolls = []
    for _ in range(20):
        drive(world, 0.4, 0.0, 0.3)
        rolls.append(world.evaluation("rover").roll_rad)
    assert world.evaluation("rover").rock_contacts >= 1
    assert 0.01 < max(np.abs(rolls)) < 0.2


def test_bad_commands_and_names_are_refused(make_world):
    world = make_world(plane())
    with pytest.raises(SimulationError, match="not finite"):
        world.command("rover", VelocityCommand(0, math.nan, 0.0))
    with pytest.raises(ConfigError, match="known: rover"):
        world.command("rower", VelocityCommand(0, 0.0, 0.0))


def test_edge_of_the_terrain_is_an_error(make_world, drive):
    world = make_world(AnalyticTerrain(lambda x, y: 0.0 * x, half_m=12.5))
    with pytest.raises(SimulationError, match="terrain ends"):
        drive(world, 0.7, 0.0, 30.0)
    with pytest.raises(SimulationError, match=r"terrain ends|no ground"):
        make_world(plane_with_hole())


def plane_with_hole():
    return AnalyticTerrain(lambda x, y: np.where(np.hypot(x, y) < 1.0, np.nan, 0.0))


def test_failed_physics_is_an_error(make_world):
    world = make_world(plane())
    world._data.qvel[0] = np.nan
    with pytest.raises(SimulationError, match="rover at"):
        world.step()
