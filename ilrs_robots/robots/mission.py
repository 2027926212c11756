"""A mission: for each vehicle a list of tasks, each with conditions under which it starts.

What a file in ``config/missions`` says, as plain data. A task belongs to a vehicle by its place in
the mission, and the executive takes a mission as it is: whoever allocates tasks to vehicles makes
another ``Mission`` from this one and needs nothing of what runs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ConfigError

STOP: Final = "stop"
SKIP: Final = "skip"
Place = tuple[float, float]


@dataclass(frozen=True)
class StartConditions:
    """When a task may start, once the task before it in the vehicle's list has ended."""

    at_s: float = param(0.0, doc="not before this mission time", unit="s", low=0.0, high=1e9)
    after: tuple[str, ...] = param((), doc="names of tasks that must be done; another vehicle's "
                                   "is named vehicle.task")  # fmt: skip
    even_if_failed: bool = param(False, doc="the tasks of `after` need only have ended")
    charge: float = param(0.0, doc="least charge of the battery", low=0.0, high=1.0)
    within_s: float = param(
        30.0 * 86_400.0, doc="longest wait for all of this, then the task has failed", unit="s",
        low=1.0, high=1e9,
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every task has; the classes below say what is done."""

    kind: ClassVar[str] = ""
    name: str = param("", doc="unique among the vehicle's tasks; empty: made from its kind")
    start: StartConditions = param(StartConditions(), doc="conditions")
    tries: int = param(2, doc="how often each of its steps is tried", low=1, high=20)
    retry_s: float = param(30.0, doc="pause before another try", unit="s", low=0.0, high=1e6)
    timeout_s: float = param(
        86_400.0, doc="longest time from its start to its end", unit="s", low=1.0, high=1e9
    )
    on_failure: str = param(
        STOP, doc="stop drops the vehicle's other tasks, skip goes on", choices=(STOP, SKIP)
    )

    def __post_init__(self) -> None:
        """Check ranges and that the name can stand in ``after``."""
        config.check(self)
        if self.name and not self.name.isidentifier():
            raise ConfigError(f"name = {self.name!r}: letters, digits and _ only, no digit first")

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it goes, in order, map, metres."""
        return ()


def _check_places(to: tuple[Place, ...]) -> None:
    if not to:
        raise ConfigError("to = []: at least 1 place is needed")


@dataclass(frozen=True, kw_only=True)
class GoTo(Task):
    """Go to one place."""

    kind: ClassVar[str] = "go_to"
    to: Place = param(doc="x and y in map", unit="m", low=-1e6, high=1e6)
    yaw_deg: float = param(0.0, doc="heading there", unit="deg", low=-360.0, high=360.0)

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it goes."""
        return (self.to,)


@dataclass(frozen=True, kw_only=True)
class Tour(Task):
    """Go to places in a row; one that is missed is told and the next one tried."""

    kind: ClassVar[str] = "tour"
    to: tuple[Place, ...] = param(doc="x and y in map", unit="m", low=-1e6, high=1e6)

    def __post_init__(self) -> None:
        """Check that there is a place to go to."""
        super().__post_init__()
        _check_places(self.to)

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it goes."""
        return self.to


@dataclass(frozen=True, kw_only=True)
class HopAndMeasure(GoTo):
    """Hop to a place and stay there to measure."""

    kind: ClassVar[str] = "hop_and_measure"
    measure_s: float = param(60.0, doc="how long it stays", unit="s", low=0.0, high=1e6)


@dataclass(frozen=True, kw_only=True)
class SortieAndReturn(Tour):
    """Carry the crew out, stay, and bring them home, whatever failed on the way out."""

    kind: ClassVar[str] = "sortie_and_return"
    stay_s: float = param(600.0, doc="at the last place", unit="s", low=0.0, high=1e6)
    home: Place | None = param(None, doc="where it ends; none: where it began", unit="m",
                               low=-1e6, high=1e6)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Charge(Task):
    """Drive to a charger of the base and stand there until the battery is full enough."""

    kind: ClassVar[str] = "charge"
    charger: str = param(doc="of the site's base")
    until: float = param(0.95, doc="charge of the battery", low=0.01, high=1.0)


@dataclass(frozen=True, kw_only=True)
class Wait(Task):
    """Stand."""

    kind: ClassVar[str] = "wait"
    for_s: float = param(doc="how long", unit="s", low=0.0, high=1e9)


KINDS: Final[Mapping[str, type[Task]]] = {
    kind.kind: kind for kind in (GoTo, Tour, HopAndMeasure, SortieAndReturn, Charge, Wait)
}


@dataclass(frozen=True)
class Mission:
    """Tasks in order, by vehicle.

    Attributes:
        name: of the mission.
        site: name or file of the site that it is made for.
        vehicles: tasks by name of the vehicle; every task has a name.
        description: one sentence.
    """

    name: str
    site: str
    vehicles: Mapping[str, tuple[Task, ...]]
    description: str = ""

    def __iter__(self) -> Iterator[tuple[str, Task]]:
        """Every task with its vehicle, in the order of the file."""
        for vehicle, tasks in self.vehicles.items():
            for task in tasks:
                yield vehicle, task

    def waits_for(self, vehicle: str, task: Task) -> tuple[str, ...]:
        """Full names of the tasks that must end before this one starts, the list's included."""
        tasks = self.vehicles[vehicle]
        index = [t.name for t in tasks].index(task.name)
        before = (full_name(vehicle, tasks[index - 1].name),) if index else ()
        return (*before, *(full_name(vehicle, name) for name in task.start.after))

    def only(self, vehicles: tuple[str, ...]) -> Mission:
        """The part of some of the vehicles.

        Raises:
            ConfigError: one of them has no tasks, or waits for one that is left out.
        """
        for vehicle in vehicles:
            if vehicle not in self.vehicles:
                raise ConfigError(f"mission {self.name!r} has no tasks for {vehicle!r}; it has "
                                  f"tasks for {', '.join(self.vehicles)}")  # fmt: skip
        kept = {v: tasks for v, tasks in self.vehicles.items() if v in vehicles}
        part = replace(self, vehicles=kept)
        known = {full_name(v, t.name) for v, t in part}
        for vehicle, task in part:
            for name in part.waits_for(vehicle, task):
                if name not in known:
                    raise ConfigError(
                        f"mission {self.name!r} without some of its vehicles: task "
                        f"{vehicle}.{task.name} waits for {name}, which is left out"
                    )
        return part


def full_name(vehicle: str, task: str) -> str:
    """``vehicle.task``; what has a dot already is one."""
    return task if "." in task else f"{vehicle}.{task}"


def path_m(places: tuple[Place, ...], start: Place) -> float:
    """Length of the straight lines from a place through others, metres."""
    return math.fsum(map(math.dist, (start, *places), places))
