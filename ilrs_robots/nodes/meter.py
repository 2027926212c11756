"""What a node takes and what it costs: rates and ages of its inputs, CPU and memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil

from ilrs_robots.robots.interfaces import regular_rate_hz
from ilrs_robots.robots.vehicle_health import DiagnosticsConfig

_MB = 1e6


@dataclass
class _Input:
    """One subscription.

    Attributes:
        rate_hz: that a healthy vehicle has, 0 where nothing is promised.
        count: messages so far.
        told: of these, at the last report.
        refused: of these, could not be used.
        stamp: header stamp of the newest message, None where it has no header.
        heard_ns: the node's time at which a report last saw a new one, None before that.
    """

    rate_hz: float
    count: int = 0
    told: int = 0
    refused: int = 0
    stamp: Any = None
    heard_ns: int | None = None


class NodeMeter:
    """Counts what comes in and the CPU time of the callbacks; read out once a second.

    Per message it costs two looks at the thread's clock and a few attribute accesses (about a
    microsecond); everything else is done when a report is made.
    """

    def __init__(self) -> None:
        self._inputs: dict[str, _Input] = {}
        self._busy_ns = self._busy_told_ns = 0
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._told_s = time.monotonic()

    def watch(self, topic: str) -> Callable[[Any], None]:
        """What to call with every message of an input."""
        one = self._inputs.setdefault(topic, _Input(regular_rate_hz(topic)))

        def came(msg: Any) -> None:
            one.count += 1
            header = getattr(msg, "header", None)
            if header is not None:
                one.stamp = header.stamp

        return came

    def refuse(self, topic: str) -> None:
        """A message of an input could not be used."""
        self._inputs[topic].refused += 1

    def work(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call back, and count the CPU time of this thread to the node."""
        begin_ns = time.thread_time_ns()
        try:
            return callback(*args)
        finally:
            self._busy_ns += time.thread_time_ns() - begin_ns

    def forget(self) -> None:
        """The node's inputs are gone."""
        self._inputs.clear()

    def resume(self) -> None:
        """The node takes its inputs again: what did not come meanwhile was not awaited."""
        for one in self._inputs.values():
            one.heard_ns = None

    def values(self, now_ns: int) -> dict[str, object]:
        """Everything since the last report.

        Args:
            now_ns: the node's clock, for the ages of what has a stamp.
        """
        now_s = time.monotonic()
        span_s = max(now_s - self._told_s, 1e-3)
        busy_ns, self._busy_told_ns = self._busy_ns - self._busy_told_ns, self._busy_ns
        self._told_s = now_s
        found: dict[str, object] = {"cpu_percent": busy_ns * 1e-7 / span_s}
        with self._process.oneshot():
            found["process_cpu_percent"] = self._process.cpu_percent()
            found["process_memory_mb"] = self._process.memory_info().rss / _MB
        for topic, one in self._inputs.items():
            new, one.told = one.count - one.told, one.count
            if new:
                one.heard_ns = now_ns
            found[f"in.{topic}.rate_hz"] = new / span_s
            if one.refused:
                found[f"in.{topic}.refused"] = one.refused
            if one.count:
                found[f"in.{topic}.age_s"] = _age_s(one, now_ns)
        return found

    def trouble(self, cfg: DiagnosticsConfig, values: dict[str, object], now_ns: int) -> str:
        """Which threshold is passed, in one sentence; empty where none is.

        Args:
            cfg: the thresholds.
            values: of this meter and of the node's latencies.
            now_ns: the node's clock.
        """
        for topic, one in self._inputs.items():
            if not one.rate_hz or one.heard_ns is None:
                continue
            silent_s = (now_ns - one.heard_ns) * 1e-9
            if 0.0 < cfg.input_silent_s < silent_s:
                return f"{topic} has been silent for {silent_s:.0f} s"
        limits = (
            ("latency_p95_ms", cfg.latency_p95_ms, "ms"),
            ("process_memory_mb", cfg.process_memory_mb, "MB"),
            ("process_cpu_percent", cfg.process_cpu_percent, "%"),
        )
        for key, limit, unit in limits:
            value = values.get(key)
            if limit > 0.0 and isinstance(value, float) and value > limit:
                return f"{key} is {value:.0f} {unit}, more than {limit:g} {unit}"
        return ""


def _age_s(one: _Input, now_ns: int) -> float:
    """Of the newest message: by its stamp, or since it was seen where it has none."""
    if one.stamp is None:
        return (now_ns - (one.heard_ns or now_ns)) * 1e-9
    return (now_ns - one.stamp.sec * 1_000_000_000 - one.stamp.nanosec) * 1e-9
