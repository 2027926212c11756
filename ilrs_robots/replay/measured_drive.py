"""Measurements of a drive that is known exactly: what a filter is judged by, without physics.

A vehicle winds over rolling, rough ground. Its inertial unit, wheels, star tracker and scan
odometry measure what the truth gives, with white noise, biases that walk, and slip that stays
alike over some metres; equal seeds give equal drives.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.filter_types import RelativePose
from ilrs_robots.core.types import AttitudeSample, FloatArray, IntArray

_FINE: Final = 8
"""Steps of the truth in one inertial period."""
_ROCKING: Final = ((0.9, 1.1, 0.3), (2.3, 0.35, 1.7), (5.1, 0.12, 0.6))
"""Angular rate, share and phase of what rough ground does to roll and pitch."""


@dataclass(frozen=True)
class DriveNoise:
    """What the sensors are off by, in SI units; the defaults are those of our rovers."""

    gyro_rps_sqrt_hz: float = 2e-5
    gyro_bias_rps: float = 5e-6
    gyro_walk_rps_sqrt_s: float = 1e-8
    accel_mps2_sqrt_hz: float = 5e-4
    accel_bias_mps2: float = 5e-4
    accel_walk_mps2_sqrt_s: float = 1e-6
    wheel_mps: float = 0.01
    slip_mean: float = 0.2
    slip_sigma: float = 0.05
    lateral_slip_sigma: float = 0.02
    slip_length_m: float = 5.0
    vertical_mps: float = 0.05
    star_rad: float = 3.5e-4
    scan_m: float = 0.01
    scan_rad: float = 5e-4


@dataclass(frozen=True)
class DriveShape:
    """How the vehicle drives and over what."""

    duration_s: float = 60.0
    imu_hz: float = 50.0
    scan_hz: float = 5.0
    star_hz: float = 1.0
    stands_s: float = 3.0
    speed_mps: float = 0.5
    tilt_rad: float = 0.12
    """Amplitude of the rolling ground's slope."""
    rocking_rad: float = 0.02
    lever_m: tuple[float, float, float] = (0.0, 0.0, 0.62)
    gravity_mps2: float = MOON_GRAVITY_MPS2


@dataclass
class MeasuredDrive:
    """Truth and measurements as arrays.

    Attributes:
        shape: of the drive.
        noise: of the sensors.
        stamps_ns: (M,) of the inertial samples; the truth's first stamp is one period earlier.
        positions_m: (M + 1, 3) of base_link in map.
        quats_wxyz: (M + 1, 4).
        velocities_mps: (M + 1, 3) of base_link.
        rates_rps: (M, 3) measured.
        forces_mps2: (M, 3) measured.
        gyro_bias_rps: (M, 3) true.
        accel_bias_mps2: (M, 3) true.
        wheel_stamps_ns: (M,) middle of each period.
        wheel_speeds_mps: (M, 3) as the wheels have it.
        true_speeds_mps: (M, 3) in base_link.
        stars: one each second.
        scans: motion between scans.
        driven_m: length of the way.
    """

    shape: DriveShape
    noise: DriveNoise
    stamps_ns: IntArray
    positions_m: FloatArray
    quats_wxyz: FloatArray
    velocities_mps: FloatArray
    rates_rps: FloatArray
    forces_mps2: FloatArray
    gyro_bias_rps: FloatArray
    accel_bias_mps2: FloatArray
    wheel_stamps_ns: IntArray
    wheel_speeds_mps: FloatArray
    true_speeds_mps: FloatArray
    stars: list[AttitudeSample] = field(default_factory=list)
    scans: list[RelativePose] = field(default_factory=list)

    @property
    def driven_m(self) -> float:
        """Length of the true way."""
        return float(np.linalg.norm(np.diff(self.positions_m, axis=0), axis=1).sum())

    def index_at(self, stamp_ns: int) -> int:
        """Index of the truth at a stamp."""
        return int(np.searchsorted(self.stamps_ns, stamp_ns)) + 1


def make_drive(seed: int, shape: DriveShape, noise: DriveNoise) -> MeasuredDrive:
    """A drive; the way is the same for every seed, the noise is not.

    Args:
        seed: of all noise.
        shape: of the drive.
        noise: of the sensors.
    """
    rng = np.random.default_rng(seed)
    truth = _Truth(shape)
    M, dt = truth.count, 1.0 / shape.imu_hz
    stamps = np.round((np.arange(M) + 1) * dt * 1e9).astype(np.int64)
    root = np.sqrt(shape.imu_hz)
    gyro = _walk(rng, M, noise.gyro_bias_rps, noise.gyro_walk_rps_sqrt_s, dt)
    accel = _walk(rng, M, noise.accel_bias_mps2, noise.accel_walk_mps2_sqrt_s, dt)
    rates = truth.rates + gyro + noise.gyro_rps_sqrt_hz * root * rng.standard_normal((M, 3))
    forces = truth.forces + accel + noise.accel_mps2_sqrt_hz * root * rng.standard_normal((M, 3))
    wheels = _wheels(rng, truth.speeds, dt, noise)
    drive = MeasuredDrive(
        shape, noise, stamps, truth.positions, truth.quats, truth.velocities, rates, forces,
        gyro, accel, stamps - round(0.5e9 * dt), wheels, truth.speeds,
    )  # fmt: skip
    drive.stars = _stars(rng, drive)
    drive.scans = _scans(rng, drive)
    return drive


class _Truth:
    """Poses at the ends of the inertial periods, and means over them."""

    def __init__(self, shape: DriveShape) -> None:
        self.count = round(shape.duration_s * shape.imu_hz)
        fine = 1.0 / (shape.imu_hz * _FINE)
        t = np.arange(self.count * _FINE + 1) * fine
        begins = np.clip((t - shape.stands_s) / 2.0, 0.0, 1.0)
        ramp = begins * begins * (3.0 - 2.0 * begins)
        moved = np.maximum(t - shape.stands_s, 0.0)
        speed = shape.speed_mps * ramp * (1.0 + 0.15 * np.sin(0.23 * moved))
        quats = _attitudes(shape, moved, ramp, speed, fine)
        R = _matrices(quats)
        velocity = R[:, :, 0] * speed[:, None]
        step = 0.5 * (velocity[1:] + velocity[:-1]) * fine
        position = np.vstack((np.zeros(3), np.cumsum(step, axis=0)))
        spin = _turns(quats[:-1], quats[1:]) / fine
        ends = slice(0, None, _FINE)
        near = np.clip(np.arange(self.count + 1) * _FINE, 1, len(spin) - 1)
        rate = 0.5 * (spin[near - 1] + spin[near])
        lever = np.array(shape.lever_m)
        self.positions, self.quats, self.velocities = position[ends], quats[ends], velocity[ends]
        at_imu = self.velocities + np.einsum("nij,nj->ni", R[ends], np.cross(rate, lever))
        period = fine * _FINE
        turns = _turns(self.quats[:-1], self.quats[1:])
        middle = _matrices(quats[_FINE // 2 :: _FINE][: self.count])
        gain = np.diff(at_imu, axis=0) / period + np.array([0.0, 0.0, shape.gravity_mps2])
        self.rates = turns / period
        self.forces = np.einsum("nij,ni->nj", middle, gain)
        mean = speed[:-1].reshape(self.count, _FINE).mean(axis=1)
        self.speeds = np.column_stack((mean, np.zeros_like(mean), np.zeros_like(mean)))


def _attitudes(
    shape: DriveShape, t: FloatArray, ramp: FloatArray, speed: FloatArray, fine: float
) -> FloatArray:
    """(N, 4) of a vehicle that follows rolling ground, rocks over rough one, and winds."""
    way = np.cumsum(speed) * fine
    yaw = 0.7 * np.sin(0.031 * way) + 0.25 * np.sin(0.17 * way + 0.4) - 0.25 * np.sin(0.4)
    pitch = shape.tilt_rad * np.sin(0.11 * way) + 0.4 * shape.tilt_rad * np.sin(0.37 * way)
    roll = 0.7 * shape.tilt_rad * np.sin(0.083 * way)
    for rate, share, phase in _ROCKING:
        pitch = pitch + shape.rocking_rad * share * ramp * np.sin(rate * t)
        roll = roll + shape.rocking_rad * share * ramp * np.sin(0.83 * rate * t + phase * ramp)
    cr, sr, cp, sp = np.cos(roll / 2), np.sin(roll / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    cy, sy = np.cos(yaw / 2), np.sin(yaw / 2)
    return np.column_stack((
        cr * cp * cy + sr * sp * sy, sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy, cr * cp * sy - sr * sp * cy,
    ))  # fmt: skip


def _matrices(quats: FloatArray) -> FloatArray:
    """(N, 3, 3)."""
    axes = [se3.quat_rotate(quats, np.broadcast_to(e, (len(quats), 3))) for e in np.eye(3)]
    return np.stack(axes, axis=2)


def _turns(first: FloatArray, second: FloatArray) -> FloatArray:
    """(N, 3) rotation vectors in the axes of the first."""
    turn = se3.quat_multiply(se3.quat_conjugate(first), second)
    turn = np.where(turn[:, :1] < 0.0, -turn, turn)
    sine = np.linalg.norm(turn[:, 1:], axis=1)
    angle = 2.0 * np.arctan2(sine, turn[:, 0])
    scale = np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    vectors: FloatArray = turn[:, 1:] * scale[:, None]
    return vectors


def turned(quats: FloatArray, vectors_rad: FloatArray) -> FloatArray:
    """(N, 4) quaternions turned by rotation vectors (N, 3) in their own axes, rad."""
    angle = np.linalg.norm(vectors_rad, axis=1, keepdims=True)
    scale = 0.5 * np.sinc(0.5 * angle / np.pi)
    return se3.quat_multiply(quats, np.hstack((np.cos(0.5 * angle), scale * vectors_rad)))


def _walk(
    rng: np.random.Generator, count: int, start: float, walk: float, dt: float
) -> FloatArray:
    steps = walk * np.sqrt(dt) * rng.standard_normal((count, 3))
    steps[0] = start * rng.standard_normal(3)
    return np.cumsum(steps, axis=0)


def _wheels(
    rng: np.random.Generator, speeds: FloatArray, dt: float, noise: DriveNoise
) -> FloatArray:
    """(M, 3): each wheel turns faster than the ground goes by, by a slip that changes slowly."""
    stays = np.exp(-np.abs(speeds[:, 0]) * dt / noise.slip_length_m)
    shocks = np.sqrt(1.0 - stays**2)[:, None] * rng.standard_normal((len(speeds), 2))
    slips = np.empty((len(speeds), 2))
    now = rng.standard_normal(2)
    for k, stay in enumerate(stays):
        now = stay * now + shocks[k]
        slips[k] = now
    along = np.clip(noise.slip_mean + noise.slip_sigma * slips[:, 0], -0.6, 0.6)
    rolled = speeds[:, 0] / (1.0 - along)
    side = noise.lateral_slip_sigma * slips[:, 1] * np.abs(rolled)
    white = noise.wheel_mps * rng.standard_normal((len(speeds), 2))
    bumps = noise.vertical_mps * rng.standard_normal(len(speeds))
    still = speeds[:, 0] == 0.0
    white[still], bumps[still] = 0.0, 0.0
    return np.column_stack((rolled + white[:, 0], side + white[:, 1], bumps))


def _stars(rng: np.random.Generator, drive: MeasuredDrive) -> list[AttitudeSample]:
    if drive.shape.star_hz <= 0.0:
        return []
    every = round(drive.shape.imu_hz / drive.shape.star_hz)
    picked = np.arange(every, len(drive.stamps_ns) + 1, every)
    sigma = drive.noise.star_rad
    seen = turned(drive.quats_wxyz[picked], sigma * rng.standard_normal((len(picked), 3)))
    pairs = zip(drive.stamps_ns[picked - 1].tolist(), seen, strict=True)
    return [AttitudeSample(stamp, quat, sigma) for stamp, quat in pairs]


def _scans(rng: np.random.Generator, drive: MeasuredDrive) -> list[RelativePose]:
    if drive.shape.scan_hz <= 0.0:
        return []
    every, noise = round(drive.shape.imu_hz / drive.shape.scan_hz), drive.noise
    picked = np.arange(every, len(drive.stamps_ns) + 1, every)
    place, quats = drive.positions_m[picked], drive.quats_wxyz[picked]
    back = se3.quat_conjugate(quats[:-1])
    way = se3.quat_rotate(back, np.diff(place, axis=0))
    way = way + noise.scan_m * rng.standard_normal(way.shape)
    turn = turned(
        se3.quat_multiply(back, quats[1:]), noise.scan_rad * rng.standard_normal(way.shape)
    )
    spread = np.diag(np.repeat([noise.scan_m**2, noise.scan_rad**2], 3))
    stamps = drive.stamps_ns[picked - 1].tolist()
    return [
        RelativePose(stamps[k], stamps[k + 1], way[k], turn[k], spread) for k in range(len(way))
    ]
