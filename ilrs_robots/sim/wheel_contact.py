"""Shear of wheels on regolith, and who touches what, from MuJoCo's contacts."""

from __future__ import annotations

import mujoco
import numpy as np
from numba import njit

from ilrs_robots.core.types import BoolArray, FloatArray
from ilrs_robots.sim.config import ContactConfig

_FIRMEST = 0.999  # firmer, a parked wheel trembles at a step of 5 ms
_SOFTEST = 0.3
_SMOOTHING = 0.15
_BODY, _ROCK = 1, 2


@njit(cache=True)
def sort_contacts(
    geoms: np.ndarray, rows: np.ndarray, resistance: np.ndarray, wheel: np.ndarray,
    kind: np.ndarray, give: FloatArray, rock_now: np.ndarray,
) -> bool:  # fmt: skip
    """Go once through the contacts of a vehicle.

    Args:
        geoms: (C, 2) int32 geom pairs.
        rows: (C,) int32 first constraint row of each contact, negative when inactive.
        resistance: (R,) MuJoCo's ``efc_R``.
        wheel: (G,) int64 number of the wheel that a geom is, or -1.
        kind: (G,) int64, 1 for the vehicle's body, 2 for its rocks, else 0.
        give: (W,) zeroed, then the sum of 1 / R over each wheel's ground contacts.
        rock_now: (G,) bool, cleared, then true for each rock that is touched.

    Returns:
        Whether the body touches anything.
    """
    give[:] = 0.0
    rock_now[:] = False
    body = False
    for c in range(geoms.shape[0]):
        if rows[c] < 0:
            continue
        first, second = geoms[c, 0], geoms[c, 1]
        number = max(wheel[first], wheel[second])
        touches_body = kind[first] == _BODY or kind[second] == _BODY
        if number < 0 and not touches_body:
            continue
        body = body or touches_body
        rock = -1
        if kind[first] == _ROCK:
            rock = first
        elif kind[second] == _ROCK:
            rock = second
        if rock >= 0:
            rock_now[rock] = True
        elif number >= 0:
            give[number] += 1.0 / resistance[rows[c] + 1]
    return body


class WheelContact:
    """Sets the shear of each wheel from its roll speed, and counts touches.

    MuJoCo's friction at one contact creeps at (1 - d) A f / b, with impedance d, inverse mass A,
    friction force f and damping b. Setting (1 - d) A / b = C |omega| r / N gives a slip ratio of
    C f / N whatever the speed, and next to no creep at rest. A is taken from the contacts
    themselves, so the number of contact points under a wheel does not matter. C of a wheel is the
    secant of its slip curve on the regolith (``core.energy.drive``), that of a foot a parameter.

    Attributes:
        body_touches: how often the body has come to touch ground or rock.
        body_touching: whether it touches now.
        rock_touches: how often a wheel or the body has come to touch a rock.
    """

    def __init__(
        self, model: mujoco.MjModel, prefix: str, wheels: tuple[str, ...], radius_m: float,
        load_n: float, config: ContactConfig, slip_compliance: float | None = None,
    ) -> None:  # fmt: skip
        self._model, self._radius_m, self._config = model, radius_m, config
        compliance = config.slip_compliance if slip_compliance is None else slip_compliance
        self._creep = compliance / load_n * config.shear_damping_per_s
        self._wheel = np.full(model.ngeom, -1)
        self._wheel[[model.geom(f"{prefix}{n}").id for n in wheels]] = np.arange(len(wheels))
        self._kind = np.zeros(model.ngeom, dtype=np.int64)
        for g in range(model.ngeom):
            name = model.geom(g).name
            if name in (f"{prefix}body", f"{prefix}belly"):
                self._kind[g] = _BODY
            elif name.startswith(f"{prefix}rock_"):
                self._kind[g] = _ROCK
        self._pair = np.array([model.pair(f"{prefix}{n}").id for n in wheels])
        model.pair_solref[self._pair] = (-config.stiffness_per_s2, -config.damping_per_s)
        model.pair_solreffriction[self._pair] = (-1.0, -config.shear_damping_per_s)
        model.pair_solimp[self._pair] = (_FIRMEST, _FIRMEST, 0.001, 0.5, 2.0)
        self._firmness = np.full(len(wheels), _FIRMEST)
        self._mobility = np.zeros(len(wheels))
        self._give = np.zeros(len(wheels))
        self._spin_rps = np.zeros(len(wheels))
        self._rock_now = np.zeros(model.ngeom, dtype=np.bool_)
        self._rock_before = self._rock_now.copy()
        self.body_touches = self.rock_touches = 0
        self.body_touching = False

    def update(self, data: mujoco.MjData, spin_rps: FloatArray) -> None:
        """Read the contacts of the last step and set the shear for the coming ones."""
        contact = data.contact
        body = sort_contacts(
            contact.geom, contact.efc_address, data.efc_R, self._wheel, self._kind, self._give,
            self._rock_now,
        )  # fmt: skip
        self.body_touches += body and not self.body_touching
        self.body_touching = body
        self.rock_touches += int(np.count_nonzero(self._rock_now & ~self._rock_before))
        self._rock_before[:] = self._rock_now
        self._set_shear(spin_rps)

    @property
    def touching(self) -> BoolArray:
        """(G,) rocks that a wheel or the body touches now, by geom; not to be altered."""
        return self._rock_now

    def forget(self) -> None:
        """Count touches from now on."""
        self.body_touches = self.rock_touches = 0

    def state(self) -> FloatArray:
        """What the next steps depend on."""
        return np.concatenate((self._firmness, self._mobility, self._spin_rps))

    def _set_shear(self, spin_rps: FloatArray) -> None:
        touching = self._give > 0.0
        stiff = np.where(touching, self._give, 1.0) * (1.0 - self._firmness)
        fresh = np.where(touching, self._firmness / stiff, self._mobility)
        step = np.where(self._mobility > 0.0, _SMOOTHING, 1.0)
        self._mobility += step * (fresh - self._mobility)
        self._spin_rps += _SMOOTHING * (spin_rps - self._spin_rps)  # a tremor is no rolling
        roll = np.maximum(np.abs(self._spin_rps) * self._radius_m, self._config.parked_speed_mps)
        known = np.maximum(self._mobility, 1e-9)
        self._firmness = np.clip(1.0 - self._creep * roll / known, _SOFTEST, _FIRMEST)
        self._model.pair_solimp[self._pair, :2] = self._firmness[:, None]


def warm_up() -> None:
    """Compile the kernel."""
    sort_contacts(
        np.zeros((1, 2), np.int32), np.full(1, -1, np.int32), np.zeros(1),
        np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1), np.zeros(1, np.bool_),
    )  # fmt: skip
