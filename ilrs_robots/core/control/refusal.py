"""What the navigator makes of a command gate that does not let its commands through."""

from __future__ import annotations

import math
from typing import Final

from ilrs_robots.core.control.navigator_types import NavigatorConfig, NavigatorError
from ilrs_robots.core.control.progress import Patience
from ilrs_robots.core.control.watchdog import Trouble

_FINAL: Final = {"power": NavigatorError.NO_POWER, "link": NavigatorError.NO_LINK}


class RefusalWatch:
    """Time for which the gate has refused for a reason that waiting does not mend.

    Ground that the gate does not let the vehicle onto, although the plan leads there, is marked
    closed by a recovery, so that the next plan leads elsewhere. Without power or link the goal
    ends: somebody has to help.
    """

    def __init__(self, front_m: float) -> None:
        """Take how far the vehicle reaches ahead of its centre."""
        self._front_m = front_m
        self._kind = self._reason = ""
        self._on_ground, self._on_supply = Patience(), Patience()

    @property
    def by_ground(self) -> bool:
        """Whether it is the ground that the gate refuses now."""
        return self._kind == "ground"

    def on_gate(self, kind: str, reason: str) -> None:
        """Take the gate's word.

        Args:
            kind: ``ground``, ``power``, ``link``; anything else passes by itself.
            reason: one sentence.
        """
        self._kind, self._reason = kind, reason

    def pause(self) -> None:
        """Begin to count anew, after a recovery."""
        self._on_ground.update(0, False)

    def trouble(
        self, now_ns: int, pose: tuple[float, float, float], forward: bool, limit_s: float
    ) -> Trouble | None:
        """Trouble after the ground ahead was refused for too long.

        Args:
            now_ns: time of the stamps.
            pose: x, y (m) and yaw (rad) in map.
            forward: the command that was refused drives forwards.
            limit_s: how long is too long.
        """
        if self._on_ground.update(now_ns, self.by_ground) <= limit_s:
            return None
        x, y, yaw = pose
        reach_m = self._front_m if forward else 0.0
        mark = (x + reach_m * math.cos(yaw), y + reach_m * math.sin(yaw)) if forward else None
        return Trouble(self._reason, mark, held_up=True)

    def final(self, config: NavigatorConfig, now_ns: int) -> tuple[NavigatorError, str] | None:
        """Why the goal ends, once that is sure."""
        if self._on_supply.update(now_ns, self._kind in _FINAL) <= config.wait_s:
            return None
        return _FINAL[self._kind], f"{self._reason}; help is needed"
