"""The filter's buffer: events sorted by stamp, states kept along them, late ones put in place."""

from __future__ import annotations

import bisect
from typing import Final, NamedTuple

import numpy as np

from ilrs_robots.core.localization.filter_kernels import run
from ilrs_robots.core.localization.filter_layout import ERROR, NOMINAL, WIDTH, FilterArrays, Kind
from ilrs_robots.core.types import FloatArray, IntArray

_IMU, _RANGE = int(Kind.IMU), int(Kind.RANGE)
_ROOM: Final = 4096
_EVERY: Final = 24
"""Events between two kept states: a late measurement costs at most this many more."""
_NEVER_NS: Final = -(2**62)
_NO_OUT: Final = np.empty((0, NOMINAL))
_NO_SPREADS: Final = np.empty((0, ERROR, ERROR))


class Done(NamedTuple):
    """What was done since the last time.

    Attributes:
        stamps_ns: (M,) int64.
        kinds: (M,) int64, see ``Kind``.
        states: (M, NOMINAL) after each event, or none.
        spreads: (M, ERROR, ERROR) after each event, or none.
    """

    stamps_ns: IntArray
    kinds: IntArray
    states: FloatArray
    spreads: FloatArray


class Timeline:
    """Runs the filter's kernels over events in the order of their stamps, whatever their arrival.

    Nothing beyond the newest inertial sample is done, since that sample says how the vehicle moved
    until then. A late event takes the state back to the last one kept before it, and everything
    since is done again.

    Args:
        state: where it begins; changed.
        constants: (CONSTANTS,) of the kernels, their units as in the configuration.
        delay_ns: how late an event may be.

    Attributes:
        state: after all events that are done.
        redone: how many events were done again.
    """

    def __init__(self, state: FilterArrays, constants: FloatArray, delay_ns: int) -> None:
        self.state = state
        self.redone = 0
        self._c, self._delay_ns = constants, delay_ns
        self._stamps = np.empty(_ROOM, dtype=np.int64)
        self._kinds = np.empty(_ROOM, dtype=np.int64)
        self._values = np.empty((_ROOM, WIDTH))
        self._count = self._done = 0
        self._imu_ns: int | None = None
        self._kept: list[tuple[int, FilterArrays]] = [(0, state.copy())]

    @property
    def imu_ns(self) -> int | None:
        """Stamp of the newest inertial sample, None before the first."""
        return self._imu_ns

    @property
    def done_ns(self) -> int:
        """Stamp of the newest event that is done; far in the past before the first."""
        return int(self._stamps[self._done - 1]) if self._done else _NEVER_NS

    def add(self, kind: Kind, stamp_ns: int, values: FloatArray) -> bool:
        """Put an event into its place.

        Args:
            kind: what it is.
            stamp_ns: when.
            values: (K,) up to WIDTH numbers in SI units, as the kind's model wants them.

        Returns:
            False where it is too late, or there already.
        """
        if self._count == len(self._stamps):
            self._make_room(1)
        place, code = self._count, int(kind)
        last = place - 1
        if place and (stamp_ns, code) <= (int(self._stamps[last]), int(self._kinds[last])):
            place = self._place(code, stamp_ns)
            if place < 0:
                return False
            for array in (self._stamps, self._kinds, self._values):
                array[place + 1 : self._count + 1] = array[place : self._count].copy()
        self._stamps[place], self._kinds[place] = stamp_ns, code
        self._values[place, : len(values)] = values
        self._count += 1
        if code == _IMU and (self._imu_ns is None or stamp_ns > self._imu_ns):
            self._imu_ns = stamp_ns
        if place < self._done:
            self._go_back(place)
        return True

    def add_many(self, kind: Kind, stamps_ns: IntArray, values: FloatArray) -> None:
        """Put events of one kind after everything that is done.

        Args:
            kind: what they are.
            stamps_ns: (M,) int64, growing, none before what is done.
            values: (M, K) numbers in SI units.

        Raises:
            ValueError: a stamp lies before what is done.
        """
        if not len(stamps_ns):
            return
        if self._done and stamps_ns[0] < self._stamps[self._done - 1]:
            raise ValueError("events of a batch come after what is done")
        self._make_room(len(stamps_ns))
        begin, end = self._count, self._count + len(stamps_ns)
        self._stamps[begin:end], self._kinds[begin:end] = stamps_ns, kind
        self._values[begin:end, : values.shape[1]] = values
        self._count = end
        tail = slice(self._done, end)
        order = np.lexsort((self._kinds[tail], self._stamps[tail]))
        for array in (self._stamps, self._kinds, self._values):
            array[tail] = array[tail][order]
        if kind == Kind.IMU:
            self._imu_ns = max(self._imu_ns or int(stamps_ns[-1]), int(stamps_ns[-1]))

    def advance(self, out: bool = False, spreads: bool = False) -> Done:
        """Do everything up to the newest inertial sample.

        Args:
            out: whether the state after each event is wanted.
            spreads: whether its covariance is.
        """
        first = self._done
        if self._imu_ns is None:
            return Done(self._stamps[:0], self._kinds[:0], _NO_OUT, _NO_SPREADS)
        stop = int(np.searchsorted(self._stamps[: self._count], self._imu_ns, side="right"))
        states = np.empty((stop - first, NOMINAL)) if out else _NO_OUT
        covariances = np.empty((stop - first, ERROR, ERROR)) if spreads else _NO_SPREADS
        while self._done < stop:
            if self._done - self._kept[-1][0] >= _EVERY:
                self._keep()
            end = min(stop, self._done + (_EVERY if stop - self._done < _ROOM else _ROOM // 2))
            span = slice(self._done - first, end - first)
            self._run(end, states[span], covariances[span])
        return Done(self._stamps[first:stop], self._kinds[first:stop], states, covariances)

    def last_sane(self) -> FilterArrays:
        """The newest kept state whose numbers are finite."""
        for _, kept in reversed(self._kept):
            if np.isfinite(kept.nominal).all() and np.isfinite(kept.covariance).all():
                return kept
        return FilterArrays.empty()

    def _run(self, end: int, out: FloatArray, spreads: FloatArray) -> None:
        s = self.state
        run(
            self._stamps, self._kinds, self._values, self._done, end, self._count,
            s.nominal, s.covariance, s.times_ns, s.statistics, self._c, out, spreads,
        )  # fmt: skip
        self._done = end

    def _place(self, kind: int, stamp_ns: int) -> int:
        """Index for an event, -1 where it cannot have one."""
        stamps, kinds = self._stamps, self._kinds
        place = int(np.searchsorted(stamps[: self._count], stamp_ns))
        while place < self._count and stamps[place] == stamp_ns and kinds[place] <= kind:
            if kinds[place] == kind and kind != _RANGE:
                return -1
            place += 1
        oldest = self._kept[0][0]
        begin = self._stamps[oldest - 1] if oldest else self._kept[0][1].times_ns[0]
        return place if place >= oldest and stamp_ns >= begin else -1

    def _go_back(self, place: int) -> None:
        while self._kept[-1][0] > place:
            self._kept.pop()
        index, kept = self._kept[-1]
        self.redone += self._done - index
        self._done = index
        for name in ("nominal", "covariance", "times_ns", "statistics"):
            getattr(self.state, name)[:] = getattr(kept, name)

    def _keep(self) -> None:
        self._kept.append((self._done, self.state.copy()))
        limit = self._stamps[self._done - 1] - self._delay_ns
        ages = [self._stamps[index - 1] if index else -1 for index, _ in self._kept]
        drop = bisect.bisect_left(ages, limit) - 1
        if drop > 0:
            del self._kept[:drop]

    def _make_room(self, more: int) -> None:
        """Forget what no late event can reach, and grow where that is not enough."""
        begin = self._kept[0][0]
        left = self._count - begin
        size = len(self._stamps)
        while left + more > size // 2:
            size *= 2
        for name in ("_stamps", "_kinds", "_values"):
            old = getattr(self, name)
            new = old if size == len(old) else np.empty((size, *old.shape[1:]), old.dtype)
            new[:left] = old[begin : self._count].copy()
            setattr(self, name, new)
        self._kept = [(index - begin, kept) for index, kept in self._kept]
        self._count, self._done = left, self._done - begin
