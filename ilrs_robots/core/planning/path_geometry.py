"""What a polyline costs on a grid of factors, and how to straighten and resample it.

Points are in cells: row 0, col 0 is the centre of the first cell. Factors are padded as in
``search``; crossings of cell edges are found exactly, so that a line that clips the corner of a
closed cell is seen.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.planning.search import PAD
from ilrs_robots.core.types import Float32Array, FloatArray


@njit(cache=True)
def _line(factor, row0, col0, row1, col1):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Integral of the factor along a line, and the largest factor on it.

    Reference: Amanatides and Woo 1987.
    """
    rows, cols = factor.shape
    r0, c0 = row0 + 2.5, col0 + 2.5  # cell edges at whole numbers, padded
    dr, dc = row1 - row0, col1 - col0
    length = np.hypot(dr, dc)
    row, col = int(np.floor(r0)), int(np.floor(c0))
    if not (0 <= row < rows and 0 <= col < cols):
        return np.inf, np.inf
    step_r, step_c = (1 if dr > 0 else -1), (1 if dc > 0 else -1)
    gap_r = 1.0 / abs(dr) if dr != 0.0 else np.inf
    gap_c = 1.0 / abs(dc) if dc != 0.0 else np.inf
    next_r = ((row + 1 - r0) if dr > 0 else (r0 - row)) * gap_r if dr != 0.0 else np.inf
    next_c = ((col + 1 - c0) if dc > 0 else (c0 - col)) * gap_c if dc != 0.0 else np.inf
    total, highest, at = 0.0, 0.0, 0.0
    while True:
        value = factor[row, col]
        until = min(next_r, next_c, 1.0)
        if until > at:
            total += (until - at) * value
            highest = max(highest, value)
        if until >= 1.0 or total == np.inf:
            return total * length if length > 0.0 else 0.0, highest
        at = until
        if abs(next_r - next_c) < 1e-9:  # through a corner: closed if both sides are
            if factor[row + step_r, col] == np.inf and factor[row, col + step_c] == np.inf:
                return np.inf, np.inf
            row += step_r
            col += step_c
            next_r += gap_r
            next_c += gap_c
        elif next_r < next_c:
            row += step_r
            next_r += gap_r
        else:
            col += step_c
            next_c += gap_c
        if not (0 <= row < rows and 0 <= col < cols):
            return np.inf, np.inf


@njit(cache=True)
def _polyline(factor, points):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = 0.0
    for i in range(len(points) - 1):
        part, _ = _line(factor, points[i, 0], points[i, 1], points[i + 1, 0], points[i + 1, 1])
        total += part
    return total


@njit(cache=True)
def _shortcut(factor, points, slack, keep):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Mark the vertices to keep: each leg is the longest that costs no more and is no worse."""
    count = len(points)
    keep[:] = False
    keep[0] = True
    keep[count - 1] = True
    anchor = 0
    cost, worst = 0.0, 0.0
    for i in range(1, count):
        part, top = _line(factor, points[i - 1, 0], points[i - 1, 1], points[i, 0], points[i, 1])
        cost += part
        worst = max(worst, top)
        if i == anchor + 1:
            continue
        direct, high = _line(
            factor, points[anchor, 0], points[anchor, 1], points[i, 0], points[i, 1]
        )
        if direct > cost * (1.0 + slack) or high > worst * (1.0 + slack):
            anchor = i - 1
            keep[anchor] = True
            cost, worst = part, top


@njit(cache=True)
def _relax(factor, points, rounds):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Pull inner points towards their neighbours' middle where that costs no more."""
    for _ in range(rounds):
        for i in range(1, len(points) - 1):
            a, b, c = points[i - 1], points[i], points[i + 1]
            row = 0.5 * b[0] + 0.25 * (a[0] + c[0])
            col = 0.5 * b[1] + 0.25 * (a[1] + c[1])
            before_a, top_a = _line(factor, a[0], a[1], b[0], b[1])
            before_c, top_c = _line(factor, b[0], b[1], c[0], c[1])
            after_a, high_a = _line(factor, a[0], a[1], row, col)
            after_c, high_c = _line(factor, row, col, c[0], c[1])
            if after_a + after_c <= before_a + before_c and max(high_a, high_c) <= max(
                top_a, top_c
            ):
                points[i, 0] = row
                points[i, 1] = col


def polyline_cost(factor: Float32Array, points: FloatArray) -> float:
    """Length in cells of free ground of a polyline, infinite if it touches a closed cell.

    Args:
        factor: padded factors.
        points: (N, 2) row, col.
    """
    return float(_polyline(factor, np.ascontiguousarray(points, dtype=np.float64)))


def straighten(factor: Float32Array, points: FloatArray, slack: float = 1e-4) -> FloatArray:
    """Drop vertices wherever the straight line costs no more and crosses nothing costlier.

    Args:
        factor: padded factors.
        points: (N, 2) row, col.
        slack: relative tolerance of both comparisons.

    Returns:
        (M, 2) subset of the points, ends included.
    """
    path = np.ascontiguousarray(points, dtype=np.float64)
    for _ in range(4):
        if len(path) < 3:
            break
        keep = np.zeros(len(path), dtype=np.bool_)
        backwards = np.ascontiguousarray(path[::-1])
        _shortcut(factor, backwards, slack, keep)
        path = np.ascontiguousarray(backwards[keep][::-1])
        if keep.all():
            break
    return path


def smooth(factor: Float32Array, points: FloatArray, rounds: int) -> FloatArray:
    """Round corners without leaving for costlier ground; ends stay."""
    path = np.array(points, dtype=np.float64, order="C")
    if len(path) > 2 and rounds > 0:
        _relax(factor, path, rounds)
    return path


def resample(points: FloatArray, spacing: float) -> FloatArray:
    """Divide each leg of a polyline into equal parts no longer than ``spacing``; corners stay.

    Args:
        points: (N, 2).
        spacing: in the unit of the points.

    Returns:
        (M, 2); one point where all points are the same.
    """
    path = np.asarray(points, dtype=np.float64)
    legs = np.hypot(*np.diff(path, axis=0).T) if len(path) > 1 else np.zeros(0)
    path = path[np.concatenate(([True], legs > 1e-9))]
    legs = legs[legs > 1e-9]
    if len(path) < 2:
        return path
    parts = np.maximum(np.ceil(legs / spacing - 1e-9), 1.0).astype(np.int64)
    leg = np.repeat(np.arange(len(legs)), parts)
    first = np.concatenate(([0], np.cumsum(parts)[:-1]))
    share = ((np.arange(len(leg)) - first[leg]) / parts[leg])[:, np.newaxis]
    return np.concatenate(((1.0 - share) * path[leg] + share * path[leg + 1], path[-1:]))


def to_cells(xy_m: FloatArray, origin_x_m: float, origin_y_m: float, res_m: float) -> FloatArray:
    """(N, 2) x, y in metres to row, col in cells."""
    xy = np.asarray(xy_m, dtype=np.float64)
    return np.stack(((xy[:, 1] - origin_y_m) / res_m, (xy[:, 0] - origin_x_m) / res_m), axis=-1)


def to_metres(cells: FloatArray, origin_x_m: float, origin_y_m: float, res_m: float) -> FloatArray:
    """(N, 2) row, col in cells to x, y in metres."""
    return np.stack((origin_x_m + res_m * cells[:, 1], origin_y_m + res_m * cells[:, 0]), axis=-1)


def warm_up() -> None:
    """Compile every kernel of this module."""
    factor = np.ones((4 + 2 * PAD, 4 + 2 * PAD), dtype=np.float32)
    points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 3.0]])
    polyline_cost(factor, points)
    straighten(factor, points)
    smooth(factor, points, 1)
