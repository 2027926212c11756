"""Kernels of route graphs: where regions touch, the ways over it, and what they cost."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.planning.route_kernels import FAR, eighth, more, offsets, step_cost


@njit(cache=True, nogil=True, error_model="numpy")
def borders(
    owner: np.ndarray, label: np.ndarray, height: np.ndarray, rough: np.ndarray,
    free: np.ndarray, width: int, steps: np.ndarray, table: np.ndarray, numbers: np.ndarray,
    seeds: int,
) -> np.ndarray:  # fmt: skip
    """Cheapest crossing between each two neighbouring seeds.

    The cheapest way between two seeds of neighbouring regions runs over one step between them.
    Reference: Mehlhorn 1988, Inf. Process. Lett. 27, 125 (the same for Steiner trees).

    Returns:
        (E, 4) int64 first owner, second owner, cell on the first's side, step to the other.
    """
    cell, detour, steep, hotel = numbers[0], numbers[1], numbers[2], numbers[3]
    near = offsets(width, steps)
    first = np.full(seeds, -1, np.int64)
    found = np.empty((8 * seeds + 64, 5), np.int64)
    cost_of = np.empty(found.shape[0])
    used = 0
    for here in range(owner.size):
        if owner[here] < 0:
            continue
        for k in (0, 2, 4, 5):
            other = here + near[k, 0]
            if owner[other] < 0 or owner[other] == owner[here]:
                continue
            if k >= 4 and free[here + near[k, 1]] == 0 and free[here + near[k, 2]] == 0:
                continue
            rise = height[other] - height[here]
            factor = 0.5 * (rough[here] + rough[other])
            flat = cell * (1.0 if k < 4 else math.sqrt(2.0))
            up, t_up = step_cost(rise, flat, factor, table, detour, steep)
            down, t_down = step_cost(-rise, flat, factor, table, detour, steep)
            cost = label[here] + label[other] + 0.5 * (up + down + hotel * (t_up + t_down))
            if not cost < FAR:
                continue
            a, b = owner[here], owner[other]
            low, high = min(a, b), max(a, b)
            at = first[low]
            while at >= 0 and found[at, 1] != high:
                at = found[at, 4]
            if at < 0:
                if used == found.shape[0]:
                    wider = np.empty((2 * used, 5), np.int64)
                    for i in range(used):
                        for j in range(5):
                            wider[i, j] = found[i, j]
                    found, cost_of = wider, more(cost_of)
                at = used
                used += 1
                found[at, 0], found[at, 1], found[at, 4] = low, high, first[low]
                first[low] = at
                cost_of[at] = np.inf
            if cost < cost_of[at]:
                cost_of[at] = cost
                forward = a == low
                found[at, 2] = here if forward else other
                found[at, 3] = k if forward else (k ^ 1 if k < 4 else (7 if k == 4 else 6))
    return found[:used, :4].copy()


@njit(cache=True, nogil=True, error_model="numpy")
def ways(edges: np.ndarray, came: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cells of each edge from its first seed to its second.

    Returns:
        (E + 1,) where each begins, and the padded cells of all.
    """
    count = edges.shape[0]
    start = np.zeros(count + 1, np.int64)
    for e in range(count):
        total = 0
        for side in range(2):
            here = edges[e, 2] if side == 0 else edges[e, 2] + near[edges[e, 3], 0]
            total += 1
            while came[here] >= 0:
                here -= near[came[here], 0]
                total += 1
        start[e + 1] = start[e] + total
    cells = np.empty(start[count], np.int64)
    for e in range(count):
        back = 0
        here = edges[e, 2]
        while came[here] >= 0:
            here -= near[came[here], 0]
            back += 1
        here = edges[e, 2]
        for i in range(back, -1, -1):
            cells[start[e] + i] = here
            if i > 0:
                here -= near[came[here], 0]
        here = edges[e, 2] + near[edges[e, 3], 0]
        at = start[e] + back + 1
        cells[at] = here
        while came[here] >= 0:
            here -= near[came[here], 0]
            at += 1
            cells[at] = here
    return start, cells


@njit(cache=True, nogil=True, error_model="numpy")
def measure(
    start: np.ndarray, cells: np.ndarray, height: np.ndarray, rough: np.ndarray, width: int,
    table: np.ndarray, numbers: np.ndarray, sums: np.ndarray, seconds: np.ndarray,
    turn: np.ndarray,
) -> None:  # fmt: skip
    """Energy, time and length of each way, there and back, and of each of its steps.

    Args:
        start: (E + 1,) where ways begin.
        cells: of all ways.
        height: flattened.
        rough: likewise.
        width: of a padded row.
        table: of ``step_cost``.
        numbers: of ``spread``.
        sums: (E, 5) filled: J there, s there, J back, s back, m.
        seconds: (cells, 2) filled: of the step that leaves a cell, there and back.
        turn: (cells,) int8 filled: its direction in eighths of a turn from x.
    """
    cell, detour, steep = numbers[0], numbers[1], numbers[2]
    for e in range(start.size - 1):
        sums[e] = 0.0
        for i in range(start[e], start[e + 1] - 1):
            a, b = cells[i], cells[i + 1]
            row = b // width - a // width
            col = b % width - a % width
            turn[i] = eighth(row, col)
            flat = cell * math.sqrt(float(row * row + col * col))
            rise = height[b] - height[a]
            factor = 0.5 * (rough[a] + rough[b])
            up, t_up = step_cost(rise, flat, factor, table, detour, steep)
            down, t_down = step_cost(-rise, flat, factor, table, detour, steep)
            seconds[i, 0], seconds[i, 1] = t_up, t_down
            sums[e, 0] += up
            sums[e, 1] += t_up
            sums[e, 2] += down
            sums[e, 3] += t_down
            sums[e, 4] += math.sqrt(flat * flat + rise * rise)
