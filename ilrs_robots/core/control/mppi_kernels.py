"""Rollouts of the sampling controller: motion, attitude and cost in one pass, on one core.

A control is a speed of the wheels and a curvature. The vehicle follows both within its limits:
it slows while its wheels are being turned, as the drive does; on a slope the wheels slip, so that
it gets less far and drifts downhill.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core.planning.disc_checks import (
    FAST,
    belly_gap,
    disc_gap,
    ground_cost,
    numbers,
    plane_at,
    tilt_share,
)
from ilrs_robots.core.types import FloatArray

HIT = 1e3
"""Cost of a motion that ends in closed ground or tips; no other cost comes near it."""
_ALIGNED_RAD = math.radians(5.0)
_ASTRAY_RAD = math.radians(30.0)
_ATTITUDE_M = 0.15
"""Attitude is predicted anew after so much way; a map's cell is about as large."""
_FAR = 6.0
"""So many times its own length away, closed ground is no longer felt."""
_WORSE = 1e-3


class PathTable(NamedTuple):
    """The path as kernels take it."""

    xy: FloatArray
    """(N, 2) metres."""
    along: FloatArray
    """(N,) metres."""
    tangent: FloatArray
    """(N, 2) unit vectors; the last is that of the last leg."""
    speed: FloatArray
    """(N,) wanted ground speed, m/s."""


@njit(cache=True, error_model="numpy", inline="always")
def _approach(value, wanted, faster, slower):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Towards a wanted value that is not negative."""
    if wanted > value:
        return min(value + faster, wanted)
    return max(value - slower, wanted)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _driven(table, v, k, want_v, want_k):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Speed and curvature after a step.

    Wheels are turned at their rate; while they point elsewhere the drive is slow.
    """
    dt = table.step_s
    astray = table.steer_arm * abs(want_k - k)
    share = (_ASTRAY_RAD - astray) / (_ASTRAY_RAD - _ALIGNED_RAD)
    share = min(max(share, 0.0), 1.0)
    k += min(max(want_k - k, -table.k_rate * dt), table.k_rate * dt)
    limit = table.max_w / max(abs(k), 1e-6)
    return _approach(v, share * min(want_v, limit), table.accel * dt, table.decel * dt), k


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _beside(points, tangents, wanted, near, table, x, y, cos, sin, ground_v):  # type: ignore[no-untyped-def]  # pragma: no cover
    """The path's point that is nearest now, and the cost per second of not being on it."""
    last = points.shape[0] - 1
    dx, dy = x - points[near, 0], y - points[near, 1]
    away = dx * dx + dy * dy
    while near < last:
        ex, ey = x - points[near + 1, 0], y - points[near + 1, 1]
        farther = ex * ex + ey * ey
        if farther > away:
            break
        near, away, dx, dy = near + 1, farther, ex, ey
    tx, ty = tangents[near, 0], tangents[near, 1]
    lateral = tx * dy - ty * dx
    if near == last:
        lateral = math.sqrt(away)
    short = (wanted[near] - ground_v) / table.max_v
    cost = table.w_lateral * lateral * lateral
    cost += table.w_heading * (1.0 - (cos * tx + sin * ty))
    return near, cost + (table.w_speed if short > 0.0 else table.w_fast) * short * short


@njit(cache=True, error_model="numpy", fastmath=FAST)
def rollout(start, controls, table, discs, footing, terrain, path, first, held, trace):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Cost of one motion.

    ``start`` is x, y, yaw, speed, curvature; ``controls`` (T, 2) speed and curvature; ``first``
    the path's point nearest to the start; ``held`` gap (m), tilt share and belly gap (m) that the
    start itself does not keep; ``trace`` (T or 0, 7) takes x, y, yaw, speed, roll, pitch
    (tangents) and belly gap.
    """
    clearance, layer, peak = terrain.clearance, terrain.cost, terrain.peak
    elevation, wheels, weights = terrain.heights.elevation, footing.wheels, footing.weights
    points, tangents, wanted, arms = path.xy, path.tangent, path.speed, discs.along
    known, n = terrain.known, numbers(terrain, discs, footing)
    x, y, v, k = start[0], start[1], start[3], start[4]
    cos, sin = math.cos(start[2]), math.sin(start[2])
    dt, turned, cost = table.step_s, 0.0, 0.0
    level, along, across, belly = 0.0, held[3], held[4], 1e3
    tilt, since = held[1], 0.0
    near = first
    last, steps = points.shape[0] - 1, controls.shape[0]
    before_v, before_k = start[3], start[4]
    for t in range(steps):
        want_v, want_k = controls[t, 0], controls[t, 1]
        dv, dk = (want_v - before_v) / table.max_v, want_k - before_k
        cost += table.w_effort * (dv * dv + dk * dk)
        before_v, before_k = want_v, want_k
        v, k = _driven(table, v, k, want_v, want_k)
        # Slip: the wheels' way along the ground, its horizontal part, and the drift downhill.
        flat = 1.0 / math.sqrt(1.0 + along * along)
        ground_v = v * max(1.0 - table.slip * along * flat, 0.0) * flat
        side_v = -table.slip * across / math.sqrt(1.0 + across * across) * v
        turn = 0.5 * v * k * dt
        c, s = 1.0 - 0.5 * turn * turn, turn - turn * turn * turn / 6.0
        cos, sin = cos * c - sin * s, sin * c + cos * s
        x += (ground_v * cos - side_v * sin) * dt
        y += (ground_v * sin + side_v * cos) * dt
        cos, sin = cos * c - sin * s, sin * c + cos * s
        turned += 2.0 * turn
        # What the ground says of it.
        gap = disc_gap(clearance, arms, n, x, y, cos, sin, _FAR * table.near)
        since += ground_v * dt
        if known and since >= _ATTITUDE_M:
            since = 0.0
            z, ahead, left = plane_at(elevation, wheels, weights, n, x, y, cos, sin)
            if z == z:
                level, along, across = z, ahead, left
                tilt = tilt_share(along, across, table.tan_roll, table.tan_pitch)
                belly = belly_gap(peak, n, x, y, cos, sin, level, along, across)
        if trace.shape[0] > t:
            trace[t, 0], trace[t, 1], trace[t, 2] = x, y, start[2] + turned
            trace[t, 3], trace[t, 4], trace[t, 5], trace[t, 6] = v, across, along, belly
        if (
            gap < min(0.0, held[0] - _WORSE)
            or tilt > max(1.0, held[1] + _WORSE)
            or belly < min(table.belly_margin, held[2] - _WORSE)
        ):
            return cost + HIT * (2.0 - t / steps)
        cost += dt * table.w_ground * ground_cost(layer, n, x, y)
        if gap < _FAR * table.near:
            cost += dt * table.w_near * math.exp(-max(gap, 0.0) / table.near)
        cost += dt * table.w_attitude * tilt * tilt
        near, beside = _beside(points, tangents, wanted, near, table, x, y, cos, sin, ground_v)
        cost += dt * beside
    gained = path.along[near] + min(
        (x - points[near, 0]) * tangents[near, 0] + (y - points[near, 1]) * tangents[near, 1],
        0.0 if near == last else 1e3,
    )
    return cost + table.w_end * max(path.along[last] - gained, 0.0)


@njit(cache=True, error_model="numpy", fastmath=FAST)
def held_at_start(start, table, discs, footing, terrain):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Gap (m), tilt share, belly gap (m), slopes along and across where the vehicle stands."""
    x, y = start[0], start[1]
    cos, sin = math.cos(start[2]), math.sin(start[2])
    n = numbers(terrain, discs, footing)
    gap = disc_gap(terrain.clearance, discs.along, n, x, y, cos, sin, 1e3)
    tilt, belly, along, across = 0.0, 1e3, 0.0, 0.0
    if terrain.known:
        level, ahead, left = plane_at(
            terrain.heights.elevation, footing.wheels, footing.weights, n, x, y, cos, sin
        )
        if level == level:
            along, across = ahead, left
            tilt = tilt_share(along, across, table.tan_roll, table.tan_pitch)
            belly = belly_gap(terrain.peak, n, x, y, cos, sin, level, along, across)
    return np.array([gap, tilt, belly, along, across])


@njit(cache=True, error_model="numpy", fastmath=FAST)
def sample(start, nominal, noise, fixed, table, discs, footing, terrain, path, costs, controls):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Cost of every motion into ``costs`` (K,), their controls into ``controls`` (K, T, 2).

    The first motions are those of ``fixed`` (F, T, 2), the others the nominal one with noise.
    """
    held = held_at_start(start, table, discs, footing, terrain)
    first, best = 0, np.inf
    for n in range(path.xy.shape[0]):
        away = (path.xy[n, 0] - start[0]) ** 2 + (path.xy[n, 1] - start[1]) ** 2
        if away < best:
            first, best = n, away
    silent = np.empty((0, 7))
    for m in range(costs.shape[0]):
        for t in range(nominal.shape[0]):
            if m < fixed.shape[0]:
                v, k = fixed[m, t, 0], fixed[m, t, 1]
            else:
                v = nominal[t, 0] + noise[m, t, 0]
                k = nominal[t, 1] + noise[m, t, 1]
            controls[m, t, 0] = min(max(v, 0.0), table.max_v)
            controls[m, t, 1] = min(max(k, -table.max_k), table.max_k)
        costs[m] = rollout(
            start, controls[m], table, discs, footing, terrain, path, first, held, silent
        )


@njit(cache=True, error_model="numpy", fastmath=FAST)
def blend(costs, controls, temperature, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mean of all motions weighted by exp(-(cost - least) / temperature), into ``out`` (T, 2)."""
    least = costs.min()
    out[:] = 0.0
    total = 0.0
    for m in range(costs.shape[0]):
        weight = math.exp(-(costs[m] - least) / temperature)
        if weight < 1e-6:
            continue
        total += weight
        for t in range(out.shape[0]):
            out[t, 0] += weight * controls[m, t, 0]
            out[t, 1] += weight * controls[m, t, 1]
    out /= total
