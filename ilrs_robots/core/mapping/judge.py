"""From slope, step, roughness and hidden edges to cost and the reason that dominates it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.types import BoolArray, Float32Array, IntArray

LETHAL_COST: Final = 1.0
MAX_SAFE_COST: Final = 0.98
REASONS: Final = ("unknown", "slope", "step", "roughness", "obstacle", "drop", "hole")
"""Names of the values of ``TraversabilityLayers.reason``.

A step that is high enough to matter is told apart by the ground around it: an ``obstacle`` stands
above what lies on nearly all sides, a ``drop`` is an edge with ground of its own level on one side
and lower ground on the other, a ``hole`` is low ground within ground of the cell's level.
"""
_STEP: Final = 2
_OBSTACLE: Final = 4
_DROP: Final = 5
_HOLE: Final = 6
_ARCTAN: Final = tuple(
    np.float32(k)
    for k in (-0.3333314528, 0.1999355085, -0.1420889944, 0.1065626393, -0.0752896400,
              0.0429096138, -0.0161657367, 0.0028662257)
)  # fmt: skip
"""Abramowitz and Stegun 1964, 4.4.49: arctan(x) / x - 1 in powers of x^2, error 2e-8 to x = 1."""


class JudgeRules(NamedTuple):
    """What a vehicle can cross, and what becomes of the unknown."""

    max_slope_rad: np.float32
    max_step_m: np.float32
    max_roughness_m: np.float32
    unknown_cost: np.float32
    """NaN leaves it unknown."""


@njit(cache=True, error_model="numpy")
def slope_angle(slope_x: Float32Array, slope_y: Float32Array, out: Float32Array) -> None:
    """Steepness in radians of flat arrays dz/dx and dz/dy, to 2e-7; written to ``out``."""
    c2, c4, c6, c8, c10, c12, c14, c16 = _ARCTAN
    one, right = np.float32(1.0), np.float32(0.5 * np.pi)
    for k in range(out.shape[0]):
        rise = np.sqrt(slope_x[k] * slope_x[k] + slope_y[k] * slope_y[k])
        steep = rise > one
        x = one / rise if steep else rise
        s = x * x
        tail = c10 + s * (c12 + s * (c14 + s * c16))
        angle = x + x * s * (c2 + s * (c4 + s * (c6 + s * (c8 + s * tail))))
        out[k] = right - angle if steep else angle


@njit(cache=True, error_model="numpy")
def judge(
    slope: Float32Array,
    step: Float32Array,
    roughness: Float32Array,
    rules: JudgeRules,
    cost: Float32Array,
    lethal: BoolArray,
    reason: NDArray[np.uint8],
) -> None:
    """Cost, its dominating reason, and what is lethal; flat arrays, the last three written."""
    one, safe = np.float32(1.0), np.float32(MAX_SAFE_COST)
    slope_share, step_share = one / rules.max_slope_rad, one / rules.max_step_m
    rough_share = one / rules.max_roughness_m
    for k in range(cost.shape[0]):
        first, second, third = slope[k] * slope_share, step[k] * step_share, roughness[k]
        third *= rough_share
        worst = first if first > second else second
        worst = worst if worst > third else third
        why = 1 if first == worst else (2 if second == worst else 3)
        known = (first == first) & (second == second) & (third == third)
        closed = known & (worst >= one)
        lethal[k] = closed
        cost[k] = one if closed else (worst * safe if known else np.float32(np.nan))
        reason[k] = why if known else 0


@njit(cache=True, error_model="numpy")
def _share_low(
    padded: Float32Array,
    at: int,
    level: np.float32,
    rise: tuple[np.float32, np.float32],
    ring: Float32Array,
    places: IntArray,
) -> float:
    """Share of a ring's known cells that are lower than ``level``; -1 where few are known.

    ``rise`` is the slope of the wider ground in metres per column and row; ``ring`` (2, K) are
    offsets in columns and rows, ``places`` the same in the flat grid.
    """
    low = known = np.int32(0)
    for k in range(places.shape[0]):
        z = padded[at + places[k]]
        known += z == z
        low += z - (rise[0] * ring[0, k] + rise[1] * ring[1, k]) < level
    return low / known if known >= 4 else -1.0


@njit(cache=True, error_model="numpy")
def name_steps(
    top: Float32Array,
    ground: Float32Array,
    region_x: Float32Array,
    region_y: Float32Array,
    step: Float32Array,
    ring: IntArray,
    step_m: np.float32,
    from_m: np.float32,
    reason: NDArray[np.uint8],
) -> None:
    """Tell obstacles, drops and holes apart where a step dominates and is higher than ``from_m``.

    ``ring`` (K, 2) holds rows and columns around the cell; ``region_x`` and ``region_y`` are the
    slopes of the wider ground.
    """
    rows, cols = top.shape
    pad = np.abs(ring).max()
    width = cols + 2 * pad
    padded = np.full((rows + 2 * pad) * width, np.float32(np.nan), np.float32)
    for row in range(rows):
        start = (row + pad) * width + pad
        padded[start : start + cols] = ground[row]
    places = ring[:, 0] * width + ring[:, 1]
    offsets = np.empty((2, ring.shape[0]), np.float32)
    offsets[0], offsets[1] = ring[:, 1], ring[:, 0]
    half = np.float32(0.5)
    for row in range(rows):
        for col in range(cols):
            height = step[row, col]
            if reason[row, col] != _STEP or not height > from_m:
                continue
            rise = (region_x[row, col] * step_m, region_y[row, col] * step_m)
            at = (row + pad) * width + pad + col
            level = top[row, col] - half * height
            share = _share_low(padded, at, level, rise, offsets, places)
            if share >= 0.0:
                reason[row, col] = _OBSTACLE if share > 0.65 else (_DROP if share > 0.2 else _HOLE)


@njit(cache=True, error_model="numpy")
def add_edges(
    depth: Float32Array,
    kind: NDArray[np.uint8],
    rules: JudgeRules,
    cost: Float32Array,
    lethal: BoolArray,
    reason: NDArray[np.uint8],
) -> None:
    """Add hidden edges; flat arrays.

    An edge raises the cost of a seen cell in proportion; an unseen cell it only closes.
    """
    one, limit = np.float32(1.0), rules.max_step_m
    for k in range(cost.shape[0]):
        if depth[k] > 0.0:
            share = depth[k] / limit
            value = one if share >= one else share * np.float32(MAX_SAFE_COST)
            seen = cost[k] == cost[k]
            if (seen and value > cost[k]) or (not seen and share >= one):
                cost[k] = value
                lethal[k] = share >= one
                reason[k] = kind[k]


@njit(cache=True, error_model="numpy")
def apply_policy(
    unknown_cost: np.float32, cost: Float32Array, lethal: BoolArray, reason: NDArray[np.uint8]
) -> None:
    """Give the unknown its cost, NaN for none; flat arrays, ``reason`` stays as it is."""
    if unknown_cost != unknown_cost:
        return
    for k in range(cost.shape[0]):
        if cost[k] != cost[k]:
            cost[k] = unknown_cost
            lethal[k] = unknown_cost >= np.float32(LETHAL_COST)
