"""Two halves of a scan's work on two cores.

Kernels that release the interpreter's lock run side by side. Each half writes to memory of its own
and the result is that of one after the other, to the byte.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_helper = ThreadPoolExecutor(1, "half")


def two_cores() -> bool:
    """Whether the calling thread may use more than one core."""
    return len(os.sched_getaffinity(0)) > 1


def both(do: Callable[[int], T], at_once: bool) -> tuple[T, T]:
    """``do(0)`` and ``do(1)``, at a time where that is asked for and there is a second core."""
    if not (at_once and two_cores()):
        return do(0), do(1)
    other = _helper.submit(do, 1)
    try:
        mine = do(0)
    finally:
        theirs = other.result()
    return mine, theirs
