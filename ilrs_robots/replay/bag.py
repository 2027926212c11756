"""Read ROS bags (rosbag2 mcap and sqlite3, ROS 1) without ROS.

Message definitions come from the bag itself; the standard type store only helps bags that carry
none. Everything streams: no function here holds more than the numbers that it returns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from ilrs_robots.core.errors import IlrsError


class BagError(IlrsError):
    """A bag cannot be opened, read or written; the message says why in one sentence."""


class RawMessage(NamedTuple):
    """One message as it stands in the file.

    Attributes:
        topic: full topic name.
        msgtype: for example ``nav_msgs/msg/Odometry``.
        log_ns: receive time, nanoseconds of the recorder's clock.
        data: serialized bytes.
    """

    topic: str
    msgtype: str
    log_ns: int
    data: bytes


class BagMessage(NamedTuple):
    """One decoded message; ``msg`` has the fields of its ROS type as attributes."""

    topic: str
    msgtype: str
    log_ns: int
    msg: Any


@dataclass(frozen=True)
class BagInfo:
    """What a bag says of itself.

    Attributes:
        start_ns: first log time, nanoseconds.
        end_ns: last log time, nanoseconds.
        message_count: messages in all.
        custom: the free key-value pairs of the metadata.
    """

    start_ns: int
    end_ns: int
    message_count: int
    custom: dict[str, str]


class Bag:
    """An open bag; use it as a context manager.

    Args:
        path: rosbag2 folder, ``.mcap``, ``.db3`` or ROS 1 ``.bag`` file.

    Raises:
        BagError: there is no such bag, or it cannot be opened.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        store = get_typestore(Stores.ROS2_JAZZY)
        try:
            self._reader = AnyReader([self.path], default_typestore=store)
            self._reader.open()
        except FileNotFoundError as error:
            raise BagError(f"{self.path}: no bag there ({error})") from error
        except Exception as error:  # a damaged file makes readers fail in many ways
            raise BagError(f"{self.path}: the bag does not open ({error})") from error
        self._by_topic: dict[str, list[Connection]] = {}
        for connection in self._reader.connections:
            self._by_topic.setdefault(connection.topic, []).append(connection)

    def close(self) -> None:
        """Close the files."""
        self._reader.close()

    def __enter__(self) -> Self:
        """Return the bag itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self.close()

    @property
    def topics(self) -> dict[str, str]:
        """Topic name -> message type."""
        return {name: found[0].msgtype for name, found in self._by_topic.items()}

    @property
    def counts(self) -> dict[str, int]:
        """Topic name -> number of messages."""
        return {n: sum(c.msgcount for c in found) for n, found in self._by_topic.items()}

    @property
    def ros1(self) -> bool:
        """Whether messages are serialized as in ROS 1."""
        return not self._reader.is2

    @property
    def typestore(self) -> Typestore:
        """Types of the bag, for decoding ``RawMessage.data``."""
        return self._reader.typestore

    @property
    def info(self) -> BagInfo:
        """Span, size and free metadata."""
        reader = self._reader
        custom: dict[str, str] = {}
        for part in reader.readers:
            storage = getattr(part, "storage", None)
            custom.update(getattr(getattr(storage, "metadata", None), "custom", None) or {})
        count = reader.message_count
        start = reader.start_time if count else 0
        end = reader.end_time - 1 if count else 0
        return BagInfo(start, end, count, custom)

    def raw(self, topics: Collection[str] | str | None = None) -> Iterator[RawMessage]:
        """Serialized messages in log-time order.

        Args:
            topics: names to read, None for all. Names that the bag lacks are passed over.

        Raises:
            BagError: the file is damaged.
        """
        chosen = self._connections(topics)
        if not chosen:
            return
        try:
            for connection, log_ns, data in self._reader.messages(connections=chosen):
                yield RawMessage(connection.topic, connection.msgtype, log_ns, data)
        except GeneratorExit:
            raise
        except Exception as error:  # a damaged file makes readers fail in many ways
            raise BagError(f"{self.path}: reading stops ({error})") from error

    def mcap_files(self) -> list[Any]:
        """Readers of the files of an mcap bag that has no compression but that of chunks."""
        if not self._reader.is2:
            return []
        found: list[Any] = []
        for part in self._reader.readers:
            storage = getattr(part, "storage", None)
            if getattr(storage.metadata, "compression_mode", None) in ("file", "message"):
                return []
            found += getattr(storage, "storages", [storage])
        return found if all(hasattr(storage, "chunks") for storage in found) else []

    def decode(self, raw: RawMessage) -> BagMessage:
        """Decode one message.

        Raises:
            BagError: its bytes do not fit its type.
        """
        try:
            message = self._reader.deserialize(raw.data, raw.msgtype)
        except Exception as error:  # bytes that do not fit fail in many ways
            raise BagError(f"{self.path}: {raw.topic} does not decode ({error})") from error
        return BagMessage(raw.topic, raw.msgtype, raw.log_ns, message)

    def messages(self, topics: Collection[str] | str | None = None) -> Iterator[BagMessage]:
        """Decoded messages in log-time order; arguments and errors as in ``raw``."""
        for raw in self.raw(topics):
            yield self.decode(raw)

    def _connections(self, topics: Collection[str] | str | None) -> list[Connection]:
        if topics is None:
            return list(self._reader.connections)
        names = (topics,) if isinstance(topics, str) else topics
        return [c for name in names for c in self._by_topic.get(name, [])]


def stamp_ns(header: Any) -> int:
    """Nanoseconds of a ``std_msgs/Header`` (or of anything that has ``stamp``)."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)
