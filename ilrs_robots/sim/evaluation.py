"""What happened to a vehicle: slip, loads, touches. For evaluation only, never for the core."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from ilrs_robots.core.types import FloatArray

_SLOWEST_MPS = 0.02


@dataclass(frozen=True)
class Evaluation:
    """State of a vehicle that only an evaluator may know.

    Attributes:
        wheel_slip: (N,) slip ratio, 1 - v / (omega r) when driving (positive) and
            omega r / v - 1 when dragged (negative); zero for a wheel slower than 0.02 m/s.
        wheel_load_n: (N,) normal force on each wheel.
        body_contacts: how often the body has come to touch ground or rock since the start.
        body_touching: whether it touches now.
        rock_contacts: how often a wheel or the body has come to touch a rock.
        roll_rad: now, map.
        pitch_rad: now, map.
    """

    wheel_slip: FloatArray
    wheel_load_n: FloatArray
    body_contacts: int
    body_touching: bool
    rock_contacts: int
    roll_rad: float
    pitch_rad: float


@dataclass(frozen=True)
class HopperEvaluation(Evaluation):
    """What only an evaluator may know of a hopper.

    Attributes:
        propellant_kg: left in the tank.
        thrust_n: (T,) of each thruster now.
        feet_down: how many feet carry load.
        tipped: it leans further than it can come back from, on the body or on its way there.
    """

    propellant_kg: float
    thrust_n: FloatArray
    feet_down: int
    tipped: bool


def wheel_slip(
    model: mujoco.MjModel, data: mujoco.MjData, bodies: list[int], rim_mps: FloatArray
) -> FloatArray:
    """Slip ratio of each wheel.

    Args:
        model: MuJoCo's model.
        data: MuJoCo's state.
        bodies: (N) wheel bodies.
        rim_mps: (N,) omega r of each wheel.
    """
    slip, velocity = np.zeros(len(bodies)), np.zeros(6)
    up = data.xmat[int(model.body_rootid[bodies[0]])].reshape(3, 3)[:, 2]
    for k, body in enumerate(bodies):
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
        ahead = np.cross(data.xmat[body].reshape(3, 3)[:, 1], up)
        rim, speed = float(rim_mps[k]), float(velocity[3:] @ ahead / np.linalg.norm(ahead))
        fastest = max(abs(rim), abs(speed))
        if fastest > _SLOWEST_MPS:
            slip[k] = (rim - speed) / fastest * (1.0 if rim >= 0.0 else -1.0)
    return slip


def wheel_load_n(model: mujoco.MjModel, data: mujoco.MjData, geoms: list[int]) -> FloatArray:
    """Vertical part of the contact forces on each wheel, (N,) newtons."""
    places = {geom: k for k, geom in enumerate(geoms)}
    loads, force = np.zeros(len(geoms)), np.zeros(6)
    for i in range(data.ncon):
        contact = data.contact[i]
        for side, geom in zip((-1.0, 1.0), contact.geom.tolist(), strict=True):
            if geom in places:
                mujoco.mj_contactForce(model, data, i, force)
                upward = float(force[:3] @ contact.frame.reshape(3, 3)[:, 2])
                loads[places[geom]] += side * upward
    return loads
