"""The steps of a rover's autonomy, ROS-free: nodes, replay and lock-step all call these.

Each step owns one part of the core and speaks plain data. Frames follow REP-105; ids carry the
robot's name (``<robot>/odom``, ``<robot>/base_link``), ``map`` is shared.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.cloud.deskew import deskew
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.control.gate import GateConfig
from ilrs_robots.core.control.navigator import Navigator, NavigatorConfig, NavigatorOutput
from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.control.tracker import TrackerConfig
from ilrs_robots.core.errors import ExtrapolationError, InvalidCloudError, MissingTransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.localization.dead_reckoning import DeadReckoning, DeadReckoningConfig
from ilrs_robots.core.mapping.elevation_map import ElevationMap, ElevationMapConfig, UpdateReport
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.traversability import (
    TraversabilityConfig,
    TraversabilityLayers,
    traversability,
)
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    Float32Array,
    FloatArray,
    GridSpec,
    ImuSample,
    JointSample,
    OdometryEstimate,
)
from ilrs_robots.robots.model import RobotModel

MAP_FRAME: Final = "map"
STANDING_FORCE_TOLERANCE: Final = 0.1
"""Relative deviation from lunar gravity up to which a specific force shows where down is."""


def odom_frame(robot: str) -> str:
    """The robot's odometry frame id."""
    return f"{robot}/odom"


def base_frame(robot: str) -> str:
    """The robot's body frame id."""
    return f"{robot}/base_link"


def kinematics_of(model: RobotModel) -> SteeringKinematics:
    """Steering geometry of a rover for odometry, with the calibrated rolling radius."""
    wheels = model.wheels
    steered = np.array([name in wheels.steered for name in wheels.names])
    return SteeringKinematics(
        wheels.positions_xy_m,
        steered,
        wheels.rolling_radius_m,
        float(np.deg2rad(wheels.max_steer_deg)),
    )


def dead_reckoning_config_of(model: RobotModel) -> DeadReckoningConfig:
    """Dead reckoning's defaults with the mounts and the gyro of a rover."""
    return DeadReckoningConfig(
        imu_rpy_rad=model.imu.rpy_rad,
        star_tracker_rpy_rad=model.star_tracker.rpy_rad,
        gyro_noise_rps_sqrt_hz=model.imu.gyro_noise_rps_sqrt_hz,
        expected_slip_per_slope=model.wheels.slip_per_slope,
    )


def limits_of(model: RobotModel) -> VehicleLimits:
    """Terrain limits of a rover in the core's terms."""
    return VehicleLimits(
        max_slope_rad=float(np.deg2rad(model.limits.max_slope_deg)),
        max_step_m=model.limits.max_step_m,
        max_roughness_m=model.limits.max_roughness_m,
        footprint_length_m=model.footprint.length_m,
        footprint_width_m=model.footprint.width_m,
    )


def map_config_of(model: RobotModel) -> ElevationMapConfig:
    """The map's defaults with the range and the noise of a rover's lidar."""
    lidar = model.lidar
    return ElevationMapConfig(
        range_min_m=lidar.range_min_m,
        range_max_m=lidar.range_max_m,
        range_sigma_m=lidar.range_sigma_m,
    )


def navigator_config_of(model: RobotModel) -> NavigatorConfig:
    """The navigator's defaults with the speed limits of a rover."""
    return NavigatorConfig(
        tracker=TrackerConfig(
            max_speed_mps=model.limits.max_speed_mps,
            max_yaw_rate_rps=model.limits.max_yaw_rate_rps,
        )
    )


def gate_config_of(model: RobotModel) -> GateConfig:
    """Limits of a rover for the command gate."""
    limits = model.limits
    return GateConfig(
        max_speed_mps=limits.max_speed_mps,
        max_yaw_rate_rps=limits.max_yaw_rate_rps,
        max_accel_mps2=limits.max_accel_mps2,
        max_decel_mps2=limits.max_decel_mps2,
        max_yaw_accel_rps2=limits.max_yaw_accel_rps2,
        max_yaw_decel_rps2=limits.max_yaw_decel_rps2,
    )


def sensor_mounts(model: RobotModel, robot: str) -> dict[str, FloatArray]:
    """Sensor frame id -> (4, 4) T_base_sensor."""
    return {
        f"{robot}/{mount.frame}": se3.from_rpy(np.array(mount.position_m), mount.rpy_rad)
        for mount in model.sensors
    }


def new_tree(model: RobotModel, robot: str) -> TransformTree:
    """A transform tree that knows the robot's sensor mounts."""
    tree = TransformTree()
    for frame, transform in sensor_mounts(model, robot).items():
        tree.set_static(base_frame(robot), frame, transform)
    return tree


class LocalizationStep:
    """Wheel odometry, gyro and star tracker to the pose of ``base_link`` in ``odom``.

    ``odom`` starts at the given pose in ``map``: its origin stands where the robot stands and its
    axes are parallel to those of ``map``, so ``map -> odom`` is a pure translation until an
    absolute fix moves it.
    """

    def __init__(self, model: RobotModel, robot: str, cfg: DeadReckoningConfig) -> None:
        self.robot = robot
        self._filter = DeadReckoning(
            cfg,
            kinematics_of(model),
            wheel_names=model.wheels.names,
            steer_names=model.wheels.steered,
        )
        self._R_base_imu = se3.from_rpy(np.zeros(3), model.imu.rpy_rad)[:3, :3]
        self.T_map_odom: FloatArray = np.eye(4)
        self.started = False

    def start(self, T_map_base: FloatArray, stamp_ns: int) -> None:
        """Put the robot at a pose in ``map`` and start odometry there."""
        position, quat = se3.split_transform(T_map_base)
        self.T_map_odom = se3.make_transform(position, np.array([1.0, 0.0, 0.0, 0.0]))
        self._filter.reset(np.zeros(3), quat, stamp_ns)
        self.started = True

    def start_level(self, T_map_base: FloatArray, sample: ImuSample) -> None:
        """Start at a position and heading, with roll and pitch from the specific force.

        A vehicle rarely stands upright, and a map that begins with a wrong tilt keeps it.

        Args:
            T_map_base: (4, 4) position and heading; its roll and pitch are not used.
            sample: taken while the vehicle stands.
        """
        up = self._R_base_imu @ np.asarray(sample.specific_force_mps2, dtype=np.float64)
        length = float(np.linalg.norm(up))
        roll = pitch = 0.0
        if abs(length / MOON_GRAVITY_MPS2 - 1.0) < STANDING_FORCE_TOLERANCE:
            roll = float(np.arctan2(up[1], up[2]))
            pitch = float(np.arctan2(-up[0], np.hypot(up[1], up[2])))
        position, quat = se3.split_transform(T_map_base)
        self.start(se3.from_rpy(position, (roll, pitch, se3.yaw_of(quat))), sample.stamp_ns)

    def on_imu(self, sample: ImuSample) -> None:
        """Integrate one inertial measurement."""
        self._filter.on_imu(sample)

    def on_attitude(self, sample: AttitudeSample) -> None:
        """Correct attitude by a star tracker's answer."""
        self._filter.on_attitude(sample)

    def on_joints(self, sample: JointSample) -> OdometryEstimate | None:
        """Advance the position; None while there is not enough to do so."""
        return self._filter.on_joints(sample)

    @property
    def counters(self) -> dict[str, int]:
        """Refused measurements by reason."""
        return dict(self._filter.refused)


@dataclass(frozen=True)
class MappingConfig:
    """Terrain mapping besides the map itself."""

    max_wait_s: float = param(
        1.0, doc="how long a scan waits for its transforms", unit="s", low=0.0, high=10.0
    )
    max_pending: int = param(4, doc="scans that may wait for transforms", low=1, high=100)
    knots: int = param(9, doc="poses looked up along one scan", low=2, high=1000)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class MapUpdate:
    """What one scan did."""

    stamp_ns: int
    report: UpdateReport


@dataclass
class MappingStep:
    """Scans into the rolling elevation map, and the map into traversability."""

    robot: str
    limits: VehicleLimits
    map_config: ElevationMapConfig = field(default_factory=ElevationMapConfig)
    traversability_config: TraversabilityConfig = field(default_factory=TraversabilityConfig)
    cfg: MappingConfig = field(default_factory=MappingConfig)

    def __post_init__(self) -> None:
        self.map = ElevationMap(self.map_config)
        self.dropped: dict[str, int] = {}
        self.last_error = ""
        self.last_stamp_ns: int | None = None
        self._pending: deque[Cloud] = deque()

    def drop(self, reason: str, message: str) -> None:
        """Count a scan that is not used, by reason."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self.last_error = message

    def add(self, cloud: Cloud) -> None:
        """Queue a scan until its transforms are there; the oldest gives way."""
        while len(self._pending) >= self.cfg.max_pending:
            old = self._pending.popleft()
            self.drop("waited_too_long", f"scan at {old.stamp_ns * 1e-9:.3f} s found no transform")
        self._pending.append(cloud)

    def process(self, tree: TransformTree, now_ns: int) -> list[MapUpdate]:
        """Fuse every queued scan whose transforms have arrived, oldest first."""
        done: list[MapUpdate] = []
        while self._pending:
            cloud = self._pending[0]
            try:
                update = self._fuse(cloud, tree)
            except MissingTransformError as error:
                if not self._expired(cloud, now_ns):
                    break
                self.drop("missing_transform", str(error))
            except ExtrapolationError as error:
                if not self._expired(cloud, now_ns) and self._may_come(cloud, tree):
                    break
                self.drop("stale_transform", str(error))
            except InvalidCloudError as error:
                self.drop(error.reason, str(error))
            else:
                done.append(update)
            self._pending.popleft()
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
        self._pending.clear()

    def _expired(self, cloud: Cloud, now_ns: int) -> bool:
        return now_ns - cloud.stamp_ns > self.cfg.max_wait_s * 1e9

    def _may_come(self, cloud: Cloud, tree: TransformTree) -> bool:
        """Whether the data at the scan's stamp lies in the future, not in the past."""
        latest = tree.latest_stamp(odom_frame(self.robot), cloud.frame_id)
        return latest is None or latest < _end_ns(cloud)

    def _fuse(self, cloud: Cloud, tree: TransformTree) -> MapUpdate:
        end_ns = _end_ns(cloud)
        odom = odom_frame(self.robot)
        knots = np.unique(np.linspace(cloud.stamp_ns, end_ns, self.cfg.knots).astype(np.int64))
        if cloud.time_offset_ns is None or knots.size < 2:
            T_odom_sensor = tree.lookup(odom, cloud.frame_id, end_ns)
            xyz: Float32Array = cloud.xyz_m
        else:
            positions, quats = tree.lookup_many(odom, cloud.frame_id, knots)
            T_odom_sensor = se3.make_transform(positions[-1], quats[-1])
            xyz = deskew(cloud, knots, positions, quats, end_ns)
        self.map.recentre(T_odom_sensor[:2, 3])
        report = self.map.update(xyz, T_odom_sensor, end_ns)
        self.last_stamp_ns = end_ns
        return MapUpdate(end_ns, report)


def _end_ns(cloud: Cloud) -> int:
    if cloud.time_offset_ns is None or cloud.time_offset_ns.size == 0:
        return cloud.stamp_ns
    return cloud.stamp_ns + int(cloud.time_offset_ns.max())


class NavigationStep:
    """Goals in ``map`` to velocity commands, over the prior and what the robot has seen."""

    def __init__(self, model: RobotModel, prior: Dem, cfg: NavigatorConfig) -> None:
        self.navigator = Navigator(cfg, limits_of(model), prior)
        self.last_map_ns: int | None = None

    def on_traversability(
        self, cost: Float32Array, spec: GridSpec, T_map_odom: FloatArray, stamp_ns: int
    ) -> None:
        """Take the newest hazard grid (odom frame)."""
        self.navigator.on_traversability(cost, spec, T_map_odom, stamp_ns)
        self.last_map_ns = stamp_ns

    def step(self, now_ns: int, T_map_base: FloatArray, speed_mps: float) -> NavigatorOutput:
        """One control period."""
        x, y = T_map_base[:2, 3]
        yaw = se3.yaw_of(se3.split_transform(T_map_base)[1])
        return self.navigator.step(now_ns, float(x), float(y), yaw, speed_mps)
