"""Out of the light into the shadow, a measurement there, and back: hops, power and heat together.

Hops are flown in full physics. While the vehicle stands and measures, only power and heat go on:
nothing else moves. Nothing comes back for free: propellant is burnt by the thrusters, charge and
warmth follow ``PowerStep``, and each hop is checked against both before it is launched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.hop_checks import supplies_of
from ilrs_robots.robots.hop_flight_types import HopOutcome
from ilrs_robots.robots.model import HopperModel, require_hopper
from ilrs_robots.robots.power_step import PowerState, PowerStep
from ilrs_robots.robots.site import SiteConfig, SiteTerrain
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.hop_lockstep import HopLockstep, HopResult
from ilrs_robots.sim.world import SimRobot

SCIENCE: Final = "instruments"
"""The load that measures; it is off in flight."""
_STEP_S: Final = 10.0


class SortieError(IlrsError):
    """A sortie did not come to its end; the message says where and why."""


@dataclass(frozen=True)
class SortieRow:
    """One line of the log.

    Attributes:
        time_s: of the mission.
        phase: of the hop, or ``measure``.
        x_m: true place in map.
        y_m: likewise.
        z_m: likewise.
        propellant_kg: truly held.
        charge: of the battery, 0 to 1.
        box_k: temperature of the box.
        sun_share: visible share of the Sun's disc.
        battery_w: into the battery, negative out of it.
        science_w: that the instruments get.
    """

    time_s: float
    phase: str
    x_m: float
    y_m: float
    z_m: float
    propellant_kg: float
    charge: float
    box_k: float
    sun_share: float
    battery_w: float
    science_w: float


@dataclass(frozen=True)
class Sortie:
    """What happened.

    Attributes:
        rows: the log, once a second in flight and every 10 s on the ground.
        hops: in order.
        science_wh: that the instruments took in the dark.
        dark_wh: that the battery gave from the last light to the next.
        depth_m: how far the place lies below the start.
    """

    rows: tuple[SortieRow, ...]
    hops: tuple[HopResult, ...]
    science_wh: float
    dark_wh: float
    depth_m: float


class SortieRun:
    """Flies one sortie.

    Args:
        site: place, epoch and base.
        terrain: of the site.
        robot: name of a hopper there.
        seed: of sensors and thrusters.
        config: of the world.
        model: instead of the robot's own.

    Attributes:
        lockstep: world and executive.
        power: battery and heat.
        rows: the log so far.
    """

    def __init__(
        self, site: SiteConfig, terrain: SiteTerrain, robot: str, seed: int,
        config: SimConfig | None = None, model: HopperModel | None = None,
    ) -> None:  # fmt: skip
        place = site.robot(robot)
        self._model: HopperModel = model or require_hopper(place.load_model(), "a sortie")
        start = SimRobot(robot, self._model, place.x_m, place.y_m, place.yaw_rad)
        self.lockstep = HopLockstep(terrain.surface, terrain.prior, start, seed, config=config)
        self.power = PowerStep(robot, self._model, site, terrain.prior)
        self.rows: list[SortieRow] = []
        self._stood_s = 0.0
        self._logged_s = -1.0
        self._state: PowerState | None = None
        self._instruments(False)

    def fly(
        self, goal_xy_m: tuple[float, float], stay_s: float,
        tell: Callable[[SortieRow], None] = lambda _row: None,
    ) -> Sortie:  # fmt: skip
        """Hop to a place, measure there for ``stay_s`` seconds, and hop back.

        Raises:
            HopRefusedError: a hop is not planned.
            SortieError: a hop was refused at its launch, or lost.
        """
        start = self.lockstep.world.truth(self.lockstep.robot).position_m
        out = self._hop(goal_xy_m, stay_s, tell)
        there = self.lockstep.world.truth(self.lockstep.robot).position_m
        before_j = self._spent_j()
        science = self._measure(stay_s, tell)
        back = self._hop((float(start[0]), float(start[1])), 0.0, tell)
        self._measure(_STEP_S, tell)
        return Sortie(
            tuple(self.rows), (out, back), science, (self._spent_j() - before_j) / 3600.0,
            float(start[2] - there[2]),
        )  # fmt: skip

    @property
    def time_s(self) -> float:
        """Of the mission."""
        return self.lockstep.world.time_ns * 1e-9 + self._stood_s

    def _hop(
        self, goal_xy_m: tuple[float, float], stay_s: float, tell: Callable[[SortieRow], None]
    ) -> HopResult:
        self._instruments(False)
        self.lockstep.step()
        self._account(tell)
        assert self._state is not None
        self.lockstep.flight.supplies = supplies_of(
            self._model, self._state.charge, self._state.box_k, stay_s
        )
        result = self.lockstep.hop(goal_xy_m, 400.0, lambda _step: self._each(tell))
        if result.status.outcome is not HopOutcome.LANDED:
            raise SortieError(
                f"hop to ({goal_xy_m[0]:.0f}, {goal_xy_m[1]:.0f}) m: {result.status.outcome}, "
                f"{result.status.reason}"
            )
        return result

    def _each(self, tell: Callable[[SortieRow], None]) -> None:
        if self.time_s - self._logged_s >= 1.0:
            self._account(tell)

    def _measure(self, stay_s: float, tell: Callable[[SortieRow], None]) -> float:
        """Instruments on; energy that they took, Wh."""
        self._instruments(True)
        end_s, taken = self.time_s + stay_s, 0.0
        while self.time_s < end_s - 1e-6:
            step = min(_STEP_S, end_s - self.time_s)
            self._stood_s += step
            row = self._account(tell, "measure")
            taken += row.science_w * step / 3600.0
        self._instruments(False)
        return taken

    def _account(self, tell: Callable[[SortieRow], None], phase: str = "") -> SortieRow:
        """Power and heat up to now, and a line of the log."""
        lockstep = self.lockstep
        truth = lockstep.world.truth(lockstep.robot)
        pose: FloatArray = se3.make_transform(truth.position_m, truth.quat_wxyz)
        state = self.power.step(self.time_s, pose, 0.0)
        self._state, self._logged_s = state, self.time_s
        status = lockstep.flight.status
        standing = "standing" if status is None else status.phase.value
        x, y, z = (float(v) for v in truth.position_m)
        row = SortieRow(
            self.time_s, phase or standing, x, y, z,
            lockstep.world.hopper(lockstep.robot).engines.propellant_kg, state.charge,
            state.box_k, state.light.share, state.battery_w, state.loads_w.get(SCIENCE, 0.0),
        )  # fmt: skip
        self.rows.append(row)
        tell(row)
        return row

    def _spent_j(self) -> float:
        """Out of the battery so far, by the log."""
        if len(self.rows) < 2:
            return 0.0
        time = np.array([row.time_s for row in self.rows])
        out = np.array([max(-row.battery_w, 0.0) for row in self.rows])
        return float(np.sum(out[1:] * np.diff(time)))

    def _instruments(self, on: bool) -> None:
        loads = dict(self._model.power.loads_w)
        if not on:
            loads[SCIENCE] = 0.0
        self.power.model = replace(self._model, power=replace(self._model.power, loads_w=loads))
