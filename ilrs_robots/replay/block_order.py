"""``HeaderOrder`` for whole blocks: sorted by array where all is regular, else one by one.

Both ways give the same order; a test compares them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from ilrs_robots.core.types import IntArray
from ilrs_robots.replay.bag import RawMessage
from ilrs_robots.replay.columns import SINGLE, Columns, Prepared, Tables
from ilrs_robots.replay.ordered import (
    ANY_CONTENT,
    NEWER_NS,
    REMEMBERED,
    HeaderOrder,
    ReadReport,
    Stamped,
)

_NEVER: Final = -(2**62)


class Ordered(NamedTuple):
    """Messages in their places, none of them a ``reset``, or a reset alone.

    Attributes:
        keys_ns: (N,) times of the places, never falling.
        kinds: (N,) as in ``Columns``.
        stamps_ns: (N,) header stamps.
        topics: (N,) index.
        rows: (N,) row in the table of the kind.
        tables: the numbers.
        raws: the message of each that is decoded singly, None for others.
        ready: what is known of some of these.
        reset_ns: time of a reset, None for messages.
    """

    keys_ns: IntArray
    kinds: IntArray
    stamps_ns: IntArray
    topics: IntArray
    rows: IntArray
    tables: Tables
    raws: list[RawMessage | None]
    ready: list[Prepared | None]
    reset_ns: int | None = None


class _Window(NamedTuple):
    """Messages that have no place yet."""

    keys: IntArray
    seqs: IntArray
    kinds: IntArray
    stamps: IntArray
    topics: IntArray
    rows: IntArray
    tables: Tables
    raws: list[RawMessage | None]
    ready: list[Prepared | None]


class BlockOrder:
    """Sorts blocks by header stamp; see ``ordered``.

    Args:
        topics: names, as the blocks count them.
        types: topic -> message type.
        kinds: topic -> what it is.
        window_ns: how far apart arrival and stamp may order messages.
        report: what is counted.
    """

    def __init__(
        self,
        topics: Sequence[str],
        types: dict[str, str],
        kinds: dict[str, str],
        window_ns: int,
        report: ReadReport,
    ) -> None:
        self._topics, self._types, self._kinds = list(topics), types, kinds
        self._window_ns, self._report = window_ns, report
        self._slow: HeaderOrder | None = None
        self._newest = self._emitted = _NEVER
        self._last = np.full(len(self._topics), _NEVER, np.int64)
        self._seen: list[IntArray] = [np.empty(0, np.int64) for _ in self._topics]
        self._seq = 0
        self._window: _Window | None = None

    def push(self, columns: Columns) -> Iterator[Ordered]:
        """Take a block; gives what has its place now."""
        self._count(columns)
        regular = self._slow is None and self._regular(columns)
        first = 0 if self._window is None else len(self._window.keys)
        self._window = self._grown(columns)
        if regular:
            yield from self._by_array(columns)
        else:
            yield from self._one_by_one(columns, first)

    def finish(self) -> Iterator[Ordered]:
        """What is left."""
        if self._window is None:
            return
        if self._slow is None:
            yield from self._emit(self._window.keys >= _NEVER)
        else:
            yield from self._placed(self._slow.finish())

    # -- regular --------------------------------------------------------------------------------
    def _count(self, columns: Columns) -> None:
        self._report.messages += len(columns.kinds)
        for topic in columns.block.topics[~columns.good].tolist():
            self._report.undecodable[self._topics[topic]] += 1

    def _regular(self, columns: Columns) -> bool:
        """Whether every topic's stamps grow and none is far from the newest."""
        good = columns.good
        stamps, topics = columns.stamps_ns[good], columns.block.topics[good]
        if not stamps.size:
            return True
        for topic in np.unique(topics).tolist():
            mine = stamps[topics == topic]
            if mine[0] <= self._last[topic] or (np.diff(mine) <= 0).any():
                return False
        newest = np.maximum.accumulate(stamps)
        before = np.concatenate(([self._newest], newest[:-1]))
        if before[0] == _NEVER:
            before[0] = stamps[0]
        near = (stamps >= before - self._window_ns) & (stamps <= before + NEWER_NS)
        return bool(near.all())

    def _by_array(self, columns: Columns) -> Iterator[Ordered]:
        stamps, topics = columns.stamps_ns[columns.good], columns.block.topics[columns.good]
        for topic in np.unique(topics).tolist():
            mine = stamps[topics == topic]
            self._last[topic] = mine[-1]
            self._seen[topic] = np.concatenate((self._seen[topic], mine))[-REMEMBERED:]
        if stamps.size:
            self._newest = max(self._newest, int(stamps.max()))
        assert self._window is not None
        yield from self._emit(self._window.keys <= self._newest - self._window_ns)

    def _emit(self, ready: np.ndarray) -> Iterator[Ordered]:
        window = self._window
        assert window is not None
        where = np.flatnonzero(ready)
        if where.size:
            order = where[np.lexsort((window.seqs[where], window.keys[where]))]
            self._emitted = int(window.keys[order[-1]])
            yield self._ordered(order, window.keys[order])
        self._window = _picked(window, np.flatnonzero(~ready))

    def _ordered(self, order: IntArray, keys: IntArray) -> Ordered:
        window = self._window
        assert window is not None
        kinds, rows = window.kinds[order], window.rows[order]
        tables, rows = window.tables.picked(kinds, rows)
        places = order.tolist()
        return Ordered(
            keys, kinds, window.stamps[order], window.topics[order], rows, tables,
            [window.raws[n] for n in places], [window.ready[n] for n in places],
        )  # fmt: skip

    # -- one by one -----------------------------------------------------------------------------
    def _one_by_one(self, columns: Columns, first: int) -> Iterator[Ordered]:
        slow, window = self._slow, self._window
        assert window is not None
        if slow is None:
            slow = self._slow = self._handed_over(first)
        found: list[Stamped] = []
        new = range(first, len(window.keys))
        good = np.flatnonzero(columns.good).tolist()
        for n, source in zip(new, good, strict=True):
            found += slow.push(self._stamped(n, self._raw(columns, source, whole=True)))
        yield from self._placed(iter(found))
        if slow.regular:
            self._taken_back(slow)

    def _raw(self, columns: Columns, n: int, *, whole: bool = False) -> RawMessage:
        """A message; its bytes only where they are still of use, or all the same."""
        block = columns.block
        topic = self._topics[int(block.topics[n])]
        data = b"" if n in columns.ready and not whole else block.bytes_of(n)
        return RawMessage(topic, self._types[topic], int(block.log_ns[n]), data)

    def _stamped(self, n: int, raw: RawMessage) -> Stamped:
        window = self._window
        assert window is not None
        key, seq, stamp = int(window.keys[n]), int(window.seqs[n]), int(window.stamps[n])
        return Stamped(key, seq, self._kinds[raw.topic], stamp, raw)

    def _handed_over(self, count: int) -> HeaderOrder:
        """A ``HeaderOrder`` that goes on where the arrays ended."""
        slow = HeaderOrder(self._window_ns, self._report)
        held = []
        for n in range(count):
            assert self._window is not None
            topic = self._topics[int(self._window.topics[n])]
            held.append(self._stamped(n, RawMessage(topic, self._types[topic], 0, b"")))
        seen = {
            name: [(stamp, ANY_CONTENT) for stamp in self._seen[n].tolist()]
            for n, name in enumerate(self._topics)
        }
        newest = None if self._newest == _NEVER else self._newest
        slow.go_on(held, newest, None if self._emitted == _NEVER else self._emitted, seen)
        return slow

    def _taken_back(self, slow: HeaderOrder) -> None:
        """Go on by arrays: nothing is in doubt."""
        window = self._window
        assert window is not None
        held = {item.seq: item.key_ns for item in slow.held}
        stay = np.isin(window.seqs, np.array(sorted(held), np.int64))
        self._window = _picked(window, np.flatnonzero(stay))
        keys = [held[seq] for seq in self._window.seqs.tolist()]
        self._window = self._window._replace(keys=np.array(keys, np.int64))
        newest, emitted, seen = slow.state
        self._newest = _NEVER if newest is None else newest
        self._emitted = _NEVER if emitted is None else emitted
        for n, name in enumerate(self._topics):
            stamps = [stamp for stamp, _ in seen.get(name, ())]
            self._seen[n] = np.array(stamps, np.int64)
            self._last[n] = max(stamps, default=_NEVER)
        self._slow = None

    def _placed(self, items: Iterator[Stamped]) -> Iterator[Ordered]:
        """Messages that ``HeaderOrder`` gave, between resets, as arrays."""
        window = self._window
        assert window is not None
        run: list[Stamped] = []
        for item in [*items, None]:
            if item is not None and item.raw is not None:
                run.append(item)
                continue
            if run:
                places = np.searchsorted(window.seqs, [s.seq for s in run])
                yield self._ordered(places, np.array([s.key_ns for s in run], np.int64))
                run = []
            if item is not None:
                none = np.empty(0, np.int64)
                yield Ordered(none, none, none, none, none, window.tables, [], [], item.key_ns)

    # -- window ---------------------------------------------------------------------------------
    def _grown(self, columns: Columns) -> _Window:
        good = np.flatnonzero(columns.good)
        seqs = self._seq + 1 + good
        self._seq += len(columns.kinds)
        raws: list[RawMessage | None] = [None] * len(good)
        ready: list[Prepared | None] = [None] * len(good)
        for place in np.flatnonzero(columns.kinds[good] == SINGLE).tolist():
            n = int(good[place])
            raws[place], ready[place] = self._raw(columns, n), columns.ready.get(n)
        stamps = columns.stamps_ns[good]
        new = _Window(
            stamps, seqs, columns.kinds[good], stamps, columns.block.topics[good],
            columns.rows[good], columns.tables, raws, ready,
        )  # fmt: skip
        old = self._window
        if old is None or not len(old.keys):
            return new
        counts = np.array([len(old.tables.imu), len(old.tables.position), len(old.tables.stars),
                           len(old.tables.truth), 0])  # fmt: skip
        new = new._replace(rows=new.rows + counts[new.kinds])
        joined = [np.concatenate(pair) for pair in zip(old[:6], new[:6], strict=True)]
        tables = Tables(*(_joined(a, b) for a, b in zip(old.tables, new.tables, strict=True)))
        return _Window(*joined, tables, [*old.raws, *new.raws], [*old.ready, *new.ready])


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    if not len(first):
        return second
    return np.concatenate((first, second)) if len(second) else first


def _picked(window: _Window, where: IntArray) -> _Window:
    kinds = window.kinds[where]
    tables, rows = window.tables.picked(kinds, window.rows[where])
    return _Window(
        window.keys[where], window.seqs[where], kinds, window.stamps[where],
        window.topics[where], rows, tables, [window.raws[n] for n in where.tolist()],
        [window.ready[n] for n in where.tolist()],
    )  # fmt: skip
