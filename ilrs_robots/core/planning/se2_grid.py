"""The coarse grid under SE(2) planning: what a cell costs at least, what is left from it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.planning.disc_checks import MOST_COST

FAR = 6.0
"""So many times its own length away, closed ground is no longer felt."""


@njit(cache=True, error_model="numpy", inline="always")
def bound(label, scale, x0, y0, res, x, y):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Cost to go in metres from the padded field, bilinear where all of it is finite."""
    rows, cols = label.shape
    col, row = (x - x0) / res + 2.0, (y - y0) / res + 2.0
    if not (0.0 <= col < cols - 1 and 0.0 <= row < rows - 1):
        return np.inf
    j, i = int(col), int(row)
    u, v = col - j, row - i
    a, b, c, d = label[i, j], label[i, j + 1], label[i + 1, j], label[i + 1, j + 1]
    value = (1.0 - v) * ((1.0 - u) * a + u * b) + v * ((1.0 - u) * c + u * d)
    if not (value < np.inf):
        value = min(min(a, b), min(c, d))
    return value * scale


@njit(cache=True, error_model="numpy")
def bounds(label, place, poses):  # type: ignore[no-untyped-def]  # pragma: no cover
    """``bound`` at each of (N, 3) poses."""
    out = np.empty(poses.shape[0])
    for n in range(poses.shape[0]):
        out[n] = bound(label, place[0], place[1], place[2], place[3], poses[n, 0], poses[n, 1])
    return out


@njit(cache=True, error_model="numpy")
def take_changes(cost, clearance, old_cost, old_clearance):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy what differs into the old arrays; first and end row and column of it."""
    rows, cols = cost.shape
    top, bottom, left, right = rows, 0, cols, 0
    bits, old_bits = cost.view(np.int32), old_cost.view(np.int32)
    gap_bits, old_gap_bits = clearance.view(np.int32), old_clearance.view(np.int32)
    for r in range(rows):
        differs = np.int32(0)  # no branch in it: several cells at a time
        for c in range(cols):
            differs |= (bits[r, c] ^ old_bits[r, c]) | (gap_bits[r, c] ^ old_gap_bits[r, c])
        if differs == 0:
            continue
        first, last = cols, -1
        for c in range(cols):
            new, old = cost[r, c], old_cost[r, c]
            if (new != old and (new == new or old == old)) or (
                clearance[r, c] != old_clearance[r, c]
            ):
                old_cost[r, c], old_clearance[r, c] = new, clearance[r, c]
                first, last = min(first, c), c
        if last >= 0:
            top, bottom = min(top, r), r + 1
            left, right = min(left, first), max(right, last + 1)
    return top, bottom, left, right


@njit(cache=True, error_model="numpy")
def fill(cost, clearance, by, table, radius, box, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Least factor of the cells that make a coarse one, within a box of cells.

    It is infinite where all are closed.
    """
    rows, cols = cost.shape
    enough = FAR * table.near
    for r in range(box[0] // by, -(-box[1] // by)):
        for c in range(box[2] // by, -(-box[3] // by)):
            least, farthest = np.float32(np.inf), np.float32(0.0)
            for i in range(r * by, min(r * by + by, rows)):
                for j in range(c * by, min(c * by + by, cols)):
                    value = cost[i, j]
                    if value < least:
                        least = value
                    farthest = max(farthest, clearance[i, j])
            gap = farthest - radius - table.margin
            if gap < 0.0 or not (least < table.lethal):
                out[r + 2, c + 2] = np.inf
                continue
            held = max(least, np.float32(0.0))
            if gap < enough:
                held = max(held, table.near_cost * math.exp(-gap / table.near))
            held = min(held, np.float32(MOST_COST))
            out[r + 2, c + 2] = 1.0 + table.weight * held / (1.0 - held)
