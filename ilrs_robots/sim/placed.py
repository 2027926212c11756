"""One vehicle in the embedded world: its body, its sensors, and the ground that follows it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

import mujoco
import numpy as np

from ilrs_robots.robots.model import HopperModel, require_rover
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.ground import GroundPatch
from ilrs_robots.sim.hopper import Hopper
from ilrs_robots.sim.hopper_mjcf import add_hopper
from ilrs_robots.sim.rover import Rover
from ilrs_robots.sim.rover_layout import ContactBits
from ilrs_robots.sim.rover_mjcf import add_rover
from ilrs_robots.sim.suite import SensorSuite
from ilrs_robots.sim.terrain import Terrain
from ilrs_robots.sim.vehicle import SimRobot, Vehicle

_FLIES_ABOVE_M = 15.0
"""Height over the ground above which a hopper cannot meet it before the next look."""


class Placed:
    """What belongs to one vehicle.

    Attributes:
        robot: name and model.
        prefix: of its names in the engine.
        bits: of its contacts.
        patch: the ground under it.
        body: its part of the engine's state, after ``embody``.
        suite: its sensors, after ``embody``.
    """

    def __init__(self, index: int, robot: SimRobot, terrain: Terrain, config: SimConfig) -> None:
        self.robot, self.prefix = robot, f"{robot.name}/"
        self.bits = ContactBits.of_vehicle(index)
        size = robot.model.footprint
        reach = 0.5 * math.hypot(size.length_m, size.width_m)
        self.patch = GroundPatch(terrain, self.prefix, reach, self.bits, config)
        self._terrain, self._config = terrain, config
        self.body: Vehicle
        self.suite: SensorSuite

    def embody(
        self, model: mujoco.MjModel, data: mujoco.MjData, seed: list[int],
        pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        """Find the vehicle in the compiled model, and give it its sensors.

        Args:
            model: compiled.
            data: its state.
            seed: of everything that is drawn for this vehicle.
            pool: casts its lidar's rays.
        """
        where = (self.robot, model, data, self.prefix, self._config)
        flies = isinstance(self.robot.model, HopperModel)
        body: Hopper | Rover = Hopper(*where, [*seed, 4]) if flies else Rover(*where)
        self.body = body
        self.suite = SensorSuite(self.robot, body.joint_names, seed, pool, self._config)
        if isinstance(body, Hopper):
            self.suite.equip(self._terrain, body.engines.gauge)

    def follow(self, first: bool = False) -> None:
        """Bring the ground, and what the lidar sees, to where the vehicle is.

        A hopper in flight needs no ground under it, and its lidar's view changes the more slowly
        the higher it is.
        """
        place = self.body.position_m
        if isinstance(self.body, Hopper) and not first:
            above = self.patch.height_over(place)
            self.suite.see_from_above(self._terrain, self.patch.grid_at, above, place[:2])
            if above < _FLIES_ABOVE_M:
                self.patch.follow(place[:2])
        elif self.patch.follow(place[:2]) or first:
            self.suite.see(self._terrain, self.patch)


def add_vehicle(root: ET.Element, vehicle: Placed) -> None:
    """Append a vehicle's bodies to the ``<mujoco>`` element."""
    model, where = vehicle.robot.model, (vehicle.prefix, vehicle.bits, vehicle.patch.geom_name)
    if isinstance(model, HopperModel):
        add_hopper(root, model, *where)
    else:
        add_rover(root, require_rover(model, vehicle.robot.name), *where)


def check_state(data: mujoco.MjData, vehicles: Mapping[str, Placed], time_ns: int) -> None:
    """Look whether the physics went wrong.

    Raises:
        SimulationError: MuJoCo warns of something, or a place or speed is not finite.
    """
    counts = data.warning.number
    if counts.any():
        kinds = [mujoco.mjtWarning(k).name for k in np.flatnonzero(counts)]
        wrong = f"MuJoCo warns of {', '.join(kinds)}"
    elif not (np.isfinite(data.qpos).all() and np.isfinite(data.qvel).all()):
        wrong = "the state is not finite"
    else:
        return
    places = [
        f"{name} at {np.round(v.body.position_m, 2).tolist()} m" for name, v in vehicles.items()
    ]
    raise SimulationError(f"{wrong} at {time_ns * 1e-9:.3f} s; {'; '.join(places)}")
