"""Convex descent: the published case, bounds, what is out of reach, planned hops beside it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.control.descent_guidance import DescentConfig, DescentGuidance, DescentPlan
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_profile import plan_hop
from ilrs_robots.core.planning.hop_types import HopKind, HopPart, HopVehicle

VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0, min_thrust_n=160.0)
SLOW = np.array([0.0, 0.0, -1.0])
ORIGIN = np.zeros(3)
CANT = math.cos(math.radians(27.0))
MARS = HopVehicle(
    dry_kg=1505.0, isp_s=225.0 * CANT, max_thrust_n=0.8 * 6.0 * 3100.0 * CANT,
    min_thrust_n=0.3 * 6.0 * 3100.0 * CANT, gravity_mps2=3.7114,
)  # fmt: skip


@pytest.mark.parametrize(("glide", "flight", "fuel"), [(-1.0, 72.0, 387.9), (4.0, 81.0, 399.5)])
def test_the_published_mars_landing(glide: float, flight: float, fuel: float) -> None:
    """Acikmese and Ploen 2007, without and with a glide slope of 4 degrees."""
    settings = DescentConfig(
        nodes=82, thrust_share=1.0, glide_rad=math.radians(glide), max_tilt_rad=math.pi,
        tolerance=1e-8,
    )  # fmt: skip
    found = DescentGuidance(MARS, settings).solve(
        np.array([2000.0, 0.0, 1500.0]), np.array([100.0, 0.0, -75.0]), 1905.0, ORIGIN, ORIGIN,
        flight,
    )  # fmt: skip
    assert found.solved
    assert found.fuel_kg == pytest.approx(fuel, rel=1e-3)
    assert found.miss_m < 1e-3
    size = np.linalg.norm(found.thrust_n, axis=1)
    assert size.min() >= 0.995 * MARS.min_thrust_n
    assert size.max() <= 1.001 * MARS.max_thrust_n
    assert (found.position_m[:, 2].min() < -1.0) == (glide < 0.0)


def flown(plan: DescentPlan, mass: float, gravity: float) -> np.ndarray:
    """Place after the plan's accelerations, linear between nodes, by small steps."""
    pull = plan.thrust_n / plan.mass_kg[:, None] - np.array([0.0, 0.0, gravity])
    fine = np.linspace(0.0, plan.time_s[-1], 20001)
    dense = np.stack([np.interp(fine, plan.time_s, pull[:, n]) for n in range(3)], axis=1)
    dt = fine[1]
    speed = plan.velocity_mps[0] + np.cumsum(dense, axis=0) * dt
    place: np.ndarray = plan.position_m[0] + np.sum(speed, axis=0) * dt
    return place


def test_plans_of_one_solver_keep_all_bounds_and_fly_to_the_goal() -> None:
    settings = DescentConfig()
    guidance = DescentGuidance(VEHICLE, settings)
    rng = np.random.default_rng(4)
    for _ in range(20):
        place = np.append(rng.uniform(-40, 40, 2), rng.uniform(40, 120))
        speed = np.append(rng.uniform(-6, 6, 2), rng.uniform(-10, 0))
        goal = rng.uniform(-5, 5, 3)
        plan = guidance.plan(place, speed, 190.0, goal, SLOW)
        assert plan.solved
        assert plan.miss_m < 0.02
        assert plan.extra_mps < 0.01
        assert plan.position_m[0] == pytest.approx(place, abs=1e-3)
        assert plan.velocity_mps[-1] == pytest.approx(SLOW, abs=0.01)
        assert flown(plan, 190.0, VEHICLE.gravity_mps2) == pytest.approx(goal, abs=0.2)
        size = np.linalg.norm(plan.thrust_n, axis=1)
        assert size.max() <= 1.001 * settings.thrust_share * VEHICLE.max_thrust_n
        assert size.min() >= 0.98 * VEHICLE.min_thrust_n
        assert (plan.thrust_n[:, 2] >= math.cos(settings.max_tilt_rad) * size - 1.0).all()
        away = np.linalg.norm(plan.position_m[1:-1, :2] - goal[:2], axis=1)
        high = plan.position_m[1:-1, 2] - goal[2]
        assert (high >= math.tan(settings.glide_rad) * away - plan.under_m - 0.05).all()
    assert guidance.setups == 1


def test_numbers_replaced_in_place_give_what_a_new_solver_gives() -> None:
    again = DescentGuidance(VEHICLE)
    args = (np.array([20.0, 5.0, 60.0]), np.array([-2.0, 1.0, -5.0]), 180.0, ORIGIN, SLOW)
    again.solve(np.array([-30.0, 0.0, 90.0]), np.zeros(3), 195.0, np.ones(3), SLOW, 25.0)
    second = again.solve(*args, 18.0)
    fresh = DescentGuidance(VEHICLE).solve(*args, 18.0)
    assert second.fuel_kg == pytest.approx(fresh.fuel_kg, rel=1e-3)
    assert second.position_m == pytest.approx(fresh.position_m, abs=0.05)


def test_a_place_out_of_reach_is_missed_by_as_little_as_can_be() -> None:
    """The least miss is what is left beyond the farthest place that is reached exactly."""
    guidance = DescentGuidance(VEHICLE)
    state = np.array([0.0, 0.0, 50.0]), np.array([0.0, 0.0, -3.0]), 190.0
    near, far = 0.0, 400.0
    for _ in range(12):
        middle = 0.5 * (near + far)
        plan = guidance.solve(*state, np.array([middle, 0.0, 0.0]), SLOW, 14.0)
        near, far = (middle, far) if plan.miss_m < 0.05 and plan.under_m < 0.05 else (near, middle)
    goal = np.array([near + 150.0, 0.0, 0.0])
    # Seen from the far goal the glide slope would bind elsewhere: none in either.
    free = DescentGuidance(VEHICLE, DescentConfig(glide_rad=-1.0))
    reach = 0.0
    for step in np.arange(0.0, 300.0, 2.0):
        if free.solve(*state, np.array([step, 0.0, 0.0]), SLOW, 14.0).miss_m > 0.05:
            break
        reach = float(step)
    plan = free.solve(*state, goal, SLOW, 14.0)
    assert plan.solved
    assert 10.0 < reach < 300.0
    assert plan.miss_m == pytest.approx(goal[0] - reach, abs=2.5)
    assert plan.extra_mps < 0.05
    assert plan.velocity_mps[-1] == pytest.approx(SLOW, abs=0.05)


def test_little_propellant_shortens_the_reach_and_is_never_exceeded() -> None:
    guidance = DescentGuidance(VEHICLE, DescentConfig(glide_rad=-1.0))
    far = np.array([200.0, 0.0, 0.0])
    plans = [
        guidance.plan(np.array([0.0, 0.0, 60.0]), ORIGIN, 150.0 + held, far, SLOW)
        for held in (2.5, 15.0)
    ]
    assert plans[0].fuel_kg <= 2.5 + 1e-3
    assert plans[0].miss_m > 20.0
    assert plans[1].miss_m < 0.1


def optimum_mps(far: float, goal: np.ndarray, settings: HopPlanConfig, mass: float) -> float:
    """Convex optimum from the ground to the gate and from the end of looking to the ground."""
    vehicle = HopVehicle(dry_kg=100.0, isp_s=230.0, max_thrust_n=800.0)
    hop = plan_hop(ORIGIN, goal, mass, vehicle, settings, kind=HopKind.BALLISTIC)
    free = DescentConfig(
        nodes=50, thrust_share=settings.thrust_share, glide_rad=-1.0, max_tilt_rad=math.pi,
        searches=16,
    )  # fmt: skip
    guess = hop.phase(HopPart.BRAKE).end_s  # type: ignore[union-attr]
    ascent = DescentGuidance(vehicle, free).plan(
        ORIGIN, ORIGIN, mass, hop.gate_m, hop.gate_mps, between_s=(0.6 * guess, 1.6 * guess)
    )
    look = hop.phase(HopPart.SENSE)
    assert look is not None
    begin, speed = hop.state_at(look.end_s)
    weight = mass - ascent.fuel_kg - vehicle.propellant_kg(mass - ascent.fuel_kg, look.delta_v_mps)
    above = goal + np.array([0.0, 0.0, settings.final_m])
    touch = np.array([0.0, 0.0, -settings.touchdown_mps])
    down = DescentGuidance(vehicle, DescentConfig(
        nodes=30, thrust_share=settings.thrust_share, glide_rad=0.0, max_tilt_rad=1.05,
    )).plan(begin, speed, weight, above, touch, between_s=(2.0, 30.0))  # fmt: skip
    assert ascent.solved
    assert down.solved
    assert ascent.miss_m < 0.5
    assert down.miss_m < 0.1
    slow = vehicle.gravity_mps2 * settings.final_m / settings.touchdown_mps
    return ascent.delta_v_mps + look.delta_v_mps + down.delta_v_mps + slow


@pytest.mark.parametrize(("far", "rise"), [(300.0, 0.0), (1000.0, -60.0), (3000.0, 200.0)])
def test_planned_hops_take_little_more_than_the_convex_optimum(far: float, rise: float) -> None:
    settings = HopPlanConfig()
    goal = np.array([far, 0.0, rise])
    planned = plan_hop(ORIGIN, goal, 200.0, VEHICLE, settings, kind=HopKind.BALLISTIC)
    best = optimum_mps(far, goal, settings, 200.0)
    assert 0.99 * best < planned.delta_v_mps < 1.12 * best
