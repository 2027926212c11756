"""The books of a mission: every task as it stands, and what happened."""

from __future__ import annotations

from typing import Any

from ilrs_robots.robots.mission import STOP, Mission, full_name
from ilrs_robots.robots.mission_record import TaskRecord
from ilrs_robots.robots.mission_steps import Drive
from ilrs_robots.robots.mission_types import MissionEvent, TaskRow, TaskState


class MissionLedger:
    """Tasks, their ends, and the events; the executive decides and writes here.

    Args:
        mission: with tasks for every vehicle that takes part.
    """

    def __init__(self, mission: Mission) -> None:
        self.mission = mission
        self._records = {full_name(v, t.name): TaskRecord(v, t) for v, t in mission}
        self._queues = {
            v: [self._records[full_name(v, t.name)] for t in tasks]
            for v, tasks in mission.vehicles.items()
        }
        self._events: list[MissionEvent] = []
        self._begun_s: float | None = None
        self._now_s = 0.0

    @property
    def over(self) -> bool:
        """Whether every task has ended."""
        return all(record.state.ended for record in self._records.values())

    @property
    def succeeded(self) -> bool:
        """Whether every task is done."""
        return all(record.state is TaskState.DONE for record in self._records.values())

    @property
    def stands(self) -> bool:
        """Whether only time is waited for: nobody is sent anywhere, and something is to come."""
        running = [r for r in self._records.values() if r.state is TaskState.RUNNING]
        return not self.over and not any(isinstance(r.steps[r.step], Drive) for r in running)

    def rows(self) -> tuple[TaskRow, ...]:
        """Every task as it stands, in the order of the file."""
        return tuple(record.row() for record in self._records.values())

    def take_events(self) -> list[MissionEvent]:
        """What happened since this was last asked."""
        events, self._events = self._events, []
        return events

    def state(self) -> dict[str, Any]:
        """What another executive needs to go on from here, as plain data."""
        return {
            "mission": self.mission.name, "begun_s": self._begun_s,
            "tasks": {name: record.state_dict() for name, record in self._records.items()},
        }  # fmt: skip

    # -- for the executive ------------------------------------------------------------------
    def _tell(self, record: TaskRecord, sentence: str, *, trouble: bool = False) -> None:
        record.sentence = sentence
        event = MissionEvent(self._now_s, record.vehicle, record.task.name, sentence, trouble)
        self._events.append(event)

    def _drop(self, record: TaskRecord, why: str, *, rest: bool = False) -> None:
        record.state, record.ended_s = TaskState.DROPPED, self._now_s
        self._tell(record, f"dropped: {why}", trouble=True)
        if rest:
            self._drop_rest(record, why)

    def _drop_rest(self, record: TaskRecord, why: str) -> None:
        for other in self._queues[record.vehicle]:
            if not other.state.ended:
                self._drop(other, why)

    def _end(
        self, record: TaskRecord, state: TaskState, sentence: str, *, drop_all: bool = False
    ) -> None:
        record.state, record.ended_s, record.ordered_s = state, self._now_s, None
        failed, task = state is TaskState.FAILED, record.task
        stop = failed and (drop_all or task.on_failure == STOP)
        what = ""
        if failed:
            left = sum(not r.state.ended for r in self._queues[record.vehicle])
            what = (
                f": {left} further tasks are dropped" if stop else ": goes on with the next task"
            )
            what = what if left else ""
        self._tell(record, f"{sentence}{what}", trouble=failed)
        if stop:
            self._drop_rest(record, f"{full_name(record.vehicle, task.name)} failed")
