"""Sliding windows of latencies and rates for diagnostics."""

from __future__ import annotations

from collections import deque
from time import perf_counter

import numpy as np


class LatencyWindow:
    """The last latencies of one kind of work."""

    def __init__(self, size: int = 500) -> None:
        self._values_s: deque[float] = deque(maxlen=size)
        self._stamps_s: deque[float] = deque(maxlen=size)

    def add(self, seconds: float) -> None:
        """Take one measurement."""
        self._values_s.append(seconds)
        self._stamps_s.append(perf_counter())

    def percentile_ms(self, percent: float) -> float:
        """Percentile in milliseconds; NaN without data."""
        if not self._values_s:
            return float("nan")
        return float(np.percentile(np.fromiter(self._values_s, dtype=np.float64), percent)) * 1e3

    def rate_hz(self) -> float:
        """Measurements per wall second over the window."""
        if len(self._stamps_s) < 2:
            return 0.0
        span = self._stamps_s[-1] - self._stamps_s[0]
        return (len(self._stamps_s) - 1) / span if span > 0.0 else 0.0
