"""What the terminal shows while a mission runs: what happens, and a line of how far it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ilrs_robots.cli.terminal import console

if TYPE_CHECKING:
    from ilrs_robots.nodes.mission_client import MissionProgress

_ENDED = ("done", "failed", "dropped")


@contextlib.contextmanager
def mission_screen() -> Iterator[Callable[[MissionProgress], None]]:
    """Yields what is to be called with every word of the mission."""
    columns = (
        TextColumn("{task.description}"), BarColumn(),
        TextColumn("{task.completed}/{task.total} tasks  {task.fields[state]}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    told: dict[str, str] = {}
    first: list[tuple[float, float]] = []
    with Progress(*columns, console=console) as screen:
        bar = screen.add_task("mission", total=None, state="starting")

        def show(progress: MissionProgress) -> None:
            for task in progress.tasks:
                said = f"{task.state}: {task.sentence}" if task.sentence else task.state
                if told.get(task.name) != said and task.state != "waiting":
                    colour = "red" if task.state in ("failed", "dropped") else "cyan"
                    screen.console.print(
                        f"t = {progress.time_s:5.0f} s  [{colour}]{escape(task.name)}[/{colour}] "
                        f"{escape(said)}",
                        soft_wrap=True,
                    )
                told[task.name] = said
            now_s = time.monotonic()
            if not first:
                first.append((now_s, progress.time_s))
            wall_s, sim_s = now_s - first[0][0], progress.time_s - first[0][1]
            factor = f"  {sim_s / wall_s:.2f} x real time" if wall_s > 1.0 else ""
            ended = sum(task.state in _ENDED for task in progress.tasks)
            screen.update(
                bar, total=len(progress.tasks), completed=ended,
                state=f"t = {progress.time_s:.0f} s{factor}",
            )  # fmt: skip

        yield show
