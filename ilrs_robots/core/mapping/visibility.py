"""Take out of the map what a scan sees through: one ray per touched cell, to its lowest point.

A ray says that the line along which it ran is free, not that a whole cell is. So each cell is
parted into four lanes along the ray, of which it remembers the lowest ray. Only when rays ran
below its top in every lane, in this scan or earlier ones, and nothing was hit up there since, is
what is above the highest of the four gone. A rock that fills part
of a cell stops the rays of its own lane and stays, a pole between two beams too. Rays are real
ones, to measured points; a ray to the middle of a cell could cut a corner that the real one
missed. What lies above the sensor's field of view is not judged.

What stands is taken to be solid down to the ground, unless ground was seen below it. A ray that
runs through such a gap, under a lander's belly, says nothing of what is above the gap.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.mapping import threads
from ilrs_robots.core.mapping.cell_update import pass_limit
from ilrs_robots.core.mapping.cells import aged_variance, place_of, pose_variance
from ilrs_robots.core.mapping.map_state import (
    FUSED,
    LANES,
    STRIPE,
    TILE,
    Layers,
    Rules,
    Scan,
    Scratch,
    Window,
)
from ilrs_robots.core.mapping.rays import cast
from ilrs_robots.core.types import Float32Array, IntArray

ALONE: Final = 2000
"""Rays that one thread follows in less time than it takes to wake another."""


@njit(cache=True, error_model="numpy")
def _limits_of_row(
    upper: Float32Array,
    variance: Float32Array,
    last_seen_s: Float32Array,
    first_col: int,
    along: np.float32,
    scan: Scan,
    rules: Rules,
    limits: Float32Array,
) -> None:
    """``cell_update.pass_limit`` of a piece of a row, without branches; NaN where unknown."""
    gate, zero = rules.gate_square, np.float32(0.0)
    growth, most = np.float32(rules.growth_per_s), np.float32(rules.max_variance)
    stamp, clearance = np.float32(scan.stamp_s), np.float32(rules.clearance_m)
    lift = np.float32(scan.pose_z_variance)
    tilt = np.float32(scan.pose_tilt_variance) + scan.angle_variance
    cell_m, start = np.float32(scan.cell_m), np.float32(first_col + 0.5 - scan.sensor_col)
    for k in range(limits.shape[0]):
        idle = stamp - last_seen_s[k]
        grown = variance[k] + growth * (idle if idle > zero else zero)
        across = (np.float32(k) + start) * cell_m
        own = gate * (grown if grown < most else most)
        own = own if own < clearance * clearance else clearance * clearance
        pose = lift + tilt * (across * across + along * along)
        limits[k] = upper[k] - clearance - np.sqrt(gate * pose + own)


@njit(cache=True, error_model="numpy")
def _set_limits(
    layers: Layers, scan: Scan, rules: Rules, window: Window, scratch: Scratch
) -> float:
    """Fill ``limits``, below which a ray contradicts a cell, and ``blocks``; the highest."""
    rows, cols, split = window.rows, window.cols, window.cols - window.first_col
    scratch.blocks[:] = -np.inf
    for row in range(rows):
        source = (row + window.first_row) % rows * cols
        limits = scratch.limits[row * cols : (row + 1) * cols]
        along = np.float32((row + 0.5 - scan.sensor_row) * scan.cell_m)
        for low, high, begin in (
            (0, split, source + window.first_col),
            (split, cols, source),
        ):
            end = begin + high - low
            _limits_of_row(
                layers.upper_bound[begin:end],
                layers.variance[begin:end], layers.last_seen_s[begin:end], low, along, scan,
                rules, limits[low:high],
            )  # fmt: skip
        blocks = scratch.blocks[row // TILE]
        for block in range(blocks.shape[0]):
            most = blocks[block]
            for col in range(block * TILE, min((block + 1) * TILE, cols)):
                most = limits[col] if limits[col] > most else most
            blocks[block] = most
    return float(scratch.blocks.max())


@njit(cache=True, error_model="numpy", inline="always")
def _in_view(row: int, col: int, upper: float, scan: Scan) -> bool:
    """Whether the top of a cell is within the sensor's field of view."""
    m = scan.matrix
    across = (col + 0.5 - scan.sensor_col) * scan.cell_m
    along = (row + 0.5 - scan.sensor_row) * scan.cell_m
    rise = upper - scan.sensor_height
    up = m[0, 2] * scan.cell_m * across + m[1, 2] * scan.cell_m * along + m[2, 2] * rise
    reach = np.sqrt(across * across + along * along + rise * rise)
    return bool(up <= scan.view_top_sine * reach)


@njit(cache=True, error_model="numpy", inline="always")
def _highest_ray(passes: Float32Array, place: int) -> float:
    """The higher of a cell's four lowest rays, of the axis where that is lower."""
    along, across = passes[place, 0], passes[place, LANES]
    for lane in range(1, LANES):
        along = max(along, passes[place, lane])
        across = max(across, passes[place, LANES + lane])
    return float(min(along, across))


@njit(cache=True, error_model="numpy", inline="always")
def _judge(
    cell: int,
    layers: Layers,
    empty: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
) -> bool:
    """Take away from a cell what was seen through; whether there was anything to take.

    A height above the rays goes altogether, unless the scan itself agrees with it: what is below
    it has not been measured, and unknown is what the cell then is. Else only the top goes.
    """
    row, col = cell // window.cols, cell % window.cols
    place = place_of(row, col, window)
    height, upper = layers.elevation[place], layers.upper_bound[place]
    free = _highest_ray(layers.passes, place)
    if free == np.inf or not _in_view(row, col, upper, scan):
        return False
    variance, pose = aged_variance(place, layers, scan, rules), pose_variance(row, col, scan)
    if scratch.marks[cell] & FUSED == 0 and free < pass_limit(height, variance, pose, rules):
        layers.elevation[place] = empty.elevation[0]
        layers.variance[place] = empty.variance[0]
        layers.upper_bound[place] = empty.upper_bound[0]
        layers.lower_bound[place] = empty.lower_bound[0]
        layers.count[place] = empty.count[0]
        layers.last_seen_s[place] = empty.last_seen_s[0]
        layers.intensity[place] = empty.intensity[0]
        layers.hangs_from[place] = empty.hangs_from[0]
        layers.passes[place] = empty.passes[0]
        layers.passed[place] = empty.passed[0]
        return True
    if free < layers.hangs_from[place] + 2.0 * rules.clearance_m:
        free = height
        layers.hangs_from[place] = empty.hangs_from[0]
    if max(free, height) >= upper:
        return False
    layers.upper_bound[place] = max(free, height)
    return True


@njit(cache=True, error_model="numpy", nogil=True)
def _judge_part(
    part: int,
    counts: tuple[int, int],
    layers: Layers,
    empty: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
) -> tuple[int, IntArray]:
    """Judge the flagged cells of every second stripe; how many lost something, and their bounds.

    A cell that rays along both axes flagged is judged once.
    """
    bounds = np.array([window.rows, 0, window.cols, 0])
    changed = 0
    for axis in range(2):
        for cell in scratch.flagged[axis, : counts[axis]]:
            row, col = cell // window.cols, cell % window.cols
            if row // STRIPE % 2 != part or (axis == 1 and scratch.flags[0, cell]):
                continue
            if _judge(cell, layers, empty, scan, rules, window, scratch):
                changed += 1
                bounds[0], bounds[1] = min(bounds[0], row), max(bounds[1], row + 1)
                bounds[2], bounds[3] = min(bounds[2], col), max(bounds[3], col + 1)
    for axis in range(2):
        for cell in scratch.flagged[axis, : counts[axis]]:
            if cell // window.cols // STRIPE % 2 == part:
                scratch.flags[axis, cell] = 0
    return changed, bounds


def clean_up(
    flat: Float32Array,
    n_touched: int,
    layers: Layers,
    empty: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
    bounds: IntArray,
) -> int:
    """Take out what the rays of a scan that was just fused ran through.

    Rays along the rows are followed by another thread while this one follows those along the
    columns, where there are two cores and enough rays; the cells are then judged by stripes.

    Args:
        flat: (3 * n,) float32 points in the sensor frame, metres.
        n_touched: cells that the scan touched.
        layers: state, altered.
        empty: layers of one unknown cell.
        scan: pose and noise of the scan.
        rules: gate, variances and the clearance of rays.
        window: place of the map in its buffer.
        scratch: ``touched`` and ``lowest`` of the scan.
        bounds: (4,) cells that changed in the window, grown.

    Returns:
        Cells that lost their height or their top.
    """
    highest = _set_limits(layers, scan, rules, window, scratch)

    def follow(axis: int) -> int:
        out = scratch.flagged[axis]
        return int(cast(axis, flat, n_touched, highest, layers, scan, window, scratch, out))

    counts = threads.both(follow, n_touched > ALONE)
    rest = (counts, layers, empty, scan, rules, window, scratch)
    halves = threads.both(lambda part: _judge_part(part, *rest), sum(counts) > ALONE)
    for _, (row0, row1, col0, col1) in halves:
        bounds[0], bounds[1] = min(bounds[0], row0), max(bounds[1], row1)
        bounds[2], bounds[3] = min(bounds[2], col0), max(bounds[3], col1)
    return sum(int(changed) for changed, _ in halves)


@njit(cache=True, error_model="numpy")
def forget_fused(scratch: Scratch, n_touched: int) -> None:
    """Make the marks of a scan zero again."""
    for k in range(n_touched):
        scratch.marks[scratch.touched[0, k]] = 0
