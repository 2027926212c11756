"""Closed cells as points by reason, thinned for a viewer."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

MAX_MARKS: Final = 1500
"""Of all reasons together: a viewer draws them at once, a message stays small."""


class Marks(NamedTuple):
    """Closed cells of one reason.

    Attributes:
        reason: its name.
        points_m: (N, 3) float64, frame of the grid; the highest surface of each block of cells.
        size_m: side of a block.
        cells: how many cells there are, thinned or not.
    """

    reason: str
    points_m: FloatArray
    size_m: float
    cells: int


def hazard_marks(
    cost: Float32Array,
    reason: NDArray[np.generic],
    height: Float32Array,
    spec: GridSpec,
    names: tuple[str, ...],
    closed: float = 1.0,
) -> list[Marks]:
    """Points of the closed cells, reason by reason; reasons without one are left out.

    Where there are more than ``MAX_MARKS``, blocks of 2, 4, ... cells take one point each.

    Args:
        cost: (rows, cols) float32, 0 to 1, NaN unknown.
        reason: (rows, cols) indices into ``names``.
        height: (rows, cols) float32 metres; an unknown cell takes that of the nearest known one.
        spec: their grid.
        names: of the reasons.
        closed: cost from which a cell is closed.
    """
    with np.errstate(invalid="ignore"):
        rows, cols = np.nonzero(cost >= closed)
    why = np.asarray(reason[rows, cols]).astype(np.int64)
    top = height[rows, cols].astype(np.float64)
    hidden = np.isnan(top)
    if hidden.any():
        known = np.isfinite(height)
        if not known.any():
            return []
        _, nearest = cv2.distanceTransformWithLabels(
            (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        of_label = np.zeros(int(nearest.max()) + 1, np.float64)
        of_label[nearest[known]] = height[known]
        top[hidden] = of_label[nearest[rows[hidden], cols[hidden]]]
    block = 1
    while True:
        key = (why * spec.rows + rows // block) * spec.cols + cols // block
        _, place = np.unique(key, return_inverse=True)
        count = int(place.max()) + 1 if place.size else 0
        if count <= MAX_MARKS:
            break
        block *= 2
    highest = np.full(count, -np.inf)
    np.maximum.at(highest, place, top)
    first = np.empty(count, np.int64)
    first[place[::-1]] = np.arange(place.size)[::-1]
    size_m = block * spec.resolution_m
    middle = 0.5 * (block - 1)
    x = spec.origin_x_m + spec.resolution_m * (cols[first] // block * block + middle)
    y = spec.origin_y_m + spec.resolution_m * (rows[first] // block * block + middle)
    points = np.column_stack((x, y, highest))
    found = []
    for index, name in enumerate(names):
        cells = int((why == index).sum())
        if cells:
            found.append(Marks(name, points[why[first] == index], size_m, cells))
    return found
