"""What a robot's file says, in the terms of the core's configurations."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from ilrs_robots.core.cloud.self_filter import OwnBox
from ilrs_robots.core.control.drive import DriveLimits, WheelDrive
from ilrs_robots.core.control.gate import GateConfig
from ilrs_robots.core.control.ground_guard import Brakes, GroundGuard, GuardConfig
from ilrs_robots.core.control.mppi_config import DrivingLimits
from ilrs_robots.core.control.navigator import NavigatorConfig
from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.control.tracker import TrackerConfig
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning import DeadReckoningConfig
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.mapping.elevation_map import ElevationMapConfig
from ilrs_robots.core.mapping.limits import VehicleLimits
from ilrs_robots.core.mapping.sensor_noise import SensorNoise
from ilrs_robots.core.mapping.traversability import TraversabilityConfig, scaled_to
from ilrs_robots.core.planning.costmap import CostmapConfig
from ilrs_robots.core.planning.grid_planner import PlannerConfig
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import HopperModel, RobotModel, RoverModel, require_rover

BESIDE_M: Final = 0.2
"""Kept beside half the footprint's width: tracking error and the map's cell."""


def kinematics_of(model: RobotModel) -> SteeringKinematics:
    """Steering geometry of a rover for odometry, with the calibrated rolling radius.

    Raises:
        ConfigError: the vehicle has no wheels.
    """
    wheels = require_rover(model, "wheel odometry").wheels
    steered = np.array([name in wheels.steered for name in wheels.names])
    return SteeringKinematics(
        wheels.positions_xy_m,
        steered,
        wheels.rolling_radius_m,
        float(np.deg2rad(wheels.max_steer_deg)),
    )


def wheel_drive_of(model: RobotModel) -> WheelDrive:
    """The drive of a rover that stands still; its wheels turn by the true radius.

    Raises:
        ConfigError: the vehicle has no wheels.
    """
    rover = require_rover(model, "driving")
    wheels, limits = rover.wheels, rover.limits
    steered = np.array([name in wheels.steered for name in wheels.names])
    kinematics = SteeringKinematics(
        wheels.positions_xy_m, steered, wheels.radius_m, math.radians(wheels.max_steer_deg)
    )
    return WheelDrive(
        kinematics,
        DriveLimits(
            max_speed_mps=limits.max_speed_mps,
            max_yaw_rate_rps=limits.max_yaw_rate_rps,
            max_accel_mps2=limits.max_accel_mps2,
            max_decel_mps2=limits.max_decel_mps2,
            max_yaw_accel_rps2=limits.max_yaw_accel_rps2,
            max_yaw_decel_rps2=limits.max_yaw_decel_rps2,
            max_wheel_rps=wheels.max_speed_rps,
        ),
    )


def dead_reckoning_config_of(model: RobotModel) -> DeadReckoningConfig:
    """Dead reckoning's defaults with the mounts and the gyro of a rover.

    Raises:
        ConfigError: the vehicle has no wheels.
    """
    wheels = require_rover(model, "dead reckoning").wheels
    return DeadReckoningConfig(
        imu_rpy_rad=model.imu.rpy_rad,
        star_tracker_rpy_rad=model.star_tracker.rpy_rad,
        gyro_noise_rps_sqrt_hz=model.imu.gyro_noise_rps_sqrt_hz,
        imu_averages=model.imu.averages,
        max_wheel_rps=wheels.max_speed_rps,
        expected_slip_per_slope=wheels.slip_per_slope,
    )


def filter_config_of(model: RobotModel) -> FilterConfig:
    """The error-state filter's defaults with place and noise of a vehicle's IMU."""
    imu = model.imu
    return FilterConfig(
        imu_position_m=imu.position_m,
        accel_noise_mps2_sqrt_hz=imu.accel_noise_mps2_sqrt_hz,
        accel_bias_sigma_mps2=imu.accel_bias_mps2,
    )


def limits_of(model: RobotModel) -> VehicleLimits:
    """Terrain limits of a vehicle in the core's terms."""
    return VehicleLimits(
        max_slope_rad=float(np.deg2rad(model.limits.max_slope_deg)),
        max_step_m=model.limits.max_step_m,
        max_roughness_m=model.limits.max_roughness_m,
        footprint_length_m=model.footprint.length_m,
        footprint_width_m=model.footprint.width_m,
    )


def map_config_of(model: RobotModel) -> ElevationMapConfig:
    """The map's defaults with the range and the noise of a vehicle's lidar."""
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
    """The navigator's defaults with the size and the speed limits of a rover.

    Raises:
        ConfigError: the vehicle does not drive.
    """
    rover = require_rover(model, "driving to a goal")
    limits = rover.limits
    tracker = TrackerConfig(
        max_speed_mps=limits.max_speed_mps, max_yaw_rate_rps=limits.max_yaw_rate_rps
    )
    return NavigatorConfig(
        costmap=CostmapConfig(lethal_radius_m=0.5 * model.footprint.width_m + BESIDE_M),
        planner=PlannerConfig(
            speed_mps=limits.max_speed_mps, turn_rate_rps=limits.max_yaw_rate_rps
        ),
        tracker=tracker,
        driving=driving_limits_of(rover, tracker.max_decel_mps2),
    )


def driving_limits_of(rover: RoverModel, decel_mps2: float) -> DrivingLimits:
    """What a rover's motion is predicted with; ``decel_mps2`` is what speeds are planned for."""
    limits, wheels = rover.limits, rover.wheels
    arms_m = [abs(wheels.positions[name][0]) for name in wheels.steered]
    return DrivingLimits(
        max_speed_mps=limits.max_speed_mps,
        max_yaw_rate_rps=limits.max_yaw_rate_rps,
        max_accel_mps2=limits.max_accel_mps2,
        max_decel_mps2=decel_mps2,
        max_roll_rad=math.radians(limits.max_roll_deg),
        max_pitch_rad=math.radians(limits.max_pitch_deg),
        slip_per_slope=wheels.slip_per_slope,
        steer_rate_rps=math.radians(wheels.steer_rate_deg_s),
        steer_arm_m=max(arms_m),
        friction=wheels.friction,
    )


def gate_config_of(model: RobotModel) -> GateConfig:
    """Limits of a rover for the command gate.

    Raises:
        ConfigError: the vehicle does not drive.
    """
    model = require_rover(model, "the gate of velocity commands")
    limits = model.limits
    return GateConfig(
        max_speed_mps=limits.max_speed_mps,
        max_yaw_rate_rps=limits.max_yaw_rate_rps,
        max_accel_mps2=limits.max_accel_mps2,
        max_decel_mps2=limits.max_decel_mps2,
        max_lateral_mps2=limits.max_lateral_mps2,
        max_yaw_accel_rps2=limits.max_yaw_accel_rps2,
        max_yaw_decel_rps2=limits.max_yaw_decel_rps2,
        assist=model.crew is not None,
        min_charge_nav=model.power.battery.reserve,
        guard=GuardConfig(
            max_roll_rad=math.radians(limits.max_roll_deg),
            max_pitch_rad=math.radians(limits.max_pitch_deg),
        ),
    )


def guard_of(model: RobotModel, cfg: GateConfig) -> GroundGuard:
    """What holds a rover's commands against the terrain map.

    Raises:
        ConfigError: the vehicle does not drive.
    """
    brakes = Brakes(cfg.max_decel_mps2, cfg.max_yaw_decel_rps2)
    guard = GroundGuard(cfg.guard, footing_of(model), brakes)
    guard.eye_m = model.lidar.position_m
    guard.half_m = 0.5 * model.footprint.length_m, 0.5 * model.footprint.width_m
    return guard


def own_boxes_of(model: RobotModel, margin_m: float) -> tuple[OwnBox, ...]:
    """What a vehicle's own sensors may see of it, for taking those points out of scans.

    The first box holds the body, its fittings and the crew. A wheel's box holds it at every
    steering angle; it and a foot's begin a margin above the ground, so that the ground beside
    them stays.
    """
    boxes = [_upper_box(model, margin_m)]
    if isinstance(model, RoverModel):
        boxes += _wheel_boxes(model, margin_m)
        boxes += _arm_boxes(model, margin_m)
    if isinstance(model, HopperModel):
        radius = model.legs.foot_radius_m + margin_m
        for name, (x, y, z) in model.legs.feet_m.items():
            hip = np.array(model.legs.hips_m[name])
            low = np.minimum((x - radius, y - radius, 2.0 * margin_m), hip - margin_m)
            boxes.append(_box(low, np.maximum((x + radius, y + radius, z), hip + margin_m)))
    return tuple(boxes)


def _upper_box(model: RobotModel, margin_m: float) -> OwnBox:
    """Around body, fittings and crew."""
    centres = [np.array(model.body.centre_m)]
    halves = [0.5 * np.array(model.body.size_m)]
    for part in model.visual.parts:
        turned = np.abs(se3.from_rpy(np.zeros(3), part.rpy_rad)[:3, :3])
        centres.append(np.array(part.position_m))
        halves.append(turned @ (0.5 * np.array(part.size_m)))
    if isinstance(model, RoverModel) and model.crew is not None:
        centres += [np.array(seat) for seat in model.crew.seats_m.values()]
        halves += [0.5 * np.array(model.crew.size_m)] * len(model.crew.seats_m)
    low = np.min(np.subtract(centres, halves), axis=0) - margin_m
    return _box(low, np.max(np.add(centres, halves), axis=0) + margin_m)


def _wheel_boxes(model: RoverModel, margin_m: float) -> list[OwnBox]:
    boxes, wheels = [], model.wheels
    for name, (x, y) in wheels.positions.items():
        long = wheels.radius_m + margin_m
        wide = 0.5 * wheels.width_m + margin_m
        if name in wheels.steered:
            wide = max(long, wide)
        low = (x - long, y - wide, 2.0 * margin_m)
        boxes.append(_box(low, (x + long, y + wide, 2.0 * wheels.radius_m + margin_m)))
    return boxes


def _arm_boxes(model: RoverModel, margin_m: float) -> list[OwnBox]:
    """Around what carries the wheels of each side, from hub or pivot up to the kingpins."""
    wheels, arms, springs = (
        model.wheels,
        model.suspension.rocker_bogie,
        model.suspension.independent,
    )
    inner = [0.5 * model.body.size_m[1]]
    if arms is not None:
        inner = [arms.rocker_pivot_m[1], arms.bogie_pivot_m[1]]
    elif springs is not None:
        inner = [springs.arm_root_y_m]
    boxes = []
    for sign in (1.0, -1.0):
        side = np.array([xy for xy in wheels.positions.values() if sign * xy[1] > 0.0])
        y = np.sort(sign * np.array([min(inner) - margin_m, np.abs(side[:, 1]).max() + margin_m]))
        low = (side[:, 0].min() - margin_m, y[0], wheels.radius_m)
        boxes.append(_box(low, (side[:, 0].max() + margin_m, y[1], wheels.kingpin_z_m + margin_m)))
    return boxes


def _box(low: ArrayLike, high: ArrayLike) -> OwnBox:
    (a, b, c), (d, e, f) = np.asarray(low).tolist(), np.asarray(high).tolist()
    return OwnBox((a, b, c), (d, e, f))
