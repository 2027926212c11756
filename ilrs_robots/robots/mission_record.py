"""One task of a mission under way: where it is, and what must survive a restart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ilrs_robots.robots.mission import Place, Task, full_name
from ilrs_robots.robots.mission_steps import Step
from ilrs_robots.robots.mission_types import TaskRow, TaskState

_KEPT: Final = (
    "step", "tries", "lives", "turned_back", "notes", "sentence", "began_s", "ended_s", "since_s",
    "deadline_from_s", "home",
)  # fmt: skip


@dataclass
class TaskRecord:
    """A task and how far it is; times are mission time in seconds.

    Attributes:
        vehicle: whose.
        task: what the file says.
        state: where it is.
        steps: once it has started.
        step: index of the one under way.
        tries: of this step.
        lives: of the executive since the task began; part of the id of an order.
        resent: how often this try's order was sent again.
        home: where the vehicle stood at the start, map, metres.
        began_s: NaN before.
        ended_s: likewise.
        deadline_from_s: from when the task's time limit counts.
        since_s: since when the step runs or, before the start, the conditions are waited for.
        ordered_s: last sign that the order is under way, None where there is none.
        again_s: when the next try is due.
        turned_back: why a crew was brought home, or empty.
        notes: what was not as planned but did not fail the task.
        sentence: for people.
    """

    vehicle: str
    task: Task
    state: TaskState = TaskState.WAITING
    steps: tuple[Step, ...] = ()
    step: int = 0
    tries: int = 1
    lives: int = 1
    resent: int = 0
    home: Place = (0.0, 0.0)
    _began_s: float = math.nan
    ended_s: float = math.nan
    deadline_from_s: float = math.nan
    since_s: float | None = None
    ordered_s: float | None = None
    again_s: float | None = None
    turned_back: str = ""
    notes: list[str] = field(default_factory=list)
    sentence: str = "waits"

    @property
    def began_s(self) -> float:
        """When it started, NaN before."""
        return self._began_s

    @began_s.setter
    def began_s(self, time_s: float) -> None:
        self._began_s = self.deadline_from_s = time_s

    @property
    def order_id(self) -> str:
        """Id of the order of the step and try under way."""
        name = full_name(self.vehicle, self.task.name)
        return f"{name}/{self.step + 1}/{self.tries}/{self.lives}"

    def note(self, sentence: str) -> None:
        """Remember what was not as planned."""
        self.notes.append(sentence)

    def row(self) -> TaskRow:
        """The task for whoever watches."""
        step = min(self.step + 1, len(self.steps))
        return TaskRow(
            self.vehicle, self.task.name, self.task.kind, self.state, self.sentence, step,
            len(self.steps), self.tries, self.began_s, self.ended_s,
        )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """What must survive, for JSON: NaN, which JSON lacks, is None."""
        kept = {name: getattr(self, name) for name in _KEPT}
        for name, value in kept.items():
            if isinstance(value, float) and math.isnan(value):
                kept[name] = None
        return {**kept, "state": self.state.value}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Take what ``state_dict`` gave."""
        for name in _KEPT:
            value = kept[name]
            if value is None and name in ("began_s", "ended_s", "deadline_from_s"):
                value = math.nan
            setattr(self, name, value)
        self.home = (float(kept["home"][0]), float(kept["home"][1]))
        self.notes = list(kept["notes"])
        self.state = TaskState(kept["state"])
        self.lives += 1
