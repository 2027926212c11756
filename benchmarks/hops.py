"""Hops: delta-v beside the convex optimum, time of guidance, the landing map of 10^6 cells."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ilrs_robots.core import warm
from ilrs_robots.core.control.descent_guidance import DescentConfig, DescentGuidance
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_profile import plan_hop
from ilrs_robots.core.planning.hop_types import HopKind, HopPart, HopVehicle
from ilrs_robots.core.planning.landing_map import landing_map
from ilrs_robots.core.types import FloatArray, GridSpec

VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0, min_thrust_n=160.0)
MASS_KG = 200.0
HOPS_M = ((300.0, 0.0), (1000.0, -60.0), (3000.0, 200.0))
ZERO = np.zeros(3)


def run(quick: bool = False) -> dict[str, Any]:
    """Measure planned hops, guidance and the landing map.

    Args:
        quick: fewer repetitions.
    """
    warm.hopping()
    repeats = 3 if quick else 15
    rows = [_hop_row(far, rise, repeats) for far, rise in HOPS_M]
    rows.append(_solve_row(repeats))
    rows += [_map_row(two, repeats) for two in (True, False)]
    note = (
        "Delta-v of ballistic hops from 200 kg beside the convex programme (clarabel) with the "
        "same largest thrust, gate and sensing phase, point mass, no least thrust; `ratio` is "
        "planned over optimum. Solves replace the numbers of one solver in place. The landing map "
        "is judged for all orientations, with a deviation for every height."
    )
    return {"name": "Hops", "unit": "medians", "rows": rows, "note": note}


def _median_ms(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return round(1e3 * statistics.median(times), 2)


def _hop_row(far_m: float, rise_m: float, repeats: int) -> dict[str, Any]:
    settings, goal = HopPlanConfig(), np.array([far_m, 0.0, rise_m])

    def planned() -> Any:
        return plan_hop(ZERO, goal, MASS_KG, VEHICLE, settings, kind=HopKind.BALLISTIC)

    ours, best = planned().delta_v_mps, _optimum_mps(goal, settings)
    return {
        "work": f"hop of {far_m:.0f} m, {rise_m:+.0f} m", "ours_mps": round(ours, 2),
        "optimum_mps": round(best, 2), "ratio": round(ours / best, 3),
        "ms": _median_ms(planned, repeats),
    }  # fmt: skip


def _optimum_mps(goal_m: FloatArray, settings: HopPlanConfig) -> float:
    """From the ground to the gate and from the end of looking to the ground, by clarabel."""
    vehicle = HopVehicle(dry_kg=100.0, isp_s=230.0, max_thrust_n=800.0)
    hop = plan_hop(ZERO, goal_m, MASS_KG, vehicle, settings, kind=HopKind.BALLISTIC)
    free = DescentConfig(
        nodes=50, thrust_share=settings.thrust_share, glide_rad=-1.0, max_tilt_rad=math.pi,
        searches=16,
    )  # fmt: skip
    brake, look = hop.phase(HopPart.BRAKE), hop.phase(HopPart.SENSE)
    assert brake is not None
    assert look is not None
    between = (0.6 * brake.end_s, 1.6 * brake.end_s)
    up = DescentGuidance(vehicle, free).plan(
        ZERO, ZERO, MASS_KG, hop.gate_m, hop.gate_mps, between_s=between
    )
    begin, speed = hop.state_at(look.end_s)
    mass = MASS_KG - up.fuel_kg
    mass -= vehicle.propellant_kg(mass, look.delta_v_mps)
    above = goal_m + np.array([0.0, 0.0, settings.final_m])
    touch = np.array([0.0, 0.0, -settings.touchdown_mps])
    bounds = DescentConfig(
        nodes=30, thrust_share=settings.thrust_share, glide_rad=0.0, max_tilt_rad=1.05
    )
    down = DescentGuidance(vehicle, bounds).plan(
        begin, speed, mass, above, touch, between_s=(2.0, 30.0)
    )
    slow = vehicle.gravity_mps2 * settings.final_m / settings.touchdown_mps
    return float(up.delta_v_mps + look.delta_v_mps + down.delta_v_mps + slow)


def _solve_row(repeats: int) -> dict[str, Any]:
    guidance = DescentGuidance(VEHICLE)
    state = np.array([12.0, -5.0, 60.0]), np.array([-2.0, 1.0, -4.0])
    goal, slow = ZERO, np.array([0.0, 0.0, -1.0])
    ms = _median_ms(lambda: guidance.solve(*state, 185.0, goal, slow, 18.0), 3 * repeats)
    return {"work": f"guidance solve of {guidance.settings.nodes} nodes", "ms": ms}


def _map_row(two_threads: bool, repeats: int) -> dict[str, Any]:
    rng, side = np.random.default_rng(1), 1000
    heights = (0.02 * rng.standard_normal((side, side))).astype(np.float32)
    variance = np.full(heights.shape, 1e-4, np.float32)
    spec = GridSpec(-50.0, -50.0, 0.1, side, side)
    ms = _median_ms(
        lambda: landing_map(heights, spec, variance_m2=variance, two_threads=two_threads), repeats
    )
    return {"work": f"landing map of 10^6 cells, {2 if two_threads else 1} threads", "ms": ms}
