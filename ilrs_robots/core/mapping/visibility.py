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

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.cell_update import pass_limit
from ilrs_robots.core.mapping.cells import aged_variance, place_of, pose_variance
from ilrs_robots.core.mapping.map_state import (
    FLAGGED,
    FUSED,
    LANES,
    TILE,
    Int32Array,
    Layers,
    Rules,
    Scan,
    Scratch,
    Window,
)
from ilrs_robots.core.types import Float32Array, IntArray


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
def _steps(
    start: float, end: float, cells: int, stop: float, height: float, slope: float, highest: float
) -> tuple[int, int, int]:
    """First and last column (along the ray's longer axis) to look at, and the direction.

    Only columns whose middle the ray crosses between the sensor and ``stop`` cells before its end,
    which are on the map, where it runs below anything that is known there.
    """
    forward = 1 if end > start else -1
    if forward > 0:
        first, last = int(np.floor(start + 0.5)), int(np.floor(end)) - 1
        last = min(last, int(np.floor(end - stop - 0.5)))
        first, last = max(first, 0), min(last, cells - 1)
    else:
        first, last = int(np.floor(start - 0.5)), int(np.floor(end)) + 1
        last = max(last, int(np.ceil(end + stop - 0.5)))
        first, last = min(first, cells - 1), max(last, 0)
    # height at the higher side of a column: level at the sensor plus slope times distance
    below = (highest - height - 0.5 * abs(slope)) / slope if slope != 0.0 else np.inf
    if slope < 0.0:
        reach = start + forward * below
        if forward > 0:
            first = max(first, int(np.floor(min(reach, cells + 1.0))) - 1)
        else:
            first = min(first, int(np.ceil(max(reach, -2.0))))
    elif height > highest:
        last = first - forward
    return first, last, forward


@njit(cache=True, error_model="numpy", inline="always")
def _cast(
    u: float,
    v: float,
    height: float,
    stop_m: float,
    highest: float,
    layers: Layers,
    scan: Scan,
    window: Window,
    scratch: Scratch,
    flagged: Int32Array,
    n_flagged: int,
) -> int:
    """Follow one ray from the sensor to (u, v) in cells; note the cells whose top it passes below.

    It is looked at where it crosses the middle of each column along its longer axis, with the
    height it has on the higher side of that cell. Where it is above all limits of the tiles on its
    way, it goes on to the next tile.
    """
    du, dv, rise = u - scan.sensor_col, v - scan.sensor_row, height - scan.sensor_height
    along_u = abs(du) >= abs(dv)
    longer, shorter = (du, dv) if along_u else (dv, du)
    start, end = (scan.sensor_col, u) if along_u else (scan.sensor_row, v)
    side = scan.sensor_row if along_u else scan.sensor_col
    cells, sides = (window.cols, window.rows) if along_u else (window.rows, window.cols)
    stride, side_stride = (1, window.cols) if along_u else (window.cols, 1)
    reach = abs(longer)
    if reach < 2.0:
        return n_flagged
    stop = stop_m / scan.cell_m * reach / np.sqrt(du * du + dv * dv)
    slope = rise / reach
    first, last, forward = _steps(start, end, cells, stop, scan.sensor_height, slope, highest)
    count = (last - first) * forward + 1
    if count <= 0:
        return n_flagged
    begin = (first + 0.5 - start) * forward
    drift = np.float32(shorter / reach)
    across0 = np.float32(side + begin * drift)
    top0 = np.float32(scan.sensor_height + begin * slope + 0.5 * abs(slope))
    fall = np.float32(slope)
    shift = 0 if along_u else LANES
    blocks, limits, k = scratch.blocks, scratch.limits, 0
    last_lane, half_tile = sides - 1, TILE - 1
    while k < count:
        # the steps that are left within this column of blocks
        at = first + k * forward
        left = half_tile - (at & half_tile) if forward > 0 else at & half_tile
        end = min(k + left, count - 1)
        here = int(across0 + np.float32(k) * drift)
        there = int(across0 + np.float32(end) * drift)
        here, there = min(max(here, 0), last_lane) // TILE, min(max(there, 0), last_lane) // TILE
        deepest = top0 + np.float32(end if fall < 0 else k) * fall
        tile = at // TILE
        one = blocks[here, tile] if along_u else blocks[tile, here]
        other = blocks[there, tile] if along_u else blocks[tile, there]
        if deepest >= one and deepest >= other:
            k = end + 1
            continue
        while k <= end:
            across = across0 + np.float32(k) * drift
            top = top0 + np.float32(k) * fall
            lane = np.int32(np.floor(across))
            cell = (first + k * forward) * stride + lane * side_stride
            k += 1
            if lane < 0 or lane > last_lane or not top < limits[cell]:
                continue
            place = place_of(cell // window.cols, cell % window.cols, window)
            if top < layers.hangs_from[place]:
                continue
            slot = shift + int((across - np.float32(lane)) * LANES)
            if top < layers.passes[place, slot]:
                layers.passes[place, slot] = top
                layers.passed[place] = 1
                if scratch.marks[cell] & FLAGGED == 0:
                    scratch.marks[cell] |= FLAGGED
                    flagged[n_flagged] = cell
                    n_flagged += 1
    return n_flagged


@njit(cache=True, error_model="numpy")
def _in_view(row: int, col: int, upper: float, scan: Scan) -> bool:
    """Whether the top of a cell is within the sensor's field of view."""
    m = scan.matrix
    across = (col + 0.5 - scan.sensor_col) * scan.cell_m
    along = (row + 0.5 - scan.sensor_row) * scan.cell_m
    rise = upper - scan.sensor_height
    up = m[0, 2] * scan.cell_m * across + m[1, 2] * scan.cell_m * along + m[2, 2] * rise
    reach = np.sqrt(across * across + along * along + rise * rise)
    return bool(up <= scan.view_top_sine * reach)


@njit(cache=True, error_model="numpy")
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
    free = min(layers.passes[place, :LANES].max(), layers.passes[place, LANES:].max())
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


@njit(cache=True, error_model="numpy")
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

    Args:
        flat: (3 n,) float32 points in the sensor frame.
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
    m = scan.matrix
    stop_m = 3.0 * np.sqrt(float(scan.range_variance))
    flagged = np.empty(window.rows * window.cols, np.int32)
    n_flagged = 0
    for k in range(n_touched):
        if scratch.low_m[k] >= highest and scan.sensor_height >= highest:
            continue
        at = 3 * min(scratch.lowest[k], flat.shape[0] // 3 - 1)
        x, y, z = flat[at], flat[at + 1], flat[at + 2]
        u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
        v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
        height = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        n_flagged = _cast(
            u, v, height, stop_m, highest, layers, scan, window, scratch, flagged, n_flagged
        )
    changed = 0
    for k in range(n_flagged):
        cell = flagged[k]
        row, col = cell // window.cols, cell % window.cols
        if _judge(cell, layers, empty, scan, rules, window, scratch):
            changed += 1
            bounds[0], bounds[1] = min(bounds[0], row), max(bounds[1], row + 1)
            bounds[2], bounds[3] = min(bounds[2], col), max(bounds[3], col + 1)
        scratch.marks[cell] &= FUSED
    return changed


@njit(cache=True, error_model="numpy")
def forget_fused(scratch: Scratch, n_touched: int) -> None:
    """Make the marks of a scan zero again."""
    for k in range(n_touched):
        scratch.marks[scratch.touched[k]] = 0
