"""Hops against closed forms, a conic around the Moon, integrated burns and ground in the way."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.planning.hop_config import HopPlanConfig, SensingConfig
from ilrs_robots.core.planning.hop_profile import impulsive_mps, plan_hop
from ilrs_robots.core.planning.hop_transfer import Ends, Engine, transfer
from ilrs_robots.core.planning.hop_types import (
    HopKind,
    HopPart,
    HopProfile,
    HopRefusedError,
    HopVehicle,
)
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0)
G = VEHICLE.gravity_mps2
EXHAUST = VEHICLE.exhaust_mps


def ground(size_m: float, res: float = 10.0) -> tuple[np.ndarray, GridSpec]:
    count = int(size_m / res) + 1
    spec = GridSpec(-0.5 * size_m, -0.5 * size_m, res, count, count)
    return np.zeros(spec.shape, dtype=np.float32), spec


@pytest.mark.parametrize(
    ("far", "speed", "total", "flight", "apex"),
    [(100.0, 12.7, 25.5, 11.1, 25.0), (1000.0, 40.2, 80.5, 35.1, 250.0),
     (20000.0, 180.0, 360.0, 157.0, 5000.0)],
)  # fmt: skip
def test_impulses_over_flat_ground_give_the_published_hop(
    far: float, speed: float, total: float, flight: float, apex: float
) -> None:
    ends = Ends(np.array([far, 0.0, 0.0]), np.zeros(3), np.zeros(3), G, math.inf)
    engine = Engine(200.0, math.inf, EXHAUST)
    found = transfer(ends, engine, 0.0, flight * np.linspace(0.5, 2.0, 1501))
    k = int(np.argmin(found.delta_v_mps))
    place, _ = found.motion(k, np.linspace(0.0, found.time_s[k], 201))
    assert np.linalg.norm(found.boost_mps[k]) == pytest.approx(speed, rel=5e-3)
    assert found.delta_v_mps[k] == pytest.approx(total, rel=5e-3)
    assert found.time_s[k] == pytest.approx(flight, rel=5e-3)
    assert place[:, 2].max() == pytest.approx(apex, rel=5e-3)
    assert place[-1] == pytest.approx([far, 0.0, 0.0], abs=1e-6)


def test_impulses_between_heights_take_what_the_closed_form_says() -> None:
    for way in ([400.0, 300.0, 120.0], [900.0, -100.0, -300.0]):
        ends = Ends(np.array(way), np.zeros(3), np.zeros(3), G, math.inf)
        found = transfer(ends, Engine(200.0, math.inf, EXHAUST), 0.0, np.linspace(8, 90, 4001))
        assert found.delta_v_mps.min() == pytest.approx(
            float(impulsive_mps(np.zeros(3), np.array(way), G)), rel=1e-4
        )


def test_a_long_hop_follows_the_conic_around_the_moon() -> None:
    far, mu = 100e3, G * MOON_RADIUS_M**2
    half = 0.5 * far / MOON_RADIUS_M
    # Least launch speed between two points of a sphere (semi-latus rectum of the least ellipse).
    chord = 2.0 * MOON_RADIUS_M * math.sin(half)
    axis = 0.5 * (MOON_RADIUS_M + 0.5 * chord)
    speed = math.sqrt(mu * (2.0 / MOON_RADIUS_M - 1.0 / axis))
    angle = 2.0 * half
    place = MOON_RADIUS_M * np.array([math.sin(angle), 0.0, math.cos(angle) - 1.0])
    ends = Ends(place, np.zeros(3), np.zeros(3), G, MOON_RADIUS_M)
    found = transfer(ends, Engine(200.0, math.inf, EXHAUST), 0.0, np.linspace(300, 420, 241))
    assert found.delta_v_mps.min() == pytest.approx(2.0 * speed, rel=1e-4)
    assert 2.0 * speed < 0.995 * 2.0 * math.sqrt(G * far)


def flown(profile: HopProfile, until: HopPart) -> tuple[np.ndarray, np.ndarray, float]:
    """Integrate thrust, gravity and mass through the phases before ``until``."""
    place, speed, mass, dt = profile.start_m.copy(), np.zeros(3), profile.mass_kg, 2e-3
    for phase in profile.phases:
        if phase.part is until:
            break
        count = max(round((phase.end_s - phase.start_s) / dt), 1)
        step = (phase.end_s - phase.start_s) / count
        flow = phase.thrust_n / EXHAUST
        for _ in range(count):
            pull = phase.thrust_n / (mass - 0.5 * flow * step) * phase.direction
            pull = pull - np.array([0.0, 0.0, G])
            place = place + step * (speed + 0.5 * step * pull)
            speed = speed + step * pull
            mass -= flow * step
    return place, speed, mass


def test_burns_flown_as_planned_arrive_at_the_gate() -> None:
    goal = np.array([800.0, -300.0, -150.0])
    profile = plan_hop(np.zeros(3), goal, 190.0, VEHICLE, kind=HopKind.BALLISTIC)
    place, speed, mass = flown(profile, HopPart.SENSE)
    assert place == pytest.approx(profile.gate_m, abs=0.05)
    assert speed == pytest.approx(profile.gate_mps, abs=0.01)
    burnt = sum(p.delta_v_mps for p in profile.phases[:4])
    assert mass == pytest.approx(190.0 * math.exp(-burnt / EXHAUST), rel=1e-6)


@pytest.mark.parametrize("far", [20.0, 60.0, 300.0, 1000.0])
@pytest.mark.parametrize("kind", list(HopKind))
def test_samples_are_a_motion_that_looks_for_the_mandatory_time_and_lands(
    far: float, kind: HopKind
) -> None:
    settings = HopPlanConfig()
    goal = np.array([0.6 * far, 0.8 * far, 0.1 * far])
    profile = plan_hop(np.zeros(3), goal, 200.0, VEHICLE, settings, kind=kind)
    moved = np.diff(profile.position_m, axis=0)
    mean = 0.5 * (profile.velocity_mps[1:] + profile.velocity_mps[:-1])
    assert moved == pytest.approx(mean * np.diff(profile.time_s)[:, None], abs=0.45)
    assert profile.position_m[-1] == pytest.approx(goal, abs=1e-6)
    assert profile.velocity_mps[-1] == pytest.approx([0.0, 0.0, -settings.touchdown_mps], abs=1e-6)
    ends = [(p.start_s, p.end_s) for p in profile.phases]
    assert all(a[1] == pytest.approx(b[0]) for a, b in pairwise(ends))
    assert sum(p.delta_v_mps for p in profile.phases) == pytest.approx(profile.delta_v_mps)
    assert profile.delta_v_mps > profile.impulsive_mps
    look = profile.phase(HopPart.SENSE)
    cruise = profile.phase(HopPart.CRUISE)
    assert look is not None
    looked = look.end_s - (cruise.start_s if cruise else look.start_s)
    assert looked >= settings.sensing.duration_s - 1e-6
    middle, speed = profile.state_at(0.5 * profile.duration_s)
    later, _ = profile.state_at(0.5 * profile.duration_s + 0.01)
    assert (later - middle) / 0.01 == pytest.approx(speed, abs=0.05)


def test_the_cheaper_kind_is_chosen_near_and_far() -> None:
    for far, kind in ((15.0, HopKind.HOVER), (500.0, HopKind.BALLISTIC)):
        goal = np.array([far, 0.0, 0.0])
        both = [plan_hop(np.zeros(3), goal, 200.0, VEHICLE, kind=k) for k in HopKind]
        found = plan_hop(np.zeros(3), goal, 200.0, VEHICLE)
        assert found.kind is kind
        assert found.delta_v_mps == min(p.delta_v_mps for p in both)


def test_a_ridge_is_flown_over_at_its_price_or_refused_with_the_missing_height() -> None:
    heights, spec = ground(2000.0)
    goal, start = np.array([400.0, 0.0, 0.0]), np.array([-400.0, 0.0, 0.0])
    free = plan_hop(start, goal, 200.0, VEHICLE, dem=Dem(heights, spec))
    heights[:, 70:75] = 150.0
    over = plan_hop(start, goal, 200.0, VEHICLE, dem=Dem(heights, spec))
    assert over.delta_v_mps > free.delta_v_mps
    assert over.apex_m > free.apex_m
    assert over.clearance_m >= 0.0
    wall = (over.position_m[:, 0] > -320.0) & (over.position_m[:, 0] < -270.0)
    assert over.position_m[wall, 2].min() > 150.0 + 5.0
    heights[:, 70:75] = 3000.0
    with pytest.raises(HopRefusedError, match="m too low at x") as refused:
        plan_hop(start, goal, 200.0, VEHICLE, dem=Dem(heights, spec))
    assert refused.value.reason == "clearance"
    heights[:, 70:75] = np.nan
    with pytest.raises(HopRefusedError, match="unknown") as refused:
        plan_hop(start, goal, 200.0, VEHICLE, dem=Dem(heights, spec))
    assert refused.value.reason == "unknown_ground"


def test_a_worse_known_place_keeps_further_from_the_ground() -> None:
    heights, spec = ground(2000.0)
    heights[:, 100:102] = 120.0
    goal, start = np.array([400.0, 0.0, 0.0]), np.array([-400.0, 0.0, 0.0])
    least = [
        plan_hop(start, goal, 200.0, VEHICLE, HopPlanConfig(sigma_mps=s), dem=Dem(heights, spec))
        for s in (0.0, 0.5, 1.5)
    ]
    costs = [profile.delta_v_mps for profile in least]
    assert costs[0] <= costs[1] < costs[2]


def test_what_cannot_be_flown_is_refused_with_the_numbers() -> None:
    goal = np.array([8000.0, 0.0, 0.0])
    with pytest.raises(HopRefusedError, match=r"needs .* kg .*, 10\.00 kg are held") as refused:
        plan_hop(np.zeros(3), goal, 160.0, VEHICLE)
    assert refused.value.reason == "propellant"
    assert refused.value.needed_kg > refused.value.held_kg == pytest.approx(10.0)
    weak = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=300.0)
    with pytest.raises(HopRefusedError, match="m/s2 are needed"):
        plan_hop(np.zeros(3), goal, 200.0, weak)
    with pytest.raises(HopRefusedError, match="finite metres"):
        plan_hop(np.zeros(3), np.array([np.nan, 0.0, 0.0]), 200.0, VEHICLE)
    with pytest.raises(HopRefusedError, match="at least"):
        plan_hop(np.zeros(3), np.array([0.1, 0.0, 0.0]), 200.0, VEHICLE)
    with pytest.raises(Exception, match="must end within"):
        SensingConfig(range_m=20.0, approach_mps=5.0, duration_s=5.0)
