"""What a task is made of: drives, stays and charging, one after another."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.robots.mission import (
    Charge,
    GoTo,
    HopAndMeasure,
    Place,
    SortieAndReturn,
    Task,
    Wait,
)


@dataclass(frozen=True)
class Drive:
    """Go to places in a row; the heading at the last one in rad."""

    places: tuple[Place, ...]
    yaw_rad: float = 0.0


@dataclass(frozen=True)
class Stay:
    """Stand for so long."""

    for_s: float
    why: str


@dataclass(frozen=True)
class ChargeTo:
    """Stand until the battery holds so much, 0 to 1."""

    charge: float


Step = Drive | Stay | ChargeTo


def steps_of(
    task: Task, home: Place, charger: Place | None = None, *, singly: bool = False
) -> tuple[Step, ...]:
    """The steps of a task.

    Args:
        task: any.
        home: where the vehicle stood when the task began, map, metres.
        charger: where the charger of a charging task stands.
        singly: whether the vehicle takes one place at a time only.
    """
    drives: tuple[Step, ...] = (Drive(task.places),) if task.places else ()
    if singly:
        drives = tuple(Drive((place,)) for place in task.places)
    if isinstance(task, Wait):
        return (Stay(task.for_s, "waits"),)
    if isinstance(task, Charge):
        there = () if charger is None else (Drive((charger,)),)
        return (*there, ChargeTo(task.until))
    if isinstance(task, SortieAndReturn):
        back = home if task.home is None else task.home
        return (*drives, Stay(task.stay_s, "the crew works"), Drive((back,)))
    if isinstance(task, GoTo):
        drives = (Drive(task.places, math.radians(task.yaw_deg)),)
    if isinstance(task, HopAndMeasure):
        return (*drives, Stay(task.measure_s, "measures"))
    return drives
