"""A hop begins only once the vehicle stood still, and ends with what is true of it."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.planning.hop_types import HopRefusedError
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AltimeterSample,
    AttitudeSample,
    GridSpec,
    ImuSample,
    JointSample,
    TankSample,
)
from ilrs_robots.robots.hop_checks import verdict
from ilrs_robots.robots.hop_decision import closed
from ilrs_robots.robots.hop_flight import HopFlight
from ilrs_robots.robots.hop_flight_types import (
    FlightPhase,
    HopFlightConfig,
    HopOutcome,
    HopStatus,
)
from ilrs_robots.robots.model import load_robot, require_hopper

MODEL = require_hopper(load_robot("hopper"), "this test")
LEVEL = np.array([1.0, 0.0, 0.0, 0.0])
FLAT = Dem(np.zeros((81, 81), np.float32), GridSpec(-200.0, -200.0, 5.0, 81, 81))


def standing(rocks_s, cfg=None, end_s=14.0):
    """What became of a goal, and when it launched or ended, for legs that rock for a while."""
    flight = HopFlight(MODEL, "hopper", np.eye(4), FLAT, cfg)
    legs = tuple(MODEL.legs.names)
    pressed = np.full(len(legs), 0.005)
    status = None
    for k in range(1, round(end_s * 100)):
        now, t = k * 10_000_000, 0.01 * k
        rock = 0.01 * np.sin(6.0 * t) if t < rocks_s else 0.0
        force = np.array([0.0, 0.0, MOON_GRAVITY_MPS2])
        flight.feed(ImuSample(now, np.array([rock, rock, 0.0]), force))
        flight.feed(JointSample(now, legs, pressed, 0.0 * pressed))
        if k % 5 == 0:
            flight.feed(AltimeterSample(now, MODEL.altimeter.position_m[2], 0.05))
        if k % 20 == 0:
            full = MODEL.tank.pressure_of(MODEL.tank.propellant_kg)
            flight.feed(TankSample(now, full, MODEL.tank.pressure_sigma_pa))
        if k % 50 == 0:
            flight.feed(AttitudeSample(now, LEVEL, 3.5e-4))
        if k == 100:
            status = flight.set_goal(60.0, 0.0, now)
        if k % 2 == 0:
            flight.step(now)
        if status is not None and (status.outcome or status.phase is not FlightPhase.STANDING):
            return status, t, flight
    return status, end_s, flight


def test_it_launches_after_it_stood_as_long_as_it_takes_to_learn_its_biases():
    cfg = HopFlightConfig()
    status, calm_s, _ = standing(0.0)
    assert (status.phase, status.outcome) == (FlightPhase.RISE, None)
    assert calm_s == pytest.approx(1.0 + cfg.stand_s, abs=0.1)
    status, launched_s, flight = standing(3.5)
    assert status.phase is FlightPhase.RISE
    assert launched_s >= 3.5 + cfg.stand_s
    spread = np.sqrt(np.diagonal(flight.localization.state.covariance)[12:15])
    assert (spread <= 1.01 * MODEL.imu.accel_bias_mps2).all()


def test_what_never_stands_still_is_refused():
    cfg = HopFlightConfig(stand_s=1.0, settle_s=2.0)
    status, ended_s, _ = standing(1e9, cfg, 8.0)
    assert status.outcome is HopOutcome.REFUSED
    assert "does not stand still" in status.reason
    assert ended_s == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("away_m", "verified", "safe", "lean_deg", "outcome", "said"),
    [
        (0.3, True, True, 3.0, HopOutcome.LANDED, ""),
        (14.0, True, True, 3.0, HopOutcome.LANDED, "14.0 m from the place"),
        (0.3, False, None, 3.0, HopOutcome.LANDED, "place not seen"),
        (0.3, True, False, 3.0, HopOutcome.LANDED, "its map calls the place slope"),
        (0.3, True, True, 27.0, HopOutcome.LOST, "leans by 27 deg"),
        (14.0, True, True, 27.0, HopOutcome.LOST, "leans by 27 deg"),
    ],
)
def test_a_landing_is_told_as_it_is(away_m, verified, safe, lean_deg, outcome, said):
    status = HopStatus(np.zeros(3), verified=verified, safe=safe, why="slope")
    status.chosen_m, status.landed_m = np.zeros(3), np.array([away_m, 0.0, 0.0])
    half = 0.5 * np.radians(lean_deg)
    quat = np.array([np.cos(half), np.sin(half), 0.0, 0.0])
    found, reason = verdict(status, quat, MODEL.limits, True, "")
    assert found is outcome
    assert said in reason
    assert bool(reason) is bool(said)


@pytest.mark.parametrize(
    ("velocity_mps", "said"),
    [
        ((0.0, 0.0, -10.1), "10.1 m/s down, limit 1.5 m/s"),
        ((0.6, 0.6, -0.5), "0.8 m/s sideways, limit 0.5 m/s"),
        ((0.2, 0.2, -0.8), ""),
        ((np.nan, np.nan, np.nan), ""),
    ],
)
def test_a_crash_that_ends_upright_is_no_landing(velocity_mps, said):
    status = HopStatus(np.zeros(3), verified=True, safe=True)
    status.chosen_m = status.landed_m = np.zeros(3)
    status.touchdown_mps = np.array(velocity_mps)
    found, reason = verdict(status, np.array([1.0, 0.0, 0.0, 0.0]), MODEL.limits, True, "")
    assert found is (HopOutcome.LOST if said else HopOutcome.LANDED)
    assert said in reason


def goal_refused(flight, x_m, y_m):
    with pytest.raises(HopRefusedError) as refused:
        flight.set_goal(x_m, y_m, 0)
    assert flight.status.outcome is HopOutcome.REFUSED
    assert flight.status.reason == str(refused.value)
    return refused.value.reason, str(refused.value)


def test_a_goal_on_a_cliff_in_a_keep_out_or_off_the_map_is_refused_with_the_numbers():
    x = FLAT.spec.x_m()
    wall = np.tile(np.clip(0.8 * (x - 50.0), 0.0, 48.0), (81, 1)).astype(np.float32)
    flight = HopFlight(MODEL, "hopper", np.eye(4), Dem(wall, FLAT.spec))
    code, said = goal_refused(flight, 80.0, 0.0)
    assert code == "steep"
    assert "39 deg" in said
    assert "10 deg are allowed" in said
    flight.set_goal(45.0, 0.0, 0)  # beside the wall a divert finds level ground
    flight.keep_outs = (KeepOut("mast", 40.0, 4.0, 6.0),)
    code, said = goal_refused(flight, 40.0, 0.0)
    assert code == "keep_out"
    assert "4.0 m from mast" in said
    assert goal_refused(flight, 1e4, 0.0)[0] == "unknown_ground"


def test_a_lone_hole_takes_the_highest_around_it_and_a_wide_one_stays():
    heights = np.zeros((12, 12), np.float32)
    heights[2, 3] = 0.2
    variance = np.full(heights.shape, 1e-4, np.float32)
    for hole in ((2, 2), (7, 7), (7, 8), (8, 7), (8, 8), (6, 7), (6, 8)):
        heights[hole] = variance[hole] = np.nan
    z, v = closed(heights, variance)
    assert z[2, 2] == pytest.approx(0.2)
    assert v[2, 2] == pytest.approx(1e-4 + 0.1**2)
    assert np.isnan(z[7, 7])
    assert np.isnan(z[7, 8])
    known = np.isfinite(heights)
    np.testing.assert_array_equal(z[known], heights[known])
    np.testing.assert_array_equal(v[known], variance[known])
