"""Looks at the ground in a thread of its own, so that ``odom`` goes on at its rate meanwhile."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.types import Cloud
from ilrs_robots.robots.ground_step import Believed, GroundStep, Heard, tell
from ilrs_robots.robots.inertial_step import InertialStep

_PENDING: Final = 4


class GroundWorker:
    """One scan or comparison at a time; the filter is touched by ``poll`` alone.

    Args:
        ground: what looks.
        tree: transforms, fed by whoever calls ``poll``.

    Attributes:
        values: counts for diagnostics, as of the last look.
        skipped: scans that gave way to newer ones because looking took too long.
    """

    def __init__(self, ground: GroundStep, tree: TransformTree) -> None:
        self._ground, self._tree = ground, tree
        self._clouds: deque[Cloud] = deque()
        self._busy: Future[Heard] | None = None
        self._reset = False
        self.skipped = 0
        self.values: dict[str, object] = ground.values()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ground")

    def add(self, cloud: Cloud) -> None:
        """Queue a scan."""
        if len(self._clouds) >= _PENDING:
            self._clouds.popleft()
            self.skipped += 1
        self._clouds.append(cloud)

    def reset(self) -> None:
        """Forget everything before the next look, and what the present one finds."""
        self._reset = True
        self._clouds.clear()

    def poll(self, step: InertialStep, now_ns: int) -> None:
        """Tell a filter what has been found, and begin the next look.

        Args:
            step: the filter.
            now_ns: the clock that the stamps are of.
        """
        busy = self._busy
        if busy is not None:
            if not busy.done():
                return
            self._busy = None
            heard = busy.result()
            self.values = {**self._ground.values(), "scans_skipped": self.skipped}
            if not self._reset:
                tell(step, heard)
        if self._reset:
            self._reset = False
            self._ground.reset()
        if not self._clouds and not self._ground.scans.waiting:
            return
        clouds = list(self._clouds)
        self._clouds.clear()
        self._busy = self._pool.submit(self._look, clouds, now_ns, Believed.of(step))

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _look(self, clouds: list[Cloud], now_ns: int, believed: Believed) -> Heard:
        for cloud in clouds:
            self._ground.add(cloud)
        return self._ground.process(self._tree, now_ns, believed)
