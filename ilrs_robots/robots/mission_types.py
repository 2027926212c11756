"""What passes between a mission's executive, its vehicles and whoever watches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.robots.mission import Place


@dataclass(frozen=True)
class MissionConfig:
    """How long the executive believes in what it does not hear."""

    lost_s: float = param(
        180.0, doc="a vehicle that is not heard for so long is given up", unit="s", low=1.0,
        high=1e6,
    )  # fmt: skip
    silent_s: float = param(
        60.0, doc="an order that nobody speaks of for so long is sent again", unit="s", low=1.0,
        high=1e6,
    )  # fmt: skip
    resends: int = param(5, doc="how often one order is sent again at most", low=0, high=1000)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class TaskState(StrEnum):
    """Where a task is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self not in (TaskState.WAITING, TaskState.RUNNING)


@dataclass(frozen=True)
class VehicleReport:
    """What was heard of a vehicle last.

    Attributes:
        heard_s: mission time of the newest word, -inf for none.
        xy_m: where it said that it is, map; None where it never said.
        charge: of its battery, 0 to 1, NaN for unknown.
    """

    heard_s: float = -math.inf
    xy_m: Place | None = None
    charge: float = math.nan


@dataclass(frozen=True)
class Order:
    """Something for a vehicle to do; sent twice it means the same.

    Attributes:
        id: unique for mission, task, step and try.
        vehicle: whose.
        places: to go to in a row, map, metres; none: give up the order of this id.
        yaw_rad: heading at the last place.
    """

    id: str
    vehicle: str
    places: tuple[Place, ...] = ()
    yaw_rad: float = 0.0


@dataclass(frozen=True)
class Answer:
    """How an order ended.

    Attributes:
        id: of the order.
        succeeded: whether the vehicle says so.
        taken_over: whether somebody else gave the vehicle another goal, or cancelled this one.
        sentence: why not.
        missed: numbers of the places that were not reached, from 1.
    """

    id: str
    succeeded: bool
    taken_over: bool = False
    sentence: str = ""
    missed: tuple[int, ...] = ()


@dataclass(frozen=True)
class MissionEvent:
    """Something that happened; ``trouble`` where it is not as planned."""

    time_s: float
    vehicle: str
    task: str
    sentence: str
    trouble: bool = False


@dataclass(frozen=True)
class TaskRow:
    """A task as it stands.

    Attributes:
        vehicle: whose.
        task: its name.
        kind: what it is.
        state: where it is.
        sentence: what goes on, or how it ended and what was done about it.
        step: number of the step under way, from 1; 0 before the first.
        steps: how many there are, 0 before it starts.
        tries: of the step.
        began_s: mission time, NaN before.
        ended_s: likewise.
    """

    vehicle: str
    task: str
    kind: str
    state: TaskState
    sentence: str
    step: int
    steps: int
    tries: int
    began_s: float
    ended_s: float
