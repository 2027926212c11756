"""Runs a mission: starts tasks when their conditions hold, and acts on what fails.

It has no clock, no vehicle and no network of its own: same calls, same answers. All it knows of a
vehicle is a report with an age and answers that may never come, so a delayed or lossy link changes
when it acts, not what it is. Orders carry an id and may arrive twice.

What is done about a failure, in this order: the step is tried again; a crew on a sortie is brought
home; the task has failed, and the vehicle's other tasks are dropped or gone on with, as the task
says; tasks that wait for it are dropped. Where somebody else takes a vehicle over, none of this is
tried: the task has failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from ilrs_robots.robots.mission import Mission, Place, SortieAndReturn, full_name
from ilrs_robots.robots.mission_ledger import MissionLedger
from ilrs_robots.robots.mission_record import TaskRecord
from ilrs_robots.robots.mission_steps import ChargeTo, Drive, Stay, steps_of
from ilrs_robots.robots.mission_types import (
    Answer,
    MissionConfig,
    Order,
    TaskState,
    VehicleReport,
)

__all__ = ["MissionExecutive"]

_NOBODY: Final = VehicleReport()


class MissionExecutive(MissionLedger):
    """One mission under way.

    Call ``update`` now and then and give its orders to the vehicles, ``answered`` when an order
    has ended, ``alive`` when there was a sign that one is under way.

    Args:
        mission: with tasks for every vehicle that takes part.
        homes: where each vehicle stands as far as is known before it reports, map, metres.
        chargers: places of the base's chargers.
        singly: vehicles that take one place at a time only.
        settings: see MissionConfig.
    """

    def __init__(
        self,
        mission: Mission,
        homes: Mapping[str, Place],
        chargers: Mapping[str, Place] | None = None,
        singly: frozenset[str] = frozenset(),
        settings: MissionConfig | None = None,
    ) -> None:
        super().__init__(mission)
        self.settings = settings or MissionConfig()
        self._homes, self._chargers, self._singly = homes, chargers or {}, singly
        self._orders: list[Order] = []
        self._listens_since_s: float | None = None

    def restore(self, kept: Mapping[str, Any]) -> bool:
        """Go on from what was kept; a step under way is ordered again. False: of another mission.

        Args:
            kept: as ``state`` gave it.
        """
        tasks = kept.get("tasks")
        if kept.get("mission") != self.mission.name or not isinstance(tasks, Mapping):
            return False
        if set(tasks) != set(self._records):
            return False
        for name, record in self._records.items():
            record.restore(tasks[name])
            if record.state is TaskState.RUNNING:
                record.steps = self._steps(record)
                record.ordered_s = None
        self._begun_s = kept.get("begun_s")
        return True

    # -- what happens -----------------------------------------------------------------------
    def update(self, now_s: float, reports: Mapping[str, VehicleReport]) -> list[Order]:
        """Go on to a time.

        Args:
            now_s: mission time, which does not run back.
            reports: newest of each vehicle that was ever heard.

        Returns:
            Orders to be sent now; one without places is to be given up.
        """
        self._now_s = now_s
        self._begun_s = now_s if self._begun_s is None else self._begun_s
        if self._listens_since_s is None:  # a new life has heard nobody yet
            self._listens_since_s = now_s
        changed = True
        while changed:
            changed = False
            for vehicle, queue in self._queues.items():
                changed |= self._advance(vehicle, queue, reports.get(vehicle, _NOBODY))
        orders, self._orders = self._orders, []
        return orders

    def alive(self, order_id: str) -> None:
        """There was a sign that an order is under way."""
        record = self._of(order_id)
        if record is not None:
            record.ordered_s = self._now_s

    def answered(self, now_s: float, answer: Answer) -> None:
        """An order has ended; an answer to an order that no longer counts is passed over."""
        self._now_s = max(now_s, self._now_s)
        record = self._of(answer.id)
        if record is None:
            return
        record.ordered_s = None
        if answer.succeeded:
            if answer.missed:
                numbers = ", ".join(map(str, answer.missed))
                record.note(f"missed place {numbers}: {answer.sentence}".rstrip(": "))
                self._tell(record, f"goes on though it {record.notes[-1]}", trouble=True)
            self._next_step(record)
        elif answer.taken_over:
            self._fail(record, f"somebody else took over: {answer.sentence}", home=False)
        else:
            self._step_failed(record, answer.sentence or "the vehicle gave no reason")

    # -- inside -----------------------------------------------------------------------------
    def _of(self, order_id: str) -> TaskRecord | None:
        for record in self._records.values():
            if record.state is TaskState.RUNNING and record.order_id == order_id:
                return record
        return None

    def _advance(self, vehicle: str, queue: list[TaskRecord], report: VehicleReport) -> bool:
        """One change of one vehicle's tasks; whether there was one."""
        record = next((r for r in queue if not r.state.ended), None)
        if record is None:
            return False
        running = record.state is TaskState.RUNNING
        heard_s = max(report.heard_s, self._listens_since_s or 0.0)
        if self._now_s - heard_s > self.settings.lost_s:
            limit = f"nothing was heard of {vehicle} for {self.settings.lost_s:.0f} s"
            if running:
                self._fail(record, limit, home=False, drop_all=True)
            else:
                self._drop(record, limit, rest=True)
            return True
        return self._run(record, report) if running else self._start(record, report)

    def _start(self, record: TaskRecord, report: VehicleReport) -> bool:
        start, now_s = record.task.start, self._now_s
        record.since_s = now_s if record.since_s is None else record.since_s
        names = [full_name(record.vehicle, name) for name in start.after]
        others = [self._records[name] for name in names]
        for other in others:
            bad = other.state in (TaskState.FAILED, TaskState.DROPPED)
            if bad and not start.even_if_failed:
                name = full_name(other.vehicle, other.task.name)
                self._drop(record, f"it waits for {name}, which {other.state.value}")
                return True
        open_now = [n for n, other in zip(names, others, strict=True) if not other.state.ended]
        why = f"waits for {open_now[0]}" if open_now else ""
        if not why and start.at_s > 0.0 and now_s < start.at_s:
            why = f"waits until {start.at_s:.0f} s"
        if not why and start.charge > 0.0 and not report.charge >= start.charge:
            why = f"waits for a charge of {100.0 * start.charge:.0f} %"
        if not why and not math.isfinite(report.heard_s):
            why = f"waits for a word of {record.vehicle}"
        if why:
            record.sentence = why
            if now_s - record.since_s <= start.within_s:
                return False
            self._fail(record, f"not started within {start.within_s:.0f} s: it {why}")
            return True
        record.state, record.began_s = TaskState.RUNNING, now_s
        record.home = report.xy_m or self._homes[record.vehicle]
        record.steps = self._steps(record)
        self._tell(record, "starts")
        self._enter(record)
        return True

    def _steps(self, record: TaskRecord) -> Any:
        charger = self._chargers.get(getattr(record.task, "charger", ""))
        singly = record.vehicle in self._singly
        return steps_of(record.task, record.home, charger, singly=singly)

    def _enter(self, record: TaskRecord) -> None:
        """Begin the step that is due."""
        record.since_s, record.tries, record.resent = self._now_s, 1, 0
        record.ordered_s = record.again_s = None
        step = record.steps[record.step]
        if isinstance(step, Drive):
            self._order(record, step)
        elif isinstance(step, Stay):
            self._tell(record, f"{step.why} for {step.for_s:.0f} s")
        else:
            self._tell(record, f"charges to {100.0 * step.charge:.0f} %")

    def _order(self, record: TaskRecord, step: Drive) -> None:
        record.ordered_s, record.again_s = self._now_s, None
        x, y = step.places[-1]
        many = f"{len(step.places)} places, the last " if len(step.places) > 1 else ""
        self._tell(record, f"on the way to {many}({x:.1f}, {y:.1f}) m")
        self._orders.append(Order(record.order_id, record.vehicle, step.places, step.yaw_rad))

    def _run(self, record: TaskRecord, report: VehicleReport) -> bool:
        now_s, task = self._now_s, record.task
        if now_s - record.deadline_from_s > task.timeout_s:
            self._cancel(record)
            self._fail(record, f"not done within {task.timeout_s:.0f} s")
            return True
        step, since_s = record.steps[record.step], record.since_s or 0.0
        if isinstance(step, Stay):
            done = now_s - since_s >= step.for_s
        elif isinstance(step, ChargeTo):
            done = report.charge >= step.charge
        else:
            return self._watch(record, step)
        if done:
            self._next_step(record)
        return done

    def _watch(self, record: TaskRecord, step: Drive) -> bool:
        """Send an order when its time has come, or again when nobody speaks of it."""
        if record.ordered_s is None:
            if record.again_s is not None and self._now_s < record.again_s:
                return False
            self._order(record, step)
            return True
        if self._now_s - record.ordered_s <= self.settings.silent_s:
            return False
        if record.resent >= self.settings.resends:
            limit = self.settings.resends
            self._cancel(record)
            self._step_failed(record, f"no answer, though the order was sent again {limit} times")
            return True
        record.resent += 1
        self._tell(record, f"no word of the order for {self.settings.silent_s:.0f} s: sent again",
                   trouble=True)  # fmt: skip
        self._order(record, step)
        return True

    def _next_step(self, record: TaskRecord) -> None:
        record.step += 1
        if record.step < len(record.steps):
            self._enter(record)
        elif record.turned_back:
            self._end(record, TaskState.FAILED, f"{record.turned_back}; the crew is home")
        else:
            notes = f" ({'; '.join(record.notes)})" if record.notes else ""
            self._end(record, TaskState.DONE, f"done{notes}")

    def _step_failed(self, record: TaskRecord, why: str) -> None:
        if record.tries >= record.task.tries:
            self._fail(record, why)
            return
        record.tries += 1
        record.resent, record.ordered_s = 0, None
        record.again_s = self._now_s + record.task.retry_s
        self._tell(record, f"{why}: try {record.tries} of {record.task.tries} in "
                   f"{record.task.retry_s:.0f} s", trouble=True)  # fmt: skip

    def _fail(
        self, record: TaskRecord, why: str, *, home: bool = True, drop_all: bool = False
    ) -> None:
        last = len(record.steps) - 1
        out = record.state is TaskState.RUNNING and record.step < last
        if home and out and isinstance(record.task, SortieAndReturn):
            record.turned_back, record.step = why, last
            record.deadline_from_s = self._now_s
            self._tell(record, f"{why}: the crew is brought home", trouble=True)
            self._enter(record)
            return
        if record.turned_back:
            why = f"{record.turned_back}; on the way home: {why}"
        self._end(record, TaskState.FAILED, why, drop_all=drop_all)

    def _cancel(self, record: TaskRecord) -> None:
        if record.ordered_s is not None:
            self._orders.append(Order(record.order_id, record.vehicle))
            record.ordered_s = None
