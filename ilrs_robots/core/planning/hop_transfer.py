"""Two burns and a coast between two states, in closed form.

A burn of constant thrust and direction moves a vehicle, seen from a freely falling frame, as an
impulse would that is given at one moment inside the burn: the speed is that of the rocket equation
and the way its integral. Two impulses between two states follow from two linear equations, so
gravity losses cost a fixed-point iteration of a few steps and no integration. Over more than some
kilometres the direction and strength of gravity change along the arc; their integrals come from
the arc itself (Picard's iteration).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.types import BoolArray, FloatArray

_STEPS = 12
_ARC = 65
_PICARD = 4


class Ends(NamedTuple):
    """What a transfer joins; a Cartesian frame with z up at the start, metres and m/s."""

    way: FloatArray
    """(3,) from start to end."""
    v0: FloatArray
    """(3,) at the start."""
    v1: FloatArray
    """(3,) at the end."""
    gravity: float
    """m/s2 at the start."""
    radius: float
    """Distance of the start from the Moon's centre, m; infinite for flat ground."""


class Engine(NamedTuple):
    """Mass and thrust at the start."""

    mass: float
    thrust: float
    exhaust: float


@dataclass(frozen=True)
class Transfer:
    """Solutions for K flight times; the first axis of every array.

    Attributes:
        time_s: (K,) flight time.
        rise_s: time straight up at the start.
        boost_mps: (K, 3) velocity that the first burn gives.
        brake_mps: (K, 3) that the second gives.
        rise_mps: given straight up before.
        boost_s: (K,) duration.
        brake_s: (K,) duration.
        valid: (K,) whether the burns fit into the time.
        fall_m: (K, S, 3) way that gravity alone takes at ``fraction`` of the time.
        fall_mps: (K, S, 3) speed likewise.
        ends: what is joined.
        engine: with what.
    """

    time_s: FloatArray
    rise_s: float
    boost_mps: FloatArray
    brake_mps: FloatArray
    rise_mps: float
    boost_s: FloatArray
    brake_s: FloatArray
    valid: BoolArray
    fall_m: FloatArray
    fall_mps: FloatArray
    ends: Ends
    engine: Engine

    @property
    def delta_v_mps(self) -> FloatArray:
        """(K,) of all burns, infinite where they do not fit."""
        total = (
            self.rise_mps
            + np.linalg.norm(self.boost_mps, axis=1)
            + np.linalg.norm(self.brake_mps, axis=1)
        )
        found: FloatArray = np.where(self.valid, total, np.inf)
        return found

    def motion(self, k: int, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Position from the start and velocity of solution k.

        Args:
            k: number of the solution.
            time_s: (N,) seconds after the start.

        Returns:
            (N, 3) m and (N, 3) m/s in the frame of the ends.
        """
        time, end, mass = np.asarray(time_s), self.time_s[k], self.engine.mass
        up = np.array([0.0, 0.0, self.rise_mps])
        burns = (
            (up, 0.0, self.rise_s),
            (self.boost_mps[k], self.rise_s, self.boost_s[k]),
            (self.brake_mps[k], end - self.brake_s[k], self.brake_s[k]),
        )
        place = self.ends.v0 * time[:, None]
        speed = np.broadcast_to(self.ends.v0, place.shape).copy()
        for given, start, length in burns:
            size = float(np.linalg.norm(given))
            if size < 1e-12:
                continue
            inside = np.clip(time - start, 0.0, length)
            done, way = _burnt(self.engine, mass, inside)
            if not np.isfinite(self.engine.thrust):
                done = np.where(time >= start, size, 0.0)
            way = way + done * np.maximum(time - start - length, 0.0)
            place += given / size * way[:, None]
            speed += given / size * done[:, None]
            mass *= float(np.exp(-size / self.engine.exhaust))
        share = np.linspace(0.0, end, self.fall_m.shape[1])
        for axis in range(3):
            place[:, axis] += _interpolated(time, share, self.fall_m[k, :, axis],
                                            self.fall_mps[k, :, axis])  # fmt: skip
            speed[:, axis] += np.interp(time, share, self.fall_mps[k, :, axis])
        return place, speed


def transfer(ends: Ends, engine: Engine, rise_s: float, time_s: FloatArray) -> Transfer:
    """Join two states by a rise, a burn, a coast and a burn for each of K flight times.

    Args:
        ends: the states.
        engine: the vehicle; infinite thrust gives impulses.
        rise_s: burn straight up before the first burn.
        time_s: (K,) flight times, s.

    Returns:
        Solutions; those whose burns do not fit are marked.
    """
    time = np.atleast_1d(np.asarray(time_s, dtype=np.float64))
    fraction = np.linspace(0.0, 1.0, _ARC if np.isfinite(ends.radius) else 33)
    clock = time[:, None] * fraction
    fall_mps, fall_m = np.zeros((*clock.shape, 3)), np.zeros((*clock.shape, 3))
    fall_mps[..., 2], fall_m[..., 2] = -ends.gravity * clock, -0.5 * ends.gravity * clock**2
    found = _solve(ends, engine, rise_s, time, fall_m, fall_mps)
    for _ in range(_PICARD if np.isfinite(ends.radius) else 0):
        places = np.stack([found.motion(k, clock[k])[0] for k in range(len(time))])
        pull = _gravity(places, ends)
        pull[..., 2] += ends.gravity
        step = time[:, None, None] * fraction[1]
        more_mps = _cumulated(pull, step)
        more_m = _cumulated(more_mps, step)
        base_mps, base_m = np.zeros_like(fall_mps), np.zeros_like(fall_m)
        base_mps[..., 2] = -ends.gravity * clock
        base_m[..., 2] = -0.5 * ends.gravity * clock**2
        found = _solve(ends, engine, rise_s, time, base_m + more_m, base_mps + more_mps)
    return found


def burn_s(
    engine: Engine, mass_kg: FloatArray, delta_v: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Duration of a burn, s, and the way it takes from rest without gravity, m.

    Args:
        engine: thrust and exhaust velocity.
        mass_kg: (K,) before it.
        delta_v: (K,) m/s.
    """
    if not np.isfinite(engine.thrust):
        return np.zeros_like(delta_v), np.zeros_like(delta_v)
    flow = engine.thrust / engine.exhaust
    left = mass_kg * np.exp(-delta_v / engine.exhaust)
    length = (mass_kg - left) / flow
    return length, engine.exhaust * length - left / flow * delta_v


def _burnt(engine: Engine, mass: float, time: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Speed and way, without gravity, after part of a burn."""
    if not np.isfinite(engine.thrust):
        return np.zeros_like(time), np.zeros_like(time)
    flow = engine.thrust / engine.exhaust
    left = mass - flow * time
    speed = engine.exhaust * np.log(mass / left)
    return speed, engine.exhaust * time - left / flow * speed


def _solve(
    ends: Ends, engine: Engine, rise_s: float, time: FloatArray, fall_m: FloatArray,
    fall_mps: FloatArray,
) -> Transfer:  # fmt: skip
    """The two impulses, their moments following from the burns that give them."""
    finite = np.isfinite(engine.thrust)
    rise_s = rise_s if finite else 0.0
    rise, climb = _burnt(engine, engine.mass, np.array([rise_s]))
    up = np.array([0.0, 0.0, float(rise[0])])
    mass = engine.mass * float(np.exp(-up[2] / engine.exhaust))
    speed = ends.v1 - fall_mps[:, -1] - ends.v0 - up
    way = ends.way - fall_m[:, -1] - ends.v0 * time[:, None]
    way[:, 2] -= float(climb[0]) + up[2] * (time - rise_s)
    early, late = np.full_like(time, rise_s), np.zeros_like(time)
    for _ in range(_STEPS if finite else 1):
        lever = np.maximum(time - early - late, 0.02 * time)
        boost = (way - late[:, None] * speed) / lever[:, None]
        brake = speed - boost
        first, second = np.linalg.norm(boost, axis=1), np.linalg.norm(brake, axis=1)
        boost_s, boost_m = burn_s(engine, np.full_like(time, mass), first)
        brake_s, brake_m = burn_s(engine, mass * np.exp(-first / engine.exhaust), second)
        early = rise_s + boost_s - boost_m / np.maximum(first, 1e-9)
        late = brake_m / np.maximum(second, 1e-9)
    valid = (rise_s + boost_s + brake_s <= time) & np.isfinite(first + second)
    return Transfer(
        time, rise_s, boost, brake, float(up[2]), boost_s, brake_s, valid, fall_m, fall_mps, ends,
        engine,
    )  # fmt: skip


def _gravity(places: FloatArray, ends: Ends) -> FloatArray:
    """Pull of a ball, (..., 3) m/s2, at places counted from the start."""
    from_centre = places + np.array([0.0, 0.0, ends.radius])
    far = np.linalg.norm(from_centre, axis=-1, keepdims=True)
    pull: FloatArray = -ends.gravity * ends.radius**2 * from_centre / far**3
    return pull


def _cumulated(values: FloatArray, step: FloatArray) -> FloatArray:
    """Integral along the second axis by trapezoids."""
    parts = np.zeros_like(values)
    np.cumsum(0.5 * (values[:, 1:] + values[:, :-1]) * step, axis=1, out=parts[:, 1:])
    return parts


def _interpolated(
    at: FloatArray, knots: FloatArray, values: FloatArray, slopes: FloatArray
) -> FloatArray:
    """Cubic between knots of even spacing."""
    step = max(knots[1] - knots[0], 1e-12)
    k = np.clip((at / step).astype(np.int64), 0, len(knots) - 2)
    u = np.clip((at - knots[k]) / step, 0.0, 1.0)
    p0, p1, v0, v1 = values[k], values[k + 1], slopes[k] * step, slopes[k + 1] * step
    found: FloatArray = p0 + u * (v0 + u * (3 * (p1 - p0) - 2 * v0 - v1
                                           + u * (2 * (p0 - p1) + v0 + v1)))  # fmt: skip
    return found


def on_ball(places: FloatArray, radius_m: float) -> tuple[FloatArray, FloatArray]:
    """Turn places over a ball into distances along its ground and heights over the start.

    Args:
        places: (N, 3) metres from the start, z up there.
        radius_m: distance of the start from the centre; infinite for flat ground.

    Returns:
        (N, 2) along x and y, and (N,) heights, metres.
    """
    if not np.isfinite(radius_m):
        return places[:, :2].copy(), places[:, 2].copy()
    flat = np.linalg.norm(places[:, :2], axis=1)
    angle = np.arctan2(flat, radius_m + places[:, 2])
    height = np.hypot(flat, radius_m + places[:, 2]) - radius_m
    scale = MOON_RADIUS_M * angle / np.maximum(flat, 1e-9)
    return places[:, :2] * scale[:, None], height


def from_ball(xy_m: FloatArray, height_m: float, radius_m: float) -> tuple[FloatArray, float]:
    """Place over a ball from its distances along the ground and its height over the start.

    Args:
        xy_m: (2,) along the ground, metres.
        height_m: over the start.
        radius_m: distance of the start from the centre; infinite for flat ground.

    Returns:
        (3,) metres with z up at the start, and the angle seen from the centre, rad.
    """
    if not np.isfinite(radius_m):
        return np.array([xy_m[0], xy_m[1], height_m]), 0.0
    far = float(np.linalg.norm(xy_m))
    angle = far / MOON_RADIUS_M
    out = (radius_m + height_m) * np.sin(angle) / max(far, 1e-9)
    return np.array([xy_m[0] * out, xy_m[1] * out,
                     (radius_m + height_m) * np.cos(angle) - radius_m]), angle  # fmt: skip


def radius_at(height_m: float) -> float:
    """Distance of a height over the reference sphere from the Moon's centre."""
    return MOON_RADIUS_M + height_m
