"""Determinism, order of events, several vehicles, and every scene under random commands."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import Cloud, GridSpec, ImuSample, VelocityCommand
from ilrs_robots.sim.analytic import AnalyticRocks, hills, plane
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

pytestmark = pytest.mark.sim


def rough_moon():
    """Craters, roughness and rocks on gentle hills."""
    x = np.arange(61) * 5.0 - 150.0
    heights = 2.0 * np.sin(x / 30.0)[None, :] * np.cos(x / 40.0)[:, None]
    return Surface(Dem(heights.astype(np.float32), GridSpec(-150.0, -150.0, 5.0, 61, 61)), 7)


def random_drive(world, steps, seed, robots=("rover",)):
    rng = np.random.default_rng(seed)
    events, command = [], {name: (0.0, 0.0) for name in robots}
    for k in range(steps):
        for name in robots:
            if k % 25 == 0:
                command[name] = (rng.uniform(-0.8, 0.8), rng.uniform(-0.4, 0.4))
            if rng.random() < 0.9:
                world.command(name, VelocityCommand(world.time_ns, *command[name]))
        events.extend(world.step())
    return events


def flat_bytes(event):
    parts = [event.robot, event.topic]
    for item in dataclasses.astuple(event.payload):
        parts.append(item.tobytes() if isinstance(item, np.ndarray) else repr(item))
    return parts


def test_same_seed_same_bytes(make_world):
    runs = []
    for _ in range(2):
        world = make_world(rough_moon(), seed=4, lidar=True)
        events = random_drive(world, 100, seed=1)
        runs.append((world.state_hash(), [flat_bytes(e) for e in events]))
    assert runs[0][0] == runs[1][0]
    assert runs[0][1] == runs[1][1]


def test_another_seed_gives_other_noise_on_the_same_motion(make_world):
    first, second = (make_world(plane(), seed=s) for s in (1, 2))
    a, b = (random_drive(w, 20, seed=1) for w in (first, second))
    np.testing.assert_array_equal(
        first.truth("rover").position_m, second.truth("rover").position_m
    )
    imu = [[e.payload for e in events if e.topic == "imu/data"] for events in (a, b)]
    assert not np.array_equal(imu[0][0].specific_force_mps2, imu[1][0].specific_force_mps2)
    assert first.state_hash() != second.state_hash()


def test_state_hash_changes_with_every_step(make_world):
    world = make_world(plane())
    seen = set()
    for _ in range(5):
        seen.add(world.state_hash())
        world.step()
    assert len(seen) == 5


def test_events_come_in_order_at_their_rates(make_world, model):
    world = make_world(plane(), lidar=True)
    events = [e for _ in range(101) for e in world.step()]
    assert world.time_ns == 2_020_000_000
    count = {topic: sum(e.topic == topic for e in events) for topic in {e.topic for e in events}}
    assert count["imu/data"] == 101
    assert count["joint_states"] == 101
    assert count["star_tracker/attitude"] == 2
    assert count["lidar/points"] == 10
    stamps = [e.payload.stamp_ns for e in events if not isinstance(e.payload, Cloud)]
    assert (np.diff(stamps) >= 0).all()
    joints = next(e.payload for e in events if e.topic == "joint_states")
    assert set(joints.names) == {
        *(f"{n}_wheel" for n in model.wheels.names),
        *(f"{n}_steer" for n in model.wheels.steered),
        "rocker_left",
        "rocker_right",
        "bogie_left",
        "bogie_right",
    }


def test_imu_at_rest_measures_gravity_upwards(make_world):
    world = make_world(plane())
    samples = [e.payload for _ in range(50) for e in world.step()]
    force = np.mean([s.specific_force_mps2 for s in samples if isinstance(s, ImuSample)], axis=0)
    np.testing.assert_allclose(force, [0.0, 0.0, MOON_GRAVITY_MPS2], atol=5e-3)


def test_imu_integrates_to_the_true_motion(make_world):
    world = make_world(hills(), seed=3)
    start = world.truth("rover")
    rates, force = [], []
    for event in random_drive(world, 150, seed=8):
        if event.topic == "imu/data":
            rates.append(event.payload.angular_velocity_rps)
            force.append(event.payload.specific_force_mps2)
    end = world.truth("rover")
    turned = np.sum(rates, axis=0)[2] * 0.02
    w0, x0, y0, z0 = start.quat_wxyz
    w1, x1, y1, z1 = end.quat_wxyz
    yaw = 2.0 * np.arctan2(
        w0 * z1 - z0 * w1 - x0 * y1 + y0 * x1, w0 * w1 + x0 * x1 + y0 * y1 + z0 * z1
    )
    assert turned == pytest.approx(yaw, abs=0.02)
    assert np.mean(force, axis=0)[2] == pytest.approx(MOON_GRAVITY_MPS2, abs=0.03)


def boulders():
    """A spiral of rocks, many of them over the clearance."""
    spiral = []
    for k in range(40):
        reach = 1.7 * (1.0 + 0.2 * k)
        spiral.append((reach * np.cos(k), reach * np.sin(k), 0.1, 0.3, 0.2, 0.25, float(k)))
    return hills(0.3, AnalyticRocks.of(*spiral))


SCENES = {"plane": plane, "hills": hills, "rough_moon": rough_moon, "boulders": boulders}


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_every_scene_steps_under_random_commands_without_a_warning(make_world, scene):
    world = make_world(SCENES[scene](), at=(0.3, 0.2, 0.0))
    random_drive(world, 500, seed=11)
    position = world.truth("rover").position_m
    assert np.isfinite(position).all()
    assert abs(world.evaluation("rover").roll_rad) < 1.0
    assert not world._data.warning.number.any()


def test_vehicles_feel_their_own_ground_and_one_another(model):
    robots = [SimRobot("a", model, 0.0, 0.0, 0.0), SimRobot("b", model, 4.5, 0.0, 0.0)]
    with EmbeddedWorld(plane(0.05), robots, 1, SimConfig(lidar=False)) as world:
        alone = EmbeddedWorld(plane(0.05), robots[:1], 1, SimConfig(lidar=False))
        np.testing.assert_allclose(
            world.truth("a").position_m, alone.truth("a").position_m, atol=2e-3
        )
        alone.close()
        for _ in range(400):
            world.command("a", VelocityCommand(0, 0.7, 0.0))
            world.step()
        gap = world.truth("b").position_m[0] - world.truth("a").position_m[0]
        assert gap > 0.97 * model.body.size_m[0]
        assert world.evaluation("a").body_contacts > 0


def test_worlds_that_make_no_sense_are_refused(model):
    with pytest.raises(ConfigError, match="different names"):
        EmbeddedWorld(plane(), [SimRobot("a", model), SimRobot("a", model)], 1)
    odd = dataclasses.replace(model, imu=dataclasses.replace(model.imu, rate_hz=333.0))
    with pytest.raises(ConfigError, match="divide one another"):
        EmbeddedWorld(plane(), [SimRobot("a", odd)], 1)
    with pytest.raises(ConfigError, match="patch_move_m"):
        SimConfig(patch_half_m=8.0)
