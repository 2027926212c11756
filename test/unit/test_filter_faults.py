"""What goes wrong with a rover's sensors: each fault raises its flag, and the pose comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from filter_drives import (
    MODEL,
    NOISE,
    SHAPE,
    WHEELS,
    Sample,
    give,
    rover_odometry,
    rover_samples,
)

from ilrs_robots.core.localization.error_state import quat_inverse_product, quat_log
from ilrs_robots.core.localization.filter_types import PositionFix, RelativePose
from ilrs_robots.core.localization.inertial_odometry import InertialOdometry
from ilrs_robots.core.types import AttitudeSample, ImuSample, JointSample
from ilrs_robots.replay.measured_drive import MeasuredDrive, make_drive

S = 1_000_000_000


@pytest.fixture(scope="module")
def drive() -> MeasuredDrive:
    return make_drive(5, replace(SHAPE, duration_s=40.0, imu_hz=25.0), NOISE)


@pytest.fixture(scope="module")
def samples(drive: MeasuredDrive) -> list[tuple[int, Sample]]:
    return rover_samples(drive)


@pytest.fixture(scope="module")
def plain(drive: MeasuredDrive, samples: list[tuple[int, Sample]]) -> Run:
    return run(drive, samples, flag=lambda m: m.wheels.encoders.dead != () or m.filter.lost)


@dataclass
class Run:
    """One drive with what was put into it, and what was seen at each joint sample.

    Attributes:
        times_s: of the poses.
        errors_m: of the positions.
        turns_rad: of the attitudes.
        flags: what ``flag`` said then.
    """

    made: InertialOdometry
    times_s: list[float] = field(default_factory=list)
    errors_m: list[float] = field(default_factory=list)
    turns_rad: list[float] = field(default_factory=list)
    flags: list[bool] = field(default_factory=list)

    def flagged(self, begin_s: float, end_s: float) -> bool:
        pairs = zip(self.times_s, self.flags, strict=True)
        return any(flag for t, flag in pairs if begin_s <= t < end_s)

    def worst_m(self, begin_s: float, end_s: float) -> float:
        pairs = zip(self.times_s, self.errors_m, strict=True)
        return max(error for t, error in pairs if begin_s <= t < end_s)


def run(
    drive: MeasuredDrive,
    samples: list[tuple[int, Sample]],
    fault: Callable[[float, Sample], Sample | None] = lambda _t, s: s,
    flag: Callable[[InertialOdometry], bool] = lambda _m: False,
) -> Run:
    """Drive; ``fault`` gets the time and each sample, None drops it."""
    made = rover_odometry(drive)
    seen = Run(made)
    for arrival_ns, sample in samples:
        t = arrival_ns / S
        changed = fault(t, sample)
        if changed is None:
            continue
        estimate = give(made, changed)
        if estimate is None:
            continue
        k = drive.index_at(arrival_ns)
        seen.times_s.append(t)
        seen.errors_m.append(float(np.linalg.norm(estimate.position_m - drive.positions_m[k])))
        turn = quat_log(quat_inverse_product(estimate.quat_wxyz, drive.quats_wxyz[k]))
        seen.turns_rad.append(float(np.linalg.norm(turn)))
        seen.flags.append(flag(made))
    return seen


def within(t: float, begin_s: float, end_s: float) -> bool:
    return begin_s <= t < end_s


def test_a_drive_without_faults_raises_nothing(drive, plain) -> None:
    seen = plain
    assert not any(seen.flags)
    assert seen.errors_m[-1] < 0.02 * drive.driven_m
    assert seen.turns_rad[-1] < np.radians(0.05)
    assert sum(seen.made.refused.values()) <= 12  # one in a thousand, and what slip surprises


def test_wheels_that_spin_in_place_are_seen_and_carry_nothing() -> None:
    drive = make_drive(1, replace(SHAPE, duration_s=20.0, stands_s=30.0, imu_hz=25.0), NOISE)
    wheels = len(WHEELS)
    rate = 0.5 / MODEL.wheels.rolling_radius_m

    def spin(t: float, sample: Sample) -> Sample:
        if not isinstance(sample, JointSample) or t < 5.0:
            return sample
        position, speed = sample.position_rad.copy(), sample.velocity_rps.copy()
        position[:wheels] += rate * (min(t, 12.0) - 5.0)
        speed[:wheels] += rate if t < 12.0 else 0.0
        return replace(sample, position_rad=position, velocity_rps=speed)

    seen = run(drive, rover_samples(drive), spin, lambda m: m.refused["joints_gate"] > 0)
    assert not seen.flagged(0.0, 5.0)
    assert seen.flagged(5.0, 5.5)
    assert seen.worst_m(5.0, 20.0) < 0.1
    assert seen.made.health["wheels"].lost > 0
    assert not seen.made.health["wheels"].doubted


def test_a_dead_encoder_is_named_and_outvoted(drive, samples) -> None:
    held: list[float] = []

    def dead(t: float, sample: Sample) -> Sample:
        if not isinstance(sample, JointSample) or not within(t, 10.0, 20.0):
            return sample
        position, speed = sample.position_rad.copy(), sample.velocity_rps.copy()
        held.append(position[2])
        position[2], speed[2] = held[0], 0.0
        return replace(sample, position_rad=position, velocity_rps=speed)

    seen = run(drive, samples, dead, lambda m: m.wheels.encoders.dead == (WHEELS[2],))
    assert not seen.flagged(0.0, 10.5)
    assert seen.flagged(11.0, 12.0)
    assert not seen.flagged(20.1, 40.0)
    assert seen.made.refused["encoder_dead"] == 1
    assert seen.worst_m(10.0, 40.0) < 0.02 * drive.driven_m


def test_a_step_of_the_gyro_bias_is_noticed_and_learned(drive, samples) -> None:
    step = np.array([0.0, 0.0, 1e-3])

    def stepped(t: float, sample: Sample) -> Sample:
        if isinstance(sample, ImuSample) and t >= 10.0:
            rate = sample.angular_velocity_rps + step
            return replace(sample, angular_velocity_rps=rate)
        return sample

    seen = run(drive, samples, stepped, lambda m: m.refused["attitude_gate"] > 0)
    assert not seen.flagged(0.0, 10.0)
    assert seen.flagged(10.0, 25.0)
    assert max(seen.turns_rad) < np.radians(1.0)
    assert seen.turns_rad[-1] < np.radians(0.1)
    learned = seen.made.bias_rps - drive.gyro_bias_rps[-1]
    np.testing.assert_allclose(learned, step, atol=1.5e-4)
    assert not seen.made.health["stars"].doubted


def test_without_scans_for_twenty_seconds_the_wheels_carry_it(drive, samples) -> None:
    def blind(t: float, sample: Sample) -> Sample | None:
        return None if isinstance(sample, RelativePose) and within(t, 12.0, 32.0) else sample

    seen = run(drive, samples, blind, lambda m: "scan" in m.silent(2.0))
    assert not seen.flagged(0.0, 12.0)
    assert seen.flagged(14.0, 15.0)
    assert not seen.flagged(33.0, 40.0)
    sigma = np.sqrt(np.trace(seen.made.filter.pose_covariance(in_odom=True)[:3, :3]))
    assert seen.worst_m(12.0, 40.0) < max(4.0 * sigma, 0.3)
    assert seen.worst_m(12.0, 40.0) < 0.07 * drive.driven_m


def test_a_blinded_star_tracker_is_flagged_and_the_gyro_holds(drive, samples) -> None:
    def blind(t: float, sample: Sample) -> Sample | None:
        return None if isinstance(sample, AttitudeSample) and within(t, 10.0, 30.0) else sample

    seen = run(drive, samples, blind, lambda m: not m.stars_hold)
    assert not seen.flagged(2.0, 10.0)
    assert seen.flagged(16.0, 20.0)
    assert not seen.flagged(32.0, 40.0)
    assert max(seen.turns_rad[100:]) < np.radians(0.3)


def test_scans_that_come_half_a_second_late_lose_nothing(drive, samples, plain) -> None:
    late = sorted(
        ((t + (S // 2 if isinstance(s, RelativePose) else 0), s) for t, s in samples),
        key=lambda item: item[0],
    )
    in_time, delayed = plain, run(drive, late)
    assert delayed.made.filter.redone > 1000
    assert in_time.made.refused == delayed.made.refused
    for seen in (in_time, delayed):
        seen.made.filter.advance()
    difference = in_time.made.filter.state().position_m - delayed.made.filter.state().position_m
    assert np.linalg.norm(difference) < 1e-9


def test_samples_that_come_twice_are_counted_and_change_nothing(drive, samples, plain) -> None:
    twice = [item for item in samples for _ in range(2)]
    once, double = plain, run(drive, twice)
    count = len(drive.stamps_ns)
    refused = double.made.refused
    assert refused["imu_stamp"] == refused["joints_stamp"] == count
    assert refused["attitude_stamp"] == len(drive.stars)
    np.testing.assert_allclose(double.made.position_m, once.made.position_m, atol=1e-9)


@pytest.mark.parametrize("by_s", [3600, -5])
def test_a_clock_that_jumps_and_comes_back_costs_little(drive, samples, by_s: int) -> None:
    def jump(t: float, sample: Sample) -> Sample:
        if not within(t, 12.0, 24.0):
            return sample
        moved = replace(sample, stamp_ns=sample.stamp_ns + by_s * S)
        if isinstance(moved, RelativePose):
            moved = replace(moved, since_ns=moved.since_ns + by_s * S)
        return moved

    seen = run(drive, samples, jump, lambda m: m.refused["imu_stamp"] > 0)
    assert not seen.flagged(0.0, 12.0)
    assert seen.flagged(12.0, 13.0)
    assert seen.made.refused["time_went_back"] == 1
    assert seen.errors_m[-1] < 0.03 * drive.driven_m
    assert seen.turns_rad[-1] < np.radians(0.1)
    assert len(seen.times_s) > 0.98 * len(drive.stamps_ns)


def test_a_kidnapped_vehicle_is_never_silently_wrong(drive, samples) -> None:
    """Moved by 30 m unseen: places contradict, are refused, then believed."""
    rng = np.random.default_rng(8)
    moved = np.array([18.0, -24.0, 0.0])
    fixes: list[tuple[int, Sample]] = []
    for k in range(24, len(drive.stamps_ns), 25):
        stamp = int(drive.stamps_ns[k])
        place = drive.positions_m[k + 1] + rng.normal(0.0, 0.5, 3)
        place = place + (moved if stamp > 15 * S else 0.0)
        fixes.append((stamp, PositionFix(stamp, place, 0.25 * np.eye(3))))
    both = sorted([*samples, *fixes], key=lambda item: item[0])
    made = rover_odometry(drive)
    wrong_and_silent, flagged, errors = [], [], []
    for arrival_ns, sample in both:
        if give(made, sample) is None:
            continue
        k = drive.index_at(arrival_ns)
        truth = drive.positions_m[k] + (moved if arrival_ns > 15 * S else 0.0)
        errors.append(float(np.linalg.norm(made.filter.state().position_m - truth)))
        row = made.health.get("fix")
        warned = row is not None and (row.doubted or row.last_nis > 16.3)
        flagged.append(warned or made.filter.lost)
        if errors[-1] > 5.0 and not flagged[-1]:
            wrong_and_silent.append(arrival_ns / S)
    assert all(t < 16.1 for t in wrong_and_silent)  # until the first place contradicts
    assert any(flagged)
    assert errors[-1] < 1.5
    assert not flagged[-1]
    # and odom, in which the map lives, did not jump
    assert np.linalg.norm(made.position_m - drive.positions_m[-1]) < 0.03 * drive.driven_m
