"""Shared-memory ports that a killed process has left: no new participant may read from one.

Fast DDS lets a new participant take over the port of a dead one: it finds that nobody holds the
port's lock, or that a writer has removed it, removes the file and makes a new one. Who wrote to
the old file goes on writing to it and may never notice; the new participant is deaf to that
process for as long as both live (Fast DDS pull request 4728; versions before it are in use). A
restarted robot then sits still: seen in three of some twenty-five restarts.

So a process takes the locks of the dead ports of its domain before its participant is made, and
keeps them for as long as it lives. Fast DDS then believes that somebody reads there and goes on
to the next port.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SHARED_MEMORY: Final = Path("/dev/shm")
FIRST_PORT: Final = 7400
PORTS_PER_DOMAIN: Final = 250
"""Ports of RTPS, section 9.6.1.1 of its specification: 7400 + 250 x domain and upwards."""
MAKING_S: Final = 0.5
"""A file younger than this may belong to a participant that is about to lock it."""


@contextlib.contextmanager
def dead_ports_held(domain: int | None = None, shm: Path = SHARED_MEMORY) -> Iterator[list[int]]:
    """Hold the locks of the ports whose reader is dead; let them go at the end.

    Args:
        domain: DDS domain; None for the one that ROS_DOMAIN_ID names.
        shm: where shared memory lives.

    Yields:
        Numbers of the ports that are held.
    """
    if domain is None:
        said = os.environ.get("ROS_DOMAIN_ID", "")
        domain = int(said) if said.isdecimal() else 0
    first = FIRST_PORT + PORTS_PER_DOMAIN * domain
    with contextlib.ExitStack() as stack:
        taken = []
        for number in range(first, first + PORTS_PER_DOMAIN):
            name = f"fastrtps_port{number}"
            several = shm / f"{name}_sl"  # ports that many read from are not taken over
            if _is_old(shm / name) and not several.exists() and _take(shm / f"{name}_el", stack):
                taken.append(number)
        yield taken


def _is_old(port: Path) -> bool:
    """Whether a port is there and not just being made: its file comes before its lock."""
    try:
        return time.time() - port.stat().st_mtime > MAKING_S
    except FileNotFoundError:
        return False


def _take(lock: Path, keep: contextlib.ExitStack) -> bool:
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(lock.open("ab"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # its reader lives, has just removed it, or is another user
            return False
        keep.push(stack.pop_all())
    return True
