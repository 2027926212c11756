"""The bag recorder: subscribes to the topics of a profile and writes what comes, undecoded."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Final

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

from ilrs_robots.nodes.recorder_config import RecorderConfig, declare
from ilrs_robots.nodes.recorder_listen import Listener
from ilrs_robots.nodes.recorder_qos import bag_qos, compatible_qos
from ilrs_robots.nodes.recorder_types import UnknownTypeError, message_class, message_definition
from ilrs_robots.replay.bag import BagError
from ilrs_robots.replay.bag_writer import BagWriter, Topic
from ilrs_robots.replay.recovery import repair_bag, unfinished_beside
from ilrs_robots.robots.record_about import about_run
from ilrs_robots.robots.record_profiles import load_profiles

__all__ = ["CLOCK_KEY", "RecorderConfig", "RecorderNode"]

CLOCK_KEY: Final = "ilrs_clock_pairs"
"""Metadata key of the bag: JSON list of [ROS time ns, wall time ns], about one a second."""
_MAX_CLOCK_PAIRS: Final = 4000
_KEEP_EVERY: Final = 10
"""After so many reports what the bag says of its run is brought up to date."""
_BEHIND_S: Final = 1.0
"""A power cut shall not cost more than this; the diagnostics warn when it would."""


class RecorderNode(Node):
    """Records serialized messages; log time is the node's clock, simulated where there is one.

    The disk is served by a thread behind a bounded queue, so no publisher ever waits. What is
    lost is counted by topic, shown in the diagnostics and said at the end. Bags beside the new
    one that an earlier recorder left unfinished are mended meanwhile.
    """

    def __init__(self, **kwargs: object) -> None:
        super().__init__("recorder", **kwargs)
        self.config = declare(self)
        self._profiles = load_profiles()
        self._wants = self.config.wanted(self._profiles)
        seed = None if self.config.seed < 0 else self.config.seed
        about = about_run(self.config.site, seed) | {"ilrs_profile": self._profile()}
        output = Path(self.config.output_dir)
        self.writer = BagWriter(
            output,
            queue_bytes=self.config.queue_mb * 2**20,
            compress=self.config.compress,
            split_bytes=self.config.split_mb * 2**20,
            flush_s=self.config.flush_s,
            about=about,
        )
        self._topics: dict[str, Topic] = {}
        self._listener = Listener(self, self.writer.push)
        self._refused: dict[str, str] = {}
        self._clock_pairs: list[tuple[int, int]] = []
        self._reports = self._said_dropped = 0
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(self.config.poll_s, self.poll, clock=steady)
        self.create_timer(1.0, self._report, clock=steady)
        self.poll()
        self.get_logger().info(f"recording {self._profile()} to {self.config.output_dir}")
        threading.Thread(target=self._mend, args=(output,), name="mend", daemon=True).start()

    def _profile(self) -> str:
        return "topics" if self.config.topics.strip() else self.config.profile

    def _mend(self, output: Path) -> None:
        """Mend what an earlier recorder has left beside the new bag."""
        for bag in unfinished_beside(output):
            try:
                self.get_logger().info(f"{bag} was cut; mended: {repair_bag(bag).sentence()}")
            except BagError as error:
                self.get_logger().warning(str(error))

    def poll(self) -> None:
        """Subscribe to topics that are new, and again where publishers offer less than before."""
        for name, types in self.get_topic_names_and_types():
            if name in self._refused or not any(self._wants(name, kind) for kind in types):
                continue
            publishers = self.get_publishers_info_by_topic(name)
            if publishers:
                self._follow(name, types, publishers)

    def _follow(self, name: str, types: list[str], publishers: list[TopicEndpointInfo]) -> None:
        topic = self._topics.get(name)
        if topic is None:
            try:
                topic = self._start(name, types, publishers)
            except UnknownTypeError as error:
                self._refused[name] = str(error)
                self.get_logger().warning(f"{name} is not recorded: {error}")
                return
            self._topics[name] = topic
        kind = message_class(topic.msgtype)
        self._listener.hear(topic, kind, compatible_qos(publishers, self.config.depth))

    def _start(self, name: str, types: list[str], publishers: list[TopicEndpointInfo]) -> Topic:
        if len(types) > 1:
            raise UnknownTypeError(f"its publishers disagree on the type: {', '.join(types)}")
        text, type_hash = message_definition(types[0])
        qos = tuple(dict.fromkeys(bag_qos(p.qos_profile) for p in publishers))
        priority = self._profiles.priority(name, types[0])
        return Topic(name, types[0], text, type_hash, qos, priority)

    def _report(self) -> None:
        if len(self._clock_pairs) < _MAX_CLOCK_PAIRS:
            self._clock_pairs.append((self.get_clock().now().nanoseconds, time.time_ns()))
        self._reports += 1
        if self._reports % _KEEP_EVERY == 0:
            self._keep_custom()
        self._say_dropped()
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        message.status = [self._status()]
        self._diagnostics.publish(message)

    def _say_dropped(self) -> None:
        """Say in the log that the disk is too slow: when it begins, and at each tenfold."""
        total = self.writer.counters.dropped_total
        if total >= max(1, 10 * self._said_dropped):
            self._said_dropped = total
            self.get_logger().warning(f"{total} messages dropped: {self._worst()}")

    def _worst(self) -> str:
        dropped = dict(self.writer.counters.dropped)
        worst = max(dropped, key=lambda name: dropped[name])
        return f"the disk is too slow; most are of {worst} ({dropped[worst]})"

    def _status(self) -> DiagnosticStatus:
        counters, writer = self.writer.counters, self.writer
        behind_s = writer.behind_s
        status = DiagnosticStatus(name="recorder", hardware_id="", level=DiagnosticStatus.OK)
        status.message = f"recording {self._profile()}"
        if behind_s > _BEHIND_S:
            status.level = DiagnosticStatus.WARN
            status.message = f"the disk is {behind_s:.1f} s behind: a power cut would cost these"
        if counters.dropped_total:
            status.level = DiagnosticStatus.WARN
            status.message = f"{counters.dropped_total} messages dropped: {self._worst()}"
        if writer.error:
            status.level, status.message = DiagnosticStatus.ERROR, writer.error
        values = {
            "topics": len(self._topics),
            "messages": counters.written,
            "megabytes": round(counters.written_bytes * 1e-6, 1),
            "dropped": counters.dropped_total,
            "files": writer.files,
            "behind_s": round(behind_s, 2),
            "queue_megabytes": round(writer.queued_bytes * 1e-6, 1),
            "topics_refused": len(self._refused),
        }
        status.values = [KeyValue(key=k, value=str(v)) for k, v in values.items()]
        return status

    def _keep_custom(self) -> None:
        self.writer.set_custom(CLOCK_KEY, json.dumps(self._clock_pairs))
        self.writer.set_custom("ilrs_dropped", json.dumps(dict(self.writer.counters.dropped)))

    def finish(self) -> bool:
        """Write what has come, close the bag, say what is missing; True if it is whole."""
        self._listener.close()
        self._clock_pairs.append((self.get_clock().now().nanoseconds, time.time_ns()))
        counters, log = self.writer.counters, self.get_logger()
        self._keep_custom()
        self.writer.close()
        log.info(
            f"{counters.written} messages of {len(self._topics)} topics, "
            f"{counters.written_bytes * 1e-6:.1f} MB, in {self.config.output_dir}"
        )
        if counters.dropped_total:
            by_topic = ", ".join(f"{n} of {t}" for t, n in sorted(counters.dropped.items()))
            log.error(f"{counters.dropped_total} messages are missing: {by_topic}")
        return not self.writer.error
