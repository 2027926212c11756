"""Time over real DDS: a clock that stops, jumps back, or is another than the stamps'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import OccupancyGrid, Odometry
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.types import Cloud, VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener

LIDAR = "long_range/lidar_link"
CHAIN = (("map", "long_range/odom"), ("long_range/odom", "long_range/base_link"))
IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
S = 1_000_000_000
TICK_NS = 40_000_000


class World:
    """A simulator: clock, transforms, odometry, scans and commands, all in its own time."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.node = graph.add(Node("world"))
        make = self.node.create_publisher
        self.clock = make(Clock, "/clock", qos.STATE)
        self.tf = make(TFMessage, "/tf", qos.TF)
        self.odom = make(Odometry, "odom", qos.STREAM)
        self.points = make(PointCloud2, "lidar/points", qos.SENSOR)
        self.command = make(TwistStamped, "cmd_vel_nav", qos.COMMAND)
        self.out: list[TwistStamped] = []
        self.costs: list[OccupancyGrid] = []
        self.says: dict[str, str] = {}
        self.values: dict[str, dict[str, str]] = {}
        subscribe = self.node.create_subscription
        subscribe(TwistStamped, "cmd_vel", self.out.append, qos.COMMAND)
        subscribe(OccupancyGrid, "traversability", self.costs.append, qos.MAP)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.STATE)
        rng = np.random.default_rng(1)
        xy = rng.uniform(-5.0, 5.0, (6000, 2))
        self.rng = np.random.default_rng(0)
        self.xyz = np.column_stack((xy, np.full(6000, -1.5))).astype(np.float32)
        self.now_ns = 100 * S
        self.running, self.with_clock = True, True
        self.node.create_timer(0.01, self._tick)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            name = status.name.split("/")[-1]
            self.says[name] = status.message
            self.values[name] = {item.key: item.value for item in status.values}

    def _tick(self) -> None:
        if not self.running:
            return
        self.now_ns += TICK_NS
        if self.with_clock:
            self.clock.publish(Clock(clock=convert.to_stamp(self.now_ns)))
        self.send_transforms(self.now_ns)
        odom = Odometry()
        odom.header.stamp = convert.to_stamp(self.now_ns)
        odom.pose.pose.orientation.w = 1.0
        self.odom.publish(odom)
        self.command.publish(
            convert.twist_message(VelocityCommand(self.now_ns, 0.4, 0.0), "base_link")
        )
        if self.now_ns % (5 * TICK_NS) == 0:
            self.send_scan(self.now_ns)

    def send_transforms(self, stamp_ns: int) -> None:
        still = (np.zeros(3), IDENTITY)
        items = [convert.transform_message(*frames, stamp_ns, *still) for frames in CHAIN]
        lift = np.array([0.0, 0.0, 1.5])
        items.append(convert.transform_message(CHAIN[1][1], LIDAR, stamp_ns, lift, IDENTITY))
        self.tf.publish(TFMessage(transforms=items))

    def send_scan(self, stamp_ns: int) -> None:
        # A lidar's noise makes each scan another; one that repeats itself is taken for stuck.
        noisy = (self.xyz + self.rng.normal(0.0, 0.002, self.xyz.shape)).astype(np.float32)
        self.points.publish(convert.cloud_message(Cloud(stamp_ns, LIDAR, noisy)))

    def until_counted(self, reason: str, stamp_ns: Callable[[], int]) -> None:
        """Send a scan of this stamp, again where it was lost, until its refusal is counted."""
        turns = 0

        def counted() -> bool:
            nonlocal turns
            if turns % 100 == 0:
                self.send_scan(stamp_ns())
            turns += 1
            return self.value(reason) >= 1

        self.graph.until(counted, f"the count of {reason}")

    def speed(self) -> float:
        return self.out[-1].twist.linear.x if self.out else 0.0

    def value(self, key: str) -> int:
        return int(self.values.get("terrain_mapping", {}).get(key, "0"))


def assemble(graph: Any, *, use_sim_time: bool) -> tuple[World, TerrainMappingNode]:
    simulated = [Parameter("use_sim_time", value=use_sim_time)]
    host = graph.add(Node("host", parameter_overrides=simulated))
    mapping = graph.add(TerrainMappingNode(TransformListener(host)))
    gate = graph.add(CommandGateNode())
    for node in (mapping, gate):
        node.set_parameters(simulated)
        bring_up(node)
        # The process is that of all the tests: its memory says nothing of this node.
        node.set_parameters([Parameter("diagnostics.process_memory_mb", value=0.0)])
    return World(graph), mapping


@pytest.fixture
def driving(graph: Any) -> tuple[World, TerrainMappingNode]:
    """A vehicle that maps and drives in simulated time."""
    world, mapping = assemble(graph, use_sim_time=True)
    graph.until(lambda: world.speed() > 0.35 and world.costs, "the vehicle to drive")
    return world, mapping


def test_a_stopped_clock_stops_the_vehicle_and_nothing_is_lost(
    graph: Any, driving: tuple[World, TerrainMappingNode]
) -> None:
    world, mapping = driving
    world.running = False
    graph.until(lambda: world.speed() == 0.0, "the vehicle to stand")
    for name in ("terrain_mapping", "command_gate"):
        graph.until(lambda name=name: "/clock has stood at" in world.says[name], f"{name}'s word")
    known = np.isfinite(mapping._step.map.layer("elevation")).sum()
    assert known > 1000
    seen = len(world.costs)
    world.running = True
    graph.until(lambda: world.speed() > 0.35 and len(world.costs) > seen, "it to go on")
    assert np.isfinite(mapping._step.map.layer("elevation")).sum() >= known
    assert world.value("time_resets") == 0
    assert not [key for key in world.values["terrain_mapping"] if key.startswith("dropped_")]


def test_a_reset_simulation_is_mapped_anew_and_driven_on(
    graph: Any, driving: tuple[World, TerrainMappingNode]
) -> None:
    world, mapping = driving
    old_ns, sent = world.now_ns, len(world.out)
    world.now_ns = S
    graph.until(lambda: mapping._step.resets == 1, "the reset to be noticed")
    # what is still on its way from before the reset lies in the future now
    world.send_transforms(old_ns)
    world.send_scan(old_ns)
    graph.until(lambda: world.value("dropped_from_the_future") > 0, "the old scan to be refused")
    graph.until(lambda: world.value("tf_from_the_future") > 0, "old transforms to be refused")
    graph.until(lambda: world.speed() > 0.35, "the vehicle to drive again")
    assert any(msg.twist.linear.x == 0.0 for msg in world.out[sent:])
    stamps = [convert.to_ns(msg.header.stamp) for msg in world.costs]
    assert S < stamps[-1] <= world.now_ns
    assert 0 < mapping._step.map.time_origin_ns < 20 * S
    last_seen = mapping._step.map.layer("last_seen_s")
    assert np.nanmin(last_seen) >= 0.0
    assert np.nanmax(last_seen) <= (world.now_ns - S) * 1e-9
    tree = mapping._listener.tree
    assert tree.latest_stamp("long_range/odom", LIDAR) <= world.now_ns
    assert world.value("time_resets") == 1
    assert world.says["terrain_mapping"] == "mapping"


def test_repeated_and_future_scans_are_counted_and_a_forward_jump_is_driven_through(
    graph: Any, driving: tuple[World, TerrainMappingNode]
) -> None:
    world, mapping = driving
    stamp_ns = int(mapping._step.last_stamp_ns)
    world.until_counted("dropped_repeated", lambda: stamp_ns)
    world.until_counted("dropped_from_the_future", lambda: world.now_ns + 30 * S)
    before = world.now_ns
    world.now_ns += 600 * S
    graph.until(
        lambda: (
            world.speed() > 0.35
            and convert.to_ns(world.out[-1].header.stamp) > before + 601 * S
            and convert.to_ns(world.costs[-1].header.stamp) > before + 600 * S
        ),
        "the vehicle to drive after the jump",
    )
    world.until_counted("dropped_too_old", lambda: before)
    assert world.value("time_resets") == 0


def test_no_clock_is_said_and_what_came_before_it_is_mapped(graph: Any) -> None:
    world, mapping = assemble(graph, use_sim_time=True)
    world.with_clock = False
    says = "no /clock has come, and use_sim_time of this node is true"
    for name in ("terrain_mapping", "command_gate"):
        graph.until(lambda name=name: world.says.get(name) == says, f"{name}'s word")
    assert mapping._step.last_stamp_ns is None
    world.with_clock = True
    graph.until(lambda: world.speed() > 0.3, "the vehicle to drive")


def test_a_node_on_the_wall_clock_names_use_sim_time_once_and_stands(graph: Any) -> None:
    world, mapping = assemble(graph, use_sim_time=False)
    wanted = "set use_sim_time of this node to true"
    for name in ("terrain_mapping", "command_gate"):
        graph.until(lambda name=name: wanted in world.says.get(name, ""), f"{name}'s word")
    assert world.value("dropped_other_clock") > 0
    assert mapping._step.last_stamp_ns is None
    assert world.speed() == 0.0
