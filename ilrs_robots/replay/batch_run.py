"""A replay, many events at a time: what lies between two scans is reckoned at once.

What has to be judged (the first samples, what is refused, scans, resets) is handed to the replay
one by one, at its place.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Final

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.reckoning_batch import Advance, SampleBatch
from ilrs_robots.replay.block_order import Ordered
from ilrs_robots.replay.columns import SINGLE, TRUTH
from ilrs_robots.replay.decode import PoseSample
from ilrs_robots.replay.faults import Event
from ilrs_robots.replay.flags import FlagWatch
from ilrs_robots.replay.pose_log import PoseLog
from ilrs_robots.robots.perception import Perception

_WORDS: Final = ("imu", "joints", "attitude")
_SHORTEST: Final = 1e-6
_UNKNOWN: Final = -(2**61)


class BatchRun:
    """Feeds a segment with the messages of an ordered block, none of them a reset.

    Args:
        ordered: the messages.
        names: joints of the tables' columns.
        topics: names, as the block counts them.
        poses: what the poses are, ``pose`` or ``truth``.
    """

    def __init__(
        self, ordered: Ordered, names: tuple[str, ...], topics: list[str], poses: str
    ) -> None:
        self.ordered, self._topics, self._poses = ordered, topics, poses
        tables, kinds = ordered.tables, ordered.kinds
        sampled = kinds < TRUTH
        self._before = np.concatenate(([0], np.cumsum(sampled)))
        self._place = np.flatnonzero(sampled)
        self._batch = SampleBatch(
            kinds[sampled], ordered.stamps_ns[sampled], ordered.rows[sampled],
            tables.imu, names, tables.position, tables.velocity, tables.stars,
        )  # fmt: skip
        self.singles = np.flatnonzero(kinds == SINGLE).tolist()

    def key(self, n: int) -> int:
        """Time of a message's place."""
        return int(self.ordered.keys_ns[n])

    def topic(self, n: int) -> str:
        """Topic of a message."""
        return self._topics[int(self.ordered.topics[n])]

    def event(self, n: int) -> Event:
        """One message that lies in a table.

        Raises:
            TransformError: a true pose is none.
        """
        ordered = self.ordered
        kind, key = int(ordered.kinds[n]), int(ordered.keys_ns[n])
        topic = self._topics[int(ordered.topics[n])]
        if kind == TRUTH:
            row = ordered.tables.truth[int(ordered.rows[n])]
            pose = PoseSample(int(ordered.stamps_ns[n]), se3.make_transform(row[:3], row[3:]))
            return Event(key, self._poses, topic, pose)
        return Event(key, _WORDS[kind], topic, self._batch.sample(int(self._before[n])))

    def advance(self, perception: Perception, first: int, last: int) -> tuple[int, Advance | None]:
        """Take the messages from ``first`` to below ``last`` through dead reckoning.

        Returns:
            index of the first message that must be taken singly (or ``last``), and what came of
            those before it.
        """
        begin, end = int(self._before[first]), int(self._before[last])
        found = perception.advance(self._batch, begin, end)
        if found is None:
            return first, None
        return (last if found.end == end else int(self._place[found.end])), found

    def log_poses(self, log: PoseLog, perception: Perception, found: Advance) -> None:
        """Keep the estimates that are due."""
        stamps = self._batch.stamps_ns[found.at]
        chosen = log.picks(stamps)
        if not chosen:
            return
        origin, turn = se3.split_transform(perception.T_map_odom)
        positions = origin + se3.quat_rotate(turn, found.position_m[chosen])
        quats = _upright(se3.quat_multiply(turn, found.quat_wxyz[chosen]))
        log.add_many(stamps[chosen], positions, quats)

    def log_truth(self, log: PoseLog, first: int, last: int) -> list[int]:
        """Keep the true poses that are due; gives the messages that hold none."""
        ordered = self.ordered
        where = first + np.flatnonzero(ordered.kinds[first:last] == TRUTH)
        if not where.size:
            return []
        rows = ordered.tables.truth[ordered.rows[where]]
        norm = np.sqrt((rows[:, 3:] ** 2).sum(axis=1))
        good = np.isfinite(rows).all(axis=1) & (norm > _SHORTEST)
        kept, rows, norm = where[good], rows[good], norm[good]
        quats = _upright(rows[:, 3:] / norm[:, None])
        stamps = ordered.stamps_ns[kept]
        chosen = log.picks(np.maximum.accumulate(stamps))
        log.add_many(stamps[chosen], rows[chosen, :3], quats[chosen])
        return where[~good].tolist()

    def look_back(
        self, flags: FlagWatch, perception: Perception, found: Advance, first: int, last: int,
        before: tuple[int | None, bool], timeout_s: float,
    ) -> None:  # fmt: skip
        """Poll the flags at the times of messages ``first`` to below ``last``.

        Args:
            flags: to be polled.
            perception: after these messages.
            found: what came of them.
            first: index of the first message.
            last: index behind the last one.
            before: stamp of the newest pose before them, and whether stars held.
            timeout_s: stars hold for so long.
        """
        keys = self.ordered.keys_ns[first:last].tolist()
        at, (odometry_ns, hold) = self._place[found.at].tolist(), before
        n = first + bisect_left(keys, flags.due_ns())
        if n < last:
            flags.count(perception, keys[n - first])
        while n < last:
            known = bisect_right(at, n)
            if known:
                odometry_ns = int(self._batch.stamps_ns[found.at[known - 1]])
            sampled = int(self._before[n + 1])
            if sampled > self._before[first]:
                age_ns = int(found.star_age_ns[sampled - 1])
                hold = age_ns * 1e-9 <= timeout_s and age_ns > _UNKNOWN
            flags.look_back(perception, keys[n - first], odometry_ns, stars_hold=hold)
            n = first + bisect_left(keys, flags.due_ns(), n - first)


def _upright(quats: np.ndarray) -> np.ndarray:
    """Quaternions whose first number is not below zero, as matrices give them."""
    return np.where(quats[:, :1] < 0.0, -quats, quats)
