"""Shortest paths over a grid of cell factors, with a bucket queue.

A factor says how many metres of free ground one metre in a cell is worth: 1 on free ground,
infinite where the vehicle must not go. Work is done on a grid padded by two cells on each side,
flattened, so that no neighbour needs a bounds check. Lengths are in cells.

References: Dial 1969 (bucket queue); with buckets no wider than the shortest edge a label that is
taken out is final. Hart, Nilsson, Raphael 1968 (A*). With a heuristic, labels within one bucket
may still improve; they are put back, and a bucket is left only when it is empty, so that the
result stays exact.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.types import Float32Array, FloatArray

Int32Array = NDArray[np.int32]
Int8Array = NDArray[np.int8]

PAD = 2
LABEL, PLACE, AFTER, BEFORE = 0, 1, 2, 3
"""Where what the search holds of a cell stands."""
_SQRT2 = math.sqrt(2.0)
_SQRT5 = math.sqrt(5.0)

STEPS = np.array(
    [
        (0, 1), (0, -1), (1, 0), (-1, 0),
        (1, 1), (1, -1), (-1, 1), (-1, -1),
        (1, 2), (1, -2), (-1, 2), (-1, -2),
        (2, 1), (2, -1), (-2, 1), (-2, -1),
    ],
    dtype=np.int32,
)  # fmt: skip
"""(16, 2) row and column of each step: straight, diagonal, knight."""


def factors(cost: Float32Array, weight: float, lethal: float) -> Float32Array:
    """Padded factors 1 + weight * cost / (1 - cost).

    Args:
        cost: (rows, cols) float32, 0 to 1; NaN counts as lethal.
        weight: metres of detour that a cost of one half is worth, per metre.
        lethal: cost from which a cell is closed.

    Returns:
        (rows + 4, cols + 4) float32, infinite where closed and on the border.
    """
    rows, cols = cost.shape
    padded = np.empty((rows + 2 * PAD, cols + 2 * PAD), dtype=np.float32)
    _fill_factors(np.ascontiguousarray(cost, dtype=np.float32), weight, lethal, padded)
    return padded


@njit(cache=True)
def _fill_factors(cost, weight, lethal, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, cols = cost.shape
    out[:] = np.inf
    for row in range(rows):
        for col in range(cols):
            value = cost[row, col]
            if value < lethal:  # False for NaN
                low = max(value, np.float32(0.0))
                out[row + 2, col + 2] = 1.0 + weight * low / (1.0 - low)


@njit(cache=True, inline="always")
def _heuristic(row, col, goal_row, goal_col, knight):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Exact length on an empty grid with the same steps."""
    a = abs(row - goal_row)
    b = abs(col - goal_col)
    long, short = max(a, b), min(a, b)
    if not knight:
        return long + (_SQRT2 - 1.0) * short
    if long >= 2 * short:
        return long + (_SQRT5 - 2.0) * short
    return _SQRT5 * (long - short) + _SQRT2 * (2 * short - long)


@njit(cache=True, inline="always")
def _unlink(node, bucket, head, chain):  # type: ignore[no-untyped-def]  # pragma: no cover
    following, previous = chain[node, AFTER], chain[node, BEFORE]
    if previous >= 0:
        chain[previous, AFTER] = following
    else:
        head[bucket] = following
    if following >= 0:
        chain[following, BEFORE] = previous


@njit(cache=True, inline="always")
def _link(node, bucket, head, chain):  # type: ignore[no-untyped-def]  # pragma: no cover
    first = head[bucket]
    chain[node, AFTER] = first
    chain[node, BEFORE] = -1
    if first >= 0:
        chain[first, BEFORE] = node
    head[bucket] = node


@njit(cache=True)
def _offsets(width, steps):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Index offsets of the neighbours, and of the two cells that a slanted step runs between."""
    offset = np.empty(16, np.int64)
    side_a = np.zeros(16, np.int64)
    side_b = np.zeros(16, np.int64)
    for k in range(16):
        r, c = steps[k, 0], steps[k, 1]
        sr, sc = np.sign(r), np.sign(c)
        offset[k] = r * width + c
        if k >= 8:
            side_a[k] = sr * width if abs(r) > abs(c) else sc
            side_b[k] = sr * width + sc
        elif k >= 4:
            side_a[k] = sr * width
            side_b[k] = sc
    return offset, side_a, side_b


@njit(cache=True)
def _bucket_count(factor, greed):  # type: ignore[no-untyped-def]  # pragma: no cover
    """A power of two above the longest edge, with the change of the heuristic along it."""
    highest = np.float32(1.0)
    for value in factor:
        if value > highest and value < np.inf:
            highest = value
    buckets = 8
    while buckets < 2.0 * _SQRT5 * (highest + greed) + 4.0:
        buckets *= 2
    return buckets


@njit(cache=True, inline="always")
def _move(node, bucket, head, chain, mask):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a cell into a bucket, out of the one it is in; return how many were added."""
    old = chain[node, PLACE]
    if old == bucket:
        return 0
    if old >= 0:
        _unlink(node, old & mask, head, chain)
    chain[node, PLACE] = bucket
    _link(node, bucket & mask, head, chain)
    return 0 if old >= 0 else 1


@njit(cache=True)
def _search(factor, width, start, goal, moves, greed, steps, chain, label, came):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill ``label`` (cells) and ``came`` (index of the step into a cell) from ``start``.

    ``goal`` < 0 fills everything reachable; otherwise stops once the goal is final. ``label`` is
    (n, 4) float32 and ``chain`` the same memory as int32: what changes of a cell stands in one
    place, as the front of a large field does not fit into a core's own cache.
    """
    offset, side_a, side_b = _offsets(width, steps)
    mask = _bucket_count(factor, greed) - 1
    head = np.full(mask + 1, -1, np.int32)
    chain[:, PLACE] = -1  # absolute bucket, -1 when not queued
    label[:, LABEL] = np.inf
    goal_row, goal_col = goal // width, goal % width
    label[start, LABEL] = 0.0
    current = 0
    if goal >= 0:
        row, col = start // width, start % width
        current = int(greed * _heuristic(row, col, goal_row, goal_col, moves == 16))
    queued = _move(start, current, head, chain, mask)
    while queued > 0:
        node = head[current & mask]
        if node < 0:
            if goal >= 0 and label[goal, LABEL] < current + 1:
                break
            current += 1
            continue
        _unlink(node, current & mask, head, chain)
        chain[node, PLACE] = -1
        own = label[node, LABEL]
        queued -= 1
        here = factor[node]
        for k in range(moves):
            other = node + offset[k]
            if k < 4:
                reach = own + np.float32(0.5) * (here + factor[other])
            elif k < 8:
                if factor[node + side_a[k]] == np.inf and factor[node + side_b[k]] == np.inf:
                    continue
                reach = own + np.float32(0.5 * _SQRT2) * (here + factor[other])
            else:
                between = factor[node + side_a[k]] + factor[node + side_b[k]]
                reach = own + np.float32(0.25 * _SQRT5) * (here + between + factor[other])
            if reach < label[other, LABEL]:
                label[other, LABEL] = reach
                came[other] = k
                rank = float(reach)
                if goal >= 0:
                    row, col = other // width, other % width
                    rank += greed * _heuristic(row, col, goal_row, goal_col, moves == 16)
                bucket = max(int(rank), current)
                queued += _move(other, bucket, head, chain, mask)


def search(
    factor: Float32Array,
    start: tuple[int, int],
    goal: tuple[int, int] | None,
    connectivity: int = 16,
    greed: float = 1.0,
) -> tuple[Float32Array, Int8Array]:
    """Labels and steps from a start cell to a goal cell, or to every reachable cell.

    Args:
        factor: padded factors of ``factors``.
        start: row, col (unpadded).
        goal: row, col (unpadded), or None for the whole field.
        connectivity: 8 or 16 neighbours.
        greed: weight of the heuristic; 1 is exact, more is faster.

    Returns:
        label: (rows + 4, cols + 4) float32, length in cells of free ground, infinite if unknown.
        came: (rows + 4, cols + 4) int8, index into ``STEPS`` of the step into the cell, else -1.
    """
    width = factor.shape[1]
    chain = np.empty((factor.size, 4), dtype=np.int32)
    label = chain.view(np.float32)
    came = np.full(factor.size, -1, dtype=np.int8)
    first = (start[0] + PAD) * width + start[1] + PAD
    last = -1 if goal is None else (goal[0] + PAD) * width + goal[1] + PAD
    moves = 16 if connectivity == 16 else 8
    _search(factor.ravel(), width, first, last, moves, float(greed), STEPS, chain, label, came)
    found = np.ascontiguousarray(label[:, LABEL])
    return found.reshape(factor.shape), came.reshape(factor.shape)


def trace(came: Int8Array, start: tuple[int, int], goal: tuple[int, int]) -> FloatArray:
    """Cells from start to goal, (N, 2) float64 row and col (unpadded)."""
    cells = [goal]
    row, col = goal
    while (row, col) != start:
        step = STEPS[came[row + PAD, col + PAD]]
        row, col = row - int(step[0]), col - int(step[1])
        cells.append((row, col))
    return np.array(cells[::-1], dtype=np.float64)


def cost_field(
    cost: Float32Array,
    resolution_m: float,
    start: tuple[int, int],
    weight: float = 2.0,
    lethal: float = 0.99,
    connectivity: int = 8,
) -> Float32Array:
    """Metres of free ground from one cell to every other.

    Returns:
        (rows, cols) float32, infinite where it cannot be reached.
    """
    label, _ = search(factors(cost, weight, lethal), start, None, connectivity)
    return np.asarray(label[PAD:-PAD, PAD:-PAD] * np.float32(resolution_m))


def warm_up() -> None:
    """Compile every kernel of this module."""
    cost = np.zeros((4, 4), dtype=np.float32)
    factor = factors(cost, 1.0, 0.99)
    for connectivity in (8, 16):
        _, came = search(factor, (0, 0), (3, 3), connectivity)
        trace(came, (0, 0), (3, 3))
