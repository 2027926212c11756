"""One time for a flight: it grows evenly, whatever is done to the clock of the stamps.

A vehicle on the ground may wait until a clock that was set is understood; one in flight falls
meanwhile. So the stamps of the inertial unit lead: where three of them in a row go on from another
time, the clock was set, and from then on all stamps are shifted so that no time was lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ilrs_robots.core.clock import RESET_NS
from ilrs_robots.core.localization.stamp_sequence import CONFIRM
from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    Cloud,
    ImuSample,
    JointSample,
    TankSample,
)

Sample = ImuSample | JointSample | AttitudeSample | AltimeterSample | TankSample | Cloud

LATE_NS: Final = 20_000_000
"""A stamp older than the newest by no more is out of order or repeated, as messages may be."""
_FOLLOWS_NS: Final = 250_000_000
"""Longest step between samples that count as following one another."""
_AHEAD_NS: Final = 50_000_000
"""So far ahead of the newest inertial sample another sensor's stamp is still of the same time."""
_MIXED_NS: Final = 2 * RESET_NS
"""For so long after a jump there may be samples of the time before it."""
_PERIOD_NS: Final = 10_000_000


class FlightClock:
    """Stamps to a time that grows evenly.

    A jump ahead is a clock that was set where a steady clock says that less time passed; without
    one it is a gap in the samples. Before a first jump every stamp stays what it is.

    Attributes:
        newest_ns: of the newest inertial sample in the flight's time, None before the first.
        jumps: how often the clock was set.
    """

    def __init__(self) -> None:
        self.newest_ns: int | None = None
        self.jumps = 0
        self._offset_ns = self._offset_before_ns = 0
        self._jumped_ns = 0
        self._stamp_ns = self._steady_ns = 0
        self._period_ns = _PERIOD_NS
        self._doubted, self._candidate_ns = 0, 0

    def on_imu(self, stamp_ns: int, steady_ns: int | None = None) -> int | None:
        """The flight's time of an inertial sample; None while its stamp is doubted.

        Args:
            stamp_ns: of the sample.
            steady_ns: when it came, by a clock that nobody sets; None where there is none.
        """
        if self.newest_ns is None:
            return self._take(stamp_ns, steady_ns)
        ahead_ns = stamp_ns - self._stamp_ns
        if -LATE_NS <= ahead_ns <= 0:
            return stamp_ns + self._offset_ns  # whoever takes it sees that it is late
        if 0 < ahead_ns <= RESET_NS:
            if ahead_ns <= _FOLLOWS_NS:
                self._period_ns = ahead_ns
            return self._take(stamp_ns, steady_ns)
        follows = self._candidate_ns < stamp_ns <= self._candidate_ns + _FOLLOWS_NS
        self._doubted = self._doubted + 1 if self._doubted and follows else 1
        self._candidate_ns = stamp_ns
        if self._doubted < CONFIRM:
            return None
        passed_ns = self._passed_ns(ahead_ns, steady_ns)
        if passed_ns is not None:
            self.jumps += 1
            self._offset_before_ns = self._offset_ns
            self._offset_ns = self.newest_ns + passed_ns - stamp_ns
            self._jumped_ns = self.newest_ns
        return self._take(stamp_ns, steady_ns)

    def _passed_ns(self, ahead_ns: int, steady_ns: int | None) -> int | None:
        """How long the jump truly took; None where nothing jumped and samples were lost."""
        waited_ns = 0 if steady_ns is None else steady_ns - self._steady_ns
        if ahead_ns > 0 and (steady_ns is None or waited_ns > ahead_ns // 2):
            return None
        counted_ns = CONFIRM * self._period_ns
        return waited_ns if waited_ns > _FOLLOWS_NS else counted_ns

    def _take(self, stamp_ns: int, steady_ns: int | None) -> int:
        self._stamp_ns, self._doubted = stamp_ns, 0
        self._steady_ns = self._steady_ns if steady_ns is None else steady_ns
        self.newest_ns = stamp_ns + self._offset_ns
        return self.newest_ns

    def of(self, stamp_ns: int) -> int | None:
        """The flight's time of another sensor's stamp; None where it is of neither time."""
        at, newest = stamp_ns + self._offset_ns, self.newest_ns
        recent = self.jumps > 0 and newest is not None and newest - self._jumped_ns < _MIXED_NS
        if newest is None or not (recent or self._doubted):
            return at
        for offset_ns in (self._offset_ns, self._offset_before_ns):
            at = stamp_ns + offset_ns
            if newest - RESET_NS <= at <= newest + _AHEAD_NS:
                return at
        return None

    def now(self, now_ns: int) -> int:
        """The flight's time at a time of whoever steps it: that of the samples where it jumped."""
        if not self.jumps or self.newest_ns is None:
            return now_ns
        at = now_ns + self._offset_ns
        return at if abs(at - self.newest_ns) <= RESET_NS else self.newest_ns

    def stamp(self, flight_ns: int) -> int:
        """What a time of the flight is called outside, by the clock as it is now set."""
        return flight_ns - self._offset_ns

    def restamped(self, sample: Sample, steady_ns: int | None = None) -> Sample | None:
        """A sample in the flight's time; None where it cannot be told when it was made."""
        if isinstance(sample, ImuSample):
            at = self.on_imu(sample.stamp_ns, steady_ns)
        else:
            at = self.of(sample.stamp_ns)
        if at is None or at == sample.stamp_ns:
            return None if at is None else sample
        return replace(sample, stamp_ns=at)
