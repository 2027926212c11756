"""The power node over real DDS: battery, diagnostics, a reset simulation, a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState
from tf2_msgs.msg import TFMessage

from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.power import PowerNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

S = 1_000_000_000
pytestmark = pytest.mark.node


class Site:
    """A clock that runs fast and a vehicle that drives along x or stands."""

    def __init__(self, graph: Any, *, state_dir: Path | None = None) -> None:
        self.graph, self.now_ns, self.x_m, self.speed = graph, 50 * S, 0.0, 0.4
        self.node = graph.add(Node("vehicle"))
        self.clock = self.node.create_publisher(Clock, "/clock", qos.STATE)
        self.tf = self.node.create_publisher(TFMessage, "/tf", qos.TF)
        self.batteries: list[BatteryState] = []
        self.values: dict[str, str] = {}
        self.node.create_subscription(BatteryState, "battery", self.batteries.append, qos.STATE)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._told, qos.STATE)
        host = graph.add(Node("host", parameter_overrides=[Parameter("use_sim_time", value=True)]))
        self.power = graph.add(PowerNode(TransformListener(host)))
        settings = [Parameter("use_sim_time", value=True)]
        self.power.set_parameters(settings)
        if state_dir is not None:
            self.power.declare_parameter("state_dir", str(state_dir))
        bring_up(self.power)
        graph.until(lambda: self.clock.get_subscription_count() >= 2, "discovery")
        self.node.create_timer(0.01, self._tick)

    def _told(self, msg: DiagnosticArray) -> None:
        self.values = {v.key: v.value for v in msg.status[0].values}

    def _tick(self) -> None:
        self.now_ns += S // 10
        self.x_m += 0.1 * self.speed
        self.clock.publish(Clock(clock=convert.to_stamp(self.now_ns)))
        one, still = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3)
        at = np.array([self.x_m, 0.0, 0.0])
        moved = [
            convert.transform_message("map", "long_range/odom", self.now_ns, still, one),
            convert.transform_message("long_range/odom", "long_range/base_link", self.now_ns, at,
                                      one),
        ]  # fmt: skip
        self.tf.publish(TFMessage(transforms=moved))


def test_battery_and_links_are_told_and_driving_costs(graph: Any) -> None:
    site = Site(graph)
    graph.until(lambda: len(site.batteries) >= 5, "battery")
    msg = site.batteries[-1]
    assert 0.0 < msg.percentage <= 1.0
    assert msg.charge == pytest.approx(msg.percentage * msg.capacity, rel=1e-5)
    assert 24.0 < msg.voltage < 33.7
    assert msg.header.frame_id == "long_range/base_link"
    stamps = [convert.to_ns(m.header.stamp) for m in site.batteries]
    assert np.all(np.diff(stamps) >= S // 2)
    graph.until(lambda: float(site.values.get("load.drive_w", 0.0)) > 10.0, "drive power")
    assert site.values["link.base.path"].startswith("long_range > ")
    assert "sun_share" in site.values
    site.speed = 0.0
    graph.until(lambda: float(site.values["load.drive_w"]) == 0.0, "standing")


def test_a_reset_simulation_begins_with_the_battery_of_the_start(graph: Any) -> None:
    site = Site(graph)
    graph.until(lambda: len(site.batteries) >= 3, "battery")
    site.power._step.restart(0.3, 263.0)
    graph.until(lambda: site.batteries[-1].percentage < 0.35, "the low battery")
    site.now_ns = S
    graph.until(lambda: site.batteries[-1].percentage > 0.85, "the battery of the start")


def test_a_restarted_node_goes_on_with_the_charge_it_had(graph: Any, tmp_path: Path) -> None:
    (tmp_path / "long_range.power.json").write_text('{"charge": 0.42, "box_k": 270.0}')
    site = Site(graph, state_dir=tmp_path)
    graph.until(lambda: site.batteries, "battery")
    assert site.batteries[0].percentage == pytest.approx(0.42, abs=0.01)
