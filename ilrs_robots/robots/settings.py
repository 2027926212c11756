"""What a robot's file says, in the terms of the core's configurations."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.cloud.self_filter import OwnBox
from ilrs_robots.core.control.gate import GateConfig
from ilrs_robots.core.control.navigator import NavigatorConfig
from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.control.tracker import TrackerConfig
from ilrs_robots.core.localization.dead_reckoning import DeadReckoningConfig
from ilrs_robots.core.mapping.elevation_map import ElevationMapConfig
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.sensor_noise import SensorNoise
from ilrs_robots.core.mapping.traversability import TraversabilityConfig, scaled_to
from ilrs_robots.core.planning.costmap import CostmapConfig
from ilrs_robots.core.planning.grid_planner import PlannerConfig
from ilrs_robots.robots.model import RobotModel

BESIDE_M: Final = 0.2
"""Kept beside half the footprint's width: tracking error and the map's cell."""


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
        max_wheel_rps=model.wheels.max_speed_rps,
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


def traversability_config_of(model: RobotModel) -> TraversabilityConfig:
    """Traversability's defaults at the scale of a rover's footprint."""
    return scaled_to(limits_of(model), TraversabilityConfig())


def noises_of(model: RobotModel, robot: str) -> dict[str, SensorNoise]:
    """Noise of each range sensor of a robot by frame id.

    What a sensor's section does not say is the map's default.
    """
    lidar = model.lidar
    top_rad = math.radians(lidar.elevation_max_deg)
    noises = {lidar.frame: SensorNoise(range_sigma_m=lidar.range_sigma_m, view_top_rad=top_rad)}
    for sensor in model.range_sensors.values():
        noises[sensor.frame] = SensorNoise(
            sensor.height_sigma_m,
            sensor.range_sigma_m,
            math.radians(sensor.angle_sigma_deg),
            view_top_rad=math.radians(sensor.elevation_max_deg),
        )
    return {f"{robot}/{frame}": noise for frame, noise in noises.items()}


def navigator_config_of(model: RobotModel) -> NavigatorConfig:
    """The navigator's defaults with the size and the speed limits of a rover."""
    limits = model.limits
    return NavigatorConfig(
        costmap=CostmapConfig(lethal_radius_m=0.5 * model.footprint.width_m + BESIDE_M),
        planner=PlannerConfig(
            speed_mps=limits.max_speed_mps, turn_rate_rps=limits.max_yaw_rate_rps
        ),
        tracker=TrackerConfig(
            max_speed_mps=limits.max_speed_mps, max_yaw_rate_rps=limits.max_yaw_rate_rps
        ),
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


def own_boxes_of(model: RobotModel, margin_m: float) -> tuple[OwnBox, ...]:
    """Body and wheels of a rover, for taking its own points out of scans.

    A wheel's box holds it at every steering angle and begins a margin above the ground, so that
    the ground beside a wheel stays.
    """
    half = 0.5 * np.array(model.body.size_m) + margin_m
    centre = np.array(model.body.centre_m)
    boxes = [_box(centre - half, centre + half)]
    wheels = model.wheels
    for name, (x, y) in wheels.positions.items():
        long = wheels.radius_m + margin_m
        wide = 0.5 * wheels.width_m + margin_m
        if name in wheels.steered:
            wide = max(long, wide)
        low = (x - long, y - wide, 2.0 * margin_m)
        boxes.append(_box(low, (x + long, y + wide, 2.0 * wheels.radius_m + margin_m)))
    return tuple(boxes)


def _box(low: ArrayLike, high: ArrayLike) -> OwnBox:
    (a, b, c), (d, e, f) = np.asarray(low).tolist(), np.asarray(high).tolist()
    return OwnBox((a, b, c), (d, e, f))
