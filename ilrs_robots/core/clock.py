"""What a clock may do to those who read it: step back, stand still, be another than the stamps'.

No clock is read here; whoever has one shows its times.

Reference: docs/adr/0007-time.md.
"""

from __future__ import annotations

from typing import Final

RESET_NS: Final = 1_000_000_000
"""A wall clock that goes back by no more than this is waited out; by more, it was set anew."""
SIMULATED_RESET_NS: Final = 100_000_000
"""A simulated clock that goes back by more than this was reset: it is never slewed."""

_DAY_NS: Final = 86_400_000_000_000
_WALL_FROM_NS: Final = 1_000_000_000_000_000_000
"""Times below this (September 2001) are simulated: simulations start near zero."""


class ClockWatch:
    """Notices from the times it is shown that a clock was set back, or stands still.

    Args:
        simulated: whether the clock is a simulation's; it decides how far back is a reset.
    """

    def __init__(self, simulated: bool) -> None:
        self._tolerance_ns = SIMULATED_RESET_NS if simulated else RESET_NS
        self._newest_ns: int | None = None
        self._shown_ns: int | None = None
        self._changed_s = 0.0

    def went_back_ns(self, now_ns: int) -> int:
        """How far the clock was set back since it was last shown; 0 when it was not."""
        newest = self._newest_ns
        if newest is not None and now_ns < newest - self._tolerance_ns:
            self._newest_ns = now_ns
            return newest - now_ns
        self._newest_ns = now_ns if newest is None else max(newest, now_ns)
        return 0

    def standing_s(self, now_ns: int, wall_s: float) -> float:
        """For how many seconds of a steady clock this clock has shown the same time."""
        if now_ns != self._shown_ns:
            self._shown_ns, self._changed_s = now_ns, wall_s
        return wall_s - self._changed_s


def other_clock(what: str, stamp_ns: int, now_ns: int) -> str:
    """Say that a stamp is of another clock than a node's; empty when it may be of the same.

    Args:
        what: what carries the stamp.
        stamp_ns: its stamp.
        now_ns: the node's clock; 0 is a simulated clock that has not come yet.
    """
    if now_ns == 0 or abs(now_ns - stamp_ns) <= _DAY_NS:
        return ""
    says = (
        f"{what} is stamped {stamp_ns * 1e-9:.1f} s, this node's clock says {now_ns * 1e-9:.1f} s"
    )
    if stamp_ns < _WALL_FROM_NS <= now_ns:
        return f"{says}: the stamps are simulated, so set use_sim_time of this node to true"
    if now_ns < _WALL_FROM_NS <= stamp_ns:
        return f"{says}: the stamps are not simulated, so set use_sim_time of this node to false"
    return (
        f"{says}: set use_sim_time to true where a recording is played, "
        "synchronise the clocks where none is"
    )
