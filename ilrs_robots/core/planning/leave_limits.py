"""Times until which ground may be passed, and what is said where a route does not make it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from ilrs_robots.core.types import BoolArray, FloatArray


@dataclass(frozen=True)
class LeaveWords:
    """Sentences about ground that had to be left in time.

    Attributes:
        late: what is so after the latest time at the start.
        none: why there is no route.
        longer: what would have to last longer; takes hours.
        never: what stands against ground that may never be passed.
    """

    late: str
    none: str
    longer: str
    never: str


WALK_WORDS: Final = LeaveWords(
    "the crew can no longer walk home from where it starts",
    "on every route that can be driven the crew could not walk home from some point",
    "the suits would have to last {:.1f} h longer",
    "the route passes ground from which no walkable way leads home",
)
LINK_WORDS: Final = LeaveWords(
    "the base is out of the radio's reach from where it starts",
    "every route that can be driven passes ground that has lost its link by then",
    "the link would have to last {:.1f} h longer",
    "the route passes ground out of the radio's reach",
)
BOTH_WORDS: Final = LeaveWords(
    "the crew can no longer walk home from where it starts, or the link is lost there",
    "on every route that can be driven the crew could not walk home from some point, or the "
    "link is lost there by then",
    "suits or link would have to last {:.1f} h longer",
    "the route passes ground from which no walkable way leads home or no radio reaches the base",
)


def linked_until(maps: Iterable[tuple[float, BoolArray]], whole_s: float) -> FloatArray:
    """How long each cell keeps the link that it has at the departure.

    Between two maps a link that the later one does not show counts as lost at the earlier one. A
    link that comes back counts for nothing.

    Args:
        maps: seconds after the departure, rising from 0, and (rows, cols) bool cells with a link.
        whole_s: seconds that the plan looks ahead.

    Returns:
        (rows, cols) seconds; -1 where there is none at the departure, infinite where it lasts.
    """
    until: FloatArray | None = None
    for time_s, linked in maps:
        if until is None:
            until = np.where(linked, np.inf, -1.0)
            holds, before_s = linked.copy(), time_s
            continue
        lost = holds & ~linked
        until[lost] = before_s
        holds &= linked
        before_s = time_s
        if time_s >= whole_s:
            break
    if until is None:
        raise ValueError("linked_until: no map")
    return until


def earlier(first: FloatArray | None, second: FloatArray | None) -> FloatArray | None:
    """The earlier of two limits.

    Args:
        first: (rows, cols) seconds, or None for no limit.
        second: (rows, cols) seconds, or None.
    """
    if first is None or second is None:
        return second if first is None else first
    both: FloatArray = np.minimum(first, second)
    return both
