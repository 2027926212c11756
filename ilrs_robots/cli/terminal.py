"""What the commands show on the terminal while something runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

console = Console(highlight=False)


@contextlib.contextmanager
def goal_progress() -> Iterator[Callable[[float, float, float | None, float], None]]:
    """A progress bar: distance left, speed, slope, simulated time."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[left]} left  {task.fields[state]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=False) as progress:
        task = progress.add_task("driving", total=None, left="", state="")
        total = 0.0

        def show(left_m: float, speed_mps: float, slope_deg: float | None, time_s: float) -> None:
            nonlocal total
            total = max(total, left_m)
            slope = "" if slope_deg is None else f"{slope_deg:4.1f} deg  "
            progress.update(
                task,
                total=total,
                completed=total - left_m,
                left=f"{left_m:5.1f} m",
                state=f"{speed_mps:4.2f} m/s  {slope}t = {time_s:.0f} s",
            )

        yield show


@contextlib.contextmanager
def log_lines(log: Path | None) -> Iterator[Callable[[str, str], None]]:
    """Log lines to the terminal, or to a file when one is given."""
    if log is None:
        yield lambda name, line: console.print(f"[dim]\\[{name}][/dim] ", escape(line))
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        yield lambda name, line: print(f"[{name}] {line}", file=file, flush=True)
