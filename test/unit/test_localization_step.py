"""The localisation step: where it starts, starts again, and what a given pose moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.errors import TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import AttitudeSample, ImuSample, JointSample, OdometryEstimate
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.steps import LocalizationStep, dead_reckoning_config_of

S = 1_000_000_000
TICK = S // 50
MODEL = load_robot("long_range")
START = se3.from_rpy((100.0, -20.0, 7.0), (0.0, 0.0, 0.5))
UP = np.array([0.0, 0.0, MOON_GRAVITY_MPS2])


class Rover:
    """Drives straight ahead at 0.5 m/s on level ground and hands its samples over."""

    def __init__(self, step: LocalizationStep, yaw_rad: float = 0.5) -> None:
        self.step = step
        self.attitude = se3.quat_from_rpy(0.0, 0.0, yaw_rad)
        self.turned_rad = 0.0
        self.last: OdometryEstimate | None = None
        wheels, steered = MODEL.wheels.names, MODEL.wheels.steered
        self.names = (*(f"{w}_wheel" for w in wheels), *(f"{w}_steer" for w in steered))
        self.wheels, self.steers = len(wheels), len(steered)

    def drive(self, start_ns: int, seconds: float, *, stars: bool = False) -> int:
        rate = 0.5 / MODEL.wheels.rolling_radius_m
        now = start_ns
        for _ in range(round(seconds * 50)):
            now += TICK
            self.turned_rad += rate / 50
            imu = ImuSample(now, np.zeros(3), UP)
            if not self.step.started:
                self.step.start_level(START, imu)
            self.step.on_imu(imu)
            if stars and now % (S // 2) == 0:
                self.step.on_attitude(AttitudeSample(now, self.attitude, 3e-4))
            self.last = self.step.on_joints(self.joints(now, rate)) or self.last
        return now

    def joints(self, now_ns: int, rate_rps: float = 0.0) -> JointSample:
        position = np.r_[np.full(self.wheels, self.turned_rad), np.zeros(self.steers)]
        speed = np.r_[np.full(self.wheels, rate_rps), np.zeros(self.steers)]
        return JointSample(now_ns, self.names, position, speed)

    def pose_in_map(self) -> np.ndarray:
        assert self.last is not None
        odom = se3.make_transform(self.last.position_m, self.last.quat_wxyz)
        return self.step.T_map_odom @ odom


def rover(restart_at: np.ndarray | None = None) -> Rover:
    cfg = dead_reckoning_config_of(MODEL)
    return Rover(LocalizationStep(MODEL, "r", cfg, restart_at))


def test_a_simulation_that_is_reset_starts_again_at_its_start() -> None:
    robot = rover(restart_at=START)
    robot.drive(500 * S, 20.0)
    assert np.linalg.norm(robot.pose_in_map()[:3, 3] - START[:3, 3]) > 9.0
    end = robot.drive(0, 2.0)
    assert robot.step.restarts == 1
    assert robot.last is not None
    assert robot.last.stamp_ns == end
    # three samples confirm the new time, so a little of the two seconds is not counted
    way = np.linalg.norm(robot.pose_in_map()[:3, 3] - START[:3, 3])
    assert way == pytest.approx(1.0, abs=0.06)


def test_on_hardware_a_clock_that_is_set_keeps_the_pose() -> None:
    robot = rover()
    robot.drive(500 * S, 20.0)
    end = robot.drive(0, 2.0)
    assert robot.step.restarts == 0
    assert robot.last is not None
    assert robot.last.stamp_ns == end
    way = np.linalg.norm(robot.pose_in_map()[:3, 3] - START[:3, 3])
    assert way == pytest.approx(11.0, abs=0.03)


@pytest.mark.parametrize("stars", [False, True])
def test_a_given_pose_moves_map_to_odom_and_nothing_else(stars: bool) -> None:
    robot = rover()
    now = robot.drive(0, 10.0, stars=stars)
    assert robot.last is not None
    before = robot.last
    given = se3.from_rpy((7.0, 8.0, 9.0), (0.3, 0.2, 1.1))
    assert robot.step.relocate(given) is not stars
    np.testing.assert_allclose(robot.pose_in_map()[:3, 3], given[:3, 3], atol=1e-9)
    now = robot.drive(now, 4.0, stars=stars)
    # odom goes on without a jump
    moved = robot.last.position_m - before.position_m
    np.testing.assert_allclose(moved, [2.0 * np.cos(0.5), 2.0 * np.sin(0.5), 0.0], atol=0.02)
    # and in map the robot drives along the heading that was given, or that the stars hold
    heading = 0.5 if stars else 1.1
    way = robot.pose_in_map()[:3, 3] - given[:3, 3]
    np.testing.assert_allclose(way, [2 * np.cos(heading), 2 * np.sin(heading), 0.0], atol=0.02)
    roll, pitch, yaw = se3.rpy_from_quat(se3.split_transform(robot.pose_in_map())[1])
    np.testing.assert_allclose((roll, pitch, yaw), (0.0, 0.0, heading), atol=0.01)


def test_a_pose_that_is_none_is_refused_and_changes_nothing() -> None:
    robot = rover()
    robot.drive(0, 1.0)
    before = robot.step.T_map_odom.copy()
    bad = np.eye(4)
    bad[0, 3] = np.nan
    for pose in (bad, 2.0 * np.eye(4)):
        with pytest.raises(TransformError):
            robot.step.relocate(pose)
    np.testing.assert_array_equal(robot.step.T_map_odom, before)


def test_after_an_absence_wheels_and_stars_tell_where_the_vehicle_is() -> None:
    before = rover()
    now = before.drive(500 * S, 20.0, stars=True)
    memory = json.loads(json.dumps(before.step.memory()))
    # unheard: 1.6 s of driving and a turn, then braking, in which the force lies by twenty degrees
    after = rover()
    after.turned_rad = before.turned_rad + 0.8 / MODEL.wheels.rolling_radius_m
    after.attitude = se3.quat_from_rpy(0.0, 0.0, 0.56)
    now += round(1.6 * S)
    braking = np.array([-0.6, 0.0, MOON_GRAVITY_MPS2])
    after.step.resume(memory, now)
    after.step.on_imu(ImuSample(now, np.zeros(3), braking))
    assert after.step.on_joints(after.joints(now)) is None
    after.drive(now, 2.0, stars=True)
    assert after.last is not None
    roll, pitch, yaw = se3.rpy_from_quat(after.last.quat_wxyz)
    assert np.abs([roll, pitch, yaw - 0.56]).max() < 0.003
    way = np.linalg.norm(after.pose_in_map()[:3, 3] - START[:3, 3])
    assert way == pytest.approx(10.0 + 0.8 + 1.0, abs=0.05)
    assert before.last is not None
    doubt = [np.trace(last.pose_covariance[:3, :3]) for last in (before.last, after.last)]
    assert doubt[1] > doubt[0] > 0.0


def test_after_an_absence_in_the_dark_gravity_is_waited_for() -> None:
    before = rover()
    now = before.drive(500 * S, 10.0)
    after = rover()
    after.turned_rad = before.turned_rad
    after.step.resume(before.step.memory(), now)
    first = next(
        (t for t in range(1, 400) if after.drive(now + (t - 1) * TICK, 0.02) and after.last), None
    )
    assert first is not None
    assert 0.9 < first * 0.02 < 5.0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.pop("odom_base"),
        lambda m: m.update(map_odom=[[1.0]]),
        lambda m: m.update(turned_rad=[float("nan")] * 6),
        lambda m: m.update(turned_rad=[1.0]),
    ],
)
def test_a_damaged_memory_is_refused_and_nothing_changes(spoil: Callable[[Any], Any]) -> None:
    before = rover()
    before.drive(500 * S, 2.0)
    memory = before.step.memory()
    spoil(memory)
    fresh = rover().step
    with pytest.raises((KeyError, TypeError, ValueError, TransformError)):
        fresh.resume(memory, 600 * S)
    assert not fresh.started
    assert np.array_equal(fresh.T_map_odom, np.eye(4))
