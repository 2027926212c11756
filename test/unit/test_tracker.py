"""Behaviour of PathTracker on a unicycle that needs time to change its speed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.control.path import ArcPath
from ilrs_robots.core.control.steering import SteeringKinematics
from ilrs_robots.core.control.tracker import PathTracker, TrackerConfig, TrackStatus
from ilrs_robots.core.errors import ConfigError

CONFIG = TrackerConfig()
DT = 0.1
KINEMATICS = SteeringKinematics(
    np.array([[1.0, 0.9], [1.0, -0.9], [0.0, 0.9], [0.0, -0.9], [-1.0, 0.9], [-1.0, -0.9]]),
    np.array([True, True, False, False, True, True]),
    0.28,
    math.radians(95.0),
)


@dataclass
class Unicycle:
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    v: float = 0.0
    w: float = 0.0
    log: list[tuple[float, ...]] = field(default_factory=list)

    def drive(self, v: float, w: float) -> None:
        self.v += float(np.clip(v - self.v, -0.08, 0.03))
        self.w += float(np.clip(w - self.w, -0.05, 0.05))
        self.yaw += self.w * DT
        self.x += self.v * math.cos(self.yaw) * DT
        self.y += self.v * math.sin(self.yaw) * DT
        self.log.append((self.x, self.y, self.yaw, self.v, self.w))


def follow(
    tracker: PathTracker, robot: Unicycle, seconds: float = 200.0, clear: float = math.inf
) -> TrackStatus:
    status = TrackStatus(False, 0.0, 0.0, "")
    for _ in range(round(seconds / DT)):
        v, w, status = tracker.command(robot.x, robot.y, robot.yaw, robot.v, clear)
        if status.done:
            break
        robot.drive(v, w)
    return status


def test_straight_path_is_followed_to_the_goal() -> None:
    tracker, robot = PathTracker(CONFIG), Unicycle()
    tracker.set_path(np.array([[0.0, 0.0], [20.0, 0.0]]))
    status = follow(tracker, robot)
    assert status.done
    assert math.dist((robot.x, robot.y), (20.0, 0.0)) <= CONFIG.goal_tolerance_m
    assert max(row[3] for row in robot.log) == pytest.approx(CONFIG.max_speed_mps, abs=0.01)
    assert robot.v < 0.3


def test_offset_is_taken_away() -> None:
    tracker, robot = PathTracker(CONFIG), Unicycle(y=1.0)
    tracker.set_path(np.array([[0.0, 0.0], [15.0, 0.0]]))
    follow(tracker, robot, 15.0)
    assert abs(robot.y) < 0.15


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_winding_paths_are_followed_closely(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = np.linspace(0.0, 25.0, 120)
    y = rng.uniform(0.3, 1.2) * np.sin(rng.uniform(0.15, 0.5) * s)
    path = np.stack((s, y - y[0]), axis=-1)
    tracker, robot = PathTracker(CONFIG), Unicycle(yaw=rng.uniform(-3.0, 3.0))
    tracker.set_path(path)
    assert follow(tracker, robot).done
    driven = np.array(robot.log)[:, :2]
    away = np.hypot(*(driven[:, np.newaxis] - path[np.newaxis]).transpose(2, 0, 1)).min(axis=1)
    assert away.max() < 0.5
    assert max(abs(row[4]) for row in robot.log) <= CONFIG.max_yaw_rate_rps + 1e-9


def test_large_heading_error_is_turned_away_in_place() -> None:
    tracker, robot = PathTracker(CONFIG), Unicycle(yaw=math.radians(150.0))
    tracker.set_path(np.array([[0.0, 0.0], [10.0, 0.0]]))
    v, w, status = tracker.command(0.0, 0.0, robot.yaw, 0.0)
    assert v == 0.0
    assert w < 0.0
    assert status.turning
    turned = [
        tracker.command(0.0, 0.0, yaw, 0.0)[2].turning
        for yaw in np.radians([100, 62, 40, 15, 8, 30, 58])
    ]
    assert turned == [True, True, True, True, False, False, False]


def test_final_yaw_is_turned_to() -> None:
    tracker, robot = PathTracker(CONFIG), Unicycle()
    tracker.set_path(np.array([[0.0, 0.0], [5.0, 0.0]]), final_yaw_rad=-2.0)
    assert follow(tracker, robot).done
    assert abs(math.remainder(robot.yaw + 2.0, 2 * math.pi)) <= CONFIG.yaw_tolerance_rad + 0.02
    assert math.dist((robot.x, robot.y), (5.0, 0.0)) < 0.5


def test_vehicle_stops_before_the_end_of_clear_ground() -> None:
    tracker, robot = PathTracker(CONFIG), Unicycle()
    tracker.set_path(np.array([[0.0, 0.0], [30.0, 0.0]]))
    for _ in range(600):
        v, w, _ = tracker.command(robot.x, robot.y, robot.yaw, robot.v, 8.0 - robot.x)
        robot.drive(v, w)
    assert robot.v < 0.02
    assert 7.0 < robot.x < 8.0


def test_near_obstacles_and_curves_slow_the_vehicle() -> None:
    tracker = PathTracker(CONFIG)
    tracker.set_path(np.array([[0.0, 0.0], [30.0, 0.0]]))
    free, _, _ = tracker.command(2.0, 0.0, 0.0, 0.5)
    near, _, status = tracker.command(2.0, 0.0, 0.0, 0.5, obstacle_distance_m=0.2)
    assert near < 0.6 * free
    assert status.reason == "obstacle is near"
    bent, _, status = tracker.command(2.0, 0.6, 0.0, 0.5)
    assert bent < 0.8 * free
    assert status.reason == "curve"


def test_driving_backwards_follows_the_path_rear_first() -> None:
    tracker, robot = PathTracker(CONFIG), Unicycle(yaw=0.1)
    s = np.linspace(0.0, 4.0, 30)
    tracker.set_path(np.stack((-s, 0.1 * s**2), axis=-1), reverse=True)
    assert follow(tracker, robot).done
    assert math.dist((robot.x, robot.y), (-4.0, 1.6)) <= CONFIG.goal_tolerance_m
    assert max(row[3] for row in robot.log) <= 0.0
    assert min(row[3] for row in robot.log) >= -CONFIG.reverse_speed_mps - 1e-9


def test_path_that_crosses_itself_is_driven_in_order() -> None:
    path = np.array([[0.0, 0.0], [12.0, 0.0], [12.0, 6.0], [6.0, 6.0], [6.0, -6.0]])
    tracker, robot = PathTracker(CONFIG), Unicycle()
    tracker.set_path(path)
    assert follow(tracker, robot).done
    driven = np.array(robot.log)[:, :2]
    for corner in path[1:4]:
        assert np.hypot(*(driven - corner).T).min() < 1.3
    assert math.dist(driven[-1], path[-1]) < 0.4


def test_passing_by_the_goal_on_an_early_branch_is_not_arrival() -> None:
    path = np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 4.0], [4.0, 4.0], [4.0, 0.2]])
    tracker, robot = PathTracker(CONFIG), Unicycle()
    tracker.set_path(path)
    assert follow(tracker, robot).done
    assert max(row[0] for row in robot.log) > 7.0


@dataclass
class SteeredRover(Unicycle):
    """Corner wheels that turn at 30 deg/s; the motion is what all wheels agree on."""

    steer: np.ndarray = field(default_factory=lambda: np.zeros(6))

    def drive(self, v: float, w: float) -> None:
        wanted, _ = KINEMATICS.inverse(v, w, previous_steer=self.steer)
        step = math.radians(30.0) * DT
        self.steer = self.steer + np.clip(wanted - self.steer, -step, step)
        speed = KINEMATICS.wheel_speeds(v, w, self.steer)
        self.v, vy, self.w = KINEMATICS.forward(self.steer, speed)
        middle = self.yaw + 0.5 * self.w * DT
        self.x += (self.v * math.cos(middle) - vy * math.sin(middle)) * DT
        self.y += (self.v * math.sin(middle) + vy * math.cos(middle)) * DT
        self.yaw += self.w * DT
        self.log.append((self.x, self.y, self.yaw, self.v, self.w))


def test_vehicle_whose_wheels_take_time_to_turn_follows_corners() -> None:
    path = np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 8.0], [0.0, 8.0], [0.0, 14.0]])
    tracker, robot = PathTracker(CONFIG), SteeredRover(yaw=2.5)
    tracker.set_path(path, final_yaw_rad=0.0)
    assert follow(tracker, robot).done
    driven = np.array(robot.log)[:, :2]
    legs = np.concatenate([np.linspace(a, b, 100) for a, b in pairwise(path)])
    away = np.hypot(*(driven[:, np.newaxis] - legs[np.newaxis]).transpose(2, 0, 1)).min(axis=1)
    assert away.max() < 0.7
    assert math.dist(driven[-1], path[-1]) < 0.6


def test_nothing_to_do_and_bad_input_give_zero() -> None:
    tracker = PathTracker(CONFIG)
    assert tracker.command(0.0, 0.0, 0.0, 0.0)[:2] == (0.0, 0.0)
    tracker.set_path(np.array([[0.0, 0.0], [5.0, 0.0]]))
    v, w, status = tracker.command(math.nan, 0.0, 0.0, 0.0)
    assert (v, w, status.done) == (0.0, 0.0, False)
    assert tracker.command(0.0, 0.0, 0.0, 0.0, clear_distance_m=math.nan)[:2] == (0.0, 0.0)
    tracker.set_path(np.array([[0.1, 0.0]]))
    assert tracker.command(0.0, 0.0, 0.0, 0.0)[2].done
    with pytest.raises(ValueError, match="finite"):
        tracker.set_path(np.array([[0.0, math.nan], [1.0, 0.0]]))
    with pytest.raises(ConfigError, match="min_lookahead_m"):
        TrackerConfig(min_lookahead_m=5.0)


def test_arc_path_geometry() -> None:
    path = ArcPath(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 0.0], [3.0, 4.0]]))
    assert path.length_m == 7.0
    assert path.project(2.0, 0.5, 0.0, 10.0) == pytest.approx(0.5)
    assert path.project(3.5, 2.0, 0.0, 10.0) == pytest.approx(-0.5)
    assert path.progress_m == pytest.approx(5.0)
    assert path.point(5.0) == pytest.approx((3.0, 2.0))
    assert path.point(8.0) == pytest.approx((3.0, 5.0))
    assert np.allclose(path.ahead(1.0), [[3.0, 2.0], [3.0, 3.0]])
