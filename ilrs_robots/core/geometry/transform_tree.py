"""A tree of frames with bounded history, interpolation between stamps and no extrapolation.

Rules, where tf2 users have been surprised:

* a stamp outside an edge's history is an error, never the nearest sample and never identity;
* between samples that are farther apart than ``max_gap_s`` nothing is interpolated;
* a sample that comes late is inserted at its place; one with a stamp that is already there
  replaces it; one older than the history (counted back from the edge's newest) is dropped and
  counted as ``dropped_too_old``; when several in a row are so old and go on from one another,
  their publisher's time was set back and the edge's history begins anew (``edge_restarted``);
* a child keeps its parent, and a moving edge never becomes static or the reverse, until ``clear``;
* ``clear`` forgets what moves and keeps what is static. Call it when the clock jumps back.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core.errors import ExtrapolationError, MissingTransformError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.pose_history import PoseHistory
from ilrs_robots.core.types import FloatArray

STATIC_STAMP_NS: Final = 2**63 - 1
"""What ``latest_stamp`` answers for a chain of static edges only: they hold for ever."""
_CONFIRM: Final = 5
"""Samples too old in a row, each newer than the one before, that start an edge anew."""


@dataclass
class _Edge:
    """How a child hangs on its parent; exactly one of the two is set."""

    parent: str
    static: FloatArray | None
    history: PoseHistory | None
    old_ns: int = 0
    old_count: int = 0


class TransformTree:
    """Frames that hang on one another; every transform is looked up at a stamp.

    Safe to feed from one thread and to read from another.

    Args:
        history_s: how long samples of a moving edge are kept, seconds.
        max_gap_s: longest time between samples that is interpolated, seconds.
    """

    def __init__(self, history_s: float = 10.0, max_gap_s: float = math.inf) -> None:
        for name, value in (("history_s", history_s), ("max_gap_s", max_gap_s)):
            if not value > 0.0:
                raise TransformError(f"{name} = {value} s: must be above 0 s")
        self._max_gap_ns = max_gap_s * 1e9
        self._keep_ns = round(history_s * 1e9)
        self._edges: dict[str, _Edge] = {}
        self._frames: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._lock = threading.RLock()

    @property
    def failures(self) -> dict[str, int]:
        """Failures since the start by reason.

        ``unknown_frame``, ``disconnected``, ``no_data``, ``before_history``, ``after_latest``,
        ``gap``, ``dropped_too_old``, ``edge_restarted``, ``parent_change``, ``kind_change``,
        ``loop``, ``invalid``.
        """
        with self._lock:
            return dict(self._failures)

    @property
    def frames(self) -> tuple[str, ...]:
        """Every frame that was named so far, sorted."""
        with self._lock:
            return tuple(sorted(self._frames))

    def set_static(self, parent: str, child: str, transform: FloatArray) -> None:
        """Hang ``child`` on ``parent`` for ever; again with another value replaces it.

        Args:
            parent: frame id.
            child: frame id.
            transform: (4, 4) T_parent_child.

        Raises:
            TransformError: not rigid, another parent, a moving edge, or a loop.
        """
        with self._lock:
            try:
                pose = np.concatenate(se3.split_transform(transform))
            except TransformError as error:
                raise self._fail("invalid", f"{parent} -> {child}: {error}") from error
            edge = self._edge(parent, child, static=True)
            edge.static = pose

    def set(
        self, parent: str, child: str, stamp_ns: int, position_m: ArrayLike, quat_wxyz: ArrayLike
    ) -> None:
        """Add one sample of T_parent_child.

        Args:
            parent: frame id.
            child: frame id.
            stamp_ns: nanoseconds; may be older than samples that are already there.
            position_m: (3,) metres.
            quat_wxyz: (4,) quaternion, normalised here.

        Raises:
            TransformError: not finite, another parent, a static edge, or a loop.
        """
        pose = np.empty(7)
        with self._lock:
            try:
                pose[:3] = position_m
                pose[3:] = se3.normalise_quat(quat_wxyz)
            except (TransformError, ValueError) as error:
                raise self._fail("invalid", f"{parent} -> {child}: {error}") from error
            if not np.isfinite(pose).all():
                raise self._fail("invalid", f"{parent} -> {child}: position is not finite")
            edge = self._edge(parent, child, static=False)
            assert edge.history is not None
            if edge.history.insert(int(stamp_ns), pose):
                edge.old_count = 0
            elif self._starts_anew(edge, int(stamp_ns)):
                edge.history = PoseHistory(self._keep_ns)
                edge.history.insert(int(stamp_ns), pose)

    def set_many(
        self,
        parent: str,
        child: str,
        stamps_ns: NDArray[np.int64],
        positions_m: FloatArray,
        quats_wxyz: FloatArray,
    ) -> None:
        """As ``set`` for samples in the order of time.

        Args:
            parent: frame id.
            child: frame id.
            stamps_ns: (N,) strictly increasing.
            positions_m: (N, 3) or (3,) for all, metres.
            quats_wxyz: (N, 4) or (4,) for all; unit quaternions but for rounding.

        Raises:
            TransformError: as ``set``.
        """
        poses = np.empty((len(stamps_ns), 7))
        poses[:, :3], poses[:, 3:] = positions_m, quats_wxyz
        norm = np.sqrt((poses[:, 3:] ** 2).sum(axis=1, keepdims=True))
        if not np.isfinite(poses).all() or not (norm > 0.0).all():
            raise self._fail("invalid", f"{parent} -> {child}: a pose is not finite")
        poses[:, 3:] /= norm
        with self._lock:
            edge = self._edge(parent, child, static=False)
            assert edge.history is not None
            known = edge.history.stamps_ns
            if len(stamps_ns) and (not known.size or stamps_ns[0] > known[-1]):
                edge.history.extend(stamps_ns, poses)
                edge.old_count = 0
                return
        for stamp_ns, pose in zip(stamps_ns.tolist(), poses, strict=True):
            self.set(parent, child, stamp_ns, pose[:3], pose[3:])

    def _starts_anew(self, edge: _Edge, stamp_ns: int) -> bool:
        """Count a sample that is older than the history; tell whether it begins a new one."""
        follows = edge.old_count > 0 and edge.old_ns < stamp_ns <= edge.old_ns + self._keep_ns
        edge.old_count = edge.old_count + 1 if follows else 1
        edge.old_ns = stamp_ns
        if edge.old_count < _CONFIRM:
            self._failures["dropped_too_old"] += 1
            return False
        edge.old_count = 0
        self._failures["edge_restarted"] += 1
        return True

    def lookup(self, target: str, source: str, stamp_ns: int) -> FloatArray:
        """(4, 4) T_target_source at ``stamp_ns``: takes source coordinates into target.

        Raises:
            MissingTransformError: a frame is unknown, or nothing connects the two.
            ExtrapolationError: an edge between them has no data at that stamp; the message says
                which and by how many seconds.
        """
        positions, quats = self.lookup_many(target, source, np.array([stamp_ns], dtype=np.int64))
        return se3.make_transform(positions[0], quats[0])

    def lookup_many(
        self, target: str, source: str, stamps_ns: NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        """Like ``lookup`` for (N,) stamps: positions (N, 3) and quaternions wxyz (N, 4)."""
        stamps = np.asarray(stamps_ns, dtype=np.int64)
        with self._lock:
            up, down = self._chain(target, source)
            position, quat = self._climb(up, stamps)
            position_down, quat_down = self._climb(down, stamps)
        inverse = se3.quat_conjugate(quat_down)
        offset: FloatArray = se3.quat_rotate(inverse, position - position_down)
        return offset, se3.quat_multiply(inverse, quat)

    def latest_stamp(self, target: str, source: str) -> int | None:
        """Newest stamp at which ``lookup`` can answer.

        Returns:
            nanoseconds; None when the frames are not connected or an edge has no data yet;
            ``STATIC_STAMP_NS`` when every edge between them is static. Counts no failure.
        """
        with self._lock:
            if target not in self._frames or source not in self._frames:
                return None
            split = self._split(target, source)
            if split is None:
                return None
            latest = STATIC_STAMP_NS
            for child in (*split[0], *split[1]):
                history = self._edges[child].history
                if history is not None:
                    if history.stamps_ns.size == 0:
                        return None
                    latest = min(latest, int(history.stamps_ns[-1]))
            return latest

    def clear(self) -> None:
        """Forget every moving edge; static ones stay, counters too."""
        with self._lock:
            self._edges = {k: v for k, v in self._edges.items() if v.static is not None}
            self._frames = {f for k, v in self._edges.items() for f in (k, v.parent)}

    def _fail(
        self, reason: str, message: str, kind: type[TransformError] = TransformError
    ) -> TransformError:
        self._failures[reason] += 1
        return kind(message)

    def _edge(self, parent: str, child: str, *, static: bool) -> _Edge:
        edge = self._edges.get(child)
        if edge is None:
            if parent == child or child in self._ancestors(parent):
                raise self._fail("loop", f"{parent} -> {child}: would close a loop")
            edge = _Edge(parent, None, None if static else PoseHistory(self._keep_ns))
            self._edges[child] = edge
            self._frames.update((parent, child))
        elif edge.parent != parent:
            raise self._fail(
                "parent_change", f"{child} hangs on {edge.parent} and cannot move to {parent}"
            )
        elif (edge.history is None) != static:
            was = "static" if edge.history is None else "moving"
            raise self._fail("kind_change", f"{parent} -> {child} is {was} and cannot change")
        return edge

    def _ancestors(self, frame: str) -> list[str]:
        """The frame itself, its parent, and so on to the root."""
        chain = [frame]
        while (edge := self._edges.get(chain[-1])) is not None:
            chain.append(edge.parent)
        return chain

    def _split(self, target: str, source: str) -> tuple[list[str], list[str]] | None:
        """Children from source and from target up to below their common ancestor."""
        from_source, from_target = self._ancestors(source), self._ancestors(target)
        if from_source[-1] != from_target[-1]:
            return None
        while from_source and from_target and from_source[-1] == from_target[-1]:
            from_source.pop()
            from_target.pop()
        return from_source, from_target

    def _chain(self, target: str, source: str) -> tuple[list[str], list[str]]:
        for frame in (target, source):
            if frame not in self._frames:
                raise self._fail(
                    "unknown_frame", f"frame {frame!r} is unknown", MissingTransformError
                )
        split = self._split(target, source)
        if split is None:
            raise self._fail(
                "disconnected", f"nothing connects {source!r} to {target!r}", MissingTransformError
            )
        return split

    def _climb(
        self, children: list[str], stamps_ns: NDArray[np.int64]
    ) -> tuple[FloatArray, FloatArray]:
        """Pose of the first child in the parent of the last, at each stamp."""
        position = np.zeros((stamps_ns.size, 3))
        quat = np.tile((1.0, 0.0, 0.0, 0.0), (stamps_ns.size, 1))
        for child in children:
            edge_position, edge_quat = self._sample(child, stamps_ns)
            position = edge_position + se3.quat_rotate(edge_quat, position)
            quat = se3.quat_multiply(edge_quat, quat)
        return position, quat

    def _sample(self, child: str, stamps_ns: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        edge = self._edges[child]
        if edge.static is not None:
            return edge.static[None, :3], edge.static[None, 3:]
        assert edge.history is not None
        known = edge.history.stamps_ns
        gap_ns = edge.history.widest_gap_ns(stamps_ns)
        if gap_ns > self._max_gap_ns:
            raise self._fail(
                "gap",
                f"{edge.parent} -> {child}: no data for {gap_ns * 1e-9:.3f} s, limit "
                f"{self._max_gap_ns * 1e-9:.3f} s",
                ExtrapolationError,
            )
        try:
            poses = edge.history.poses
            return se3.interpolate_poses(known, poses[:, :3], poses[:, 3:], stamps_ns)
        except ExtrapolationError as error:
            reason = "no_data"
            if known.size:
                late = int(stamps_ns.max()) > int(known[-1])
                reason = "after_latest" if late else "before_history"
            raise self._fail(
                reason, f"{edge.parent} -> {child}: {error}", ExtrapolationError
            ) from error
