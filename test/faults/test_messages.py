"""Messages that a broken driver, a bad link or a stranger may send, into the real nodes.

Each is put into the callback that DDS would call. Nothing may be raised: an exception there ends
the process. What is not used is counted; what is held stays sane. 500 messages in the short form,
10 000 in the long one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import message_kinds as kinds
import numpy as np
import pytest
import rclpy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rclpy.node import Node

from ilrs_robots.cli.domain import own_domain
from ilrs_robots.nodes import convert
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.flight import FlightNode
from ilrs_robots.nodes.localization import LocalizationNode
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.assembly import dds_environment

SHORT, LONG = 42, 834
"""Examples of each of the twelve kinds."""
SITE = ["--ros-args", "-p", "site:=three", "-p", "flight:robot:=hopper"]

pytestmark = [
    pytest.mark.node,
    # numpy speaks of overflow and goes on; so does a vehicle
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]


class Vehicle:
    """A rover's and a hopper's nodes that take messages from outside, active, in this process."""

    def __init__(self) -> None:
        self.host = Node("host")
        self.listener = TransformListener(self.host)
        self.localization = LocalizationNode()
        self.mapping = TerrainMappingNode(self.listener)
        self.gate = CommandGateNode()
        self.navigation = NavigationNode(self.listener)
        self.flight = FlightNode(self.listener)
        self.managed = [
            self.localization, self.mapping, self.gate, self.navigation, self.flight,
        ]  # fmt: skip
        for node in self.managed:
            bring_up(node)

    def send(self, topic: str, msg: Any) -> int:
        """Put a message into everybody's callback; how many took it."""
        found = 0
        for node in (self.host, *self.managed):
            for subscription in node.subscriptions:
                if subscription.topic_name == topic:
                    subscription.callback(msg)
                    found += 1
        return found

    def told(self) -> None:
        """Diagnostics can still be made: numbers, no exceptions."""
        for node in self.managed:
            node.health()  # the report would tell its exception as an error
            node._publish_diagnostics()

    def close(self) -> None:
        for node in (*self.managed, self.host):
            node.destroy_node()


@pytest.fixture(
    scope="module", params=[SHORT, pytest.param(LONG, marks=pytest.mark.soak)], ids=str
)
def vehicle(request: pytest.FixtureRequest) -> Iterator[tuple[Vehicle, int]]:
    with pytest.MonkeyPatch.context() as patch, own_domain({}) as domain:
        for key, value in dds_environment({}).items():
            patch.setenv(key, value)
        rclpy.init(args=SITE, domain_id=domain)
        made = Vehicle()
        try:
            yield made, request.param
        finally:
            made.close()
            rclpy.shutdown()


def throw(
    vehicle: tuple[Vehicle, int], topic: str, made: st.SearchStrategy[Any], takers: int = 1
) -> None:
    """Send ``n`` made messages to a topic, and look whether the nodes are still whole."""
    nodes, count = vehicle

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=count == SHORT,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(made)
    def run(msg: Any) -> None:
        assert nodes.send(topic, msg) >= takers

    run()
    nodes.told()


def test_clouds_are_fused_or_counted_by_reason(vehicle: tuple[Vehicle, int]) -> None:
    step = vehicle[0].mapping._step
    throw(vehicle, "/lidar/points", kinds.clouds())
    assert sum(step.dropped.values()) > 0
    assert all(reason for reason in step.dropped)
    assert not np.isinf(step.map.layer("elevation")).any()


@pytest.mark.parametrize(
    ("topic", "made"),
    [
        ("/traversability", kinds.occupancies()),
        ("/terrain_heights", kinds.grid_maps()),
        ("/joint_states", kinds.joints()),
        ("/imu/data", kinds.inertials()),
        ("/tf", kinds.transforms()),
        ("/odom", kinds.odometries()),
        ("/fleet/poses", kinds.odometries()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_messages_end_nothing(
    vehicle: tuple[Vehicle, int], topic: str, made: st.SearchStrategy[Any]
) -> None:
    throw(vehicle, topic, made)
    values = vehicle[0].gate.meter.values(0)
    if topic == "/traversability":
        assert int(str(values["in.traversability.refused"])) > 0
    decision = vehicle[0].gate._gate.output(vehicle[0].gate.now_ns())
    assert (decision.linear_mps, decision.angular_rps) == (0.0, 0.0)


def test_ways_of_others_are_of_this_time_and_frame(vehicle: tuple[Vehicle, int]) -> None:
    topic, node = "/crewed_rover/way", vehicle[0].navigation
    memory = node._fleet.memory
    throw(vehicle, topic, kinds.paths())
    good = convert.path_message(np.array([[1.0, 2.0]]), 0.0, "map", node.now_ns())
    foreign = convert.path_message(np.array([[3.0, 4.0]]), 0.0, "odom", node.now_ns())
    late = convert.path_message(np.array([[5.0, 6.0]]), 0.0, "map", (2**31 - 1) * 10**9)
    for msg in (good, foreign, late):
        assert vehicle[0].send(topic, msg) == 1
    assert memory._plans["crewed_rover"][1].tolist() == [[1.0, 2.0]]
    assert memory.refused["plan_other_frame"] > 0
    assert memory.refused["plan_from_the_future"] > 0


@pytest.mark.parametrize(
    ("topic", "made"),
    [("/altimeter/range", kinds.ranges()), ("/tank/pressure", kinds.pressures())],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_only_a_hopper_hears_ends_nothing(
    vehicle: tuple[Vehicle, int], topic: str, made: st.SearchStrategy[Any]
) -> None:
    throw(vehicle, topic, made)


def test_goals_of_any_kind_end_nothing(vehicle: tuple[Vehicle, int]) -> None:
    throw(vehicle, "/goal_pose", kinds.poses())
