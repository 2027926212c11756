"""Write a rosbag2 bag from a thread of its own, so that who hands messages in never waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from ilrs_robots.replay.bag import BagError
from ilrs_robots.replay.bag_metadata import (
    FileRow,
    TopicRow,
    inner_text,
    metadata_text,
    qos_text,
    write_metadata,
)
from ilrs_robots.replay.bag_topic import Topic, WriterCounters
from ilrs_robots.replay.mcap_file import CHUNK_BYTES, Disk, McapFile
from ilrs_robots.replay.mcap_index import LEVEL
from ilrs_robots.replay.mcap_summary import ABOUT

__all__ = ["BagWriter", "Topic", "WriterCounters"]
_LOG = logging.getLogger(__name__)
_BATCH: Final = 1024
_WAKE_BYTES: Final = 2**20
"""The thread sleeps until so much waits, or until ``_LOOK_S`` have passed."""
_LOOK_S: Final = 0.05
_METADATA_S: Final = 10.0
SHARES: Final = (1.0, 0.75, 0.5)
"""Share of the queue that messages of each priority may fill; what matters most has all of it."""


Item = tuple[Topic, int, bytes, float]
"""Topic, log time in nanoseconds, data, monotonic time of its arrival in seconds."""


class BagWriter:
    """An mcap bag (chunks compressed by zstd) behind a bounded queue.

    ``push`` never blocks: when the queue is as full as the topic's priority allows the message is
    dropped and counted. When the disk refuses a write the bag stays as the last checkpoint left
    it, every later message is counted as dropped, and ``error`` says why.

    Args:
        path: folder of the bag, which must not exist yet.
        queue_bytes: bound of the queue.
        compress: whether chunks are compressed.
        split_bytes: size after which the next file begins; 0 for one file.
        flush_s: longest time between two checkpoints while messages come.
        about: free key-value pairs, written first into every file and into the bag's metadata.
        disk: opens a file.

    Raises:
        BagError: the folder exists or cannot be made.
    """

    def __init__(
        self,
        path: Path,
        *,
        queue_bytes: int = 128 * 2**20,
        compress: bool = True,
        split_bytes: int = 0,
        flush_s: float = 0.5,
        about: Mapping[str, str] | None = None,
        disk: Callable[[Path], Disk] = Disk,
    ) -> None:
        self.path = Path(path)
        self.counters = WriterCounters()
        self.error = ""
        self._limits = [int(share * queue_bytes) for share in SHARES]
        self._queue: deque[Item] = deque()
        self._queued_bytes = 0
        self._flush_s, self._split_bytes = flush_s, split_bytes
        self._about, self._custom = dict(about or {}), dict(about or {})
        self._level, self._make_disk = LEVEL if compress else None, disk
        self._topics: dict[str, TopicRow] = {}
        self._files: list[FileRow] = []
        self._channels: dict[str, int] = {}
        self._unsaved: Counter[str] = Counter()
        self._said_s = self._checked_s = time.monotonic()
        self._unsafe_since_s: float | None = None
        self._ready = threading.Condition()
        self._closing = False
        try:
            self.path.mkdir(parents=True)
            self._writer = self._next_file()
        except FileExistsError as error:
            raise BagError(f"{self.path} exists already, not overwriting") from error
        except OSError as error:
            raise BagError(f"{self.path}: the bag cannot be made ({error})") from error
        self._thread = threading.Thread(target=self._run, name="bag_writer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._queued_bytes

    @property
    def files(self) -> int:
        """Files that the bag has so far."""
        return len(self._files)

    @property
    def behind_s(self) -> float:
        """Age of the oldest message that a power cut would take, 0 when there is none, seconds."""
        with self._ready:
            first_s = self._unsafe_since_s
            if first_s is None and self._queue:
                first_s = self._queue[0][3]
        return 0.0 if first_s is None else time.monotonic() - first_s

    def push(self, topic: Topic, log_ns: int, data: bytes) -> bool:
        """Queue a message; False when it was dropped.

        Args:
            topic: the same object for all messages of a topic.
            log_ns: receive time, nanoseconds.
            data: serialized message (CDR).
        """
        with self._ready:
            full = self._queued_bytes + len(data) > self._limits[topic.priority]
            if full or self.error or self._closing:
                self._count_dropped([topic.name])
                return False
            self._queue.append((topic, log_ns, data, time.monotonic()))
            self._queued_bytes += len(data)
            if self._queued_bytes >= _WAKE_BYTES:
                self._ready.notify()
        return True

    def set_custom(self, key: str, value: str) -> None:
        """Put a key and a value into the bag's metadata, at the latest when it is closed."""
        with self._ready:
            self._custom = {**self._custom, key: value}

    def close(self) -> None:
        """Write what is queued, finish the bag and its metadata; may be called twice."""
        with self._ready:
            if self._closing:
                return
            self._closing = True
            self._ready.notify()
        self._thread.join()

    def _run(self) -> None:
        batch: deque[Item] = deque()
        try:
            while not self._closing or self._queue:
                batch = self._next_batch()
                while batch:
                    self._write(*batch[0])
                    batch.popleft()
                self._keep_safe()
            self._end_file()
            self._say()
        except Exception as error:  # the robot must not notice a full disk
            self._fail(error, batch)
        finally:
            self._writer.close()

    def _next_batch(self) -> deque[Item]:
        """Wait a little for messages; empty when none came."""
        with self._ready:
            if self._queued_bytes < _WAKE_BYTES and not self._closing:
                self._ready.wait(_LOOK_S)
            batch = deque(self._queue.popleft() for _ in range(min(_BATCH, len(self._queue))))
            self._queued_bytes -= sum(len(item[2]) for item in batch)
        return batch

    def _write(self, topic: Topic, log_ns: int, data: bytes, came_s: float) -> None:
        channel = self._channels.get(topic.name) or self._add_channel(topic)
        self._writer.write(channel, log_ns, data)
        self._topics[topic.name].messages += 1
        self._unsaved[topic.name] += 1
        self.counters.written += 1
        self.counters.written_bytes += len(data)
        if self._unsafe_since_s is None:
            self._unsafe_since_s = came_s
        if self._writer.unsaved > CHUNK_BYTES:
            self._checkpoint({})

    def _add_channel(self, topic: Topic) -> int:
        row = self._topics.get(topic.name)
        if row is None:
            row = TopicRow(topic.name, topic.msgtype, topic.type_hash, qos_text(topic.qos), 0)
            self._topics[topic.name] = row
            self._said_s = 0.0
        values = {"offered_qos_profiles": row.qos, "topic_type_hash": row.type_hash}
        channel = self._writer.add_channel(topic.name, topic.msgtype, topic.definition, values)
        self._channels[topic.name] = channel
        return channel

    def _keep_safe(self) -> None:
        now_s = time.monotonic()
        if now_s - self._checked_s < self._flush_s:
            return
        if self._unsafe_since_s is not None:
            self._checkpoint({})
            self._sync()
        self._checked_s = now_s
        if 0 < self._split_bytes <= self._writer.size:
            self._end_file()
            self._writer.close()
            self._writer = self._next_file()
        if now_s - self._said_s > _METADATA_S:
            self._say()

    def _checkpoint(self, extra: Mapping[str, Mapping[str, str]]) -> None:
        self._writer.checkpoint(extra)
        self._unsaved.clear()
        index, row = self._writer.index, self._files[-1]
        row.first_ns, row.last_ns = index.first_ns, index.last_ns
        row.messages = index.message_count

    def _sync(self) -> None:
        self._writer.sync()
        self._unsafe_since_s = None

    def _next_file(self) -> McapFile:
        name = f"{self.path.name}_{len(self._files)}.mcap"
        disk = self._make_disk(self.path / name)
        about = {ABOUT: self._about} if self._about else {}
        writer = McapFile(disk, level=self._level, about=about)
        writer.checkpoint({})
        self._files.append(FileRow(name, 0, 0, 0))
        self._channels.clear()
        self._say()
        return writer

    def _end_file(self) -> None:
        """Give the file at hand the metadata that rosbag2 looks for in a single file."""
        self._checkpoint({})
        self._checkpoint({"rosbag2": {"serialized_metadata": inner_text(self._text())}})
        self._sync()

    def _say(self) -> None:
        self._said_s = time.monotonic()
        write_metadata(self.path, self._text())

    def _text(self) -> str:
        return metadata_text(self._files, list(self._topics.values()), self._custom)

    def _fail(self, error: Exception, lost: Iterable[Item] = ()) -> None:
        with self._ready:
            self.error = f"{self.path}: writing stopped ({error})"
            self._count_dropped(topic.name for topic, *_ in (*lost, *self._queue))
            self._queue.clear()
            self._queued_bytes = 0
        _LOG.error("%s", self.error)
        self._save_what_goes()

    def _save_what_goes(self) -> None:
        """After an error: the chunk at hand if the disk takes it, and the metadata."""
        try:
            self._checkpoint({})
        except Exception:
            for name, count in self._unsaved.items():
                self._topics[name].messages -= count
                self.counters.written -= count
                with self._ready:
                    self._count_dropped([name] * count)
        try:
            self._say()
        except OSError as error:
            _LOG.error("%s: metadata.yaml cannot be written (%s)", self.path, error)

    def _count_dropped(self, names: Iterable[str]) -> None:
        dropped = self.counters.dropped
        for name in names:
            dropped[name] = dropped.get(name, 0) + 1
