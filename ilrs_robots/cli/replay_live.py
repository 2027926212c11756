"""``ilrs replay --live``: a bag over DDS, for nodes that run or that are started for it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import tempfile
import termios
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, Progress, TextColumn

from ilrs_robots.cli.domain import VARIABLE, own_domain
from ilrs_robots.cli.run import check_bag, check_room, dds_of_run, supervised, variables
from ilrs_robots.cli.shared_memory import ports_of, remove_dead
from ilrs_robots.cli.signals import Stop, stop_on_signals
from ilrs_robots.cli.supervisor import Ended, Supervisor
from ilrs_robots.cli.terminal import console, log_lines
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.assembly import (
    ProcessSpec,
    chosen_robots,
    dds_environment,
    site_processes,
)
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE
from ilrs_robots.robots.site import load_site

if TYPE_CHECKING:
    from ilrs_robots.nodes.bag_player import PlayOptions, PlayState
    from ilrs_robots.replay.playback import Playback
    from ilrs_robots.replay.profile import ReplayProfile

_KEY: Final = " "


@dataclass(frozen=True)
class LiveRequest:
    """What the user asked for.

    Attributes:
        bag: folder or file.
        profile: of the bag.
        rate: seconds of the bag in a second at most; 0 for as fast as the nodes follow.
        start_s: seconds that are left out at the beginning.
        paused: whether it begins paused.
        site: whose nodes are started; empty where they run already.
        record: folder of a bag of what the nodes say, or None.
        record_profile: topics of that bag.
        log: file for the nodes' log lines, or None for the terminal.
    """

    bag: Path
    profile: ReplayProfile
    rate: float = 1.0
    start_s: float = 0.0
    paused: bool = False
    site: str = ""
    record: Path | None = None
    record_profile: str = DEFAULT_PROFILE
    log: Path | None = None


def play_live(request: LiveRequest) -> int:
    """Play the bag; 0 when it was played to its end, 130 when it was ended before.

    Raises:
        BagError: the bag cannot be read, or holds nothing that nodes hear.
        ConfigError: the site does not fit the bag.
        SupervisionError: a process is given up.
        IlrsError: nobody listens.
    """
    from ilrs_robots.nodes.bag_player import PlayOptions
    from ilrs_robots.replay.playback import Playback
    from ilrs_robots.replay.rescue import opened

    if request.record is not None and not request.site:
        raise ConfigError("--record needs --site; beside nodes that run, use `ilrs record`")
    options = PlayOptions(rate=request.rate, paused=request.paused)
    with opened(request.bag) as (bag, damage), stop_on_signals() as stop:
        for sentence in damage:
            console.print(f"[yellow]ilrs replay:[/yellow] {sentence}", soft_wrap=True)
        playback = Playback(bag, request.profile, request.start_s)
        if request.site:
            state = _with_nodes(request, playback, options, stop)
        else:
            # as the nodes that run already, in the domain that the user has set
            with variables(dds_environment(os.environ)):
                state = _play(playback, options, stop)
    word = "ended before the bag did" if stop.is_set() else "played to the end"
    waited = f", {state.waited_s:.1f} s of waiting for the vehicle" if state.waited_s > 1.0 else ""
    console.print(f"{word}: {state.published} messages{waited}", highlight=False)
    return 130 if stop.is_set() else 0


def _processes(request: LiveRequest, robot: str) -> list[ProcessSpec]:
    """The nodes of the bag's robot at the site, and a recorder where one is wanted."""
    site, _terrain = load_site(request.site)
    name = request.site
    if name.endswith((".yaml", ".yml")):
        name = str(Path(name).expanduser().absolute())
    check_room(request.record)
    return site_processes(
        site,
        name,
        site.terrain.seed,
        robots=chosen_robots(site, (robot,)),
        record=None if request.record is None else request.record.absolute(),
        record_profile=request.record_profile,
        embedded=False,
    )


def _with_nodes(
    request: LiveRequest, playback: Playback, options: PlayOptions, stop: Stop
) -> PlayState:
    specs = _processes(request, playback.robot)
    ended: list[Ended] = []
    with contextlib.ExitStack() as stack:
        say = stack.enter_context(log_lines(request.log))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ilrs-")))
        domain = stack.enter_context(own_domain(os.environ))
        stack.callback(lambda: remove_dead(ports_of(domain)))
        stack.enter_context(dds_of_run(domain, len(specs) + 1, folder, network=False))
        with supervised(specs, folder, say, stop, ended) as supervisor:
            supervisor.start(lambda: not stop.is_set())
            if not stop.is_set():
                console.print(f"up: {', '.join(s.name for s in specs)} ({VARIABLE}={domain})")
            state = _play(playback, options, stop, supervisor)
    check_bag(ended, request.record)
    return state


def _play(
    playback: Playback, options: PlayOptions, stop: Stop, supervisor: Supervisor | None = None
) -> PlayState:
    from ilrs_robots.nodes.bag_player import play

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[says]}"))
    with keys() as pressed, Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(playback.robot, total=1.0, says="")

        def on_turn(state: PlayState) -> None:
            if supervisor is not None:
                supervisor.poll(0.0)
            if pressed() == _KEY:
                state.paused = not state.paused
            since_s = (state.time_ns - playback.first_ns) * 1e-9
            says = f"{since_s:6.1f} s" + ("  paused (space goes on)" if state.paused else "")
            progress.update(task, completed=state.share, says=says)

        return play(playback, options, on_turn, stop.is_set)


@contextlib.contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """A function that gives the key that was pressed, or nothing; nothing without a terminal."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield lambda: os.read(number, 1).decode(errors="replace") if _waiting(number) else ""
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _waiting(number: int) -> bool:
    return bool(select.select([number], [], [], 0.0)[0])
