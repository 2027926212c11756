"""Starts the processes of an assembly, keeps them alive, ends them.

A process says that it is up (``READY=1``) and that its executor turns (``WATCHDOG=1``) to the
socket that NOTIFY_SOCKET names, as under systemd. One that dies or falls silent is started again
after a growing delay; one that keeps dying is given up.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ilrs_robots.cli.child import Child, SupervisionError, command_line, program
from ilrs_robots.robots.assembly import ProcessSpec

__all__ = ["Ended", "Policy", "SupervisionError", "Supervisor", "program"]

END_STEPS = ((signal.SIGINT, 6.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0))
"""Signals in turn with how long each may take to work."""
LOOK_S = 0.5
"""How often the processes' shared memory is looked at."""
PAUSE_S = 2.0
"""A longer pause between two looks was the supervisor's own: nobody else is silent for it."""


@dataclass(frozen=True)
class Policy:
    """When a process counts as lost, and how often it gets another chance.

    Attributes:
        ready_s: a process must be up within this time of its start.
        silent_s: a process that is up must be heard within this time.
        max_deaths: so many deaths within ``window_s`` and the process is given up.
        window_s: see ``max_deaths``.
        first_delay_s: pause before the first restart; each further one within the window doubles.
    """

    ready_s: float = 90.0
    silent_s: float = 6.0
    max_deaths: int = 4
    window_s: float = 120.0
    first_delay_s: float = 0.5


@dataclass(frozen=True)
class Ended:
    """How a process ended that was told to, and what it said last."""

    name: str
    code: int
    last_words: tuple[str, ...]


@dataclass
class _Post:
    """A process of the assembly through all its lives."""

    spec: ProcessSpec
    child: Child
    starts: int = 1
    deaths: deque[float] = field(default_factory=deque)
    restart_s: float | None = None
    silent: bool = False
    gone: bool = False

    @property
    def settled(self) -> bool:
        """Whether nobody need wait for it: it is up, or it was given up."""
        return self.child.ready or self.gone


class Supervisor:
    """Runs processes until told to end; ``poll`` does all the work and never blocks for long.

    Args:
        specs: processes in start order; they are ended in reverse order.
        folder: an empty folder of the run's own, for the notification socket.
        on_line: called with (process name, log line).
        on_event: called with a sentence when a process is lost or is up again.
        environment: environment of the processes.
        policy: see Policy.
        command: command line of a process.
        hurry: whether the end must come at once.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        folder: Path,
        *,
        on_line: Callable[[str, str], None] = lambda _name, _line: None,
        on_event: Callable[[str], None] = lambda _sentence: None,
        environment: Mapping[str, str] | None = None,
        policy: Policy | None = None,
        command: Callable[[ProcessSpec], list[str]] | None = None,
        hurry: Callable[[], bool] = lambda: False,
    ) -> None:
        self._specs = specs
        self._on_line, self._on_event, self._hurry = on_line, on_event, hurry
        self._policy = policy or Policy()
        self._command = command or command_line
        self._posts: list[_Post] = []
        self._buried: list[Child] = []
        self._looked_s = self._segments_s = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = str(folder / "notify")
        self._socket.bind(address)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ, None)
        self._env = {
            **(os.environ if environment is None else environment),
            "ILRS_SUPERVISED": str(os.getpid()),
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(self._policy.silent_s * 1e6)),
            "PYTHONUNBUFFERED": "1",
            "RCUTILS_COLORIZED_OUTPUT": "0",
        }

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.end()

    def start(self, wait_more: Callable[[], bool] = lambda: True) -> None:
        """Start all and wait until each says that it is up.

        Raises:
            SupervisionError: one died or was not up in time.
        """
        for spec in self._specs:
            self._posts.append(_Post(spec, self._spawn(spec)))
        while wait_more() and not all(post.settled for post in self._posts):
            self.poll(0.1)

    def poll(self, timeout_s: float) -> None:
        """Pass on log lines, take signs of life, restart who is lost; takes ``timeout_s`` at most.

        Raises:
            SupervisionError: a process is given up.
        """
        self._listen(timeout_s)
        now_s = time.monotonic()
        pause_s, self._looked_s = now_s - self._looked_s, now_s
        if pause_s > PAUSE_S:
            self._listen(0.0)
            for post in self._posts:
                post.child.heard_s += pause_s
        for post in self._posts:
            self._look_after(post, now_s)
        if now_s - self._segments_s > LOOK_S:
            self._segments_s = now_s
            for post in self._posts:
                post.child.look_at_segments()

    def life_of(self, namespace: str, node: str) -> int | None:
        """Which life the process of a node is in, from 1; None while it is not up."""
        for post in self._posts:
            if post.spec.namespace == namespace and node in post.spec.nodes:
                return post.starts if post.child.ready else None
        return None

    def end(self) -> list[Ended]:
        """End every process, last started first, and leave nothing of them behind."""
        children = [post.child for post in self._posts]
        for number, grace_s in END_STEPS:
            running = [child for child in children if child.running]
            if not running:
                break
            if self._hurry() and number != signal.SIGKILL:
                continue
            for child in reversed(running):
                child.look_at_segments()
                child.signal(number)
            self._wait(running, grace_s, patient=number != signal.SIGKILL)
        for child in children:
            self._bury(child)
        for child in self._buried:
            child.clean()
        self._buried.clear()
        self._posts.clear()
        self._selector.close()
        self._socket.close()
        return [
            Ended(child.name, child.process.returncode, tuple(child.last_words))
            for child in children
        ]

    # -- internals --------------------------------------------------------------------------
    def _spawn(self, spec: ProcessSpec) -> Child:
        child = Child(spec.name, self._command(spec), self._env)
        self._selector.register(child.stdout, selectors.EVENT_READ, child)
        return child

    def _look_after(self, post: _Post, now_s: float) -> None:
        child, policy = post.child, self._policy
        if post.gone:
            return
        if post.restart_s is not None:
            if now_s >= post.restart_s:
                post.restart_s, post.silent = None, False
                post.starts += 1
                post.child = self._spawn(post.spec.again(post.starts))
        elif not child.running:
            self._lost(post, now_s)
        elif now_s - child.heard_s > (policy.silent_s if child.ready else policy.ready_s):
            post.silent = True
            child.signal(signal.SIGKILL)
            child.process.wait()

    def _lost(self, post: _Post, now_s: float) -> None:
        """Bury a dead process; let it be started again, or give it up."""
        child, policy = post.child, self._policy
        self._take_notifications()
        self._bury(child)
        how = f"ended with {child.how_it_ended()}"
        if post.silent:
            limit_s = policy.silent_s if child.ready else policy.ready_s
            how = f"{'fell silent' if child.ready else 'was not up'} for {limit_s:.0f} s"
        post.deaths.append(now_s)
        while now_s - post.deaths[0] > policy.window_s:
            post.deaths.popleft()
        deaths = len(post.deaths)
        if post.starts == 1 and not child.ready:
            return self._give_up(post, f"{child.name} {how}:\n  {child.said()}")
        if deaths >= policy.max_deaths:
            text = f"{child.name} {how}, {deaths} deaths within {policy.window_s:.0f} s: given up."
            return self._give_up(post, f"{text} Its last words:\n  {child.said()}")
        delay_s = policy.first_delay_s * 2 ** (deaths - 1)
        post.restart_s = now_s + delay_s
        self._on_event(f"{child.name} {how}: started again in {delay_s:.1f} s")

    def _give_up(self, post: _Post, sentence: str) -> None:
        """End the run, or go on without a process that nobody needs."""
        if not post.spec.spare:
            raise SupervisionError(sentence)
        post.gone = True
        self._on_event(f"{sentence}\nthe others go on without it")

    def _bury(self, child: Child) -> None:
        child.signal(signal.SIGKILL)
        child.process.wait()
        self._take_output(child)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child.stdout)
        child.bury()
        self._buried.append(child)

    def _listen(self, timeout_s: float) -> None:
        for key, _events in self._selector.select(timeout_s):
            if key.data is None:
                self._take_notifications()
            else:
                self._take_output(key.data)

    def _take_notifications(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take_notification(self._socket.recv(4096).decode(errors="replace"))

    def _take_notification(self, text: str) -> None:
        lines = text.splitlines()
        for post in self._posts:
            child = post.child
            if f"MAINPID={child.process.pid}" not in lines:
                continue
            child.heard_s = time.monotonic()
            if "READY=1" in lines and not child.ready:
                child.ready = True
                child.look_at_segments()
                if post.starts > 1:
                    self._on_event(f"{child.name} is up again")

    def _take_output(self, child: Child) -> None:
        lines, is_open = child.read()
        for line in lines:
            self._on_line(child.name, line)
        if not is_open:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.stdout)

    def _wait(self, running: list[Child], grace_s: float, *, patient: bool) -> None:
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(child.running for child in running):
            if patient and self._hurry():
                return
            for child in running:
                child.look_at_segments()
            self._listen(0.1)
