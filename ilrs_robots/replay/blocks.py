"""Many messages of a bag at a time, undecoded: the chunks of an mcap file, else some in turn.

Handing out single messages costs more than decoding them; a chunk that stays one array costs
nearly nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.types import IntArray
from ilrs_robots.replay import mcap_records as mcap
from ilrs_robots.replay.bag import Bag, BagError, RawMessage
from ilrs_robots.replay.mcap_scan import chunk_data

_MESSAGES: Final = 2048
_BYTES: Final = 1 << 20
_MESSAGE: Final = mcap.MESSAGE
_HEAD: Final = mcap.MESSAGE_HEAD.size


class Block(NamedTuple):
    """Messages in the order of their log times.

    Attributes:
        data: bytes in which they lie.
        topics: (N,) index into the topics that were asked for.
        log_ns: (N,) receive times.
        begin: (N,) where each serialized message (CDR) begins in ``data``.
        size: (N,) its bytes.
    """

    data: NDArray[np.uint8]
    topics: IntArray
    log_ns: IntArray
    begin: IntArray
    size: IntArray

    def bytes_of(self, n: int) -> bytes:
        """One serialized message."""
        first = int(self.begin[n])
        return self.data[first : first + int(self.size[n])].tobytes()


def in_chunks(bag: Bag) -> bool:
    """Whether ``blocks`` reads whole chunks, which a thread can do."""
    return _whole_chunks(bag) is not None


def blocks(bag: Bag, topics: Sequence[str]) -> Iterator[Block]:
    """The messages of some topics of a ROS 2 bag, in the order of ``Bag.raw``.

    Raises:
        BagError: the file is damaged.
    """
    files = _whole_chunks(bag)
    if files is None:
        yield from _collected(bag, topics)
        return
    try:
        for storage in files:
            yield from _of_chunks(storage, topics)
    except GeneratorExit:
        raise
    except Exception as error:  # a damaged file makes readers fail in many ways
        raise BagError(f"{bag.path}: reading stops ({error})") from error


# -- chunks of mcap files -----------------------------------------------------------------------
def _whole_chunks(bag: Bag) -> list[Any] | None:
    """The files of a bag whose messages all lie in chunks that do not overlap in time."""
    files = bag.mcap_files()
    for storage in files:
        chunks = sorted(storage.chunks, key=lambda chunk: chunk.message_start_time)
        listed = sum(sum(chunk.channel_count.values()) for chunk in chunks)
        if not chunks or storage.statistics is None:
            return None
        if listed != storage.statistics.message_count:
            return None
        for before, after in itertools.pairwise(chunks):
            later = before.chunk_start_offset < after.chunk_start_offset
            if after.message_start_time < before.message_end_time or not later:
                return None
    return files or None


def _of_chunks(storage: Any, topics: Sequence[str]) -> Iterator[Block]:
    place = {name: n for n, name in enumerate(topics)}
    channels = np.full(1 << 16, -1, np.int64)
    for connection in storage.connections:
        channels[connection.id] = place.get(connection.topic, -1)
    wanted = {c.id for c in storage.connections if c.topic in place}
    for chunk in storage.chunks:
        if wanted.isdisjoint(chunk.message_index_offsets):
            continue
        data = np.frombuffer(chunk_data(storage.bio, chunk.chunk_start_offset), np.uint8)
        topic, log_ns, begin, size = _records(data, channels)
        if topic.size:
            order = np.argsort(log_ns, kind="stable")
            yield Block(data, topic[order], log_ns[order], begin[order], size[order])


@njit(cache=True, error_model="numpy")
def _number(data: NDArray[np.uint8], at: int, size: int) -> int:
    value = 0
    for n in range(size - 1, -1, -1):
        value = (value << 8) | int(data[at + n])
    return value


@njit(cache=True, error_model="numpy")
def _records(
    data: NDArray[np.uint8], channels: IntArray
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Topic, log time, place and size of the messages of a chunk whose topic is wanted."""
    room = data.size // _HEAD + 1
    topic, log_ns = np.empty(room, np.int64), np.empty(room, np.int64)
    begin, size = np.empty(room, np.int64), np.empty(room, np.int64)
    at = count = 0
    while at + 9 <= data.size:
        length = _number(data, at + 1, 8)
        end = at + 9 + length
        if length < 0 or end > data.size:
            raise ValueError("a record does not end in its chunk")
        if data[at] == _MESSAGE and length >= _HEAD - 9:
            found = channels[_number(data, at + 9, 2)]
            if found >= 0:
                topic[count], log_ns[count] = found, _number(data, at + 15, 8)
                begin[count], size[count] = at + _HEAD, end - at - _HEAD
                count += 1
        at = end
    return topic[:count], log_ns[:count], begin[:count], size[:count]


# -- any other file -----------------------------------------------------------------------------
def _collected(bag: Bag, topics: Sequence[str]) -> Iterator[Block]:
    place = {name: n for n, name in enumerate(topics)}
    kept: list[RawMessage] = []
    size = 0
    try:
        for raw in bag.raw(topics):
            kept.append(raw)
            size += len(raw.data)
            if len(kept) >= _MESSAGES or size >= _BYTES:
                yield _joined(kept, place)
                kept, size = [], 0
    except BagError:
        if kept:
            yield _joined(kept, place)
        raise
    if kept:
        yield _joined(kept, place)


def _joined(messages: list[RawMessage], place: dict[str, int]) -> Block:
    size = np.array([len(m.data) for m in messages], np.int64)
    end = np.cumsum(size)
    return Block(
        np.frombuffer(b"".join(m.data for m in messages), np.uint8),
        np.array([place[m.topic] for m in messages], np.int64),
        np.array([m.log_ns for m in messages], np.int64),
        end - size,
        size,
    )
