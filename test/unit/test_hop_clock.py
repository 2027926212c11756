"""The clock is set while a hopper flies: nothing that it holds may notice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    GridSpec,
    ImuSample,
    JointSample,
    OdometryEstimate,
    TankSample,
)
from ilrs_robots.robots.hop_clock import FlightClock
from ilrs_robots.robots.hop_flight_types import FlightPhase, HopFlightConfig
from ilrs_robots.robots.hop_keeper import HopKeeper
from ilrs_robots.robots.hop_step import HopStep
from ilrs_robots.robots.model import load_robot, require_hopper

MODEL = require_hopper(load_robot("hopper"), "this test")
FLAT = Dem(np.zeros((41, 41), np.float32), GridSpec(-200.0, -200.0, 10.0, 41, 41))
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
MS, S = 1_000_000, 1_000_000_000
UP = np.array([0.0, 0.0, MOON_GRAVITY_MPS2])


def times(clock, jump_ns, steady, count=200):
    """The flight's time of samples every 10 ms whose clock is set after one second."""
    found = []
    for k in range(count):
        true = S + 10 * MS * k
        stamp = true + (jump_ns if k >= 100 else 0)
        found.append(clock.on_imu(stamp, true if steady else None))
    return found


@pytest.mark.parametrize("steady", [False, True])
@pytest.mark.parametrize("jump_s", [-3600.0, -5.0, -0.3, -0.1])
def test_time_goes_on_evenly_when_the_clock_is_set_back(jump_s, steady):
    """Two samples are doubted; no time is lost by them."""
    clock = FlightClock()
    found = times(clock, round(jump_s * S), steady)
    assert found[100:102] == [None, None]
    assert found[102:] == [S + 10 * MS * k for k in range(102, 200)]
    assert clock.jumps == 1
    assert clock.stamp(found[-1]) == S + 1990 * MS + round(jump_s * S)


def test_a_step_ahead_is_a_set_clock_only_where_a_steady_one_says_so():
    for_steady = FlightClock()
    assert times(for_steady, 5 * S, True)[-1] == S + 1990 * MS
    assert times(FlightClock(), 5 * S, False)[-1] == 6 * S + 1990 * MS
    lost = FlightClock()
    for k in (*range(100), *range(600, 620)):  # five seconds without samples
        at = lost.on_imu(S + 10 * MS * k, S + 10 * MS * k)
    assert at == S + 6190 * MS
    assert lost.jumps == 0


def test_single_wrong_stamps_and_repeated_ones_move_nothing():
    clock = FlightClock()
    for k in range(100):
        clock.on_imu(S + 10 * MS * k)
        if k % 10 == 5:
            assert clock.on_imu(S - 77 * MS * k - S // 2) is None
            assert clock.on_imu(10**18 + k) is None
            clock.on_imu(S + 10 * MS * k)
    assert clock.newest_ns == S + 990 * MS
    assert clock.jumps == 0


def test_other_sensors_follow_whichever_side_of_the_jump_they_were_made_on():
    clock = FlightClock()
    times(clock, -5 * S, True, 110)
    newest = clock.newest_ns
    assert clock.of(newest - 5 * S - 30 * MS) == newest - 30 * MS
    assert clock.of(newest - 150 * MS) == newest - 150 * MS  # made before, come after
    assert clock.of(newest - 20 * S) is None
    doubting = FlightClock()
    times(doubting, -5 * S, True, 101)
    newest = doubting.newest_ns
    assert doubting.of(newest - 5 * S) is None  # of a time that is not believed yet
    assert doubting.of(newest - 40 * MS) == newest - 40 * MS


def sample_at(k, now, rng):
    """What sensors say in a vehicle that stands for 6 s and is then lifted, turned and pushed."""
    flies = k > 600
    force = UP + ([0.05, -0.02, 0.4] if flies else 0.0) + 1e-4 * rng.standard_normal(3)
    rate = np.array([0.0, 0.0, 0.02 if flies else 0.0]) + 1e-5 * rng.standard_normal(3)
    yield ImuSample(now, rate, force)
    pressed = np.full(len(MODEL.legs.names), -0.02 if flies else 0.005)
    yield JointSample(now, tuple(MODEL.legs.names), pressed, 0.0 * pressed)
    height = 0.2 * (0.01 * (k - 600)) ** 2 if flies else 0.0
    if k % 5 == 0:
        yield AltimeterSample(now, MODEL.altimeter.position_m[2] + height, 0.05)
    if k % 20 == 0:
        full = MODEL.tank.pressure_of(MODEL.tank.propellant_kg)
        yield TankSample(now, full, MODEL.tank.pressure_sigma_pa)
    if k % 50 == 0:
        turned = 0.02 * 0.01 * (k - 600) if flies else 0.0
        yield AttitudeSample(now, se3.quat_from_rpy(0.0, 0.0, turned), 3.5e-4)


def flown(jump_ns, jump_at):
    """Phases and thrust by true time of a hop whose clock is set, as the node steps it."""
    cfg = HopFlightConfig(stand_s=2.0)
    step = HopStep(MODEL, "hopper", np.eye(4), FLAT, cfg, simulated=False)
    rng, phases, thrust = np.random.default_rng(1), [], {}
    for k in range(1, 1400):
        true = S * 100 + 10 * MS * k
        now = true + (jump_ns if k >= jump_at else 0)
        for sample in sample_at(k, now, rng):
            step.feed(sample, true)
            if not isinstance(sample, ImuSample):
                continue
            if k == 360:
                step.flight.set_goal(60.0, 0.0, now)
            due, command = step.step(now)
            if due and command is not None:
                assert command.stamp_ns == now
                thrust[k] = command.thrust_n
                phases.append((step.flight.status.phase, k))
    return step, phases, thrust


@pytest.mark.parametrize("jump_at", [450, 900])
def test_a_hop_whose_clock_is_set_back_is_the_hop_without_it(jump_at):
    """Standing and in flight: the same phases at the same times, the same state and thrust."""
    plain, phases, thrust = flown(0, jump_at)
    jumped, phases_after, thrust_after = flown(-5 * S, jump_at)
    assert jumped.restarts == 0
    first, first_after = (
        {phase: next(k for p, k in run if p is phase) for phase, _ in run}
        for run in (phases, phases_after)
    )
    assert {FlightPhase.RISE, FlightPhase.BOOST} <= set(first)
    assert set(first_after) == set(first)
    assert all(abs(first_after[phase] - first[phase]) <= 4 for phase in first)
    a, b = plain.flight.localization, jumped.flight.localization
    assert b.state.stamp_ns == pytest.approx(a.state.stamp_ns, abs=20 * MS)
    np.testing.assert_allclose(b.state.position_m, a.state.position_m, atol=0.05)
    np.testing.assert_allclose(b.state.velocity_mps, a.state.velocity_mps, atol=0.02)
    assert jumped.flight.view.below_m == pytest.approx(plain.flight.view.below_m, abs=0.05)
    assert b.health(b.state.stamp_ns) == a.health(a.state.stamp_ns)
    before, after = (
        np.array(list(run.values()))[-100:].sum(axis=1) for run in (thrust, thrust_after)
    )
    assert np.ptp(before) > 0.0
    np.testing.assert_allclose(after, before, atol=20.0)


def test_a_simulation_that_begins_anew_is_not_a_clock_that_was_set():
    step = HopStep(MODEL, "hopper", np.eye(4), FLAT, HopFlightConfig())
    rng = np.random.default_rng(1)
    for k in range(1, 200):
        for sample in sample_at(k, 100 * S + 10 * MS * k, rng):
            step.feed(sample)
    assert step.flight is not None
    for sample in sample_at(1, S, rng):
        step.feed(sample)
    assert step.restarts == 1


def test_the_keeper_counts_on_while_its_inertial_unit_is_set_back():
    """It falls for a second and a half; the clock goes back by 5 s in between."""
    speeds = []
    for jump_ns in (0, -5 * S):
        keeper = HopKeeper(MODEL)
        pose = OdometryEstimate(
            S, np.array([0, 0, 40.0]), LEVEL, np.zeros(3), np.zeros(3), np.eye(6)
        )
        sample = ImuSample(S, np.zeros(3), np.zeros(3))
        keeper.feed(sample)
        keeper.on_estimate(pose)
        for k in range(1, 151):
            stamp = S + 10 * MS * k + (jump_ns if k >= 70 else 0)
            keeper.feed(dataclasses.replace(sample, stamp_ns=stamp))
        speeds.append(keeper._state.velocity_mps[2])
    assert speeds[0] == pytest.approx(-1.5 * MOON_GRAVITY_MPS2, rel=1e-6)
    assert speeds[1] == pytest.approx(speeds[0], rel=1e-6)
