"""Starts the processes of an assembly, waits until they are up, streams their logs, ends them.

A process says that it is up by the sd_notify protocol (``READY=1`` to the socket that
NOTIFY_SOCKET names), as under systemd. Each runs in a session of its own, so that Ctrl-C reaches
them in order and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import ProcessSpec

READY_TIMEOUT_S = 90.0
END_STEPS = ((signal.SIGINT, 6.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0))
"""Signals in turn with how long each may take to work."""
LAST_WORDS = 20


class SupervisionError(IlrsError):
    """A process could not be started, or died; the message holds its last words."""


@dataclass
class Child:
    """A running process and what it said last."""

    spec: ProcessSpec
    process: subprocess.Popen[bytes]
    ready: bool = False
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_WORDS))
    rest: bytes = b""


class Supervisor:
    """Runs processes until told to end.

    Args:
        specs: processes in start order; they are ended in reverse order.
        on_line: called with (process name, log line).
        environment: of the processes; the caller has settled transport and domain in it.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        on_line: Callable[[str, str], None],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.children: list[Child] = []
        self._specs = specs
        self._on_line = on_line
        self._env = dict(os.environ if environment is None else environment)
        self._env["ILRS_SUPERVISED"] = "1"
        self._env["PYTHONUNBUFFERED"] = "1"
        self._env["RCUTILS_COLORIZED_OUTPUT"] = "0"
        self._selector = selectors.DefaultSelector()
        self._folder = tempfile.TemporaryDirectory(prefix="ilrs-")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = str(Path(self._folder.name) / "notify")
        self._socket.bind(address)
        self._socket.setblocking(False)
        self._env["NOTIFY_SOCKET"] = address
        self._selector.register(self._socket, selectors.EVENT_READ, None)

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
            self.children.append(self._spawn(spec))
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not all(child.ready for child in self.children):
            self.poll(0.1)
            self.raise_if_dead()
            if not wait_more():
                return
            if time.monotonic() > deadline:
                late = ", ".join(c.spec.name for c in self.children if not c.ready)
                raise SupervisionError(f"not up after {READY_TIMEOUT_S:.0f} s: {late}")

    def poll(self, timeout_s: float) -> None:
        """Pass on log lines and take notifications for at most ``timeout_s``."""
        for key, _events in self._selector.select(timeout_s):
            if key.data is None:
                self._take_notifications()
            else:
                self._take_output(key.data)

    def raise_if_dead(self) -> None:
        """Raise with the name, exit and last words of an essential process that has ended.

        Raises:
            SupervisionError: one has ended.
        """
        for child in self.children:
            code = child.process.poll()
            if code is not None and child.spec.essential:
                self._drain(child)
                how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
                words = "\n  ".join(child.last_words) or "(it said nothing)"
                raise SupervisionError(f"{child.spec.name} ended with {how}:\n  {words}")

    def end(self) -> dict[str, int]:
        """End every process, last started first, and return their exit codes by name."""
        for number, grace_s in END_STEPS:
            running = [c for c in self.children if c.process.poll() is None]
            if not running:
                break
            for child in reversed(running):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.process.pid, number)
            self._wait(running, grace_s)
        codes = {}
        for child in self.children:
            self._drain(child)
            codes[child.spec.name] = child.process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.process.pid, signal.SIGKILL)
        self.children.clear()
        self._selector.close()
        self._socket.close()
        self._folder.cleanup()
        return codes

    # -- internals --------------------------------------------------------------------------
    def _spawn(self, spec: ProcessSpec) -> Child:
        try:
            process = subprocess.Popen(
                [*program(spec.executable), *spec.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=self._env,
                start_new_session=True,
            )
        except OSError as error:
            raise SupervisionError(f"{spec.name} could not be started: {error}") from error
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        child = Child(spec, process)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)
        return child

    def _take_notifications(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(4096).decode(errors="replace").splitlines()
                pids = [line[8:] for line in lines if line.startswith("MAINPID=")]
                if "READY=1" not in lines:
                    continue
                for child in self.children:
                    if pids and str(child.process.pid) == pids[0]:
                        child.ready = True

    def _take_output(self, child: Child) -> None:
        assert child.process.stdout is not None
        data = child.process.stdout.read()
        if data is None:
            return
        if data == b"":
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(child.process.stdout)
        lines = (child.rest + data).split(b"\n")
        child.rest = lines.pop()
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                child.last_words.append(text)
                self._on_line(child.spec.name, text)

    def _drain(self, child: Child) -> None:
        if child.process.stdout is not None and not child.process.stdout.closed:
            self._take_output(child)

    def _wait(self, running: list[Child], grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline and any(c.process.poll() is None for c in running):
            self.poll(0.05)


def program(executable: str) -> list[str]:
    """Command of an installed program: beside this interpreter, or in lib/ilrs_robots.

    Raises:
        SupervisionError: it is not installed.
    """
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    candidates = [Path(p) / "lib" / "ilrs_robots" / executable for p in prefixes]
    candidates.append(Path(sys.executable).parent / executable)
    for candidate in candidates:
        if candidate.is_file():
            return [str(candidate)]
    raise SupervisionError(
        f"program {executable!r} is not installed (looked in "
        f"{', '.join(str(c.parent) for c in candidates)})"
    )
