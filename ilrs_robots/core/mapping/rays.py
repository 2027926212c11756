"""Compiled loops that follow the rays of a scan over the map; see ``visibility`` for why."""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.cells import place_of
from ilrs_robots.core.mapping.map_state import (
    LANES,
    TILE,
    Int32Array,
    Layers,
    Scan,
    Scratch,
    UInt8Array,
    Window,
)
from ilrs_robots.core.types import Float32Array

DENSE = 16_000
"""Touched cells (a tenth of 400 x 400) beyond which a scan follows every second ray."""


@njit(cache=True, error_model="numpy", inline="always")
def _steps(
    start: float, end: float, cells: int, stop: float, height: float, slope: float, highest: float
) -> tuple[int, int, int]:
    """First and last column (along the ray's longer axis) to look at, and the direction.

    Only columns whose middle the ray crosses in its farther half and ``stop`` cells before its
    end, which are on the map, where it runs below anything that is known there. Nearer cells have
    rays of their own, which end nearer and run lower.
    """
    forward = 1 if end > start else -1
    height, start = height + 0.5 * abs(end - start) * slope, 0.5 * (start + end)
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


@njit(cache=True, error_model="numpy")
def _follow(
    first: int,
    count: int,
    forward: int,
    along_cols: bool,
    across0: np.float32,
    drift: np.float32,
    top0: np.float32,
    fall: np.float32,
    window: Window,
    limits: Float32Array,
    blocks: Float32Array,
    hangs_from: Float32Array,
    passes: Float32Array,
    passed: UInt8Array,
    flags: UInt8Array,
    flagged: Int32Array,
    n_flagged: int,
) -> int:
    """Go along a ray, ``count`` columns from ``first``; note the cells whose top it passes below.

    Step k is at across0 + k drift across the ray's longer axis and at the height top0 + k fall.
    Where that is above all limits of the tiles on its way, it goes on to the next tile. Arrays one
    by one, because each time a tuple of them is handed over it costs as much as a ray.
    """
    stride, side_stride = (1, window.cols) if along_cols else (window.cols, 1)
    last_lane = (window.rows if along_cols else window.cols) - 1
    shift = 0 if along_cols else LANES
    k = 0
    while k < count:
        # the steps that are left within this column of tiles
        at = first + k * forward
        left = TILE - 1 - at % TILE if forward > 0 else at % TILE
        stop = min(k + left, count - 1)
        here = min(max(int(across0 + np.float32(k) * drift), 0), last_lane) // TILE
        there = min(max(int(across0 + np.float32(stop) * drift), 0), last_lane) // TILE
        deepest = top0 + np.float32(stop if fall < 0 else k) * fall
        tile = at // TILE
        one = blocks[here, tile] if along_cols else blocks[tile, here]
        other = blocks[there, tile] if along_cols else blocks[tile, there]
        if deepest >= one and deepest >= other:
            k = stop + 1
            continue
        while k <= stop:
            across = across0 + np.float32(k) * drift
            top = top0 + np.float32(k) * fall
            lane = int(np.floor(across))
            at = first + k * forward
            cell = at * stride + lane * side_stride
            k += 1
            if lane < 0 or lane > last_lane or not top < limits[cell]:
                continue
            row, col = (lane, at) if along_cols else (at, lane)
            place = place_of(row, col, window)
            slot = shift + int((across - np.float32(lane)) * LANES)
            if top < hangs_from[place] or not top < passes[place, slot]:
                continue
            passes[place, slot] = top
            passed[place] = 1
            if flags[cell] == 0:
                flags[cell] = 1
                flagged[n_flagged] = cell
                n_flagged += 1
    return n_flagged


@njit(cache=True, error_model="numpy", nogil=True)
def cast(
    axis: int,
    flat: Float32Array,
    n_touched: int,
    highest: float,
    layers: Layers,
    scan: Scan,
    window: Window,
    scratch: Scratch,
    flagged: Int32Array,
) -> int:
    """Follow the rays that run along one axis; how many cells are flagged.

    There is one to the lowest point of each touched cell; where these are many, to every second
    one, as neighbours run through the same cells and another scan takes the others. Rays of the
    two axes write to memory of their own (lanes, flags), so that two threads may follow them with
    one result.

    A ray is looked at where it crosses the middle of each column along its longer axis (that of
    its cell's middle), with the height it has on the higher side of that cell.
    """
    m, limits, blocks, flags = scan.matrix, scratch.limits, scratch.blocks, scratch.flags[axis]
    hangs_from, passes, passed = layers.hangs_from, layers.passes, layers.passed
    lowest, low_m, last = scratch.lowest[0], scratch.low_m[0], flat.shape[0] // 3 - 1
    touched = scratch.touched[0]
    stop_cells = 3.0 * np.sqrt(float(scan.range_variance)) / scan.cell_m
    from_col, from_row, from_height = scan.sensor_col, scan.sensor_row, scan.sensor_height
    n_flagged = 0
    for k in range(n_touched):
        if low_m[k] >= highest and from_height >= highest:
            continue
        row, col = touched[k] // window.cols, touched[k] % window.cols
        if n_touched > DENSE and (row + col + scan.turn) % 2:
            continue
        along_cols = abs(col + 0.5 - from_col) >= abs(row + 0.5 - from_row)
        if along_cols != (axis == 0):
            continue
        at = 3 * min(lowest[k], last)
        x, y, z = flat[at], flat[at + 1], flat[at + 2]
        u = float(m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3])
        v = float(m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3])
        rise = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3] - from_height
        begin, end = (from_col, u) if along_cols else (from_row, v)
        side, side_end = (from_row, v) if along_cols else (from_col, u)
        reach = abs(end - begin)
        if reach < 2.0:
            continue
        slope, drift = rise / reach, (side_end - side) / reach
        cells = window.cols if along_cols else window.rows
        first, final, forward = _steps(begin, end, cells, stop_cells, from_height, slope, highest)
        count = (final - first) * forward + 1
        if count > 0:
            ahead = (first + 0.5 - begin) * forward
            n_flagged = _follow(
                first, count, forward, along_cols, np.float32(side + ahead * drift),
                np.float32(drift),
                np.float32(from_height + ahead * slope + 0.5 * abs(slope)), np.float32(slope),
                window, limits, blocks, hangs_from, passes, passed, flags, flagged, n_flagged,
            )  # fmt: skip
    return n_flagged
