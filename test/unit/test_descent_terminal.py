"""The terminal law flown to the ground, with lag, from whatever physics allows."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.control.terminal_law import (
    TerminalConfig,
    TerminalTable,
    law,
    table_of,
    terminal_thrust,
)
from ilrs_robots.core.planning.hop_types import HopVehicle
from ilrs_robots.core.types import FloatArray

VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0)
TABLE = table_of(VEHICLE, TerminalConfig())
FULL, G = VEHICLE.max_thrust_n, VEHICLE.gravity_mps2


@njit(cache=True, error_model="numpy")
def fly(p, state, exhaust, turn_s, thrust_s):  # type: ignore[no-untyped-def]
    """Point mass with a lagging direction and size of thrust, to the ground or for 900 s."""
    h, vx, vy, vz, m, x, y = state
    dt, time, size = 0.01, 0.0, 0.0
    bx, by, bz = 0.0, 0.0, 1.0
    while h > 0.0 and time < 900.0:
        fx, fy, fz, ax, ay, az = law(p, h, vx, vy, vz, m, x, y)
        turn = 1.0 if turn_s < dt else dt / turn_s
        bx, by, bz = bx + turn * (ax - bx), by + turn * (ay - by), bz + turn * (az - bz)
        long = math.sqrt(bx * bx + by * by + bz * bz)
        wanted = math.sqrt(fx * fx + fy * fy + fz * fz)
        size += (wanted - size) * (1.0 if thrust_s < dt else dt / thrust_s)
        px, py, pz = size * bx / long / m, size * by / long / m, size * bz / long / m - p.gravity
        h += dt * (vz + 0.5 * dt * pz)
        x -= dt * vx
        y -= dt * vy
        vx, vy, vz = vx + dt * px, vy + dt * py, vz + dt * pz
        m -= size / exhaust * dt
        time += dt
    return time, math.hypot(vx, vy), -vz, math.hypot(x, y), bz / long, m


def land(
    height: float, velocity: tuple[float, float, float], mass: float,
    offset: tuple[float, float] = (math.nan, math.nan), table: TerminalTable = TABLE,
    lag: tuple[float, float] = (0.25, 0.1),
) -> tuple[float, ...]:  # fmt: skip
    state = (float(height), *map(float, velocity), float(mass), *map(float, offset))
    found: tuple[float, ...] = fly(table, state, VEHICLE.exhaust_mps, *lag)
    return found


def stoppable(height: float, mass: float, share: float) -> float:
    """Speed down that a share of full thrust, all of it upwards, takes off above the ground."""
    return math.sqrt(2.0 * height * (share * FULL / mass - G))


def test_it_lands_softly_from_every_state_that_can_be_stopped() -> None:
    rng = np.random.default_rng(1)
    for lag, share in (((0.0, 0.0), 0.95), ((0.25, 0.1), 0.7)):
        for _ in range(100):
            height, mass = 10.0 ** rng.uniform(0.5, 3.0), rng.uniform(155.0, 200.0)
            room = max(height - 2.0, 0.2)
            down = rng.uniform(-10.0, stoppable(room, mass, share))
            side, angle = rng.uniform(0.0, min(40.0, 3.0 * height)), rng.uniform(0.0, 6.28)
            velocity = side * math.cos(angle), side * math.sin(angle), -down
            time, aside, fall, _, upright, _ = land(height, velocity, mass, lag=lag)
            assert time < 200.0, (height, velocity, mass)
            assert fall <= 1.5, (height, velocity, mass)
            assert aside <= 0.5, (height, velocity, mass)
            assert upright > math.cos(math.radians(12.0)), (height, velocity, mass)


def test_it_reaches_a_place_below_it() -> None:
    rng = np.random.default_rng(2)
    for _ in range(150):
        height, mass = 10.0 ** rng.uniform(0.8, 2.4), rng.uniform(155.0, 200.0)
        offset = rng.uniform(-0.5, 0.5, 2) * height
        down = rng.uniform(0.0, 0.5 * math.sqrt(4.0 * height))
        along = rng.uniform(-0.2, 0.3)
        _, aside, fall, miss, _, _ = land(
            height, (along * offset[0], along * offset[1], -down), mass, tuple(offset)
        )
        assert miss <= 0.5, (height, offset, down)
        assert fall <= 1.5
        assert aside <= 0.5


def test_a_free_fall_is_ended_with_little_more_than_the_least_propellant() -> None:
    height, mass = 400.0, 180.0
    *_, left = land(height, (0.0, 0.0, 0.0), mass)
    given = VEHICLE.exhaust_mps * math.log(mass / left)
    up = TerminalConfig().thrust_share * FULL / mass - G
    least = math.sqrt(2.0 * height / (1.0 / up + 1.0 / G)) * (1.0 + G / up)
    assert least < given < 1.10 * least


def test_its_thrust_stays_within_the_bounds_and_says_where_to_point_while_it_falls() -> None:
    rng = np.random.default_rng(3)
    least = table_of(
        HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0, min_thrust_n=120.0),
        TerminalConfig(),
    )
    for _ in range(300):
        height = 10.0 ** rng.uniform(-1.0, 3.0)
        velocity = rng.normal(0.0, 15.0, 3)
        found = terminal_thrust(height, velocity, 170.0, least, rng.normal(0.0, 30.0, 2))
        size = float(np.linalg.norm(found.force_n))
        assert 120.0 - 1e-9 <= size <= 800.0 + 1e-9
        assert np.linalg.norm(found.axis) == 1.0 or abs(np.linalg.norm(found.axis) - 1.0) < 1e-9
        assert found.axis[2] >= math.cos(TerminalConfig().max_tilt_rad) - 1e-9
    high = terminal_thrust(800.0, np.array([10.0, 0.0, 0.0]), 170.0, TABLE)
    assert np.linalg.norm(high.force_n) == 0.0
    assert high.axis[0] < -0.1


def test_half_of_the_thrust_still_lands_where_it_carries_the_weight() -> None:
    half = table_of(HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=400.0), TerminalConfig())
    _, aside, fall, miss, _, _ = land(60.0, (4.0, 0.0, -5.0), 170.0, (15.0, 0.0), half)
    assert fall <= 1.5
    assert aside <= 0.5
    assert miss <= 1.0


def test_a_state_beyond_physics_is_braked_with_all_there_is() -> None:
    velocity: FloatArray = np.array([0.0, 0.0, -60.0])
    found = terminal_thrust(20.0, velocity, 170.0, TABLE)
    assert found.force_n[2] > 0.999 * FULL
