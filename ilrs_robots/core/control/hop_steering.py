"""Steering laws of a hop: what specific force the engines shall give now.

The force is that of the engines per mass, map axes: what is wanted besides gravity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.planning.hop_types import HopProfile
from ilrs_robots.core.types import FloatArray

_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class SteeringConfig:
    """How tightly a planned hop is followed."""

    place_gain: float = param(
        0.12, doc="acceleration per metre off the path", unit="1/s2", low=0.0, high=10.0
    )
    speed_gain: float = param(
        0.7, doc="acceleration per speed off the path", unit="1/s", low=0.0, high=10.0
    )
    most_mps2: float = param(
        1.5, doc="most that is added to the plan's force", unit="m/s2", low=0.1, high=20.0
    )
    taper_s: float = param(
        0.5, doc="speed to go over this time is thrust near cut-off", unit="s", low=0.05, high=5.0
    )
    cut_off_mps: float = param(
        0.03, doc="speed to go that is left alone", unit="m/s", low=0.001, high=1.0
    )
    steady_mps: float = param(
        0.8, doc="speed to go below which the direction is held", unit="m/s", low=0.01, high=10.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


def along_path(
    cfg: SteeringConfig, profile: HopProfile, time_s: float, place_m: FloatArray,
    speed_mps: FloatArray, gravity_mps2: float,
) -> FloatArray:  # fmt: skip
    """(3,) specific force that follows a profile: the plan's own and what takes errors away.

    Args:
        cfg: gains.
        profile: the hop.
        time_s: after its start.
        place_m: (3,) map, metres.
        speed_mps: (3,) map.
        gravity_mps2: downwards.
    """
    half = 0.05
    place, speed = profile.state_at(time_s)
    early, late = max(time_s - half, 0.0), time_s + half
    planned = (profile.state_at(late)[1] - profile.state_at(early)[1]) / (late - early)
    back = cfg.place_gain * (place - place_m) + cfg.speed_gain * (speed - speed_mps)
    size = math.sqrt(float(back @ back))
    if size > cfg.most_mps2:
        back = back * (cfg.most_mps2 / size)
    force: FloatArray = planned + gravity_mps2 * _UP + back
    return force


def speed_to_go(
    place_m: FloatArray, speed_mps: FloatArray, meet_m: FloatArray, in_s: float,
    gravity_mps2: float,
) -> FloatArray:  # fmt: skip
    """(3,) change of speed, m/s, after which a free fall meets a place in time.

    Gravity changes the speed and the speed that is needed alike, so only thrust takes it away.

    Reference: Battin 1999, An introduction to the mathematics and methods of astrodynamics,
        section 11.7 (velocity to be gained), for an even field.

    Args:
        place_m: (3,) map, metres.
        speed_mps: (3,) map.
        meet_m: (3,) where to be, metres.
        in_s: when, seconds from now.
        gravity_mps2: downwards.
    """
    needed: FloatArray = (meet_m - place_m) / in_s + 0.5 * gravity_mps2 * in_s * _UP
    return needed - speed_mps


class BoostSteering:
    """Burns along the speed to be gained until none is left.

    Near the end the direction is held: what is left is then too small to tell one.

    Args:
        cfg: cut-off.
        full_mps2: of the burn, thrust over mass at its start.
        least_mps2: that the engines can give, likewise.
    """

    def __init__(self, cfg: SteeringConfig, full_mps2: float, least_mps2: float) -> None:
        self._cfg, self._full_mps2, self._least_mps2 = cfg, full_mps2, least_mps2
        self._held: FloatArray | None = None
        self.done = False

    def force(self, to_go_mps: FloatArray) -> FloatArray:
        """(3,) specific force, m/s2; zero once it is done.

        Args:
            to_go_mps: (3,) speed to be gained, map.
        """
        size = math.sqrt(float(to_go_mps @ to_go_mps))
        left = size if self._held is None else float(to_go_mps @ self._held)
        if self.done or left < self._cfg.cut_off_mps:
            self.done = True
            return np.zeros(3)
        if self._held is None and size < self._cfg.steady_mps:
            self._held = to_go_mps / size
        way = to_go_mps / size if self._held is None else self._held
        return way * max(min(self._full_mps2, left / self._cfg.taper_s), self._least_mps2)
