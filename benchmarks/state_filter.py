"""The error-state filter: cost of a sample in batches and one by one, beside plain dead reckoning.

Also what it makes of a kilometre with slip, and of one hundred seconds for many seeds.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from ilrs_robots.core.localization import state_filter
from ilrs_robots.core.localization.dead_reckoning import DeadReckoning
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.localization.state_filter import StateFilter
from ilrs_robots.core.types import ImuSample, JointSample
from ilrs_robots.replay.measured_drive import DriveNoise, DriveShape, MeasuredDrive, make_drive
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import kinematics_of

SHARED = DeadReckoningConfig(
    imu_averages=True, initial_attitude_sigma_rad=0.002,
    gyro_bias_sigma_rps=5e-6,
)  # fmt: skip
SHAPE = DriveShape()
OWN = FilterConfig(
    imu_position_m=SHAPE.lever_m, initial_speed_sigma_mps=0.01, slip_sigma=0.22,
    slip_per_slope=0.0, wheel_sigma_mps=0.01, vertical_sigma_mps=0.05, wheel_error_s=0.0,
)  # fmt: skip
MODEL = load_robot("long_range")
CHUNK_S = 10.0


def batch(drive: MeasuredDrive, scans: bool) -> StateFilter:
    """Ten seconds at a time, as a replay reads a bag's chunks."""
    made = StateFilter(SHARED, OWN)
    made.reset(drive.positions_m[0], drive.quats_wxyz[0], 0)
    spread = np.tile([1e-4, 1e-4, 2.5e-3, 1.0], (len(drive.stamps_ns), 1))
    wheels, size = np.hstack((drive.wheel_speeds_mps, spread)), round(CHUNK_S * SHAPE.imu_hz)
    stars, motions = drive.stars[::-1], drive.scans[::-1]
    for begin in range(0, len(drive.stamps_ns), size):
        part = slice(begin, begin + size)
        stamps = drive.stamps_ns[part]
        while stars and stars[-1].stamp_ns <= stamps[-1]:
            star = stars.pop()
            made.stars(star.stamp_ns, star.quat_wxyz, star.sigma_rad)
        while scans and motions and motions[-1].stamp_ns <= stamps[-1]:
            made.scan(motions.pop())
        made.wheels_many(drive.wheel_stamps_ns[part], wheels[part])
        made.propagate(stamps, drive.rates_rps[part], drive.forces_mps2[part])
    return made


def sample_by_sample(drive: MeasuredDrive, made: DeadReckoning | InertialOdometry) -> float:
    """Seconds that inertial and joint samples cost, handed over as a node does."""
    names = (*(f"{w}_wheel" for w in MODEL.wheels.names),
             *(f"{w}_steer" for w in MODEL.wheels.steered))  # fmt: skip
    wheels, steers = len(MODEL.wheels.names), len(MODEL.wheels.steered)
    rate = drive.wheel_speeds_mps[:, 0] / MODEL.wheels.rolling_radius_m
    turned = np.cumsum(rate) / SHAPE.imu_hz
    made.reset(drive.positions_m[0], drive.quats_wxyz[0], 0)
    samples: list[tuple[ImuSample, JointSample]] = []
    for k, stamp in enumerate(drive.stamps_ns.tolist()):
        imu = ImuSample(stamp, drive.rates_rps[k], drive.forces_mps2[k])
        position = np.r_[np.full(wheels, turned[k]), np.zeros(steers)]
        speed = np.r_[np.full(wheels, rate[k]), np.zeros(steers)]
        samples.append((imu, JointSample(stamp, names, position, speed)))
    begin = perf_counter()
    for imu, joints in samples:
        made.on_imu(imu)
        made.on_joints(joints)
    return perf_counter() - begin


def run(*, quick: bool = False) -> dict[str, Any]:
    """Rows for the table."""
    state_filter.warm_up()
    repeats, length_s = (1, 120.0) if quick else (5, 600.0)
    drive = make_drive(0, replace(SHAPE, duration_s=length_s), DriveNoise())
    rows: list[dict[str, Any]] = []
    for what, scans in (("IMU, wheels, stars", False), ("and scan odometry at 5 Hz", True)):
        times = []
        for _ in range(repeats):
            begin = perf_counter()
            batch(drive, scans)
            times.append(perf_counter() - begin)
        took = median(times)
        row = {"what": f"batches of {CHUNK_S:.0f} s: {what}", "times_real_time": length_s / took}
        rows.append({**row, "us_per_imu_sample": 1e6 * took / len(drive.stamps_ns)})
    short = make_drive(1, replace(SHAPE, duration_s=20.0), DriveNoise())
    parts = (kinematics_of(MODEL), MODEL.wheels.names, MODEL.wheels.steered)
    ours = [sample_by_sample(short, InertialOdometry(SHARED, OWN, *parts)) for _ in range(repeats)]
    peer = [sample_by_sample(short, DeadReckoning(SHARED, *parts)) for _ in range(repeats)]
    for what, took in (("filter", median(ours)), ("dead reckoning", median(peer))):
        row = {"what": f"one by one: {what}", "times_real_time": 20.0 / took}
        rows.append({**row, "us_per_imu_sample": 1e6 * took / len(short.stamps_ns)})
    errors, turns = [], []
    for seed in range(2 if quick else 10):
        way = make_drive(seed, replace(SHAPE, duration_s=2020.0, imu_hz=25.0), DriveNoise())
        state = batch(way, True).state()
        k = way.index_at(state.stamp_ns)
        miss = np.linalg.norm(state.position_m - way.positions_m[k])
        errors.append(100.0 * float(miss) / way.driven_m)
        cosine = abs(float(state.quat_wxyz @ way.quats_wxyz[k]))
        turns.append(float(np.degrees(2.0 * np.arccos(min(cosine, 1.0)))))
    row = {"what": "1 km with 10 to 30 % slip, worst of the seeds", "seeds": len(errors)}
    rows.append({**row, "error_percent": max(errors), "attitude_deg": max(turns)})
    note = "Dead reckoning takes the IMU's rates alone; wheels and IMU at 50 Hz, stars at 1 Hz."
    return {"name": "State estimation", "rows": rows, "note": note}


if __name__ == "__main__":
    print(json.dumps(run(quick="--quick" in sys.argv), indent=1))
