"""``ilrs`` as a user runs it, in a domain of its own, watched until a condition holds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ilrs_robots.cli.shared_memory import ports_of, used_by
from ilrs_robots.cli.supervisor import program

UP_S = 240.0
"""A busy machine that still has to compile everything takes its time; waiting costs nothing."""


class Run:
    """An ``ilrs`` command under test, its output in a file."""

    def __init__(self, domain: int | None, said: Path, temp: Path, *arguments: str) -> None:
        env = {**os.environ, "COLUMNS": "200"}
        env.pop("ROS_DOMAIN_ID", None)
        if domain is not None:  # who chooses a domain must see the locks of all
            env |= {"ROS_DOMAIN_ID": str(domain), "TMPDIR": str(temp)}
        self._said, self._domain, self._temp = said, domain, temp
        with said.open("wb") as out:
            self.process = subprocess.Popen(
                [*program("ilrs"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=env,
            )
        self.family: set[psutil.Process] = set()

    def said(self) -> str:
        """What it has written so far."""
        return self._said.read_text(errors="replace")

    def until(self, condition: Callable[[], object], what: str, timeout_s: float = UP_S) -> None:
        """Wait for a condition; fail when the run ends or time is up before."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.remember_children()
            if self.process.poll() is not None:
                pytest.fail(f"ilrs ended before {what}:\n{self.said()}")
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout_s:.0f} s in vain for {what}:\n{self.said()}")
            time.sleep(0.02)

    def until_up(self) -> None:
        """Wait until every process says that it is up."""
        self.until(lambda: re.search(r"^up: ", self.said(), re.MULTILINE), "all are up")

    @property
    def domain(self) -> int:
        """The domain that it was given, or that it says it is in."""
        if self._domain is not None:
            return self._domain
        found = re.search(r"ROS_DOMAIN_ID=(\d+)", self.said())
        assert found, self.said()
        return int(found[1])

    def remember_children(self) -> None:
        """Look at who belongs to the run, to ask later whether they are gone."""
        try:
            self.family |= set(psutil.Process(self.process.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return

    def child(self, executable: str) -> psutil.Process | None:
        """The newest living process of a program."""
        found = []
        for process in psutil.Process(self.process.pid).children():
            try:
                if any(Path(part).name == executable for part in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return max(found, key=lambda p: p.create_time(), default=None)

    def orphans(self) -> list[str]:
        """Command lines of what is still there."""
        return [" ".join(p.cmdline()) for p in self.family if p.is_running()]

    def left_behind(self) -> list[str]:
        """Processes, shared memory and temporary folders of the run that are still there."""
        folders = [path.name for path in self._temp.iterdir()]
        # Another test's participant in this very process may still look for its dead peers.
        ports = ports_of(self.domain) - used_by(os.getpid())
        return [*self.orphans(), *ports, *folders]

    def send(self, number: int) -> None:
        """Send a signal to the run itself, as a terminal does."""
        self.process.send_signal(number)

    def hears_a_second_time(self, number: int) -> None:
        """Send a signal until the end, as a user without patience does."""
        deadline = time.monotonic() + UP_S
        while self.process.poll() is None and time.monotonic() < deadline:
            self.send(number)
            time.sleep(0.2)


@pytest.fixture
def start(
    domain_id: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Run]]:
    """Start ``ilrs`` with arguments, in the test's domain unless another is named."""
    runs: list[Run] = []
    temp = tmp_path_factory.mktemp("t")  # short: the path of a socket has 107 characters

    def make(*arguments: str, domain: int | None = domain_id) -> Run:
        said = tmp_path / f"said_{len(runs)}.txt"
        runs.append(Run(domain, said, temp, *arguments))
        return runs[-1]

    yield make
    for run in runs:
        run.remember_children()
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait()
        for child in run.family:
            if child.is_running():
                child.send_signal(signal.SIGKILL)
