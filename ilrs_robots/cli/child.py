"""One supervised process: its output, its signs of life, its share of /dev/shm."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from ilrs_robots.cli import shared_memory
from ilrs_robots.cli.own_packages import program_places
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import ProcessSpec

LAST_WORDS: Final = 20


class SupervisionError(IlrsError):
    """A process could not be started, or is given up; the message holds its last words."""


class Child:
    """A running process, in a session of its own so that Ctrl-C does not reach it by itself.

    Attributes:
        ready: whether it has said that it is up.
        heard_s: monotonic time of its last sign of life.
        last_words: the newest lines that it wrote.

    Raises:
        SupervisionError: it could not be started.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.ready = False
        self.heard_s = time.monotonic()
        self.last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._rest = b""
        self._segments: set[str] = set()
        try:
            self.process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )
        except OSError as error:
            raise SupervisionError(f"{name} could not be started: {error}") from error
        assert self.process.stdout is not None
        self.stdout = self.process.stdout
        os.set_blocking(self.stdout.fileno(), False)

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.process.poll() is None

    def how_it_ended(self) -> str:
        """``exit code 3`` or ``signal SIGKILL``; waits for the end."""
        code = self.process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def said(self) -> str:
        """The last words, indented, one a line."""
        return "\n  ".join(self.last_words) or "(it said nothing)"

    def read(self) -> tuple[list[str], bool]:
        """New lines of output, and whether the pipe is still open."""
        if self.stdout.closed:
            return [], False
        data = self.stdout.read()
        if data is None:
            return [], True
        *whole, self._rest = (self._rest + data).split(b"\n")
        if data == b"" and self._rest:
            whole, self._rest = [*whole, self._rest], b""
        texts = [text for line in whole if (text := line.decode(errors="replace").rstrip())]
        self.last_words.extend(texts)
        return texts, data != b""

    def signal(self, number: int) -> None:
        """Send a signal to the process and whatever it has started."""
        if number == signal.SIGKILL:
            self.look_at_segments()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def look_at_segments(self) -> None:
        """Remember what the process uses in /dev/shm: after a kill nobody else can tell."""
        self._segments |= shared_memory.used_by(self.process.pid)

    def bury(self) -> None:
        """Close its pipe and remove its own segment; a port may be another's by now."""
        self.stdout.close()
        shared_memory.remove_dead(name for name in self._segments if "port" not in name)

    def clean(self) -> None:
        """Remove everything it has used in /dev/shm whose owner is dead."""
        shared_memory.remove_dead(self._segments)


def command_line(spec: ProcessSpec) -> list[str]:
    """Program and arguments of a process.

    Raises:
        SupervisionError: the program is not installed.
    """
    return [*program(spec.executable), *spec.arguments()]


def program(executable: str) -> list[str]:
    """Command of an installed program: beside this interpreter, or in lib/ilrs_robots.

    Raises:
        SupervisionError: it is not installed.
    """
    candidates = program_places(executable)
    for candidate in candidates:
        if candidate.is_file():
            return [str(candidate)]
    raise SupervisionError(
        f"program {executable!r} is not installed (looked in "
        f"{', '.join(str(c.parent) for c in candidates)})"
    )
