"""Which wheel encoders seem dead: they stand while the others turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ilrs_robots.core.localization.wheel_odometry import WheelState
from ilrs_robots.core.types import BoolArray, FloatArray

_TURNING_RPS: Final = 0.3
_STANDING_RPS: Final = 0.005
_DEAD_AFTER_S: Final = 1.0


class EncoderWatch:
    """Counts for how long each wheel has stood while half of the others turned.

    Args:
        names: the wheels.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._stood_s = np.zeros(len(self._names))

    @property
    def dead(self) -> tuple[str, ...]:
        """Wheels whose encoders seem dead."""
        pairs = zip(self._names, self._stood_s, strict=True)
        return tuple(name for name, stood in pairs if stood >= _DEAD_AFTER_S)

    def asks(self, rate_rps: FloatArray) -> BoolArray:
        """(J,) which of many pairs of samples, of (J, N) wheel rates, ``look`` has to see."""
        stands = (rate_rps < _STANDING_RPS).any(axis=1) | bool(self._stood_s.any())
        turning = (rate_rps > _TURNING_RPS).sum(axis=1)
        seen: BoolArray = (2 * turning >= rate_rps.shape[1]) & stands
        return seen | bool(seen.any())

    def look(self, before: WheelState, state: WheelState) -> int:
        """Take two samples in a row.

        Returns:
            how many encoders have just been found dead.
        """
        step_s = (state.stamp_ns - before.stamp_ns) * 1e-9
        rate = np.abs(state.turned_rad - before.turned_rad) / step_s
        stands = rate < _STANDING_RPS
        turning = int(np.count_nonzero(rate > _TURNING_RPS))
        if 2 * turning < len(rate) or not (stands.any() or self._stood_s.any()):
            return 0
        known = len(self.dead)
        self._stood_s = np.where(stands, self._stood_s + step_s, 0.0)
        return max(len(self.dead) - known, 0)
