"""What the navigator needs from others: maps that keep coming, commands that are let through."""

from __future__ import annotations

_NS = 1e-9
_LONGEST_STEP_NS = 1_000_000_000
"""A longer gap between two steps was the navigator's own absence, not the map's."""
_ASKED = 0.02
_AT_REST = 1e-3
_HELD_AFTER_NS = 300_000_000
_GIVEN_FOR_NS = 500_000_000


class MapWatch:
    """Time for which no terrain map has come although the navigator was there to take it."""

    def __init__(self) -> None:
        """Start with none missed."""
        self._last_ns: int | None = None
        self._without_ns = 0

    @property
    def without_s(self) -> float:
        """Seconds without a map."""
        return self._without_ns * _NS

    def came(self) -> None:
        """A map has come, or waiting begins anew."""
        self._without_ns = 0

    def step(self, now_ns: int) -> None:
        """Let time pass."""
        if self._last_ns is not None:
            self._without_ns += min(max(now_ns - self._last_ns, 0), _LONGEST_STEP_NS)
        self._last_ns = now_ns


class HeldWatch:
    """Whether the vehicle is kept standing although the navigator asks it to move.

    An emergency stop, a shut gate, an operator who holds the stick at zero, and a gate that has
    fallen silent all look alike from here, and none of them is the ground's fault. Where nothing
    was ever said about what reaches the wheels, nothing is known and the vehicle is not held.
    """

    def __init__(self) -> None:
        """Start knowing nothing."""
        self._given: tuple[int, bool] | None = None
        self._asked_since_ns: int | None = None

    def on_given(self, stamp_ns: int, v: float, w: float) -> None:
        """Note what was let through: speed (m/s) and yaw rate (rad/s)."""
        self._given = stamp_ns, max(abs(v), abs(w)) < _AT_REST

    def on_asked(self, now_ns: int, v: float, w: float) -> None:
        """Note what the navigator asks for: speed (m/s) and yaw rate (rad/s)."""
        if max(abs(v), abs(w)) <= _ASKED:
            self._asked_since_ns = None
        elif self._asked_since_ns is None:
            self._asked_since_ns = now_ns

    def held(self, now_ns: int) -> bool:
        """Whether motion was asked for long enough to be seen, and rest is what was given."""
        if self._given is None or self._asked_since_ns is None:
            return False
        if now_ns - self._asked_since_ns < _HELD_AFTER_NS:
            return False
        stamp_ns, at_rest = self._given
        return at_rest or now_ns - stamp_ns > _GIVEN_FOR_NS

    def reset(self) -> None:
        """Time went back: what was given is void."""
        self._given = self._asked_since_ns = None
