"""Parameters of a campaign: which worlds are drawn, and how long a run may take."""

from __future__ import annotations

from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError

SIDES_M = (30.0, 40.0, 50.0)
"""Sides of the square worlds: multiples of two postings of the orbital terrain."""


@dataclass(frozen=True)
class CampaignConfig:
    """What the worlds are like, who drives in them, and what counts as arrived."""

    robot: str = param("long_range", doc="vehicle of config/robots that drives")
    side_min_m: float = param(30.0, doc="smallest world", unit="m", low=30.0, high=50.0)
    side_max_m: float = param(50.0, doc="largest world", unit="m", low=30.0, high=50.0)
    cover_min: float = param(0.10, doc="least share covered by rocks", low=0.0, high=0.2)
    cover_max: float = param(0.20, doc="largest share covered by rocks", low=0.0, high=0.2)
    slope_min_deg: float = param(
        8.0, doc="steepest tilt (at 5 m) of the gentlest worlds", unit="deg", low=0.5, high=40.0
    )
    slope_max_deg: float = param(
        25.0, doc="steepest tilt (at 5 m) of the steepest worlds", unit="deg", low=0.5, high=40.0
    )
    craters_max: int = param(3, doc="most craters of 4 to 10 m besides the random ones", high=20)
    goal_anywhere: float = param(
        0.15, doc="share of goals set without looking: on rocks, in craters", low=0.0, high=1.0
    )
    duration_s: float = param(
        1800.0, doc="simulated time that a drive may take", unit="s", low=1.0, high=86_400.0
    )
    goal_tolerance_m: float = param(
        1.0, doc="true distance to the goal that counts as reached", unit="m", low=0.1, high=10.0
    )

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        for low, high in (
            ("side_min_m", "side_max_m"),
            ("cover_min", "cover_max"),
            ("slope_min_deg", "slope_max_deg"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(
                    f"{low} = {getattr(self, low)}: must not be above {high} = "
                    f"{getattr(self, high)}"
                )
        if not self.sides_m:
            raise ConfigError(
                f"side_min_m = {self.side_min_m} m, side_max_m = {self.side_max_m} m: worlds "
                f"have sides of {', '.join(f'{s:g}' for s in SIDES_M)} m"
            )

    @property
    def sides_m(self) -> tuple[float, ...]:
        """Sides that worlds may have, metres."""
        return tuple(s for s in SIDES_M if self.side_min_m <= s <= self.side_max_m)
