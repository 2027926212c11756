"""An iterator whose work is done ahead, in a thread: reading and unpacking beside fusing."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
DEPTH: Final = 4
"""Items that are made ahead: what bounds the memory."""
_LOOK_S: Final = 0.1


class _End:
    """The last item: why there are no more."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


@contextmanager
def read_ahead(source: Iterator[T], depth: int = DEPTH) -> Iterator[Iterator[T]]:
    """The items of ``source`` in their order; its error, if any, comes after them.

    Args:
        source: is used by the thread alone.
        depth: items that are made ahead at most.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    over = threading.Event()

    def put(item: T | _End) -> bool:
        while not over.is_set():
            try:
                ready.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        error: Exception | None = None
        try:
            for item in source:
                if not put(item):
                    return
        except Exception as caught:  # it is raised where the items are taken
            error = caught
        put(_End(error))

    def items() -> Iterator[T]:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    thread = threading.Thread(target=work, name="read_ahead", daemon=True)
    thread.start()
    try:
        yield items()
    finally:
        over.set()
        thread.join()
