"""The first pose on an arc that is not safe, as one pass over the poses that ends there.

Ground that cannot be seen is judged by the line of sight over what hides it: whatever is there
lies below that line. Behind a rock the line comes down onto level ground, and says nothing; behind
the edge of a drop it leads down more steeply the nearer the vehicle comes, until no ground that
could be driven on fits below it.

The same as array expressions stands in the kernel's test.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core.planning.attitude_prediction import HeightTable, body_plane
from ilrs_robots.core.planning.footing import FootingTable
from ilrs_robots.core.types import Float32Array, FloatArray

SAFE: Final = 0
CLOSED: Final = 1
UNSEEN: Final = 2
ROLL: Final = 3
PITCH: Final = 4

CLOSED_COST: Final = 0.99
DRIVEN_COST: Final = 2.0
_LEAST_HIDDEN_M: Final = 1.0
"""Shorter gaps in what is seen lie between the rings of a lidar."""
_DEEP_M: Final = 0.3
"""Below the steepest ground by so much: more than maps err by."""
_WORSE_RAD: Final = 0.02
"""A tilt over the limit that is this much larger than where the vehicle stands is a danger."""


class CostTable(NamedTuple):
    """Cost of the ground as kernels take it; cell [0, 0] has its centre at (x0, y0).

    ``cost`` is for wheels, ``under`` for the underside. Closed ground that the vehicle has driven
    over is ``DRIVEN_COST``, for the underside also where no wheel has been.
    """

    cost: Float32Array
    under: Float32Array
    x0: float
    y0: float
    resolution: float


class Reach(NamedTuple):
    """How far an arc is looked at, and what is borne there; metres but for the counts and angles.

    ``near`` poses must be safe, those up to ``total`` tell whether unseen ground is a gap.
    """

    step: float
    near: int
    total: int
    gap: float
    blind: float
    max_roll: float
    max_pitch: float
    heights: bool
    unseen: bool
    hidden: bool


@njit(cache=True, error_model="numpy")
def _cost_at(table, wheel, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, cols = table.cost.shape
    col = math.floor((x - table.x0) / table.resolution + 0.5)
    row = math.floor((y - table.y0) / table.resolution + 0.5)
    if not (0 <= row < rows and 0 <= col < cols):
        return np.nan
    return table.cost[row, col] if wheel else table.under[row, col]


@njit(cache=True, error_model="numpy")
def _top_at(heights, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, cols = heights.upper.shape
    col = math.floor(heights.c * x + heights.s * y + heights.col0 + 0.5)
    row = math.floor(-heights.s * x + heights.c * y + heights.row0 + 0.5)
    if not (0 <= row < rows and 0 <= col < cols):
        return np.nan
    return heights.upper[row, col]


@njit(cache=True, error_model="numpy")
def is_below_sight(heights, eye, x, y, z):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether whatever is at a place that nobody sees must lie below a height, m.

    The line of sight from the eye (x, y, z) leads over the highest of what is seen before the
    place, a cell to either side counted in. Where nothing is seen before it, nothing is known.
    """
    dx, dy = x - eye[0], y - eye[1]
    away, cell = math.hypot(dx, dy), heights.resolution
    found = False
    if not (away + eye[2] + z < np.inf):  # the whole number of what is none may be any
        return found
    count = int(away / cell)
    for n in range(1, count):
        share = n / count
        for side in range(-1, 2):
            aside = side * cell / away
            top = _top_at(
                heights, eye[0] + share * dx - aside * dy, eye[1] + share * dy + aside * dx
            )
            if top == top:
                if not eye[2] + (top - eye[2]) / share < z:
                    return False
                found = True
    return found


@njit(cache=True, error_model="numpy")
def _stops(heights, eye, reach, x, y, run, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Whether a place is not driven on that lies a run (m) beyond where ground was seen last."""
    if run > reach.gap or not reach.hidden or run < _LEAST_HIDDEN_M:
        return run > reach.gap
    return is_below_sight(heights, eye, x, y, last - math.tan(reach.max_pitch) * run - _DEEP_M)


@njit(cache=True, error_model="numpy")
def pose_on_arc(pose, v_share, w_share, along):  # type: ignore[no-untyped-def]  # pragma: no cover
    """X, y (m) and yaw (rad) after a way of the fastest wheel; shares are per metre of it."""
    turned = w_share * along
    ahead, aside = v_share * along, 0.0
    if abs(w_share) >= 1e-6:
        radius = v_share / w_share
        ahead, aside = radius * math.sin(turned), radius * (1.0 - math.cos(turned))
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    return pose[0] + cos * ahead - sin * aside, pose[1] + sin * ahead + cos * aside, turned


@njit(cache=True, error_model="numpy")
def first_danger(
    pose: FloatArray,
    shares: FloatArray,
    cost: CostTable,
    heights: HeightTable,
    footing: FootingTable,
    probes: FloatArray,
    reach: Reach,
    eye: FloatArray,
) -> tuple[int, int, float]:
    """Number of the first near pose that is not safe, what is there, and the tilt, rad.

    Args:
        pose: (3,) x, y (m), yaw (rad) in odom.
        shares: (2,) speed and yaw rate per speed of the fastest wheel.
        cost: of the ground, odom.
        heights: of the ground, odom.
        footing: of the vehicle.
        probes: (P, 2) points of the vehicle, wheels first, base_link, metres.
        reach: how far to look.
        eye: (3,) where the sensor is, metres, odom; NaN where nobody knows.
    """
    count, wheels = probes.shape[0], footing.wheels.shape[0]
    standing = np.ones(count, np.bool_)
    within = np.ones(wheels, np.bool_)
    run, last = np.zeros(wheels), np.full(wheels, np.nan)
    here_roll = here_pitch = 0.0
    unseen_at, left = -1, 0.0
    for k in range(reach.total):
        x, y, turned = pose_on_arc(pose, shares[0], shares[1], k * reach.step)
        cos, sin = math.cos(pose[2] + turned), math.sin(pose[2] + turned)
        for p in range(count if k < reach.near else wheels):
            px, py = probes[p, 0], probes[p, 1]
            at_x, at_y = x + cos * px - sin * py, y + sin * px + cos * py
            value = _cost_at(cost, p < wheels, at_x, at_y)
            if k < reach.near and value != DRIVEN_COST:
                if value >= CLOSED_COST:
                    if not standing[p]:
                        return (k, CLOSED, 0.0) if unseen_at < 0 else (unseen_at, UNSEEN, 0.0)
                else:
                    standing[p] = False
            if p < wheels and (reach.unseen or reach.hidden):
                if value != value:
                    run[p] += reach.step
                    if within[p]:
                        left = max(left, run[p])
                    elif unseen_at < 0 and _stops(
                        heights, eye, reach, at_x, at_y, run[p], last[p]
                    ):
                        start = k - round(run[p] / reach.step) + 1
                        unseen_at = start if start < reach.near else -1
                else:
                    run[p] = 0.0
                    within[p] = False
                    if reach.hidden:
                        last[p] = _top_at(heights, at_x, at_y)
        if reach.unseen and left > reach.blind:
            return 0, UNSEEN, 0.0
        if reach.heights and k < reach.near:
            _, along, across = body_plane(heights, footing, x, y, cos, sin)
            roll = abs(math.atan(across / math.sqrt(1.0 + along * along)))
            pitch = abs(math.atan(along))
            if k == 0 and roll == roll:
                here_roll, here_pitch = roll, pitch
            if roll > max(reach.max_roll, here_roll + _WORSE_RAD):
                return (k, ROLL, roll) if unseen_at < 0 else (unseen_at, UNSEEN, 0.0)
            if pitch > max(reach.max_pitch, here_pitch + _WORSE_RAD):
                return (k, PITCH, pitch) if unseen_at < 0 else (unseen_at, UNSEEN, 0.0)
        if unseen_at >= 0:
            return unseen_at, UNSEEN, 0.0
    return -1, SAFE, 0.0
