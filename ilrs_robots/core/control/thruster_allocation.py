"""Which thruster gives how much, so that together they push and turn as asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import BoolArray, FloatArray

_MOST_ROUNDS = 60
_DAMPING = 1e-6
_HALF = 0.5


@dataclass(frozen=True)
class ThrusterLayout:
    """Where thrusters sit and what each can give.

    Attributes:
        position_m: (T, 3) in base_link, metres.
        direction: (T, 3) unit vectors of the force on the vehicle, base_link.
        max_n: (T,) newtons.
        min_n: (T,) least thrust of one that is lit, newtons.
        main: (T,) bool, engines that carry the vehicle; the others turn it.
    """

    position_m: FloatArray
    direction: FloatArray
    max_n: FloatArray
    min_n: FloatArray
    main: BoolArray

    def __post_init__(self) -> None:
        """Check shapes.

        Raises:
            ConfigError: arrays that do not belong together.
        """
        count = len(self.max_n)
        shapes = (self.position_m.shape, self.direction.shape)
        if shapes != ((count, 3), (count, 3)) or len(self.min_n) != count:
            raise ConfigError(f"thrusters: places and directions {shapes} for {count} thrusters")

    def wrenches(self, centre_m: FloatArray) -> FloatArray:
        """(6, T) force and torque about a centre that one newton of each thruster makes.

        Args:
            centre_m: (3,) centre of mass in base_link, metres.
        """
        torque = np.cross(self.position_m - centre_m, self.direction)
        return np.vstack((self.direction.T, torque.T))


@dataclass(frozen=True)
class Allocation:
    """What the thrusters shall give.

    Attributes:
        thrust_n: (T,) newtons.
        wrench: (6,) force (N) and torque (N m) that they make together, base_link.
        short: (6,) what is missing of what was asked for, N and N m.
    """

    thrust_n: FloatArray
    wrench: FloatArray
    short: FloatArray


class ThrusterAllocator:
    """Bounded least squares over the layout: torque first, then force, then little thrust.

    Without bounds the answer is a weighted pseudo-inverse; bounds are kept by an active set. An
    engine that is asked for less than its least thrust gives that, or
    nothing, whichever is nearer, and the others make up for it. The pseudo-inverse of each set of
    free thrusters is kept, because a flight goes through few of them.

    A thruster that is stuck takes no part: what it gives all the same is taken off what is asked
    for. So the others balance it as far as they reach.

    Reference: Bodson 2002, Evaluation of optimization methods for control allocation (weighted
    least squares by active sets; ``scipy.optimize.lsq_linear`` is the reference in its test).

    Args:
        layout: of the thrusters.
        centre_m: (3,) centre of mass in base_link, metres.
        torque_weight: of one newton metre that is missing against one newton.
    """

    def __init__(
        self, layout: ThrusterLayout, centre_m: FloatArray, torque_weight: float = 30.0
    ) -> None:
        self.layout = layout
        self._weight = np.array([0.1, 0.1, 1.0, *([torque_weight] * 3)])
        self._kept: dict[bytes, FloatArray] = {}
        self._low = np.zeros(len(layout.max_n))
        self._high = layout.max_n.copy()
        self.stuck: dict[int, str] = {}
        self.move_centre(centre_m)

    def move_centre(self, centre_m: FloatArray) -> None:
        """Take a new centre of mass, (3,) in base_link, metres."""
        self._wrenches = self.layout.wrenches(centre_m)
        self._weighted = self._weight[:, None] * self._wrenches
        self._kept.clear()

    def set_stuck(self, stuck: dict[int, str]) -> None:
        """Which thrusters are known to be stuck ``off`` or ``on``, by number."""
        self.stuck = dict(stuck)
        self._low = np.zeros(len(self.layout.max_n))
        self._high = self.layout.max_n.copy()
        for k, how in stuck.items():
            given = self.layout.max_n[k] if how == "on" else 0.0
            self._low[k] = self._high[k] = given

    def allocate(self, force_n: float, torque_nm: FloatArray) -> Allocation:
        """Share out a force along the body's z axis and a torque.

        Args:
            force_n: upwards in base_link, newtons; 0 shuts the main engines.
            torque_nm: (3,) about the centre of mass, base_link, newton metres (an SI unit).
        """
        asked = np.array([0.0, 0.0, force_n, *torque_nm])
        low, high = self._low.copy(), self._high.copy()
        if force_n <= 0.0:
            rest = self.layout.main & (low < high)
            high[rest] = 0.0
        thrust = self._within(asked, low, high)
        for _ in range(len(thrust)):
            free = (low < high) & (self.layout.min_n > 0.0)
            between = free & (thrust > 1e-9) & (thrust < self.layout.min_n)
            if not between.any():
                break
            worst = int(np.argmin(np.where(between, thrust, np.inf)))
            lit = thrust[worst] >= _HALF * self.layout.min_n[worst]
            low[worst] = self.layout.min_n[worst] if lit else 0.0
            high[worst] = high[worst] if lit else 0.0
            thrust = self._within(asked, low, high)
        made = self._wrenches @ thrust
        return Allocation(thrust, made, asked - made)

    def _within(self, asked: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
        """Least squares between bounds: goes towards the free optimum as far as they allow.

        The first bound that is met holds its thruster; where none is met and the gradient says
        that a held one could help, it is let go.
        """
        room = high > low
        thrust, free = low.copy(), room.copy()
        wanted = self._weight * asked
        for _ in range(_MOST_ROUNDS):
            left = wanted - self._weighted @ np.where(free, 0.0, thrust)
            best = np.where(free, self._inverse(free) @ left, thrust)
            step, hit = _step(thrust, best, low, high, free)
            thrust = thrust + step * (best - thrust)
            if hit >= 0:
                free[hit] = False
                continue
            pull = self._weighted.T @ (wanted - self._weighted @ thrust) - _DAMPING * thrust
            held = room & ~free
            gain = np.where(held, np.where(thrust <= low + 1e-12, pull, -pull), -1.0)
            most = int(np.argmax(gain))
            if gain[most] <= 1e-6:
                break
            free[most] = True
        return np.clip(thrust, low, high)

    def _inverse(self, free: BoolArray) -> FloatArray:
        """(T, 6) damped pseudo-inverse of the free thrusters, zero rows for the others."""
        key = free.tobytes()
        if key not in self._kept:
            columns = self._weighted[:, free]
            square = columns @ columns.T + _DAMPING * np.eye(6)
            full = np.zeros((len(free), 6))
            full[free] = np.linalg.solve(square, columns).T
            self._kept[key] = full
        return self._kept[key]


def _step(
    now: FloatArray, best: FloatArray, low: FloatArray, high: FloatArray, free: BoolArray
) -> tuple[float, int]:
    """Share of the way to ``best`` that bounds allow, and who meets one first, or -1."""
    way = np.where(free, best - now, 0.0)
    bound = np.where(way > 0.0, high, low)
    share = np.where(np.abs(way) > 1e-12, (bound - now) / np.where(way == 0.0, 1.0, way), np.inf)
    first = int(np.argmin(share))
    if share[first] >= 1.0:
        return 1.0, -1
    return max(float(share[first]), 0.0), first
