"""Many samples at once give what they give one by one, whatever is wrong with some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning import DeadReckoning, DeadReckoningConfig
from ilrs_robots.core.localization.error_state import quat_exp as exponential
from ilrs_robots.core.localization.reckoning_batch import (
    IMU,
    JOINTS,
    STARS,
    ReckoningBatch,
    SampleBatch,
)
from ilrs_robots.core.types import ImuSample, JointSample, OdometryEstimate
from ilrs_robots.robots.model import load_robot, require_rover
from ilrs_robots.robots.settings import dead_reckoning_config_of, kinematics_of

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


@dataclass
class Drive:
    """What the sensors of a rover say that stands, drives a bend over waves, and stands again.

    Rows: stamp, then values as in the tables of a batch, then the time of arrival.
    """

    seed: int = 0
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
            noise = rng.normal(0.0, 2e-4, 3), rng.normal(0.0, 1e-3, 3)
            self.imu.append(
                [stamp, np.concatenate((rate + 3e-4 + noise[0], force + noise[1])), stamp]
            )
            self._joints(kinematics, rng, stamp + 3_000_000 * (k % 3), rate, moves, turned)
            if k % IMU_HZ == 17 and not 15.0 < t < 26.0:  # dark for a while
                sensor = se3.quat_from_rpy(*CONFIG.star_tracker_rpy_rad)
                tilt = se3.quat_from_rpy(*rng.normal(0.0, 1e-4, 3))
                in_map = se3.quat_multiply(se3.quat_from_rpy(0.0, 0.0, YAW_RAD), quat)
                seen = se3.quat_multiply(se3.quat_multiply(in_map, tilt), sensor)
                later = stamp + 4_000_000 * (k % 7 == 0)
                self.stars.append([later, np.append(seen, 1e-4), stamp])

    def _joints(self, kinematics, rng, stamp, rate, moves, turned) -> None:
        speed = 0.8 * moves
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


def reckoning(config: DeadReckoningConfig = CONFIG) -> DeadReckoning:
    made = DeadReckoning(config, kinematics_of(MODEL), WHEELS.names, WHEELS.steered)
    made.reset(
        np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0, 0.0]), START_NS - S // 50, YAW_RAD
    )
    return made


def one(dead: DeadReckoning, batch: SampleBatch, n: int) -> OdometryEstimate | None:
    sample = batch.sample(n)
    if isinstance(sample, ImuSample):
        return dead.on_imu(sample)
    if isinstance(sample, JointSample):
        return dead.on_joints(sample)
    return dead.on_attitude(sample)


def singly(batch: SampleBatch) -> tuple[DeadReckoning, dict[int, OdometryEstimate]]:
    dead = reckoning()
    found = {n: one(dead, batch, n) for n in range(len(batch.kinds))}
    return dead, {n: estimate for n, estimate in found.items() if estimate is not None}


def at_once(batch: SampleBatch) -> tuple[DeadReckoning, dict[int, tuple], int]:
    """As ``singly``: estimates as (position, attitude, covariance), and samples taken singly."""
    dead, found, n, alone = reckoning(), {}, 0, 0
    many = ReckoningBatch(dead)
    while n < len(batch.kinds):
        step = many.advance(batch, n)
        for k, at in enumerate(step.at.tolist()):
            found[at] = step.position_m[k], step.quat_wxyz[k], step.spread[k]
        if step.end < len(batch.kinds):
            estimate = one(dead, batch, step.end)
            alone += 1
            if estimate is not None:
                found[step.end] = (
                    estimate.position_m, estimate.quat_wxyz, estimate.pose_covariance
                )  # fmt: skip
        n = step.end + 1
    return dead, found, alone


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


@pytest.mark.parametrize("change", [nothing, holes, nonsense, disorder])
def test_a_batch_gives_what_its_samples_give(change: Callable[[Drive], None]) -> None:
    drive = Drive()
    change(drive)
    batch = drive.batch()
    expected_end, expected = singly(batch)
    end, found, alone = at_once(batch)
    assert list(found) == list(expected)
    assert len(found) > 1000
    assert alone < 0.1 * len(batch.kinds)
    for n, estimate in expected.items():
        position, quat, covariance = found[n]
        assert np.abs(position - estimate.position_m).max() < 1e-9
        assert np.abs(quat - estimate.quat_wxyz).max() < 1e-9
        scale = np.abs(estimate.pose_covariance).max()
        assert np.abs(covariance - estimate.pose_covariance).max() < 1e-9 * scale
    assert end.refused == expected_end.refused
    assert np.abs(end.bias_rps - expected_end.bias_rps).max() < 1e-12
    assert end.stars_hold == expected_end.stars_hold
    if change is nothing:
        assert alone < 10
        assert np.linalg.norm(position - expected[min(expected)].position_m) > 10.0


def test_where_a_batch_is_cut_does_not_matter() -> None:
    batch = Drive(seed=2).batch()
    _, whole, _ = at_once(batch)
    dead = reckoning()
    many, n, last = ReckoningBatch(dead), 0, None
    while n < len(batch.kinds):
        part = SampleBatch(
            batch.kinds[n : n + 37], batch.stamps_ns[n : n + 37], batch.rows[n : n + 37],
            batch.imu, NAMES, batch.position_rad, batch.velocity_rps, batch.stars,
        )  # fmt: skip
        step = many.advance(part)
        last = step.last or last
        if step.end < len(part.kinds):
            one(dead, part, step.end)
        n += step.end + 1 if step.end < len(part.kinds) else step.end
    assert last is not None
    position, quat, covariance = whole[max(whole)]
    assert last.position_m.tobytes() == position.tobytes()
    assert last.quat_wxyz.tobytes() == quat.tobytes()
    assert last.pose_covariance.tobytes() == covariance.tobytes()
