"""Kernels of routes: cost of a step, spreading over the ground, and what grows from it.

Work is done on grids padded by two closed cells on each side and flattened, as in ``search``.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.planning.search import PAD

FAR: Final = np.float32(3e38)
"""No way."""
TANGENT: Final = 0.85
"""Tables of drive energy and speed span slopes of this tangent, down and up (40 deg)."""


@njit(cache=True, nogil=True, error_model="numpy")
def step_cost(
    rise: float, flat: float, rough: float, table: np.ndarray, detour: float, steep: float
) -> tuple[float, float]:
    """Energy from the bus (J) and time (s) of one straight step; infinite where it is too steep.

    Args:
        rise: metres up.
        flat: metres along the map.
        rough: factor of the ground.
        table: (2, N) J/m and m/s by tangent of the slope, from -TANGENT to TANGENT.
        detour: way driven over way planned.
        steep: tangent of the steepest slope allowed.
    """
    tangent = rise / flat
    if not abs(tangent) <= steep:
        return np.inf, np.inf
    at = (tangent + TANGENT) / (2.0 * TANGENT) * (table.shape[1] - 1)
    i = min(max(int(at), 0), table.shape[1] - 2)
    part = at - i
    energy = table[0, i] + part * (table[0, i + 1] - table[0, i])
    speed = table[1, i] + part * (table[1, i + 1] - table[1, i])
    if not (energy >= 0.0 and speed > 0.0):
        return np.inf, np.inf
    way = math.sqrt(flat * flat + rise * rise) * detour
    return energy * way * rough, way / speed


@njit(cache=True, nogil=True, error_model="numpy")
def eighth(row: int, col: int) -> int:
    """Direction of a step in eighths of a turn from x, to the nearest."""
    return math.floor(math.atan2(float(row), float(col)) / (0.25 * math.pi) + 0.5) % 8


@njit(cache=True, nogil=True, error_model="numpy")
def offsets(width: int, steps: np.ndarray) -> np.ndarray:
    """(16, 3) index offset of each step, and of the two cells that a slanted one runs between."""
    out = np.zeros((16, 3), np.int64)
    for k in range(16):
        r, c = steps[k, 0], steps[k, 1]
        sr, sc = np.sign(r), np.sign(c)
        out[k, 0] = r * width + c
        if k >= 8:
            out[k, 1] = sr * width if abs(r) > abs(c) else sc
            out[k, 2] = sr * width + sc
        elif k >= 4:
            out[k, 1], out[k, 2] = sr * width, sc
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def more(values: np.ndarray) -> np.ndarray:
    """Twice the room; written out, because slices cost seconds of compiling."""
    out = np.empty(2 * values.size, values.dtype)
    for i in range(values.size):
        out[i] = values[i]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def spread(
    height: np.ndarray, rough: np.ndarray, free: np.ndarray, width: int, steps: np.ndarray,
    seeds: np.ndarray, target: int, table: np.ndarray, numbers: np.ndarray, moves: int,
    both_ways: bool, label: np.ndarray, owner: np.ndarray, came: np.ndarray,
) -> None:  # fmt: skip
    """Dijkstra from many cells at once with a bucket queue (Dial 1969).

    A step costs its energy and what the vehicle uses besides over its time, in joules; with
    ``both_ways`` the mean of there and back, so that owners are the cells' nearest seeds either
    way. Buckets are no wider than the shortest step, so a cell that is taken out is final.

    Args:
        height: flattened, metres.
        rough: likewise, factor of energy.
        free: likewise, 1 where it may drive.
        width: of a padded row.
        steps: (16, 2) of ``search``.
        seeds: (S,) cells.
        target: cell at which to stop, or -1.
        table: of ``step_cost``.
        numbers: (6,) cell m, detour, steep tangent, hotel W, width of a bucket J, buckets.
        moves: 8 or 16 neighbours.
        both_ways: see above.
        label: (cells,) float32 filled with FAR; joules from the nearest seed.
        owner: (cells,) int32 filled with -1; which seed.
        came: (cells,) int8 filled with -1; step into the cell.
    """
    cell, detour, steep, hotel = numbers[0], numbers[1], numbers[2], numbers[3]
    bucket, count = numbers[4], int(numbers[5])
    near = offsets(width, steps)
    flat = np.empty(16)
    for k in range(16):
        flat[k] = cell * math.sqrt(float(steps[k, 0] ** 2 + steps[k, 1] ** 2))
    head = np.full(count, -1, np.int32)
    node = np.empty(2 * seeds.size + label.size, np.int32)
    after = np.empty(node.size, np.int32)
    used = 0
    for s in range(seeds.size):
        label[seeds[s]], owner[seeds[s]] = 0.0, s
        node[used], after[used] = seeds[s], head[0]
        head[0] = used
        used += 1
    current, waiting = 0, used
    while waiting > 0:
        entry = head[current % count]
        if entry < 0:
            current += 1
            continue
        head[current % count] = after[entry]
        waiting -= 1
        here = node[entry]
        if int(label[here] / bucket) != current:
            continue
        if here == target:
            return
        own = label[here]
        for k in range(moves):
            other = here + near[k, 0]
            if free[other] == 0 or label[other] <= own:
                continue
            if k >= 8:
                if free[here + near[k, 1]] == 0 or free[here + near[k, 2]] == 0:
                    continue
            elif k >= 4 and free[here + near[k, 1]] == 0 and free[here + near[k, 2]] == 0:
                continue
            rise = height[other] - height[here]
            factor = 0.5 * (rough[here] + rough[other])
            energy, time = step_cost(rise, flat[k], factor, table, detour, steep)
            cost = energy + hotel * time
            if both_ways:
                energy, time = step_cost(-rise, flat[k], factor, table, detour, steep)
                cost = 0.5 * (cost + energy + hotel * time)
            reach = np.float32(own + cost)
            if reach < label[other]:
                label[other], owner[other], came[other] = reach, owner[here], k
                if used == node.size:
                    node, after = more(node), more(after)
                place = int(reach / bucket) % count
                node[used], after[used] = other, head[place]
                head[place] = used
                used += 1
                waiting += 1


@njit(cache=True, nogil=True, error_model="numpy")
def ground_of(height: np.ndarray, cell: float, tangent: np.ndarray, rough: np.ndarray) -> None:
    """Tangent of the slope (central differences) and RMS off a plane over 3 x 3 cells.

    Cells beside unknown ground are NaN.
    """
    rows, cols = height.shape
    for i in range(rows):
        for j in range(cols):
            a, b = max(i - 1, 0), min(i + 1, rows - 1)
            c, d = max(j - 1, 0), min(j + 1, cols - 1)
            dx = (float(height[i, d]) - float(height[i, c])) / (cell * (d - c))
            dy = (float(height[b, j]) - float(height[a, j])) / (cell * (b - a))
            tangent[i, j] = math.sqrt(dx * dx + dy * dy)
            middle = float(height[i, j])
            total = squares = along = across = 0.0
            for r in range(-1, 2):
                for s in range(-1, 2):
                    z = float(height[min(max(i + r, 0), rows - 1), min(max(j + s, 0), cols - 1)])
                    z -= middle
                    total += z
                    squares += z * z
                    along += r * z
                    across += s * z
            left = squares - total * total / 9.0 - (along * along + across * across) / 6.0
            rough[i, j] = math.sqrt(max(left, 0.0) / 9.0) if left == left else np.nan


def unpadded(cells: np.ndarray, width: int) -> np.ndarray:
    """(N, 2) row and column of padded cells."""
    return np.stack((cells // width - PAD, cells % width - PAD), axis=-1)


def padded(rows_cols: np.ndarray, width: int) -> np.ndarray:
    """Padded cells of (N, 2) rows and columns."""
    at = np.asarray(rows_cols, dtype=np.int64)
    return (at[..., 0] + PAD) * width + at[..., 1] + PAD
