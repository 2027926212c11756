"""What terrain mapping is told and what it says of each scan and sensor."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.mapping.elevation_map import UpdateReport
from ilrs_robots.core.types import Cloud, FloatArray, IntArray

_REMEMBERED: Final = 64
"""Stamps of a sensor's last scans by which a repeated one is known."""
_SAMPLED: Final = 37
"""One point of so many tells whether two scans are the same; columns of a scan are no multiple."""
_KEPT_POSES: Final = 512
_NEAR_NS: Final = 500_000_000
"""A pose's covariance says nothing of times farther away."""


@dataclass(frozen=True)
class MappingConfig:
    """Terrain mapping besides the map itself."""

    max_wait_s: float = param(
        1.0, doc="how long a scan waits for its transforms", unit="s", low=0.0, high=10.0
    )
    max_age_s: float = param(
        10.0, doc="age beyond which a scan is not used", unit="s", low=0.1, high=60.0
    )
    max_pending: int = param(
        4, doc="scans of one sensor that may wait for transforms", low=1, high=100
    )
    knots: int = param(9, doc="poses looked up along one scan", low=2, high=1000)
    self_filter: bool = param(True, doc="whether points on the vehicle itself are left out")
    self_margin_m: float = param(
        0.05, doc="how much larger the vehicle is taken for that", unit="m", low=0.0, high=1.0
    )
    frozen_after: int = param(
        20, doc="equal scans in a row after which a sensor is taken for stuck", low=1, high=10_000
    )
    jump_m: float = param(
        2.0, doc="a pose that is farther from the last one is a jump", unit="m", low=0.1, high=1e3
    )
    jump_speed_mps: float = param(
        5.0, doc="by how much that grows with time", unit="m/s", low=0.0, high=100.0
    )
    jump_hold_s: float = param(
        2.0, doc="scans at a jumped pose are left out for so long", unit="s", low=0.0, high=60.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class MapUpdate:
    """What one scan did.

    Attributes:
        stamp_ns: time of its last point.
        report: of the map.
        source: the sensor.
        own_points: points on the vehicle itself, left out.
        arrived_s: as given to ``MappingStep.add``.
    """

    stamp_ns: int
    report: UpdateReport
    source: str = ""
    own_points: int = 0
    arrived_s: float = 0.0


@dataclass
class SensorTally:
    """What came of one sensor's scans."""

    fused: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    seen: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    same: int = 0
    _print: tuple[int, int] = (-1, 0)

    def repeats(self, cloud: Cloud) -> int:
        """How often in a row the sensor has given the points of this scan, this one included.

        A sensor that is alive has noise: no two of its scans are alike.
        """
        sample = np.ascontiguousarray(cloud.xyz_m[::_SAMPLED])
        found = len(cloud.xyz_m), zlib.crc32(sample.data)
        self.same = self.same + 1 if found == self._print else 1
        self._print = found
        return self.same


@dataclass(frozen=True)
class Waiting:
    """A scan that waits for its transforms."""

    source: str
    cloud: Cloud
    first_ns: int
    last_ns: int
    arrived_s: float

    @classmethod
    def of(cls, source: str, cloud: Cloud, arrived_s: float) -> Waiting:
        """Times of the first and of the last point; drivers stamp a scan at its begin or end."""
        offsets = cloud.time_offset_ns
        first = last = cloud.stamp_ns
        if offsets is not None and offsets.size:
            first += int(offsets.min())
            last += int(offsets.max())
        return cls(source, cloud, first, last, arrived_s)


class PoseSpread:
    """How uncertain the pose of a scan is against the scans before it.

    Dead reckoning's covariance in odom grows for ever, but two scans in a row share nearly all of
    it: what counts for a map in odom is by how much the height's variance has grown since the
    last scan. Tilt is not shared that way, its error shows at every distance anew, so roll and
    pitch count whole.
    """

    def __init__(self) -> None:
        self._poses: deque[tuple[int, FloatArray]] = deque(maxlen=_KEPT_POSES)
        self._z_variance: float | None = None

    def add(self, stamp_ns: int, covariance: FloatArray) -> None:
        """Take the (6, 6) covariance of x, y, z, roll, pitch, yaw at a stamp; odom frame."""
        spread = np.diagonal(covariance).astype(np.float64)
        if np.isfinite(spread).all() and (spread >= 0.0).all():
            self._poses.append((stamp_ns, spread))

    def add_many(self, stamps_ns: IntArray, covariances: FloatArray) -> None:
        """As ``add`` for (N,) stamps and (N, 6, 6) covariances of poses in metres and rad."""
        stamps, recent = stamps_ns[-_KEPT_POSES:], covariances[-_KEPT_POSES:]
        spread = np.diagonal(recent, axis1=1, axis2=2).astype(np.float64)
        good = (np.isfinite(spread) & (spread >= 0.0)).all(axis=1)
        self._poses.extend(zip(stamps[good].tolist(), spread[good], strict=True))

    def at(self, stamp_ns: int) -> FloatArray | None:
        """(6, 6) to fuse a scan with; None where no pose near the stamp said anything."""
        if not self._poses:
            return None
        near_ns, spread = min(self._poses, key=lambda pose: abs(pose[0] - stamp_ns))
        if abs(near_ns - stamp_ns) > _NEAR_NS or not spread.any():
            return None
        before = spread[2] if self._z_variance is None else self._z_variance
        self._z_variance = float(spread[2])
        relative = np.zeros((6, 6))
        relative[2, 2] = max(spread[2] - before, 0.0)
        relative[3, 3], relative[4, 4] = spread[3], spread[4]
        return relative

    def clear(self) -> None:
        """Forget every pose."""
        self._poses.clear()
        self._z_variance = None


def seconds(time_ns: int) -> str:
    """A time for messages."""
    return f"{time_ns * 1e-9:.3f} s"
