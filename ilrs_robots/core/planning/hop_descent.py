"""The last parts of a hop: from the end of looking to the ground, and straight up and down.

The descent is the least-energy path between two states in uniform gravity, whose acceleration is
linear in time; of all durations the cheapest within the bounds is taken.

Reference: D'Souza 1997 (an optimal guidance law for planetary landing).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ilrs_robots.core.planning.hop_types import HopVehicle
from ilrs_robots.core.types import FloatArray

_SAMPLES = 33
_DURATIONS = 64


class Leg(NamedTuple):
    """A part of a hop as samples."""

    time: FloatArray
    """(N,) s from its start."""
    place: FloatArray
    """(N, 3) m."""
    speed: FloatArray
    """(N, 3) m/s."""
    delta_v: float
    """m/s given by the engines."""


def descent(
    vehicle: HopVehicle, mass_kg: float, start_m: FloatArray, start_mps: FloatArray,
    goal_m: FloatArray, goal_mps: FloatArray, thrust_share: float,
) -> Leg | None:  # fmt: skip
    """Cheapest descent of linear acceleration between two states, or None where none is flyable.

    Args:
        vehicle: bounds of thrust and tilt.
        mass_kg: at its start.
        start_m: (3,) m.
        start_mps: (3,) m/s.
        goal_m: (3,) m.
        goal_mps: (3,) m/s.
        thrust_share: of the largest thrust that may be used.
    """
    way, g = goal_m - start_m, vehicle.gravity_mps2
    scale = np.linalg.norm(way) / max(float(np.linalg.norm(start_mps + goal_mps)) / 2.0, 0.5)
    longest = 3.0 * float(scale) + 4.0 * math.sqrt(float(np.linalg.norm(way)) / g)
    last = np.geomspace(0.05 * longest, longest, _DURATIONS)[:, None, None]
    first = 6.0 * way / last**2 - (4.0 * start_mps + 2.0 * goal_mps) / last
    slope = -12.0 * way / last**3 + 6.0 * (start_mps + goal_mps) / last**2
    share = np.linspace(0.0, 1.0, _SAMPLES)[None, :, None]
    clock = last * share
    thrust = first + slope * clock
    thrust[..., 2] += g
    size = np.linalg.norm(thrust, axis=2)
    place = start_m + clock * (start_mps + clock * (first / 2.0 + clock * slope / 6.0))
    upwards = thrust[..., 2] >= math.cos(vehicle.max_tilt_rad) * size - 1e-9
    strong = size <= thrust_share * vehicle.max_thrust_n / mass_kg
    weak = size >= vehicle.min_thrust_n / mass_kg
    above = place[..., 2] >= goal_m[2] - 1e-6
    cost = np.sum(0.5 * (size[:, 1:] + size[:, :-1]), axis=1) * last[:, 0, 0] / (_SAMPLES - 1)
    cost = np.where((upwards & strong & weak & above).all(axis=1), cost, np.inf)
    k = int(np.argmin(cost))
    if not math.isfinite(cost[k]):
        return None
    speed = start_mps + clock[k] * (first[k] + clock[k] * slope[k] / 2.0)
    return Leg(clock[k, :, 0], place[k], speed, float(cost[k]))


def lift(vehicle: HopVehicle, mass_kg: float, height_m: float, thrust_share: float) -> Leg:
    """Straight up to rest at a height: a burn and a coast. Read backwards it is a way down.

    Args:
        vehicle: thrust and gravity.
        mass_kg: at its start.
        height_m: of the top.
        thrust_share: of the largest thrust that is used.
    """
    g = vehicle.gravity_mps2
    up = thrust_share * vehicle.max_thrust_n / mass_kg - g
    top = math.sqrt(2.0 * height_m / (1.0 / up + 1.0 / g))
    burn, coast = top / up, top / g
    time = np.unique(np.append(np.linspace(0.0, burn + coast, _SAMPLES), burn))
    after = np.maximum(time - burn, 0.0)
    powered = np.minimum(time, burn)
    speed, place = np.zeros((len(time), 3)), np.zeros((len(time), 3))
    speed[:, 2] = up * powered - g * after
    place[:, 2] = 0.5 * up * powered**2 + up * burn * after - 0.5 * g * after**2
    return Leg(time, place, speed, (up + g) * burn)


def level(vehicle: HopVehicle, way_m: FloatArray, cruise_mps: float, tilt_rad: float) -> Leg:
    """Along at one height: tilted forwards, upright, tilted backwards.

    Args:
        vehicle: gravity.
        way_m: (3,) m; its third number is zero.
        cruise_mps: speed between the tilts, lowered where the way is too short.
        tilt_rad: while the speed changes.
    """
    g, far = vehicle.gravity_mps2, float(np.linalg.norm(way_m))
    gain = g * math.tan(tilt_rad)
    cruise = min(cruise_mps, math.sqrt(far * gain))
    turn = cruise / gain
    total = 2.0 * turn + (far - cruise * turn) / cruise
    time = np.unique(np.concatenate((np.linspace(0.0, total, _SAMPLES), [turn, total - turn])))
    speed = np.minimum(np.minimum(gain * time, cruise), gain * (total - time))
    along = np.where(time <= turn, 0.5 * gain * time**2, cruise * (time - 0.5 * turn))
    along = np.where(time >= total - turn, far - 0.5 * gain * (total - time) ** 2, along)
    unit = way_m / max(far, 1e-9)
    cost = 2.0 * turn * g / math.cos(tilt_rad) + (total - 2.0 * turn) * g
    return Leg(time, along[:, None] * unit, speed[:, None] * unit, cost)


def slow_end(vehicle: HopVehicle, height_m: float, speed_mps: float) -> Leg:
    """Straight down at a steady speed, (N, 3) from the top.

    Args:
        vehicle: gravity.
        height_m: of the top.
        speed_mps: downwards.
    """
    total = height_m / max(speed_mps, 1e-3)
    time = np.linspace(0.0, total, 3)
    place, speed = np.zeros((3, 3)), np.zeros((3, 3))
    place[:, 2], speed[:, 2] = -speed_mps * time, -speed_mps
    return Leg(time, place, speed, vehicle.gravity_mps2 * total)
