"""Terrain mapping of a rover as one step: scans of any number of sensors in, hazards out."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.clock import ClockWatch, other_clock
from ilrs_robots.core.cloud.deskew import deskew
from ilrs_robots.core.cloud.self_filter import OwnBox, own_points
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import ExtrapolationError, InvalidCloudError, MissingTransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.mapping.elevation_map import ElevationMap, ElevationMapConfig, UpdateReport
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.traversability import (
    TraversabilityConfig,
    TraversabilityLayers,
    traversability,
)
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.frames import base_frame, odom_frame

_REMEMBERED: Final = 64
"""Stamps of a sensor's last scans by which a repeated one is known."""


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


@dataclass(frozen=True)
class _Waiting:
    source: str
    cloud: Cloud
    first_ns: int
    last_ns: int
    arrived_s: float


@dataclass
class MappingStep:
    """Scans into the rolling elevation map, and the map into traversability.

    Each scan is fused at its own stamp and in its own frame, so sensors may come in any number
    and order. A scan waits for its transforms, never for ever.

    Time is that which ``process`` is shown. Where it is set back, a simulated clock means another
    run: map and waiting scans are forgotten. A wall clock means the same place: heights stay and
    their times are moved to the new time.

    Attributes:
        boxes: the vehicle's own body in base_link; points in it are left out.
        simulated_time: whose clock it is, see above.
        tallies: scans fused and dropped by sensor.
        last_error: why the last dropped scan was dropped.
        last_stamp_ns: newest point in the map, None while it is empty.
        resets: how often time was set back.
    """

    robot: str
    limits: VehicleLimits
    map_config: ElevationMapConfig = field(default_factory=ElevationMapConfig)
    traversability_config: TraversabilityConfig = field(default_factory=TraversabilityConfig)
    cfg: MappingConfig = field(default_factory=MappingConfig)
    boxes: tuple[OwnBox, ...] = ()
    simulated_time: bool = True

    def __post_init__(self) -> None:
        self.map = ElevationMap(self.map_config)
        self.tallies: dict[str, SensorTally] = {}
        self.last_error = ""
        self.last_stamp_ns: int | None = None
        self.resets = 0
        self._clock = ClockWatch(self.simulated_time)
        self._waiting: list[_Waiting] = []

    @property
    def dropped(self) -> dict[str, int]:
        """Scans that were not used, by reason, of all sensors."""
        return dict(sum((tally.dropped for tally in self.tallies.values()), Counter[str]()))

    @property
    def waiting(self) -> bool:
        """Whether a scan waits for its transforms."""
        return bool(self._waiting)

    def tally(self, source: str) -> SensorTally:
        """What came of one sensor's scans."""
        return self.tallies.setdefault(source, SensorTally())

    def drop(self, reason: str, message: str, source: str = "") -> None:
        """Count a scan that is not used, by reason."""
        self.tally(source).dropped[reason] += 1
        self.last_error = f"{source}: {message}" if source else message

    def add(self, cloud: Cloud, source: str = "", arrived_s: float = 0.0) -> None:
        """Queue a scan until its transforms are there; a sensor's oldest gives way.

        Args:
            cloud: a second one of the same sensor with the same frame and stamp is counted as
                ``repeated`` and not used.
            source: name of the sensor, for example its topic.
            arrived_s: any time of the caller's; comes back in ``MapUpdate``.
        """
        tally = self.tally(source)
        key = cloud.frame_id, cloud.stamp_ns
        if key in tally.seen:
            self.drop("repeated", f"the scan of {_seconds(cloud.stamp_ns)} came again", source)
            return
        tally.seen.append(key)
        mine = [item for item in self._waiting if item.source == source]
        if len(mine) >= self.cfg.max_pending:
            self._waiting.remove(mine[0])
            when = _seconds(mine[0].cloud.stamp_ns)
            self.drop("waited_too_long", f"the scan of {when} found no transform", source)
        self._waiting.append(_Waiting(source, cloud, *_span_ns(cloud), arrived_s))

    def process(self, tree: TransformTree, now_ns: int) -> list[MapUpdate]:
        """Fuse every queued scan whose transforms have arrived, oldest first.

        Args:
            tree: transforms.
            now_ns: the clock that the stamps are of.
        """
        back_ns = self._clock.went_back_ns(now_ns)
        if back_ns:
            self._on_time_set_back(back_ns)
        done: list[MapUpdate] = []
        waiting: list[_Waiting] = []
        for item in sorted(self._waiting, key=lambda scan: scan.last_ns):
            try:
                if not self._refuse(item, now_ns):
                    done.append(self._fuse(item, tree))
            except (MissingTransformError, ExtrapolationError) as error:
                missing = isinstance(error, MissingTransformError)
                late = now_ns - item.last_ns > self.cfg.max_wait_s * 1e9
                if late or not (missing or self._may_come(item, tree)):
                    reason = "missing_transform" if missing else "stale_transform"
                    self.drop(reason, str(error), item.source)
                else:
                    waiting.append(item)
            except InvalidCloudError as error:
                self.drop(error.reason, str(error), item.source)
        self._waiting = waiting
        return done

    def traversability(self) -> tuple[TraversabilityLayers, GridSpec]:
        """Hazard layers of the current window, with the window (odom frame)."""
        spec = self.map.spec
        layers = traversability(
            self.map.layer("elevation"),
            spec.resolution_m,
            self.limits,
            self.traversability_config,
            self.map.layer("upper_bound"),
        )
        return layers, spec

    def clear(self) -> None:
        """Forget the map and what waits."""
        self.map.clear()
        self._waiting.clear()
        self.last_stamp_ns = None

    def _refuse(self, item: _Waiting, now_ns: int) -> bool:
        """Drop a scan whose stamp cannot be used, now or soon."""
        reason = ""
        ahead_s = (item.last_ns - now_ns) * 1e-9
        says = other_clock("the scan", item.last_ns, now_ns)
        when = f"the scan of {_seconds(item.last_ns)} is {abs(ahead_s):.3f} s"
        if says:
            reason = "other_clock"
        elif ahead_s > self.cfg.max_wait_s:
            reason, says = "from_the_future", f"{when} ahead, limit {self.cfg.max_wait_s} s"
        elif -ahead_s > self.cfg.max_age_s:
            reason, says = "too_old", f"{when} old, limit {self.cfg.max_age_s} s"
        if reason:
            self.drop(reason, says, item.source)
        return bool(reason)

    def _on_time_set_back(self, back_ns: int) -> None:
        self.resets += 1
        for tally in self.tallies.values():
            tally.seen.clear()
        if self.simulated_time:
            for item in self._waiting:
                self.drop("time_reset", f"time was set back by {_seconds(back_ns)}", item.source)
            self.clear()
            return
        arrays = self.map.to_arrays()
        arrays["time_origin_ns"] = arrays["time_origin_ns"] - back_ns
        self.map = ElevationMap.from_arrays(arrays)
        if self.last_stamp_ns is not None:
            self.last_stamp_ns -= back_ns

    def _may_come(self, item: _Waiting, tree: TransformTree) -> bool:
        """Whether the data at the scan's stamps lie in the future, not in the past."""
        latest = tree.latest_stamp(odom_frame(self.robot), item.cloud.frame_id)
        return latest is None or latest < item.last_ns

    def _fuse(self, item: _Waiting, tree: TransformTree) -> MapUpdate:
        cloud, end_ns = item.cloud, item.last_ns
        odom = odom_frame(self.robot)
        first_ns = min(item.first_ns, end_ns)
        knots = np.unique(np.linspace(0, end_ns - first_ns, self.cfg.knots).astype(np.int64))
        if knots.size < 2:
            T_odom_sensor = tree.lookup(odom, cloud.frame_id, end_ns)
            xyz: Float32Array = cloud.xyz_m
        else:
            knots += first_ns
            positions, quats = tree.lookup_many(odom, cloud.frame_id, knots)
            T_odom_sensor = se3.make_transform(positions[-1], quats[-1])
            xyz = deskew(cloud, knots, positions, quats, end_ns)
        T_base_sensor = tree.lookup(base_frame(self.robot), cloud.frame_id, end_ns)
        xyz, own = self._without_self(xyz, T_base_sensor)
        # A sensor that is a little behind another one does not make cells older again.
        stamp_ns = end_ns if self.last_stamp_ns is None else max(end_ns, self.last_stamp_ns)
        self.map.recentre((T_odom_sensor @ se3.invert(T_base_sensor))[:2, 3])
        report = self.map.update(xyz, T_odom_sensor, stamp_ns)
        self.last_stamp_ns = stamp_ns
        self.tally(item.source).fused += 1
        return MapUpdate(end_ns, report, item.source, own, item.arrived_s)

    def _without_self(
        self, xyz: Float32Array, T_base_sensor: FloatArray
    ) -> tuple[Float32Array, int]:
        """The points that are not on the vehicle, and how many were."""
        if not (self.boxes and self.cfg.self_filter):
            return xyz, 0
        own, count = own_points(xyz, T_base_sensor, self.boxes)
        if count and count == len(xyz):
            raise InvalidCloudError("own_body", f"all of {count} points are on the vehicle itself")
        return (xyz.compress(~own, axis=0) if count else xyz), count


def _span_ns(cloud: Cloud) -> tuple[int, int]:
    """Times of the first and of the last point; drivers stamp a scan at its begin or its end."""
    offsets = cloud.time_offset_ns
    if offsets is None or offsets.size == 0:
        return cloud.stamp_ns, cloud.stamp_ns
    return cloud.stamp_ns + int(offsets.min()), cloud.stamp_ns + int(offsets.max())


def _seconds(time_ns: int) -> str:
    return f"{time_ns * 1e-9:.3f} s"
