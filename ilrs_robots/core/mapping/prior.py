"""What the map says of every cell before a scan: height, gate and the variance due to slope.

Whole rows at a time, without branches, so that the compiler makes vector code of it: for all cells
of the map that takes less time than for those alone that a scan touches, one by one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping import threads
from ilrs_robots.core.mapping.map_state import Layers, Rules, Scan, Scratch, Window
from ilrs_robots.core.types import Float32Array

ALONE = 50_000
"""Cells that one thread looks through in about the time it takes to wake another."""
GENTLE = 0.05
"""Gradient that is not told from level ground: 4 mm of noise over a cell of 0.1 m."""


@njit(cache=True, error_model="numpy", inline="always")
def _unknown_as(value: np.float32, other: np.float32) -> np.float32:
    return value if value == value else other


@njit(cache=True, error_model="numpy", inline="always")
def gradient(before: np.float32, here: np.float32, after: np.float32) -> np.float32:
    """The smaller of two differences where they agree in sign, else 0 (minmod).

    Beside a step it takes the smooth side, so that the step does not pass for a slope. An unknown
    neighbour leaves the word to the other one.
    """
    zero = np.float32(0.0)
    back, ahead = here - before, after - here
    back = _unknown_as(back, _unknown_as(ahead, zero))
    ahead = _unknown_as(ahead, back)
    low = back if back < ahead else ahead
    high = ahead if back < ahead else back
    return (low if low > zero else zero) + (high if high < zero else zero)


@njit(cache=True, error_model="numpy")
def _row(
    below: Float32Array,
    here: Float32Array,
    above: Float32Array,
    along: np.float32,
    scan: Scan,
    gates: Float32Array,
    slope_variance: Float32Array,
) -> None:
    """Add to one row's gates what its slopes need; fill its slope variances.

    A point that is off by d_r along the ray (elevation e) and by r d_a across it lies off a
    surface of gradient g_d along and g_l across the ray's heading by
    d_r (sin e - g_d cos e) + r d_a (cos e + g_d sin e) + r d_a' g_l. A face that the ray
    meets head-on takes the whole range error, which level ground under a shallow ray does not.
    Never negative: a slope that is seen at a graze is not trusted more for it.
    """
    cell_m, zero, one = np.float32(scan.cell_m), np.float32(0.0), np.float32(1.0)
    per_cell, gentle = one / cell_m, np.float32(GENTLE)
    sensor_col = np.float32(0.5 - scan.sensor_col)
    sensor_height, span = np.float32(scan.sensor_height), cell_m * cell_m / np.float32(12.0)
    ranging, turning = scan.range_variance, scan.angle_variance
    slanting = scan.incidence_variance
    for col in range(1, here.shape[0] - 1):
        height = here[col]
        slope_x = gradient(here[col - 1], height, here[col + 1]) * per_cell
        slope_y = gradient(below[col], height, above[col]) * per_cell
        square = slope_x * slope_x + slope_y * slope_y
        size = np.sqrt(square)
        share = (size - gentle) / size if size > gentle else zero
        share = share if share * size < one else one / size
        steep = square * share * share
        across = (np.float32(col) + sensor_col) * cell_m
        rise = height - sensor_height
        level = across * across + along * along + np.float32(1e-4)
        reach = level + rise * rise
        toward = (slope_x * across + slope_y * along) * share
        into = (rise - toward) * (rise - toward)
        added = ranging * (into - rise * rise) / reach
        twist = toward * rise
        added += turning * (twist + twist + twist * twist / level)
        added += turning * (steep - toward * toward / level) * reach
        added += slanting * (reach * (one + steep) - into - level)
        added = added if added > zero else zero
        slope_variance[col] = added
        gates[col] += added + steep * span


@njit(cache=True, error_model="numpy")
def _known(
    variance: Float32Array,
    last_seen_s: Float32Array,
    first_col: int,
    along: np.float32,
    scan: Scan,
    rules: Rules,
    gates: Float32Array,
) -> None:
    """Aged variance of a piece of a row, with that of the pose."""
    stamp, growth = np.float32(scan.stamp_s), np.float32(rules.growth_per_s)
    most, zero = np.float32(rules.max_variance), np.float32(0.0)
    cell_m, start = np.float32(scan.cell_m), np.float32(first_col + 0.5 - scan.sensor_col)
    lift, tilt = np.float32(scan.pose_z_variance), np.float32(scan.pose_tilt_variance)
    for k in range(gates.shape[0]):
        idle = stamp - last_seen_s[k]
        grown = variance[k] + growth * (idle if idle > zero else zero)
        across = (np.float32(k) + start) * cell_m
        pose = lift + tilt * (across * across + along * along)
        gates[k] = (grown if grown < most else most) + pose


@njit(cache=True, error_model="numpy", nogil=True)
def _prepare_rows(
    first: int,
    end: int,
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
) -> None:
    """``prepare`` for some rows. The rows beside them get their heights too, as slopes need."""
    rows, cols, split = window.rows, window.cols, window.cols - window.first_col
    for row in range(max(first - 1, 0), min(end + 1, rows)):
        source = (row + window.first_row) % rows * cols
        here = scratch.heights[row * cols : (row + 1) * cols]
        gates = scratch.gates[row * cols : (row + 1) * cols]
        along = np.float32((row + 0.5 - scan.sensor_row) * scan.cell_m)
        for low, high, begin in (
            (0, split, source + window.first_col),
            (split, cols, source),
        ):
            stop = begin + high - low
            here[low:high] = layers.elevation[begin:stop]
            if first <= row < end:
                _known(
                    layers.variance[begin:stop], layers.last_seen_s[begin:stop], low, along, scan,
                    rules, gates[low:high],
                )  # fmt: skip
    scratch.slope_variance[first * cols : end * cols] = 0.0
    for row in range(max(first, 1), min(end, rows - 1)):
        at = row * cols
        along = np.float32((row + 0.5 - scan.sensor_row) * scan.cell_m)
        _row(
            scratch.heights[at - cols : at],
            scratch.heights[at : at + cols],
            scratch.heights[at + cols : at + 2 * cols],
            along,
            scan,
            scratch.gates[at : at + cols],
            scratch.slope_variance[at : at + cols],
        )


def prepare(layers: Layers, scan: Scan, rules: Rules, window: Window, scratch: Scratch) -> None:
    """Fill ``heights``, ``gates`` and ``slope_variance`` of the scratch in window order.

    A gate is the variance that a point of no noise may have about the cell: that of the cell by
    now, of the pose, of its slope and of the height that the slope spans within the cell. NaN
    where nothing is known. Cells on the rim of the window count as level.
    """
    ends = (0, window.rows // 2, window.rows)
    threads.both(
        lambda half: _prepare_rows(
            ends[half], ends[half + 1], layers, scan, rules, window, scratch
        ),
        window.rows * window.cols > ALONE,
    )
