"""Save what can be read of a ROS 1 bag that was cut or never got its index.

The file is read from its beginning, record by record, up to the first one that is not whole.

Reference: ROS wiki, Bags/Format/2.0.
"""

from __future__ import annotations

import bz2
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rosbags.rosbag1 import Writer

from ilrs_robots.replay.bag import BagError

_MAGIC: Final = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_LARGEST: Final = 1 << 31

Record = tuple[dict[str, bytes], bytes]
Data = bytes | mmap.mmap


def salvage_ros1(source: Path, into: Path) -> str:
    """Copy what can be read of ``source`` into the new bag ``into``.

    Returns:
        a sentence that says how much that is.

    Raises:
        BagError: it is no ROS 1 bag, or no message can be read.
    """
    with source.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BagError(f"{source}: this is no ROS 1 bag of version 2.0")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            copied, at, size = _copy_all(data, into)
    if not copied:
        raise BagError(f"{source}: no message can be read")
    return f"{copied} messages were read; {size - at} of {size} bytes lost"


def _copy_all(data: Data, into: Path) -> tuple[int, int, int]:
    """Messages that were copied, where reading ended, and the file's size."""
    copied, at = 0, len(_MAGIC)
    with Writer(into) as writer:
        connections: dict[int, Any] = {}
        for record, at in _records(data, len(_MAGIC)):  # noqa: B007 - the last one counts
            for header, body in _inner(record):
                copied += _copy(writer, connections, header, body)
    return copied, at, len(data)


def _records(data: Data, at: int) -> Iterator[tuple[Record, int]]:
    """Whole records and where each ends; the last may be a chunk that is cut."""
    while True:
        header = _sized(data, at)
        if header is None:
            return
        start = at + 4 + len(header)
        body = _sized(data, start)
        if body is None:
            if _fields(header).get("op", b"\0")[0] == _CHUNK and start + 4 < len(data):
                yield (_fields(header), data[start + 4 :]), len(data)
            return
        at += 8 + len(header) + len(body)
        yield (_fields(header), body), at


def _sized(data: Data, at: int) -> bytes | None:
    if at + 4 > len(data):
        return None
    (size,) = struct.unpack_from("<I", data, at)
    if size > _LARGEST or at + 4 + size > len(data):
        return None
    return data[at + 4 : at + 4 + size]


def _fields(header: bytes) -> dict[str, bytes]:
    found, at = {}, 0
    while at + 4 <= len(header):
        (size,) = struct.unpack_from("<I", header, at)
        name, _, value = header[at + 4 : at + 4 + size].partition(b"=")
        found[name.decode("ascii", "replace")] = value
        at += 4 + size
    return found


def _inner(record: Record) -> Iterator[Record]:
    """The record itself, or those of a chunk."""
    header, body = record
    if header.get("op", b"\0")[0] != _CHUNK:
        yield record
        return
    kind = header.get("compression", b"none")
    for inner, _ in _records(_unpacked(body, kind), 0):
        yield inner


def _unpacked(body: bytes, kind: bytes) -> bytes:
    """A chunk's content, as far as it goes."""
    try:
        if kind == b"bz2":
            return bz2.BZ2Decompressor().decompress(body)
        if kind == b"lz4":
            import lz4.frame  # comes with rosbags

            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(body))
    except (OSError, RuntimeError, ValueError):
        return b""
    return body


def _copy(writer: Any, connections: dict[int, Any], header: dict[str, bytes], body: bytes) -> int:
    """Write a record; 1 when it was a message."""
    op = header.get("op", b"\0")[0]
    if op not in (_MESSAGE, _CONNECTION) or len(header.get("conn", b"")) != 4:
        return 0
    (number,) = struct.unpack("<I", header["conn"])
    if op == _CONNECTION:
        if number not in connections:
            about = _fields(body)
            connections[number] = writer.add_connection(
                header["topic"].decode(),
                about["type"].decode().replace("/", "/msg/"),
                msgdef=about["message_definition"].decode(),
                md5sum=about["md5sum"].decode(),
            )
        return 0
    if number not in connections or len(header.get("time", b"")) != 8:
        return 0
    sec, nanosec = struct.unpack("<II", header["time"])
    writer.write(connections[number], sec * 1_000_000_000 + nanosec, body)
    return 1
