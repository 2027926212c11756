"""A DDS domain of one's own, so that two runs on one machine do not hear each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

import psutil

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.dead_ports import FIRST_PORT, PORTS_PER_DOMAIN

FIRST: Final = 10
LAST: Final = 99
"""Domains to choose from: below 101 the ports stay out of the range that Linux gives away."""
HIGHEST: Final = 232
"""The highest domain whose ports exist."""
VARIABLE: Final = "ROS_DOMAIN_ID"


@contextmanager
def own_domain(environment: Mapping[str, str]) -> Iterator[int]:
    """Give the domain that the user set, or one that nobody on this machine uses.

    The lock is a file in the temporary folder; it goes with the holder, and the file with it in
    an orderly end.

    Raises:
        IlrsError: the user's domain is no domain or another run's, or every domain is taken.
    """
    folder = Path(tempfile.gettempdir()) / f"ilrs-domains-{os.getuid()}"
    if text := environment.get(VARIABLE):
        domain = _parsed(text)
        with _locked(folder / str(domain)) as held:
            if held is None and not _held_by_family(folder / str(domain)):
                raise IlrsError(
                    f"{VARIABLE}={domain} is in use by another run on this machine: unset it, "
                    "and each run takes a domain of its own"
                )
            yield domain
        return
    for domain in range(FIRST, LAST + 1):
        with _locked(folder / str(domain)) as held:
            if held is not None and not _spoken_in(domain):
                yield domain
                return
    raise IlrsError(f"every DDS domain from {FIRST} to {LAST} is in use on this machine")


def _parsed(text: str) -> int:
    if text.isdecimal() and int(text) <= HIGHEST:
        return int(text)
    raise IlrsError(f"{VARIABLE}={text!r}: a domain is a whole number from 0 to {HIGHEST}")


@contextmanager
def _locked(path: Path) -> Iterator[TextIO | None]:
    """Hold a lock file with our process id in it; None when somebody else holds it."""
    with contextlib.ExitStack() as stack:
        while True:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                file = stack.enter_context(path.open("a+"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                    break
            except BlockingIOError:
                yield None
                return
            except FileNotFoundError:
                continue  # its last holder has just removed it, or the folder
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield file
        finally:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()


def _held_by_family(path: Path) -> bool:
    """Whether the lock is ours: a test or a script that holds it has started this process."""
    try:
        holder = int(path.read_text() or 0)
    except (OSError, ValueError):
        return False
    return holder in {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}


def _spoken_in(domain: int) -> bool:
    """Whether the first participant's port of a domain is taken: ROS runs there without us."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", FIRST_PORT + PORTS_PER_DOMAIN * domain + 10))
        except OSError:
            return True
    return False
