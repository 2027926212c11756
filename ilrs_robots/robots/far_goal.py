"""A goal beyond the local map: planned as a route, driven by the navigator from point to point.

ROS-free. The navigator's map ends some hundred metres from the vehicle, and it knows nothing of
night and battery; a route knows nothing of rocks. A far goal is therefore planned over the
orbital prior, and its executive hands near goals to the navigator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.navigator import (
    Navigator,
    NavigatorError,
    NavigatorOutput,
    NavigatorState,
)
from ilrs_robots.core.control.route_executive import (
    Directive,
    ExecutiveConfig,
    RouteExecutive,
    RouteState,
)
from ilrs_robots.core.errors import IlrsError, PlanningError
from ilrs_robots.core.planning.route_types import RouteAnswer
from ilrs_robots.robots.route_worker import Plan, RouteWorker

_CLOSED = (
    NavigatorError.NO_PROGRESS, NavigatorError.START_OUTSIDE_MAP, NavigatorError.GOAL_OUTSIDE_MAP,
    NavigatorError.GOAL_OCCUPIED, NavigatorError.NO_VALID_PATH,
)  # fmt: skip
"""Why another route may lead on where a near goal was given up."""
_ENDED = (RouteState.REACHED, RouteState.FAILED)


@dataclass(frozen=True)
class FarGoalConfig:
    """Which goals are planned as routes, and how routes are followed."""

    beyond_m: float = param(
        500.0, doc="goals farther away than this are planned as routes", unit="m", low=10.0,
        high=600.0,
    )  # fmt: skip
    pass_m: float = param(
        8.0, doc="how near a point of the route within a drive counts as passed", unit="m",
        low=0.5, high=50.0,
    )  # fmt: skip
    days: float = param(3.0, doc="how far ahead a route is planned", unit="d", low=0.05, high=60.0)
    step_h: float = param(
        1.0, doc="time between a route's maps of light", unit="h", low=0.1, high=24.0
    )
    executive: ExecutiveConfig = param(ExecutiveConfig(), doc="when it is planned anew")

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class Supply:
    """What the vehicle has.

    Attributes:
        energy_wh: in the battery, NaN where nobody says.
        light: share of the Sun over it, 0 to 1, None where nobody says.
    """

    energy_wh: float = math.nan
    light: float | None = None


class FarGoal:
    """Between whoever gives a goal and the navigator; a near goal passes unchanged.

    Call ``aim`` when the navigator got a goal, ``step`` before and ``told`` after each of its
    steps, and ``drop`` when the goal is over.

    Attributes:
        settings: see FarGoalConfig.
        worker: plans.
        executive: of the route to the goal in force, or None.
    """

    def __init__(self, navigator: Navigator, plan: Plan, settings: FarGoalConfig) -> None:
        """Take the navigator that drives and the planner, which is called in a thread."""
        self._navigator, self.settings = navigator, settings
        self.worker = RouteWorker(plan)
        self._goal: tuple[float, float, float | None] | None = None
        self._looked = False
        self._recoveries = 0
        self._forget()

    def _forget(self) -> None:
        self.worker.drop()
        self.executive: RouteExecutive | None = None
        self._directive = Directive(RouteState.PLANNING)
        self._hop: tuple[float, float, float | None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether a route leads to the goal in force."""
        return self.executive is not None

    def reconfigure(self, settings: FarGoalConfig) -> None:
        """Take other parameters; a route under way is kept."""
        self.settings = settings
        if self.executive is not None:
            self.executive.settings = settings.executive

    def aim(self, x: float, y: float, yaw_rad: float | None) -> None:
        """Note the goal, in map, that the navigator was given; its way shows at the next step."""
        self.drop()
        self._goal = (x, y, yaw_rad)

    def drop(self) -> None:
        """Forget goal and route; a planning under way ends unheard."""
        self._forget()
        self._goal, self._looked, self._recoveries = None, False, 0

    def restart(self) -> None:
        """Time was set back: what was planned is void, the goal is not."""
        goal = self._goal
        if goal is not None and self.under_way:
            self.drop()
            self._goal = goal

    def step(self, now_s: float, xy_m: tuple[float, float], supply: Supply) -> None:
        """Let the route say what is to be done now, and the navigator know of it.

        Args:
            now_s: mission time.
            xy_m: where the vehicle is, map.
            supply: what it has.
        """
        if self._goal is not None and not self._looked:
            self._looked = True
            if math.dist(xy_m, self._goal[:2]) > self.settings.beyond_m:
                self._begin(self._goal)
        route = self.executive
        if route is None:
            return
        outcome = self.worker.take()
        if isinstance(outcome, RouteAnswer):
            route.answered(outcome)
        elif isinstance(outcome, IlrsError):
            route.refused(str(outcome))
        told = route.update(now_s, xy_m, *_of(supply))
        if told.through and math.dist(xy_m, told.goal_m or xy_m) < self.settings.pass_m:
            route.arrived()
            told = route.update(now_s, xy_m, *_of(supply))
        if route.request is not None and not self.worker.busy:
            self.worker.ask(route.request)
        self._follow(route, told, now_s, xy_m, supply)

    def _begin(self, goal: tuple[float, float, float | None]) -> None:
        self._forget()
        self.executive = RouteExecutive(self.settings.executive, goal[:2], goal[2])
        self._navigator.cancel()

    def _follow(
        self, route: RouteExecutive, told: Directive, now_s: float, xy_m: tuple[float, float],
        supply: Supply,
    ) -> None:  # fmt: skip
        self._directive = told
        hop = None if told.goal_m is None else (*told.goal_m, told.yaw_rad)
        if hop == self._hop:
            return
        self._hop = hop
        if hop is None:
            self._navigator.cancel()
            return
        try:
            self._navigator.set_goal(*hop)
        except PlanningError as error:
            self._hop = None
            route.blocked(now_s, xy_m, supply.energy_wh, str(error))

    def told(
        self, now_s: float, xy_m: tuple[float, float], supply: Supply, out: NavigatorOutput
    ) -> NavigatorOutput:
        """What to tell of the goal, from what the navigator tells of the way to a near one.

        Args:
            now_s: mission time.
            xy_m: where the vehicle is, map.
            supply: what it has.
            out: of the navigator's step.
        """
        route = self.executive
        if route is None:
            return out
        directive = self._directive
        if directive.state in _ENDED:
            reached = directive.state is RouteState.REACHED
            state = NavigatorState.REACHED if reached else NavigatorState.FAILED
            code = NavigatorError.NONE if reached else NavigatorError.NO_ROUTE
            return replace(out, state=state, error_code=code, reason=directive.sentence)
        if self._hop is not None and out.state is NavigatorState.REACHED:
            self._arrived(route, out)
        elif self._hop is not None and out.state is NavigatorState.FAILED:
            if not self._may_go_on(out.error_code, xy_m):
                return out
            if out.error_code is NavigatorError.GOAL_OCCUPIED:
                self._arrived(route, out)
            else:
                self._hop = None
                route.blocked(now_s, xy_m, supply.energy_wh, out.reason)
        return self._on_the_way(route, now_s, xy_m, out)

    def _arrived(self, route: RouteExecutive, out: NavigatorOutput) -> None:
        self._hop = None
        self._recoveries += out.recoveries
        route.arrived()

    def _may_go_on(self, code: NavigatorError, xy_m: tuple[float, float]) -> bool:
        """Whether another route, or the next point of this one, may lead on.

        The goal itself, when it is occupied, stays so. A point on the way that is occupied was
        passed as nearly as may be.
        """
        if self._hop is None or self._goal is None or code not in _CLOSED:
            return False
        return code is not NavigatorError.GOAL_OCCUPIED or self._hop[:2] != self._goal[:2]

    def _on_the_way(
        self, route: RouteExecutive, now_s: float, xy_m: tuple[float, float], out: NavigatorOutput
    ) -> NavigatorOutput:
        assert self._goal is not None
        moving = self._directive.state is RouteState.DRIVING
        state = out.state if moving and self._hop is not None else NavigatorState.PLANNING
        left_m, left_s = math.dist(xy_m, self._goal[:2]), math.nan
        if route.progress is not None:
            left_m, left_s = route.progress.left(now_s, xy_m)
        return replace(
            out, state=state, reason=self.sentence or out.reason, distance_remaining_m=left_m,
            eta_s=left_s, recoveries=self._recoveries + out.recoveries,
        )  # fmt: skip

    @property
    def sentence(self) -> str:
        """What the route makes the vehicle do, where that is not simply to drive."""
        said = self._directive.sentence
        return f"{said} ({self.worker.said})" if said and self.worker.said else said

    def values(self) -> dict[str, object]:
        """For diagnostics: what the route does, its leg, how often it was planned anew."""
        route = self.executive
        if route is None:
            return {}
        found: dict[str, object] = {"route": self._directive.state.value}
        found["route_replans"] = route.replans
        progress = route.progress
        if progress is not None:
            count, leg = len(progress.answer.legs), progress.current
            found["route_leg"] = f"{min(progress.leg + 1, count)} of {count}"
            found["route_leg_kind"] = "" if leg is None else leg.kind
        return found


def _of(supply: Supply) -> tuple[float, float | None]:
    return supply.energy_wh, supply.light
