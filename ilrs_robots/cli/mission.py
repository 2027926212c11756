"""A mission over DDS: the site's processes, the executive, and a table at the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from ilrs_robots.cli.run import SimRequest, check_bag, check_room, running
from ilrs_robots.cli.supervisor import Ended
from ilrs_robots.cli.terminal import console
from ilrs_robots.robots.mission_assembly import mission_robots
from ilrs_robots.robots.mission_checks import load_mission
from ilrs_robots.robots.mission_file import read_mission

if TYPE_CHECKING:
    from ilrs_robots.nodes.mission_client import MissionProgress


def site_of_mission(name: str) -> str:
    """The site that a mission names.

    Raises:
        ConfigError: the mission's file is wrong.
    """
    return read_mission(name).mission.site


def run_mission(
    request: SimRequest,
    log: Path | None = None,
    on_progress: Callable[[MissionProgress], None] = lambda _p: None,
) -> MissionProgress | None:
    """Run a mission until it is over, time is up, or the user ends it.

    Args:
        request: what the user asked for.
        log: file for all that the processes say; None: the terminal.
        on_progress: called whenever the mission tells how it stands.

    Returns:
        How it stands at the end, None where nothing was heard of it.

    Raises:
        ConfigError: the mission cannot be done at this site; names file and line.
        SupervisionError: a process is given up.
    """
    from ilrs_robots.nodes.mission_client import watch_mission

    site, terrain = request.load()
    mission = load_mission(request.mission, site, terrain.prior)
    robots = mission_robots(mission, site, request.robots)
    check_room(request.record)
    ended: list[Ended] = []
    with running(request, site, robots, log, ended) as (supervisor, stop):

        def keep_waiting(progress: MissionProgress | None) -> bool:
            supervisor.poll(0.0)
            time_s = 0.0 if progress is None else progress.time_s
            return not stop.is_set() and time_s < request.duration_s

        progress = None if stop.is_set() else watch_mission(keep_waiting, on_progress)
    check_bag(ended, request.record)
    return progress


def show_mission(progress: MissionProgress) -> None:
    """Every task on the terminal."""
    table = Table(title=f"mission {progress.name}, t = {progress.time_s:.0f} s", box=None)
    for heading in ("task", "", "began", "ended", ""):
        table.add_column(heading)
    for task in progress.tasks:
        times = ("" if math.isnan(t) else f"{t:.0f} s" for t in (task.began_s, task.ended_s))
        table.add_row(task.name, task.state, *times, escape(task.sentence))
    console.print(table)
