"""A rover in the running physics: actuators, wheel contact and what to judge it by."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from ilrs_robots.core.geometry.se3 import rpy_from_quat
from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.robots.model import require_rover
from ilrs_robots.robots.power import drive_model_of
from ilrs_robots.robots.settings import wheel_drive_of
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.evaluation import Evaluation, wheel_load_n, wheel_slip
from ilrs_robots.sim.rover_layout import suspension_joints, wheel_places
from ilrs_robots.sim.soft_ground import SoftGround
from ilrs_robots.sim.vehicle import SimRobot, Vehicle
from ilrs_robots.sim.wheel_contact import WheelContact

_DRAG_FULL_MPS = 0.05
"""From this speed on soft soil resists in full."""


class Rover(Vehicle):
    """A vehicle that drives and steers its wheels."""

    def __init__(
        self, robot: SimRobot, model: mujoco.MjModel, data: mujoco.MjData, prefix: str,
        config: SimConfig,
    ) -> None:  # fmt: skip
        rover = require_rover(robot.model, f"{robot.name}: driving")
        self._rover, wheels = rover, rover.wheels
        self._places = wheel_places(rover)
        names = [place.name for place in self._places]
        steered = [place.name for place in self._places if place.steered]
        joint_names = (
            *(f"{n}_wheel" for n in names),
            *(f"{n}_steer" for n in steered),
            *suspension_joints(rover),
        )
        super().__init__(robot, model, data, prefix, joint_names)
        self._steered = np.array([place.steered for place in self._places])
        self.drive = wheel_drive_of(rover)
        self._wheel_qpos = self._joint_qpos[: len(names)]
        self._wheel_dof = self._joint_dof[: len(names)]
        self._steer_qpos = self._joint_qpos[len(names) : len(names) + len(steered)]
        self._wheel_bodies = [model.body(f"{prefix}{n}").id for n in names]
        self._wheel_geoms = [model.geom(f"{prefix}{n}").id for n in names]
        self._find_servos(prefix)
        load = rover.total_mass_kg * -model.opt.gravity[2] / len(self._places)
        weight_n = rover.total_mass_kg * -float(model.opt.gravity[2])
        self._drag_n = config.contact.soil_drag * weight_n
        soil_slip = drive_model_of(rover.wheels, rover.total_mass_kg, rover.power.drive)
        self.contact = WheelContact(
            model, prefix, wheels.names, wheels.radius_m, load, config.contact,
            soil_slip.slip_compliance * config.contact.soil_softness,
        )  # fmt: skip
        pairs = [model.pair(f"{prefix}{name}").id for name in wheels.names]
        self._soft = SoftGround(config.soft_spots, model, pairs, self._wheel_bodies, load)

    def _find_servos(self, prefix: str) -> None:
        m = self._model
        names = [place.name for place in self._places]
        drive = np.array([m.actuator(f"{prefix}{n}_wheel").id for n in names])
        steered = [n for n, place in zip(names, self._places, strict=True) if place.steered]
        steer = np.array([m.actuator(f"{prefix}{n}_steer").id for n in steered], dtype=np.int64)
        self._drive_ctrl, self._steer_ctrl = m.actuator_ctrladr[drive], m.actuator_ctrladr[steer]
        self._drive_act, self._steer_act = m.actuator_actadr[drive], m.actuator_actadr[steer]
        self._kp, self._kv = m.actuator_gainprm[drive, 0], -m.actuator_biasprm[drive, 2]

    # -- actuators ----------------------------------------------------------------------------

    def command(self, command: VelocityCommand, now_ns: int) -> None:
        """Take a command at simulated time ``now_ns``; it is clipped to the limits."""
        self.drive.command(command, now_ns)

    def actuate(self, now_ns: int, period_s: float) -> None:
        """Set the servos for the coming period."""
        wanted = self.drive.step(now_ns, period_s, self._wheel_angles())
        if wanted.steer_rad is None:
            self._data.ctrl[self._steer_ctrl] = 0.0
        else:
            self._steer_towards(wanted.steer_rad, period_s)
        self._data.ctrl[self._drive_ctrl] = wanted.wheel_rps
        self._stop_windup()
        self._soft.apply(self._data)
        if self._drag_n > 0.0:
            way = self._data.qvel[self._dof : self._dof + 2]
            hold = self._drag_n * np.tanh(np.linalg.norm(way) / _DRAG_FULL_MPS)
            away = way / max(float(np.linalg.norm(way)), 1e-9)
            self._data.qfrc_applied[self._dof : self._dof + 2] = -hold * away

    def _wheel_angles(self) -> FloatArray:
        angles = np.zeros(len(self._places))
        angles[self._steered] = self._data.qpos[self._steer_qpos]
        return angles

    def _steer_towards(self, wanted_rad: FloatArray, period_s: float) -> None:
        rate = math.radians(self._rover.wheels.steer_rate_deg_s)
        error = wanted_rad[self._steered] - self._data.act[self._steer_act]
        self._data.ctrl[self._steer_ctrl] = np.clip(error / period_s, -rate, rate)

    def _stop_windup(self) -> None:
        """Keep each drive's set angle where its torque can just reach the limit."""
        torque = self._rover.wheels.max_torque_nm
        angle = self._data.qpos[self._wheel_qpos]
        speed = self._data.qvel[self._wheel_dof]
        low = angle + (self._kv * speed - torque) / self._kp
        high = angle + (self._kv * speed + torque) / self._kp
        self._data.act[self._drive_act] = np.clip(self._data.act[self._drive_act], low, high)

    # -- contact and evaluation ---------------------------------------------------------------

    def update_contact(self) -> None:
        """Look at the contacts of the last step and set the wheels' shear for the next ones."""
        self.contact.update(self._data, self._data.qvel[self._wheel_dof])

    def evaluate(self) -> Evaluation:
        """Slip, loads, touches and tilt now."""
        rim = self._data.qvel[self._wheel_dof] * self._rover.wheels.radius_m
        roll, pitch, _ = rpy_from_quat(self.quat_wxyz)
        return Evaluation(
            wheel_slip(self._model, self._data, self._wheel_bodies, rim),
            wheel_load_n(self._model, self._data, self._wheel_geoms),
            self.contact.body_touches,
            self.contact.body_touching,
            self.contact.rock_touches,
            float(roll),
            float(pitch),
        )

    def state(self) -> bytes:
        """What of the vehicle's state MuJoCo does not hold."""
        return np.concatenate(
            (self.drive.state(), self.contact.state(), self._soft.state())
        ).tobytes()
