"""An mcap file that has a valid end at every moment of its recording."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ilrs_robots import __version__
from ilrs_robots.replay import mcap_records as mcap
from ilrs_robots.replay.mcap_index import (
    EMPTY_FIRST_NS,
    LEVEL,
    ChunkContent,
    Compression,
    McapIndex,
)

LIBRARY: Final = f"ilrs_robots {__version__}"
_PARTS: Final = 1024
"""writev(2) takes no more at a time (IOV_MAX)."""
CHUNK_BYTES: Final = 2**20
"""A chunk is closed when it holds this much: what a reader must decompress for one message."""


class Disk:
    """The file below; what a test makes slow or full.

    Args:
        path: file that must not exist yet. It is locked against other writers while it is open.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._size = 0

    def put(self, offset: int, parts: Sequence[bytes]) -> None:
        """Let the file end with ``parts`` at ``offset``, safe from a kill.

        Raises:
            OSError: the disk refuses.
        """
        if offset < self._size:  # so that a write that is cut leaves no bytes of another time
            self.cut(offset)
        os.lseek(self._fd, offset, os.SEEK_SET)
        left = deque(memoryview(part) for part in parts if part)
        while left:
            written = os.writev(self._fd, list(itertools.islice(left, _PARTS)))
            while left and written >= len(left[0]):
                written -= len(left.popleft())
            if written:
                left[0] = left[0][written:]
        self._size = os.lseek(self._fd, 0, os.SEEK_CUR)

    def sync(self) -> None:
        """Make what was put safe from a power cut.

        Raises:
            OSError: the disk refuses.
        """
        os.fdatasync(self._fd)

    def cut(self, size: int) -> None:
        """Take away everything behind ``size``."""
        os.ftruncate(self._fd, size)
        self._size = size

    def close(self) -> None:
        """Close the file; releases the lock."""
        os.close(self._fd)


class McapFile:
    """Collects messages in chunks; ``checkpoint`` puts them into the file.

    Each checkpoint puts the new chunks in the place of the file's former end and a new end
    (summary and footer) behind them, so that a file whose writer was killed opens as it is. What
    a write that a power failure cuts in two leaves, ``recovery`` mends: chunks are whole records
    with a checksum.

    Args:
        disk: the file.
        level: of zstd, None for no compression.
        about: metadata records, written first.
    """

    def __init__(
        self,
        disk: Disk,
        *,
        level: int | None = LEVEL,
        about: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.index = McapIndex()
        self._disk, self._compress = disk, Compression(level)
        self._pending: list[bytes] = []
        self._data_end = self._safe_end = 0
        self._tail = b""
        self._schema_of: dict[str, int] = {}
        self._parts: list[bytes] = []
        self._chunk = ChunkContent(b"", {}, EMPTY_FIRST_NS, 0)
        self._chunk_size = 0
        self._append(mcap.MAGIC + mcap.header(LIBRARY))
        for name, values in (about or {}).items():
            whole = mcap.metadata(name, values)
            self.index.add_metadata(name, self._data_end, len(whole))
            self._append(whole)

    @property
    def size(self) -> int:
        """Bytes of the file's data, those included that wait for the next checkpoint."""
        return self._data_end + self._chunk_size

    @property
    def unsaved(self) -> int:
        """Bytes that wait for the next checkpoint."""
        return self.size - self._safe_end

    def add_channel(
        self, topic: str, msgtype: str, definition: str, values: Mapping[str, str]
    ) -> int:
        """A new topic with its metadata; returns its channel."""
        number = self._schema_of.get(msgtype)
        if number is None:
            number = self._schema_of[msgtype] = len(self._schema_of) + 1
            whole = mcap.schema(number, msgtype, definition)
            self.index.schemas[number] = whole
            self._append(whole)
        channel = len(self.index.channels) + 1
        whole = mcap.channel(channel, number, topic, values)
        self.index.channels[channel] = whole
        self.index.counts[channel] = 0
        self._append(whole)
        return channel

    def write(self, channel: int, log_ns: int, data: bytes) -> None:
        """Add one message to the chunk at hand."""
        chunk = self._chunk
        stamps = chunk.stamps.get(channel)
        if stamps is None:
            stamps = chunk.stamps[channel] = []
        stamps += (log_ns, self._chunk_size)
        chunk.first_ns = min(chunk.first_ns, log_ns)
        chunk.last_ns = max(chunk.last_ns, log_ns)
        head = mcap.MESSAGE_HEAD.pack(mcap.MESSAGE, 22 + len(data), channel, 0, log_ns, log_ns)
        self._parts += (head, data)
        self._chunk_size += len(head) + len(data)
        if self._chunk_size >= CHUNK_BYTES:
            self._end_chunk()

    def checkpoint(self, extra: Mapping[str, Mapping[str, str]]) -> None:
        """Put everything into the file, with an end behind it.

        Often and little at a time costs a tenth of the CPU of seldom and much.

        Args:
            extra: metadata records that may be others at the next checkpoint.

        Raises:
            OSError: the disk refuses; the file is then as the checkpoint before left it.
        """
        self._end_chunk()
        tail = self.index.tail(self._data_end, extra)
        try:
            self._disk.put(self._safe_end, [*self._pending, tail])
        except OSError:
            self._disk.cut(self._safe_end)
            self._disk.put(self._safe_end, [self._tail])
            raise
        self._safe_end, self._tail = self._data_end, tail
        self._pending.clear()

    def sync(self) -> None:
        """Make what the last checkpoint put safe from a power cut.

        Raises:
            OSError: the disk refuses.
        """
        self._disk.sync()

    def close(self) -> None:
        """Close the file as the last checkpoint left it."""
        self._disk.close()

    def _append(self, data: bytes) -> None:
        self._end_chunk()
        self._pending.append(data)
        self._data_end += len(data)

    def _end_chunk(self) -> None:
        if not self._parts:
            return
        self._chunk.data = b"".join(self._parts)
        self._parts.clear()
        self._chunk_size = 0
        parts = self.index.add_chunk(self._chunk, self._data_end, self._compress)
        self._pending += parts
        self._data_end += sum(map(len, parts))
        self._chunk = ChunkContent(b"", {}, EMPTY_FIRST_NS, 0)
