"""Scan odometry of one range sensor as a step: scans and a smooth odometry in, motions out."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core.cloud.deskew import deskew
from ilrs_robots.core.cloud.self_filter import OwnBox, own_points
from ilrs_robots.core.errors import (
    ExtrapolationError,
    InvalidCloudError,
    MissingTransformError,
    TransformError,
)
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.localization.scan_odometry import (
    ScanMotion,
    ScanOdometry,
    ScanOdometryConfig,
)
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray
from ilrs_robots.robots.frames import base_frame, odom_frame
from ilrs_robots.robots.mapping_types import Waiting

_KNOTS: Final = 9
_PENDING: Final = 4


@dataclass(frozen=True)
class SeenGround:
    """A scan that was matched.

    Attributes:
        stamp_ns: of its end.
        xyz_base_m: (N, 3) float32 metres, base_link of then.
        T_odom_base: (4, 4) of then.
    """

    stamp_ns: int
    xyz_base_m: Float32Array
    T_odom_base: FloatArray


@dataclass
class ScanOdometryStep:
    """Deskews each scan by odometry, takes the vehicle itself out and matches the rest.

    Odometry needs to be smooth only: its motion since the last scan is the prediction, and along
    the scan it undoes the scan's own motion. A scan waits until odometry has come as far.

    Attributes:
        robot: its name, which frame ids begin with.
        config: of the odometry.
        boxes: the vehicle's own body in base_link; points in it are left out.
        max_wait_s: a scan that waits longer for its transforms is dropped.
        dropped: scans that were not used, by reason.
        matched: scans that gave a motion.
        seen: the newest scan that was looked at, None where none was.
    """

    robot: str
    config: ScanOdometryConfig = field(default_factory=ScanOdometryConfig)
    boxes: tuple[OwnBox, ...] = ()
    max_wait_s: float = 1.0

    def __post_init__(self) -> None:
        self.odometry = ScanOdometry(self.config)
        self.dropped: Counter[str] = Counter()
        self.matched = 0
        self.seen: SeenGround | None = None
        self._waiting: deque[Waiting] = deque()
        self._T_odom_last: FloatArray | None = None
        self._last_ns = -(1 << 62)

    def add(self, cloud: Cloud) -> None:
        """Queue a scan; where too many wait, the oldest gives way."""
        if len(self._waiting) >= _PENDING:
            self._waiting.popleft()
            self.dropped["waited_too_long"] += 1
        self._waiting.append(Waiting.of("", cloud, 0.0))

    @property
    def waiting(self) -> int:
        """How many scans wait for their transforms."""
        return len(self._waiting)

    def process(self, tree: TransformTree, now_ns: int) -> list[ScanMotion]:
        """Match the queued scans whose transforms have arrived, oldest first.

        Args:
            tree: transforms, odometry among them.
            now_ns: the clock that the stamps are of.
        """
        return list(self._process(tree, now_ns))

    def reset(self) -> None:
        """Forget map and queue: time was set back, or the vehicle was moved."""
        self.odometry.reset()
        self._waiting.clear()
        self._T_odom_last, self._last_ns, self.seen = None, -(1 << 62), None

    def _process(self, tree: TransformTree, now_ns: int) -> Iterator[ScanMotion]:
        for item in sorted(self._waiting, key=lambda scan: scan.last_ns):
            try:
                motion = self._match(item, tree)
            except ExtrapolationError:
                if now_ns - item.last_ns <= self.max_wait_s * 1e9:
                    continue
                self.dropped["stale_transform"] += 1
            except InvalidCloudError as error:
                self.dropped[error.reason] += 1
            except MissingTransformError:
                self.dropped["missing_transform"] += 1
            except TransformError:
                self.dropped["pose"] += 1
            else:
                if motion is not None:
                    self.matched += 1
                    yield motion
            self._waiting.remove(item)

    def _match(self, item: Waiting, tree: TransformTree) -> ScanMotion | None:
        if item.last_ns <= self._last_ns:
            raise InvalidCloudError("out_of_order", "a later scan has been matched before")
        xyz, T_odom_base = self._deskewed(item, tree)
        last = T_odom_base if self._T_odom_last is None else self._T_odom_last
        motion = self.odometry.update(item.last_ns, xyz, se3.invert(last) @ T_odom_base)
        if motion is None and self._T_odom_last is not None:
            self.dropped["unmatched"] += 1
        self._T_odom_last, self._last_ns = T_odom_base, item.last_ns
        self.seen = SeenGround(item.last_ns, xyz, T_odom_base)
        return motion

    def _deskewed(self, item: Waiting, tree: TransformTree) -> tuple[Float32Array, FloatArray]:
        """Points in base_link at the scan's end, without the vehicle's own, and the pose then."""
        cloud, end_ns = item.cloud, item.last_ns
        odom, base = odom_frame(self.robot), base_frame(self.robot)
        knots = np.unique(np.linspace(min(item.first_ns, end_ns), end_ns, _KNOTS).astype(np.int64))
        positions, quats = tree.lookup_many(odom, cloud.frame_id, knots)
        xyz: Float32Array = cloud.xyz_m
        if knots.size > 1:
            xyz = deskew(cloud, knots, positions, quats, end_ns)
        T_base_sensor = tree.lookup(base, cloud.frame_id, end_ns)
        T_odom_base = se3.make_transform(positions[-1], quats[-1]) @ se3.invert(T_base_sensor)
        own, count = own_points(xyz, T_base_sensor, self.boxes)
        if count:
            xyz = xyz.compress(~own, axis=0)
        R, t = T_base_sensor[:3, :3].astype(np.float32), T_base_sensor[:3, 3].astype(np.float32)
        return xyz @ R.T + t, T_odom_base
