"""Recompute a recorded drive: the bag's samples through the one perception, in stamp order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Final

import numpy as np

from ilrs_robots.core.errors import IlrsError, InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.map_files import SavedMap
from ilrs_robots.replay.bag import Bag, BagError, RawMessage
from ilrs_robots.replay.batch_run import BatchRun
from ilrs_robots.replay.before import start_pose, true_ground
from ilrs_robots.replay.block_order import BlockOrder, Ordered
from ilrs_robots.replay.blocks import blocks, in_chunks
from ilrs_robots.replay.columns import SINGLE, ColumnReader, Columns, Prepared
from ilrs_robots.replay.decode import Decoder, Payload, PoseSample
from ilrs_robots.replay.faults import Event, Fault, FaultMaker
from ilrs_robots.replay.flags import FlagWatch
from ilrs_robots.replay.ground_judge import GroundJudge
from ilrs_robots.replay.ordered import HeaderOrder, ReadReport, Stamped, stamped
from ilrs_robots.replay.pose_log import PoseLog
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.read_ahead import read_ahead
from ilrs_robots.replay.segment import Replay, Segment, saved_map
from ilrs_robots.replay.tracks import GridMapSample, grid_map_sample
from ilrs_robots.robots.perception import Perception

_MAP_PERIOD_NS: Final = 50_000_000
"""As the mapping node's timer."""
_BACK_NS: Final = 2_000_000_000
_LOOK_NS: Final = 5_000_000_000
"""How often a map is compared with the truth; the last one always is."""


__all__ = ["Replay", "Replayer", "Segment"]


class Replayer:
    """Reads one bag once.

    Args:
        bag: open.
        profile: of the bag.
        faults: put into it.
        seed: of the faults.
        on_progress: gets the share of the bag's time that is done, now and then.
    """

    def __init__(
        self,
        bag: Bag,
        profile: ReplayProfile,
        faults: tuple[Fault, ...] = (),
        seed: int = 0,
        on_progress: Callable[[float], None] = lambda _share: None,
    ) -> None:
        self._bag, self.report = bag, ReadReport()
        self._info = bag.info
        self._profile = profile.for_bag(bag.topics, self._info.custom)
        self._kinds = self._profile.topic_kinds()
        rover = self._profile.vehicle.type == "rover"
        self._timeout_s = self._profile.reckoning.star_timeout_s if rover else 0.0
        self._decoder = Decoder(self._profile)
        self._faults = FaultMaker(faults, seed)
        self._on_progress = on_progress
        self._flags = FlagWatch()
        self._recorded: GridMapSample | None = None
        self._best: tuple[Segment, SavedMap | None] | None = None
        self._now: Segment | None = None
        self._mapped_ns = self._looked_ns = 0

    def run(self) -> Replay:
        """Replay the bag.

        Raises:
            BagError: it holds nothing that could be replayed.
        """
        self._truth_grid = true_ground(self._bag, self._profile)
        self._start = start_pose(self._bag, self._profile, self._decoder)
        if not any(topic in self._kinds for topic in self._bag.topics):
            raise BagError(
                f"{self._bag.path}: none of the topics {', '.join(sorted(self._kinds))} is there"
            )
        if self._faults.none and not self._bag.ros1:
            self._run_blocks()
        else:
            for event in self._faults.put_in(self._events()):
                self._take(event)
        self._end_segment()
        if self._now is None and self._recorded is None:
            raise BagError(f"{self._bag.path}: no message could be used")
        segment, saved = self._best or (None, None)
        last_ns = 0 if self._now is None else self._now.last_ns
        return Replay(
            self._profile, segment, self.report, self._flags.close(last_ns), self._recorded,
            saved, self._info.custom, self._faults.changed,
        )  # fmt: skip

    # -- the stream ---------------------------------------------------------------------------
    def _events(self) -> Iterator[Event]:
        order = HeaderOrder(round(self._profile.reorder_s * 1e9), self.report)
        items = order.sort(stamped(self._bag, self._kinds, self.report))
        span = max(self._info.end_ns - self._info.start_ns, 1)
        for count, item in enumerate(items):
            if item.raw is None:
                yield Event(item.key_ns, "reset", "", None)
                continue
            if count % 1000 == 0:
                self._on_progress((item.raw.log_ns - self._info.start_ns) / span)
            yield from self._decoded(item)

    def _run_blocks(self) -> None:
        """As ``_take`` for every event, many at a time."""
        bag, kinds = self._bag, self._kinds
        topics = self._topics = [name for name in bag.topics if name in kinds]
        singly = frozenset(("imu",)) if self._profile.imu_orientation else frozenset()
        reader = ColumnReader(topics, kinds, bag.topics, singly)
        window_ns = round(self._profile.reorder_s * 1e9)
        order = BlockOrder(topics, bag.topics, kinds, window_ns, self.report)
        span = max(self._info.end_ns - self._info.start_ns, 1)
        source = (self._prepared(reader.read(block)) for block in blocks(bag, topics))
        ahead = read_ahead(source) if in_chunks(bag) else nullcontext(source)
        try:
            with ahead as items:
                for columns in items:
                    log_ns = int(columns.block.log_ns[0])
                    self._on_progress((log_ns - self._info.start_ns) / span)
                    for ordered in order.push(columns):
                        self._take_ordered(ordered, reader.names, topics)
        except BagError as error:
            self.report.damage.append(f"{error}; {self.report.messages} messages were read before")
        for ordered in order.finish():
            self._take_ordered(ordered, reader.names, topics)

    def _prepared(self, columns: Columns) -> Columns:
        """With its scans decoded, whose number is what costs."""
        ready: dict[int, Prepared] = {}
        for n in np.flatnonzero(columns.good & (columns.kinds == SINGLE)).tolist():
            topic = self._topics[int(columns.block.topics[n])]
            if self._kinds[topic] == "cloud":
                raw = RawMessage(topic, self._bag.topics[topic], 0, columns.block.bytes_of(n))
                try:
                    ready[n] = Prepared(self._samples("cloud", raw))
                except (IlrsError, ValueError) as error:
                    ready[n] = Prepared([], error)
        return columns._replace(ready=ready) if ready else columns

    def _samples(self, kind: str, raw: RawMessage) -> list[Payload]:
        return self._decoder.samples(kind, self._bag.decode(raw).msg)

    def _take_ordered(self, ordered: Ordered, names: tuple[str, ...], topics: list[str]) -> None:
        if ordered.reset_ns is not None:
            self._take(Event(ordered.reset_ns, "reset", "", None))
            return
        poses = "pose" if self._profile.topics.pose else "truth"
        run, begin = BatchRun(ordered, names, topics, poses), 0
        for place in [*run.singles, len(ordered.keys_ns)]:
            self._take_run(run, begin, place)
            if place < len(ordered.keys_ns):
                self._take_single(ordered, place, topics)
            begin = place + 1

    def _take_single(self, ordered: Ordered, n: int, topics: list[str]) -> None:
        raw, topic = ordered.raws[n], topics[int(ordered.topics[n])]
        key, stamp = int(ordered.keys_ns[n]), int(ordered.stamps_ns[n])
        item = Stamped(key, 0, self._kinds[topic], stamp, raw)
        for event in self._decoded(item, ordered.ready[n]):
            self._take(event)

    def _take_run(self, run: BatchRun, begin: int, end: int) -> None:
        """Messages of tables, from ``begin`` to below ``end``."""
        while begin < end:
            segment, until = self._now, begin + 1
            last = begin
            if segment is not None and not self._back(segment, run.key(begin)):
                until = self._map_due(segment, run, begin, end)
                last = self._take_many(segment, run, begin, until)
            if last < until:  # one that must be judged
                self._take_table(run, last)
                last += 1
            begin = last

    def _take_table(self, run: BatchRun, n: int) -> None:
        try:
            event = run.event(n)
        except IlrsError:
            self.report.undecodable[run.topic(n)] += 1
            return
        self._take(event)

    def _map_due(self, segment: Segment, run: BatchRun, begin: int, end: int) -> int:
        """Index behind the message at which the map is due, or ``end``."""
        mapping = segment.perception.mapping
        due_ns = [self._mapped_ns + _MAP_PERIOD_NS] * mapping.waiting
        due_ns += [self._looked_ns + _LOOK_NS] * mapping.filled
        if not due_ns:
            return end
        keys = run.ordered.keys_ns
        return min(begin + int(np.searchsorted(keys[begin:end], min(due_ns))) + 1, end)

    def _take_many(self, segment: Segment, run: BatchRun, begin: int, end: int) -> int:
        """As ``_take`` for each; gives the index of the first that was not taken."""
        perception = segment.perception
        step, odometry = perception.localization, perception.odometry
        if step is None:
            return begin
        before = None if odometry is None else odometry.stamp_ns, step.stars_hold
        last, found = run.advance(perception, begin, end)
        if found is None or last == begin:
            return begin
        run.log_poses(segment.poses, perception, found)
        for n in run.log_truth(segment.truth, begin, last):
            self.report.undecodable[run.topic(n)] += 1
        now_ns = run.key(last - 1)
        segment.last_ns = max(segment.last_ns, now_ns)
        run.look_back(self._flags, perception, found, begin, last - 1, before, self._timeout_s)
        self._map(segment, now_ns)
        self._flags.look(perception, now_ns)
        return last

    @staticmethod
    def _back(segment: Segment, key_ns: int) -> bool:
        """Whether the clock itself was set back."""
        return key_ns < segment.last_ns - _BACK_NS

    def _decoded(self, item: Stamped, ready: Prepared | None = None) -> Iterator[Event]:
        raw = item.raw
        assert raw is not None
        try:
            if item.kind == "recorded_map":
                self._recorded = grid_map_sample(self._bag.decode(raw).msg)
                return
            if ready is not None and ready.error is not None:
                raise ready.error
            samples = self._samples(item.kind, raw) if ready is None else ready.samples
        except InvalidCloudError as error:
            self.report.undecodable[raw.topic] += 1
            if self._now is not None:
                self._now.perception.mapping.drop(error.reason, str(error), raw.topic)
            return
        except (IlrsError, ValueError):
            self.report.undecodable[raw.topic] += 1
            return
        for sample in samples:
            yield Event(item.key_ns, item.kind, raw.topic, sample)

    def _take(self, event: Event) -> None:
        if event.payload is None:
            self._end_segment()
            self._now = None
            self._flags.begin_again(event.key_ns)
            return
        segment = self._now or self._begin(event.key_ns)
        if self._back(segment, event.key_ns):
            self._end_segment()
            self.report.segments += 1
            segment = self._begin(event.key_ns)
            self._flags.begin_again(event.key_ns)
        segment.last_ns = max(segment.last_ns, event.key_ns)
        sample, perception = event.payload, segment.perception
        if not isinstance(sample, PoseSample):
            if perception.feed(sample, event.topic) is not None:
                self._log(segment)
        elif event.kind == "truth":
            segment.truth.add(sample.stamp_ns, *se3.split_transform(sample.T_map_base))
        else:
            try:
                perception.on_pose(sample.stamp_ns, sample.T_map_base)
                self._log(segment)
            except IlrsError:
                self.report.undecodable[event.topic] += 1
        self._map(segment, event.key_ns)
        self._flags.look(perception, event.key_ns)

    def _begin(self, now_ns: int) -> Segment:
        profile = self._profile
        perception = Perception(
            profile.vehicle,
            profile.robot,
            self._start,
            profile.reckoning if profile.vehicle.type == "rover" else None,
            own_localization=not profile.topics.pose,
            method=profile.localization,
            filter_config=profile.filter_config,
        )
        judge = GroundJudge(self._truth_grid)
        self._now = Segment(perception, PoseLog(), PoseLog(), judge, now_ns, now_ns)
        self._mapped_ns = self._looked_ns = now_ns
        return self._now

    def _log(self, segment: Segment) -> None:
        odometry = segment.perception.odometry
        assert odometry is not None
        if not segment.poses.due(odometry.stamp_ns):
            return
        segment.poses.add(odometry.stamp_ns, *se3.split_transform(segment.perception.T_map_base()))

    def _map(self, segment: Segment, now_ns: int, *, at_end: bool = False) -> None:
        mapping = segment.perception.mapping
        if mapping.waiting and (at_end or now_ns - self._mapped_ns >= _MAP_PERIOD_NS):
            self._mapped_ns = now_ns
            segment.perception.map(now_ns)
        if mapping.filled and (at_end or now_ns - self._looked_ns >= _LOOK_NS):
            self._looked_ns = now_ns
            layers, spec = mapping.traversability()
            odometry = segment.perception.odometry
            assert odometry is not None
            segment.judge.look(
                mapping.map.layer("elevation"), layers.lethal, spec,
                segment.perception.T_map_odom, odometry.position_m[:2],
            )  # fmt: skip

    def _end_segment(self) -> None:
        segment = self._now
        if segment is None:
            return
        self._map(segment, segment.last_ns, at_end=True)
        span = segment.last_ns - segment.first_ns
        if self._best is not None:
            best = self._best[0]
            if span <= best.last_ns - best.first_ns:
                return
        self._best = segment, saved_map(segment.perception)
