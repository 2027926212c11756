"""What the end of an mcap file says about the messages before it, and the chunks they lie in."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ilrs_robots.replay import mcap_records as mcap
from ilrs_robots.replay.mcap_records import record, text

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

EMPTY_FIRST_NS: Final = 2**63 - 1
LEVEL: Final = 1
"""zstd's level: 500 MB/s where level 3 gives 80, for 7 % more bytes (scans of a lidar)."""


class Compression:
    """Compresses chunks; one for a file, because a compressor's memory costs more than a chunk.

    Args:
        level: of zstd, None to leave the data as they are.
    """

    def __init__(self, level: int | None = LEVEL) -> None:
        self.name = "" if level is None else "zstd"
        self._zstd = None if level is None else zstd.ZstdCompressor(level)

    def __call__(self, data: bytes) -> bytes:
        """The data as they stand in a chunk."""
        if self._zstd is None:
            return data
        self._zstd.set_pledged_input_size(len(data))
        return bytes(self._zstd.compress(data, self._zstd.FLUSH_FRAME))


@dataclass
class ChunkContent:
    """What a chunk of messages is made from, and what is known of one that was read.

    Attributes:
        data: records of messages, uncompressed.
        stamps: channel -> log time and offset in ``data``, in turn, of each of its messages.
        first_ns: smallest log time.
        last_ns: greatest log time.
    """

    data: bytes
    stamps: dict[int, list[int]]
    first_ns: int
    last_ns: int


@dataclass
class McapIndex:
    """All that the end of a file says about what lies before it.

    Attributes:
        schemas: number -> record.
        channels: number -> record.
        chunks: chunk index records, one after the other.
        chunk_count: how many these are.
        metadata: metadata index records.
        counts: channel -> messages.
        first_ns: smallest log time of all messages.
        last_ns: greatest log time of all messages.
    """

    schemas: dict[int, bytes] = field(default_factory=dict)
    channels: dict[int, bytes] = field(default_factory=dict)
    chunks: bytearray = field(default_factory=bytearray)
    chunk_count: int = 0
    metadata: list[bytes] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    first_ns: int = EMPTY_FIRST_NS
    last_ns: int = 0

    @property
    def message_count(self) -> int:
        """Messages in all."""
        return sum(self.counts.values())

    def add_metadata(self, name: str, offset: int, length: int) -> None:
        """Note a metadata record of ``length`` bytes at ``offset``."""
        place = struct.pack("<QQ", offset, length)
        self.metadata.append(record(mcap.METADATA_INDEX, place, text(name)))

    def add_chunk(self, content: ChunkContent, offset: int, compress: Compression) -> list[bytes]:
        """Note a chunk that will lie at ``offset``; returns it with its message indexes."""
        data = compress(content.data)
        crc = zlib.crc32(content.data)
        start = mcap.CHUNK_HEAD.pack(content.first_ns, content.last_ns, len(content.data), crc)
        start += text(compress.name) + struct.pack("<Q", len(data))
        head = mcap.HEAD.pack(mcap.CHUNK, len(start) + len(data)) + start
        length = len(head) + len(data)
        at, places, indexes = offset + length, {}, []
        for number, stamps in content.stamps.items():
            places[number] = at
            indexes.append(message_index(number, stamps))
            at += len(indexes[-1])
        sizes = (len(data), len(content.data))
        behind = at - offset - length
        self.note_chunk(content, offset, length, places, behind, compress.name, sizes)
        return [head, data, *indexes]

    def note_chunk(
        self,
        content: ChunkContent,
        offset: int,
        length: int,
        places: Mapping[int, int],
        indexes_length: int,
        compression: str,
        sizes: tuple[int, int],
    ) -> None:
        """Note a chunk that lies in the file, with its message indexes right behind it.

        Args:
            content: what is in it.
            offset: where its record begins in the file.
            length: of its record.
            places: channel -> where its message index begins.
            indexes_length: of all these together.
            compression: name of it.
            sizes: bytes of its data compressed and uncompressed.
        """
        for number, stamps in content.stamps.items():
            self.counts[number] = self.counts.get(number, 0) + len(stamps) // 2
        self.chunks += record(
            mcap.CHUNK_INDEX,
            struct.pack("<QQQQ", content.first_ns, content.last_ns, offset, length),
            text(b"".join(struct.pack("<HQ", *item) for item in places.items())),
            struct.pack("<Q", indexes_length),
            text(compression),
            struct.pack("<QQ", *sizes),
        )
        self.chunk_count += 1
        self.first_ns = min(self.first_ns, content.first_ns)
        self.last_ns = max(self.last_ns, content.last_ns)

    def tail(self, offset: int, extra: Mapping[str, Mapping[str, str]]) -> bytes:
        """The file's end, for data that end at ``offset``.

        Args:
            offset: where the tail begins.
            extra: metadata records that stand in the tail because they change until the end.
        """
        before, indexes = bytearray(), list(self.metadata)
        for name, values in extra.items():
            whole = mcap.metadata(name, values)
            place = struct.pack("<QQ", offset + len(before), len(whole))
            indexes.append(record(mcap.METADATA_INDEX, place, text(name)))
            before += whole
        before += record(mcap.DATA_END, struct.pack("<I", 0))
        start = offset + len(before)
        summary = self._summary(start, indexes)
        offsets_at = start + summary.index_of_offsets
        head = mcap.HEAD.pack(mcap.FOOTER, 20) + struct.pack("<QQ", start, offsets_at)
        crc = zlib.crc32(head, zlib.crc32(summary.data))
        return b"".join((before, summary.data, head, struct.pack("<I", crc), mcap.MAGIC))

    def _summary(self, start: int, metadata_indexes: Sequence[bytes]) -> _Summary:
        groups = (
            (mcap.SCHEMA, b"".join(self.schemas.values())),
            (mcap.CHANNEL, b"".join(self.channels.values())),
            (mcap.STATISTICS, self._statistics(len(metadata_indexes))),
            (mcap.CHUNK_INDEX, bytes(self.chunks)),
            (mcap.METADATA_INDEX, b"".join(metadata_indexes)),
        )
        data, offsets = bytearray(), bytearray()
        for opcode, content in groups:
            if content:
                place = struct.pack("<BQQ", opcode, start + len(data), len(content))
                offsets += record(mcap.SUMMARY_OFFSET, place)
                data += content
        return _Summary(bytes(data + offsets), len(data))

    def _statistics(self, metadata_count: int) -> bytes:
        first = self.first_ns if self.message_count else 0
        head = struct.pack(
            "<QHIIIIQQ",
            self.message_count,
            len(self.schemas),
            len(self.channels),
            0,
            metadata_count,
            self.chunk_count,
            first,
            self.last_ns,
        )
        counts = b"".join(struct.pack("<HQ", *item) for item in sorted(self.counts.items()))
        return record(mcap.STATISTICS, head, text(counts))


class _Summary(NamedTuple):
    data: bytes
    index_of_offsets: int


def message_index(number: int, stamps: Sequence[int]) -> bytes:
    """Where the messages of one channel lie in a chunk; ``stamps`` as in ``ChunkContent``."""
    entries = struct.pack(f"<{len(stamps)}Q", *stamps)
    return record(mcap.MESSAGE_INDEX, struct.pack("<H", number), text(entries))
