"""A hopper in the running physics: it stands on its legs and flies on its thrusters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mujoco
import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry.se3 import rpy_from_quat
from ilrs_robots.core.types import OdometryEstimate, ThrusterCommand, VelocityCommand
from ilrs_robots.robots.hop_keeper import TAKES_OVER_S, HopKeeper
from ilrs_robots.robots.hop_vehicle import tipping_angle_rad
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.evaluation import HopperEvaluation, wheel_load_n
from ilrs_robots.sim.hopper_mjcf import leg_joint
from ilrs_robots.sim.suite import SensorEvent
from ilrs_robots.sim.thrusters import Thrusters
from ilrs_robots.sim.vehicle import SimRobot, Vehicle
from ilrs_robots.sim.wheel_contact import WheelContact

_FOOT_DOWN_N = 2.0


class Hopper(Vehicle):
    """A vehicle on legs. Its feet hold the ground as parked wheels do.

    Attributes:
        engines: thrusters and tank.
        keeper: lands when commands stop coming in flight.
    """

    def __init__(
        self, robot: SimRobot, model: mujoco.MjModel, data: mujoco.MjData, prefix: str,
        config: SimConfig, seed: list[int],
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
        self.engines = Thrusters(robot.model, model, data, prefix, seed)
        self.keeper = HopKeeper(robot.model)
        self._commanded_ns: int | None = None
        self._period_s = 0.0
        self._speed_before = np.zeros(3)
        self._tipping_rad = tipping_angle_rad(robot.model)

    def command(self, command: VelocityCommand, now_ns: int) -> None:
        """A hopper does not drive.

        Raises:
            SimulationError: always.
        """
        raise SimulationError(
            f"{self.robot.name}: a hopper takes no velocity command "
            f"({command.linear_mps} m/s, {command.angular_rps} rad/s at {now_ns} ns)"
        )

    def thrust(
        self, command: ThrusterCommand, now_ns: int, estimate: OdometryEstimate | None = None
    ) -> None:
        """Take a command; it counts for ``TAKES_OVER_S``, then the keeper lands.

        Raises:
            ConfigError: not one finite number for each thruster.
        """
        self.engines.command(command.thrust_n)
        self._commanded_ns = now_ns
        self.keeper.release()
        if estimate is not None:
            self.keeper.on_estimate(estimate)

    def hear(self, events: Sequence[SensorEvent]) -> None:
        """What its sensors say reaches the actuator end as well."""
        for event in events:
            self.keeper.feed(event.payload)

    def actuate(self, now_ns: int, period_s: float) -> None:
        """Set the valves; the legs are springs."""
        given = self._commanded_ns
        if given is not None and now_ns - given > TAKES_OVER_S * 1e9:
            self.engines.command(self.keeper.thrust_n(now_ns))
        self._period_s = period_s
        self._speed_before = self.linear_map_mps
        self.engines.actuate(period_s)

    def update_contact(self) -> None:
        """Look at the contacts of the last step, set the feet's shear, burn propellant."""
        self.contact.update(self._data, self._still)
        self.engines.burn(self._period_s)
        if self._period_s > 0.0 and not self._data.ncon:
            self._centre_step()

    def _centre_step(self) -> None:
        """Make the place of a body in flight that of the mean speed of each step.

        MuJoCo moves by the speed at a step's end; over a fall of ten seconds that is 4 cm.
        """
        gained = self.linear_map_mps - self._speed_before
        lag = 0.5 * self._model.opt.timestep * gained
        self._data.qpos[self._qpos : self._qpos + 3] -= lag

    def evaluate(self) -> HopperEvaluation:
        """Loads of the feet, touches, tilt, thrust and what is left in the tank now."""
        roll, pitch, _ = rpy_from_quat(self.quat_wxyz)
        loads = wheel_load_n(self._model, self._data, self._feet)
        lean = math.acos(max(-1.0, min(1.0, math.cos(roll) * math.cos(pitch))))
        return HopperEvaluation(
            self._still.copy(),
            loads,
            self.contact.body_touches,
            self.contact.body_touching,
            self.contact.rock_touches,
            float(roll),
            float(pitch),
            self.engines.propellant_kg,
            self.engines.thrust_n,
            int(np.count_nonzero(loads > _FOOT_DOWN_N)),
            lean > self._tipping_rad,
        )

    def state(self) -> bytes:
        """What of the vehicle's state MuJoCo does not hold."""
        return self.contact.state().tobytes() + self.engines.state()
