"""What a bag's writer is told of a topic, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from rosbags.interfaces import Qos


@dataclass(frozen=True)
class Topic:
    """What a bag must know of a topic before its first message.

    Attributes:
        name: full topic name.
        msgtype: for example ``nav_msgs/msg/Odometry``.
        definition: ros2msg text with all nested types.
        type_hash: RIHS01 hash of the type.
        qos: profiles that its publishers offer.
        priority: 0 is dropped last, 2 first, when the disk is too slow.
    """

    name: str
    msgtype: str
    definition: str
    type_hash: str
    qos: tuple[Qos, ...] = ()
    priority: int = 0


@dataclass
class WriterCounters:
    """How many messages went where."""

    written: int = 0
    written_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    @property
    def dropped_total(self) -> int:
        """Messages that are not in the bag."""
        return sum(self.dropped.values())
