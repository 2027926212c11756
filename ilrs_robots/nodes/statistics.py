"""Sliding windows of latencies and rates for diagnostics."""

from __future__ import annotations

from collections import deque
from time import perf_counter
from typing import Final

import numpy as np

from ilrs_robots.core.types import FloatArray

WINDOW_S: Final = 30.0
"""What is longer ago (wall time) is no longer told: a node at rest has no latency and no rate."""


class LatencyWindow:
    """The latencies of one kind of work within the last ``WINDOW_S``, at most the newest 500."""

    def __init__(self, size: int = 500) -> None:
        self._values_s: deque[float] = deque(maxlen=size)
        self._stamps_s: deque[float] = deque(maxlen=size)

    def add(self, seconds: float) -> None:
        """Take one measurement."""
        self._values_s.append(seconds)
        self._stamps_s.append(perf_counter())

    def percentile_ms(self, percent: float) -> float:
        """Percentile in milliseconds, 100 for the longest; NaN without data."""
        values_s = self._newest()
        return float(np.percentile(values_s, percent)) * 1e3 if len(values_s) else float("nan")

    def values(self) -> dict[str, object]:
        """Latency p50, p95 and max in milliseconds and the rate, by their names."""
        values_s = self._newest()
        p50, p95, longest = (
            np.percentile(values_s, (50, 95, 100)) * 1e3 if len(values_s) else [float("nan")] * 3
        )
        return {
            "latency_p50_ms": float(p50),
            "latency_p95_ms": float(p95),
            "latency_max_ms": float(longest),
            "rate_hz": self.rate_hz(),
        }

    def rate_hz(self) -> float:
        """Measurements per wall second over the window."""
        self._forget()
        if len(self._stamps_s) < 2:
            return 0.0
        span = perf_counter() - self._stamps_s[0]
        return (len(self._stamps_s) - 1) / span if span > 0.0 else 0.0

    def _newest(self) -> FloatArray:
        self._forget()
        return np.fromiter(self._values_s, dtype=np.float64)

    def _forget(self) -> None:
        oldest_s = perf_counter() - WINDOW_S
        while self._stamps_s and self._stamps_s[0] < oldest_s:
            self._stamps_s.popleft()
            self._values_s.popleft()
