"""Drive to a goal: plan on the costmap, track the path, replan, recover, give up truthfully."""

from __future__ import annotations

import math

from ilrs_robots.core.control import local_driver
from ilrs_robots.core.control.extrication import Extrication
from ilrs_robots.core.control.local_control import LocalControl
from ilrs_robots.core.control.navigator_inputs import NavigatorInputs
from ilrs_robots.core.control.navigator_types import (
    NavigatorConfig,
    NavigatorError,
    NavigatorOutput,
    NavigatorState,
)
from ilrs_robots.core.control.path_keeper import PathKeeper
from ilrs_robots.core.control.progress import DrivenTrack
from ilrs_robots.core.control.recovery import Recovery
from ilrs_robots.core.control.refusal import RefusalWatch
from ilrs_robots.core.control.supply import HeldWatch, MapWatch
from ilrs_robots.core.control.terrain_memory import PriorTerrain, TerrainMemory
from ilrs_robots.core.control.watchdog import Trouble, Watchdog
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning import costmap as costmap_module
from ilrs_robots.core.planning import grid_planner
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

__all__ = [
    "Navigator",
    "NavigatorConfig",
    "NavigatorError",
    "NavigatorOutput",
    "NavigatorState",
    "warm_up",
]

_GOAL_LOOKS = 1
_FINAL = (NavigatorState.IDLE, NavigatorState.REACHED, NavigatorState.FAILED)


class Navigator(NavigatorInputs):
    """The behaviour behind a goal, without ROS and without a clock of its own.

    Call ``on_traversability`` for every grid and ``step`` at 10 Hz or faster. Same calls, same
    answers.
    """

    def __init__(
        self,
        config: NavigatorConfig,
        limits: VehicleLimits,
        prior: PriorTerrain | None = None,
        footing: Footing | None = None,
    ) -> None:
        """Start idle.

        Args:
            config: see NavigatorConfig.
            limits: of the ground, with the footprint.
            prior: orbital terrain in the map frame, or None.
            footing: how the vehicle stands; None drives by the tracker alone.
        """
        self.config = config
        self.limits = limits
        super().__init__(
            HeldWatch(),
            RefusalWatch(0.5 * limits.footprint_length_m),
            Extrication(config.entrapment, config.tracker),
            TerrainMemory(config, limits, prior),
        )
        self._path = PathKeeper(config, self._ground)
        self._track = DrivenTrack()
        self._watchdog = Watchdog(config, 0.5 * limits.footprint_length_m)
        self._recovery = Recovery(config)
        self._local = LocalControl(config, limits, footing, self._ground, self._path)
        self._maps = MapWatch()
        self._goal: tuple[float, float, float | None] | None = None
        self._state, self._reason = NavigatorState.IDLE, ""
        self._error = NavigatorError.NONE
        self._goal_looks = 0

    @property
    def state(self) -> NavigatorState:
        """State now."""
        return self._state

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters while driving; goal, path and map stay.

        Raises:
            ConfigError: the costmap or the planner would change, which shape the map in use.
        """
        for name in ("costmap", "planner"):
            if getattr(config, name) != getattr(self.config, name):
                raise ConfigError(f"{name}: cannot change while the navigator lives")
        self.config = config
        for part in (self._ground, self._path, self._watchdog, self._recovery, self._local):
            part.reconfigure(config)
        self._extrication.reconfigure(config.entrapment, config.tracker)
        self._reconfigure_meetings(config)

    def set_goal(self, x: float, y: float, yaw: float | None = None) -> None:
        """Take a new goal in the map frame; an earlier one is dropped.

        Args:
            x: metres.
            y: metres.
            yaw: rad, or None for any.

        Raises:
            PlanningError: the goal is not finite or outside the prior terrain; the earlier goal
                stays in force.
        """
        for name, value in (("x", x), ("y", y), ("yaw", 0.0 if yaw is None else yaw)):
            if not math.isfinite(value):
                raise PlanningError(f"goal {name} = {value}: not finite")
        self._ground.check_goal(x, y)
        self._forget()
        self._goal = (x, y, yaw)
        self._state = NavigatorState.PLANNING

    def cancel(self) -> None:
        """Drop the goal and stop."""
        self._forget()
        self._state = NavigatorState.IDLE

    def on_traversability(
        self, cost: Float32Array, spec_odom: GridSpec, T_map_odom: FloatArray, stamp_ns: int
    ) -> None:
        """Take a traversability grid, not inflated.

        Args:
            cost: (rows, cols) float32, 0 to 1, 1 closed, NaN unknown.
            spec_odom: its grid in odom.
            T_map_odom: (4, 4).
            stamp_ns: time of its data; the age is judged by the command gate.
        """
        self._ground.observe(cost, spec_odom, T_map_odom)
        self._maps.came()

    def step(
        self, now_ns: int, x: float, y: float, yaw: float, v: float, held: bool = False
    ) -> NavigatorOutput:
        """Decide what to do now.

        Args:
            now_ns: time of the stamps.
            x: metres, map.
            y: metres, map.
            yaw: rad, map.
            v: forward speed, m/s.
            held: something else keeps the vehicle from moving (emergency stop, teleop), besides
                what ``on_given`` tells; time then does not count as being stuck.
        """
        if now_ns < self._now_ns:
            self._rewind()
        self._now_ns = now_ns
        self._maps.step(now_ns)
        v_out, w_out = self._decide(x, y, yaw, v, held or self.held)
        self._hold.on_asked(now_ns, v_out, w_out)
        self._tell_way(None if self._state in _FINAL else self._path.tracker.path)
        left, remaining_m, eta_s = self._path.left()
        said = (self._state, self._reason, self._error, left, remaining_m, eta_s)
        return NavigatorOutput(v_out, w_out, *said, self._recovery.total + self._extrication.count)

    def _decide(self, x: float, y: float, yaw: float, v: float, held: bool) -> tuple[float, float]:
        if self._state in _FINAL or self._goal is None:
            return 0.0, 0.0
        if not all(map(math.isfinite, (x, y, yaw, v))):
            self._reason = "pose is not finite"
            return 0.0, 0.0
        if (final := self._refusal.final(self.config, self._now_ns)) is not None:
            self._fail(*final)
            return 0.0, 0.0
        if self._state != NavigatorState.RECOVERING:
            self._track.add(x, y)
        if not self._ready(x, y):
            return 0.0, 0.0
        freeing = self._free(x, y, yaw, v)
        if freeing is not None:
            return freeing
        if self._state == NavigatorState.RECOVERING:
            return self._recover_step(x, y, yaw, v, held)
        return self._drive_step(x, y, yaw, v, held)

    def _forget(self) -> None:
        self._goal, self._reason = None, ""
        self._error = NavigatorError.NONE
        self._goal_looks = 0
        self._track.begin()
        self._path.reset()
        self._watchdog.reset()
        self._recovery.reset()
        self._extrication.reset()
        self._maps.came()
        self._ground.open_marks()
        self._end_meetings()

    def _rewind(self) -> None:
        """Time went back: a simulation was reset, so what was seen and driven is void."""
        goal, active = self._goal, self._state not in _FINAL
        self._ground.forget()
        self._local.forget()
        self._track.clear()
        self._hold.reset()
        self._extrication.rewind()
        self._forget()
        self._goal = goal
        if active:
            self._state = NavigatorState.PLANNING

    def _ready(self, x: float, y: float) -> bool:
        """Have a costmap that holds vehicle and goal, and a fresh look at it."""
        limit_s = self.config.map_wait_s
        if self._maps.without_s > limit_s:
            came = "came within" if self._ground.empty else "has come for"
            self._fail(NavigatorError.NO_MAP, f"no terrain map {came} {limit_s:.1f} s")
            return False
        if self._ground.empty:
            self._reason = "waiting for the first terrain map"
            return False
        if self._path.plan is None and self._goal is not None:
            try:
                self._ground.prepare(x, y, self._goal[:2])
            except (PlanningError, ConfigError) as error:
                self._fail(NavigatorError.GOAL_OUTSIDE_MAP, str(error))
                return False
        self._ground.refresh(self._now_ns)
        return True

    def _drive_step(
        self, x: float, y: float, yaw: float, v: float, held: bool
    ) -> tuple[float, float]:
        ahead = self._local.look(self._now_ns, x, y)
        assert self._goal is not None
        if self._path.renew(self._now_ns, (x, y, yaw), self._goal, ahead):
            ahead = self._local.look(self._now_ns, x, y)
        view, met = self._ground.view, self._meet((x, y, yaw), v, self._path.tracker.path)
        if met.given_up:
            self._fail(NavigatorError.VEHICLE_IN_WAY, met.given_up)
            return 0.0, 0.0
        if in_vain := self._path.in_vain(self._track.driven_m):
            self._fail(NavigatorError.NO_VALID_PATH, in_vain)
            return 0.0, 0.0
        if met.drive is not None:
            self._state, self._reason = NavigatorState.DRIVING, met.sentence
            self._watchdog.pause()
            return met.drive
        held |= bool(met.sentence)
        if ahead is None or view is None:
            self._reason = self._path.reason or self._reason
            self._handle(x, y, self._watchdog.without_plan(self._now_ns, self._reason, held))
            return 0.0, 0.0
        seen_m = ahead.seen_m - 0.5 * self.limits.footprint_length_m
        clear_m = min(ahead.closed_m, seen_m, met.stop_m)
        near_m = view.obstacle_distance_m(x, y)
        v_out, w_out, status = self._path.tracker.command(x, y, yaw, v, clear_m, near_m)
        self._state, self._reason = NavigatorState.DRIVING, status.reason
        if status.done:
            self._arrive(x, y)
            return 0.0, 0.0
        tracked, pose, turn = (v_out, w_out), (x, y, yaw), status.turn_rad
        limit_s = 0.5 * self.config.wait_s
        v_out, w_out = self._local.command(self._now_ns, pose, v, tracked, clear_m, turn)
        self._reason = met.sentence or self._local.reason or self._reason
        trouble = self._refusal.trouble(self._now_ns, pose, v_out > 0.0, limit_s)
        trouble = trouble or self._watchdog.driving(
            self._now_ns, pose, (v_out, w_out), ahead, status.remaining_m, held,
            self._ground.visited_m2,
        )  # fmt: skip
        self._handle(x, y, trouble)
        return (v_out, w_out) if trouble is None else (0.0, 0.0)

    def _handle(self, x: float, y: float, trouble: Trouble | None) -> None:
        """Begin a recovery, or give up when there were too many."""
        if trouble is None:
            return
        if not self._recovery.begin(self._now_ns, x, y, trouble):
            code = NavigatorError.NO_PROGRESS if trouble.held_up else NavigatorError.NO_VALID_PATH
            self._fail(code, f"given up after {self._recovery.total} recoveries: {trouble.cause}")
            return
        self._state, self._reason = NavigatorState.RECOVERING, self._recovery.reason
        self._path.drop()

    def _free(self, x: float, y: float, yaw: float, v: float) -> tuple[float, float] | None:
        """What a vehicle does whose wheels turn in vain; None where they do not."""
        if (answer := self._extrication.step(self._now_ns, (x, y, yaw, v), self._track)) is None:
            return None
        if answer.lost:
            self._fail(NavigatorError.TRAPPED, answer.reason)
            return 0.0, 0.0
        self._state, self._reason = NavigatorState.RECOVERING, answer.reason
        self._path.drop()
        if answer.bad_xy_m is not None and self._ground.costmap is not None:
            radius_m = self.config.entrapment.mark_radius_m
            self._ground.costmap.mark_disc(*answer.bad_xy_m, radius_m)
            self._resume(x, y)
        return answer.v, answer.w

    def _resume(self, x: float, y: float) -> None:
        """Plan anew after a recovery."""
        self._track.cut(x, y)
        self._state = NavigatorState.PLANNING
        self._path.hurry()
        self._watchdog.pause()
        self._refusal.pause()

    def _recover_step(
        self, x: float, y: float, yaw: float, v: float, held: bool
    ) -> tuple[float, float]:
        costmap = self._ground.costmap
        if costmap is None:
            return 0.0, 0.0
        v_out, w_out, over = self._recovery.step(
            self._now_ns, (x, y, yaw, v), self._track, costmap, held
        )
        self._reason = self._recovery.reason
        if over:
            self._resume(x, y)
        return v_out, w_out

    def _arrive(self, x: float, y: float) -> None:
        """Reached; or, where the goal itself is closed, look again before saying so.

        A path that ends beside a closed goal, but within the tolerance of it, has reached it.
        """
        assert self._goal is not None
        plan, near_m = self._path.plan, self.config.tracker.goal_tolerance_m
        if plan is None or plan.reached or self._path.ends_within_m(*self._goal[:2], near_m):
            self._state, self._reason = NavigatorState.REACHED, ""
        elif self._goal_looks < _GOAL_LOOKS:
            self._goal_looks += 1
            self._handle(x, y, Trouble(plan.reason))
        else:
            self._fail(NavigatorError.GOAL_OCCUPIED, plan.reason)

    def _fail(self, code: NavigatorError, reason: str) -> None:
        self._state, self._error, self._reason = NavigatorState.FAILED, code, reason


def warm_up() -> None:
    """Compile every kernel that navigation uses."""
    grid_planner.warm_up()
    costmap_module.warm_up()
    local_driver.warm_up()
