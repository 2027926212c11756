"""Worlds and drives that the simulator's tests share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.analytic import plane
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.hop_lockstep import HopLockstep
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot


@pytest.fixture(scope="session")
def model():
    return load_robot("long_range")


@pytest.fixture
def make_world(model):
    """Build worlds that are closed after the test."""
    worlds = []

    def make(terrain, *, seed=1, lidar=False, robot=model, at=(0.0, 0.0, 0.0), **config):
        placed = SimRobot("rover", robot, *at)
        world = EmbeddedWorld(terrain, [placed], seed, SimConfig(lidar=lidar, **config))
        worlds.append(world)
        return world

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def drive():
    """Hold a command for some seconds; gives the events."""

    def run(world, v_mps, w_rps, seconds, robot="rover"):
        events = []
        for _ in range(round(seconds / world.config.exchange_s)):
            world.command(robot, VelocityCommand(world.time_ns, v_mps, w_rps))
            events.extend(world.step())
        return events

    return run


@pytest.fixture
def payloads():
    """What one topic of a list of events carries."""

    def pick(events, topic, robot="rover"):
        return [e.payload for e in events if (e.robot, e.topic) == (robot, topic)]

    return pick


@pytest.fixture
def make_hopper():
    """A hopper on analytic ground; its prior is that ground, 5 m apart, and half a metre off."""
    made = []

    def make(terrain=None, *, seed=1, lidar=False, half_m=200.0, alter=None):
        terrain = terrain or plane()
        count = round(2.0 * half_m / 5.0) + 1
        spec = GridSpec(-half_m, -half_m, 5.0, count, count)
        prior = Dem(terrain.grid(spec) + np.float32(0.5), spec)
        model = load_robot("hopper")
        few = dataclasses.replace(model.lidar, columns=128)  # quarter of the rays, same ground
        robot = SimRobot("hopper", dataclasses.replace(model, lidar=few))
        config = SimConfig(lidar=lidar)
        lockstep = HopLockstep(terrain, prior, robot, seed, config=config, alter=alter)
        made.append(lockstep.world)
        return lockstep

    yield make
    for world in made:
        world.close()


@pytest.fixture(scope="session")
def quiet_model(model):
    """The long-range vehicle with a lidar that neither errs nor loses a ray."""
    lidar = dataclasses.replace(model.lidar, range_sigma_m=0.0, dropout=0.0)
    return dataclasses.replace(model, lidar=lidar)


@pytest.fixture(scope="session")
def base_to_lidar(model):
    """T_base_lidar, (4, 4)."""
    from ilrs_robots.core.geometry.se3 import from_rpy

    return from_rpy(np.array(model.lidar.position_m), np.array(model.lidar.rpy_rad))
