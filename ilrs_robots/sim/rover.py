"""One vehicle in the running physics: actuators, wheel contact, poses and what to judge it by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mujoco
import numpy as np

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.geometry.se3 import rpy_from_quat
from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.sensors import BodyState
from ilrs_robots.sim.rover_mjcf import suspension_joints, wheel_places

ACTUATOR_TIMEOUT_S = 0.25
"""Simulated time after the last command at which the actuators begin to stop by themselves."""

_BRAKE_FACTOR = 2.0  # of the acceleration limit, when stopping without a command
_ALIGNED_RAD = math.radians(5.0)
_ASTRAY_RAD = math.radians(30.0)
_FIRMEST, _SOFTEST = 0.9999, 0.3
_SMOOTHING = 0.2
_SLIP_SPEED_MPS = 0.02


@dataclass(frozen=True)
class SimRobot:
    """A vehicle and where it starts.

    Attributes:
        name: namespace and frame prefix.
        model: dimensions and limits.
        x_m: start, map.
        y_m: start, map.
        yaw_rad: start, map.
    """

    name: str
    model: RobotModel
    x_m: float = 0.0
    y_m: float = 0.0
    yaw_rad: float = 0.0


@dataclass(frozen=True)
class Evaluation:
    """What happened to a vehicle; for evaluation only, never for the core.

    Attributes:
        wheel_slip: (N,) slip ratio 1 - v / (omega r) when driving, v / (omega r) - 1 below zero
            when braking; zero for a wheel that hardly turns.
        belly_contacts: how often the body has come to touch ground or rock.
        belly_touching: whether it touches now.
        rock_contacts: how often a wheel or the body has come to touch a rock.
        roll_rad: now, map.
        pitch_rad: now, map.
        wheel_load_n: (N,) normal force on each wheel.
    """

    wheel_slip: FloatArray
    belly_contacts: int
    belly_touching: bool
    rock_contacts: int
    roll_rad: float
    pitch_rad: float
    wheel_load_n: FloatArray


class Rover:
    """Reads and writes one vehicle's part of MuJoCo's state."""

    def __init__(
        self,
        robot: SimRobot,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        prefix: str,
        config: SimConfig,
    ) -> None:
        self.robot, self._model, self._data, self._config = robot, model, data, config
        spec = robot.model
        self._places = wheel_places(spec)
        wheels = spec.wheels
        self.kinematics = SteeringKinematics(
            wheels.positions_xy_m,
            np.array([place.steered for place in self._places]),
            wheels.radius_m,
            math.radians(wheels.max_steer_deg),
        )
        self._find(prefix)
        self._ready_contact()
        self.v_mps = self.w_rps = 0.0
        self._command = (0.0, 0.0)
        self._deadline_ns: int | None = None
        self._belly_contacts = self._rock_contacts = 0
        self._belly_touching = False
        self._rocks_touching: frozenset[int] = frozenset()

    def _find(self, prefix: str) -> None:
        m = self._model
        free = m.joint(f"{prefix}free")
        self._qpos, self._dof = int(free.qposadr[0]), int(free.dofadr[0])
        names = [place.name for place in self._places]
        steered = [place.name for place in self._places if place.steered]
        self.joint_names = (
            *(f"{n}_wheel" for n in names),
            *(f"{n}_steer" for n in steered),
            *suspension_joints(self.robot.model),
        )
        joints = [m.joint(f"{prefix}{n}") for n in self.joint_names]
        self._joint_qpos = np.array([int(j.qposadr[0]) for j in joints])
        self._joint_dof = np.array([int(j.dofadr[0]) for j in joints])
        self._wheel_count, self._steer_count = len(names), len(steered)
        self._steered = np.array([place.steered for place in self._places])
        drive = np.array([m.actuator(f"{prefix}{n}_wheel").id for n in names])
        steer = np.array([m.actuator(f"{prefix}{n}_steer").id for n in steered], dtype=np.int64)
        self._drive_ctrl, self._steer_ctrl = m.actuator_ctrladr[drive], m.actuator_ctrladr[steer]
        self._drive_act, self._steer_act = m.actuator_actadr[drive], m.actuator_actadr[steer]
        self._kp, self._kv = m.actuator_gainprm[drive, 0], -m.actuator_biasprm[drive, 2]
        self._wheel_body = np.array([m.body(f"{prefix}{n}").id for n in names])
        self._wheel_geom = np.array([m.geom(f"{prefix}{n}").id for n in names])
        self._wheel_of_geom = np.full(m.ngeom, -1)
        self._wheel_of_geom[self._wheel_geom] = np.arange(len(names))
        self._pair = np.array([m.pair(f"{prefix}{n}").id for n in names])
        own = [g for g in range(m.ngeom) if m.geom(g).name in (f"{prefix}body", f"{prefix}belly")]
        self._belly_geoms = np.array(own)
        self._rock_geoms = np.array(
            [g for g in range(m.ngeom) if m.geom(g).name.startswith(f"{prefix}rock_")]
        )

    # -- pose ---------------------------------------------------------------------------------

    @property
    def position_m(self) -> FloatArray:
        """(3,) base_link in map."""
        return self._data.qpos[self._qpos : self._qpos + 3].copy()

    @property
    def quat_wxyz(self) -> FloatArray:
        """(4,) attitude of base_link in map."""
        return self._data.qpos[self._qpos + 3 : self._qpos + 7].copy()

    @property
    def linear_map_mps(self) -> FloatArray:
        """(3,) velocity of base_link's origin, map."""
        return self._data.qvel[self._dof : self._dof + 3].copy()

    @property
    def angular_base_rps(self) -> FloatArray:
        """(3,) angular velocity, base_link."""
        return self._data.qvel[self._dof + 3 : self._dof + 6].copy()

    @property
    def joint_positions_rad(self) -> FloatArray:
        """Angles in the order of ``joint_names``."""
        return self._data.qpos[self._joint_qpos]

    def body_state(self, stamp_ns: int) -> BodyState:
        """Everything the sensors measure, now."""
        return BodyState(
            stamp_ns, self.position_m, self.quat_wxyz, self.linear_map_mps,
            self.angular_base_rps, self.joint_positions_rad,
        )  # fmt: skip

    def place(self, position_m: FloatArray, quat_wxyz: FloatArray) -> None:
        """Put the vehicle somewhere at rest."""
        self._data.qpos[self._qpos : self._qpos + 3] = position_m
        self._data.qpos[self._qpos + 3 : self._qpos + 7] = quat_wxyz
        self._data.qvel[self._dof : self._dof + 6] = 0.0

    @property
    def rest_speed(self) -> float:
        """Largest speed of the body (m/s or rad/s), to see whether it has settled."""
        return float(np.max(np.abs(self._data.qvel[self._dof : self._dof + 6])))

    # -- actuators ----------------------------------------------------------------------------

    def command(self, command: VelocityCommand, now_ns: int) -> None:
        """Take a command at simulated time ``now_ns``; it is clipped to the limits."""
        limits = self.robot.model.limits
        v = min(max(command.linear_mps, -limits.max_speed_mps), limits.max_speed_mps)
        w = min(max(command.angular_rps, -limits.max_yaw_rate_rps), limits.max_yaw_rate_rps)
        scale = self.kinematics.speed_scale(v, w, self.robot.model.wheels.max_speed_rps)
        self._command = (scale * v, scale * w)
        self._deadline_ns = now_ns + round(ACTUATOR_TIMEOUT_S * 1e9)

    def actuate(self, now_ns: int, period_s: float) -> None:
        """Set the servos for the coming period."""
        limits = self.robot.model.limits
        brake = 1.0
        if self._deadline_ns is not None and now_ns + round(period_s * 1e9) > self._deadline_ns:
            self._deadline_ns, self._command = None, (0.0, 0.0)
        if self._deadline_ns is None:
            brake = _BRAKE_FACTOR
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
        self.v_mps = _ramp(self.v_mps, share * v, brake * limits.max_accel_mps2 * period_s)
        self.w_rps = _ramp(self.w_rps, share * w, brake * limits.max_yaw_accel_rps2 * period_s)
        speeds = self.kinematics.wheel_speeds(self.v_mps, self.w_rps, angles)
        self._data.ctrl[self._drive_ctrl] = speeds
        self._stop_windup()

    def _wheel_angles(self) -> FloatArray:
        angles = np.zeros(self._wheel_count)
        first = self._wheel_count
        places = self._joint_qpos[first : first + self._steer_count]
        angles[self._steered] = self._data.qpos[places]
        return angles

    def _steer_towards(self, wanted_rad: FloatArray, period_s: float) -> None:
        rate = math.radians(self.robot.model.wheels.steer_rate_deg_s)
        error = wanted_rad[self._steered] - self._data.act[self._steer_act]
        self._data.ctrl[self._steer_ctrl] = np.clip(error / period_s, -rate, rate)

    def _stop_windup(self) -> None:
        """Keep each drive's set angle where its torque can just reach the limit."""
        torque = self.robot.model.wheels.max_torque_nm
        angle = self._data.qpos[self._joint_qpos[: self._wheel_count]]
        speed = self._data.qvel[self._joint_dof[: self._wheel_count]]
        low = angle + (self._kv * speed - torque) / self._kp
        high = angle + (self._kv * speed + torque) / self._kp
        self._data.act[self._drive_act] = np.clip(self._data.act[self._drive_act], low, high)

    # -- wheel contact ------------------------------------------------------------------------

    def _ready_contact(self) -> None:
        contact, m = self._config.contact, self._model
        m.pair_solref[self._pair] = (-contact.stiffness_per_s2, -contact.damping_per_s)
        m.pair_solreffriction[self._pair] = (-1.0, -contact.shear_damping_per_s)
        m.pair_solimp[self._pair] = (_FIRMEST, _FIRMEST, 0.001, 0.5, 2.0)
        self._firmness = np.full(self._wheel_count, _FIRMEST)
        self._mobility = np.zeros(self._wheel_count)

    def update_contact(self) -> None:
        """Look at the contacts and set the shear of each wheel from its roll speed.

        MuJoCo's friction of one contact creeps at (1 - d) A f / b, with impedance d, inverse mass
        A and damping b. Setting (1 - d) A / b = C |omega| r / N gives slip = C T / N whatever the
        speed, and next to no creep at rest. A is taken from the contacts themselves.
        """
        self._look_at_contacts()
        config, wheels = self._config.contact, self.robot.model.wheels
        spin = self._data.qvel[self._joint_dof[: self._wheel_count]]
        roll = np.maximum(np.abs(spin) * wheels.radius_m, config.parked_speed_mps)
        load = self.robot.model.total_mass_kg * -self._model.opt.gravity[2] / self._wheel_count
        creep = config.slip_compliance * roll / load * config.shear_damping_per_s
        known = self._mobility > 0.0
        firm = np.ones(self._wheel_count)
        firm[known] -= creep[known] / self._mobility[known]
        self._firmness = np.clip(firm, _SOFTEST, _FIRMEST)
        self._model.pair_solimp[self._pair, 0] = self._firmness
        self._model.pair_solimp[self._pair, 1] = self._firmness

    def _look_at_contacts(self) -> None:
        data = self._data
        geoms, rows = data.contact.geom, data.contact.efc_address
        live = rows >= 0
        geoms, rows = geoms[live], rows[live]
        self._count_touches(geoms)
        index = self._wheel_of_geom[geoms].max(axis=1)
        on_ground = (index >= 0) & ~np.isin(geoms, self._rock_geoms).any(axis=1)
        index = index[on_ground]
        shear_row = rows[on_ground] + 1
        give = np.zeros(self._wheel_count)
        np.add.at(give, index, 1.0 / data.efc_R[shear_row])
        has = give > 0.0
        fresh = 1.0 / give[has] * self._firmness[has] / (1.0 - self._firmness[has])
        old = self._mobility[has]
        self._mobility[has] = np.where(old > 0.0, old + _SMOOTHING * (fresh - old), fresh)

    def _count_touches(self, geoms: np.ndarray) -> None:
        belly = bool(np.isin(geoms, self._belly_geoms).any())
        self._belly_contacts += belly and not self._belly_touching
        self._belly_touching = belly
        rocks = frozenset(geoms[np.isin(geoms, self._rock_geoms)].tolist())
        self._rock_contacts += len(rocks - self._rocks_touching)
        self._rocks_touching = rocks

    # -- evaluation ---------------------------------------------------------------------------

    def evaluate(self) -> Evaluation:
        """Slip, loads and touches now."""
        roll, pitch, _ = rpy_from_quat(self.quat_wxyz)
        return Evaluation(
            self._slip(), self._belly_contacts, self._belly_touching, self._rock_contacts,
            float(roll), float(pitch), self._loads(),
        )  # fmt: skip

    def _slip(self) -> FloatArray:
        data, radius = self._data, self.robot.model.wheels.radius_m
        spin = data.qvel[self._joint_dof[: self._wheel_count]] * radius
        slip = np.zeros(self._wheel_count)
        velocity = np.zeros(6)
        for k, body in enumerate(self._wheel_body):
            mujoco.mj_objectVelocity(
                self._model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0
            )
            speed = float(velocity[3:] @ self._ahead(data.xmat[body].reshape(3, 3)[:, 1]))
            top = max(abs(spin[k]), abs(speed))
            if top > _SLIP_SPEED_MPS:
                slip[k] = (spin[k] - speed) / top * np.sign(spin[k] or 1.0)
        return slip

    def _ahead(self, axle: FloatArray) -> FloatArray:
        """Unit vector along which a wheel with this axle rolls, in the plane of the body."""
        base = int(self._model.body_rootid[self._wheel_body[0]])
        ahead = np.cross(axle, self._data.xmat[base].reshape(3, 3)[:, 2])
        return np.asarray(ahead / np.linalg.norm(ahead))

    def _loads(self) -> FloatArray:
        loads, force = np.zeros(self._wheel_count), np.zeros(6)
        places = {int(g): k for k, g in enumerate(self._wheel_geom)}
        for i in range(self._data.ncon):
            contact = self._data.contact[i]
            for geom in contact.geom:
                if int(geom) in places:
                    mujoco.mj_contactForce(self._model, self._data, i, force)
                    side = 1.0 if geom == contact.geom[1] else -1.0
                    loads[places[int(geom)]] += side * force[0] * contact.frame[2]
        return loads

    def state(self) -> bytes:
        """What of the vehicle's state MuJoCo does not hold."""
        return np.array(
            [self.v_mps, self.w_rps, *self._command, float(self._deadline_ns or -1),
             *self._firmness, *self._mobility]
        ).tobytes()  # fmt: skip


def _ramp(value: float, target: float, step: float) -> float:
    return value + min(max(target - value, -step), step)
