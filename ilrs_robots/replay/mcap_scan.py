"""What an mcap file holds: from its end where it has one, else record by record."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from lz4.frame import decompress as lz4_decompress

from ilrs_robots.replay import mcap_records as mcap
from ilrs_robots.replay.mcap_index import (
    EMPTY_FIRST_NS,
    ChunkContent,
    Compression,
    message_index,
    zstd,
)
from ilrs_robots.replay.mcap_records import Fields
from ilrs_robots.replay.mcap_summary import Scan, from_summary

_DATA_SECTION: Final = frozenset(
    (
        mcap.HEADER,
        mcap.SCHEMA,
        mcap.CHANNEL,
        mcap.MESSAGE,
        mcap.CHUNK,
        mcap.MESSAGE_INDEX,
        mcap.ATTACHMENT,
        mcap.METADATA,
        mcap.DATA_END,
    )
)
_PAGE: Final = 4096
_MESSAGE_BYTES: Final = mcap.MESSAGE_HEAD.size - mcap.HEAD.size


def look(path: Path) -> Scan:
    """What a file holds, by its own end; a file without a valid end is read through.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        found = from_summary(file)
    return found or scan(path)


def scan(path: Path) -> Scan:
    """Read a file through, as far as its records go.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return _Reading(file).run()


@dataclass
class _OpenChunk:
    """The last chunk, while its message indexes are being read."""

    content: ChunkContent
    offset: int
    length: int
    compression: str
    sizes: tuple[int, int]
    places: dict[int, int] = field(default_factory=dict)
    end: int = 0


class _Reading:
    """One pass through a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._found = file, Scan()
        self._size = file.seek(0, os.SEEK_END)
        self._chunk: _OpenChunk | None = None
        self._loose = self._ended = False
        self._headless = True
        self._damaged = 0

    def run(self) -> Scan:
        found = self._found
        self._file.seek(0)
        if self._file.read(len(mcap.MAGIC)) != mcap.MAGIC:
            found.lost_bytes = self._size
            return found
        good = len(mcap.MAGIC)
        for opcode, start, content in self._records(good):
            end = start + mcap.HEAD.size + len(content)
            try:
                readable = self._take(opcode, start, content)
            except (struct.error, UnicodeDecodeError):
                break
            if self._ended:
                break
            if readable:
                good, found.lost_bytes = end, found.lost_bytes + self._damaged
                self._damaged = 0
        found.data_end = good
        if self._headless:
            return Scan(lost_bytes=self._size)
        self._finish(good)
        return found

    def _records(self, at: int) -> Iterator[tuple[int, int, bytes]]:
        while at + mcap.HEAD.size <= self._size:
            self._file.seek(at)
            opcode, length = mcap.HEAD.unpack(self._file.read(mcap.HEAD.size))
            if opcode not in _DATA_SECTION or at + mcap.HEAD.size + length > self._size:
                return
            yield opcode, at, self._file.read(length)
            at += mcap.HEAD.size + length

    def _take(self, opcode: int, start: int, content: bytes) -> bool:
        """Take in one record; False when it holds nothing that can be read."""
        if opcode == mcap.MESSAGE_INDEX:
            return self._take_index(start, content)
        self._end_chunk()
        whole = mcap.HEAD.pack(opcode, len(content)) + content
        if opcode == mcap.CHUNK:
            return self._take_chunk(start, content)
        if opcode == mcap.MESSAGE:
            self._take_message(content)
        elif opcode == mcap.DATA_END:
            self._ended = len(content) == 4
            return self._ended
        else:
            self._headless = self._headless and opcode != mcap.HEADER
            self._found.note(opcode, content, whole)
            if opcode == mcap.METADATA:
                name = Fields(content).text()
                self._found.index.add_metadata(name, start, len(whole))
        return True

    def _take_message(self, content: bytes) -> None:
        number, _sequence, log_ns = Fields(content).take("HIQ")
        index = self._found.index
        index.counts[number] = index.counts.get(number, 0) + 1
        index.first_ns, index.last_ns = min(index.first_ns, log_ns), max(index.last_ns, log_ns)
        self._loose = True

    def _take_chunk(self, start: int, content: bytes) -> bool:
        length = mcap.HEAD.size + len(content)
        fields = Fields(content)
        _first, _last, size, crc = fields.take("QQQI")
        compression = fields.text()
        (compressed,) = fields.take("Q")
        data = _decompressed(bytes(fields.rest()[:compressed]), compression)
        if data is None or len(data) != size or (crc and zlib.crc32(data) != crc):
            self._damaged += length
            return False
        chunk = self._content(data)
        self._chunk = _OpenChunk(chunk, start, length, compression, (compressed, size))
        self._chunk.end = start + length
        return True

    def _content(self, data: bytes) -> ChunkContent:
        """Where the messages of a chunk lie; its schemas and channels are noted."""
        content = ChunkContent(data, {}, EMPTY_FIRST_NS, 0)
        for item in mcap.records(data):
            if item.opcode != mcap.MESSAGE:
                self._found.note(item.opcode, bytes(item.content), data[item.start : item.end])
            elif len(item.content) >= _MESSAGE_BYTES:
                number, _sequence, log_ns = struct.unpack_from("<HIQ", item.content)
                content.stamps.setdefault(number, []).extend((log_ns, item.start))
                content.first_ns = min(content.first_ns, log_ns)
                content.last_ns = max(content.last_ns, log_ns)
        return content

    def _take_index(self, start: int, content: bytes) -> bool:
        chunk = self._chunk
        if chunk is None:
            return False
        chunk.places[Fields(content).take("H")[0]] = start
        chunk.end = start + mcap.HEAD.size + len(content)
        return True

    def _end_chunk(self) -> None:
        """Note the chunk at hand, whose indexes have all been read."""
        chunk, self._chunk = self._chunk, None
        if chunk is None or not chunk.content.stamps:
            return
        self._found.index.note_chunk(
            chunk.content,
            chunk.offset,
            chunk.length,
            chunk.places,
            chunk.end - chunk.offset - chunk.length,
            chunk.compression,
            chunk.sizes,
        )

    def _finish(self, good: int) -> None:
        """Judge the end of the file, and keep what can be rescued of it."""
        found, chunk = self._found, self._chunk
        if self._ended:
            found.lost_bytes += self._damaged
            self._file.seek(0)
            end = from_summary(self._file)
            counts = found.index.counts
            found.whole = end is not None and found.lost_bytes == 0
            found.whole = found.whole and end.index.counts == counts if end else False
            return
        found.lost_bytes += self._size - good
        if chunk is not None and chunk.content.stamps.keys() - chunk.places.keys():
            found.data_end = chunk.offset + chunk.length
            found.lost_bytes = max(0, self._size - max(good, chunk.end))
            again = [message_index(n, s) for n, s in chunk.content.stamps.items()]
            found.rest, place = b"".join(again), found.data_end
            for number, whole in zip(chunk.content.stamps, again, strict=True):
                chunk.places[number], place = place, place + len(whole)
            chunk.end = place
        self._end_chunk()
        self._rescue(good)

    def _rescue(self, at: int) -> None:
        """Take the messages at the beginning of a chunk behind which nothing can be read."""
        found = self._found
        self._file.seek(at)
        head = self._file.read(mcap.HEAD.size)
        if self._loose or len(head) < mcap.HEAD.size or head[0] != mcap.CHUNK or found.rest:
            return
        content = self._file.read(mcap.HEAD.unpack(head)[1])
        try:
            fields = Fields(content)
            first_ns, last_ns, _size, _crc = fields.take("QQQI")
            compression = fields.text()
            fields.take("Q")
        except (struct.error, UnicodeDecodeError):
            return
        data = _beginning(bytes(fields.rest()), compression)
        self._content(data)  # for the topics that are described in the chunk itself
        known = self._content(_messages(data, found.channels.keys(), first_ns, last_ns))
        if known.stamps:
            found.rest = b"".join(found.index.add_chunk(known, found.data_end, Compression()))


def _messages(data: bytes, channels: Collection[int], first_ns: int, last_ns: int) -> bytes:
    """The messages at the beginning of a chunk, up to one that cannot be of it."""
    kept = []
    for item in mcap.records(data):
        if item.opcode != mcap.MESSAGE:
            continue
        if len(item.content) < _MESSAGE_BYTES:
            break
        number, _sequence, log_ns = struct.unpack_from("<HIQ", item.content)
        if number not in channels or not first_ns <= log_ns <= last_ns:
            break
        kept.append(data[item.start : item.end])
    return b"".join(kept)


def chunk_data(file: BinaryIO, offset: int) -> bytes:
    """The records of the chunk at ``offset``, unpacked.

    Raises:
        ValueError: it is damaged.
        OSError: the file cannot be read.
    """
    file.seek(offset)
    head = file.read(mcap.HEAD.size + mcap.CHUNK_HEAD.size + 4)
    _first, _last, size, crc = mcap.CHUNK_HEAD.unpack_from(head, mcap.HEAD.size)
    (named,) = struct.unpack_from("<I", head, len(head) - 4)
    rest = file.read(named + 8)
    compression = rest[:named].decode(errors="replace")
    (length,) = struct.unpack_from("<Q", rest, named)
    data = _decompressed(file.read(length), compression)
    if data is None or len(data) != size:
        raise ValueError(f"the chunk at byte {offset} does not unpack")
    if crc and zlib.crc32(data) != crc:
        raise ValueError(f"the chunk at byte {offset} has another checksum")
    return data


def _decompressed(data: bytes, compression: str) -> bytes | None:
    """A chunk's records; None when the data are damaged or the compression is unknown."""
    try:
        if compression == "zstd":
            return bytes(zstd.decompress(data))
        if compression == "lz4":
            return bytes(lz4_decompress(data))
    except (zstd.ZstdError, RuntimeError):
        return None
    return data if compression == "" else None


def _beginning(data: bytes, compression: str) -> bytes:
    """What decompresses of data whose end is missing."""
    if compression != "zstd":
        kept = data.rstrip(b"\0")  # pages that were never written
        return (kept if len(data) - len(kept) > _PAGE else data) if compression == "" else b""
    reader, parts = zstd.ZstdDecompressor(), []
    try:
        for at in range(0, len(data), _PAGE):
            parts.append(reader.decompress(data[at : at + _PAGE]))
            if reader.eof:
                break
    except zstd.ZstdError:
        pass
    return b"".join(parts)
