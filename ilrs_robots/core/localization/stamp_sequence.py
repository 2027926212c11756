"""The order of one sensor's stamps: what to take, what to refuse, when to believe in a jump."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Final

import numpy as np

from ilrs_robots.core.clock import RESET_NS
from ilrs_robots.core.types import FloatArray

CONFIRM: Final = 3
"""Samples that must follow one another before a jump of the stamps is believed."""


class Order(Enum):
    """Where a stamp stands in its sequence."""

    NEXT = "next"
    LATE = "late"
    """Repeated, or a little older than the newest: refused."""
    DOUBTED = "doubted"
    """Far from the newest, and not confirmed yet: refused."""
    BACK = "back"
    """The sequence goes on at an earlier time."""
    AHEAD = "ahead"
    """The sequence goes on after a gap."""


class StampSequence:
    """Stamps grow. One that jumps is a fault; ``CONFIRM`` that go on from there are a new time.

    So a single wrong stamp neither resets anything nor blocks what follows it.

    Attributes:
        last_ns: newest stamp that was taken, None before the first.
    """

    def __init__(self, last_ns: int | None = None) -> None:
        self.last_ns = last_ns
        self._candidate_ns = 0
        self._count = 0

    def go_on(self, stamp_ns: int) -> None:
        """Note a stamp that somebody else has found to be the next."""
        self.last_ns, self._count = stamp_ns, 0

    def take(self, stamp_ns: int) -> Order:
        """Judge a stamp; ``last_ns`` follows it unless it is refused."""
        last = self.last_ns
        if last is None or last < stamp_ns <= last + RESET_NS:
            self.last_ns, self._count = stamp_ns, 0
            return Order.NEXT
        if last - RESET_NS <= stamp_ns <= last:
            return Order.LATE
        follows = self._candidate_ns < stamp_ns <= self._candidate_ns + RESET_NS
        self._count = self._count + 1 if self._count and follows else 1
        self._candidate_ns = stamp_ns
        if self._count < CONFIRM:
            return Order.DOUBTED
        self.last_ns, self._count = stamp_ns, 0
        return Order.BACK if stamp_ns < last else Order.AHEAD


def accepted(
    what: str, sequence: StampSequence, stamp_ns: int, values: FloatArray, refused: Counter[str]
) -> Order | None:
    """How a sample's stamp follows those before it; None when the sample is refused.

    Args:
        what: the sensor, as the counters name it.
        sequence: its stamps so far; follows a sample that is taken.
        stamp_ns: of the sample.
        values: (N,) what it says, in any unit; all must be finite.
        refused: where a refusal is counted.
    """
    if not np.isfinite(values).all():
        refused[f"{what}_not_finite"] += 1
        return None
    order = sequence.take(stamp_ns)
    if order is Order.LATE or order is Order.DOUBTED:
        refused[f"{what}_stamp"] += 1
        return None
    return order
