"""Poses of one moving frame over the last seconds, in order of time."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import FloatArray

_FIRST_CAPACITY: Final = 256


class PoseHistory:
    """Samples sorted by stamp, in arrays that slide.

    Args:
        keep_ns: how far back samples are kept, counted from the newest.
    """

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._stamps = np.empty(_FIRST_CAPACITY, dtype=np.int64)
        self._poses = np.empty((_FIRST_CAPACITY, 7))
        self._begin = 0
        self._end = 0

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(K,) int64, strictly increasing."""
        return self._stamps[self._begin : self._end]

    @property
    def poses(self) -> FloatArray:
        """(K, 7): position and quaternion wxyz."""
        return self._poses[self._begin : self._end]

    def insert(self, stamp_ns: int, pose: FloatArray) -> bool:
        """Insert or replace one sample; False when it is older than the history."""
        stamps = self.stamps_ns
        if stamps.size and stamp_ns < int(stamps[-1]) - self._keep_ns:
            return False
        at = self._end
        if stamps.size and stamp_ns <= stamps[-1]:
            at = self._begin + int(np.searchsorted(stamps, stamp_ns))
            if self._stamps[at] == stamp_ns:
                self._poses[at] = pose
                return True
        at = self._make_room(at)
        self._stamps[at + 1 : self._end + 1] = self._stamps[at : self._end]
        self._poses[at + 1 : self._end + 1] = self._poses[at : self._end]
        self._stamps[at] = stamp_ns
        self._poses[at] = pose
        self._end += 1
        self._trim()
        return True

    def extend(self, stamps_ns: NDArray[np.int64], poses: FloatArray) -> None:
        """Append many samples at once.

        Args:
            stamps_ns: (N,) strictly increasing, all newer than what is there.
            poses: (N, 7) position in metres and quaternion.
        """
        first = int(np.searchsorted(stamps_ns, stamps_ns[-1] - self._keep_ns))
        stamps_ns, poses = stamps_ns[first:], poses[first:]
        more, count = len(stamps_ns), self._end - self._begin
        if self._end + more > self._stamps.size:
            capacity = max(2 * (count + more), _FIRST_CAPACITY)
            stamps, table = np.empty(capacity, dtype=np.int64), np.empty((capacity, 7))
            stamps[:count], table[:count] = self.stamps_ns, self.poses
            self._stamps, self._poses, self._begin, self._end = stamps, table, 0, count
        self._stamps[self._end : self._end + more] = stamps_ns
        self._poses[self._end : self._end + more] = poses
        self._end += more
        oldest = self._stamps[self._end - 1] - self._keep_ns
        self._begin += int(np.searchsorted(self.stamps_ns, oldest))

    def widest_gap_ns(self, stamps_ns: NDArray[np.int64]) -> int:
        """Longest time between neighbouring samples from the first to the last of some stamps."""
        known = self.stamps_ns
        if known.size < 2 or stamps_ns.size == 0:
            return 0
        first = int(np.searchsorted(known, stamps_ns.min(), side="right")) - 1
        last = int(np.searchsorted(known, stamps_ns.max(), side="left"))
        spacing = np.diff(known[max(first, 0) : last + 1])
        return int(spacing.max()) if spacing.size else 0

    def _make_room(self, at: int) -> int:
        """Make sure that one more sample fits; return where ``at`` is now."""
        if self._end < self._stamps.size:
            return at
        count = self._end - self._begin
        capacity = self._stamps.size if count <= self._stamps.size // 2 else 2 * self._stamps.size
        stamps = np.empty(capacity, dtype=np.int64)
        poses = np.empty((capacity, 7))
        stamps[:count], poses[:count] = self.stamps_ns, self.poses
        shift = self._begin
        self._stamps, self._poses, self._begin, self._end = stamps, poses, 0, count
        return at - shift

    def _trim(self) -> None:
        oldest = int(self._stamps[self._end - 1]) - self._keep_ns
        while self._stamps[self._begin] < oldest:
            self._begin += 1
