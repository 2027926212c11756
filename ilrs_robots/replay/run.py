"""Recompute a recorded drive: the bag's samples through the one perception, in stamp order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from ilrs_robots.core.errors import IlrsError, InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.map_files import SavedMap
from ilrs_robots.core.types import FloatArray
from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.decode import Decoder, PoseSample
from ilrs_robots.replay.faults import Event, Fault, FaultMaker
from ilrs_robots.replay.flags import FlagWatch
from ilrs_robots.replay.ground_judge import GroundJudge
from ilrs_robots.replay.ordered import HeaderOrder, ReadReport, Stamped, stamped
from ilrs_robots.replay.pose_log import PoseLog
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.tracks import GridMapSample, grid_map_sample
from ilrs_robots.robots.map_store import snapshot
from ilrs_robots.robots.perception import Perception

_MAP_PERIOD_NS: Final = 50_000_000
"""As the mapping node's timer."""
_LOOK_NS: Final = 5_000_000_000
"""How often a map is compared with the truth; the last one always is."""


@dataclass
class Segment:
    """One run of a bag: from where time began or was set back.

    Attributes:
        perception: pose and map at its end.
        poses: where the robot believed to be, ``map``.
        truth: where it was.
        judge: of the maps.
        first_ns: first sample's time.
        last_ns: last sample's time.
    """

    perception: Perception
    poses: PoseLog
    truth: PoseLog
    judge: GroundJudge
    first_ns: int
    last_ns: int


@dataclass
class Replay:
    """What came of a replay.

    Attributes:
        profile: with robot and vehicle.
        segment: the longest run of the bag, which is judged.
        report: of reading.
        flags: name -> (rise, fall) in seconds since the first message.
        recorded_map: the last GridMap that the bag holds, if any.
        saved: the map at the segment's end, None without one.
        custom: the bag's free metadata.
        changed: how many messages each fault hit.
    """

    profile: ReplayProfile
    segment: Segment | None
    report: ReadReport
    flags: dict[str, list[tuple[float, float]]]
    recorded_map: GridMapSample | None
    saved: SavedMap | None
    custom: dict[str, str] = field(default_factory=dict)
    changed: list[int] = field(default_factory=list)


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
        self._truth_grid = self._true_ground()
        self._start = self._start_pose()
        if not any(topic in self._kinds for topic in self._bag.topics):
            raise BagError(
                f"{self._bag.path}: none of the topics {', '.join(sorted(self._kinds))} is there"
            )
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

    # -- what comes before --------------------------------------------------------------------
    def _first(self, topic: str) -> Any:
        """The first message of a topic, None where there is none that can be read."""
        try:
            return next((item.msg for item in self._bag.messages(self._profile.full(topic))), None)
        except BagError:
            return None

    def _true_ground(self) -> GridMapSample | None:
        name = self._profile.topics.true_ground
        message = self._first(name) if name else None
        return None if message is None else grid_map_sample(message)

    def _start_pose(self) -> FloatArray:
        start, topics = self._profile.start, self._profile.topics
        given = se3.from_rpy(
            (start.x_m, start.y_m, start.z_m), (0.0, 0.0, float(np.radians(start.yaw_deg)))
        )
        if start.kind == "truth" and topics.truth:
            first = self._first(topics.truth)
            if first is not None:
                sample = self._decoder.samples("truth", first)[0]
                assert isinstance(sample, PoseSample)
                return sample.T_map_base
        source = topics.imu if self._profile.imu_orientation else topics.attitude
        first = self._first(source) if start.kind == "attitude" and source else None
        if first is None:
            return given
        q, cfg = first.orientation, self._profile.reckoning
        R_map_sensor = se3.make_transform(np.zeros(3), (q.w, q.x, q.y, q.z))
        mount = se3.from_rpy(np.zeros(3), cfg.star_tracker_rpy_rad)
        yaw = se3.yaw_of(se3.split_transform(R_map_sensor @ se3.invert(mount))[1])
        return se3.from_rpy(given[:3, 3], (0.0, 0.0, yaw))

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

    def _decoded(self, item: Stamped) -> Iterator[Event]:
        raw = item.raw
        assert raw is not None
        try:
            message = self._bag.decode(raw).msg
            if item.kind == "recorded_map":
                self._recorded = grid_map_sample(message)
                return
            samples = self._decoder.samples(item.kind, message)
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
        if event.key_ns < segment.last_ns - 2_000_000_000:  # the clock itself was set back
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
        self._best = segment, _saved(segment.perception)


def _saved(perception: Perception) -> SavedMap | None:
    mapping = perception.mapping
    if not mapping.filled:
        return None
    layers, _ = mapping.traversability()
    more = {
        "elevation": mapping.map.layer("elevation"),
        "upper_bound": mapping.map.layer("upper_bound"),
        "cost": layers.cost,
        "slope": layers.slope_rad,
        "step_height": layers.step_m,
        "roughness": layers.roughness_m,
    }
    units = {"elevation": "m", "upper_bound": "m", "slope": "rad", "step_height": "m",
             "roughness": "m"}  # fmt: skip
    return snapshot(mapping, perception.T_map_odom, more, units)
