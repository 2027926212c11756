"""Simulator and core in one process, without DDS: deterministic to the byte for a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.control.navigator import NavigatorState
from ilrs_robots.core.types import FloatArray, IntArray, OdometryEstimate
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.pipeline import PipelineState, RobotPipeline
from ilrs_robots.robots.site import SiteConfig, SiteTerrain
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.marks import MarkSensors
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

_MARKS = 77
"""Generator of the noise of Sun and ranges."""
ENDED = (NavigatorState.REACHED, NavigatorState.FAILED)


@dataclass(frozen=True)
class LockstepProgress:
    """The state after one exchange period."""

    time_s: float
    truth: OdometryEstimate
    state: PipelineState


@dataclass(frozen=True)
class LockstepResult:
    """How a run ended.

    Attributes:
        outcome: ``reached``, ``failed`` or ``timeout``, in the robot's own word.
        reason: a sentence where it failed.
        time_s: simulated seconds.
        goal_error_m: true horizontal distance to the goal at the end.
        pose_error_m: largest horizontal error of the robot's own pose.
        driven_m: true length of the path.
        worst_roll_rad: largest true roll.
        worst_pitch_rad: largest true pitch.
        stamps_ns: (N,) of the samples below.
        truth_m: (N, 3) true positions in ``map``.
        estimate_m: (N, 3) positions in ``map`` as the robot believed them.
        digest: hash of world, map and pose.
    """

    outcome: str
    reason: str
    time_s: float
    goal_error_m: float
    pose_error_m: float
    driven_m: float
    worst_roll_rad: float
    worst_pitch_rad: float
    stamps_ns: IntArray
    truth_m: FloatArray
    estimate_m: FloatArray
    digest: str


class Lockstep:
    """One vehicle of a site in the embedded simulator, driven by its own pipeline."""

    def __init__(
        self,
        site: SiteConfig,
        terrain: SiteTerrain,
        robot: str,
        seed: int,
        config: SimConfig | None = None,
    ) -> None:
        placement = site.robot(robot)
        model = placement.load_model()
        self.robot = robot
        self.world = EmbeddedWorld(
            terrain.surface,
            [SimRobot(robot, model, placement.x_m, placement.y_m, placement.yaw_rad)],
            seed,
            config,
        )
        marks = KnownMarks(site, terrain.prior, model)
        self.pipeline = RobotPipeline(placement, model, terrain.prior, marks)
        self._marks = MarkSensors(site, terrain.surface, terrain.prior, model, [seed, _MARKS])

    def step(self) -> LockstepProgress:
        """One exchange period: physics, sensors, core, command."""
        for event in self.world.step():
            self.pipeline.feed(event.payload)
        for sample in self._marks.sense(self.world.truth(self.robot)):
            self.pipeline.feed(sample)
        command = self.pipeline.step(self.world.time_ns)
        if command is not None:
            self.world.command(self.robot, command)
        return LockstepProgress(
            self.world.time_ns * 1e-9, self.world.truth(self.robot), self.pipeline.state
        )

    def drive(
        self,
        goal_xy_m: tuple[float, float],
        duration_s: float,
        on_progress: Callable[[LockstepProgress], None] = lambda _p: None,
    ) -> LockstepResult:
        """Drive to a goal in ``map`` until it is reached, refused or time is up.

        Raises:
            PlanningError: the goal is not a place in the map.
        """
        self.pipeline.navigation.navigator.set_goal(*goal_xy_m, None)
        stamps: list[int] = []
        truths: list[OdometryEstimate] = []
        estimates: list[FloatArray] = []
        outcome, reason = "timeout", f"not reached within {duration_s:.0f} s"
        while self.world.time_ns < duration_s * 1e9:
            progress = self.step()
            on_progress(progress)
            if progress.state.odometry is not None:
                stamps.append(self.world.time_ns)
                truths.append(progress.truth)
                estimates.append(self.pipeline.T_map_base()[:3, 3])
            output = progress.state.navigation
            if output is not None and output.state in ENDED:
                outcome, reason = output.state.value, output.reason
                break
        return self._result(outcome, reason, goal_xy_m, stamps, truths, estimates)

    def _result(
        self,
        outcome: str,
        reason: str,
        goal_xy_m: tuple[float, float],
        stamps: list[int],
        truths: list[OdometryEstimate],
        estimates: list[FloatArray],
    ) -> LockstepResult:
        truth = np.array([t.position_m for t in truths]).reshape(-1, 3)
        quats = np.array([t.quat_wxyz for t in truths]).reshape(-1, 4)
        estimate = np.array(estimates).reshape(-1, 3)
        w, x, y, z = quats.T
        roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
        pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
        error = np.linalg.norm((truth - estimate)[:, :2], axis=1)
        goal_error = np.linalg.norm(truth[-1, :2] - np.array(goal_xy_m))
        return LockstepResult(
            outcome=outcome,
            reason=reason,
            time_s=self.world.time_ns * 1e-9,
            goal_error_m=float(goal_error),
            pose_error_m=float(error.max()),
            driven_m=float(np.linalg.norm(np.diff(truth, axis=0), axis=1).sum()),
            worst_roll_rad=float(np.abs(roll).max()),
            worst_pitch_rad=float(np.abs(pitch).max()),
            stamps_ns=np.array(stamps, dtype=np.int64),
            truth_m=truth,
            estimate_m=estimate,
            digest=f"{self.world.state_hash()}-{self.pipeline.digest()}",
        )
