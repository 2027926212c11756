"""What a bag holds of a mission: how its tasks ended, and what happened on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ilrs_robots.replay.bag import Bag

_WARN = 30
"""Level of ``rcl_interfaces/Log`` from which on something is trouble."""


@dataclass(frozen=True)
class TaskLine:
    """One task as it stood at last; times are mission time, NaN where it has none.

    Attributes:
        name: ``vehicle.task``.
        vehicle: whose it is.
        kind: of the task.
        state: in the executive's word.
        began_s: its start.
        ended_s: its end.
        sentence: the last that was said of it.
    """

    name: str
    vehicle: str
    kind: str
    state: str
    began_s: float
    ended_s: float
    sentence: str


@dataclass(frozen=True)
class EventLine:
    """Something that happened.

    Attributes:
        time_s: mission time.
        name: ``vehicle.task``.
        sentence: what.
        trouble: whether it was none of the plan.
    """

    time_s: float
    name: str
    sentence: str
    trouble: bool


def read_tasks(bag: Bag) -> tuple[TaskLine, ...]:
    """Tasks as the last ``mission/status`` tells them, in the order of the mission's file."""
    last = None
    for raw in bag.raw("/mission/status"):
        last = raw
    if last is None:
        return ()
    return tuple(_task(s) for s in bag.decode(last).msg.status if "." in s.name)


def _task(status: Any) -> TaskLine:
    own = {pair.key: pair.value for pair in status.values}

    def time(key: str) -> float:
        return float(own.get(key, math.nan))

    return TaskLine(
        status.name, status.hardware_id, own.get("kind", ""), own.get("state", ""),
        time("began_s"), time("ended_s"), status.message,
    )  # fmt: skip


def read_events(bag: Bag) -> tuple[EventLine, ...]:
    """Everything that ``mission/log`` says, in order."""
    found = []
    for item in bag.messages("/mission/log"):
        msg = item.msg
        level = msg.level[0] if isinstance(msg.level, bytes) else int(msg.level)
        time_s = msg.stamp.sec + msg.stamp.nanosec * 1e-9
        found.append(EventLine(time_s, msg.name, msg.msg, level >= _WARN))
    return tuple(found)
