"""What becomes of a hop when something fails: for each fault the outcome is asserted.

Short hops on a plane without lidar; the faults come by phase, never at an index.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ilrs_robots.core.types import Cloud, ImuSample, JointSample
from ilrs_robots.robots.hop_flight_types import FlightPhase, HopOutcome

pytestmark = pytest.mark.sim

FLIGHT = [FlightPhase.RISE, FlightPhase.BOOST, FlightPhase.COAST, FlightPhase.BRAKE]
FLIGHT += [FlightPhase.SENSE, FlightPhase.DESCENT]


CUT = [FlightPhase.BOOST, FlightPhase.COAST, FlightPhase.CRUISE, FlightPhase.DESCENT]


def only(phases, *always):
    """Some of the phases in every run, all of them in the long form."""
    return [p if p in always else pytest.param(p, marks=pytest.mark.soak) for p in phases]


def once_in(phase, act, after=15):
    """Act on the lock-step once, some periods into a phase."""
    seen = []

    def each(lockstep):
        if lockstep.flight.status.phase is phase:
            seen.append(1)
            if len(seen) == after:
                act(lockstep)

    return each


def is_down(result):
    assert result.down_mps < 1.5
    assert result.side_mps < 0.5
    assert not result.tipped
    assert result.body_touches == 0


@pytest.mark.parametrize("phase", only(FLIGHT, FlightPhase.RISE))
def test_cancelled_or_stopped_in_flight_it_lands(make_hopper, phase):
    """Odd phases by a cancelled goal, even ones by the emergency stop."""
    lockstep = make_hopper()
    stop = FLIGHT.index(phase) % 2
    act = (lambda s: s.flight.set_estop(True)) if stop else (lambda s: s.flight.cancel())
    result = lockstep.hop((40.0, 0.0), 90.0, once_in(phase, act))
    is_down(result)
    assert result.status.outcome is HopOutcome.CANCELLED
    assert "landed safely" in result.status.reason
    back = phase is FlightPhase.RISE
    assert (result.goal_miss_m > 35.0) is back


def test_cancelled_on_the_ground_it_does_not_launch(make_hopper):
    lockstep = make_hopper()
    result = lockstep.hop(
        (40.0, 0.0), 20.0, once_in(FlightPhase.STANDING, lambda s: s.flight.cancel())
    )
    assert result.status.outcome is HopOutcome.CANCELLED
    assert "not launched" in result.status.reason
    assert result.propellant_kg == 0.0


@pytest.mark.parametrize("phase", only(CUT, FlightPhase.CRUISE))
def test_without_commands_the_actuator_end_lands_by_itself(make_hopper, phase):
    """In the cruise at its first command, which turns it with all its engines."""
    lockstep = make_hopper()
    far, after = (20.0, 1) if phase is FlightPhase.CRUISE else (40.0, 15)

    def cut(step):
        step.mute = True

    lockstep.hop((far, 0.0), 60.0, once_in(phase, cut, after))
    for _ in range(1500):
        seen = lockstep.step()
        if lockstep.world.hopper("hopper").keeper.landed and seen.feet_down == 6:
            break
    for _ in range(150):
        seen = lockstep.step()
    assert lockstep.world.hopper("hopper").keeper.landed
    assert seen.feet_down == 6
    assert not seen.tipped
    assert seen.body_contacts == 0


def test_an_inertial_unit_that_is_saturated_at_launch_is_a_refusal(make_hopper):
    def saturate(topic, sample):
        if isinstance(sample, ImuSample):
            return dataclasses.replace(sample, specific_force_mps2=np.array([0.0, 0.0, 1e3]))
        return sample

    lockstep = make_hopper(alter=saturate)
    result = lockstep.hop((40.0, 0.0), 20.0)
    assert result.status.outcome is HopOutcome.REFUSED
    assert result.propellant_kg == 0.0


@pytest.mark.soak
def test_a_contact_that_no_leg_reports_ends_the_thrust_all_the_same(make_hopper):
    def hanging(topic, sample):
        if isinstance(sample, JointSample) and lifted:
            return dataclasses.replace(sample, position_rad=np.full(6, -0.02))
        return sample

    lifted = []
    lockstep = make_hopper(alter=hanging)
    result = lockstep.hop(
        (40.0, 0.0), 90.0, once_in(FlightPhase.COAST, lambda s: lifted.append(1))
    )
    is_down(result)
    assert result.status.outcome is HopOutcome.LANDED
    assert any(note.startswith("contact known by: i") for note in result.status.notes)


@pytest.mark.soak
def test_a_lidar_that_goes_blind_in_flight_ends_in_a_landing_that_says_so(make_hopper):
    """Before it saw anything."""
    blind = []

    def lose(topic, sample):
        return None if isinstance(sample, Cloud) and blind else sample

    lockstep = make_hopper(lidar=True, alter=lose)
    result = lockstep.hop(
        (40.0, 0.0), 120.0, once_in(FlightPhase.COAST, lambda s: blind.append(1))
    )
    is_down(result)
    status = result.status
    assert status.outcome is HopOutcome.LANDED
    assert status.reason
    assert status.safe is not True
    assert result.miss_m < 2.0


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "how"), [("yaw_left_front", "on"), ("pitch_front_up", "off"), ("pitch_rear_up", "on")]
)
def test_a_small_thruster_that_is_stuck_does_not_stop_a_landing(make_hopper, name, how):
    lockstep = make_hopper()

    def fail(step):
        step.world.hopper("hopper").engines.fail(name, how)

    result = lockstep.hop((40.0, 0.0), 90.0, once_in(FlightPhase.BOOST, fail))
    is_down(result)
    assert result.status.outcome is HopOutcome.LANDED


@pytest.mark.soak
def test_a_main_engine_that_fails_in_the_descent_is_outlived(make_hopper):
    lockstep = make_hopper()

    def fail(step):
        step.world.hopper("hopper").engines.fail("main_left", "off")

    result = lockstep.hop((40.0, 0.0), 90.0, once_in(FlightPhase.DESCENT, fail))
    is_down(result)
    assert result.status.outcome is HopOutcome.LANDED


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "how", "phase", "said"),
    [
        ("main_left", "on", FlightPhase.DESCENT, "it leans by"),
        ("main_front", "off", FlightPhase.BOOST, "it came down hard"),
    ],
)
def test_a_main_engine_that_nobody_knows_to_be_stuck_is_an_honest_loss(
    make_hopper, name, how, phase, said
):
    """The executive is not told which engine it is; that it lies or crashed it says."""
    lockstep = make_hopper()

    def fail(step):
        step.world.hopper("hopper").engines.fail(name, how)

    result = lockstep.hop((40.0, 0.0), 60.0, once_in(phase, fail))
    assert result.tipped or result.down_mps > 1.5
    assert result.status.outcome is HopOutcome.LOST
    assert said in result.status.reason


def set_clock(jump_s, jumped):
    """All sensors' stamps jump, whatever the engines' own clock does."""

    def shifted(topic, sample):
        if not jumped:
            return sample
        return dataclasses.replace(sample, stamp_ns=sample.stamp_ns + round(jump_s * 1e9))

    return shifted


@pytest.mark.soak
@pytest.mark.parametrize("jump_s", [5.0, -5.0, -0.5])
@pytest.mark.parametrize("phase", [FlightPhase.BOOST, FlightPhase.COAST, FlightPhase.DESCENT])
def test_a_clock_that_is_set_in_flight_changes_nothing_about_the_landing(
    make_hopper, phase, jump_s
):
    jumped = []
    lockstep = make_hopper(alter=set_clock(jump_s, jumped))
    result = lockstep.hop((40.0, 0.0), 90.0, once_in(phase, lambda s: jumped.append(1)))
    assert lockstep.flight.clock.jumps == 1
    is_down(result)
    assert result.status.outcome is HopOutcome.LANDED
    assert result.miss_m < 2.0


@pytest.mark.soak
def test_scans_go_on_into_the_landing_map_after_the_clock_was_set_back(make_hopper):
    jumped = []
    lockstep = make_hopper(lidar=True, alter=set_clock(-5.0, jumped))
    result = lockstep.hop(
        (40.0, 0.0), 120.0, once_in(FlightPhase.SENSE, lambda s: jumped.append(1))
    )
    assert lockstep.flight.clock.jumps == 1
    is_down(result)
    assert result.status.outcome is HopOutcome.LANDED
    assert result.status.verified
    assert result.miss_m < 2.0
