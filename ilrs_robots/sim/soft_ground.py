"""Places where wheels find no hold: loose regolith that is pushed aside rather than sheared.

A wheel in such a place has less friction, and pushes a heap before it: a force against its motion
in proportion to its load. Where that is more than the friction gives, the wheels spin and the
vehicle stays. Back along its own rut a wheel has less to push.

Reference: Bekker 1969, Introduction to Terrain-Vehicle Systems (bulldozing resistance beside
traction); Arvidson et al. 2010, J. Geophys. Res. 115, E00F03 (a rover that stays, and what backing
out along the own tracks does).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.types import FloatArray

_CREEP_MPS = 0.05
"""Speed at which the heap pushes back with most of its force."""


@dataclass(frozen=True)
class SoftSpot:
    """A disc of loose ground."""

    x_m: float = param(doc="centre, map x", unit="m")
    y_m: float = param(doc="centre, map y", unit="m")
    radius_m: float = param(doc="radius", unit="m", low=0.1, high=1e4)
    friction: float = param(0.15, doc="of a wheel on it", low=0.0, high=2.0)
    resistance: float = param(
        0.5, doc="force of the heap before a wheel over its load", low=0.0, high=5.0
    )
    rut_share: float = param(
        0.1, doc="share of that on the way back along the own rut", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class SoftGround:
    """Friction and heaps of one vehicle's wheels, from where they are.

    Args:
        spots: the loose places.
        model: MuJoCo's model.
        pairs: (W,) contact pair of each wheel with the ground.
        bodies: (W,) wheel bodies.
        load_n: on each wheel, newtons.
    """

    def __init__(
        self, spots: Sequence[SoftSpot], model: mujoco.MjModel, pairs: list[int],
        bodies: list[int], load_n: float,
    ) -> None:  # fmt: skip
        self._spots, self._model, self._load_n = tuple(spots), model, load_n
        self._pairs, self._bodies = pairs, bodies
        self._firm = [float(model.pair_friction[pair, 0]) for pair in pairs]
        self._entry = np.zeros((len(pairs), 2))

    def apply(self, data: mujoco.MjData) -> None:
        """Set friction and push of every wheel for the coming period."""
        if not self._spots:
            return
        velocity = np.zeros(6)
        for k, (pair, body) in enumerate(zip(self._pairs, self._bodies, strict=True)):
            at = data.xpos[body]
            spot = next(
                (s for s in self._spots
                 if (at[0] - s.x_m) ** 2 + (at[1] - s.y_m) ** 2 <= s.radius_m**2), None,
            )  # fmt: skip
            data.xfrc_applied[body, :3] = 0.0
            self._model.pair_friction[pair, :2] = self._firm[k] if spot is None else spot.friction
            if spot is None:
                self._entry[k] = 0.0
                continue
            mujoco.mj_objectVelocity(
                self._model, data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0
            )
            data.xfrc_applied[body, :2] = self._push(k, spot, velocity[3:5])

    def _push(self, wheel: int, spot: SoftSpot, velocity: FloatArray) -> FloatArray:
        """(2,) newtons against the motion."""
        speed = float(np.hypot(*velocity))
        if speed < 1e-9:
            return np.zeros(2)
        if not self._entry[wheel].any():
            self._entry[wheel] = velocity / speed
        onward = float(velocity @ self._entry[wheel]) > 0.0
        share = 1.0 if onward else spot.rut_share
        most = share * spot.resistance * self._load_n
        push: FloatArray = -most * np.tanh(speed / _CREEP_MPS) * velocity / speed
        return push

    def state(self) -> FloatArray:
        """What the next steps depend on."""
        return self._entry.ravel()
