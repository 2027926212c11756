"""A bag's messages in the order of their header stamps, each once, whatever the file does.

Recorders write in the order of arrival; a robot's results shall not depend on it. Within
``reorder_s`` messages are sorted by stamp. Where most topics' stamps go back (a bag of two runs, a
simulation that was reset), a new segment begins; where one topic's stamps leave the others, its
messages keep their place and their wrong stamp, as a robot would get them.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ilrs_robots.replay.bag import Bag, BagError, RawMessage

_CONFIRM: Final = 3
"""So many messages of other topics decide whether one topic's clock or everyone's has moved."""
REMEMBERED: Final = 256
ANY_CONTENT: Final = -1
"""In place of a checksum: any message of that stamp."""
NEWER_NS: Final = 10_000_000_000
"""A gap that is longer than this is taken for another clock until other topics agree."""


class Stamped(NamedTuple):
    """A message in its place.

    Attributes:
        key_ns: time of its place in the order.
        seq: its number in the bag.
        kind: what it is, as the profile says; ``reset`` between two segments.
        stamp_ns: header stamp.
        raw: as in the file.
    """

    key_ns: int
    seq: int
    kind: str
    stamp_ns: int
    raw: RawMessage | None


@dataclass
class ReadReport:
    """What was found on reading.

    Attributes:
        messages: read, of topics that the profile names.
        duplicates: left out because they had come before, by topic.
        late: messages older than what had been handed on by more than the window, by topic.
        other_clock: messages whose stamp is not of the others' clock, by topic.
        undecodable: messages that cannot be decoded or used, by topic.
        segments: runs in the bag, 1 more than how often time was set back.
        damage: sentences about a damaged file.
    """

    messages: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    other_clock: Counter[str] = field(default_factory=Counter)
    undecodable: Counter[str] = field(default_factory=Counter)
    segments: int = 1
    damage: list[str] = field(default_factory=list)


def header_stamp_ns(data: bytes, ros1: bool) -> int | None:
    """Stamp of a serialized message that begins with a header; None where it is too short.

    Reference: OMG CDR with the 4 bytes of encapsulation; ROS 1 serialization (``seq`` first).
    """
    if len(data) < 12:
        return None
    order = "<" if ros1 or data[1] & 1 else ">"
    sec, nanosec = struct.unpack_from(order + ("II" if ros1 else "iI"), data, 4)
    return int(sec) * 1_000_000_000 + int(nanosec)


def stamped(bag: Bag, kinds: Mapping[str, str], report: ReadReport) -> Iterator[Stamped]:
    """Messages of the named topics as they come in the file, with their stamps.

    A file that ends too early ends the messages and is told of in ``report``.
    """
    topics = [name for name in bag.topics if name in kinds]
    seq = 0
    try:
        for raw in bag.raw(topics):
            seq += 1
            report.messages += 1
            stamp = header_stamp_ns(raw.data, bag.ros1)
            if stamp is None:
                report.undecodable[raw.topic] += 1
                continue
            yield Stamped(stamp, seq, kinds[raw.topic], stamp, raw)
    except BagError as error:
        report.damage.append(f"{error}; {report.messages} messages were read before")


class HeaderOrder:
    """Sorts by header stamp; see the module.

    Args:
        window_ns: how far apart arrival and stamp may order messages.
        report: what is counted.
    """

    def __init__(self, window_ns: int, report: ReadReport) -> None:
        self._window_ns, self._report = window_ns, report
        self._heap: list[Stamped] = []
        self._newest: int | None = None
        self._emitted: int | None = None
        self._odd: list[Stamped] = []
        self._regular_since: Counter[str] = Counter()
        self._seen: dict[str, dict[tuple[int, int], None]] = {}

    def sort(self, items: Iterator[Stamped]) -> Iterator[Stamped]:
        """Every item in its place; a ``reset`` where a new segment begins."""
        for item in items:
            yield from self.push(item)
        yield from self.finish()

    def push(self, item: Stamped) -> Iterator[Stamped]:
        """Take one item; gives what has its place now."""
        if self._repeated(item):
            return
        if self._out_of_time(item):
            self._odd.append(item)
            yield from self._judge_odd()
        else:
            self._regular(item)
            if self._odd:
                yield from self._judge_odd()
        yield from self._ready()

    def finish(self) -> Iterator[Stamped]:
        """What is left."""
        yield from self._give_up_odd()
        yield from self._flush()

    @property
    def regular(self) -> bool:
        """Whether no message is in doubt."""
        return not self._odd

    @property
    def held(self) -> list[Stamped]:
        """What has no place yet, in no order."""
        return list(self._heap)

    @property
    def state(self) -> tuple[int | None, int | None, Mapping[str, Mapping[tuple[int, int], None]]]:
        """Newest stamp, last place that was given, and what is remembered of each topic."""
        return self._newest, self._emitted, self._seen

    def go_on(
        self,
        held: list[Stamped],
        newest_ns: int | None,
        emitted_ns: int | None,
        seen: Mapping[str, list[tuple[int, int]]],
    ) -> None:
        """Take up the order of somebody else; arguments as ``held`` and ``state`` give them."""
        self._heap = held
        heapq.heapify(self._heap)
        self._newest, self._emitted = newest_ns, emitted_ns
        self._seen = {topic: dict.fromkeys(items) for topic, items in seen.items()}

    def _repeated(self, item: Stamped) -> bool:
        assert item.raw is not None
        seen = self._seen.setdefault(item.raw.topic, {})
        key = item.stamp_ns, zlib.crc32(item.raw.data)
        if key in seen or (item.stamp_ns, ANY_CONTENT) in seen:
            # The same drive once more begins with all topics; single ones are duplicates.
            near = self._newest is None or item.stamp_ns > self._newest - 2 * self._window_ns
            if near:
                self._report.duplicates[item.raw.topic] += 1
                return True
        seen[key] = None
        if len(seen) > REMEMBERED:
            del seen[next(iter(seen))]
        return False

    def _out_of_time(self, item: Stamped) -> bool:
        if self._newest is None:
            return False
        away = item.stamp_ns - self._newest
        return away < -2 * self._window_ns or away > NEWER_NS

    def _regular(self, item: Stamped) -> None:
        assert item.raw is not None
        self._newest = item.stamp_ns if self._newest is None else max(self._newest, item.stamp_ns)
        if self._odd:
            self._regular_since[item.raw.topic] += 1
        key = item.stamp_ns
        if self._emitted is not None and key < self._emitted:
            self._report.late[item.raw.topic] += 1
            key = self._emitted
        heapq.heappush(self._heap, item._replace(key_ns=key))

    def _judge_odd(self) -> Iterator[Stamped]:
        """Decide whether one topic's clock left the others' or everyone's moved."""
        topics = {item.raw.topic for item in self._odd if item.raw is not None}
        others = sum(n for topic, n in self._regular_since.items() if topic not in topics)
        if others >= _CONFIRM:
            yield from self._give_up_odd()
        elif len(topics) > 1 or len(self._odd) >= _CONFIRM * 4:
            yield from self._move_on()

    def _give_up_odd(self) -> Iterator[Stamped]:
        """Messages of another clock keep the place where they came."""
        for item in self._odd:
            assert item.raw is not None
            self._report.other_clock[item.raw.topic] += 1
            key = item.stamp_ns if self._newest is None else self._newest
            heapq.heappush(self._heap, item._replace(key_ns=key))
        self._odd.clear()
        self._regular_since.clear()
        yield from ()

    def _move_on(self) -> Iterator[Stamped]:
        """Everyone's clock has moved: backwards begins a segment, forwards is a gap."""
        odd, self._odd = self._odd, []
        self._regular_since.clear()
        yield from self._flush()
        assert self._newest is not None
        if odd[-1].stamp_ns < self._newest:
            self._report.segments += 1
            yield Stamped(odd[0].stamp_ns, odd[0].seq, "reset", odd[0].stamp_ns, None)
            self._seen.clear()
            self._emitted = None
        self._newest = None
        for item in odd:
            self._regular(item)

    def _ready(self) -> Iterator[Stamped]:
        while self._heap and self._newest is not None:
            if self._heap[0].key_ns > self._newest - self._window_ns:
                return
            item = heapq.heappop(self._heap)
            self._emitted = item.key_ns
            yield item

    def _flush(self) -> Iterator[Stamped]:
        while self._heap:
            item = heapq.heappop(self._heap)
            self._emitted = item.key_ns
            yield item
