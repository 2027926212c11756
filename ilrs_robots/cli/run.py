"""A site over DDS, from the check of the machine to the last process gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.markup import escape

from ilrs_robots.cli.domain import VARIABLE, own_domain
from ilrs_robots.cli.kernels import compile_kernels, compiled
from ilrs_robots.cli.shared_memory import choose_transport, ports_of, remove_dead
from ilrs_robots.cli.signals import Stop, stop_on_signals
from ilrs_robots.cli.supervisor import Ended, SupervisionError, Supervisor
from ilrs_robots.cli.terminal import console, goal_progress, log_lines
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import (
    ParameterValue,
    ProcessSpec,
    dds_environment,
    mover_of,
    site_processes,
)
from ilrs_robots.robots.mission_assembly import base_processes, mission_process, view_process
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE
from ilrs_robots.robots.site import SiteConfig, SiteTerrain, load_site

if TYPE_CHECKING:
    from ilrs_robots.nodes.goal_client import GoalOutcome, GoalProgress

BAG_ROOM_BYTES: Final = 200 * 2**20
"""Free space without which no recording is begun: some minutes of a drive."""


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
    record_profile: str = DEFAULT_PROFILE
    robots: tuple[str, ...] = ()
    mission: str = ""
    view: bool = False
    vehicle_parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    """ROS parameters of every vehicle's nodes, besides those of the assembly."""

    def load(self) -> tuple[SiteConfig, SiteTerrain]:
        """Site and terrain."""
        return load_site(self.site, seed=self.seed)

    def goal(self, site: SiteConfig) -> tuple[float, float] | None:
        """The goal asked for, or the site's own."""
        return self.goal_xy_m or site.goal_m


def run_over_dds(request: SimRequest, log: Path | None = None) -> GoalOutcome | None:
    """Start simulator and nodes as processes, send the goal if there is one, end them all.

    Returns:
        The goal's outcome, or None when no goal was given.

    Raises:
        SupervisionError: a process is given up; the message holds its last words.
        IlrsError: the machine has no room for the run.
    """
    site, _terrain = request.load()
    goal = request.goal(site)
    check_room(request.record)
    ended: list[Ended] = []
    with running(request, site, (request.robot,), log, ended) as (supervisor, stop):
        if goal is None:
            outcome = _wait(supervisor, stop, request.duration_s)
        else:
            outcome = _drive(supervisor, stop, request, goal)
    check_bag(ended, request.record)
    return outcome


@contextlib.contextmanager
def running(
    request: SimRequest,
    site: SiteConfig,
    robots: tuple[str, ...],
    log: Path | None,
    ended: list[Ended],
) -> Iterator[tuple[Supervisor, Stop]]:
    """The processes of a run in a domain of its own, up, until the end of the context.

    Args:
        request: what the user asked for.
        site: its site.
        robots: vehicles that run.
        log: file for all that the processes say; None: the terminal.
        ended: gets how each process ended.
    """
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        say = stack.enter_context(log_lines(log))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ilrs-")))
        domain = stack.enter_context(own_domain(os.environ))
        stack.callback(lambda: remove_dead(ports_of(domain)))
        specs = _processes(request, site, robots, folder)
        stack.enter_context(dds_of_run(domain, len(specs) + 1, folder, request.network))
        with supervised(specs, folder, say, stop, ended) as supervisor:
            supervisor.start(lambda: not stop.is_set())
            if not stop.is_set():
                console.print(f"up: {', '.join(s.name for s in specs)} ({VARIABLE}={domain})")
            yield supervisor, stop


def check_room(record: Path | None) -> None:
    """Refuse a recording for which there is no room.

    Raises:
        IlrsError: the folder exists already, or its disk is nearly full.
    """
    if record is None:
        return
    if record.exists():
        raise IlrsError(f"{record} exists already: choose another folder for the bag")
    there = next(parent for parent in record.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if free < BAG_ROOM_BYTES:
        raise IlrsError(
            f"{there} has {free / 2**20:.0f} MiB free, a recording needs at least "
            f"{BAG_ROOM_BYTES / 2**20:.0f} MiB: make room or record elsewhere"
        )


def check_bag(ended: list[Ended], record: Path | None) -> None:
    """Say when the bag is not whole; the reason stands in the recorder's last words.

    Raises:
        SupervisionError: the recorder could not write everything.
    """
    for process in ended:
        if process.name == "recorder" and process.code > 0:
            why = [line for line in process.last_words if "stopped" in line or "missing" in line]
            raise SupervisionError(f"the bag {record} is not whole: {'; '.join(why[:1])}")


def bag_parts(record: Path) -> list[Path]:
    """The bag, and those that a restarted recorder has begun, in their order."""
    parts = [record, *record.parent.glob(f"{record.name}_*")]
    return sorted(
        (part for part in parts if part.is_dir()),
        key=lambda part: int(part.name.removeprefix(record.name).lstrip("_") or 1),
    )


def _processes(
    request: SimRequest, site: SiteConfig, robots: tuple[str, ...], folder: Path
) -> list[ProcessSpec]:
    state = folder / "state"
    state.mkdir()
    specs = site_processes(
        site,
        request.site,
        site.terrain.seed,
        robots=robots,
        rtf=request.rtf,
        record=request.record,
        record_profile=request.record_profile,
        state_dir=state,
    )
    if request.vehicle_parameters:
        more = dict(request.vehicle_parameters)
        specs = [
            replace(spec, parameters={**spec.parameters, **more}) if spec.namespace else spec
            for spec in specs
        ]
    if request.mission:
        told = (request.mission, request.site, site.terrain.seed, robots)
        specs += base_processes(site, *told[1:], use_sim_time=True, state_dir=state)
        specs.append(mission_process(*told, use_sim_time=True, state_dir=state))
    if request.view:
        specs.append(view_process(request.site, site.terrain.seed, robots, simulated=True))
    return specs


@contextlib.contextmanager
def dds_of_run(domain: int, participants: int, folder: Path, network: bool) -> Iterator[None]:
    """Domain and transport for this process and all that it starts."""
    transport = choose_transport(participants, folder)
    if transport.remark:
        console.print(f"[yellow]ilrs:[/yellow] {transport.remark}", soft_wrap=True)
    dds = dds_environment(os.environ, localhost_only=not network, profile=transport.profile)
    with variables({VARIABLE: str(domain), **dds}):
        yield


@contextlib.contextmanager
def variables(mine: Mapping[str, str]) -> Iterator[None]:
    """Environment variables of this process and of all that it starts, until the end."""
    old = {key: os.environ.get(key) for key in mine}
    os.environ.update(mine)
    try:
        yield
    finally:
        for key, value in old.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def supervised(
    specs: list[ProcessSpec],
    folder: Path,
    say: Callable[[str, str], None],
    stop: Stop,
    ended: list[Ended],
) -> Iterator[Supervisor]:
    """Processes that are ended at the end; how they did stands in ``ended`` then."""

    def line(name: str, text: str) -> None:
        try:
            say(name, text)
        except OSError:  # whoever read our output is gone
            stop.lose_terminal()

    def event(sentence: str) -> None:
        line("supervisor", sentence)
        if not stop.is_set():
            console.print(f"[yellow]ilrs:[/yellow] {escape(sentence)}", soft_wrap=True)

    if not compiled():
        console.print("compiling kernels, once: about a minute", soft_wrap=True)
        compile_kernels()
    supervisor = Supervisor(specs, folder, on_line=line, on_event=event, hurry=lambda: stop.hurry)
    try:
        yield supervisor
    finally:
        ended.extend(supervisor.end())


def _wait(supervisor: Supervisor, stop: Stop, duration_s: float) -> None:
    end = time.monotonic() + duration_s
    while not stop.is_set() and time.monotonic() < end:
        supervisor.poll(0.1)


def _drive(
    supervisor: Supervisor, stop: Stop, request: SimRequest, goal: tuple[float, float]
) -> GoalOutcome:
    from ilrs_robots.nodes.goal_client import send_goal

    latest = 0.0
    model = request.load()[0].robot(request.robot).load_model()
    mover = mover_of(drives=isinstance(model, RoverModel))

    def keep_waiting() -> bool:
        supervisor.poll(0.0)
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

        return send_goal(
            request.robot,
            goal,
            on_progress=on_progress,
            keep_waiting=keep_waiting,
            life=lambda: supervisor.life_of(request.robot, mover),
        )
