"""A hopper in the running physics: it stands on its legs; thrust comes with its flight."""

from __future__ import annotations

import mujoco
import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry.se3 import rpy_from_quat
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.evaluation import Evaluation, wheel_load_n
from ilrs_robots.sim.hopper_mjcf import leg_joint
from ilrs_robots.sim.vehicle import SimRobot, Vehicle
from ilrs_robots.sim.wheel_contact import WheelContact


class Hopper(Vehicle):
    """A vehicle on legs. Its feet hold the ground as parked wheels do."""

    def __init__(
        self, robot: SimRobot, model: mujoco.MjModel, data: mujoco.MjData, prefix: str,
        config: SimConfig,
    ) -> None:  # fmt: skip
        if not isinstance(robot.model, HopperModel):
            raise ConfigError(f"{robot.name}: not a vehicle of type hopper")
        legs = robot.model.legs
        super().__init__(robot, model, data, prefix, tuple(leg_joint(n) for n in legs.names))
        load = robot.model.total_mass_kg * -model.opt.gravity[2] / len(legs.names)
        self.contact = WheelContact(
            model, prefix, legs.names, legs.foot_radius_m, load, config.contact
        )
        self._feet = [model.geom(f"{prefix}{n}").id for n in legs.names]
        self._still = np.zeros(len(legs.names))

    def command(self, command: VelocityCommand, now_ns: int) -> None:
        """A hopper does not drive.

        Raises:
            SimulationError: always.
        """
        raise SimulationError(
            f"{self.robot.name}: a hopper takes no velocity command "
            f"({command.linear_mps} m/s, {command.angular_rps} rad/s at {now_ns} ns)"
        )

    def actuate(self, now_ns: int, period_s: float) -> None:
        """Nothing to set: the legs are springs."""

    def update_contact(self) -> None:
        """Look at the contacts of the last step and set the feet's shear for the next ones."""
        self.contact.update(self._data, self._still)

    def evaluate(self) -> Evaluation:
        """Loads of the feet, touches and tilt now."""
        roll, pitch, _ = rpy_from_quat(self.quat_wxyz)
        return Evaluation(
            self._still.copy(),
            wheel_load_n(self._model, self._data, self._feet),
            self.contact.body_touches,
            self.contact.body_touching,
            self.contact.rock_touches,
            float(roll),
            float(pitch),
        )

    def state(self) -> bytes:
        """What of the vehicle's state MuJoCo does not hold."""
        return self.contact.state().tobytes()
