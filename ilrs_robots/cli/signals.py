"""Signals as a wish to end, and a terminal that may be gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

AGAIN_S: Final = 1.0
"""A signal that comes again within this time is the same wish: wrappers pass Ctrl-C on twice."""


class Stop:
    """Whether the end is wanted, and whether at once.

    Attributes:
        hurry: asked for a second time: processes are not given time to end in order.
    """

    def __init__(self) -> None:
        self.hurry = False
        self._asked_s: float | None = None

    def is_set(self) -> bool:
        """Whether the end is wanted."""
        return self._asked_s is not None

    def ask(self) -> None:
        """Want the end; again after a second: at once."""
        now_s = time.monotonic()
        if self._asked_s is None:
            self._asked_s = now_s
        elif now_s - self._asked_s > AGAIN_S:
            self.hurry = True

    def lose_terminal(self) -> None:
        """Want the end, and write nowhere from now on: what is still said must not fail."""
        if self._asked_s is None:
            self._asked_s = time.monotonic()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.close(nowhere)


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """SIGINT and SIGTERM ask for an orderly end; SIGHUP means that the terminal is closed."""
    stop = Stop()
    handlers = {
        signal.SIGINT: lambda *_: stop.ask(),
        signal.SIGTERM: lambda *_: stop.ask(),
        signal.SIGHUP: lambda *_: stop.lose_terminal(),
    }
    old = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
