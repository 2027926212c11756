"""What an mcap file says of itself at its end."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from ilrs_robots.replay import mcap_records as mcap
from ilrs_robots.replay.mcap_index import EMPTY_FIRST_NS, McapIndex
from ilrs_robots.replay.mcap_records import Fields

ABOUT: Final = "ilrs"
"""Name of the metadata record that every file of our bags begins with."""
_FOOTER_BYTES: Final = mcap.HEAD.size + 20 + len(mcap.MAGIC)
_HEAD_OF_FILE: Final = 2**20


@dataclass(frozen=True)
class Channel:
    """A topic as the file describes it."""

    topic: str
    msgtype: str
    metadata: dict[str, str]


@dataclass
class Scan:
    """What a file holds.

    Attributes:
        index: of everything that can be read and will be kept.
        channels: number -> topic.
        data_end: where the data that can be read end; 0 when the file holds nothing.
        lost_bytes: bytes of messages that cannot be read.
        whole: whether the file is in order as it stands.
        about: metadata records by name.
        rest: bytes that belong behind ``data_end``: what was rescued of a cut chunk, and message
            indexes that the cut has taken.
    """

    index: McapIndex = field(default_factory=McapIndex)
    channels: dict[int, Channel] = field(default_factory=dict)
    data_end: int = 0
    lost_bytes: int = 0
    whole: bool = False
    about: dict[str, dict[str, str]] = field(default_factory=dict)
    rest: bytes = b""

    def note(self, opcode: int, content: bytes, whole: bytes) -> None:
        """Take in a schema, a channel or a metadata record."""
        fields = Fields(content)
        if opcode == mcap.SCHEMA:
            self.index.schemas[fields.take("H")[0]] = whole
        elif opcode == mcap.CHANNEL:
            number, schema = fields.take("HH")
            topic, _encoding, metadata = fields.text(), fields.text(), fields.mapping()
            self.channels[number] = Channel(topic, self._type(schema), metadata)
            self.index.channels[number] = whole
            self.index.counts.setdefault(number, 0)
        elif opcode == mcap.METADATA:
            name = fields.text()
            self.about[name] = fields.mapping()

    def _type(self, number: int) -> str:
        whole = self.index.schemas.get(number)
        if whole is None:
            return ""
        fields = Fields(whole[mcap.HEAD.size :])
        fields.take("H")
        return fields.text()


def from_summary(file: BinaryIO) -> Scan | None:
    """What the end of a file states; None where there is no end or it is damaged."""
    size = file.seek(0, os.SEEK_END)
    if size < len(mcap.MAGIC) + _FOOTER_BYTES:
        return None
    file.seek(0)
    if file.read(len(mcap.MAGIC)) != mcap.MAGIC:
        return None
    file.seek(size - _FOOTER_BYTES)
    footer = file.read()
    if not footer.startswith(mcap.HEAD.pack(mcap.FOOTER, 20)) or not footer.endswith(mcap.MAGIC):
        return None
    start, _offsets, crc = struct.unpack_from("<QQI", footer, mcap.HEAD.size)
    if not len(mcap.MAGIC) < start < size:
        return None
    file.seek(start)
    summary = file.read(size - _FOOTER_BYTES - start)
    if crc and zlib.crc32(footer[: mcap.HEAD.size + 16], zlib.crc32(summary)) != crc:
        return None
    found, stated = Scan(data_end=start, whole=True), False
    file.seek(0)
    head = file.read(min(_HEAD_OF_FILE, start))
    try:
        for item in mcap.records(head, len(mcap.MAGIC)):
            if item.opcode == mcap.METADATA:
                found.note(item.opcode, bytes(item.content), b"")
            elif item.opcode == mcap.CHUNK:
                break
        for item in mcap.records(summary):
            found.note(item.opcode, bytes(item.content), summary[item.start : item.end])
            if item.opcode == mcap.STATISTICS:
                stated = True
                _take_statistics(found.index, Fields(item.content))
    except (struct.error, UnicodeDecodeError):
        return None
    return found if stated else None


def _take_statistics(index: McapIndex, fields: Fields) -> None:
    _count, _schemas, _channels, _attachments, _metadata, chunks, first, last = fields.take(
        "QHIIIIQQ"
    )
    for number, messages in struct.iter_unpack("<HQ", fields.data()):
        index.counts[number] = messages
    index.chunk_count = chunks
    index.first_ns = first if index.message_count else EMPTY_FIRST_NS
    index.last_ns = last
