"""Drive to a goal: plan on the costmap, track the path, replan, recover, give up truthfully."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.ground_ahead import Ahead
from ilrs_robots.core.control.navigator_types import (
    NavigatorConfig,
    NavigatorError,
    NavigatorOutput,
    NavigatorState,
)
from ilrs_robots.core.control.progress import DrivenTrack
from ilrs_robots.core.control.recovery import Recovery
from ilrs_robots.core.control.route import RoutePlanner
from ilrs_robots.core.control.terrain_memory import PriorTerrain, TerrainMemory
from ilrs_robots.core.control.tracker import PathTracker
from ilrs_robots.core.control.watchdog import Trouble, Watchdog
from ilrs_robots.core.errors import ConfigError, PlanningError
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.planning import costmap as costmap_module
from ilrs_robots.core.planning import grid_planner
from ilrs_robots.core.planning.costmap import NavigationCostmap
from ilrs_robots.core.planning.grid_planner import PlannedPath
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

__all__ = [
    "Navigator",
    "NavigatorConfig",
    "NavigatorError",
    "NavigatorOutput",
    "NavigatorState",
    "warm_up",
]

_NS = 1e-9
_GOAL_LOOKS = 1
_FINAL = (NavigatorState.IDLE, NavigatorState.REACHED, NavigatorState.FAILED)


class Navigator:
    """The behaviour behind a goal, without ROS and without a clock of its own.

    Call ``on_traversability`` for every grid and ``step`` at 10 Hz or faster. Same calls, same
    answers.
    """

    def __init__(
        self, config: NavigatorConfig, limits: VehicleLimits, prior: PriorTerrain | None = None
    ) -> None:
        """Start idle.

        Args:
            config: see NavigatorConfig.
            limits: of the ground, with the footprint.
            prior: orbital terrain in the map frame, or None.
        """
        self.config = config
        self.limits = limits
        self._ground = TerrainMemory(config, limits, prior)
        self._tracker = PathTracker(config.tracker)
        self._track = DrivenTrack()
        self._watchdog = Watchdog(config, 0.5 * limits.footprint_length_m)
        self._recovery = Recovery(config)
        self._route = RoutePlanner(config)
        self._plan: PlannedPath | None = None
        self._goal: tuple[float, float, float | None] | None = None
        self._state, self._reason = NavigatorState.IDLE, ""
        self._error = NavigatorError.NONE
        self._now_ns = self._goal_looks = 0
        self._goal_ns: int | None = None
        self._viewed_ns = self._planned_ns = -(1 << 62)

    @property
    def state(self) -> NavigatorState:
        """State now."""
        return self._state

    @property
    def costmap(self) -> NavigationCostmap | None:
        """The map that is planned on; None before the first goal."""
        return self._ground.costmap

    def set_goal(self, x: float, y: float, yaw: float | None = None) -> None:
        """Take a new goal in the map frame; an earlier one is dropped.

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
        self._goal_ns = None
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
            held: something else keeps the vehicle from moving (emergency stop, teleop); time then
                does not count as being stuck.
        """
        if now_ns < self._now_ns:
            self._rewind(now_ns)
        self._now_ns = now_ns
        if self._state in _FINAL or self._goal is None:
            return self._output(0.0, 0.0)
        if not all(map(math.isfinite, (x, y, yaw, v))):
            self._reason = "pose is not finite"
            return self._output(0.0, 0.0)
        if self._state != NavigatorState.RECOVERING:
            self._track.add(x, y)
        if not self._ready(x, y):
            return self._output(0.0, 0.0)
        if self._state == NavigatorState.RECOVERING:
            v_out, w_out = self._recover_step(x, y, yaw, v, held)
        else:
            v_out, w_out = self._drive_step(x, y, yaw, v, held)
        return self._output(v_out, w_out)

    def _forget(self) -> None:
        self._goal, self._plan, self._reason = None, None, ""
        self._error = NavigatorError.NONE
        self._planned_ns, self._goal_looks = -(1 << 62), 0
        self._tracker.clear()
        self._watchdog.reset()
        self._recovery.reset()
        self._route.reset()
        self._ground.open_marks()

    def _rewind(self, now_ns: int) -> None:
        """Time went back: a simulation was reset, so what was seen and driven is void."""
        goal = self._goal
        self._ground.forget()
        self._track.clear()
        active = self._state not in _FINAL
        self._forget()
        self._goal, self._goal_ns = goal, None
        self._viewed_ns = -(1 << 62)
        if active:
            self._state = NavigatorState.PLANNING

    def _ready(self, x: float, y: float) -> bool:
        """Have a costmap that holds vehicle and goal, and a fresh look at it."""
        if self._ground.empty:
            self._reason = "waiting for the first terrain map"
            self._goal_ns = self._now_ns if self._goal_ns is None else self._goal_ns
            if (self._now_ns - self._goal_ns) * _NS > self.config.map_wait_s:
                self._fail(
                    NavigatorError.NO_MAP,
                    f"no terrain map came within {self.config.map_wait_s:.1f} s",
                )
            return False
        if self._plan is None and self._goal is not None:
            try:
                self._ground.prepare(x, y, self._goal[:2])
            except (PlanningError, ConfigError) as error:
                self._fail(NavigatorError.GOAL_OUTSIDE_MAP, str(error))
                return False
        due = (self._now_ns - self._viewed_ns) * _NS >= self.config.refresh_s
        if self._ground.view is None or (self._ground.fresh and due):
            self._look()
        return True

    def _look(self) -> None:
        self._ground.look()
        self._viewed_ns = self._now_ns

    def _drive_step(
        self, x: float, y: float, yaw: float, v: float, held: bool
    ) -> tuple[float, float]:
        ahead = self._ground.ahead(self._tracker.path, x, y)
        if self._replan_when_due(x, y, yaw, ahead):
            ahead = self._ground.ahead(self._tracker.path, x, y)
        view = self._ground.view
        if ahead is None or view is None:
            self._handle(x, y, self._watchdog.without_plan(self._now_ns, self._reason, held))
            return 0.0, 0.0
        clear_m = min(ahead.closed_m, ahead.seen_m - 0.5 * self.limits.footprint_length_m)
        near_m = view.obstacle_distance_m(x, y)
        v_out, w_out, status = self._tracker.command(x, y, yaw, v, clear_m, near_m)
        self._state, self._reason = NavigatorState.DRIVING, status.reason
        if status.done:
            self._arrive(x, y)
            return 0.0, 0.0
        trouble = self._watchdog.driving(
            self._now_ns, (x, y, yaw), (v_out, w_out), ahead, status.remaining_m, held
        )
        self._handle(x, y, trouble)
        return (v_out, w_out) if trouble is None else (0.0, 0.0)

    def _replan_when_due(self, x: float, y: float, yaw: float, ahead: Ahead | None) -> bool:
        """Plan anew if it is time; whether the path was replaced."""
        since_s = (self._now_ns - self._planned_ns) * _NS
        blocked = ahead is not None and math.isfinite(ahead.closed_m)
        pressing = blocked or self._plan is None
        wait_s = self.config.replan_blocked_s if pressing else self.config.replan_better_s
        if since_s < wait_s:
            return False
        self._planned_ns = self._now_ns
        self._look()
        costmap, path = self._ground.costmap, self._tracker.path
        if self._goal is None or costmap is None:
            return False
        if ahead is not None and blocked:
            self._route.note_closed(self._now_ns, *ahead.end_xy_m)
        previous = None if path is None or self._plan is None else path.ahead()
        try:
            plan = self._route.plan(self._now_ns, costmap, (x, y, yaw), self._goal[:2], previous)
        except PlanningError as error:
            self._plan, self._reason = None, str(error)
            self._tracker.clear()
            return True
        if plan.kept and self._plan is not None:
            return False
        self._plan = plan
        self._tracker.set_path(plan.xy_m, self._goal[2] if plan.reached else None)
        return True

    def _handle(self, x: float, y: float, trouble: Trouble | None) -> None:
        """Begin a recovery, or give up when there were too many."""
        if trouble is None:
            return
        if not self._recovery.begin(self._now_ns, x, y, trouble):
            code = NavigatorError.NO_PROGRESS if trouble.held_up else NavigatorError.NO_VALID_PATH
            self._fail(code, f"given up after {self._recovery.total} recoveries: {trouble.cause}")
            return
        self._state, self._reason = NavigatorState.RECOVERING, self._recovery.reason
        self._plan = None
        self._tracker.clear()

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
            self._track.cut(x, y)
            self._state = NavigatorState.PLANNING
            self._planned_ns = -(1 << 62)
            self._watchdog.pause()
        return v_out, w_out

    def _arrive(self, x: float, y: float) -> None:
        """Reached; or, where the goal itself is closed, look again before saying so."""
        if self._plan is None or self._plan.reached:
            self._state, self._reason = NavigatorState.REACHED, ""
        elif self._goal_looks < _GOAL_LOOKS:
            self._goal_looks += 1
            self._handle(x, y, Trouble(self._plan.reason))
        else:
            self._fail(NavigatorError.GOAL_OCCUPIED, self._plan.reason)

    def _fail(self, code: NavigatorError, reason: str) -> None:
        self._state, self._error, self._reason = NavigatorState.FAILED, code, reason

    def _output(self, v: float, w: float) -> NavigatorOutput:
        path, plan = self._tracker.path, self._plan
        left = np.zeros((0, 2)) if path is None else path.ahead()
        remaining_m = 0.0 if path is None else path.length_m - path.progress_m
        eta_s = 0.0
        if plan is not None and plan.length_m > 0.0 and math.isfinite(plan.cost_s):
            eta_s = plan.cost_s * remaining_m / plan.length_m
        said = (self._state, self._reason, self._error)
        return NavigatorOutput(v, w, *said, left, remaining_m, eta_s, self._recovery.total)


def warm_up() -> None:
    """Compile every kernel that navigation uses."""
    grid_planner.warm_up()
    costmap_module.warm_up()
