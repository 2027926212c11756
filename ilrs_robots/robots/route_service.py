"""A site's planner behind a route's executive: requests in, routes out."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, replace

from ilrs_robots.core.control.route_executive import RouteRequest
from ilrs_robots.core.planning.route_types import RouteAnswer
from ilrs_robots.core.planning.walk_back import SuitState
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.route_planner import RouteOrder, Show, plan_route


@dataclass(frozen=True)
class RouteService:
    """Plans what an executive asks for; takes seconds, so call it beside the control loop.

    Attributes:
        site_name: a name from ``config/sites`` or the path of a site file.
        robot: of the site.
        model: of the robot.
        epoch: aware time of mission time 0.
        seed: replaces the terrain's.
        days: how far ahead each plan looks.
        step_h: between its maps of light.
        crewed: whether people are on board; None takes whether the vehicle has seats.
        suits: what is left in theirs now; None takes them as they leave the door.
        home_m: where they walk to at a site without habitats; None takes where a plan begins.
    """

    site_name: str
    robot: str
    model: RoverModel
    epoch: dt.datetime
    seed: int | None = None
    days: float = 3.0
    step_h: float = 1.0
    crewed: bool | None = None
    suits: SuitState | None = None
    home_m: tuple[float, float] | None = None

    def order(self, request: RouteRequest) -> RouteOrder:
        """The request in the planner's terms: from where the vehicle is, with what it has.

        Where nobody knows what it has (NaN), what the vehicle's file says is taken.
        """
        share = request.energy_wh / self.model.power.battery.capacity_wh
        charge = min(max(share, 0.0), 1.0) if math.isfinite(share) else None
        own = self.model.route
        return RouteOrder(
            request.goal_m,
            self.epoch + dt.timedelta(seconds=request.depart_s),
            start_m=request.start_m,
            days=self.days,
            step_h=self.step_h,
            charge=charge,
            crewed=self.crewed,
            suits=self.suits,
            home_m=self.home_m,
            keep_outs=request.keep_outs,
            config=replace(own, speed_share=max(own.speed_share * request.pace, 0.01)),
        )

    def plan(self, request: RouteRequest, show: Show = lambda *_: None) -> RouteAnswer:
        """Plan.

        Args:
            request: of an executive.
            show: is told the work, steps done and steps in all; what it raises ends the planning.

        Raises:
            IlrsError: as ``plan_route``.
        """
        order = self.order(request)
        found = plan_route(
            self.site_name, self.robot, order, seed=self.seed, show=show, latest=False
        )
        return found.answer
