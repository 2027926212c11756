"""A rover's sensors while it stands, drives a bend and stands again, and what can be wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning import DeadReckoning
from ilrs_robots.core.localization.error_state import quat_exp as exponential
from ilrs_robots.core.localization.inertial_batch import InertialBatch
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.localization.reckoning_batch import (
    IMU,
    JOINTS,
    STARS,
    ReckoningBatch,
    SampleBatch,
)
from ilrs_robots.core.types import AttitudeSample, ImuSample, OdometryEstimate
from ilrs_robots.robots.model import load_robot, require_rover
from ilrs_robots.robots.settings import dead_reckoning_config_of, kinematics_of

Reckoner = DeadReckoning | InertialOdometry
S = 1_000_000_000
START_NS = 1000 * S
MODEL = load_robot("crewed_rover")
WHEELS = require_rover(MODEL, "test").wheels
NAMES = tuple(
    [f"{n}_wheel" for n in WHEELS.names] + [f"{n}_steer" for n in WHEELS.steered] + ["mast"]
)
IMU_HZ, SECONDS = 50, 36
CONFIG = dead_reckoning_config_of(MODEL)
YAW_RAD = 0.3


def ramp(t: float) -> tuple[float, float]:
    """Speed (m/s) and acceleration (m/s2): two seconds up, two seconds down."""
    share = min(max(0.5 * (t - 3.0), 0.0), max(0.5 * (30.0 - t), 0.0), 1.0)
    gain = 0.4 * (3.0 < t < 5.0) - 0.4 * (28.0 < t < 30.0)
    return 0.8 * share, gain


@dataclass
class Drive:
    """What the sensors of a rover say that stands, drives a bend over waves, and stands again.

    With ``smooth`` it gathers speed as an inertial sensor can feel it.

    Rows: stamp, then values as in the tables of a batch, then the time of arrival.
    """

    seed: int = 0
    smooth: bool = False
    imu: list[list] = field(default_factory=list)
    joints: list[list] = field(default_factory=list)
    stars: list[list] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        kinematics = kinematics_of(MODEL)
        quat, turned = np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(len(WHEELS.names))
        before = np.zeros(3)
        for k in range(IMU_HZ * SECONDS):
            t, stamp = k / IMU_HZ, START_NS + k * S // IMU_HZ
            moves = 3.0 < t < 30.0
            rate = np.array([0.02 * np.cos(t), -0.03 * np.sin(0.7 * t), 0.1 * np.sin(0.2 * t)])
            rate = rate * moves
            turn, before = exponential(0.5 * (rate + before) / IMU_HZ), rate
            quat = se3.normalise_quat(se3.quat_multiply(quat, turn))
            force = se3.quat_rotate(se3.quat_conjugate(quat), np.array([0.0, 0.0, 1.62]))
            speed = 0.8 * moves
            late_ns = 3_000_000 * (k % 3)
            if self.smooth:
                late_ns = 7_000_000
                speed, gain = ramp(t)
                force = force + np.array([gain, rate[2] * speed, -rate[1] * speed])
            noise = rng.normal(0.0, 2e-4, 3), rng.normal(0.0, 1e-3, 3)
            self.imu.append(
                [stamp, np.concatenate((rate + 3e-4 + noise[0], force + noise[1])), stamp]
            )
            self._joints(kinematics, rng, stamp + late_ns, rate, speed, turned)
            if k % IMU_HZ == 17 and not 15.0 < t < 26.0:  # dark for a while
                sensor = se3.quat_from_rpy(*CONFIG.star_tracker_rpy_rad)
                tilt = se3.quat_from_rpy(*rng.normal(0.0, 1e-4, 3))
                in_map = se3.quat_multiply(se3.quat_from_rpy(0.0, 0.0, YAW_RAD), quat)
                seen = se3.quat_multiply(se3.quat_multiply(in_map, tilt), sensor)
                later = stamp + 4_000_000 * (k % 7 == 0)
                self.stars.append([later, np.append(seen, 1e-4), stamp])

    def _joints(self, kinematics, rng, stamp, rate, speed, turned) -> None:
        moves = speed > 0.0
        steer, wheels = kinematics.inverse(speed, float(rate[2])) if moves else (None, None)
        steer = np.zeros(len(turned)) if steer is None else steer
        wheels = np.zeros(len(turned)) if wheels is None else wheels
        wheels = wheels * (1.0 + rng.normal(0.0, 0.03, len(turned)) * (rng.random() < 0.2))
        turned += wheels / IMU_HZ
        angles = [steer[WHEELS.names.index(name)] for name in WHEELS.steered]
        still = np.zeros(len(angles) + 1)
        position, velocity = (
            np.concatenate((turned, angles, [0.0])),
            np.concatenate((wheels, still)),
        )
        self.joints.append([stamp, position, velocity, stamp])

    def batch(self) -> SampleBatch:
        """In the order of arrival."""
        kinds = np.repeat([IMU, JOINTS, STARS], [len(self.imu), len(self.joints), len(self.stars)])
        tables = (self.imu, self.joints, self.stars)
        stamps = np.array([row[0] for table in tables for row in table], np.int64)
        rows = np.concatenate([np.arange(len(table)) for table in tables])
        arrived = np.array([row[-1] for table in tables for row in table], np.int64)
        order = np.lexsort((kinds, arrived))
        return SampleBatch(
            kinds[order].astype(np.int64), stamps[order], rows[order].astype(np.int64),
            np.array([row[1] for row in self.imu]), NAMES,
            np.array([row[1] for row in self.joints]), np.array([row[2] for row in self.joints]),
            np.array([row[1] for row in self.stars]),
        )  # fmt: skip


def nothing(_drive: Drive) -> None:
    """All in order."""


def holes(drive: Drive) -> None:
    """An IMU that is silent for 0.4 s and 3 s, joints for 1.5 s."""
    del drive.imu[300:320], drive.imu[1000:1150], drive.joints[500:575]


def nonsense(drive: Drive) -> None:
    """Values that are none, encoders that jump and restart, stars that are wrong."""
    drive.imu[350][1][1] = np.nan
    drive.joints[300][1][2] = np.inf
    for row in drive.joints[500:]:
        row[1][1] += 40.0
    zero = drive.joints[1200][1][: len(WHEELS.names)].copy()
    for row in drive.joints[1200:]:
        row[1][: len(WHEELS.names)] -= zero
    drive.stars[5][1][:4] = se3.quat_from_rpy(0.5, 0.0, 1.0)
    drive.stars[7][1][:4] *= 1.5


def disorder(drive: Drive) -> None:
    """Stamps that repeat, go back a little, go back for good, jump ahead once."""
    drive.imu[200][:2] = drive.imu[199][:2]
    drive.imu[250][0] -= S // 4
    drive.joints[600][0] += 500 * S
    for table in (drive.imu, drive.joints, drive.stars):
        for row in table[int(0.8 * len(table)) :]:
            row[0] -= 20 * S


def one(into: Reckoner, batch: SampleBatch, n: int) -> OdometryEstimate | None:
    """One sample into whatever reckons; what it gives."""
    sample = batch.sample(n)
    if isinstance(sample, ImuSample):
        into.on_imu(sample)
    elif isinstance(sample, AttitudeSample):
        into.on_attitude(sample)
    else:
        return into.on_joints(sample)
    return None


def at_once(
    into: Reckoner, many: ReckoningBatch | InertialBatch, batch: SampleBatch
) -> tuple[dict[int, tuple], int]:
    """Estimates as (position, attitude, covariance), and how many samples were taken singly."""
    found, n, alone = {}, 0, 0
    while n < len(batch.kinds):
        step = many.advance(batch, n)
        for k, at in enumerate(step.at.tolist()):
            found[at] = step.position_m[k], step.quat_wxyz[k], step.spread[k]
        if step.end < len(batch.kinds):
            alone += 1
            estimate = one(into, batch, step.end)
            if estimate is not None:
                found[step.end] = (
                    estimate.position_m, estimate.quat_wxyz, estimate.pose_covariance
                )  # fmt: skip
        n = step.end + 1
    return found, alone
