"""Health node: the diagnostics of a vehicle's nodes put together, and those of its computer."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode, text_of
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots import computer
from ilrs_robots.robots.assembly import nodes_of
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.site import load_placement
from ilrs_robots.robots.vehicle_health import NodeReport, VehicleHealth, judge

PERIOD_S: Final = 1.0
AGGREGATE: Final = "/diagnostics_agg"
"""Where the tools of ROS (rqt_robot_monitor, Foxglove) look for a tree of diagnostics."""


class HealthNode(ManagedNode):
    """Publishes ``health``, one status for the vehicle with its degraded modes by name."""

    def __init__(self, **options: Any) -> None:
        super().__init__("health", **options)

    def setup(self) -> None:
        """Learn which nodes the vehicle has, and listen to them."""
        model = load_placement(self.site_name, self.robot).load_model()
        self._expected = nodes_of(drives=isinstance(model, RoverModel))
        self._reports: dict[str, NodeReport] = {}
        self._told: tuple[str, ...] = ()
        doc = "free space on the disk of state and maps below which the node warns [MB]"
        self._room_mb = float(declare_one(self, "disk_free_mb", 500.0, doc))
        doc = "folder whose disk is watched; empty: the home folder"
        folder = str(declare_one(self, "disk_of", "", doc))
        self._disk_of = Path(folder) if folder else Path.home()
        if folder and not self._disk_of.is_dir():
            raise ConfigError(f"disk_of is {folder!r}: there is no such folder")
        self._node_clock = NodeClock(self)
        self._health = self.publisher(DiagnosticStatus, "health", qos.MAP)
        self._aggregate = self.publisher(DiagnosticArray, AGGREGATE, qos.STATE)
        self.subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.STATE)
        self._node_clock.steady_timer(PERIOD_S, self._report)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say how the computer is."""
        values = computer.values(self._disk_of)
        free_mb = float(str(values["disk_free_mb"]))
        if math.isnan(free_mb):
            return WARN, f"free space unknown: {self._disk_of} cannot be read", values
        if free_mb < self._room_mb:
            return WARN, f"disk nearly full: {free_mb:.0f} MB free in {self._disk_of}", values
        if not self._node_clock.simulated and values["clock_synchronised"] == "false":
            return WARN, "nobody keeps the system clock: see deploy/chrony", values
        return OK, "computer well", values

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.hardware_id == self.robot and "/" in status.name:
                name = status.name.rpartition("/")[2]
                level = int.from_bytes(status.level, "little")
                self._reports[name] = NodeReport(level, status.message, time.monotonic())

    def _report(self) -> None:
        begin = time.perf_counter()
        found = judge(self._expected, self._reports, time.monotonic())
        if found.modes != self._told:
            self._told = found.modes
            self._say(found)
        self._health.publish(self._status(found))
        self._aggregate.publish(self._tree(found))
        self.latency.add(time.perf_counter() - begin)

    def _say(self, found: VehicleHealth) -> None:
        """One line for a change of mode; rclpy keeps one severity per calling line."""
        if found.level:
            self.get_logger().warning(f"vehicle: {found.sentence}")
        else:
            self.get_logger().info(f"vehicle: {found.sentence}")

    def _status(self, found: VehicleHealth) -> DiagnosticStatus:
        msg = DiagnosticStatus(name=self.robot, hardware_id=self.robot, message=found.sentence)
        msg.level = bytes([found.level])
        states = {"modes": ",".join(found.modes)}
        states |= {name: f"{level} {message}" for name, (level, message) in found.nodes.items()}
        msg.values = [KeyValue(key=key, value=text_of(value)) for key, value in states.items()]
        return msg

    def _tree(self, found: VehicleHealth) -> DiagnosticArray:
        """As diagnostic_aggregator names it: ``/vehicle`` and ``/vehicle/node``."""
        msg = DiagnosticArray()
        msg.header.stamp = self.get_clock().now().to_msg()
        top = self._status(found)
        top.name = f"/{self.robot}"
        msg.status = [top]
        for name, (level, message) in found.nodes.items():
            leaf = DiagnosticStatus(name=f"/{self.robot}/{name}", hardware_id=self.robot)
            leaf.level, leaf.message = bytes([level]), message
            msg.status.append(leaf)
        return msg
