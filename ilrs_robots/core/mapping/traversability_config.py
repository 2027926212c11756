"""Parameters of traversability: the scales at which the ground is judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ilrs_robots.core import config as params
from ilrs_robots.core.config import param
from ilrs_robots.core.mapping.limits import VehicleLimits

UNKNOWN: Final = ("open", "costly", "closed")
_LONG_RANGE_M: Final = 2.35
"""Mean side of the footprint for which the defaults of the scales hold."""


@dataclass(frozen=True)
class TraversabilityConfig:
    """Scales at which the ground is judged."""

    plane_window_m: float = param(
        1.5, doc="side of the window of slope and roughness", unit="m", low=0.1, high=30.0
    )
    step_radius_m: float = param(
        0.28, doc="reach of a wheel: within it a step is seen", unit="m", low=0.02, high=5.0
    )
    body_radius_m: float = param(
        0.8, doc="reach under the body within which a boulder is seen", unit="m", low=0.0, high=9.0
    )
    region_window_m: float = param(
        3.0, doc="side of the window of the slope that steps are relative to", unit="m",
        low=0.2, high=60.0,
    )  # fmt: skip
    fill_radius_m: float = param(
        0.3, doc="unseen cells farther from seen ones stay unknown", unit="m", low=0.0, high=5.0
    )
    min_support: int = param(8, doc="seen cells that a plane needs", low=3, high=10_000)
    gap_m: float = param(
        3.0, doc="widest unseen gap that is judged by its two ends, 0 for none", unit="m",
        low=0.0, high=20.0,
    )  # fmt: skip
    unknown: str = param(
        "open", doc="unknown ground is left to the planner (open), costs something, or is closed",
        choices=UNKNOWN,
    )  # fmt: skip
    unknown_cost: float = param(
        0.5, doc="cost of unknown ground where it is costly", low=0.0, high=0.98
    )
    normal_window_m: float = param(
        0.5, doc="side of the window of the normals", unit="m", low=0.05, high=30.0
    )
    fill_scale_m: float = param(
        1.0, doc="distance from seen ground at which filled heights are worth a third", unit="m",
        low=0.01, high=1e3,
    )  # fmt: skip
    prior_blend_m: float = param(
        5.0, doc="distance over which the orbital terrain is bent to meet what was seen", unit="m",
        low=0.1, high=1e4,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check ranges."""
        params.check(self)


def scaled_to(limits: VehicleLimits, config: TraversabilityConfig) -> TraversabilityConfig:
    """The scales of a config, which hold for a footprint of 2.35 m, for another vehicle's."""
    side_m = 0.5 * (limits.footprint_length_m + limits.footprint_width_m)
    share = side_m / _LONG_RANGE_M
    return replace(
        config,
        plane_window_m=config.plane_window_m * share,
        step_radius_m=config.step_radius_m * share,
        body_radius_m=config.body_radius_m * share,
        region_window_m=config.region_window_m * share,
    )
