"""The base over real DDS: it grants, a vehicle's power node takes it, its power fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import BatteryState
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage

from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.base import BaseNode
from ilrs_robots.nodes.power import PowerNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.transforms import TransformListener

pytestmark = pytest.mark.node
S = 1_000_000_000
AT = np.array([-19.0, 19.0, 0.0])
"""Beside charger_1."""


class World:
    """A clock, and a vehicle that stands at a charger."""

    def __init__(self, graph: Any) -> None:
        self.graph, self.now_ns = graph, 50 * S
        self.node = graph.add(Node("vehicle", namespace="/long_range"))
        made = self.node.create_publisher
        self.clock = made(Clock, "/clock", qos.STATE)
        self.tf = made(TFMessage, "/tf", qos.TF)
        self.pose = made(PoseWithCovarianceStamped, "pose", qos.STATE)
        self.batteries: list[BatteryState] = []
        self.base: dict[str, dict[str, str]] = {}
        listen = self.node.create_subscription
        listen(BatteryState, "battery", self.batteries.append, qos.STATE)
        listen(DiagnosticArray, "/base/status", self._told, qos.MAP)
        self.failure = self.node.create_client(SetBool, "/base/power_failure")
        self.node.create_timer(0.02, self._tick)

    def _told(self, msg: DiagnosticArray) -> None:
        self.base = {s.name: {v.key: v.value for v in s.values} for s in msg.status}

    def _tick(self) -> None:
        self.now_ns += S // 5
        self.clock.publish(Clock(clock=convert.to_stamp(self.now_ns)))
        one, zero = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(3)
        chain = (("map", "long_range/odom", zero), ("long_range/odom", "long_range/base_link", AT))
        made = [convert.transform_message(a, b, self.now_ns, p, one) for a, b, p in chain]
        self.tf.publish(TFMessage(transforms=made))
        pose = PoseWithCovarianceStamped()
        pose.pose.pose.position.x, pose.pose.pose.position.y = float(AT[0]), float(AT[1])
        self.pose.publish(pose)

    def fail(self, failed: bool) -> None:
        self.graph.until(self.failure.service_is_ready, "the service")
        done = self.failure.call_async(SetBool.Request(data=failed))
        self.graph.until(done.done, "an answer")
        assert done.result().success


def test_a_vehicle_at_a_charger_is_charged_until_the_base_has_no_power(graph: Any) -> None:
    world = World(graph)
    sim_time = [Parameter("use_sim_time", value=True)]
    host = graph.add(Node("host", parameter_overrides=sim_time))
    base = graph.add(BaseNode(parameter_overrides=sim_time))
    power = PowerNode(TransformListener(host), namespace="/long_range",
                      parameter_overrides=sim_time)  # fmt: skip
    graph.add(power)
    bring_up(power)
    power._step.restart(0.5, 290.0)
    graph.until(lambda: world.base.get("charger_1", {}).get("vehicle") == "long_range", "a plug")
    charging = BatteryState.POWER_SUPPLY_STATUS_CHARGING
    graph.until(
        lambda: world.batteries and world.batteries[-1].power_supply_status == charging
        and power._state.sources_w > 500.0, "the charger's power",
    )  # fmt: skip
    granted_w = float(world.base["charger_1"]["granted_w"])
    assert 0.0 < granted_w <= 3000.0
    assert float(world.base["base"]["granted_w"]) == pytest.approx(granted_w)
    with_w = power._state.sources_w

    world.fail(True)
    graph.until(lambda: power._step.grant_w == 0.0, "no grant")
    graph.until(lambda: power._state.sources_w < with_w - 0.9 * granted_w, "what is its own")
    assert world.base["base"]["failed"] == "true"
    world.fail(False)
    graph.until(lambda: power._state.sources_w > 0.9 * with_w, "power again")

    graph.remove(base)  # a base that falls silent grants nothing
    graph.until(lambda: power._step.grant_w == 0.0, "the end of the last grant")
