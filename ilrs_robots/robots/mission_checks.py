"""Whether a site's vehicles can do what a mission asks for at all, before anybody moves.

Only what is impossible is refused; what is merely unwise is found out on the way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.robots.gazebo.structures import structure_reach_m
from ilrs_robots.robots.mission import (
    Charge,
    HopAndMeasure,
    Mission,
    Place,
    SortieAndReturn,
    Task,
    Wait,
    path_m,
)
from ilrs_robots.robots.mission_file import MissionFile, read_mission
from ilrs_robots.robots.model import HopperModel, RobotModel, RoverModel
from ilrs_robots.robots.site import SiteConfig


def load_mission(name: str, site: SiteConfig, prior: Dem) -> Mission:
    """Read a mission and hold it against the site that it shall run at.

    Args:
        name: a name from ``config/missions`` or the path of a mission file.
        site: with vehicles, base and buildings.
        prior: ground as known from orbit.

    Raises:
        ConfigError: the mission cannot be done; names file, line, key, value, limit and unit.
    """
    file = read_mission(name)
    for vehicle, tasks in file.mission.vehicles.items():
        try:
            placement = site.robot(vehicle)
        except ConfigError as error:
            raise file.source.refuse(f"vehicles.{vehicle}", str(error)) from error
        model = placement.load_model()
        at: Place = (placement.x_m, placement.y_m)
        for task in tasks:
            _check_able(file, site, vehicle, model, task)
            _check_places(file, site, prior, (vehicle, task), model)
            at = _check_time(file, site, (vehicle, task), model, at)
    return file.mission


def charger_place(site: SiteConfig, name: str) -> Place | None:
    """Where a charger stands, or None where the base has none of that name."""
    return next(((c.x_m, c.y_m) for c in site.base.chargers if c.name == name), None)


def _check_able(
    file: MissionFile, site: SiteConfig, vehicle: str, model: RobotModel, task: Task
) -> None:
    if isinstance(task, HopAndMeasure) and not isinstance(model, HopperModel):
        raise file.refuse(vehicle, task, "task", f"{task.kind!r}: {vehicle!r} does not hop")
    if isinstance(task, SortieAndReturn) and (
        not isinstance(model, RoverModel) or model.crew is None
    ):
        raise file.refuse(vehicle, task, "task", f"{task.kind!r}: {vehicle!r} has no seats")
    if not isinstance(task, Charge):
        return
    if charger_place(site, task.charger) is None:
        known = ", ".join(c.name for c in site.base.chargers) or "none"
        raise file.refuse(vehicle, task, "charger", f"{task.charger!r}: site {site.name!r} has no "
                          f"such charger; it has {known}")  # fmt: skip
    if model.power.charger_w <= 0.0:
        raise file.refuse(vehicle, task, "task", f"{task.kind!r}: {vehicle!r} takes 0 W from a "
                          "charger (charger_w of its file)")  # fmt: skip


def _check_places(
    file: MissionFile, site: SiteConfig, prior: Dem, whose: tuple[str, Task], model: RobotModel
) -> None:
    task = whose[1]
    named = {f"to[{n}]" if len(task.places) > 1 else "to": p for n, p in enumerate(task.places)}
    if isinstance(task, SortieAndReturn) and task.home is not None:
        named["home"] = task.home
    for key, (x, y) in named.items():
        if not math.isfinite(float(prior.height(np.array([[x, y]]))[0])):
            x0, y0, x1, y1 = prior.bounds_m
            raise file.refuse(*whose, key, f"[{x:g}, {y:g}] m lies outside the terrain, which "
                              f"spans x {x0:g} to {x1:g} m and y {y0:g} to {y1:g} m")  # fmt: skip
        for building in site.structures:
            away = math.dist((x, y), (building.x_m, building.y_m))
            reach = structure_reach_m(building.kind)
            if away < reach and isinstance(model, RoverModel):
                said = f"[{x:g}, {y:g}] m lies {away:.1f} m from the middle of {building.kind!r}"
                raise file.refuse(*whose, key, f"{said}: the limit is {reach:.1f} m")


def _check_time(
    file: MissionFile, site: SiteConfig, whose: tuple[str, Task], model: RobotModel, at: Place
) -> Place:
    """Whether straight lines at full speed fit the time; where the task ends."""
    vehicle, task = whose
    places = task.places
    if isinstance(task, Charge):
        places = tuple(p for p in (charger_place(site, task.charger),) if p is not None)
    if isinstance(task, SortieAndReturn):
        places = (*places, at if task.home is None else task.home)
    stay: Mapping[type[Task], str] = {
        HopAndMeasure: "measure_s", SortieAndReturn: "stay_s", Wait: "for_s",
    }  # fmt: skip
    least_s = float(getattr(task, stay.get(type(task), ""), 0.0))
    if isinstance(model, RoverModel):
        least_s += path_m(places, at) / model.limits.max_speed_mps
    if least_s > task.timeout_s:
        raise file.refuse(vehicle, task, "timeout_s", f"{task.timeout_s:g} s: the task takes at "
                          f"least {least_s:.0f} s, straight on at full speed")  # fmt: skip
    return places[-1] if places else at
