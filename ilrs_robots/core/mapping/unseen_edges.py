"""Holes and drops that show as a gap only: the far side is seen and lower, between is nothing.

A sensor that looks over an edge sees nothing behind it until its ray meets the ground again. Such
a gap is judged by its two ends, along rows, columns and diagonals of the grid:

* **Drop**: the way down from one end to the other is steeper on average than the vehicle's limit
  and higher than its step. Then the ground between is steeper somewhere, whatever its form.
* **Hole**: the lower end lies below the line from the upper end to ground behind it, so the ground
  goes down and up again. The line never rises above the slope of the ground before the edge.

Both say only what must be so. An edge that itself stands out (a rock) explains its shadow and is
left out, and so is smooth ground, however sparsely it is seen.

The method is our own; that gaps behind an edge show negative obstacles was used before
(Matthies, Rankin 2003, Negative obstacle detection by thermal signature; Heckman et al. 2007,
Potential negative obstacle detection by occlusion labeling).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ilrs_robots.core.types import Float32Array

DROP: Final = 5
HOLE: Final = 6
"""Indices into ``traversability.REASONS``."""
_MIN_GAP: Final = 3
"""Cells from end to end: two unseen cells between."""
_FAR: Final = 1 << 30
_WAYS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))


class EdgeRules(NamedTuple):
    """What counts as an edge; cells, metres, pure slopes."""

    max_gap_cells: int
    beyond_cells: int
    """How far behind the lower end the ground may come up again."""
    mark_cells: int
    """How far from the edge unseen cells are marked."""
    max_step_m: float
    max_rise: float
    step_m: float
    """Cell size."""


@njit(cache=True, error_model="numpy")
def _dip(
    ground: Float32Array, rise: float, row: int, col: int, way: tuple[int, int], gap: int,
    rules: EdgeRules,
) -> float:  # fmt: skip
    """Depth below the line from the edge at ``row``, ``col`` to ground behind the gap."""
    rows, cols = ground.shape
    top = float(ground[row, col])
    drop = top - float(ground[row + gap * way[0], col + gap * way[1]])
    step = rules.step_m * np.hypot(way[0], way[1])
    dip = 0.0
    for k in range(gap + 1, gap + rules.beyond_cells + 1):
        r, c = row + k * way[0], col + k * way[1]
        if r < 0 or r >= rows or c < 0 or c >= cols:
            break
        up = float(ground[r, c]) - top
        if up == up:
            dip = max(dip, drop + min(up, rise * k * step) * gap / k)
    return dip


@njit(cache=True, error_model="numpy")
def _mark(
    row: int, col: int, way: tuple[int, int], count: int, found: float, what: int,
    depth: Float32Array, kind: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Write a hazard to the edge and to the first unseen cells behind it."""
    for k in range(count):
        r, c = row + k * way[0], col + k * way[1]
        if found > depth[r, c]:
            depth[r, c] = found
            kind[r, c] = what


@njit(cache=True, error_model="numpy")
def _edge(
    ground: Float32Array, rise: float, row: int, col: int, way: tuple[int, int], gap: int,
    rules: EdgeRules, depth: Float32Array, kind: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Judge one gap from the edge at ``row``, ``col``."""
    length = gap * rules.step_m * np.hypot(way[0], way[1])
    found = float(ground[row, col]) - float(ground[row + gap * way[0], col + gap * way[1]])
    dip = _dip(ground, rise, row, col, way, gap, rules) if rise == rise else 0.0
    what = HOLE if dip > 0.5 * found else DROP
    if not (found >= rules.max_step_m and found > rules.max_rise * length):
        what, found = HOLE, dip
    if found > 0.5 * rules.max_step_m:
        count = min(gap, rules.mark_cells + 1)
        _mark(row, col, way, count, found, what, depth, kind)


@njit(cache=True, error_model="numpy")
def _gap(
    ground: Float32Array, slope_x: Float32Array, slope_y: Float32Array, step_m: Float32Array,
    row: int, col: int, y: int, x: int, gap: int,
    rules: EdgeRules, depth: Float32Array, kind: NDArray[np.uint8],
) -> None:  # fmt: skip
    """Judge a gap that ends at ``row``, ``col`` from both of its ends, where it can matter.

    A hole is no deeper than the drop and what the ground before the edge rises along the gap.
    """
    r, c = row - gap * y, col - gap * x
    least, reach = 0.5 * rules.max_step_m, gap * rules.step_m
    drop, length = ground[r, c] - ground[row, col], np.hypot(y, x)
    ahead = (slope_x[r, c] * x + slope_y[r, c] * y) * reach
    if drop + (ahead if ahead > 0.0 else 0.0) > least and step_m[r, c] <= least:
        _edge(ground, ahead / reach / length, r, c, (y, x), gap, rules, depth, kind)
    ahead = -(slope_x[row, col] * x + slope_y[row, col] * y) * reach
    if (ahead if ahead > 0.0 else 0.0) - drop > least and step_m[row, col] <= least:
        _edge(ground, ahead / reach / length, row, col, (-y, -x), gap, rules, depth, kind)


@njit(cache=True, error_model="numpy")
def _walk(
    ground: Float32Array,
    slope_x: Float32Array,
    slope_y: Float32Array,
    step_m: Float32Array,
    rules: EdgeRules,
    depth: Float32Array,
    kind: NDArray[np.uint8],
) -> None:
    """Go through the grid once; for each line of each way keep where it last was seen."""
    rows, cols = ground.shape
    longest = rules.max_gap_cells
    above = np.full(cols, -_FAR, np.int64)
    rising = np.full(rows + cols, -_FAR, np.int64)
    falling = np.full(rows + cols, -_FAR, np.int64)
    for row in range(rows):
        line, before = ground[row], -_FAR
        for col in range(cols):
            if line[col] != line[col]:
                continue
            up, down = col - row + rows, col + row
            gap_0, gap_1 = col - before, row - above[col]
            gap_2, gap_3 = row - rising[up], row - falling[down]
            before, above[col], rising[up], falling[down] = col, row, row, row
            if max(max(gap_0, gap_1), max(gap_2, gap_3)) < _MIN_GAP:
                continue
            for k in range(4):
                gap = gap_0 if k == 0 else (gap_1 if k == 1 else (gap_2 if k == 2 else gap_3))
                if _MIN_GAP <= gap <= longest:
                    y, x = _WAYS[k]
                    _gap(ground, slope_x, slope_y, step_m, row, col, y, x, gap, rules, depth, kind)


def unseen_edges(
    ground_m: Float32Array,
    slope_x: Float32Array,
    slope_y: Float32Array,
    step_m: Float32Array,
    rules: EdgeRules,
) -> tuple[Float32Array, NDArray[np.uint8]]:
    """Depth behind edges whose foot is not seen.

    Args:
        ground_m: (rows, cols) float32, metres, NaN unknown.
        slope_x: (rows, cols) dz/dx of the ground, NaN where it is not known.
        slope_y: (rows, cols) dz/dy.
        step_m: (rows, cols) step height in metres; a cell that stands out is no edge.
        rules: limits.

    Returns:
        Depth in metres, (rows, cols) float32, 0 where there is none, at edges and the unseen cells
        next to them; and what it is, (rows, cols) uint8, ``DROP`` or ``HOLE``, else 0.
    """
    depth = np.zeros(ground_m.shape, np.float32)
    kind = np.zeros(ground_m.shape, np.uint8)
    _walk(ground_m, slope_x, slope_y, step_m, rules, depth, kind)
    return depth, kind
