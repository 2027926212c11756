"""Mission node: the vehicles' real actions under a mission's executive.

It thinks in mission time, takes the vehicles' word for where they are and what they have, and
tells how it goes on ``mission/status`` (every task, kept for who comes late) and ``mission/log``
(what happens, as it happens). Killed and started again it goes on where it was.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseWithCovarianceStamped
from rcl_interfaces.msg import Log
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from sensor_msgs.msg import BatteryState

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.mission_orders import OrderDesk
from ilrs_robots.nodes.parameters import declare, declare_one
from ilrs_robots.nodes.warp_asker import WarpAsker
from ilrs_robots.robots.mission import Mission
from ilrs_robots.robots.mission_checks import load_mission
from ilrs_robots.robots.mission_executive import MissionExecutive
from ilrs_robots.robots.mission_types import (
    Answer,
    MissionConfig,
    MissionEvent,
    TaskRow,
    TaskState,
    VehicleReport,
)
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.site import SiteConfig, load_prior

TICK_S: Final = 0.2
TOLD_S: Final = 1.0
LEVELS: Final = {
    TaskState.WAITING: DiagnosticStatus.OK, TaskState.RUNNING: DiagnosticStatus.OK,
    TaskState.DONE: DiagnosticStatus.OK, TaskState.FAILED: DiagnosticStatus.ERROR,
    TaskState.DROPPED: DiagnosticStatus.WARN,
}  # fmt: skip
MISSION: Final = "mission"
"""Name of the status of the mission as a whole, the first in the array."""


class MissionNode(Node):  # type: ignore[misc]
    """Runs the mission that its parameter names, from the moment that the clock runs."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("mission", **node_options)
        name = str(declare_one(self, "mission", "", "name of a mission, or a mission file"))
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        seed = int(declare_one(self, "seed", 1, "seed of a procedural terrain"))
        chosen = str(declare_one(self, "robots", "", "its vehicles that run, empty for all"))
        warp = "whether time runs fast while every vehicle stands, where the simulator can"
        fast = bool(declare_one(self, "time_warp", True, warp))
        settings = declare(self, "executive", MissionConfig())
        if not name:
            raise ConfigError("parameter mission = '': name a mission")
        site, prior = load_prior(site_name, seed=seed)
        mission = load_mission(name, site, prior)
        if chosen:
            mission = mission.only(tuple(n for n in chosen.split(",") if n in mission.vehicles))
        self._site, self._kept = site, KeptState.of(self, "mission")
        self._executive = executive_of(mission, site, settings)
        self._reports = {vehicle: VehicleReport() for vehicle in mission.vehicles}
        self._told_s, self._told_over = -math.inf, False
        self._status = self.create_publisher(DiagnosticArray, "mission/status", qos.MAP)
        self._log = self.create_publisher(Log, "mission/log", qos.LOG)
        self._desk = OrderDesk(self, tuple(mission.vehicles), self._answered, self._alive)
        for vehicle in mission.vehicles:
            self.create_subscription(
                BatteryState, f"/{vehicle}/battery", partial(self._on_battery, vehicle), qos.STATE
            )
            self.create_subscription(
                PoseWithCovarianceStamped, f"/{vehicle}/pose", partial(self._on_pose, vehicle),
                qos.STATE,
            )  # fmt: skip
        self._warp = WarpAsker(self) if fast else None
        kept = self._kept.load()
        if kept is not None and self._executive.restore(kept):
            self.get_logger().warning("restarted: the mission goes on where it was")
        self.create_timer(TICK_S, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy_node(self) -> None:
        """Take the action clients down before what they stand on."""
        self._desk.close()
        if self._warp is not None:
            self._warp.close()
        super().destroy_node()

    # -- input ------------------------------------------------------------------------------
    def now_s(self) -> float:
        """Mission time: seconds after the site's epoch."""
        now_ns = int(self.get_clock().now().nanoseconds)
        if bool(self.get_parameter("use_sim_time").value):
            return now_ns * 1e-9
        return now_ns * 1e-9 - self._site.epoch.timestamp()

    def _on_battery(self, vehicle: str, msg: BatteryState) -> None:
        old = self._reports[vehicle]
        self._reports[vehicle] = replace(old, heard_s=self.now_s(), charge=msg.percentage)

    def _on_pose(self, vehicle: str, msg: PoseWithCovarianceStamped) -> None:
        at, old = msg.pose.pose.position, self._reports[vehicle]
        self._reports[vehicle] = replace(old, heard_s=self.now_s(), xy_m=(at.x, at.y))

    def _answered(self, answer: Answer) -> None:
        self._executive.answered(self.now_s(), answer)

    def _alive(self, order_id: str) -> None:
        self._executive.alive(order_id)

    # -- output -----------------------------------------------------------------------------
    def _tick(self) -> None:
        now_s = self.now_s()
        if now_s == 0.0:
            return  # no /clock has come
        orders = self._executive.update(now_s, self._reports)
        if self._warp is not None:
            self._warp.want(self._executive.stands)
        for order in orders:
            self._desk.take(order)
        self._desk.look(time.monotonic())
        events = self._executive.take_events()
        for event in events:
            self._tell(event)
        wall_s = time.monotonic()
        if not events and wall_s - self._told_s < TOLD_S:
            return
        self._told_s = wall_s
        self._status.publish(status_message(self._executive, now_s, self.get_clock().now()))
        if events:
            self._kept.save(self._executive.state())
        if self._executive.over and not self._told_over:
            self._told_over = True
            how = "done" if self._executive.succeeded else "over, with failures"
            self.get_logger().info(f"mission {self._executive.mission.name}: {how}")

    def _tell(self, event: MissionEvent) -> None:
        name, logger = f"{event.vehicle}.{event.task}", self.get_logger()
        sentence = f"t = {event.time_s:.0f} s: {name}: {event.sentence}"
        if event.trouble:
            logger.warning(sentence)
        else:
            logger.info(sentence)
        level = severity(Log.WARN if event.trouble else Log.INFO)
        stamp = self.get_clock().now().to_msg()
        self._log.publish(Log(stamp=stamp, level=level, name=name, msg=event.sentence))


def executive_of(mission: Mission, site: SiteConfig, settings: MissionConfig) -> MissionExecutive:
    """The executive of a mission at a site."""
    placed = {vehicle: site.robot(vehicle) for vehicle in mission.vehicles}
    homes = {vehicle: (at.x_m, at.y_m) for vehicle, at in placed.items()}
    chargers = {c.name: (c.x_m, c.y_m) for c in site.base.chargers}
    hoppers = (v for v, at in placed.items() if isinstance(at.load_model(), HopperModel))
    return MissionExecutive(mission, homes, chargers, frozenset(hoppers), settings)


def status_message(executive: MissionExecutive, now_s: float, stamp: Any) -> DiagnosticArray:
    """The mission and every task: level, sentence, values."""
    msg = DiagnosticArray()
    msg.header.stamp = stamp.to_msg()
    rows = executive.rows()
    counts = {state: sum(row.state is state for row in rows) for state in TaskState}
    whole = DiagnosticStatus(level=max(LEVELS[row.state] for row in rows), name=MISSION)
    whole.message = ", ".join(f"{n} {state.value}" for state, n in counts.items() if n)
    values: dict[str, object] = {
        "mission": executive.mission.name, "time_s": now_s, "over": executive.over,
        "succeeded": executive.succeeded,
    }  # fmt: skip
    whole.values = [KeyValue(key=k, value=_text(v)) for k, v in values.items()]
    msg.status = [whole, *(_row_status(row) for row in rows)]
    return msg


def _row_status(row: TaskRow) -> DiagnosticStatus:
    status = DiagnosticStatus(level=LEVELS[row.state], name=f"{row.vehicle}.{row.task}")
    status.hardware_id, status.message = row.vehicle, row.sentence
    values: dict[str, object] = {
        "kind": row.kind, "state": row.state.value, "step": row.step, "steps": row.steps,
        "tries": row.tries, "began_s": row.began_s, "ended_s": row.ended_s,
    }  # fmt: skip
    status.values = [KeyValue(key=k, value=_text(v)) for k, v in values.items()]
    return status


def severity(constant: int | bytes) -> int:
    """A level of ``rcl_interfaces/Log``; some distributions have its constants as a byte."""
    return constant if isinstance(constant, int) else constant[0]


def _text(value: object) -> str:
    """Times keep their milliseconds however long the mission is."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3f}" if isinstance(value, float) else str(value)
