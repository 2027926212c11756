"""One hop from a place to a place: ballistic or hover-hop, whichever is cheaper and clear.

A ballistic hop is a rise, a boost, a coast and a brake to the gate in front of the landing place;
a hover-hop goes straight up, along at one height and straight down. Both look at the place for the
mandatory time. The flight time of a ballistic hop is that of the least propellant among those
whose arc keeps clear of the ground.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ilrs_robots.core.planning import hop_parts
from ilrs_robots.core.planning.hop_clearance import clearance
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_transfer import Ends, Engine, Transfer, transfer
from ilrs_robots.core.planning.hop_types import HopKind, HopProfile, HopRefusedError, HopVehicle
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import FloatArray

_TIMES = 40
_REFINED = 24
_FAR_M = 1.0


def plan_hop(
    start_m: FloatArray, goal_m: FloatArray, mass_kg: float, vehicle: HopVehicle,
    settings: HopPlanConfig | None = None, *, dem: Dem | None = None, kind: HopKind | None = None,
) -> HopProfile:  # fmt: skip
    """Plan the cheaper of a ballistic and a hover-hop.

    Args:
        start_m: (3,) where base_link stands, map, metres.
        goal_m: (3,) where it shall stand, map, metres.
        mass_kg: now.
        vehicle: what flies.
        settings: how; defaults where None.
        dem: ground that is kept clear of; none is looked at where None.
        kind: only this kind where it is not None.

    Raises:
        HopRefusedError: with reason ``out_of_reach``, ``thrust``, ``clearance``,
            ``unknown_ground`` or ``propellant`` and the numbers.
    """
    settings = settings or HopPlanConfig()
    start, goal = (np.array(p, dtype=np.float64) for p in (start_m, goal_m))
    _check_ends(start, goal, mass_kg, vehicle)
    found: list[HopProfile] = []
    refused: list[HopRefusedError] = []
    for one, make in ((HopKind.BALLISTIC, _ballistic), (HopKind.HOVER, _hover)):
        if kind not in (None, one):
            continue
        try:
            found.append(make(start, goal, mass_kg, vehicle, settings, dem))
        except HopRefusedError as refusal:
            refused.append(refusal)
    if not found:
        raise refused[0]
    best = min(found, key=lambda profile: profile.delta_v_mps)
    held = mass_kg - vehicle.dry_kg
    if best.propellant_kg > held:
        raise HopRefusedError(
            "propellant",
            f"hop of {np.linalg.norm(goal - start):.0f} m needs {best.propellant_kg:.2f} kg of "
            f"propellant ({best.delta_v_mps:.1f} m/s), {held:.2f} kg are held",
            best.propellant_kg,
            held,
        )
    return best


def impulsive_mps(start_m: FloatArray, goal_m: FloatArray, gravity_mps2: float) -> FloatArray:
    """Least launch plus landing impulse between places, (N,) m/s, on flat ground.

    The square of the least launch speed is g (h + sqrt(d^2 + h^2)) for a rise h over a distance d;
    at the other end the energy differs by g h.

    Args:
        start_m: (N, 3) or (3,) metres.
        goal_m: (N, 3) or (3,) metres.
        gravity_mps2: downwards.
    """
    way = np.asarray(goal_m, dtype=np.float64) - np.asarray(start_m, dtype=np.float64)
    far = np.linalg.norm(way, axis=-1)
    high = way[..., 2]
    total: FloatArray = np.sqrt(np.maximum(gravity_mps2 * (far + high), 0.0)) + np.sqrt(
        np.maximum(gravity_mps2 * (far - high), 0.0)
    )
    return total


def _check_ends(start: FloatArray, goal: FloatArray, mass_kg: float, vehicle: HopVehicle) -> None:
    for name, place in (("start_m", start), ("goal_m", goal)):
        if place.shape != (3,) or not np.isfinite(place).all():
            raise HopRefusedError("out_of_reach", f"{name} = {place}: must be 3 finite metres")
    if not mass_kg >= vehicle.dry_kg:
        raise HopRefusedError(
            "propellant", f"mass {mass_kg} kg: below the dry mass {vehicle.dry_kg} kg"
        )
    if np.linalg.norm(goal[:2] - start[:2]) < _FAR_M:
        raise HopRefusedError(
            "out_of_reach",
            f"goal is {np.linalg.norm(goal[:2] - start[:2]):.2f} m away: a hop is at least "
            f"{_FAR_M} m long",
        )
    lift = vehicle.max_thrust_n / mass_kg
    if lift <= vehicle.gravity_mps2:
        raise HopRefusedError(
            "thrust",
            f"{vehicle.max_thrust_n:.0f} N lift {mass_kg:.1f} kg with {lift:.2f} m/s2: "
            f"{vehicle.gravity_mps2} m/s2 are needed",
        )


def _ballistic(
    start: FloatArray, goal: FloatArray, mass_kg: float, vehicle: HopVehicle,
    settings: HopPlanConfig, dem: Dem | None,
) -> HopProfile:  # fmt: skip
    gate = hop_parts.gate_of(start, goal, settings)
    ends, turn = hop_parts.ends_of(start, gate, vehicle, settings)
    thrust = settings.thrust_share * vehicle.max_thrust_n
    engine = Engine(mass_kg, thrust, vehicle.exhaust_mps)
    landing = hop_parts.landing(gate, goal, mass_kg, vehicle, settings)
    if landing is None:
        raise HopRefusedError(
            "thrust", f"no descent from the gate within {thrust:.0f} N for {mass_kg:.1f} kg"
        )
    held_mps = vehicle.delta_v_mps(mass_kg)
    lowest = math.nan
    worst = HopRefusedError(
        "thrust", f"burns of {thrust:.0f} N do not fit into a hop of {mass_kg:.1f} kg"
    )
    for solution in _by_cost(ends, engine, settings.rise_s):
        profile = hop_parts.ballistic_profile(
            start, goal, mass_kg, vehicle, settings, solution, landing, turn
        )
        if dem is None:
            return profile
        left, k = clearance(dem, profile.time_s, profile.position_m, settings)
        if left >= 0.0:
            return replace(profile, clearance_m=left)
        x, y = profile.position_m[k, :2]
        if math.isnan(left):
            worst = HopRefusedError(
                "unknown_ground", f"ground under the arc is unknown at x {x:.0f} m, y {y:.0f} m"
            )
        elif not left <= lowest:
            lowest = left
            worst = HopRefusedError(
                "clearance",
                f"the clearest arc is {-left:.1f} m too low at x {x:.0f} m, y {y:.0f} m",
            )
        if profile.delta_v_mps > 2.0 * held_mps:
            break
    raise worst


def _by_cost(ends: Ends, engine: Engine, rise_s: float) -> list[Transfer]:
    """Single solutions from the cheapest on: the optimum first, then others by their cost."""
    g = ends.gravity
    far = float(np.linalg.norm(ends.way))
    least = math.sqrt(2.0 * far / g)
    times = np.geomspace(0.35 * least, 6.0 * least + 30.0, _TIMES)
    coarse = transfer(ends, engine, rise_s, times)
    cost = coarse.delta_v_mps
    if not np.isfinite(cost).any():
        return []
    k = int(np.argmin(cost))
    low, high = times[max(k - 1, 0)], times[min(k + 1, _TIMES - 1)]
    for _ in range(2):
        near = np.linspace(low, high, _REFINED)
        fine = transfer(ends, engine, rise_s, near)
        j = int(np.argmin(fine.delta_v_mps))
        low, high = near[max(j - 1, 0)], near[min(j + 1, _REFINED - 1)]
    order = [i for i in np.argsort(cost, kind="stable") if math.isfinite(cost[i])]
    return [hop_parts.one(fine, j), *(hop_parts.one(coarse, int(i)) for i in order)]


def _hover(
    start: FloatArray, goal: FloatArray, mass_kg: float, vehicle: HopVehicle,
    settings: HopPlanConfig, dem: Dem | None,
) -> HopProfile:  # fmt: skip
    far = float(np.linalg.norm(goal[:2] - start[:2]))
    if far >= settings.curved_from_m:
        raise HopRefusedError("out_of_reach", f"a hover-hop of {far:.0f} m is not planned")
    high = max(start[2], goal[2]) + settings.hover_m
    failure = None
    for raised in (0.0, 1.0, 3.0, 7.0):
        profile = hop_parts.hover_profile(
            start, goal, mass_kg, vehicle, settings, high + raised * settings.hover_m
        )
        if dem is None:
            return profile
        left, k = clearance(dem, profile.time_s, profile.position_m, settings)
        if left >= 0.0:
            return replace(profile, clearance_m=left)
        x, y = profile.position_m[k, :2]
        reason = "unknown_ground" if math.isnan(left) else "clearance"
        failure = HopRefusedError(
            reason, f"hover-hop: {left:.1f} m of clearance at x {x:.0f} m, y {y:.0f} m"
        )
    assert failure is not None
    raise failure
