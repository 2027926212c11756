"""Whether the wheels turn and the vehicle stays: entrapment seen from slip and sinkage.

Wheels tell how far they rolled, scans (or whatever else does not hang on the wheels) how far the
body went. On loose ground the second falls short of the first, and a wheel that spins digs itself
in: the longer it is let turn, the deeper. So the way that the *wheels* may turn in vain is
bounded, not a time.

Reference: Arvidson et al. 2010, J. Geophys. Res. 115, E00F03 (Spirit at Troy: slip above 0.9 and
sinkage of a wheel's radius); Gonzalez and Iagnemma 2018, J. Field Robotics 35(4), 564 (slip above
0.6 counts as high; slip estimated against visual odometry).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param

_LEAST_M = 0.02
"""Way of the wheels below which a span says nothing."""


@dataclass(frozen=True)
class EntrapmentConfig:
    """When a vehicle counts as trapped, and what it may try."""

    slip: float = param(
        0.75, doc="share of the wheels' way that is lost: trapped", low=0.1, high=1.0
    )
    way_m: float = param(
        0.8, doc="way of the wheels over which slip is judged", unit="m", low=0.1, high=20.0
    )
    sunk_slip: float = param(
        0.5, doc="slip that is enough where the vehicle sinks in as well", low=0.1, high=1.0
    )
    sinkage_m: float = param(
        0.06, doc="sinkage over that way that counts as sinking in", unit="m", low=0.005, high=2.0
    )
    rest_s: float = param(
        2.0, doc="standstill before the wheels turn again", unit="s", low=0.0, high=60.0
    )
    back_mps: float = param(
        0.12, doc="largest speed of the wheels while backing out", unit="m/s", low=0.01, high=1.0
    )
    back_m: float = param(
        1.5, doc="real way backwards after which it is free", unit="m", low=0.2, high=20.0
    )
    refused_s: float = param(
        4.0, doc="how long the gate may keep it from backing out", unit="s", low=0.5, high=120.0
    )
    tries: int = param(3, doc="tries to back out before help is asked for", low=0, high=20)
    times: int = param(
        3, doc="how often it may be trapped on the way to one goal", low=0, high=100
    )
    mark_radius_m: float = param(
        1.5, doc="size of what is closed where it was trapped", unit="m", low=0.1, high=20.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class MotionEvidence:
    """What the wheels and what the surroundings say of one span of time.

    Attributes:
        from_ns: its begin.
        to_ns: its end.
        wheel_m: way that the wheels rolled, forwards positive.
        moved_m: way that the body went ahead in its own axes, seen without the wheels; NaN where
            nothing shows it.
        sunk_m: how far the body went down through its own floor; 0 where nothing shows it.
    """

    from_ns: int
    to_ns: int
    wheel_m: float
    moved_m: float
    sunk_m: float = 0.0

    @property
    def known(self) -> bool:
        """Whether it says anything of slip."""
        return math.isfinite(self.wheel_m) and math.isfinite(self.moved_m)


class SlipWindow:
    """Slip and sinkage over the last way of the wheels in one direction.

    Attributes:
        wheel_m: way of the wheels in the window, above 0.
        moved_m: way that was made good in their direction.
        sunk_m: sinkage over it.
    """

    def __init__(self, way_m: float) -> None:
        """Take the length of the window along the wheels' way."""
        self._way_m = way_m
        self._spans: deque[tuple[float, float, float]] = deque()
        self._last_ns = -(1 << 62)
        self._sign = 1.0
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._spans.clear()
        self.wheel_m = self.moved_m = self.sunk_m = 0.0

    @property
    def full(self) -> bool:
        """Whether the window is as long as it should be."""
        return self.wheel_m >= self._way_m - 1e-9

    @property
    def slip(self) -> float:
        """Share of the wheels' way that was lost, up to 1 and more; 0 where they did not turn."""
        if self.wheel_m < _LEAST_M:
            return 0.0
        return 1.0 - self.moved_m / self.wheel_m

    def add(self, span: MotionEvidence) -> None:
        """Take a span; one that says nothing, or that comes out of order, is left out.

        Where the wheels turn round the window begins anew: what was lost forwards says nothing of
        the way back.
        """
        if not span.known or span.to_ns <= self._last_ns:
            return
        self._last_ns = span.to_ns
        if abs(span.wheel_m) < 1e-6:
            return
        sign = math.copysign(1.0, span.wheel_m)
        if sign != self._sign:
            self.clear()
            self._sign = sign
        self._spans.append((abs(span.wheel_m), sign * span.moved_m, span.sunk_m))
        while len(self._spans) > 1 and self._sum(0) - self._spans[0][0] >= self._way_m:
            self._spans.popleft()
        self.wheel_m, self.moved_m, self.sunk_m = (self._sum(k) for k in range(3))

    def restart(self) -> None:
        """Time went back: order begins anew as well."""
        self.clear()
        self._last_ns = -(1 << 62)

    def _sum(self, column: int) -> float:
        return math.fsum(span[column] for span in self._spans)


def trapped(window: SlipWindow, settings: EntrapmentConfig) -> str:
    """Why the vehicle counts as trapped, as a phrase; empty where it does not."""
    if not window.full:
        return ""
    slip, sunk = min(window.slip, 1.0), window.sunk_m
    if slip >= settings.slip:
        also = f" and it sank by {100.0 * sunk:.0f} cm" if sunk >= settings.sinkage_m else ""
        return f"the wheels lost {100.0 * slip:.0f} % of the last {window.wheel_m:.1f} m{also}"
    if slip >= settings.sunk_slip and sunk >= settings.sinkage_m:
        return (
            f"the vehicle sank by {100.0 * sunk:.0f} cm while the wheels lost "
            f"{100.0 * slip:.0f} % of the last {window.wheel_m:.1f} m"
        )
    return ""
