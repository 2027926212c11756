"""Behaviour of DeadReckoning on trajectories that are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.geometry.se3 import (
    quat_conjugate,
    quat_from_rpy,
    quat_multiply,
    quat_rotate,
    rpy_from_quat,
)
from ilrs_robots.core.localization.dead_reckoning import DeadReckoning, DeadReckoningConfig
from ilrs_robots.core.localization.error_state import quat_exp, quat_log, rotation_matrix
from ilrs_robots.core.types import AttitudeSample, ImuSample, JointSample, OdometryEstimate

WHEELS = ("fl", "fr", "ml", "mr", "rl", "rr")
STEERED = ("fl", "fr", "rl", "rr")
POSITIONS = np.array(
    [[0.98, 0.86], [0.98, -0.86], [0.0, 0.92], [0.0, -0.92], [-0.98, 0.86], [-0.98, -0.86]]
)
KINEMATICS = SteeringKinematics(
    POSITIONS, np.array([name in STEERED for name in WHEELS]), 0.28, np.radians(95.0)
)
NAMES = (
    "rocker_left",
    *(f"{name}_wheel" for name in WHEELS),
    *(f"{name}_steer" for name in STEERED),
)
GRAVITY = np.array([0.0, 0.0, 1.62])
S = 1_000_000_000
FINE = 100
NIL = np.zeros(6)
Profile = Callable[[float], tuple[float, np.ndarray]]


def standing(_: float) -> tuple[float, np.ndarray]:
    return 0.0, np.zeros(3)


@dataclass
class Drive:
    """A body that moves along its own x axis at a given speed and body rate, sampled finely."""

    quat: np.ndarray = field(default_factory=lambda: np.array([1.0, 0.0, 0.0, 0.0]))
    position: np.ndarray = field(default_factory=lambda: np.zeros(3))
    bias: np.ndarray = field(default_factory=lambda: np.zeros(3))
    gyro_sigma: float = 0.0
    star_sigma: float | None = None
    joint_phase_ns: int = 0
    slip: float = 0.0
    seed: int = 0
    time_ns: int = 0
    distance: float = 0.0
    log: list[tuple[OdometryEstimate, np.ndarray, np.ndarray]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turned = np.zeros(6)
        self.rng = np.random.default_rng(self.seed)

    def run(self, estimator: DeadReckoning, profile: Profile, seconds: float) -> None:
        start_ns = self.time_ns
        fine_ns = S // FINE
        for _ in range(round(seconds * FINE)):
            begin = (self.time_ns - start_ns) / S
            v, rate = profile(begin + 0.5 / FINE)
            if self.time_ns == 0:
                force = rotation_matrix(self.quat).T @ GRAVITY
                estimator.on_imu(ImuSample(0, rate + self.bias, force))
                estimator.on_joints(joints(0, KINEMATICS.inverse(v, rate[2])[0], self.turned, NIL))
            dt = fine_ns / S
            middle = quat_multiply(self.quat, quat_exp(0.5 * dt * rate))
            self.position = self.position + rotation_matrix(middle)[:, 0] * v * dt
            self.quat = quat_multiply(self.quat, quat_exp(dt * rate))
            steer, speed = KINEMATICS.inverse(v, rate[2])
            speed = speed * (1.0 + self.slip)
            self.turned = self.turned + speed * dt
            self.distance += abs(v) * dt
            self.time_ns += fine_ns
            v, rate = profile(begin + 1.0 / FINE)
            steer, speed = KINEMATICS.inverse(v, rate[2])
            speed = speed * (1.0 + self.slip)
            if self.time_ns % (S // 50) == 0:
                noise = self.rng.normal(0.0, self.gyro_sigma, 3) if self.gyro_sigma else 0.0
                force = rotation_matrix(self.quat).T @ GRAVITY
                estimator.on_imu(ImuSample(self.time_ns, rate + self.bias + noise, force))
            if (self.time_ns - self.joint_phase_ns) % (S // 50) == 0:
                estimate = estimator.on_joints(joints(self.time_ns, steer, self.turned, speed))
                if estimate is not None:
                    self.log.append((estimate, self.position, self.quat))
            if self.star_sigma is not None and self.time_ns % S == 0:
                error = quat_exp(self.rng.normal(0.0, self.star_sigma, 3))
                estimator.on_attitude(
                    AttitudeSample(self.time_ns, quat_multiply(self.quat, error), self.star_sigma)
                )

    @property
    def position_error(self) -> float:
        estimate, position, _ = self.log[-1]
        return float(np.linalg.norm(estimate.position_m - position))

    @property
    def attitude_error(self) -> float:
        estimate, _, quat = self.log[-1]
        turn = quat_multiply(quat_conjugate(quat), estimate.quat_wxyz)
        return float(np.linalg.norm(quat_log(turn)))


def joints(stamp_ns: int, steer: np.ndarray, turned: np.ndarray, speed: np.ndarray) -> JointSample:
    mask = KINEMATICS.steered
    position = np.concatenate(([0.1], turned, steer[mask]))
    velocity = np.concatenate(([0.0], speed, np.zeros(4)))
    return JointSample(stamp_ns, NAMES, position, velocity)


def estimator(drive: Drive | None = None, **overrides: float) -> DeadReckoning:
    made = DeadReckoning(DeadReckoningConfig(**overrides), KINEMATICS, WHEELS, STEERED)
    if drive is not None:
        made.reset(drive.position, drive.quat, drive.time_ns)
    return made


def winding(t: float) -> tuple[float, np.ndarray]:
    return 0.5 + 0.1 * np.sin(0.3 * t), np.array([0.0, 0.0, 0.15 * np.sin(0.2 * t)])


def test_slope_drive_is_followed_in_three_dimensions() -> None:
    quat = quat_multiply(quat_from_rpy(0.1, -np.radians(15.0), 0.0), quat_from_rpy(0, 0, 0.4))
    drive = Drive(quat=quat, position=np.array([3.0, -2.0, 1.0]))
    drive.run(estimator(drive), winding, 30.0)
    assert drive.position[2] > 2.5
    assert drive.distance > 14.0
    assert drive.position_error < 0.001 * drive.distance
    assert drive.attitude_error < 1e-4


@pytest.mark.parametrize("phase_ns", [0, S // 100])
def test_sensors_out_of_step_with_noise_stay_within_half_a_percent(phase_ns: int) -> None:
    quat = quat_from_rpy(0.05, -0.2, 1.0)
    drive = Drive(
        quat=quat,
        bias=np.array([3e-4, -2e-4, 5e-4]),
        gyro_sigma=2e-4,
        star_sigma=3.5e-4,
        joint_phase_ns=phase_ns,
    )
    followed = estimator(drive)
    drive.run(followed, standing, 3.0)
    drive.run(followed, winding, 25.0)
    assert drive.position_error < 0.005 * drive.distance
    assert not followed.refused


def test_rolling_ground_raises_and_lowers_z() -> None:
    def undulating(t: float) -> tuple[float, np.ndarray]:
        return 0.6, np.array([0.0, -0.15 * np.cos(0.6 * t), 0.0])

    drive = Drive()
    drive.run(estimator(drive), undulating, 21.0)
    heights = np.array([position[2] for _, position, _ in drive.log])
    estimates = np.array([estimate.position_m[2] for estimate, _, _ in drive.log])
    assert np.ptp(heights) > 0.4
    assert np.abs(heights - estimates).max() < 0.001 * drive.distance


def test_bias_is_learned_while_standing_and_only_then() -> None:
    bias = np.array([1e-3, -2e-3, 1.5e-3])
    drive = Drive(bias=bias, gyro_sigma=2e-4)
    stood = estimator(drive, gyro_bias_sigma_rps=2e-3, gyro_noise_rps_sqrt_hz=3e-5)
    drive.run(stood, standing, 5.0)
    assert np.abs(stood.bias_rps - bias).max() < 1e-4
    drive.run(stood, winding, 10.0)
    assert np.abs(stood.bias_rps - bias).max() < 1e-4
    rushed_drive = Drive(bias=bias)
    rushed = estimator(rushed_drive)
    rushed_drive.run(rushed, winding, 5.0)
    assert np.abs(rushed.bias_rps[2] - bias[2]) > 1e-3


def test_stars_hold_the_heading_against_a_drifting_gyro() -> None:
    def straight(_: float) -> tuple[float, np.ndarray]:
        return 0.5, np.zeros(3)

    errors = {}
    for star in (None, 3.5e-4):
        drive = Drive(bias=np.array([0.0, 0.0, 1e-3]), star_sigma=star)
        followed = estimator(drive)
        drive.run(followed, straight, 20.0)
        errors[star] = drive.attitude_error
    assert errors[None] > 0.015
    assert errors[3.5e-4] < 1e-3


def test_one_wild_star_answer_is_refused_and_a_lasting_one_believed() -> None:
    drive = Drive(star_sigma=3.5e-4)
    followed = estimator(drive)
    drive.run(followed, standing, 10.0)
    wild = quat_from_rpy(0.0, 0.0, 0.3)
    followed.on_attitude(AttitudeSample(drive.time_ns + 1, wild, 3.5e-4))
    drive.star_sigma = None
    drive.run(followed, standing, 1.0)
    assert followed.refused["attitude_gate"] == 1
    assert drive.attitude_error < 1e-3
    for _ in range(20):
        followed.on_attitude(AttitudeSample(drive.time_ns + 1, wild, 3.5e-4))
        drive.run(followed, standing, 0.1)
    estimate = drive.log[-1][0]
    assert rpy_from_quat(estimate.quat_wxyz)[2] == pytest.approx(0.3, abs=0.01)


def rocking_drive(followed: DeadReckoning, seconds: int = 40) -> float:
    """Rocks as on rough ground, with a gyro that gives means; gives the rms of the attitude."""
    rng, quat, sigma = np.random.default_rng(4), np.array([1.0, 0.0, 0.0, 0.0]), 3.5e-4
    followed.reset(np.zeros(3), quat, 0)
    errors = []
    for tick in range(1, 50 * seconds + 1):
        before = quat
        for k in range(10):
            t = (tick - 1 + (k + 0.5) / 10) / 50
            rate = np.array([0.12 * np.sin(5.0 * t), 0.1 * np.cos(3.7 * t), 0.03 * np.sin(t)])
            quat = quat_multiply(quat, quat_exp(rate / 500))
        mean = quat_log(quat_multiply(quat_conjugate(before), quat)) * 50
        stamp = tick * S // 50
        followed.on_imu(ImuSample(stamp, mean, rotation_matrix(quat).T @ GRAVITY))
        if tick % 50 == 17:
            seen = quat_multiply(quat, quat_exp(rng.normal(0.0, sigma, 3)))
            followed.on_attitude(AttitudeSample(stamp, seen, sigma))
            error = quat_log(quat_multiply(quat_conjugate(quat), followed.quat_wxyz))
            errors.append(np.linalg.norm(error))
    return float(np.sqrt(np.mean(np.square(errors[10:]))))


def test_stars_are_not_refused_while_the_vehicle_rocks() -> None:
    noise = {"gyro_noise_rps_sqrt_hz": 2e-5}
    followed = estimator(imu_averages=True, **noise)
    assert rocking_drive(followed) < 3e-4
    assert followed.refused["attitude_gate"] == 0
    # a unit whose kind is not known: its stamps are doubted by so much
    doubting = estimator(star_stamp_sigma_s=0.01, **noise)
    rocking_drive(doubting)
    assert doubting.refused["attitude_gate"] <= 1
    # means that are taken for values at the stamp leave the attitude half a period behind
    behind = estimator(star_stamp_sigma_s=0.0, **noise)
    rocking_drive(behind)
    assert behind.refused["attitude_gate"] > 8


def test_late_star_answer_corrects_what_it_saw_then() -> None:
    def turning(_: float) -> tuple[float, np.ndarray]:
        return 0.0, np.array([0.0, 0.0, 0.3])

    drive = Drive(quat=quat_from_rpy(0.0, 0.0, 0.0))
    followed = estimator()
    followed.reset(np.zeros(3), quat_from_rpy(0.0, 0.0, 0.02), 0)
    drive.run(followed, turning, 2.0)
    then_ns, then = drive.time_ns, drive.quat
    drive.run(followed, turning, 0.6)
    followed.on_attitude(AttitudeSample(then_ns, then, 1e-4))
    drive.run(followed, turning, 0.1)
    assert drive.attitude_error < 1e-3


def test_gravity_levels_the_attitude_without_stars() -> None:
    drive = Drive(quat=quat_from_rpy(0.08, -0.1, 0.5))
    followed = estimator(initial_attitude_sigma_rad=0.2)
    followed.reset(drive.position, quat_from_rpy(0.0, 0.0, 0.5), 0)
    drive.run(followed, standing, 10.0)
    roll, pitch, _ = rpy_from_quat(drive.log[-1][0].quat_wxyz)
    assert (roll, pitch) == pytest.approx((0.08, -0.1), abs=0.01)


def test_slip_error_stays_within_three_sigma_and_grows_on_slopes() -> None:
    def straight(_: float) -> tuple[float, np.ndarray]:
        return 0.5, np.zeros(3)

    sigmas = []
    for pitch in (0.0, -0.25):
        drive = Drive(quat=quat_from_rpy(0.0, pitch, 0.0), slip=0.02, star_sigma=3.5e-4)
        drive.run(estimator(drive), straight, 30.0)
        estimate = drive.log[-1][0]
        sigmas.append(float(np.sqrt(estimate.pose_covariance[0, 0])))
        assert drive.position_error > 0.25
        assert drive.position_error < 3.0 * sigmas[-1]
        assert np.linalg.eigvalsh(estimate.pose_covariance).min() > -1e-12
    assert sigmas[1] > 1.5 * sigmas[0]


def test_yaw_between_map_and_odom_is_taken_off_the_stars() -> None:
    drive = Drive(quat=quat_from_rpy(0.0, 0.0, 1.2), star_sigma=1e-4)
    followed = estimator()
    followed.reset(np.zeros(3), quat_from_rpy(0.0, 0.0, 0.2), 0, map_to_odom_yaw_rad=1.0)
    drive.run(followed, standing, 5.0)
    assert rpy_from_quat(drive.log[-1][0].quat_wxyz)[2] == pytest.approx(0.2, abs=1e-3)
    assert followed.refused["attitude_gate"] == 0


def test_tilted_mounts_are_taken_into_account() -> None:
    mount = (0.3, -0.2, 0.5)
    config = DeadReckoningConfig(imu_rpy_rad=mount, star_tracker_rpy_rad=mount)
    followed = DeadReckoning(config, KINEMATICS, WHEELS, STEERED)
    base_from_mount = quat_from_rpy(*mount)
    rate = quat_rotate(quat_conjugate(base_from_mount), np.array([[0.0, 0.0, 0.2]]))[0]
    force = quat_rotate(quat_conjugate(base_from_mount), GRAVITY[np.newaxis])[0]
    followed.reset(np.zeros(3), np.array([1.0, 0, 0, 0]), 0)
    steer, speed = KINEMATICS.inverse(0.0, 0.2)
    last = None
    for tick in range(1, 101):
        stamp = tick * S // 50
        followed.on_imu(ImuSample(stamp, rate, force))
        last = followed.on_joints(joints(stamp, steer, speed * stamp / S, speed)) or last
        if tick % 50 == 0:
            truth = quat_from_rpy(0.0, 0.0, 0.2 * stamp / S)
            measured = quat_multiply(truth, base_from_mount)
            followed.on_attitude(AttitudeSample(stamp, measured, 1e-4))
    assert last is not None
    assert rpy_from_quat(last.quat_wxyz) == pytest.approx((0.0, 0.0, 0.4), abs=1e-6)
    assert np.linalg.norm(last.position_m) < 1e-6
    assert not followed.refused


def test_bad_samples_are_refused_and_counted_without_harm() -> None:
    drive = Drive()
    followed = estimator(drive)
    drive.run(followed, winding, 2.0)
    before = drive.log[-1][0]
    now = drive.time_ns
    bad = np.full(3, np.nan)
    followed.on_imu(ImuSample(now + 1, bad, GRAVITY))
    followed.on_imu(ImuSample(now - S, np.zeros(3), GRAVITY))
    followed.on_imu(ImuSample(now, np.zeros(3), GRAVITY))
    followed.on_attitude(AttitudeSample(now, np.full(4, np.nan), 1e-3))
    followed.on_attitude(AttitudeSample(now, np.array([2.0, 0, 0, 0]), 1e-3))
    steer, speed = KINEMATICS.inverse(0.0, 0.0)
    assert followed.on_joints(joints(now, steer, drive.turned, speed)) is None
    assert followed.on_joints(joints(now + 1, steer, drive.turned * np.nan, speed)) is None
    short = JointSample(now + 2, ("fl_wheel",), np.zeros(1), np.zeros(1))
    assert followed.on_joints(short) is None
    assert followed.refused == {
        "imu_not_finite": 1,
        "imu_stamp": 2,
        "attitude_not_finite": 1,
        "attitude_not_valid": 1,
        "joints_stamp": 1,
        "joints_not_finite": 1,
        "joints_missing": 1,
    }
    drive.run(followed, winding, 1.0)
    moved = drive.log[-1][0].position_m - before.position_m
    assert np.linalg.norm(moved) < 0.7
    assert drive.position_error < 0.001 * drive.distance


def test_no_pose_is_made_up_when_the_imu_is_silent() -> None:
    drive = Drive()
    followed = estimator(drive)
    drive.run(followed, winding, 1.0)
    steer, speed = KINEMATICS.inverse(0.5, 0.0)
    late = drive.time_ns + S
    assert followed.on_joints(joints(late, steer, drive.turned, speed)) is None
    assert followed.refused["joints_without_imu"] == 1


def test_restarted_encoder_does_not_throw_the_pose() -> None:
    drive = Drive()
    followed = estimator(drive)
    drive.run(followed, winding, 5.0)
    drive.turned = np.zeros(6)
    drive.run(followed, winding, 5.0)
    assert followed.refused["encoder_jump"] == 1
    assert drive.position_error < 0.01


@dataclass
class Shifted:
    """Hands samples on with their stamps moved, and estimates back."""

    inner: DeadReckoning
    drive: Drive
    by_ns: int

    def on_imu(self, sample: ImuSample) -> None:
        self.inner.on_imu(replace(sample, stamp_ns=sample.stamp_ns + self.by_ns))

    def on_attitude(self, sample: AttitudeSample) -> None:
        self.inner.on_attitude(replace(sample, stamp_ns=sample.stamp_ns + self.by_ns))

    def on_joints(self, sample: JointSample) -> OdometryEstimate | None:
        return self.inner.on_joints(replace(sample, stamp_ns=sample.stamp_ns + self.by_ns))


@pytest.mark.parametrize("by_s", [-500, -3, 3, 3600, 1_700_000_000])
@pytest.mark.parametrize("star", [None, 3.5e-4])
def test_a_clock_that_is_set_while_driving_keeps_the_pose(by_s: int, star: float | None) -> None:
    drive = Drive(star_sigma=star, time_ns=1000 * S)
    followed = estimator(drive)
    drive.run(followed, winding, 8.0)
    before = drive.log[-1][0]
    drive.run(Shifted(followed, drive, by_s * S), winding, 8.0)  # type: ignore[arg-type]
    estimate = drive.log[-1][0]
    assert estimate.stamp_ns == drive.time_ns + by_s * S
    assert np.linalg.norm(estimate.position_m - before.position_m) > 3.0
    assert drive.position_error < 0.005 * drive.distance
    assert drive.attitude_error < 0.01
    assert followed.refused["time_went_back"] == (by_s < 0)
    assert followed.refused["imu_stamp"] == 2
    assert np.isfinite(estimate.pose_covariance).all()


def test_one_wrong_stamp_neither_resets_nor_blocks() -> None:
    drive = Drive()
    followed = estimator(drive)
    drive.run(followed, winding, 2.0)
    steer, speed = KINEMATICS.inverse(0.5, 0.0)
    for wrong_ns in (3600 * S, 0, 7200 * S):
        followed.on_imu(ImuSample(wrong_ns + 1, np.zeros(3), GRAVITY))
        assert followed.on_joints(joints(wrong_ns + 1, steer, drive.turned, speed)) is None
        drive.run(followed, winding, 1.0)
    assert followed.refused == {"imu_stamp": 3, "joints_stamp": 3}
    assert drive.position_error < 0.001 * drive.distance


def test_wheels_tell_the_way_through_a_gap_unless_their_encoders_restarted() -> None:
    for restarted in (False, True):
        drive = Drive()
        followed = estimator(drive)
        drive.run(followed, lambda _t: (0.5, np.zeros(3)), 10.0)
        silent = estimator()
        drive.run(silent, lambda _t: (0.5, np.zeros(3)), 4.0)
        if restarted:
            drive.turned = np.zeros(6)
        drive.run(followed, lambda _t: (0.5, np.zeros(3)), 1.0)
        assert followed.refused["joints_gap"] == 1
        lost = drive.position[0] - drive.log[-1][0].position_m[0]
        assert lost == pytest.approx(2.03 if restarted else 0.0, abs=0.01)


def test_stars_ahead_of_the_gyro_are_refused_and_do_not_block_those_that_follow() -> None:
    drive = Drive(star_sigma=3.5e-4)
    followed = estimator(drive)
    drive.run(followed, standing, 3.0)
    followed.on_attitude(AttitudeSample(drive.time_ns + 10 * S, drive.quat, 3.5e-4))
    drive.run(followed, standing, 3.0)
    assert followed.refused == {"attitude_from_the_future": 1}


def test_names_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="do not fit"):
        DeadReckoning(DeadReckoningConfig(), KINEMATICS, WHEELS, ("ml", "mr"))
