"""How far the body turned between two stamps, from its gyro's samples."""

from __future__ import annotations

import bisect

import numpy as np

from ilrs_robots.core.types import FloatArray, IntArray


class TurnLog:
    """Sums rates over the last seconds, so that a mean rate between any two stamps is at hand.

    Args:
        averages: whether a rate is the mean since the last sample; otherwise that at its stamp.
        span_ns: how much is kept.
    """

    def __init__(self, averages: bool, span_ns: int) -> None:
        self._averages, self._span_ns = averages, span_ns
        self._stamps: list[int] = []
        self._sums: list[FloatArray] = []
        self.rate_rps: FloatArray | None = None

    def add(self, stamp_ns: int, rate_rps: FloatArray) -> None:
        """Append; stamps grow.

        Args:
            stamp_ns: nanoseconds.
            rate_rps: (3,) base_link.
        """
        if not self._stamps:
            self._stamps, self._sums = [stamp_ns], [np.zeros(3)]
        else:
            mean = rate_rps
            if not self._averages and self.rate_rps is not None:
                mean = 0.5 * (rate_rps + self.rate_rps)
            step_s = (stamp_ns - self._stamps[-1]) * 1e-9
            self._sums.append(self._sums[-1] + mean * step_s)
            self._stamps.append(stamp_ns)
        self.rate_rps = rate_rps
        self.trim()

    def trim(self) -> None:
        """Forget what is older than the span."""
        if not self._stamps:
            return
        old = bisect.bisect_left(self._stamps, self._stamps[-1] - self._span_ns)
        del self._stamps[:old], self._sums[:old]

    def extend(self, stamps_ns: IntArray, rates_rps: FloatArray) -> None:
        """Append many at once; what is old stays until ``trim``.

        Args:
            stamps_ns: (M,) int64, growing.
            rates_rps: (M, 3) base_link.
        """
        if not self._stamps or self.rate_rps is None or not len(stamps_ns):
            for stamp, rate in zip(stamps_ns.tolist(), rates_rps, strict=True):
                self.add(stamp, rate)
            return
        before = np.vstack((self.rate_rps, rates_rps[:-1]))
        means = rates_rps if self._averages else 0.5 * (rates_rps + before)
        steps_s = np.diff(stamps_ns, prepend=self._stamps[-1]) * 1e-9
        sums = self._sums[-1] + np.cumsum(means * steps_s[:, None], axis=0)
        self._stamps += stamps_ns.tolist()
        self._sums += list(sums)
        self.rate_rps = rates_rps[-1].copy()

    def turned_rad(self, stamps_ns: IntArray) -> FloatArray:
        """(M, 3) sums of the rates until (M,) growing stamps, rad; the newest rate holds on.

        Raises:
            ValueError: nothing was added yet.
        """
        if self.rate_rps is None or not self._stamps:
            raise ValueError("turns of an empty log")
        known_ns, last_ns = self._stamps[0], self._stamps[-1]
        seconds = (np.asarray(self._stamps) - known_ns) * 1e-9
        at, sums = (stamps_ns - known_ns) * 1e-9, np.asarray(self._sums)
        turned = np.column_stack([np.interp(at, seconds, column) for column in sums.T])
        turned += np.maximum(stamps_ns - last_ns, 0)[:, None] * 1e-9 * self.rate_rps
        # Before all that is known nothing better is than the oldest rate at hand.
        found: FloatArray = turned + np.minimum(at, 0.0)[:, None] * self.rate_rps
        return found

    def forget(self) -> None:
        """Start anew: the clock was set."""
        self._stamps, self._sums = [], []

    def mean_rps(self, since_ns: int, until_ns: int) -> FloatArray | None:
        """(3,) mean rate between two stamps; the newest rate holds beyond it, None before all."""
        if self.rate_rps is None or until_ns <= since_ns:
            return None
        if not self._stamps or since_ns < self._stamps[0]:
            return self.rate_rps.copy()
        turned = self._sum_at(until_ns) - self._sum_at(since_ns)
        return turned / ((until_ns - since_ns) * 1e-9)

    def _sum_at(self, stamp_ns: int) -> FloatArray:
        after = bisect.bisect_left(self._stamps, stamp_ns)
        if after == len(self._stamps):
            assert self.rate_rps is not None
            return self._sums[-1] + self.rate_rps * ((stamp_ns - self._stamps[-1]) * 1e-9)
        if self._stamps[after] == stamp_ns or after == 0:
            return self._sums[after]
        first, second = self._stamps[after - 1], self._stamps[after]
        share = (stamp_ns - first) / (second - first)
        return self._sums[after - 1] + share * (self._sums[after] - self._sums[after - 1])
