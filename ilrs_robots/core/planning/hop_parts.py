"""Parts of hops put together: gate, landing, phases and samples of both kinds of hop."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_descent import Leg, descent, level, lift, slow_end
from ilrs_robots.core.planning.hop_transfer import Ends, Transfer, from_ball, on_ball, radius_at
from ilrs_robots.core.planning.hop_types import (
    HopKind,
    HopPart,
    HopPhase,
    HopProfile,
    HopVehicle,
)
from ilrs_robots.core.types import FloatArray

_UP = np.array([0.0, 0.0, 1.0])
_SAMPLES = 49
_CRUISES = 24


class Gate(NamedTuple):
    """Where looking begins: (3,) m and (3,) m/s in map."""

    place: FloatArray
    speed: FloatArray


class Landing(NamedTuple):
    """From the gate to the ground."""

    sense: Leg
    down: Leg
    slow: Leg


def gate_of(start_m: FloatArray, goal_m: FloatArray, settings: HopPlanConfig) -> Gate:
    """The gate on the side of the start, with the speed at the place.

    Args:
        start_m: (3,) m.
        goal_m: (3,) m.
        settings: of sensing.
    """
    s = settings.sensing
    back = start_m[:2] - goal_m[:2]
    back = back / np.linalg.norm(back)
    line = np.array([
        math.cos(s.elevation_rad) * back[0], math.cos(s.elevation_rad) * back[1],
        math.sin(s.elevation_rad),
    ])  # fmt: skip
    return Gate(goal_m + s.range_m * line, -s.approach_mps * line)


def ends_of(
    start_m: FloatArray, gate: Gate, vehicle: HopVehicle, settings: HopPlanConfig
) -> tuple[Ends, FloatArray]:
    """Ends of the ballistic part, and the (3, 3) rotation of the start's axes to the gate's.

    Args:
        start_m: (3,) m.
        gate: in map.
        vehicle: gravity.
        settings: from which length the Moon is round.
    """
    way = gate.place - start_m
    far = float(np.linalg.norm(way[:2]))
    radius = radius_at(float(start_m[2])) if far >= settings.curved_from_m else math.inf
    place, angle = from_ball(way[:2], float(way[2]), radius)
    gravity, turn = vehicle.gravity_mps2, np.eye(3)
    if math.isfinite(radius):
        gravity *= (MOON_RADIUS_M / radius) ** 2
        turn = _tilted(way[:2] / far, angle)
    return Ends(place, np.zeros(3), turn.T @ gate.speed, gravity, radius), turn


def _tilted(along: FloatArray, angle: float) -> FloatArray:
    """Rotation from the axes at the start to those after ``angle`` around the Moon."""
    axis = np.array([along[1], -along[0], 0.0])
    cross = np.array([
        [0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0],
    ])  # fmt: skip
    turned: FloatArray = np.eye(3) + math.sin(angle) * cross
    turned = turned + (1.0 - math.cos(angle)) * cross @ cross
    return turned


def landing(
    gate: Gate, goal_m: FloatArray, mass_kg: float, vehicle: HopVehicle, settings: HopPlanConfig
) -> Landing | None:
    """From the gate to the ground, or None where no thrust allows it.

    Args:
        gate: in map.
        goal_m: (3,) m.
        mass_kg: at launch; the landing is planned for that weight.
        vehicle: bounds.
        settings: of sensing and touchdown.
    """
    length = settings.sensing.duration_s
    time = np.linspace(0.0, length, 5)
    sense = Leg(
        time, gate.place + time[:, None] * gate.speed,
        np.broadcast_to(gate.speed, (5, 3)).copy(), vehicle.gravity_mps2 * length,
    )  # fmt: skip
    above = goal_m + settings.final_m * _UP
    touch = -settings.touchdown_mps * _UP
    down = descent(
        vehicle, mass_kg, sense.place[-1], gate.speed, above, touch, settings.thrust_share
    )
    if down is None:
        return None
    slow = slow_end(vehicle, settings.final_m, settings.touchdown_mps)
    return Landing(sense, down, slow._replace(place=slow.place + above))


def one(solutions: Transfer, k: int) -> Transfer:
    """Solution k alone."""
    pick = slice(k, k + 1)
    s = solutions
    return replace(
        s, time_s=s.time_s[pick], boost_mps=s.boost_mps[pick], brake_mps=s.brake_mps[pick],
        boost_s=s.boost_s[pick], brake_s=s.brake_s[pick], valid=s.valid[pick],
        fall_m=s.fall_m[pick], fall_mps=s.fall_mps[pick],
    )  # fmt: skip


def _join(legs: list[Leg]) -> Leg:
    """Samples of legs one after the other; of two at one moment the first is kept."""
    time, place, speed, clock, cost = [], [], [], 0.0, 0.0
    for n, leg in enumerate(legs):
        keep = slice(1 if n else 0, None)
        time.append(leg.time[keep] + clock)
        place.append(leg.place[keep])
        speed.append(leg.speed[keep])
        clock, cost = clock + float(leg.time[-1]), cost + leg.delta_v
    return Leg(np.concatenate(time), np.concatenate(place), np.concatenate(speed), cost)


def _flight(solution: Transfer, start_m: FloatArray, turn: FloatArray) -> Leg:
    """The two burns and the coast in map."""
    end, rise = float(solution.time_s[0]), solution.rise_s
    knots = [rise, rise + float(solution.boost_s[0]), end - float(solution.brake_s[0])]
    time = np.unique(np.concatenate((np.linspace(0.0, end, _SAMPLES), knots)))
    place, speed = solution.motion(0, time)
    flat, high = on_ball(place, solution.ends.radius)
    if math.isfinite(solution.ends.radius):
        angle = np.linalg.norm(flat, axis=1) / MOON_RADIUS_M
        along = solution.ends.way[:2] / np.linalg.norm(solution.ends.way[:2])
        speed = np.stack([_tilted(along, a) @ v for a, v in zip(angle, speed, strict=True)])
    return Leg(time, start_m + np.column_stack((flat, high)), speed,
               float(solution.delta_v_mps[0]))  # fmt: skip


def ballistic_profile(
    start_m: FloatArray, goal_m: FloatArray, mass_kg: float, vehicle: HopVehicle,
    settings: HopPlanConfig, solution: Transfer, land: Landing, turn: FloatArray,
) -> HopProfile:  # fmt: skip
    """Phases and samples of a ballistic hop.

    Args:
        start_m: (3,) m.
        goal_m: (3,) m.
        mass_kg: at launch.
        vehicle: exhaust velocity.
        settings: thrust share.
        solution: one transfer to the gate.
        land: from the gate on.
        turn: (3, 3) rotation from the start's axes to the gate's.
    """
    thrust = settings.thrust_share * vehicle.max_thrust_n
    flight = _flight(solution, start_m, turn)
    all_legs = _join([flight, land.sense, land.down, land.slow])
    boost, brake = solution.boost_mps[0], turn @ solution.brake_mps[0]
    end, lit = float(solution.time_s[0]), solution.rise_s + float(solution.boost_s[0])
    dark = end - float(solution.brake_s[0])
    sizes = float(np.linalg.norm(boost)), float(np.linalg.norm(brake))
    looked = end + float(land.sense.time[-1])
    phases = (
        HopPhase(HopPart.RISE, 0.0, solution.rise_s, solution.rise_mps, _UP, thrust),
        HopPhase(HopPart.BOOST, solution.rise_s, lit, sizes[0], boost / sizes[0], thrust),
        HopPhase(HopPart.COAST, lit, dark, 0.0, _UP, 0.0),
        HopPhase(HopPart.BRAKE, dark, end, sizes[1], brake / sizes[1], thrust),
        HopPhase(HopPart.SENSE, end, looked, land.sense.delta_v, _UP, math.nan),
        HopPhase(HopPart.DESCENT, looked, float(all_legs.time[-1]),
                 land.down.delta_v + land.slow.delta_v, _UP, math.nan),
    )  # fmt: skip
    k = int(np.searchsorted(flight.time, lit))
    ideal = _impulsive(start_m, goal_m, vehicle)
    return _profile(
        HopKind.BALLISTIC, start_m, goal_m, mass_kg, vehicle, phases, all_legs,
        flight.speed[k], land.sense, ideal,
    )  # fmt: skip


def hover_profile(
    start_m: FloatArray, goal_m: FloatArray, mass_kg: float, vehicle: HopVehicle,
    settings: HopPlanConfig, height_m: float,
) -> HopProfile:  # fmt: skip
    """Straight up, along, straight down; the speed along is the cheapest that leaves time to look.

    Args:
        start_m: (3,) m.
        goal_m: (3,) m.
        mass_kg: at launch; the whole hop is planned for that weight.
        vehicle: bounds.
        settings: thrust share, sensing and touchdown.
        height_m: z of the way along.
    """
    share, final = settings.thrust_share, settings.final_m
    up = lift(vehicle, mass_kg, height_m - float(start_m[2]), share)
    fall = lift(vehicle, mass_kg, max(height_m - float(goal_m[2]) - final, 0.1), share)
    slow = slow_end(vehicle, final, settings.touchdown_mps)
    way = np.array([goal_m[0] - start_m[0], goal_m[1] - start_m[1], 0.0])
    strongest = share * vehicle.max_thrust_n / mass_kg
    tilt = min(0.5, vehicle.max_tilt_rad, math.acos(vehicle.gravity_mps2 / strongest))
    legs = [level(vehicle, way, v, tilt) for v in np.geomspace(1.0, 60.0, _CRUISES)]
    slowest = settings.sensing.duration_s
    waits = [max(slowest - float(leg.time[-1]), 0.0) for leg in legs]
    cost = [leg.delta_v + vehicle.gravity_mps2 * w for leg, w in zip(legs, waits, strict=True)]
    best = int(np.argmin(cost))
    along, wait = legs[best], waits[best]
    top = np.array([start_m[0], start_m[1], height_m])
    above = np.array([goal_m[0], goal_m[1], height_m])
    still = Leg(np.array([0.0, max(wait, 1e-3)]), np.stack((above, above)), np.zeros((2, 3)),
                vehicle.gravity_mps2 * wait)  # fmt: skip
    down = Leg(fall.time[-1] - fall.time[::-1], above + fall.place[::-1] - fall.place[-1],
               -fall.speed[::-1], fall.delta_v)  # fmt: skip
    slow = slow._replace(place=slow.place + goal_m + final * _UP)
    along = along._replace(place=along.place + top)
    joined = _join([up._replace(place=up.place + start_m), along, still, down, slow])
    ends = np.cumsum([leg.time[-1] for leg in (up, along, still)])
    phases = (
        HopPhase(HopPart.RISE, 0.0, float(ends[0]), up.delta_v, _UP, math.nan),
        HopPhase(HopPart.CRUISE, float(ends[0]), float(ends[1]), along.delta_v, _UP, math.nan),
        HopPhase(HopPart.SENSE, float(ends[1]), float(ends[2]), still.delta_v, _UP, math.nan),
        HopPhase(HopPart.DESCENT, float(ends[2]), float(joined.time[-1]),
                 down.delta_v + slow.delta_v, _UP, math.nan),
    )  # fmt: skip
    launch = np.array([0.0, 0.0, float(up.speed[:, 2].max())])
    ideal = _impulsive(start_m, goal_m, vehicle)
    return _profile(
        HopKind.HOVER, start_m, goal_m, mass_kg, vehicle, phases, joined, launch, still, ideal
    )


def _impulsive(start: FloatArray, goal: FloatArray, vehicle: HopVehicle) -> float:
    far, high = float(np.linalg.norm(goal - start)), float(goal[2] - start[2])
    g = vehicle.gravity_mps2
    return math.sqrt(g * (far + high)) + math.sqrt(g * (far - high))


def _profile(
    kind: HopKind, start: FloatArray, goal: FloatArray, mass_kg: float, vehicle: HopVehicle,
    phases: tuple[HopPhase, ...], legs: Leg, launch: FloatArray, sense: Leg, ideal: float,
) -> HopProfile:  # fmt: skip
    return HopProfile(
        kind=kind, start_m=start, goal_m=goal, mass_kg=mass_kg,
        propellant_kg=vehicle.propellant_kg(mass_kg, legs.delta_v), delta_v_mps=legs.delta_v,
        impulsive_mps=ideal, phases=phases, time_s=legs.time, position_m=legs.place,
        velocity_mps=legs.speed, launch_mps=launch, gate_m=sense.place[0].copy(),
        gate_mps=sense.speed[0].copy(), apex_m=float(legs.place[:, 2].max()),
    )  # fmt: skip
