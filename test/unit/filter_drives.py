"""Drives of the error-state filter over measurements whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import quat_inverse_product, quat_log
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.filter_types import PositionFix, RelativePose
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.types import (
    AttitudeSample,
    ImuSample,
    JointSample,
    OdometryEstimate,
)
from ilrs_robots.replay.measured_drive import DriveNoise, DriveShape, MeasuredDrive, turned
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import kinematics_of

NOISE = DriveNoise()
SHAPE = DriveShape()
SHARED = DeadReckoningConfig(
    imu_averages=True, initial_attitude_sigma_rad=0.002,
    gyro_bias_sigma_rps=NOISE.gyro_bias_rps, star_stamp_sigma_s=0.0,
)  # fmt: skip
OWN = FilterConfig(
    imu_position_m=SHAPE.lever_m, initial_speed_sigma_mps=0.01, slip_sigma=0.22,
    slip_per_slope=0.0, wheel_sigma_mps=NOISE.wheel_mps,
    vertical_sigma_mps=NOISE.vertical_mps, wheel_error_s=0.0,
)  # fmt: skip


def wheel_values(drive: MeasuredDrive) -> np.ndarray:
    white = max(drive.noise.wheel_mps, 1e-3) ** 2
    vertical = max(drive.noise.vertical_mps, 1e-3) ** 2
    spread = np.tile([white, white, vertical, 1.0], (len(drive.stamps_ns), 1))
    return np.hstack((drive.wheel_speeds_mps, spread))


def started(drive: MeasuredDrive, seed: int = 0, own: FilterConfig = OWN) -> StateFilter:
    """A filter that begins with an attitude as wrong as it believes."""
    made = StateFilter(SHARED, own)
    error = np.random.default_rng([seed, 99]).normal(0.0, SHARED.initial_attitude_sigma_rad, 3)
    quat = turned(drive.quats_wxyz[:1], error[None])[0]
    made.reset(drive.positions_m[0], quat, 0)
    return made


def filtered(drive: MeasuredDrive, what: str = "wheels stars scans", seed: int = 0) -> StateFilter:
    """The filter at the end of a drive, fed with ten seconds at a time."""
    made = started(drive, seed)
    wheels, chunk = wheel_values(drive), round(10 * drive.shape.imu_hz)
    stars = [s for s in drive.stars if "stars" in what][::-1]
    scans = [s for s in drive.scans if "scans" in what][::-1]
    for begin in range(0, len(drive.stamps_ns), chunk):
        part = slice(begin, begin + chunk)
        stamps = drive.stamps_ns[part]
        while stars and stars[-1].stamp_ns <= stamps[-1]:
            star = stars.pop()
            made.stars(star.stamp_ns, star.quat_wxyz, star.sigma_rad)
        while scans and scans[-1].stamp_ns <= stamps[-1]:
            made.scan(scans.pop())
        if "wheels" in what:
            made.wheels_many(drive.wheel_stamps_ns[part], wheels[part])
        made.propagate(stamps, drive.rates_rps[part], drive.forces_mps2[part])
    made.advance()
    return made


def error_of(made: StateFilter, drive: MeasuredDrive, index: int = -1) -> np.ndarray:
    """(15,) error of the state: position and velocity at the IMU, attitude, biases."""
    state = made.state()
    k = drive.index_at(state.stamp_ns)
    turn = quat_log(quat_inverse_product(state.quat_wxyz, drive.quats_wxyz[k]))
    return np.concatenate((
        drive.positions_m[k] - state.position_m,
        drive.velocities_mps[k] - state.velocity_mps,
        turn,
        drive.gyro_bias_rps[k - 1] - state.gyro_bias_rps,
        drive.accel_bias_mps2[k - 1] - state.accel_bias_mps2,
    ))  # fmt: skip


def attitude_error(made: StateFilter, drive: MeasuredDrive) -> float:
    return float(np.linalg.norm(error_of(made, drive)[6:9]))


def position_error(made: StateFilter, drive: MeasuredDrive) -> float:
    return float(np.linalg.norm(error_of(made, drive)[:3]))


# -- a rover's samples ---------------------------------------------------------------------------
MODEL = load_robot("long_range")
KINEMATICS = kinematics_of(MODEL)
WHEELS, STEERED = MODEL.wheels.names, MODEL.wheels.steered
NAMES = (*(f"{w}_wheel" for w in WHEELS), *(f"{w}_steer" for w in STEERED))
Sample = ImuSample | JointSample | AttitudeSample | RelativePose | PositionFix
Fault = Callable[[float, Sample], Sample | None]


def rover_samples(drive: MeasuredDrive) -> list[tuple[int, Sample]]:
    """What a rover's sensors say on a drive, with the time at which each arrives."""
    steered = [WHEELS.index(name) for name in STEERED]
    dt, turned_rad = 1.0 / drive.shape.imu_hz, np.zeros(len(WHEELS))
    yaw_rates = drive.rates_rps[:, 2] - drive.gyro_bias_rps[:, 2]
    found: list[tuple[int, Sample]] = []
    for k, stamp in enumerate(drive.stamps_ns.tolist()):
        found.append((stamp, ImuSample(stamp, drive.rates_rps[k], drive.forces_mps2[k])))
        rolling = drive.wheel_speeds_mps[k, 0]
        still = drive.true_speeds_mps[k, 0] == 0.0
        turn = 0.0 if still else float(yaw_rates[k])
        steer, speed = KINEMATICS.inverse(float(rolling), turn)
        turned_rad = turned_rad + speed * dt
        joints = JointSample(
            stamp, NAMES, np.r_[turned_rad, steer[steered]], np.r_[speed, np.zeros(len(steered))]
        )
        found.append((stamp, joints))
    found += [(s.stamp_ns, s) for s in drive.stars] + [(s.stamp_ns, s) for s in drive.scans]
    return sorted(found, key=lambda item: item[0])


def rover_odometry(drive: MeasuredDrive, seed: int = 0) -> InertialOdometry:
    """The filter as a rover has it, at the drive's start."""
    made = InertialOdometry(replace(SHARED, max_wheel_rps=20.0), OWN, KINEMATICS, WHEELS, STEERED)
    error = np.random.default_rng([seed, 7]).normal(0.0, 0.002, 3)
    made.reset(drive.positions_m[0], turned(drive.quats_wxyz[:1], error[None])[0], 0)
    return made


def give(made: InertialOdometry, sample: Sample) -> OdometryEstimate | None:
    if isinstance(sample, ImuSample):
        made.on_imu(sample)
    elif isinstance(sample, AttitudeSample):
        made.on_attitude(sample)
    elif isinstance(sample, RelativePose):
        made.filter.scan(sample)
    elif isinstance(sample, PositionFix):
        made.filter.fix(sample)
    else:
        return made.on_joints(sample)
    return None
