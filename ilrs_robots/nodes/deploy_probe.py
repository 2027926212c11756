"""Listen to a running vehicle for some seconds and tell what was heard, as plain data."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from ilrs_robots.nodes import qos
from ilrs_robots.nodes.recorder_types import message_class

_POLL_S = 0.1


@dataclass
class Heard:
    """What came of one topic.

    Attributes:
        kinds: types that are offered under its name.
        count: messages.
        span_s: ROS time for which they were listened for, the silence after the last included.
    """

    kinds: tuple[str, ...] = ()
    count: int = 0
    span_s: float = 0.0

    @property
    def rate_hz(self) -> float:
        """Messages per second of ROS time."""
        return self.count / self.span_s if self.span_s > 0.0 else 0.0


@dataclass
class ProbeResult:
    """A vehicle as it was heard.

    Attributes:
        topics: by absolute name, every topic that was asked for.
        nodes: absolute names of the nodes in its namespace.
        values: the newest diagnostics by node: level, sentence, values.
        clock_offset_s: the vehicle's wall clock minus ours; None when it did not tell.
        simulated: whether somebody publishes ``/clock``.
    """

    topics: dict[str, Heard] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    values: dict[str, tuple[int, str, dict[str, str]]] = field(default_factory=dict)
    clock_offset_s: float | None = None
    simulated: bool = False


class _Probe:
    def __init__(self, node: Node, robot: str, wanted: dict[str, str]) -> None:
        self.node, self.robot, self.wanted = node, robot, wanted
        self.found = ProbeResult(topics={name: Heard() for name in wanted})
        self.now_s = 0.0
        self._since_s: dict[str, float] = {}
        node.create_subscription(Clock, "/clock", self._on_clock, qos.SENSOR)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_values, qos.STATE)

    def look(self) -> None:
        """Subscribe to what has appeared; every type comes as bytes and is not decoded."""
        offered = dict(self.node.get_topic_names_and_types())
        for name, kind in self.wanted.items():
            self.found.topics[name].kinds = tuple(offered.get(name, ()))
            infos = self.node.get_publishers_info_by_topic(name) if name in offered else []
            if name in self._since_s or not infos or kind not in offered[name]:
                continue
            self._since_s[name] = self.time_s()
            profile = infos[0].qos_profile
            mine = QoSProfile(
                depth=50,
                reliability=ReliabilityPolicy.BEST_EFFORT,
                durability=profile.durability
                if profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                else DurabilityPolicy.VOLATILE,
            )
            self.node.create_subscription(
                message_class(kind), name, self._counter(name), mine, raw=True
            )
        names = self.node.get_node_names_and_namespaces()
        self.found.nodes = tuple(
            sorted(f"{space}/{name}" for name, space in names if space == f"/{self.robot}")
        )

    def result(self) -> ProbeResult:
        """What was heard until now."""
        for name, since_s in self._since_s.items():
            self.found.topics[name].span_s = self.time_s() - since_s
        return self.found

    def time_s(self) -> float:
        """ROS time: the simulation's where there is one."""
        return self.now_s if self.found.simulated else time.monotonic()

    def _counter(self, name: str) -> Callable[[Any], None]:
        def came(_data: Any) -> None:
            self.found.topics[name].count += 1

        return came

    def _on_clock(self, msg: Clock) -> None:
        self.now_s = msg.clock.sec + msg.clock.nanosec * 1e-9
        if not self.found.simulated:
            self.found.simulated = True
            self._since_s = dict.fromkeys(self._since_s, self.now_s)
            for heard in self.found.topics.values():
                heard.count = 0

    def _on_values(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.hardware_id != self.robot:
                continue
            values = {pair.key: pair.value for pair in status.values}
            name = status.name.rpartition("/")[2]
            level = int.from_bytes(status.level, "little")
            self.found.values[name] = (level, status.message, values)
            told = values.get("wall_time_s")
            if told is not None:
                offset_s = float(told) - time.time()
                # The message was on its way: the largest offset is the one of the fastest message.
                known = self.found.clock_offset_s
                self.found.clock_offset_s = offset_s if known is None else max(known, offset_s)


def listen(robot: str, wanted: dict[str, str], duration_s: float, appear_s: float) -> ProbeResult:
    """Hear a vehicle out.

    Args:
        robot: its namespace.
        wanted: absolute topic names and their types.
        duration_s: how long, from the first sign of the vehicle on.
        appear_s: how long to wait for that sign.
    """
    context = rclpy.Context()
    context.init()
    node = Node("deploy_check", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        probe = _Probe(node, robot, wanted)
        next_s, end_s, seen = 0.0, time.monotonic() + appear_s, False
        while time.monotonic() < end_s:
            executor.spin_once(timeout_sec=_POLL_S)
            if time.monotonic() >= next_s:
                probe.look()
                next_s = time.monotonic() + 5 * _POLL_S
            if probe.found.nodes and not seen:
                seen, end_s = True, time.monotonic() + duration_s
        return probe.result()
    finally:
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
