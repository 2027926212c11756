"""Standing at a landing place for a while: what a chain of hops has to know of it.

Light, battery and links are the affair of whoever knows the site; planners ask through
``StayModel``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray

DARK, NO_LINK = "dark", "no_link"
"""Codes of refusals: what the battery or the light do not allow, and what links do not."""


@dataclass(frozen=True)
class StayConfig:
    """What standing at a way-station, from where another hop begins, needs."""

    station_s: float = param(
        1800.0, doc="standing at a way-station before the next hop", unit="s", low=0.0, high=1e6
    )
    station_light: float = param(
        0.3, doc="mean share of the Sun's disc in sight while it stands there", low=0.0, high=1.0
    )
    station_link_s: float = param(
        300.0, doc="in reach of the Earth or the base while it stands there", unit="s", low=0.0,
        high=1e6,
    )  # fmt: skip
    look_s: float = param(
        300.0, doc="between two looks at Sun and links", unit="s", low=10.0, high=36000.0
    )

    def __post_init__(self) -> None:
        """Check ranges and that a link can last as long as is asked for.

        Raises:
            ConfigError: with value, limit and unit.
        """
        config.check(self)
        if self.station_link_s > self.station_s:
            raise ConfigError(
                f"station_link_s = {self.station_link_s} s: must be at most station_s = "
                f"{self.station_s} s"
            )


@dataclass(frozen=True)
class Stay:
    """Standing at a place for a span of time.

    Attributes:
        code: ``dark`` or ``no_link`` where it may not stand there, else empty.
        why: the same in one sentence with the numbers, else empty.
        told: light and links in a few words.
        drawn_wh: most that is taken out of the battery since the landing.
        end_wh: that may still be used when it leaves.
        light: mean visible share of the Sun's disc, 0 to 1.
        linked_s: in reach of the Earth or the base.
    """

    code: str
    why: str
    told: str
    drawn_wh: float
    end_wh: float
    light: float
    linked_s: float


class StayModel(Protocol):
    """Light, battery and links of places."""

    cfg: StayConfig

    def full_wh(self) -> float:
        """What a full battery may give."""
        ...

    def flight_wh(self, duration_s: float) -> float:
        """What a flight takes out of the battery."""
        ...

    def stand(
        self, place_m: FloatArray, arrive_s: float, usable_wh: float, stay_s: float, station: bool
    ) -> Stay:
        """What becomes of it there.

        Args:
            place_m: (3,) metres, map.
            arrive_s: site time of the landing.
            usable_wh: that the battery may still give then.
            stay_s: for so long.
            station: whether another hop begins there: light and links are asked for as well.
        """
        ...
