"""Write a rosbag2 bag from a background thread, so that who hands messages in never waits."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rosbags.interfaces import Connection, Qos
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from ilrs_robots.replay.bag import BagError

_LOG = logging.getLogger(__name__)
_BATCH = 256


@dataclass(frozen=True)
class Topic:
    """What a bag must know of a topic before its first message.

    Attributes:
        name: full topic name.
        msgtype: for example ``nav_msgs/msg/Odometry``.
        definition: ros2msg text with all nested types.
        type_hash: RIHS01 hash of the type.
        qos: profiles that its publishers offer.
    """

    name: str
    msgtype: str
    definition: str
    type_hash: str
    qos: tuple[Qos, ...] = ()


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


class BagWriter:
    """An mcap bag (chunks compressed by zstd) behind a bounded queue.

    ``push`` never blocks: when the queue holds ``queue_bytes`` the message is dropped and
    counted. When the disk refuses a write the bag is closed with what it holds, every later
    message is counted as dropped, and ``error`` says why.

    Args:
        path: folder of the bag, which must not exist yet.
        queue_bytes: bound of the queue.
        compress: whether chunks are compressed.

    Raises:
        BagError: the folder exists or cannot be made.
    """

    def __init__(
        self, path: Path, *, queue_bytes: int = 128 * 2**20, compress: bool = True
    ) -> None:
        self.path = Path(path)
        self.counters = WriterCounters()
        self.error = ""
        self._limit = queue_bytes
        self._queue: deque[tuple[Topic, int, bytes]] = deque()
        self._queued_bytes = 0
        self._custom: dict[str, str] = {}
        self._connections: dict[str, Connection] = {}
        self._ready = threading.Condition()
        self._closing = False
        try:
            self._writer = Writer(self.path, version=9, storage_plugin=StoragePlugin.MCAP)
            if compress:
                self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except Exception as error:
            raise BagError(f"{self.path}: the bag cannot be made ({error})") from error
        self._thread = threading.Thread(target=self._run, name="bag_writer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._queued_bytes

    def push(self, topic: Topic, log_ns: int, data: bytes) -> bool:
        """Queue a message; False when it was dropped.

        Args:
            topic: the same object for all messages of a topic.
            log_ns: receive time, nanoseconds.
            data: serialized message (CDR).
        """
        with self._ready:
            if self.error or self._closing or self._queued_bytes + len(data) > self._limit:
                dropped = self.counters.dropped
                dropped[topic.name] = dropped.get(topic.name, 0) + 1
                return False
            self._queue.append((topic, log_ns, data))
            self._queued_bytes += len(data)
            self._ready.notify()
        return True

    def set_custom(self, key: str, value: str) -> None:
        """Put a key and a value into the bag's metadata, which is written at the end."""
        self._custom[key] = value

    def close(self) -> None:
        """Write what is queued, finish the bag and its metadata; may be called twice."""
        with self._ready:
            if self._closing:
                return
            self._closing = True
            self._ready.notify()
        self._thread.join()

    def _run(self) -> None:
        batch: deque[tuple[Topic, int, bytes]] = deque()
        try:
            while batch := self._next_batch():
                while batch:
                    self._write(*batch[0])
                    batch.popleft()
        except Exception as error:  # the robot must not notice a full disk
            self._fail(error, batch)
        try:
            for key, value in self._custom.items():
                self._writer.set_custom_data(key, value)
            self._writer.close()
        except Exception as error:
            self._fail(error)

    def _next_batch(self) -> deque[tuple[Topic, int, bytes]]:
        """Wait for messages; empty when the bag is to be closed and nothing is left."""
        with self._ready:
            while not self._queue and not self._closing:
                self._ready.wait()
            batch = deque(self._queue.popleft() for _ in range(min(_BATCH, len(self._queue))))
            self._queued_bytes -= sum(len(data) for _, _, data in batch)
        return batch

    def _write(self, topic: Topic, log_ns: int, data: bytes) -> None:
        connection = self._connections.get(topic.name)
        if connection is None:
            connection = self._writer.add_connection(
                topic.name,
                topic.msgtype,
                msgdef=topic.definition,
                rihs01=topic.type_hash,
                offered_qos_profiles=topic.qos,
            )
            self._connections[topic.name] = connection
        self._writer.write(connection, log_ns, data)
        self.counters.written += 1
        self.counters.written_bytes += len(data)

    def _fail(self, error: Exception, lost: Iterable[tuple[Topic, int, bytes]] = ()) -> None:
        with self._ready:
            self.error = f"{self.path}: writing stopped ({error})"
            for topic, _, _ in (*lost, *self._queue):
                dropped = self.counters.dropped
                dropped[topic.name] = dropped.get(topic.name, 0) + 1
            self._queue.clear()
            self._queued_bytes = 0
        _LOG.error("%s", self.error)
