"""Poses of a replay in memory that does not grow with the recording, and their TUM file."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Final

import numpy as np

from ilrs_robots.core.types import FloatArray, IntArray

CAPACITY: Final = 20_000
PERIOD_NS: Final = 100_000_000


class PoseLog:
    """Poses some time apart; when it is full every other one goes and that time doubles.

    Args:
        period_ns: of the poses that are kept.
        capacity: how many are kept at most.
    """

    def __init__(self, period_ns: int = PERIOD_NS, capacity: int = CAPACITY) -> None:
        self._period_ns = period_ns
        self._stamps = np.zeros(capacity, dtype=np.int64)
        self._poses = np.zeros((capacity, 7))
        self._count = 0

    def __len__(self) -> int:
        """How many poses are kept."""
        return self._count

    def due(self, stamp_ns: int) -> bool:
        """Whether a pose of this time would be kept."""
        last = self._stamps[self._count - 1] if self._count else stamp_ns - self._period_ns
        return bool(stamp_ns - last >= self._period_ns)

    def add(self, stamp_ns: int, position_m: FloatArray, quat_wxyz: FloatArray) -> bool:
        """Take a pose; False where it is too near the last one in time, or not newer."""
        if not self.due(stamp_ns):
            return False
        if self._count == len(self._stamps):
            kept = self._stamps[::2].size
            self._stamps[:kept], self._poses[:kept] = self._stamps[::2], self._poses[::2]
            self._count, self._period_ns = kept, 2 * self._period_ns
        self._stamps[self._count] = stamp_ns
        self._poses[self._count, :3], self._poses[self._count, 3:] = position_m, quat_wxyz
        self._count += 1
        return True

    def add_many(
        self, stamps_ns: IntArray, positions_m: FloatArray, quats_wxyz: FloatArray
    ) -> None:
        """Take (N,) stamps that ``picks`` chose with their poses (N, 3) and (N, 4)."""
        end = self._count + len(stamps_ns)
        if end > len(self._stamps):
            for row in zip(stamps_ns.tolist(), positions_m, quats_wxyz, strict=True):
                self.add(*row)
            return
        self._stamps[self._count : end] = stamps_ns
        self._poses[self._count : end, :3] = positions_m
        self._poses[self._count : end, 3:] = quats_wxyz
        self._count = end

    def picks(self, stamps_ns: IntArray) -> list[int]:
        """Which of some stamps would be kept one after another.

        Args:
            stamps_ns: (N,) never falling.
        """
        found: list[int] = []
        stamps, n = stamps_ns.tolist(), 0
        if self._count:
            n = bisect_left(stamps, int(self._stamps[self._count - 1]) + self._period_ns)
        while n < len(stamps):
            found.append(n)
            n = bisect_left(stamps, stamps[n] + self._period_ns, n)
        return found

    @property
    def stamps_ns(self) -> IntArray:
        """(N,) int64."""
        return self._stamps[: self._count].copy()

    @property
    def positions_m(self) -> FloatArray:
        """(N, 3) metres, ``map``."""
        return self._poses[: self._count, :3].copy()

    @property
    def quats_wxyz(self) -> FloatArray:
        """(N, 4)."""
        return self._poses[: self._count, 3:].copy()

    def write_tum(self, path: Path) -> None:
        """Write ``stamp x y z qx qy qz qw``, as evo and others read it."""
        with path.open("w", encoding="ascii") as file:
            file.write("# stamp_s x_m y_m z_m qx qy qz qw (base_link in map)\n")
            for stamp, row in zip(self.stamps_ns.tolist(), self._poses, strict=False):
                x, y, z, qw, qx, qy, qz = row.tolist()
                numbers = " ".join(f"{v:.9f}" for v in (x, y, z, qx, qy, qz, qw))
                file.write(f"{stamp // 10**9}.{stamp % 10**9:09d} {numbers}\n")
