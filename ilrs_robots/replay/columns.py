"""Messages whose numbers always lie at the same bytes, read as columns instead of one by one.

``Imu``, ``JointState`` and ``Odometry`` messages of one topic are alike but for stamp and numbers.
Those that are not alike, and all other messages, are left to be decoded singly.

Reference: OMG CDR (XTypes encoding 1): little endian, alignment counted after 4 bytes of head.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.localization.reckoning_batch import IMU, JOINTS, STARS
from ilrs_robots.core.types import FloatArray, IntArray
from ilrs_robots.replay.blocks import Block
from ilrs_robots.replay.decode import NO_SIGMA_RAD, Payload

TRUTH: Final = 3
SINGLE: Final = 4
"""Besides ``IMU``, ``JOINTS`` and ``STARS``: a pose, and what is decoded singly."""
_HEAD: Final = 4
_STAMP: Final = slice(4, 12)
_IMU_NUMBERS: Final = 37
_TYPES: Final = {
    "imu": (IMU, "sensor_msgs/msg/Imu"),
    "attitude": (STARS, "sensor_msgs/msg/Imu"),
    "joints": (JOINTS, "sensor_msgs/msg/JointState"),
    "truth": (TRUTH, "nav_msgs/msg/Odometry"),
    "pose": (TRUTH, "nav_msgs/msg/Odometry"),
}


class Tables(NamedTuple):
    """Numbers by kind; see ``SampleBatch``. ``truth`` is (T, 7): position, quaternion wxyz."""

    imu: FloatArray
    position: FloatArray
    velocity: FloatArray
    stars: FloatArray
    truth: FloatArray

    def picked(self, kinds: IntArray, rows: IntArray) -> tuple[Tables, IntArray]:
        """The rows that some messages need, and those messages' new rows."""
        mine = [rows[kinds == kind] for kind in (IMU, JOINTS, STARS, TRUTH)]
        again = np.full(len(rows), -1, np.int64)
        for kind, chosen in zip((IMU, JOINTS, STARS, TRUTH), mine, strict=True):
            again[kinds == kind] = np.arange(len(chosen))
        imu, joints, stars, truth = mine
        found = Tables(
            self.imu[imu], self.position[joints], self.velocity[joints], self.stars[stars],
            self.truth[truth],
        )  # fmt: skip
        return found, again


@dataclass(frozen=True)
class Prepared:
    """The samples of a message, or why it has none."""

    samples: list[Payload]
    error: Exception | None = None


class Columns(NamedTuple):
    """The messages of a block.

    Attributes:
        block: as read.
        kinds: (N,) ``IMU`` ... ``SINGLE``.
        stamps_ns: (N,) header stamps.
        rows: (N,) row in the table of the kind, -1 for ``SINGLE``.
        tables: the numbers.
        good: (N,) whether the message is long enough to have a stamp.
        ready: what messages that are decoded singly hold, as far as it is known already.
    """

    block: Block
    kinds: IntArray
    stamps_ns: IntArray
    rows: IntArray
    tables: Tables
    good: NDArray[np.bool_]
    ready: Mapping[int, Prepared] = MappingProxyType({})


@dataclass(frozen=True)
class Layout:
    """Where the numbers of a topic's messages lie.

    Attributes:
        kind: what the numbers are.
        first: a message of the topic.
        fixed: (L,) bool bytes that are the same in all.
        numbers: first byte of each group of numbers that is read.
        counts: how many numbers each has.
        names: joints of ``JointState``.
    """

    kind: int
    first: NDArray[np.uint8]
    fixed: NDArray[np.bool_]
    numbers: tuple[int, ...]
    counts: tuple[int, ...]
    names: tuple[str, ...] = ()


class ColumnReader:
    """Reads blocks; remembers the layout of each topic.

    Args:
        topics: names, as the blocks count them.
        kinds: topic -> what it is, as the profile says.
        types: topic -> message type.
        singly: kinds that are decoded singly all the same.

    Attributes:
        names: joints of the columns of ``Tables.position`` and ``velocity``.
    """

    def __init__(
        self,
        topics: Sequence[str],
        kinds: Mapping[str, str],
        types: Mapping[str, str],
        singly: frozenset[str] = frozenset(),
    ) -> None:
        self.names: tuple[str, ...] = ()
        self._kinds: list[int] = []
        for name in topics:
            kind, msgtype = _TYPES.get(kinds[name], (SINGLE, ""))
            alike = types[name] == msgtype and kinds[name] not in singly
            self._kinds.append(kind if alike else SINGLE)
        self._layouts: list[Layout | None] = [None] * len(topics)

    def read(self, block: Block) -> Columns:
        """The numbers of a block's messages."""
        count = len(block.topics)
        good = block.size >= _STAMP.stop
        stamps = np.zeros(count, np.int64)
        stamps[good] = _stamps(block.data, block.begin[good])
        kinds, rows = np.full(count, SINGLE, np.int64), np.full(count, -1, np.int64)
        parts: dict[int, list[FloatArray]] = {IMU: [], JOINTS: [], STARS: [], TRUTH: []}
        lengths = dict.fromkeys(parts, 0)
        for topic in np.unique(block.topics[good]).tolist():
            where = np.flatnonzero(good & (block.topics == topic))
            layout = self._layout(topic, block, int(where[0]))
            if layout is None:
                continue
            where, numbers = _numbers(layout, block, where)
            kinds[where] = layout.kind
            rows[where] = lengths[layout.kind] + np.arange(len(where))
            lengths[layout.kind] += len(where)
            parts[layout.kind].append(numbers)
        return Columns(block, kinds, stamps, rows, self._tables(parts), good)

    def _layout(self, topic: int, block: Block, n: int) -> Layout | None:
        kind = self._kinds[topic]
        if kind == SINGLE:
            return None
        layout = self._layouts[topic]
        if layout is None:
            try:
                layout = _layout_of(kind, np.frombuffer(block.bytes_of(n), np.uint8))
            except (struct.error, ValueError, IndexError):
                return None
            if kind == JOINTS:
                if self.names and self.names != layout.names:
                    return None
                self.names = layout.names
            self._layouts[topic] = layout
        return layout

    def _tables(self, parts: dict[int, list[FloatArray]]) -> Tables:
        joints = _stacked(parts[JOINTS], 2 * len(self.names))
        half = len(self.names)
        return Tables(
            _stacked(parts[IMU], 6), np.ascontiguousarray(joints[:, :half]),
            np.ascontiguousarray(joints[:, half:]), _stacked(parts[STARS], 5),
            _stacked(parts[TRUTH], 7),
        )  # fmt: skip


def _stacked(parts: list[FloatArray], width: int) -> FloatArray:
    return np.concatenate(parts) if parts else np.empty((0, width))


def _stamps(data: NDArray[np.uint8], begin: IntArray) -> IntArray:
    """Header stamps; byte order as each message says."""
    head = data[begin[:, None] + np.arange(_STAMP.stop)]
    little = (head[:, 1] & 1).astype(np.bool_)
    head[~little, _STAMP] = head[~little, _STAMP].reshape(-1, 2, 4)[:, :, ::-1].reshape(-1, 8)
    words = np.ascontiguousarray(head[:, _STAMP])
    sec = words[:, :4].copy().view("<i4")[:, 0].astype(np.int64)
    nanosec = words[:, 4:].copy().view("<u4")[:, 0].astype(np.int64)
    return sec * 1_000_000_000 + nanosec


def _numbers(layout: Layout, block: Block, where: IntArray) -> tuple[IntArray, FloatArray]:
    """The messages that are laid out so, and their numbers (K, columns)."""
    where = where[block.size[where] == layout.first.size]
    whole = block.data[block.begin[where][:, None] + np.arange(layout.first.size)]
    alike = (whole[:, layout.fixed] == layout.first[layout.fixed]).all(axis=1)
    where, whole = where[alike], whole[alike]
    groups = [
        np.ascontiguousarray(whole[:, at : at + 8 * n]).view("<f8")
        for at, n in zip(layout.numbers, layout.counts, strict=True)
    ]
    return where, _arranged(layout, np.concatenate(groups, axis=1))


def _arranged(layout: Layout, numbers: FloatArray) -> FloatArray:
    """Columns as ``Tables`` has them."""
    if layout.kind == STARS:  # quaternion xyzw and a variance
        sigma = np.sqrt(np.maximum(numbers[:, 4:5], 0.0))
        sigma[sigma == 0.0] = NO_SIGMA_RAD
        return np.concatenate((numbers[:, [3, 0, 1, 2]], sigma), axis=1)
    if layout.kind == TRUTH:
        return numbers[:, [0, 1, 2, 6, 3, 4, 5]]
    if layout.kind == JOINTS and numbers.shape[1] < 2 * len(layout.names):
        unknown = np.full((len(numbers), len(layout.names)), np.nan)
        return np.concatenate((numbers, unknown), axis=1)
    return numbers


class _Walk:
    """Goes through a message's fields."""

    def __init__(self, message: NDArray[np.uint8]) -> None:
        if not message[1] & 1:
            raise ValueError("big endian")
        self._data, self.at = message.tobytes(), _STAMP.stop

    def align(self, size: int) -> int:
        self.at += -(self.at - _HEAD) % size
        return self.at

    def count(self) -> int:
        (value,) = struct.unpack_from("<I", self._data, self.align(4))
        self.at += 4
        return int(value)

    def text(self) -> str:
        size = self.count()
        self.at += size
        return self._data[self.at - size : self.at].rstrip(b"\0").decode()

    def numbers(self, count: int) -> int:
        first = self.align(8) if count else self.at
        self.at = first + 8 * count
        if self.at > len(self._data):
            raise ValueError("the message ends before its numbers")
        return first


def _layout_of(kind: int, message: NDArray[np.uint8]) -> Layout:
    """Where the numbers lie in a message of a kind.

    Raises:
        ValueError, IndexError, struct.error: it is not as its type says.
    """
    walk, names = _Walk(message), ()
    walk.text()
    if kind == JOINTS:
        names = tuple(walk.text() for _ in range(walk.count()))
        groups = []
        for _ in range(3):
            count = walk.count()
            groups.append((walk.numbers(count), count))
        if groups[0][1] != len(names):
            raise ValueError("not one position for each name")
        read = groups[:2] if groups[1][1] == len(names) else groups[:1]
        free = groups
    elif kind == TRUTH:
        walk.text()
        read = [(walk.numbers(7), 7)]
        free = [(read[0][0], (message.size - read[0][0]) // 8)]
    else:
        first = walk.numbers(_IMU_NUMBERS)
        free = [(first, _IMU_NUMBERS)]
        read = [(first, 5)] if kind == STARS else [(first + 8 * 13, 3), (first + 8 * 25, 3)]
    fixed = np.ones(message.size, np.bool_)
    fixed[_STAMP] = False
    for at, count in free:
        fixed[at : at + 8 * count] = False
    places, counts = zip(*read, strict=True)
    return Layout(kind, message, fixed, places, counts, names)
