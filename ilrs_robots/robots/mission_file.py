"""Mission files: read safely, refused with file and line where something cannot be done."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ilrs_robots.core import config
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import config_file, shown
from ilrs_robots.core.yaml_source import Source, source_of
from ilrs_robots.robots.mission import KINDS, Mission, Task, full_name

TOP: Final = ("name", "site", "description", "vehicles")
MOST_TASKS: Final = 1000


@dataclass(frozen=True)
class MissionFile:
    """A mission and where in its file each task stands.

    Attributes:
        mission: what the file says.
        source: of the file.
        keys: key of each task in the file by its full name, ``vehicle.task``.
    """

    mission: Mission
    source: Source
    keys: Mapping[str, str]

    def refuse(self, vehicle: str, task: Task, key: str, sentence: str) -> ConfigError:
        """An error at a key of a task."""
        return self.source.refuse(f"{self.keys[full_name(vehicle, task.name)]}.{key}", sentence)


def read_mission(name: str) -> MissionFile:
    """Read a mission without a look at its site.

    Args:
        name: a name from ``config/missions`` or the path of a mission file.

    Raises:
        ConfigError: the file is wrong in itself; names file, line, key, value, limit and unit.
    """
    path = config_file("missions", name)
    source = source_of(path, shown(path))
    raw = config.load_yaml(path)
    for key in raw:
        if key not in TOP:
            raise ConfigError(f"{source.place(str(key))}: unknown key {key!r}; known keys are "
                              f"{', '.join(TOP)}")  # fmt: skip
    texts = {key: raw.get(key, "") for key in ("name", "site", "description")}
    for key, text in texts.items():
        if not isinstance(text, str) or (not text and key != "description"):
            raise source.refuse(key, f"{text!r}: a text is needed")
    listed = raw.get("vehicles")
    if not isinstance(listed, Mapping) or not listed:
        raise source.refuse("vehicles", f"{listed!r}: tasks of at least 1 vehicle are needed")
    keys: dict[str, str] = {}
    vehicles = {str(v): _tasks(source, str(v), tasks, keys) for v, tasks in listed.items()}
    if len(keys) > MOST_TASKS:
        raise source.refuse("vehicles", f"{len(keys)} tasks: the limit is {MOST_TASKS}")
    file = MissionFile(Mission(vehicles=vehicles, **texts), source, keys)
    _check_names(file)
    _check_cycles(file)
    return file


def _tasks(source: Source, vehicle: str, raw: Any, keys: dict[str, str]) -> tuple[Task, ...]:
    top = f"vehicles.{vehicle}"
    if not isinstance(raw, list) or not raw:
        raise source.refuse(top, f"{raw!r}: a list of at least 1 task is needed")
    tasks: list[Task] = []
    for n, entry in enumerate(raw):
        key = f"{top}[{n}]"
        task = _task(source.below(key), entry)
        task = task if task.name else replace(task, name=f"{task.kind}_{n + 1}")
        full = full_name(vehicle, task.name)
        if full in keys:
            raise source.refuse(f"{key}.name", f"{task.name!r}: a task of {vehicle!r} in line "
                                f"{source.lines[keys[full]]} has this name")  # fmt: skip
        keys[full] = key
        tasks.append(task)
    return tuple(tasks)


def _task(source: Source, raw: Any) -> Task:
    if not isinstance(raw, Mapping):
        raise source.refuse("", f"{raw!r}: keys and values are needed, `task` among them")
    kind = raw.get("task")
    if not isinstance(kind, str) or kind not in KINDS:
        raise source.refuse("task", f"{kind!r}: must be one of {', '.join(KINDS)}")
    return config.from_mapping(KINDS[kind], {k: v for k, v in raw.items() if k != "task"}, source)


def _check_names(file: MissionFile) -> None:
    for vehicle, task in file.mission:
        for n, name in enumerate(task.start.after):
            full = full_name(vehicle, name)
            if full not in file.keys:
                raise file.refuse(vehicle, task, f"start.after[{n}]", f"{name!r}: there is no "
                                  f"such task; there are {', '.join(file.keys)}")  # fmt: skip


def _check_cycles(file: MissionFile) -> None:
    """Refuse tasks that wait for one another, the order of the lists counted.

    Raises:
        ConfigError: names the tasks in the order in which they wait.
    """
    tasks = {full_name(vehicle, task.name): (vehicle, task) for vehicle, task in file.mission}
    waits = {name: file.mission.waits_for(*pair) for name, pair in tasks.items()}
    free: set[str] = set()
    while ready := [n for n in waits if n not in free and all(w in free for w in waits[n])]:
        free.update(ready)
    stuck = [name for name in waits if name not in free]
    if not stuck:
        return
    chain = [stuck[0]]
    while chain[-1] not in chain[:-1]:
        chain.append(next(name for name in waits[chain[-1]] if name not in free))
    circle = chain[chain.index(chain[-1]) :]
    named = next((a, b) for a, b in itertools.pairwise(circle)
                 if b in (full_name(tasks[a][0], n) for n in tasks[a][1].start.after))  # fmt: skip
    raise file.refuse(*tasks[named[0]], "start.after", "these tasks wait for one another and "
                      f"none can start: {' waits for '.join(circle)}")  # fmt: skip
