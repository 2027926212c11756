"""What a meeting of two vehicles is described by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum, auto

from ilrs_robots.core.control.fleet import PeerDisc
from ilrs_robots.core.control.progress import Patience
from ilrs_robots.core.types import FloatArray


class Mode(Enum):
    """What a meeting makes the vehicle do."""

    FREE = auto()
    ASIDE = auto()
    HOLD = auto()


@dataclass(frozen=True)
class MeetingAnswer:
    """What a meeting says now.

    Attributes:
        stop_m: how far along its own path the vehicle may go.
        drive: speed (m/s) and yaw rate (rad/s) instead of those along the path, or None.
        sentence: why, empty where nobody is met.
        given_up: why the goal is given up, empty where it is not.
    """

    stop_m: float = math.inf
    drive: tuple[float, float] | None = None
    sentence: str = ""
    given_up: str = ""


@dataclass
class Met:
    """What is known of the meeting with one vehicle.

    Attributes:
        disc: where it may be.
        way_m: (N, 2) metres, map: its way ahead, from where it is.
        along_m: (N,) metres along that way.
        yields: this vehicle yields to it.
        body_m: how far the own path is free of it.
        extra_m: by which the vehicle's front is farther ahead than its side is aside.
        in_way: this vehicle stands in its way.
    """

    disc: PeerDisc
    way_m: FloatArray
    along_m: FloatArray
    yields: bool
    body_m: float = math.inf
    extra_m: float = 0.0
    in_way: bool = False


@dataclass
class Patiences:
    """How long one vehicle has stood in the way, and whether who yields was changed for it."""

    blocked: Patience = field(default_factory=Patience)
    parked: Patience = field(default_factory=Patience)
    swapped: bool = False
