"""A hopper in the embedded world with its own executive, in one process: deterministic by seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import OdometryEstimate
from ilrs_robots.robots.hop_clock import Sample
from ilrs_robots.robots.hop_flight import HopFlight
from ilrs_robots.robots.hop_flight_types import FlightPhase, HopFlightConfig, HopStatus
from ilrs_robots.robots.model import RobotModel, require_hopper
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.evaluation import HopperEvaluation
from ilrs_robots.sim.terrain import Terrain
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

Alter = Callable[[str, Sample], Sample | None]
"""Topic and sample as they leave the sensor: the sample as it arrives, or None for lost."""


@dataclass(frozen=True)
class HopResult:
    """How a hop truly went.

    Attributes:
        status: what the executive says.
        time_s: simulated seconds of the whole.
        miss_m: true horizontal distance from the place last chosen on its own map, as that map
            lay over the ground when it chose.
        goal_miss_m: true horizontal distance to the goal.
        pose_error_m: horizontal error of its own pose at the end.
        down_mps: true speed down at first contact.
        side_mps: true speed sideways then.
        lean_rad: true lean at the end.
        tipped: whether it fell over.
        body_touches: how often the body met ground or rock.
        propellant_kg: burnt.
        apex_m: highest true z.
    """

    status: HopStatus
    time_s: float
    miss_m: float
    goal_miss_m: float
    pose_error_m: float
    down_mps: float
    side_mps: float
    lean_rad: float
    tipped: bool
    body_touches: int
    propellant_kg: float
    apex_m: float


class HopLockstep:
    """One hopper, its world and its executive.

    Args:
        terrain: true ground and rocks.
        prior: the ground as known from orbit.
        robot: the vehicle and where it starts.
        seed: of sensors, thrusters and their errors.
        cfg: of the executive.
        config: of the world.
        alter: lets tests lose or change samples.

    Attributes:
        world: physics and sensors.
        flight: the executive.
        mute: whether the flight computer's commands no longer reach the thrusters.
    """

    def __init__(
        self, terrain: Terrain, prior: Dem, robot: SimRobot, seed: int,
        cfg: HopFlightConfig | None = None, config: SimConfig | None = None,
        alter: Alter | None = None,
    ) -> None:  # fmt: skip
        model: RobotModel = robot.model
        self.robot = robot.name
        self.world = EmbeddedWorld(terrain, [robot], seed, config)
        height = float(prior.height(np.array([[robot.x_m, robot.y_m]]))[0])
        truth = self.world.truth(robot.name)
        pose = se3.make_transform(truth.position_m, truth.quat_wxyz)
        pose[2, 3] = height
        self.flight = HopFlight(require_hopper(model, "a hop"), robot.name, pose, prior, cfg)
        self.alter, self.mute = alter, False
        self._touched: OdometryEstimate | None = None
        self._apex_m = -np.inf
        self._chosen_m = self._decided_drift = np.full(3, np.nan)

    def step(self) -> HopperEvaluation:
        """One exchange period: physics, sensors, executive, thrusters."""
        self.world.look(self.robot, self.flight.looks)
        for event in self.world.step():
            sample: Sample | None = event.payload
            if self.alter is not None and sample is not None:
                sample = self.alter(event.topic, sample)
            if sample is not None:
                self.flight.feed(sample, self.world.time_ns)
        command = self.flight.step(self.world.time_ns)
        if command is not None and not self.mute:
            self.world.thrust(self.robot, command, self.flight.localization.estimate())
        seen = self.world.evaluation(self.robot)
        assert isinstance(seen, HopperEvaluation)
        return seen

    def hop(
        self, goal_xy_m: tuple[float, float], duration_s: float,
        each: Callable[[HopLockstep], None] = lambda _self: None,
    ) -> HopResult:  # fmt: skip
        """Stand for a moment, then hop to a goal; ends with the executive's outcome or with time.

        Raises:
            HopRefusedError: the executive does not plan it.
        """
        seen = self.step()
        began, held = self.world.time_ns, seen.propellant_kg
        self._touched, self._apex_m = None, -np.inf
        status = self.flight.set_goal(*goal_xy_m, self.world.time_ns)
        before = self.world.truth(self.robot)
        while status.outcome is None and self.world.time_ns - began < duration_s * 1e9:
            flying = status.phase in (FlightPhase.DESCENT, FlightPhase.SENSE, FlightPhase.CRUISE)
            seen = self.step()
            truth = self.world.truth(self.robot)
            self._watch_choice(status, truth)
            self._apex_m = max(self._apex_m, float(truth.position_m[2]))
            if self._touched is None and flying and (seen.feet_down or seen.body_touching):
                self._touched = before
            before = truth
            each(self)
        return self._result(status, seen, held, (self.world.time_ns - began) * 1e-9)

    def _watch_choice(self, status: HopStatus, truth: OdometryEstimate) -> None:
        """Where its own map was wrong by when it last chose a place on it."""
        chosen = status.chosen_m[:2]
        if status.phase is FlightPhase.SENSE or not np.array_equal(chosen, self._chosen_m[:2]):
            self._chosen_m = status.chosen_m.copy()
            self._decided_drift = self.flight.localization.state.position_m - truth.position_m

    def _result(
        self, status: HopStatus, seen: HopperEvaluation, held_kg: float, time_s: float
    ) -> HopResult:
        truth = self.world.truth(self.robot)
        own = self.flight.localization.state.position_m
        touch = self._touched or truth
        speed = se3.quat_rotate(touch.quat_wxyz, touch.linear_mps)
        drift = own - truth.position_m
        away = truth.position_m + self._decided_drift - status.chosen_m
        up = se3.quat_rotate(truth.quat_wxyz, np.array([0.0, 0.0, 1.0]))
        return HopResult(
            status=status,
            time_s=time_s,
            miss_m=float(np.hypot(*away[:2])),
            goal_miss_m=float(np.hypot(*(truth.position_m - status.goal_m)[:2])),
            pose_error_m=float(np.hypot(*drift[:2])),
            down_mps=float(-speed[2]),
            side_mps=float(np.hypot(*speed[:2])),
            lean_rad=float(np.arccos(np.clip(up[2], -1.0, 1.0))),
            tipped=seen.tipped,
            body_touches=seen.body_contacts,
            propellant_kg=held_kg - seen.propellant_kg,
            apex_m=self._apex_m,
        )
