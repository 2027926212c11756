"""A rover in the running physics: actuators, wheel contact and what to judge it by."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.geometry.se3 import rpy_from_quat
from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.robots.model import require_rover
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.evaluation import Evaluation, wheel_load_n, wheel_slip
from ilrs_robots.sim.rover_layout import suspension_joints, wheel_places
from ilrs_robots.sim.vehicle import SimRobot, Vehicle
from ilrs_robots.sim.wheel_contact import WheelContact

ACTUATOR_TIMEOUT_S = 0.25
"""Simulated time after the last command at which the actuators begin to stop by themselves."""

_ALIGNED_RAD = math.radians(5.0)
_ASTRAY_RAD = math.radians(30.0)


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
        self.kinematics = SteeringKinematics(
            wheels.positions_xy_m, self._steered, wheels.radius_m,
            math.radians(wheels.max_steer_deg),
        )  # fmt: skip
        self._wheel_qpos = self._joint_qpos[: len(names)]
        self._wheel_dof = self._joint_dof[: len(names)]
        self._steer_qpos = self._joint_qpos[len(names) : len(names) + len(steered)]
        self._wheel_bodies = [model.body(f"{prefix}{n}").id for n in names]
        self._wheel_geoms = [model.geom(f"{prefix}{n}").id for n in names]
        self._find_servos(prefix)
        load = rover.total_mass_kg * -model.opt.gravity[2] / len(self._places)
        self.contact = WheelContact(
            model, prefix, wheels.names, wheels.radius_m, load, config.contact
        )
        self.v_mps = self.w_rps = 0.0
        self._command = (0.0, 0.0)
        self._deadline_ns: int | None = None

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
        limits = self._rover.limits
        v = min(max(command.linear_mps, -limits.max_speed_mps), limits.max_speed_mps)
        w = min(max(command.angular_rps, -limits.max_yaw_rate_rps), limits.max_yaw_rate_rps)
        scale = self.kinematics.speed_scale(v, w, self._rover.wheels.max_speed_rps)
        self._command = (scale * v, scale * w)
        self._deadline_ns = now_ns + round(ACTUATOR_TIMEOUT_S * 1e9)

    def actuate(self, now_ns: int, period_s: float) -> None:
        """Set the servos for the coming period."""
        limits = self._rover.limits
        if self._deadline_ns is not None and now_ns + round(period_s * 1e9) > self._deadline_ns:
            self._deadline_ns, self._command = None, (0.0, 0.0)
        v, w = self._command
        angles = self._wheel_angles()
        share = 1.0
        if v or w:
            wanted, _ = self.kinematics.inverse(v, w, angles)
            self._steer_towards(wanted, period_s)
            astray = float(np.max(np.abs(wanted - angles), initial=0.0))
            share = (_ASTRAY_RAD - astray) / (_ASTRAY_RAD - _ALIGNED_RAD)
            share = min(max(share, 0.0), 1.0)
        else:
            self._data.ctrl[self._steer_ctrl] = 0.0
        speed_up, slow_down = limits.max_accel_mps2, limits.max_decel_mps2
        self.v_mps = _ramp(self.v_mps, share * v, speed_up * period_s, slow_down * period_s)
        speed_up, slow_down = limits.max_yaw_accel_rps2, limits.max_yaw_decel_rps2
        self.w_rps = _ramp(self.w_rps, share * w, speed_up * period_s, slow_down * period_s)
        speeds = self.kinematics.wheel_speeds(self.v_mps, self.w_rps, angles)
        self._data.ctrl[self._drive_ctrl] = speeds
        self._stop_windup()

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
        own = [self.v_mps, self.w_rps, *self._command, float(self._deadline_ns or -1)]
        return np.concatenate((own, self.contact.state())).tobytes()


def _ramp(value: float, target: float, faster: float, slower: float) -> float:
    """Move towards the target; towards zero by ``slower``, away from it by ``faster``."""
    if value * target < 0.0:
        target = 0.0
    step = slower if abs(target) < abs(value) else faster
    return value + min(max(target - value, -step), step)
