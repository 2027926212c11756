"""Takes messages from subscriptions in turn, without an executor.

An executor of rclpy spends 0.35 to 0.5 ms of CPU on each message; taking what has come since the
last look costs a tenth of it, and whoever writes to a disk is in no hurry.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from rclpy._rclpy_pybind11 import InvalidHandle
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from ilrs_robots.replay.bag_writer import Topic

LOOK_S: Final = 0.02
"""Between two looks; the subscriptions' depth must hold what comes meanwhile."""


class _Apart(CallbackGroup):  # type: ignore[misc]
    """What belongs to it is no executor's."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        return


@dataclass
class _Heard:
    topic: Topic
    qos: QoSProfile
    subscription: Subscription


class Listener:
    """Subscriptions of a node that a thread of its own looks at.

    Args:
        node: that subscribes.
        push: takes topic, log time in nanoseconds and serialized message. The log time is the
            time of arrival; on simulated time it is the node's clock when the message is taken.
    """

    def __init__(self, node: Node, push: Callable[[Topic, int, bytes], object]) -> None:
        self._node, self._push = node, push
        self._group = _Apart()
        self._heard: dict[str, _Heard] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._simulated = bool(node.get_parameter("use_sim_time").value)
        self._thread = threading.Thread(target=self._run, name="listen", daemon=True)
        self._thread.start()

    def hear(self, topic: Topic, kind: type, qos: QoSProfile) -> None:
        """Subscribe, or again where the profile is another than before."""
        before = self._heard.get(topic.name)
        if before is not None and before.qos == qos:
            return
        subscription = self._node.create_subscription(
            kind, topic.name, _never, qos, raw=True, callback_group=self._group
        )
        with self._lock:
            self._heard[topic.name] = _Heard(topic, qos, subscription)
        if before is not None:
            self._node.destroy_subscription(before.subscription)

    def close(self) -> None:
        """Take what has come, and end."""
        self._ended.set()
        self._thread.join()
        self._take()

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._ended.wait(max(0.0, next_s - time.monotonic())):
            self._take()
            next_s = max(next_s + LOOK_S, time.monotonic())

    def _take(self) -> None:
        """Hand on what has come, in the order in which it has."""
        found: list[tuple[int, Topic, bytes]] = []
        with self._lock:
            heard = list(self._heard.values())
        for one in heard:
            handle = one.subscription.handle
            with contextlib.suppress(InvalidHandle), handle:
                while (taken := handle.take_message(one.subscription.msg_type, True)) is not None:
                    data, info = taken
                    found.append((info["received_timestamp"], one.topic, data))
        if not found:
            return
        found.sort(key=itemgetter(0))
        now_ns = self._node.get_clock().now().nanoseconds
        for received_ns, topic, data in found:
            self._push(topic, now_ns if self._simulated else received_ns or now_ns, data)


def _never(_message: object) -> None:
    """No executor calls it."""
