"""Terrain mapping of a rover as one step: scans of any number of sensors in, hazards out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.clock import ClockWatch
from ilrs_robots.core.cloud.deskew import deskew
from ilrs_robots.core.cloud.self_filter import OwnBox, inside_discs, own_points
from ilrs_robots.core.errors import (
    ConfigError,
    ExtrapolationError,
    InvalidCloudError,
    MissingTransformError,
    TransformError,
)
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.mapping.elevation_map import (
    ElevationMap,
    ElevationMapConfig,
    UpdateReport,
)
from ilrs_robots.core.mapping.hazard_tracker import HazardTracker
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.sensor_noise import SensorNoise
from ilrs_robots.core.mapping.traversability import TraversabilityConfig, TraversabilityLayers
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray, GridSpec, IntArray
from ilrs_robots.robots.frames import base_frame, odom_frame
from ilrs_robots.robots.mapping_types import (
    MappingConfig,
    MapUpdate,
    PoseSpread,
    SensorTally,
    Waiting,
    seconds,
)
from ilrs_robots.robots.mapping_watch import JumpWatch, stamp_refusal, why_empty

__all__ = ["MapUpdate", "MappingConfig", "MappingStep", "SensorTally"]

_NO_DISCS: FloatArray = np.zeros((0, 3))


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
        noises: noise of each sensor by frame id; the map's own for others.
        others: gives (N, 3) x, y and radius of other vehicles in odom, metres, at a stamp.
        tallies: scans fused and dropped by sensor.
        last_error: why the last dropped scan was dropped.
        last_stamp_ns: newest point in the map, None while it is empty.
        resets: how often time was set back.
        filled: whether any point is in the map.
    """

    robot: str
    limits: VehicleLimits
    map_config: ElevationMapConfig = field(default_factory=ElevationMapConfig)
    traversability_config: TraversabilityConfig = field(default_factory=TraversabilityConfig)
    cfg: MappingConfig = field(default_factory=MappingConfig)
    boxes: tuple[OwnBox, ...] = ()
    simulated_time: bool = True
    noises: Mapping[str, SensorNoise] = field(default_factory=dict)
    others: Callable[[int], FloatArray] | None = None

    def __post_init__(self) -> None:
        self.map = ElevationMap(self.map_config)
        self.tallies: dict[str, SensorTally] = {}
        self.last_error = ""
        self.last_stamp_ns: int | None = None
        self.resets = 0
        self.filled = False
        self._last_report: UpdateReport | None = None
        self._clock = ClockWatch(self.simulated_time)
        self._jump = JumpWatch()
        self._spread = PoseSpread()
        self._tracker = HazardTracker(self.limits, self.traversability_config)
        self._hazards: TraversabilityLayers | None = None
        self._waiting: list[Waiting] = []

    @property
    def dropped(self) -> dict[str, int]:
        """Scans that were not used, by reason, of all sensors."""
        return dict(sum((tally.dropped for tally in self.tallies.values()), Counter[str]()))

    @property
    def jumps(self) -> int:
        """How often the pose jumped and stayed there."""
        return self._jump.accepted

    @property
    def frozen(self) -> list[str]:
        """Sensors that repeat one scan."""
        most = self.cfg.frozen_after
        return [source for source, tally in self.tallies.items() if tally.same > most]

    def why_empty(self) -> str:
        """Why nothing is in the map, in one sentence; empty when something is."""
        if self.filled:
            return ""
        return why_empty(
            self.tallies, self.last_error, self._last_report, len(self._waiting), self.map.config
        )

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
            self.drop("repeated", f"the scan of {seconds(cloud.stamp_ns)} came again", source)
            return
        tally.seen.append(key)
        same = tally.repeats(cloud)
        if same > self.cfg.frozen_after:
            what = f"the same {len(cloud.xyz_m)} points came {same} times in a row"
            self.drop("frozen", f"the sensor repeats one scan: {what}", source)
            return
        mine = [item for item in self._waiting if item.source == source]
        if len(mine) >= self.cfg.max_pending:
            self._waiting.remove(mine[0])
            when = seconds(mine[0].cloud.stamp_ns)
            self.drop("waited_too_long", f"the scan of {when} found no transform", source)
        self._waiting.append(Waiting.of(source, cloud, arrived_s))

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
        waiting: list[Waiting] = []
        for item in sorted(self._waiting, key=lambda scan: scan.last_ns):
            try:
                reason, says = stamp_refusal(item, now_ns, self.cfg)
                if reason:
                    self.drop(reason, says, item.source)
                else:
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
            except (ConfigError, TransformError) as error:
                self.drop("pose", str(error), item.source)
        self._waiting = waiting
        return done

    def on_odometry(self, stamp_ns: int, pose_covariance: FloatArray) -> None:
        """Take how uncertain the pose is; scans are fused by it.

        Args:
            stamp_ns: of the pose.
            pose_covariance: (6, 6) covariance of x, y, z, roll, pitch, yaw as in ROS.
        """
        self._spread.add(stamp_ns, pose_covariance)

    def on_odometries(self, stamps_ns: IntArray, pose_covariances: FloatArray) -> None:
        """As ``on_odometry`` for (N,) stamps and (N, 6, 6) covariances in metres and rad."""
        self._spread.add_many(stamps_ns, pose_covariances)

    def traversability(self) -> tuple[TraversabilityLayers, GridSpec]:
        """Hazard layers of the current window, with the window (odom frame).

        They are computed once for each state of the map.
        """
        spec = self.map.spec
        if self._tracker.config is not self.traversability_config:
            self._tracker.reconfigure(self.traversability_config)
            self._hazards = None
        if self._hazards is None:
            heights = self.map.layer("elevation"), self.map.layer("upper_bound")
            self._hazards = self._tracker.update(*heights, spec)
        return self._hazards, spec

    def clear(self) -> None:
        """Forget the map and what waits."""
        self.map.clear()
        self._hazards = self._last_report = None
        self._waiting.clear()
        self.last_stamp_ns = None
        self.filled = False
        self._jump.clear()

    def restore(self, arrays: dict[str, NDArray[Any]], stamp_ns: int | None) -> None:
        """Take a map that was kept instead of the present one.

        Args:
            arrays: as ``ElevationMap.to_arrays`` gave them, layers (size, size) in the map's
                units and in today's odom frame.
            stamp_ns: its newest point, on today's clock.

        Raises:
            ConfigError: the arrays are no map; the present one stays.
        """
        self._take_map(ElevationMap.from_arrays(arrays))
        self.last_stamp_ns = stamp_ns
        self.filled = stamp_ns is not None

    def _take_map(self, other: ElevationMap) -> None:
        self.map, self._hazards, self._last_report = other, None, None

    def _on_time_set_back(self, back_ns: int) -> None:
        self.resets += 1
        for tally in self.tallies.values():
            tally.seen.clear()
        if self.simulated_time:
            for item in self._waiting:
                self.drop("time_reset", f"time was set back by {seconds(back_ns)}", item.source)
            self.clear()
            return
        arrays = self.map.to_arrays()
        arrays["time_origin_ns"] = arrays["time_origin_ns"] - back_ns
        self._take_map(ElevationMap.from_arrays(arrays))
        self._jump.clear()
        self._spread.clear()
        if self.last_stamp_ns is not None:
            self.last_stamp_ns -= back_ns

    def _may_come(self, item: Waiting, tree: TransformTree) -> bool:
        """Whether the data at the scan's stamps lie in the future, not in the past."""
        latest = tree.latest_stamp(odom_frame(self.robot), item.cloud.frame_id)
        return latest is None or latest < item.last_ns

    def _fuse(self, item: Waiting, tree: TransformTree) -> MapUpdate:
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
        T_odom_base = T_odom_sensor @ se3.invert(T_base_sensor)
        jump = self._jump.refusal(T_odom_base[:3, 3], end_ns, self.cfg)
        if jump:
            raise InvalidCloudError("pose_jump", jump)
        xyz, intensity, own = self._without_self(xyz, cloud.intensity, T_base_sensor)
        xyz, intensity, own = self._without_others(xyz, intensity, own, T_odom_sensor, end_ns)
        # A sensor that is a little behind another one does not make cells older again.
        stamp_ns = end_ns if self.last_stamp_ns is None else max(end_ns, self.last_stamp_ns)
        self.map.recentre(T_odom_base[:2, 3])
        self._hazards = None
        covariance, noise = self._spread.at(end_ns), self.noises.get(cloud.frame_id)
        report = self.map.update(xyz, T_odom_sensor, stamp_ns, covariance, noise, intensity)
        self.last_stamp_ns, self._last_report = stamp_ns, report
        self.filled = self.filled or report.cells_touched > 0
        self.tally(item.source).fused += 1
        return MapUpdate(end_ns, report, item.source, own, item.arrived_s)

    def _without_others(
        self, xyz: Float32Array, intensity: Float32Array | None, own: int,
        T_odom_sensor: FloatArray, stamp_ns: int,
    ) -> tuple[Float32Array, Float32Array | None, int]:  # fmt: skip
        """Without what stands on other vehicles: they move on, the map would keep them."""
        discs = _NO_DISCS if self.others is None else self.others(stamp_ns)
        if not len(discs) or not len(xyz):
            return xyz, intensity, own
        inside = inside_discs(xyz, T_odom_sensor, discs)
        count = int(np.count_nonzero(inside))
        if not count:
            return xyz, intensity, own
        rest = None if intensity is None else intensity[~inside]
        return xyz.compress(~inside, axis=0), rest, own + count

    def _without_self(
        self, xyz: Float32Array, intensity: Float32Array | None, T_base_sensor: FloatArray
    ) -> tuple[Float32Array, Float32Array | None, int]:
        """The points that are not on the vehicle with their intensity, and how many were."""
        if not (self.boxes and self.cfg.self_filter):
            return xyz, intensity, 0
        own, count = own_points(xyz, T_base_sensor, self.boxes)
        if count and count == len(xyz):
            raise InvalidCloudError("own_body", f"all of {count} points are on the vehicle itself")
        if not count:
            return xyz, intensity, 0
        rest = None if intensity is None else intensity[~own]
        return xyz.compress(~own, axis=0), rest, count
