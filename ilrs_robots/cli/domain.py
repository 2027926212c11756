"""A DDS domain of one's own, so that two runs on one machine do not hear each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ilrs_robots.core.errors import IlrsError

FIRST, LAST = 10, 99
"""Domains to choose from: below 101 the ports stay out of the range that Linux gives away."""


@contextmanager
def own_domain(environment: Mapping[str, str]) -> Iterator[int]:
    """Give the domain that the user set, or one that no other run on this machine holds.

    Raises:
        IlrsError: every domain is taken.
    """
    if environment.get("ROS_DOMAIN_ID"):
        yield int(environment["ROS_DOMAIN_ID"])
        return
    folder = Path(tempfile.gettempdir()) / f"ilrs-domains-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for domain in range(FIRST, LAST + 1):
        with (folder / str(domain)).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
    raise IlrsError(f"every DDS domain from {FIRST} to {LAST} is in use on this machine")
