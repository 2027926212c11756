"""Search over poses: moves of the vehicle, its footprint, its predicted attitude.

Headings are whole parts of a turn from the start's; places are continuous, and of all poses that
fall into one small cell with one heading the cheapest stays (hybrid A*).

Reference: Dolgov et al. 2010, Path planning for autonomous vehicles in unknown semi-structured
environments (hybrid A* with a plane cost-to-go as its heuristic).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.planning.disc_checks import (
    belly_gap,
    disc_gap,
    ground_cost,
    numbers,
    plane_at,
    tilt_share,
)
from ilrs_robots.core.planning.se2_field import sift_down, sift_up
from ilrs_robots.core.planning.se2_grid import FAR, bound

_TAU = 2.0 * math.pi
_GOAL = -2
_WORSE = 1e-3
_MIX = np.int64(-7046029254386353131)
"""2^64 over the golden ratio: spreads keys over the slots."""
_ROWS = 2097152


@njit(cache=True, error_model="numpy")
def price(  # type: ignore[no-untyped-def]  # pragma: no cover
    table, n, known, cost, clearance, elevation, peak, discs, wheels, weights,
    x, y, cos, sin, least_gap,
):  # fmt: skip
    """Cost of a metre at a pose, infinite where the vehicle must not be."""
    enough = table.margin + FAR * table.near
    gap = disc_gap(clearance, discs, n, x, y, cos, sin, enough)
    if gap < least_gap:
        return np.inf
    tilt = 0.0
    if known:
        level, along, across = plane_at(elevation, wheels, weights, n, x, y, cos, sin)
        if level == level:
            tilt = tilt_share(along, across, table.tan_roll, table.tan_pitch)
            belly = belly_gap(peak, n, x, y, cos, sin, level, along, across)
            if (tilt > 1.0 or belly < table.belly_margin) and least_gap >= 0.0:
                return np.inf
    ground = ground_cost(cost, n, x, y)
    if ground >= table.closed and least_gap >= 0.0:
        return np.inf
    if gap < enough:
        near = table.near_cost * math.exp(-max(gap - table.margin, 0.0) / table.near)
        ground = max(ground, near / (1.0 - near))
    return 1.0 + table.weight * ground + table.attitude_weight * tilt * tilt


@njit(cache=True, error_model="numpy")
def start_gap(start, terrain, table, discs, footing):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Least gap asked for near the start: the margin, or what the vehicle has got if it is less.

    It is negative where the start itself is closed; attitude then does not count either.
    """
    layer, clearance, peak = terrain.cost, terrain.clearance, terrain.peak
    elevation, wheels, weights = terrain.heights.elevation, footing.wheels, footing.weights
    arms, known, nums = discs.along, terrain.known, numbers(terrain, discs, footing)
    x, y, cos, sin = start[0], start[1], math.cos(start[2]), math.sin(start[2])
    if price(table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
             x, y, cos, sin, table.margin) < np.inf:  # fmt: skip
        return table.margin
    return min(disc_gap(clearance, arms, nums, x, y, cos, sin, 1e3), 0.0) - _WORSE


@njit(cache=True, error_model="numpy")
def _shot(x, y, yaw, goal, terrain, table, discs, footing, least_gap):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Cost of turning to the goal, driving there straight and turning to its yaw; inf if not."""
    layer, clearance, peak = terrain.cost, terrain.clearance, terrain.peak
    elevation, wheels, weights = terrain.heights.elevation, footing.wheels, footing.weights
    arms, known, nums = discs.along, terrain.known, numbers(terrain, discs, footing)
    dx, dy = goal[0] - x, goal[1] - y
    way = math.hypot(dx, dy)
    bearing = math.atan2(dy, dx) if way > 1e-6 else yaw
    total = 0.0
    count = max(math.ceil(way / table.sample), 1)
    cos, sin = math.cos(bearing), math.sin(bearing)
    for n in range(1, count + 1):
        share = n / count
        metre = price(
            table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
            x + share * dx, y + share * dy, cos, sin, least_gap,
        )  # fmt: skip
        total += metre * way / count
        if total == np.inf:
            return np.inf
    for place in range(2):
        begin, end = (yaw, bearing) if place == 0 else (bearing, goal[2])
        if end != end:
            continue
        angle = end - begin
        angle -= _TAU * np.rint(angle / _TAU)
        if abs(angle) > 1e-3 and not table.turns:
            return np.inf
        total += table.turn_m_per_rad * abs(angle)
        px, py = (x, y) if place == 0 else (goal[0], goal[1])
        parts = math.ceil(abs(angle) / (_TAU / table.headings))
        for n in range(1, parts + 1):
            at = begin + angle * n / parts
            metre = price(
                table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
                px, py, math.cos(at), math.sin(at), least_gap,
            )  # fmt: skip
            if metre == np.inf:
                return np.inf
    return total


@njit(cache=True, error_model="numpy")
def _pool(size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Room for poses with parents and moves, for a heap of them, and slots to find them by key."""
    slots = 1
    while slots < 2 * size:
        slots *= 2
    poses = np.empty((size, 4), np.float64)
    family = np.empty((size, 2), np.int32)
    keys, nodes = np.empty(2 * size, np.float32), np.empty(2 * size, np.int32)
    return poses, family, keys, nodes, np.full(slots, -1, np.int64), np.empty(slots, np.int32)


@njit(cache=True, error_model="numpy")
def _slot(slot_key, table, x, y, heading):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Key of a pose and the slot that holds it or will."""
    key = int(np.floor(x / table.cell)) * _ROWS + int(np.floor(y / table.cell))
    key = key * table.headings + heading
    last = slot_key.shape[0] - 1
    slot = (key * _MIX >> 20) & last
    while slot_key[slot] != -1 and slot_key[slot] != key:
        slot = (slot + 1) & last
    return key, slot


@njit(cache=True)
def _put(poses, family, n, pose, parent, move):  # type: ignore[no-untyped-def]  # pragma: no cover
    poses[n, 0], poses[n, 1], poses[n, 2], poses[n, 3] = pose
    family[n, 0], family[n, 1] = parent, move


@njit(cache=True)
def _push(keys, nodes, queued, rank, node):  # type: ignore[no-untyped-def]  # pragma: no cover
    keys[queued], nodes[queued] = rank, node
    sift_up(keys, nodes, queued)
    return queued + 1


@njit(cache=True)
def _drop(keys, nodes, queued):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take the first entry out; how many are left."""
    queued -= 1
    keys[0], nodes[0] = keys[queued], nodes[queued]
    sift_down(keys, nodes, queued)
    return queued


@njit(cache=True, error_model="numpy")
def _along(  # type: ignore[no-untyped-def]  # pragma: no cover
    table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
    way, count, x, y, cos, sin, least_gap,
):  # fmt: skip
    """Mean cost of a metre along the samples of a move; infinite where one is closed."""
    total = 0.0
    for n in range(count):
        ox, oy = way[n, 0], way[n, 1]
        ca, sa = math.cos(way[n, 2]), math.sin(way[n, 2])
        total += price(
            table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
            x + cos * ox - sin * oy, y + sin * ox + cos * oy,
            cos * ca - sin * sa, sin * ca + cos * sa, least_gap,
        )  # fmt: skip
        if total == np.inf:
            return np.inf
    return total / count


@njit(cache=True, error_model="numpy")
def search(start, goal, terrain, table, moves, discs, footing, label, place):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Poses from start to goal.

    ``label`` is the padded field, ``place`` its cell's metres per unit, origin x, y and cell size.

    Returns the pool of poses (N, 4) x, y, cost, heading; their parents and moves (N, 2); the last
    one on the way, whether the goal is reached from it, the cost, and how many poses there are.
    """
    layer, clearance, peak = terrain.cost, terrain.clearance, terrain.peak
    elevation, wheels, weights = terrain.heights.elevation, footing.wheels, footing.weights
    arms, known, nums = discs.along, terrain.known, numbers(terrain, discs, footing)
    poses, family, keys, heap, slot_key, slot_node = _pool(table.max_nodes)
    part = _TAU / table.headings
    unit, x0, y0, res = place
    loose = start_gap(start, terrain, table, discs, footing)
    _put(poses, family, 0, (start[0], start[1], 0.0, 0.0), -1, -1)
    nodes, closest = 1, 0
    closest_h = bound(label, unit, x0, y0, res, start[0], start[1])
    queued = _push(keys, heap, 0, closest_h * table.greed, 0)
    goal_cost, goal_from = np.inf, -1
    while queued > 0:
        node = heap[0]
        queued = _drop(keys, heap, queued)
        if node == _GOAL:
            return poses, family, goal_from, True, goal_cost, nodes
        x, y, cost = poses[node, 0], poses[node, 1], poses[node, 2]
        heading = int(poses[node, 3])
        key, slot = _slot(slot_key, table, x - x0, y - y0, heading)
        if slot_key[slot] == key and slot_node[slot] != node:
            continue
        within = (x - start[0]) ** 2 + (y - start[1]) ** 2 <= table.escape**2
        least_gap = loose if within else table.margin
        yaw = start[2] + heading * part
        if (x - goal[0]) ** 2 + (y - goal[1]) ** 2 <= table.shot**2:
            shot = cost + _shot(x, y, yaw, goal, terrain, table, discs, footing, least_gap)
            if shot < goal_cost:
                goal_cost, goal_from = shot, node
                queued = _push(keys, heap, queued, shot, _GOAL)
        cos, sin = math.cos(yaw), math.sin(yaw)
        for m in range(moves.turn.shape[0]):
            count = moves.samples[m]
            turned = (heading + moves.turn[m]) % table.headings
            ox, oy = moves.place[m, count - 1, 0], moves.place[m, count - 1, 1]
            px, py = x + cos * ox - sin * oy, y + sin * ox + cos * oy
            key, slot = _slot(slot_key, table, px - x0, py - y0, turned)
            best = poses[slot_node[slot], 2] if slot_key[slot] == key else np.inf
            best = min(best, goal_cost) - cost - moves.extra[m]
            way = moves.step[m] * count * moves.factor[m]
            ahead = bound(label, unit, x0, y0, res, px, py)
            if way >= best or ahead == np.inf:
                continue
            metre = _along(
                table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
                moves.place[m], count, x, y, cos, sin, least_gap,
            )  # fmt: skip
            if metre == np.inf or metre * way >= best:
                continue
            if nodes == table.max_nodes:
                return poses, family, closest, False, np.inf, nodes
            total = cost + moves.extra[m] + metre * way
            slot_key[slot], slot_node[slot] = key, nodes
            _put(poses, family, nodes, (px, py, total, turned), node, m)
            queued = _push(keys, heap, queued, total + table.greed * ahead, nodes)
            if ahead < closest_h:
                closest, closest_h = nodes, ahead
            nodes += 1
    return poses, family, closest, False, np.inf, nodes


@njit(cache=True, error_model="numpy")
def way_cost(poses, reverse, terrain, table, discs, footing, escape):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Cost in metres from each pose (N, 3) to the last; infinite before what is closed."""
    layer, clearance, peak = terrain.cost, terrain.clearance, terrain.peak
    elevation, wheels, weights = terrain.heights.elevation, footing.wheels, footing.weights
    arms, known, nums = discs.along, terrain.known, numbers(terrain, discs, footing)
    count = poses.shape[0]
    left = np.zeros(count)
    loose = start_gap(poses[0], terrain, table, discs, footing)
    for n in range(count - 1, 0, -1):
        x, y, yaw = poses[n, 0], poses[n, 1], poses[n, 2]
        way = math.hypot(x - poses[n - 1, 0], y - poses[n - 1, 1])
        angle = yaw - poses[n - 1, 2]
        angle = abs(angle - _TAU * np.rint(angle / _TAU))
        within = (x - poses[0, 0]) ** 2 + (y - poses[0, 1]) ** 2 <= escape**2
        metre = price(
            table, nums, known, layer, clearance, elevation, peak, arms, wheels, weights,
            x, y, math.cos(yaw), math.sin(yaw), loose if within else table.margin,
        )  # fmt: skip
        factor = table.reverse_factor if reverse[n] else 1.0
        turn = table.turn_m_per_rad * angle if way < 1e-6 else 0.0
        left[n - 1] = left[n] + turn + (metre * way * factor if way > 1e-9 else 0.0)
        if metre == np.inf:
            left[n - 1] = np.inf
    return left
