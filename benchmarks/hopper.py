"""Hopper: landing map, convex descent, terminal law, hops; beside the convex optimum."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ilrs_robots.core.control.descent_guidance import DescentConfig, DescentGuidance
from ilrs_robots.core.control.terminal_law import TerminalConfig, table_of, terminal_thrust
from ilrs_robots.core.planning.hop_profile import plan_hop
from ilrs_robots.core.planning.hop_types import HopKind, HopPart, HopVehicle
from ilrs_robots.core.planning.landing_map import landing_map
from ilrs_robots.core.types import GridSpec

VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0, min_thrust_n=160.0)
FREE = HopVehicle(dry_kg=100.0, isp_s=230.0, max_thrust_n=800.0)
ORIGIN = np.zeros(3)
SLOW = np.array([0.0, 0.0, -1.0])


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of one call, after one call that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def landing_rows(repeats: int) -> list[dict[str, Any]]:
    rng, size = np.random.default_rng(0), 1000
    spec = GridSpec(0.0, 0.0, 0.1, size, size)
    noise = cv2.GaussianBlur(rng.standard_normal(spec.shape).astype(np.float32), (0, 0), 8.0)
    variance = np.full(spec.shape, 1e-4, np.float32)
    slope = np.float32(0.12) * np.arange(size, dtype=np.float32) * np.float32(0.1)
    rows = []
    for name, ground in (
        ("flat", noise * 0.7), ("undulating", noise * 1.4), ("rough", noise * 2.4),
        ("7 deg slope", noise * 0.7 + slope),
    ):  # fmt: skip
        ground = ground.astype(np.float32)
        ours = median_ms(lambda z=ground: landing_map(z, spec, variance_m2=variance), repeats)
        share = landing_map(ground, spec, variance_m2=variance).safe.mean()
        rows.append({
            "work": f"landing map, 10^6 cells, all orientations, {name}",
            "ours_ms": round(ours, 1), "note": f"{100.0 * share:.0f} % safe",
        })  # fmt: skip
    return rows


def guidance_rows(repeats: int) -> list[dict[str, Any]]:
    guidance = DescentGuidance(VEHICLE)
    rng = np.random.default_rng(1)
    states = [
        (np.append(rng.uniform(-40, 40, 2), rng.uniform(40, 120)),
         np.append(rng.uniform(-6, 6, 2), rng.uniform(-10, 0)), rng.uniform(15, 30))
        for _ in range(20 * repeats)
    ]  # fmt: skip
    draw = iter(states * 2)

    def solve() -> None:
        place, speed, flight = next(draw)
        guidance.solve(place, speed, 190.0, ORIGIN, SLOW, flight)

    table = table_of(VEHICLE, TerminalConfig())
    state = np.array([2.0, 1.0, -4.0]), np.array([3.0, -2.0])
    law = median_ms(lambda: terminal_thrust(30.0, state[0], 180.0, table, state[1]), 1000)
    hop = np.array([800.0, 0.0, -50.0])
    return [
        {"work": "convex descent, 20 nodes, new numbers in place",
         "ours_ms": round(median_ms(solve, 20 * repeats), 2)},
        {"work": "terminal law, one call", "ours_ms": round(law, 4)},
        {"work": "one hop of 800 m planned",
         "ours_ms": round(median_ms(lambda: plan_hop(ORIGIN, hop, 200.0, VEHICLE), repeats), 2)},
    ]  # fmt: skip


def optimum_row(far: float) -> dict[str, Any]:
    """Delta-v of a planned hop over the convex optimum with the same gate and looking."""
    goal = np.array([far, 0.0, 0.0])
    hop = plan_hop(ORIGIN, goal, 200.0, FREE, kind=HopKind.BALLISTIC)
    brake, look = hop.phase(HopPart.BRAKE), hop.phase(HopPart.SENSE)
    assert brake is not None
    assert look is not None
    free = DescentConfig(nodes=60, glide_rad=-1.0, max_tilt_rad=3.1, searches=18)
    up = DescentGuidance(FREE, free).plan(
        ORIGIN, ORIGIN, 200.0, hop.gate_m, hop.gate_mps,
        between_s=(0.6 * brake.end_s, 1.6 * brake.end_s),
    )  # fmt: skip
    begin, speed = hop.state_at(look.end_s)
    above, touch = goal + np.array([0.0, 0.0, 1.5]), np.array([0.0, 0.0, -0.8])
    down = DescentGuidance(FREE, DescentConfig(nodes=30, glide_rad=0.0, max_tilt_rad=1.05)).plan(
        begin, speed, 200.0 - up.fuel_kg, above, touch, between_s=(2.0, 30.0)
    )
    best = up.delta_v_mps + look.delta_v_mps + down.delta_v_mps + 1.62 * 1.5 / 0.8
    return {
        "work": f"hop of {far:.0f} m: delta-v {hop.delta_v_mps:.1f} m/s",
        "note": f"{100.0 * (hop.delta_v_mps / best - 1.0):+.1f} % of the convex {best:.1f} m/s",
    }


def run(quick: bool = False) -> dict[str, Any]:
    """Measure."""
    repeats = 3 if quick else 9
    rows = landing_rows(repeats) + guidance_rows(repeats)
    rows += [optimum_row(far) for far in (300.0, 1000.0, 3000.0, 10000.0)]
    return {"name": "Hopper", "rows": rows}
