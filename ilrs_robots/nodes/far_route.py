"""The part of the navigation node that plans and follows routes to goals that lie far away."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace
from typing import Final

import numpy as np
from geometry_msgs.msg import Vector3Stamped
from nav_msgs.msg import Path
from sensor_msgs.msg import BatteryState

from ilrs_robots.core.control.navigator import Navigator, NavigatorOutput
from ilrs_robots.core.control.route_executive import RouteRequest
from ilrs_robots.core.planning.route_types import RouteAnswer
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.walk_home import WalkHome
from ilrs_robots.robots.crew_step import DOOR
from ilrs_robots.robots.far_goal import FarGoal, FarGoalConfig, Supply
from ilrs_robots.robots.frames import MAP_FRAME
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.route_service import RouteService
from ilrs_robots.robots.route_worker import Show
from ilrs_robots.robots.site import SiteConfig

SUN_AGE_NS: Final = 5_000_000_000
"""A Sun sensor that was heard before and is silent for so long stands in the dark."""
_UNIX: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class FarRoute:
    """Gives the far goals of a navigation node what they need: battery, light, a planner.

    Args:
        node: that subscribes and publishes.
        model: its vehicle.
        site: where it drives.
        navigator: that drives to near goals.
        home: knows whether a crew is aboard, and what is left in their suits.
    """

    def __init__(
        self, node: ManagedNode, model: RoverModel, site: SiteConfig, navigator: Navigator,
        home: WalkHome,
    ) -> None:  # fmt: skip
        self._node, self._model, self._home = node, model, home
        settings = node.tunable("far_goal", FarGoalConfig(), lambda c: self.goal.reconfigure(c))
        simulated = bool(node.get_parameter("use_sim_time").value)
        epoch = site.epoch if simulated else _UNIX
        doors = any(structure.kind == DOOR for structure in site.structures)
        start = site.robot(node.robot)
        self._service = RouteService(
            node.site_name, node.robot, model, epoch, node.seed,
            home_m=None if doors else (start.x_m, start.y_m),
        )  # fmt: skip
        self.goal = FarGoal(navigator, self._plan, settings)
        self._share = math.nan
        self._sun_ns: int | None = None
        self._shown: RouteAnswer | None = None
        self._route = node.publisher(Path, "route", qos.MAP)
        node.subscribe(BatteryState, "battery", self._on_battery, qos.STATE)
        node.subscribe(Vector3Stamped, "sun_sensor/direction", self._on_sun, qos.STATE)

    def _plan(self, request: RouteRequest, show: Show) -> RouteAnswer:
        settings, suits = self.goal.settings, self._home.suits
        service = replace(
            self._service, days=settings.days, step_h=settings.step_h, crewed=suits is not None,
            suits=suits,
        )  # fmt: skip
        return service.plan(request, show)

    def step(self, now_ns: int, xy_m: tuple[float, float]) -> None:
        """Let the route say what is to be done now; call it before the navigator's step."""
        self.goal.step(now_ns * 1e-9, xy_m, self._supply(now_ns))

    def told(
        self, now_ns: int, xy_m: tuple[float, float], out: NavigatorOutput
    ) -> NavigatorOutput:
        """What to tell of the goal, from what the navigator tells of the way to a near one."""
        told = self.goal.told(now_ns * 1e-9, xy_m, self._supply(now_ns), out)
        route = self.goal.executive
        if route is not None and route.route is not None and route.route is not self._shown:
            self._show(route.route, now_ns)
        return told

    def begin(self) -> None:
        """A simulation was reset."""
        self._share, self._sun_ns = math.nan, None
        self.goal.restart()

    def _supply(self, now_ns: int) -> Supply:
        light = None
        if self._sun_ns is not None:
            light = 1.0 if now_ns - self._sun_ns <= SUN_AGE_NS else 0.0
        return Supply(self._share * self._model.power.battery.capacity_wh, light)

    def _show(self, answer: RouteAnswer, now_ns: int) -> None:
        self._shown = answer
        xy_m, legs = answer.track.xy_m, answer.legs
        height_m = float(np.nanmean(answer.track.height_m))
        self._route.publish(convert.path_message(xy_m, height_m, MAP_FRAME, now_ns))
        hours = answer.arrive_s / 3600.0
        self._node.get_logger().info(
            f"route of {answer.length_m:.0f} m in {len(legs)} legs, {hours:.1f} h, at least "
            f"{answer.least_wh:.0f} Wh in the battery"
        )

    def _on_battery(self, msg: BatteryState) -> None:
        self._share = float(msg.percentage)

    def _on_sun(self, msg: Vector3Stamped) -> None:
        self._sun_ns = convert.to_ns(msg.header.stamp)
