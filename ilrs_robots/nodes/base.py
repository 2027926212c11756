"""Base node: chargers, sources and what the vehicles get of them.

It hears where the vehicles are and what their batteries hold, grants each one at a charger its
power on ``<vehicle>/charge_grant``, and tells the base's state on ``base/status``. The service
``base/power_failure`` makes its power fail and brings it back.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import BatteryState
from std_msgs.msg import Float64
from std_srvs.srv import SetBool

from ilrs_robots.core.errors import ConfigError, IlrsError
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import text_of
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots.base_places import BasePlace, places_of
from ilrs_robots.robots.base_step import BaseState, BaseStep, VehicleWord
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.site import load_prior

LOOK_S: Final = 0.2
PERIOD_S: Final = 1.0
"""Between two grants, in the node's time."""
BASE: Final = "base"


class BaseNode(Node):  # type: ignore[misc]
    """The base of a site, for whichever vehicles of it run."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("base", **node_options)
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        seed = int(declare_one(self, "seed", 1, "seed of a procedural terrain"))
        chosen = str(declare_one(self, "robots", "", "vehicles that run, empty for all"))
        site, prior = load_prior(site_name, seed=seed)
        names = [n for n in chosen.split(",") if n] or [robot.name for robot in site.robots]
        models = {name: site.robot(name).load_model() for name in names}
        if site.base.fission is None and not site.base.towers:
            raise ConfigError(f"site {site.name!r}: its base has neither station nor towers")
        self._site, self._kept = site, KeptState.of(self, BASE)
        self._step = BaseStep(site, prior, models, bool((self._kept.load() or {}).get("failed")))
        self._places = places_of(site, prior)
        self._words = {name: VehicleWord() for name in names}
        for name, model in models.items():
            if not isinstance(model, RoverModel):  # it stands where the site says until it tells
                at = site.robot(name)
                self._words[name] = VehicleWord(xy_m=(at.x_m, at.y_m))
        self._told_s = -math.inf
        self._status = self.create_publisher(DiagnosticArray, "base/status", qos.MAP)
        self._grants = {
            name: self.create_publisher(Float64, f"/{name}/charge_grant", qos.STATE)
            for name in names
        }
        for name in names:
            self.create_subscription(
                BatteryState, f"/{name}/battery", partial(self._on_battery, name), qos.STATE
            )
            self.create_subscription(
                PoseWithCovarianceStamped, f"/{name}/pose", partial(self._on_pose, name), qos.STATE
            )
        self.create_service(SetBool, "base/power_failure", self._on_failure)
        self.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def now_s(self) -> float:
        """Mission time: seconds after the site's epoch."""
        now_s = int(self.get_clock().now().nanoseconds) * 1e-9
        simulated = bool(self.get_parameter("use_sim_time").value)
        return now_s if simulated else now_s - self._site.epoch.timestamp()

    def _on_battery(self, name: str, msg: BatteryState) -> None:
        word = self._words[name]
        self._words[name] = replace(word, heard_s=self.now_s(), charge=msg.percentage)

    def _on_pose(self, name: str, msg: PoseWithCovarianceStamped) -> None:
        at, word = msg.pose.pose.position, self._words[name]
        self._words[name] = replace(word, heard_s=self.now_s(), xy_m=(at.x, at.y))

    def _on_failure(self, request: SetBool.Request, response: SetBool.Response) -> Any:
        self._step.failed = bool(request.data)
        self._kept.save({"failed": self._step.failed})
        response.success = True
        response.message = "the base has no power" if request.data else "the base has power"
        self.get_logger().warning(response.message)
        self._told_s = -math.inf
        return response

    def _look(self) -> None:
        now_s = self.now_s()
        if now_s == 0.0 or 0.0 <= now_s - self._told_s < PERIOD_S:
            return
        self._told_s = now_s
        try:
            state = self._step.step(now_s, self._words)
        except IlrsError as error:
            self.get_logger().error(str(error), throttle_duration_sec=10.0)
            return
        for name, publisher in self._grants.items():
            publisher.publish(Float64(data=state.granted_w.get(name, 0.0)))
        stamp = self.get_clock().now().to_msg()
        self._status.publish(base_message(state, self._places, stamp))


def base_message(state: BaseState, places: tuple[BasePlace, ...], stamp: Any) -> DiagnosticArray:
    """The base as a whole, then everything of it that has a place."""
    given = math.fsum(state.granted_w.values())
    whole = DiagnosticStatus(level=DiagnosticStatus.OK, name=BASE)
    whole.message = f"{given:.0f} W for {len(state.granted_w)} vehicles"
    if state.waiting:
        whole.message += f"; waiting: {', '.join(state.waiting)}"
    if state.failed:
        whole.level, whole.message = DiagnosticStatus.ERROR, "no power"
    values: dict[str, object] = {
        "time_s": state.time_s, "failed": str(state.failed).lower(), "sources_w": state.sources_w,
        "fission_w": state.fission_w, "towers_w": math.fsum(state.towers_w.values()),
        "base_load_w": state.base_load_w, "granted_w": given,
        "waiting": ",".join(state.waiting),
    }  # fmt: skip
    msg = DiagnosticArray(status=[_with(whole, values)])
    msg.header.stamp, msg.header.frame_id = stamp, "map"
    for place in places:
        own: dict[str, object] = {"kind": place.kind, "x_m": place.x_m, "y_m": place.y_m,
                                  "z_m": place.z_m}  # fmt: skip
        if place.kind == "charger":
            vehicle = state.chargers[place.name]
            own |= {"vehicle": vehicle, "granted_w": state.granted_w.get(vehicle, 0.0)}
        if place.kind == "tower":
            own["power_w"] = state.towers_w[place.name]
        if place.keep_out_m:
            own["keep_out_m"] = place.keep_out_m
        msg.status.append(_with(DiagnosticStatus(name=place.name, message=place.kind), own))
    return msg


def _with(status: DiagnosticStatus, values: dict[str, object]) -> DiagnosticStatus:
    status.hardware_id = BASE
    status.values = [KeyValue(key=key, value=text_of(value)) for key, value in values.items()]
    return status
