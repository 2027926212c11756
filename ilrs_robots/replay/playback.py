"""What a bag's sensors said, message by message, with the time that a clock shows then.

Messages keep the order and the pace in which they came. The clock is that of the stamps, which
need not be the recorder's: a simulation that was recorded by the wall clock plays as well.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from typing import Final, NamedTuple

from rosbags.typesys import Stores, get_typestore

from ilrs_robots.core.types import FloatArray
from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.decode import Decoder, PoseSample
from ilrs_robots.replay.ordered import header_stamp_ns
from ilrs_robots.replay.profile import ReplayProfile

_SEEN: Final = 200
"""So many messages tell how the recorder's clock stands to that of the stamps."""
_ON_THE_WAY_NS: Final = 1_000_000_000
"""A message that took longer than this from sensor to recorder is of another clock."""
_LEFT_OUT: Final = ("recorded_map", "wheel_odometry", "pose")
"""What the nodes say themselves, or do not listen to."""


class Played(NamedTuple):
    """One message to be published.

    Attributes:
        clock_ns: time at which it came, on the clock of the stamps.
        kind: what it is, as the profile says.
        topic: full name.
        data: serialized as in ROS 2 (CDR).
        stamp_ns: of its header.
    """

    clock_ns: int
    kind: str
    topic: str
    data: bytes
    stamp_ns: int


class Playback:
    """The messages of a bag that one robot's nodes are to hear.

    Args:
        bag: open.
        profile: of the bag; its robot is filled in.
        start_s: seconds of the bag that are left out at its beginning.

    Attributes:
        topics: full name -> message type of all that is played.
        kinds: full name -> what it is.
        robot: whose bag it is.
        first_ns: time of the first message, on the clock of the stamps.
        last_ns: of the last one.

    Raises:
        BagError: the bag holds nothing that nodes listen to.
        ConfigError: it does not say whose it is.
    """

    def __init__(self, bag: Bag, profile: ReplayProfile, start_s: float = 0.0) -> None:
        info = bag.info
        self._bag, self._profile = bag, profile.for_bag(bag.topics, info.custom)
        kinds = self._profile.topic_kinds()
        self.robot = self._profile.robot
        self.kinds = {
            name: kinds[name]
            for name in bag.topics
            if name in kinds and kinds[name] not in _LEFT_OUT and bag.counts[name]
        }
        self.topics = {name: bag.topics[name] for name in self.kinds}
        if not {"imu", "joints", "cloud"} & set(self.kinds.values()):
            raise BagError(f"{bag.path}: none of the topics {', '.join(sorted(kinds))} is there")
        self._offset_ns = self._clock_offset_ns()
        self._from_ns = info.start_ns + round(start_s * 1e9)
        if self._from_ns > info.end_ns:
            whole_s = (info.end_ns - info.start_ns) * 1e-9
            raise BagError(f"--start {start_s:g}: the bag is {whole_s:.1f} s long")
        self.first_ns = self._from_ns + self._offset_ns
        self.last_ns = info.end_ns + self._offset_ns

    def messages(self) -> Iterator[Played]:
        """Every message, in the order in which they came.

        Raises:
            BagError: the file is damaged.
        """
        store, ros1 = get_typestore(Stores.ROS2_JAZZY), self._bag.ros1
        for raw in self._bag.raw(list(self.topics)):
            stamp_ns = header_stamp_ns(raw.data, ros1)
            if raw.log_ns < self._from_ns or stamp_ns is None:
                continue
            data = store.ros1_to_cdr(raw.data, raw.msgtype) if ros1 else raw.data
            clock_ns = raw.log_ns + self._offset_ns
            yield Played(clock_ns, self.kinds[raw.topic], raw.topic, bytes(data), stamp_ns)

    def start_pose(self) -> FloatArray | None:
        """(4, 4) T_map_base, true, where the playback begins; None where the bag has none."""
        decoder, topics = (
            Decoder(self._profile),
            [n for n, k in self.kinds.items() if k == "truth"],
        )
        for raw in self._bag.raw(topics):
            if raw.log_ns < self._from_ns:
                continue
            (sample,) = decoder.samples("truth", self._bag.decode(raw).msg)
            assert isinstance(sample, PoseSample)
            return sample.T_map_base
        return None

    def _clock_offset_ns(self) -> int:
        """Clock of the stamps less that of the recorder: 0 where both are one."""
        sensed = [name for name, kind in self.kinds.items() if kind != "cloud"]
        late_ns = [
            raw.log_ns - stamp
            for raw in itertools.islice(self._bag.raw(sensed or list(self.kinds)), _SEEN)
            if (stamp := header_stamp_ns(raw.data, self._bag.ros1)) is not None
        ]
        if not late_ns or 0 <= statistics.median(late_ns) <= _ON_THE_WAY_NS:
            return 0
        return -min(late_ns)
