"""Records of an mcap file, as bytes: what the writer appends and the recovery reads.

Neither ``rosbags`` nor the ``mcap`` package can end a chunk by time or give a file a valid end
while it still grows, which is what a recording needs that survives a power cut.

Reference: MCAP format specification (mcap.dev/spec); rosbag2's profile ``ros2`` (schema encoding
``ros2msg``, message encoding ``cdr``, channel key ``offered_qos_profiles``).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

MAGIC: Final = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
MESSAGE_INDEX, CHUNK_INDEX, ATTACHMENT, STATISTICS = 0x07, 0x08, 0x09, 0x0B
METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = 0x0C, 0x0D, 0x0E, 0x0F
HEAD: Final = struct.Struct("<BQ")
"""Opcode and length of a record's content."""
MESSAGE_HEAD: Final = struct.Struct("<BQHIQQ")
"""Opcode, length, channel, sequence, log time, publish time; the data follow."""
CHUNK_HEAD: Final = struct.Struct("<QQQI")
"""First and last log time, uncompressed size and CRC-32; compression, size and records follow."""


def record(opcode: int, *parts: bytes) -> bytes:
    """A whole record."""
    return b"".join((HEAD.pack(opcode, sum(map(len, parts))), *parts))


def text(value: str | bytes) -> bytes:
    """A string, or bytes with a 32-bit length."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def mapping(values: Mapping[str, str]) -> bytes:
    """A map of strings to strings."""
    return text(b"".join(text(key) + text(value) for key, value in values.items()))


def header(library: str) -> bytes:
    """The file's first record; the profile is ROS 2's."""
    return record(HEADER, text("ros2"), text(library))


def schema(number: int, name: str, definition: str) -> bytes:
    """The definition of a message type."""
    encoding = "ros2idl" if definition.startswith("=" * 80 + "\nIDL: ") else "ros2msg"
    return record(SCHEMA, struct.pack("<H", number), text(name), text(encoding), text(definition))


def channel(number: int, schema_number: int, topic: str, values: Mapping[str, str]) -> bytes:
    """A topic."""
    ids = struct.pack("<HH", number, schema_number)
    return record(CHANNEL, ids, text(topic), text("cdr"), mapping(values))


def metadata(name: str, values: Mapping[str, str]) -> bytes:
    """Free key-value pairs."""
    return record(METADATA, text(name), mapping(values))


class Record(NamedTuple):
    """One record in a buffer: its opcode, its content, where it begins and where the next does."""

    opcode: int
    content: memoryview
    start: int
    end: int


def records(data: bytes | memoryview, start: int = 0) -> Iterator[Record]:
    """The whole records of a buffer; ends before one that is cut."""
    view, at = memoryview(data), start
    while at + HEAD.size <= len(view):
        opcode, length = HEAD.unpack_from(view, at)
        end = at + HEAD.size + length
        if opcode == 0 or end > len(view):
            return
        yield Record(opcode, view[at + HEAD.size : end], at, end)
        at = end


class Fields:
    """Reads the fields of a record's content in turn.

    Raises:
        struct.error: the content ends before the field does.
    """

    def __init__(self, content: bytes | memoryview) -> None:
        self._view, self._at = memoryview(content), 0

    def take(self, layout: str) -> tuple[int, ...]:
        """Numbers, by a ``struct`` layout without its byte order."""
        values = struct.unpack_from("<" + layout, self._view, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def data(self) -> memoryview:
        """Bytes with a 32-bit length."""
        (length,) = self.take("I")
        if self._at + length > len(self._view):
            raise struct.error(f"{length} bytes are announced, {len(self._view) - self._at} left")
        self._at += length
        return self._view[self._at - length : self._at]

    def text(self) -> str:
        """A string."""
        return bytes(self.data()).decode()

    def mapping(self) -> dict[str, str]:
        """A map of strings to strings."""
        inner, found = Fields(self.data()), {}
        while inner._at < len(inner._view):
            key = inner.text()
            found[key] = inner.text()
        return found

    def rest(self) -> memoryview:
        """What is left."""
        return self._view[self._at :]
