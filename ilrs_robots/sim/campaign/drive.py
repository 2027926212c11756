"""One run: the world of a seed, the all-knowing planner's word, a drive in lock-step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ilrs_robots.core.control.navigator import NavigatorOutput
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.geometry.se3 import quat_rotate
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.sim.campaign import outcome as word
from ilrs_robots.sim.campaign.config import CampaignConfig
from ilrs_robots.sim.campaign.outcome import RunResult
from ilrs_robots.sim.campaign.worlds import World, make_world
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.errors import SimulationError
from ilrs_robots.sim.lockstep import Lockstep, LockstepProgress, LockstepResult

SIM = SimConfig(rock_pool=96)
"""Where rocks cover a fifth of the ground there are many of them under a vehicle."""

_TIPPED_RAD = math.radians(50.0)
"""Tilt of the body beyond which it does not come back."""
_THIN_M = 0.2
_UP = np.array([0.0, 0.0, 1.0])
_WORDS = {"reached": word.REACHED, "failed": word.REFUSED, "timeout": word.TIMEOUT}


class _TippedError(Exception):
    """The vehicle lies on its side."""


class _Observer:
    """Looks at the truth while the vehicle drives."""

    def __init__(self, run: Lockstep, model: RobotModel, each_second: Callable[[float], None]):
        self._run, self._clearance_m = run, model.body.clearance_m
        self._each_second, self._second = each_second, 0
        self.tall: set[tuple[float, float]] = set()
        self.tallest_m = 0.0
        self.navigation: NavigatorOutput | None = None
        self.time_s = 0.0
        self.track: list[FloatArray] = []

    def look(self, progress: LockstepProgress) -> None:
        """Note touches and place; raise when it has tipped over."""
        self.time_s, self.navigation = progress.time_s, progress.state.navigation
        position = progress.truth.position_m[:2]
        if not self.track or np.hypot(*(position - self.track[-1])) >= _THIN_M:
            self.track.append(position.copy())
        for x, y, height_m in self._run.world.touched_rocks(self._run.robot):
            self.tallest_m = max(self.tallest_m, float(height_m))
            if height_m > self._clearance_m:
                self.tall.add((round(float(x), 3), round(float(y), 3)))
        if quat_rotate(progress.truth.quat_wxyz, _UP)[2] < math.cos(_TIPPED_RAD):
            raise _TippedError
        if int(progress.time_s) > self._second:
            self._second = int(progress.time_s)
            self._each_second(progress.time_s)


def drive_world(
    seed: int,
    config: CampaignConfig,
    each_second: Callable[[float], None] = lambda _time_s: None,
) -> RunResult:
    """Make the world of a seed and drive in it.

    Args:
        seed: of the world and of the sensors' noise.
        config: what worlds are like.
        each_second: called with the simulated time.

    Raises:
        IlrsError: there is no such world.
    """
    begin = time.monotonic()
    world = make_world(seed, config)
    model = world.site.robots[0].load_model()
    reference = world.ground.solve(world.start_xy_m, world.goal_xy_m)
    facts = RunResult(
        seed,
        word.ERROR,
        reference=reference.kind,
        reference_m=reference.length_m,
        reference_reason=reference.reason,
        side_m=world.side_m,
        cover=world.cover,
        tilt_deg=world.tilt_deg,
        straight_m=float(np.hypot(*(world.goal_xy_m - world.start_xy_m))),
        start_xy_m=_rounded(world.start_xy_m),
        goal_xy_m=_rounded(world.goal_xy_m),
        reference_xy_m=[_rounded(xy) for xy in reference.path_xy_m],
    )
    run = Lockstep(world.site, world.terrain, config.robot, seed, SIM)
    observer = _Observer(run, model, each_second)
    try:
        done = _driven(run, world, config, observer)
        touches = run.world.evaluation(config.robot).body_contacts
    finally:
        run.world.close()
    out = observer.navigation
    return replace(
        facts,
        **done,
        wall_s=time.monotonic() - begin,
        body_touches=touches,
        driven_m=_length_m(observer.track),
        recoveries=0 if out is None else out.recoveries,
        error_code=0 if out is None else int(out.error_code),
        tallest_touched_m=observer.tallest_m,
        rocks_over_clearance=len(observer.tall),
        track_xy_m=[_rounded(xy) for xy in observer.track],
    )


def _driven(
    run: Lockstep, world: World, config: CampaignConfig, observer: _Observer
) -> dict[str, object]:
    """Drive; what the result says of it."""
    goal = (float(world.goal_xy_m[0]), float(world.goal_xy_m[1]))
    try:
        return _fields(run.drive(goal, config.duration_s, observer.look), config)
    except PlanningError as error:
        return {"outcome": word.REFUSED, "reason": str(error)}
    except _TippedError:
        sentence = f"tilted by more than {math.degrees(_TIPPED_RAD):.0f} deg"
        return {"outcome": word.TIPPED, "reason": sentence, "time_s": observer.time_s}
    except SimulationError as error:
        return {"outcome": word.ERROR, "reason": str(error), "time_s": observer.time_s}


def _fields(result: LockstepResult, config: CampaignConfig) -> dict[str, object]:
    outcome, reason = _WORDS[result.outcome], result.reason
    if outcome == word.REACHED and result.goal_error_m > config.goal_tolerance_m:
        outcome = word.ASTRAY
        reason = (
            f"says it has arrived, but stands {result.goal_error_m:.2f} m from the goal, limit "
            f"{config.goal_tolerance_m:.2f} m"
        )
    return {
        "outcome": outcome,
        "reason": reason,
        "time_s": result.time_s,
        "goal_error_m": result.goal_error_m,
        "pose_error_m": result.pose_error_m,
        "worst_roll_deg": math.degrees(result.worst_roll_rad),
        "worst_pitch_deg": math.degrees(result.worst_pitch_rad),
        "digest": result.digest,
    }


def _length_m(track: list[FloatArray]) -> float:
    if len(track) < 2:
        return 0.0
    return float(np.hypot(*np.diff(np.array(track), axis=0).T).sum())


def _rounded(xy_m: FloatArray) -> list[float]:
    return [round(float(v), 3) for v in xy_m]
