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
