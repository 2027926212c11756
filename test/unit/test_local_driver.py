"""From path to command: what would tip is closed, speed obeys what is seen, slip is made good."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ilrs_robots.core.control.ground_ahead import Ahead
from ilrs_robots.core.control.local_driver import LocalDriver
from ilrs_robots.core.control.path import ArcPath
from ilrs_robots.core.control.speed_limits import stopping_speed
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.planning.local_terrain import LocalTerrain, clearance_of
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import navigator_config_of

SPEC = GridSpec(-4.0, -8.0, 0.1, 161, 241)
MODEL = load_robot("long_range")
CLEAR = Ahead(math.inf, math.inf, (14.0, 0.0))
BOTH = pytest.mark.parametrize("controller", ["tracker", "mppi"])


def terrain_of(heights: np.ndarray | None = None) -> LocalTerrain:
    cost = np.zeros(SPEC.shape, np.float32)
    ground = None if heights is None else Heights(SPEC, heights.astype(np.float32))
    return LocalTerrain(SPEC, cost, clearance_of(cost, 0.1, 0.99), ground)


def driver_of(controller: str = "tracker") -> LocalDriver:
    config = replace(navigator_config_of(MODEL), controller=controller)
    return LocalDriver(config, footing_of(MODEL), (2.6, 2.1))


def path() -> ArcPath:
    return ArcPath(np.array([[0.0, 0.0], [14.0, 0.0]]))


def settled(
    driver: LocalDriver, terrain: LocalTerrain, clear_m: float, v: float = 0.6
) -> tuple[float, float]:
    """The command after some cycles on the spot."""
    command = (0.0, 0.0)
    for n in range(5):
        now_ns = n * 100_000_000
        driver.look(now_ns, path(), CLEAR, terrain)
        command = driver.command(now_ns, (0.0, 0.0, 0.0), v, (0.7, 0.0), clear_m, terrain)
    return command


@BOTH
@pytest.mark.parametrize("clear_m", [0.3, 0.5, 1.0, 2.0])
def test_it_is_never_faster_than_it_can_stop_in_what_is_clear(
    controller: str, clear_m: float
) -> None:
    driver = driver_of(controller)
    v, _ = settled(driver, terrain_of(), clear_m, v=0.1)
    config = navigator_config_of(MODEL)
    left = clear_m - config.tracker.clear_margin_m
    limit = stopping_speed(left, config.driving.max_decel_mps2, config.speed.reaction_s)
    assert 0.0 <= v <= float(limit) + 1e-9


@BOTH
def test_open_even_ground_is_driven_at_full_speed(controller: str) -> None:
    assert settled(driver_of(controller), terrain_of(), math.inf)[0] == pytest.approx(0.7, abs=0.1)


def test_uphill_wheels_turn_faster_than_the_vehicle_goes() -> None:
    x, _ = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    slope = math.radians(12.0)
    terrain = terrain_of(math.tan(slope) * x)
    driver = driver_of()
    driver.look(0, path(), CLEAR, terrain)
    v, _ = driver.command(0, (0.0, 0.0, 0.0), 0.4, (0.4, 0.0), math.inf, terrain)
    assert v == pytest.approx(
        0.4 / (1.0 - MODEL.wheels.slip_per_slope * math.sin(slope)), rel=1e-3
    )


def test_bumps_slow_the_vehicle_down() -> None:
    x, _ = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    crewed = load_robot("crewed_rover")
    rough, even = terrain_of(0.15 * np.sin(2.0 * math.pi * x / 3.0)), terrain_of(0.0 * x)
    driver = LocalDriver(navigator_config_of(crewed), footing_of(crewed), (3.2, 2.2))
    speeds = []
    for terrain in (even, rough):
        driver.look(0, path(), CLEAR, terrain)
        speeds.append(driver.command(0, (0.0, 0.0, 0.0), 1.0, (2.0, 0.0), math.inf, terrain)[0])
    assert speeds[0] == pytest.approx(2.0, abs=0.05)
    assert speeds[1] < 1.5


def test_ground_that_would_tip_the_vehicle_closes_the_path() -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    bank = math.tan(math.radians(35.0)) * y * (x > 6.0)
    driver = driver_of()
    ahead = driver.look(0, path(), CLEAR, terrain_of(bank))
    assert 2.5 < ahead.closed_m < 5.5
    assert 5.0 < ahead.end_xy_m[0] < 7.0
    assert driver.look(0, path(), CLEAR, terrain_of()) == CLEAR


def test_unknown_heights_neither_close_nor_stop() -> None:
    terrain = terrain_of(np.full(SPEC.shape, np.nan))
    for controller in ("tracker", "mppi"):
        driver = driver_of(controller)
        assert driver.look(0, path(), CLEAR, terrain) == CLEAR
        assert settled(driver, terrain, math.inf)[0] > 0.5


def test_where_every_motion_hits_the_way_is_taken_for_closed() -> None:
    cost = np.zeros(SPEC.shape, np.float32)
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    cost[np.hypot(x - 1.9, y) < 0.3] = 1.0
    cost[np.abs(y) > 1.15] = 1.0
    terrain = LocalTerrain(SPEC, cost, clearance_of(cost, 0.1, 0.99))
    driver = driver_of("mppi")
    outputs = []
    for n in range(20):
        ahead = driver.look(n * 100_000_000, path(), CLEAR, terrain)
        pose = (0.0, 0.0, 0.0)
        outputs.append(
            driver.command(n * 100_000_000, pose, 0.6, (0.7, 0.0), math.inf, terrain)[0]
        )
    assert outputs[-5:] == [0.0] * 5
    assert driver.reason == "no safe motion ahead"
    assert math.isfinite(ahead.closed_m)


def test_turning_in_place_and_backing_up_are_the_trackers() -> None:
    driver, terrain = driver_of("mppi"), terrain_of()
    driver.look(0, path(), CLEAR, terrain)
    for tracked in ((0.0, 0.3), (-0.2, 0.1)):
        assert driver.command(0, (0.0, 0.0, 0.0), 0.0, tracked, math.inf, terrain) == tracked
