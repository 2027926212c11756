"""What several parts of one process read from the same file: read once, while the file stays."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def file_state(*paths: Path) -> tuple[Hashable, ...]:
    """What changes whenever one of the files is written or replaced.

    Files that cannot be looked at give something that equals nothing, so that whoever reads them
    finds out why.
    """
    found: list[Hashable] = []
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            return (object(),)
        found.append((str(path), state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


class LastHeld(Generic[T]):
    """The newest of what was made, given again for as long as somebody else holds it.

    So three parts of a process that want the same large thing share one, and nothing stays in
    memory for its own sake.
    """

    def __init__(self) -> None:
        self._last: tuple[Hashable, Callable[[], Any]] | None = None

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gave for an equal key before, or what it gives now.

        Args:
            key: everything that the result depends on.
            make: gives an object that is never altered and can be referred to weakly.
        """
        last = self._last
        held: T | None = last[1]() if last is not None and last[0] == key else None
        if held is None:
            held = make()
            self._last = key, weakref.ref(held)
        return held
