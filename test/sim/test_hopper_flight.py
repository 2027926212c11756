"""A hopper hops in lock-step, from its own sensors, and lands where and how it should."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.core.planning.hop_types import HopRefusedError
from ilrs_robots.robots.hop_flight_types import FlightPhase, HopOutcome
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.analytic import AnalyticRocks, AnalyticTerrain
from ilrs_robots.sim.hop_lockstep import HopLockstep
from ilrs_robots.sim.world import SimRobot

pytestmark = pytest.mark.sim


def lands_softly(result):
    assert result.status.outcome is HopOutcome.LANDED, result.status
    assert result.down_mps < 1.5
    assert result.side_mps < 0.5
    assert result.miss_m < 2.0
    assert not result.tipped
    assert result.body_touches == 0


@pytest.mark.soak
def test_a_hop_of_100_m_goes_through_its_phases_and_ends_at_its_place(make_hopper):
    lockstep = make_hopper()
    phases = []

    def watch(step):
        phase = step.flight.status.phase
        if not phases or phases[-1] is not phase:
            phases.append(phase)

    result = lockstep.hop((80.0, 60.0), 120.0, watch)
    lands_softly(result)
    wanted = [FlightPhase.RISE, FlightPhase.BOOST, FlightPhase.COAST, FlightPhase.BRAKE]
    wanted += [FlightPhase.SENSE, FlightPhase.DESCENT, FlightPhase.SETTLE]
    assert [p for p in phases if p is not FlightPhase.STANDING] == wanted
    assert result.goal_miss_m < 2.0
    assert result.pose_error_m < 1.0
    assert result.apex_m > 25.0
    planned = lockstep.flight.profile.propellant_kg
    assert planned < result.propellant_kg < 1.5 * planned
    seen = lockstep.flight.pilot.propellant_kg
    assert seen == pytest.approx(lockstep.world.evaluation("hopper").propellant_kg, abs=0.2)


@pytest.mark.soak
def test_in_darkness_the_lidar_shows_the_ground_it_comes_down_to(make_hopper):
    """Over hills and rocks, with a prior that is half a metre too high."""
    ground = AnalyticTerrain(
        lambda x, y: 0.5 * np.sin(0.12 * x) * np.cos(0.1 * y) + 0.02 * x,
        AnalyticRocks.of((30.0, 4.0, 0.6, 0.4, 0.4, 0.3, 0.0)),
    )
    lockstep = make_hopper(ground, lidar=True, half_m=100.0)
    result = lockstep.hop((38.0, 0.0), 90.0)
    lands_softly(result)
    assert result.status.verified
    assert lockstep.flight.view.scans > 20
    drift = (
        lockstep.flight.localization.state.position_m - lockstep.world.truth("hopper").position_m
    )
    level = float(ground.height(result.status.chosen_m[None, :2] - drift[:2])[0])
    assert result.status.chosen_m[2] - drift[2] == pytest.approx(level, abs=0.15)


def test_a_field_of_rocks_that_orbit_did_not_see_is_left_for_a_place_that_its_own_map_calls_safe(
    make_hopper,
):
    """Rocks of half a metre all around the goal: the map of the descent finds the clear ground."""
    rng, place = np.random.default_rng(3), np.array([38.0, 0.0])
    away = 2.8 * np.sqrt(rng.uniform(0.0, 1.0, 30))
    angle, size = rng.uniform(0.0, 6.28, 30), rng.uniform(0.3, 0.5, 30)
    x, y = place[0] + away * np.cos(angle), place[1] + away * np.sin(angle)
    rocks = np.column_stack((x, y, 0.02 * x, size, size, size, np.zeros(30)))
    ground = AnalyticTerrain(lambda x, y: 0.02 * x, AnalyticRocks.of(*map(tuple, rocks)))
    lockstep = make_hopper(ground, lidar=True, half_m=100.0)
    heights = []

    def watch(step):
        status = step.flight.status
        if np.isnan(status.decided_m) and np.isfinite(status.last_m):
            heights.append(status.last_m)

    result = lockstep.hop(tuple(place), 120.0, watch)
    lands_softly(result)
    status = result.status
    assert status.diverts >= 1
    assert status.safe
    truth = lockstep.world.truth("hopper").position_m[:2]
    clear = np.hypot(x - truth[0], y - truth[1]) - size
    assert clear.min() > 0.95  # no rock within the circle of the feet
    assert result.goal_miss_m > 2.0
    assert any("divert of" in note for note in status.notes)
    law = lockstep.flight.cfg.terminal
    assert min(heights) > law.release_m
    assert law.release_m < status.decided_m < max(heights)


def test_what_cannot_be_afforded_or_is_not_known_is_refused_with_the_numbers(make_hopper):
    lockstep = make_hopper()
    lockstep.step()
    with pytest.raises(HopRefusedError, match="no ground is known"):
        lockstep.flight.set_goal(500.0, 0.0, lockstep.world.time_ns)
    lockstep.world.hopper("hopper").engines.fill(2.0)
    for _ in range(400):
        lockstep.step()
    with pytest.raises(HopRefusedError, match=r"needs .* kg of propellant .* are held"):
        lockstep.flight.set_goal(150.0, 0.0, lockstep.world.time_ns)
    lockstep.world.hopper("hopper").engines.fill(6.0)
    for _ in range(400):
        lockstep.step()
    result = lockstep.hop((60.0, 0.0), 10.0)
    assert result.status.outcome is HopOutcome.REFUSED
    assert "5.00 kg are kept" in result.status.reason
    assert result.propellant_kg == 0.0


@pytest.mark.soak
def test_a_hop_over_the_ground_of_the_main_base():
    site, terrain = load_site("shackleton")
    robot = site.robot("hopper")
    placed = SimRobot("hopper", load_robot("hopper"), robot.x_m, robot.y_m, robot.yaw_rad)
    lockstep = HopLockstep(terrain.surface, terrain.prior, placed, 1)
    try:
        lands_softly(lockstep.hop((80.0, -60.0), 120.0))
    finally:
        lockstep.world.close()
