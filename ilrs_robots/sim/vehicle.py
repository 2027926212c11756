"""What the world knows of any vehicle in the running physics: its pose and its joints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import mujoco
import numpy as np

from ilrs_robots.core.types import FloatArray, VelocityCommand
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.sim.evaluation import Evaluation
from ilrs_robots.sim.sensors import BodyState
from ilrs_robots.sim.wheel_contact import WheelContact


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


class Vehicle(ABC):
    """Reads and writes one vehicle's part of MuJoCo's state.

    Attributes:
        robot: name and model.
        contact: of its wheels or feet with ground and rocks.
        joint_names: as published in ``joint_states``.
    """

    contact: WheelContact
    joint_names: tuple[str, ...]

    def __init__(
        self, robot: SimRobot, model: mujoco.MjModel, data: mujoco.MjData, prefix: str,
        joint_names: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.robot, self._model, self._data = robot, model, data
        self.joint_names = joint_names
        free = model.joint(f"{prefix}free")
        self._qpos, self._dof = int(free.qposadr[0]), int(free.dofadr[0])
        joints = [model.joint(f"{prefix}{n}") for n in joint_names]
        self._joint_qpos = np.array([int(j.qposadr[0]) for j in joints], dtype=np.int64)
        self._joint_dof = np.array([int(j.dofadr[0]) for j in joints], dtype=np.int64)

    @abstractmethod
    def command(self, command: VelocityCommand, now_ns: int) -> None:
        """Take a command at simulated time ``now_ns``."""

    @abstractmethod
    def actuate(self, now_ns: int, period_s: float) -> None:
        """Set the actuators for the coming period."""

    @abstractmethod
    def update_contact(self) -> None:
        """Look at the contacts of the last step and prepare the next ones."""

    @abstractmethod
    def evaluate(self) -> Evaluation:
        """Slip, loads, touches and tilt now."""

    @abstractmethod
    def state(self) -> bytes:
        """What of the vehicle's state MuJoCo does not hold."""

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
