"""The bag recorder: subscribes to every topic of the graph and writes what comes, undecoded."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from ilrs_robots import __version__
from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.parameters import descriptor
from ilrs_robots.nodes.recorder_types import UnknownTypeError, message_class, message_definition
from ilrs_robots.replay.bag_writer import BagWriter, Topic

CLOCK_KEY = "ilrs_clock_pairs"
"""Metadata key of the bag: JSON list of [ROS time ns, wall time ns], about one a second."""
_MAX_CLOCK_PAIRS = 4000


@dataclass(frozen=True)
class RecorderConfig:
    """What the recorder writes, and where."""

    output_dir: str = param("", doc="folder of the bag; must not exist yet")
    topics: str = param("", doc="topics to record, separated by commas; empty for all")
    exclude: str = param("", doc="regular expression of topics to leave out; empty for none")
    queue_mb: int = param(128, doc="bound of what waits for the disk", unit="MB", low=1, high=8192)
    depth: int = param(100, doc="depth of every subscription", low=1, high=10000)
    poll_s: float = param(0.5, doc="how often to look for topics", unit="s", low=0.05, high=60.0)
    compress: bool = param(True, doc="compress the bag's chunks with zstd")

    def __post_init__(self) -> None:
        """Check ranges, the folder and the regular expression."""
        config.check(self)
        if not self.output_dir:
            raise ConfigError("output_dir is empty: the folder of the bag is needed")
        try:
            re.compile(self.exclude)
        except re.error as error:
            raise ConfigError(f"exclude = {self.exclude!r}: {error}") from error

    def wants(self, topic: str) -> bool:
        """Whether a topic is to be recorded."""
        names = {"/" + name.strip().lstrip("/") for name in self.topics.split(",") if name.strip()}
        if names and topic not in names:
            return False
        return not (self.exclude and re.search(self.exclude, topic))


class RecorderNode(Node):
    """Records serialized messages; log time is the node's clock, simulated where there is one.

    The disk is served by a thread behind a bounded queue, so no publisher ever waits. What is
    lost is counted by topic, shown in the diagnostics and said at the end.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("recorder", **kwargs)
        self.config = _declare(self)
        self.writer = BagWriter(
            Path(self.config.output_dir),
            queue_bytes=self.config.queue_mb * 2**20,
            compress=self.config.compress,
        )
        self._recordings: dict[str, _Recording] = {}
        self._refused: dict[str, str] = {}
        self._clock_pairs: list[tuple[int, int]] = []
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.config.poll_s, self.poll, clock=steady)
        self.create_timer(1.0, self._report, clock=steady)
        self.writer.set_custom("ilrs_version", __version__)
        self.poll()
        self.get_logger().info(f"recording to {self.config.output_dir}")

    def poll(self) -> None:
        """Subscribe to topics that are new, and again where publishers offer less than before."""
        for name, types in self.get_topic_names_and_types():
            if name in self._refused or not self.config.wants(name):
                continue
            publishers = self.get_publishers_info_by_topic(name)
            if publishers:
                self._follow(name, types, publishers)

    def _follow(self, name: str, types: list[str], publishers: list[TopicEndpointInfo]) -> None:
        recording = self._recordings.get(name)
        if recording is None:
            try:
                recording = self._start(name, types, publishers)
            except UnknownTypeError as error:
                self._refused[name] = str(error)
                self.get_logger().warning(f"{name} is not recorded: {error}")
                return
            self._recordings[name] = recording
        wanted = compatible_qos(publishers, self.config.depth)
        if recording.subscription is not None and recording.qos == wanted:
            return
        if recording.subscription is not None:
            self.destroy_subscription(recording.subscription)
        recording.qos = wanted
        recording.subscription = self.create_subscription(
            message_class(recording.topic.msgtype), name, recording.receive, wanted, raw=True
        )

    def _start(
        self, name: str, types: list[str], publishers: list[TopicEndpointInfo]
    ) -> _Recording:
        if len(types) > 1:
            raise UnknownTypeError(f"its publishers disagree on the type: {', '.join(types)}")
        text, type_hash = message_definition(types[0])
        qos = tuple(dict.fromkeys(bag_qos(p.qos_profile) for p in publishers))
        return _Recording(self, Topic(name, types[0], text, type_hash, qos))

    def _report(self) -> None:
        if len(self._clock_pairs) < _MAX_CLOCK_PAIRS:
            self._clock_pairs.append((self.get_clock().now().nanoseconds, time.time_ns()))
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [self._status()]
        self._diagnostics.publish(message)

    def _status(self) -> DiagnosticStatus:
        counters, writer = self.writer.counters, self.writer
        status = DiagnosticStatus(name="recorder", hardware_id="", level=DiagnosticStatus.OK)
        status.message = "recording"
        if counters.dropped_total:
            status.level = DiagnosticStatus.WARN
            status.message = f"{counters.dropped_total} messages dropped: the disk is too slow"
        if writer.error:
            status.level, status.message = DiagnosticStatus.ERROR, writer.error
        values = {
            "topics": len(self._recordings),
            "messages": counters.written,
            "megabytes": round(counters.written_bytes * 1e-6, 1),
            "dropped": counters.dropped_total,
            "queue_megabytes": round(writer.queued_bytes * 1e-6, 1),
            "topics_refused": len(self._refused),
        }
        status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
        return status

    def finish(self) -> bool:
        """Write what is queued, close the bag, say what is missing; True if it is whole."""
        self._clock_pairs.append((self.get_clock().now().nanoseconds, time.time_ns()))
        counters, log = self.writer.counters, self.get_logger()
        self.writer.set_custom(CLOCK_KEY, json.dumps(self._clock_pairs))
        self.writer.set_custom("ilrs_dropped", json.dumps(counters.dropped))
        self.writer.close()
        log.info(
            f"{counters.written} messages of {len(self._recordings)} topics, "
            f"{counters.written_bytes * 1e-6:.1f} MB, in {self.config.output_dir}"
        )
        if counters.dropped_total:
            by_topic = ", ".join(f"{n} of {t}" for t, n in sorted(counters.dropped.items()))
            log.error(f"{counters.dropped_total} messages are missing: {by_topic}")
        return not self.writer.error


class _Recording:
    """One topic: hands what comes to the writer."""

    def __init__(self, node: RecorderNode, topic: Topic) -> None:
        self.topic = topic
        self.qos: QoSProfile | None = None
        self.subscription: Subscription | None = None
        self._push = node.writer.push
        self._now = node.get_clock().now

    def receive(self, data: bytes) -> None:
        """Queue one serialized message."""
        self._push(self.topic, self._now().nanoseconds, data)


def compatible_qos(publishers: list[TopicEndpointInfo], depth: int) -> QoSProfile:
    """The strictest profile that every publisher can serve."""
    profiles = [publisher.qos_profile for publisher in publishers]
    reliable = all(p.reliability == ReliabilityPolicy.RELIABLE for p in profiles)
    latched = all(p.durability == DurabilityPolicy.TRANSIENT_LOCAL for p in profiles)
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def bag_qos(profile: QoSProfile) -> Qos:
    """A publisher's profile in the form that the bag's metadata holds."""

    def split(nanoseconds: int) -> QosTime:
        return QosTime(*divmod(nanoseconds, 1_000_000_000))

    return Qos(
        QosHistory(int(profile.history)),
        profile.depth,
        QosReliability(int(profile.reliability)),
        QosDurability(int(profile.durability)),
        split(profile.deadline.nanoseconds),
        split(profile.lifespan.nanoseconds),
        QosLiveliness(int(profile.liveliness)),
        split(profile.liveliness_lease_duration.nanoseconds),
        avoid_ros_namespace_conventions=False,
    )


def _declare(node: Node) -> RecorderConfig:
    hints = get_type_hints(RecorderConfig)
    values = {}
    for item in dataclasses.fields(RecorderConfig):
        spec = config.spec_of(item)
        assert spec is not None
        values[item.name] = node.declare_parameter(
            item.name, item.default, descriptor(spec, hints[item.name])
        ).value
    return config.from_mapping(RecorderConfig, values, "recorder")
