"""Geometry of two vehicles' ways: where they meet, who is in whose way, where one can stand aside.

The rule itself is short. Of two vehicles whose ways cross, the one of the higher rank number waits
before the other's way. If it stands in the other's way, it goes to the nearest place beside it.
Both know ranks, places and ways of each other, so both come to the same answer by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from ilrs_robots.core.planning.path_geometry import resample
from ilrs_robots.core.planning.search import cost_field
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

_SPACING_M = 0.25
_PASSED_M = 0.5
"""The way of another vehicle begins where it stands: this much of it is no way ahead."""


def even_line(points_m: FloatArray, length_m: float) -> tuple[FloatArray, FloatArray]:
    """The first part of a line with points at even distances.

    Args:
        points_m: (N, 2) metres.
        length_m: of the part.

    Returns:
        (M, 2) metres, and (M,) metres along it.
    """
    line = np.asarray(points_m, dtype=np.float64).reshape(-1, 2)
    if len(line) < 2:
        return line, np.zeros(len(line))
    line = resample(line, _SPACING_M)
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
    keep = along <= length_m
    return line[keep], along[keep]


def distances_m(points_m: FloatArray, line_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distance of points from a line of points, and which of its points is the nearest.

    Args:
        points_m: (N, 2) metres.
        line_m: (M, 2) metres, M >= 1.

    Returns:
        (N,) metres, and (N,) indices into the line.
    """
    offset = points_m[:, np.newaxis] - line_m[np.newaxis]
    away = np.hypot(offset[..., 0], offset[..., 1])
    return away.min(axis=1), away.argmin(axis=1)


def first_within(
    line_m: FloatArray, along_m: FloatArray, centres_m: FloatArray, radius_m: float
) -> float:
    """How far along a line it comes within a distance of any of some places, nearing it.

    What lies within that distance already at the line's beginning does not count while the line
    leads away from it.

    Args:
        line_m: (N, 2) metres.
        along_m: (N,) metres along it.
        centres_m: (M, 2) metres.
        radius_m: the distance.

    Returns:
        metres, infinite where it does not.
    """
    if not len(line_m) or not len(centres_m):
        return math.inf
    away, _ = distances_m(line_m, centres_m)
    within = away < radius_m
    leaving = np.logical_and.accumulate(within) & (away >= away[0] - 1e-6)
    leaving &= np.logical_and.accumulate(np.diff(away, prepend=away[0]) >= -1e-6)
    within &= ~leaving
    return float(along_m[np.argmax(within)]) if within.any() else math.inf


def in_the_way(
    place_m: tuple[float, float], way_m: FloatArray, along_m: FloatArray, radius_m: float
) -> bool:
    """Whether a vehicle stands within a distance of the way that lies ahead of another one.

    Args:
        place_m: of the vehicle, metres.
        way_m: (N, 2) metres, from where the other one is.
        along_m: (N,) metres along it.
        radius_m: the distance.
    """
    if len(way_m) < 2:
        return False
    away, nearest = distances_m(np.array([place_m]), way_m)
    return bool(away[0] < radius_m and along_m[nearest[0]] > _PASSED_M)


def way_from(place_m: tuple[float, float], plan_m: FloatArray) -> FloatArray:
    """What is left of a plan for a vehicle that has gone on since it told it.

    Args:
        place_m: where the vehicle is, metres.
        plan_m: (N, 2) metres, N >= 1.

    Returns:
        (M, 2) metres, from the vehicle's place on.
    """
    line = resample(plan_m, _SPACING_M)
    away, _ = distances_m(line, np.array([place_m]))
    return np.concatenate(([place_m], line[int(np.argmin(away)) + 1 :]))


def raised(
    cost: Float32Array, spec: GridSpec, discs: Sequence[tuple[float, float, float]], value: float
) -> Float32Array:
    """A cost grid with discs raised to a cost.

    Args:
        cost: (rows, cols) float32, 0 to 1.
        spec: its place, metres.
        discs: x, y and radius of each, metres.
        value: cost in them.
    """
    if not discs:
        return cost
    made, xs, ys = cost.copy(), spec.x_m(), spec.y_m()
    for x, y, radius_m in discs:
        col = slice(*np.searchsorted(xs, (x - radius_m, x + radius_m)))
        row = slice(*np.searchsorted(ys, (y - radius_m, y + radius_m)))
        away2 = (xs[col][np.newaxis] - x) ** 2 + (ys[row][:, np.newaxis] - y) ** 2
        part = made[row, col]
        part[(away2 <= radius_m**2) & (part < value)] = value
    return made


def passing_place(
    cost: Float32Array,
    spec: GridSpec,
    place_m: tuple[float, float],
    ways: Sequence[tuple[FloatArray, float]],
    lethal: float,
    reach_m: float,
    seen: BoolArray | None = None,
) -> tuple[float, float] | None:
    """The place beside other vehicles' ways that is reached at the least cost.

    Args:
        cost: (rows, cols) float32, 0 to 1, inflated; other vehicles closed.
        spec: its place, metres.
        place_m: where the vehicle stands.
        ways: (N, 2) metres of each way, and the distance from it that is needed.
        lethal: cost from which a cell is closed.
        reach_m: how far to look.
        seen: (rows, cols) where the place may be; None for anywhere.

    Returns:
        metres, None where there is none.
    """
    row, col = (int(v) for v in spec.cell_of(np.array(place_m)))
    if not (0 <= row < spec.rows and 0 <= col < spec.cols):
        return None
    reach = math.ceil(reach_m / spec.resolution_m)
    low_r, low_c = max(row - reach, 0), max(col - reach, 0)
    window = cost[low_r : row + reach + 1, low_c : col + reach + 1]
    beside = np.ones(window.shape, np.bool_)
    if seen is not None:
        beside &= seen[low_r : row + reach + 1, low_c : col + reach + 1]
    for way_m, needed_m in ways:
        beside &= _away(window.shape, spec, (low_r, low_c), way_m) >= needed_m
    start = _open_cell(window < lethal, (row - low_r, col - low_c))
    if start is None or not beside.any():
        return None
    field = cost_field(window, spec.resolution_m, start, lethal=lethal)
    field = np.where(beside & (window < lethal), field, np.float32(np.inf))
    best = np.unravel_index(int(np.argmin(field)), field.shape)
    if not np.isfinite(field[best]):
        return None
    x = spec.origin_x_m + (low_c + int(best[1])) * spec.resolution_m
    y = spec.origin_y_m + (low_r + int(best[0])) * spec.resolution_m
    return x, y


def _away(
    shape: tuple[int, ...], spec: GridSpec, low: tuple[int, int], way_m: FloatArray
) -> Float32Array:
    """(rows, cols) distance of each cell of a window from a line, metres."""
    free = np.ones(shape, np.uint8)
    rows, cols = spec.cell_of(way_m)
    points = np.stack((cols - low[1], rows - low[0]), axis=-1).astype(np.int32)
    cv2.polylines(free, [points.reshape(-1, 1, 2)], False, 0)
    if free.all():  # it lies outside
        return np.full(shape, np.inf, np.float32)
    away = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away * np.float32(spec.resolution_m), dtype=np.float32)


def _open_cell(free: BoolArray, at: tuple[int, int]) -> tuple[int, int] | None:
    """The free cell nearest to one, within a few cells."""
    if free[at]:
        return at
    reach = 10
    low = max(at[0] - reach, 0), max(at[1] - reach, 0)
    rows, cols = np.nonzero(free[low[0] : at[0] + reach + 1, low[1] : at[1] + reach + 1])
    if not len(rows):
        return None
    best = int(np.argmin(np.hypot(rows + low[0] - at[0], cols + low[1] - at[1])))
    return int(rows[best]) + low[0], int(cols[best]) + low[1]
