"""Subscriptions that are looked at now and then: what a viewer does not look at costs it nothing.

A callback for each message of 50 Hz streams of every vehicle would cost more CPU than the whole
picture. Here the middleware keeps the newest messages, and ten times a second or less often the
newest is taken; the others are dropped unread. The readers are best effort where that is offered,
so that no vehicle ever waits for the view.
"""

from __future__ import annotations

from typing import Any, Final

from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

_TAKES: Final = 256


def newest(depth: int = 1) -> QoSProfile:
    """Best effort, so many of the newest."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT
    )


class Sampled:
    """One subscription that no executor knows of.

    Args:
        node: that no executor spins.
        kind: message class.
        topic: absolute name.
        profile: how it is subscribed to.
    """

    def __init__(self, node: Node, kind: Any, topic: str, profile: QoSProfile) -> None:
        self._subscription = node.create_subscription(kind, topic, _never, profile)

    def all(self) -> list[Any]:
        """What has come since the last look, the newest last."""
        found: list[Any] = []
        sub = self._subscription
        with sub.handle:
            while len(found) < _TAKES:
                taken = sub.handle.take_message(sub.msg_type, sub.raw)
                if taken is None:
                    break
                found.append(taken[0])
        return found

    def last(self) -> Any:
        """The newest that has come since the last look, or None."""
        found = self.all()
        return found[-1] if found else None


def _never(_msg: Any) -> None:
    """No executor delivers to this node."""
