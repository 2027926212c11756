"""``ilrs sim``: a site in the embedded simulator, over DDS or in lock-step."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.supervisor import Supervisor
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.assembly import dds_environment, site_processes
from ilrs_robots.robots.site import SiteConfig, SiteTerrain, load_site

if TYPE_CHECKING:
    from ilrs_robots.nodes.goal_client import GoalOutcome, GoalProgress
    from ilrs_robots.sim.lockstep import LockstepProgress, LockstepResult

console = Console(highlight=False)


@dataclass(frozen=True)
class SimRequest:
    """What the user asked for."""

    site: str
    robot: str
    seed: int | None
    goal_xy_m: tuple[float, float] | None
    duration_s: float
    rtf: float
    record: Path | None
    network: bool = False

    def load(self) -> tuple[SiteConfig, SiteTerrain]:
        """Site and terrain."""
        return load_site(self.site, seed=self.seed)

    def goal(self, site: SiteConfig) -> tuple[float, float] | None:
        """The goal asked for, or the site's own."""
        return self.goal_xy_m or site.goal_m


def parse_goal(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """``x,y`` in metres."""
    if value is None:
        return None
    try:
        x, y = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not x,y in metres, such as 40,-12.5") from error
    return x, y


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every command about a simulated site shares."""
    for option in (
        click.option("--site", default="demo", show_default=True, help="Site name or site file."),
        click.option("--robot", default="long_range", show_default=True, help="Robot to drive."),
        click.option("--seed", type=click.IntRange(0), default=None, help="Terrain and noise."),
        click.option("--goal", callback=parse_goal, metavar="X,Y", help="Goal in map, metres."),
        click.option("--duration", default=900.0, show_default=True, help="Simulated seconds."),
        click.option("--rtf", default=0.0, help="Upper bound of the real-time factor; 0: none."),
    ):
        command = option(command)
    return command


@click.command()
@site_options
@click.option("--record", type=click.Path(path_type=Path), help="Folder for a rosbag2 bag.")
@click.option("--network", is_flag=True, help="Let DDS leave this machine (default: loopback).")
@click.option("--headless/--no-headless", default=True, help="No window is ever opened yet.")
@click.option("--lockstep", is_flag=True, help="One process, no DDS, deterministic.")
def sim(
    site: str,
    robot: str,
    seed: int | None,
    goal: tuple[float, float] | None,
    duration: float,
    rtf: float,
    record: Path | None,
    network: bool,
    headless: bool,
    lockstep: bool,
) -> int:
    """Run a site's robot in the embedded simulator, with a goal or waiting for one."""
    del headless
    request = SimRequest(site, robot, seed, goal, duration, rtf, record, network)
    if lockstep:
        if record is not None:
            raise ConfigError("--record needs DDS: leave out --lockstep")
        result = run_lockstep(request)
        console.print(
            f"{result.outcome} after {result.time_s:.1f} s, {result.driven_m:.1f} m driven, "
            f"{result.goal_error_m:.2f} m from the goal {result.reason}\ndigest {result.digest}"
        )
        return 0 if result.outcome == "reached" else 1
    outcome = run_over_dds(request)
    if outcome is None:
        return 0
    console.print(f"goal {outcome.status} {outcome.message}".rstrip())
    return 0 if outcome.succeeded else 1


def run_lockstep(request: SimRequest) -> LockstepResult:
    """Drive to the goal in one process.

    Raises:
        ConfigError: neither the request nor the site names a goal.
    """
    from ilrs_robots.core import warm
    from ilrs_robots.sim.lockstep import Lockstep

    site, terrain = request.load()
    goal = request.goal(site)
    if goal is None:
        raise ConfigError(f"site {site.name!r} has no goal of its own: give one with --goal x,y")
    warm.mapping()
    warm.navigation()
    run = Lockstep(site, terrain, request.robot, site.terrain.seed)
    with goal_progress() as show:

        def on_progress(progress: LockstepProgress) -> None:
            output = progress.state.navigation
            if output is not None and round(progress.time_s * 50) % 25 == 0:
                speed = float(progress.truth.linear_mps[0])
                show(output.distance_remaining_m, speed, None, progress.time_s)

        return run.drive(goal, request.duration_s, on_progress)


def run_over_dds(request: SimRequest, log: Path | None = None) -> GoalOutcome | None:
    """Start simulator and nodes as processes, send the goal if there is one, end them all.

    Returns:
        The goal's outcome, or None when no goal was given.

    Raises:
        SupervisionError: a process died; the message holds its last words.
    """
    site, _terrain = request.load()
    specs = site_processes(
        site,
        request.site,
        site.terrain.seed,
        robots=(request.robot,),
        rtf=request.rtf,
        record=request.record,
    )
    goal = request.goal(site)
    stop = Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_signals_set(stop))
        domain = stack.enter_context(own_domain(os.environ))
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        os.environ.update(dds_environment(os.environ, localhost_only=not request.network))
        say = stack.enter_context(_log_lines(log))
        supervisor = stack.enter_context(Supervisor(specs, say))
        supervisor.start(lambda: not stop.is_set())
        if not stop.is_set():
            console.print(f"up: {', '.join(s.name for s in specs)} (ROS_DOMAIN_ID={domain})")
        if goal is None:
            return _wait(supervisor, stop, request.duration_s)
        return _drive(supervisor, stop, request, goal)


def _wait(supervisor: Supervisor, stop: Event, duration_s: float) -> None:
    end = time.monotonic() + duration_s
    while not stop.is_set() and time.monotonic() < end:
        supervisor.poll(0.1)
        supervisor.raise_if_dead()


def _drive(
    supervisor: Supervisor, stop: Event, request: SimRequest, goal: tuple[float, float]
) -> GoalOutcome:
    from ilrs_robots.nodes.goal_client import send_goal

    latest = 0.0

    def keep_waiting() -> bool:
        supervisor.poll(0.0)
        supervisor.raise_if_dead()
        return not stop.is_set() and latest < request.duration_s

    with goal_progress() as show:

        def on_progress(progress: GoalProgress) -> None:
            nonlocal latest
            latest = progress.elapsed_s
            show(
                progress.distance_remaining_m,
                progress.speed_mps,
                progress.slope_deg,
                progress.elapsed_s,
            )

        return send_goal(request.robot, goal, on_progress=on_progress, keep_waiting=keep_waiting)


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
def _signals_set(stop: Event) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP ask for an orderly end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old = {n: signal.signal(n, lambda *_: stop.set()) for n in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _log_lines(log: Path | None) -> Iterator[Callable[[str, str], None]]:
    """Log lines to the terminal, or to a file when one is given."""
    if log is None:
        yield lambda name, line: console.print(f"[dim]\\[{name}][/dim] ", line, markup=True)
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        yield lambda name, line: print(f"[{name}] {line}", file=file, flush=True)
