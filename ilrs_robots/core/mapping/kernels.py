"""Compiled loops of the elevation map over points; what follows per cell is in ``cell_update``.

Points are taken in blocks. A first loop without branches, which the compiler turns into vector
instructions, gives cell, height and weight of each point. A second one adds them to their cells.
Every sum is over the whole scan and relative to the cell's own height, so the order of the points
changes nothing but the last bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.cell_update import apply
from ilrs_robots.core.mapping.map_state import (
    BLOCK,
    GATED,
    Int32Array,
    Layers,
    Rules,
    Scan,
    Scratch,
    Window,
)
from ilrs_robots.core.types import Float32Array, IntArray


@njit(cache=True, error_model="numpy")
def project(
    flat: Float32Array,
    scan: Scan,
    window: Window,
    cell: Int32Array,
    height: Float32Array,
    weight: Float32Array,
) -> None:
    """Cell (or the reason, negative), height and inverse variance of each point of a block.

    ``flat`` is (3 n,): with the stride known at compile time the loop becomes vector code.
    The variance of a point's height on level ground follows from the ray's elevation e and range
    r: height_variance + range_variance sin(e)^2 + (angle_variance + incidence_variance)
    (r cos(e))^2. What a slope adds is a matter of the cell, see ``prior``.
    """
    m = scan.matrix
    ax, ay, az, au = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    bx, by, bz, bu = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    cx, cy, cz, cu = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    low, high = scan.range_square_low, scan.range_square_high
    base, along = scan.height_variance, scan.range_variance
    across = scan.angle_variance + scan.incidence_variance
    u_end, v_end = np.float32(window.cols), np.float32(window.rows)
    zero, one, infinity = np.float32(0.0), np.float32(1.0), np.float32(np.inf)
    for k in range(flat.shape[0] // 3):
        x, y, z = flat[3 * k], flat[3 * k + 1], flat[3 * k + 2]
        square = x * x + y * y + z * z
        u = ax * x + ay * y + az * z + au
        v = bx * x + by * y + bz * z + bu
        rise = cx * x + cy * y + cz * z
        in_range = (square >= low) & (square <= high)
        inside = in_range & (u >= zero) & (u < u_end) & (v >= zero) & (v < v_end)
        column = np.floor(u if inside else zero)
        row = np.floor(v if inside else zero)
        finite = square < infinity
        reason = np.int32(-3) if in_range else (np.int32(-2) if finite else np.int32(-1))
        cell[k] = np.int32(row * u_end + column) if inside else reason
        height[k] = rise + cu
        safe = square if in_range else one
        up = rise * rise
        weight[k] = safe / (base * safe + along * up + across * (safe - up) * safe)


@njit(cache=True, error_model="numpy")
def _lower(flat: Float32Array, k: int, other: int) -> bool:
    """Whether point k comes before another of equal height, whatever their order in the scan."""
    for axis in range(3):
        if flat[3 * k + axis] != flat[3 * other + axis]:
            return bool(flat[3 * k + axis] < flat[3 * other + axis])
    return False


@njit(cache=True, error_model="numpy")
def _scatter(
    flat: Float32Array,
    start: int,
    cell: Int32Array,
    height: Float32Array,
    weight: Float32Array,
    count: int,
    gate: np.float32,
    scratch: Scratch,
    n_touched: int,
    dropped: IntArray,
) -> int:
    """Add a block to the records of its cells; returns how many cells are touched by now.

    The record of the cell at hand stays in registers: neighbours in a scan mostly share a cell.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    records, current = scratch.records, np.int32(-1)
    ref = limit = sw = swd = swdd = top = low = n_in = n_out = zero
    lowest = np.int32(0)
    for k in range(count):
        at = cell[k]
        if at < 0:
            dropped[-1 - at] += 1
            continue
        h = height[k]
        if at != current:
            if current >= 0:
                r = records[current]
                r[0], r[1], r[2], r[3], r[4] = ref, limit, sw, swd, swdd
                r[5], r[6], r[7], r[8], r[9] = top, low, n_in, n_out, np.float32(lowest)
            current = at
            r = records[at]
            ref, limit, sw, swd, swdd = r[0], r[1], r[2], r[3], r[4]
            top, low, n_in, n_out, lowest = r[5], r[6], r[7], r[8], np.int32(r[9])
            if limit == zero:
                scratch.touched[n_touched] = at
                n_touched += 1
                ref, limit = scratch.heights[at], scratch.gates[at]
                if ref != ref:
                    ref, limit = h, np.float32(np.inf)
                top, low, lowest = h, h, np.int32(start + k)
                records[at, 10] = np.inf
        w = weight[k]
        d = h - ref
        top = max(top, h)
        if h <= low and (h < low or _lower(flat, start + k, lowest)):
            low, lowest = h, np.int32(start + k)
        if d * d * w <= gate * (limit * w + one):
            wd = w * d
            sw += w
            swd += wd
            swdd += wd * d
            n_in += one
        else:
            n_out += one
            cell[k] = -1
            if d > zero:
                records[at, 10] = min(records[at, 10], h)
    if current >= 0:
        r = records[current]
        r[0], r[1], r[2], r[3], r[4] = ref, limit, sw, swd, swdd
        r[5], r[6], r[7], r[8], r[9] = top, low, n_in, n_out, np.float32(lowest)
    return n_touched


@njit(cache=True, error_model="numpy")
def _brighten(
    cell: Int32Array, weight: Float32Array, intensity: Float32Array, sums: Float32Array
) -> None:
    """Add the intensities of a block's points, those that were gated left out."""
    for k in range(intensity.shape[0]):
        value = intensity[k]
        if cell[k] >= 0 and np.isfinite(value):
            sums[cell[k], 0] += weight[k]
            sums[cell[k], 1] += weight[k] * value


@njit(cache=True, error_model="numpy", nogil=True)
def fuse_scan(
    flat: Float32Array,
    intensity: Float32Array,
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
) -> tuple[int, IntArray, IntArray]:
    """Fuse one scan.

    Args:
        flat: (3 n,) float32 points in the sensor frame, x y z x y z.
        intensity: (n,) float32 in the sensor's unit, or (0,).
        layers: state, altered.
        scan: pose and noise of the scan.
        rules: gate and variances.
        window: place of the map in its buffer.
        scratch: room, with what ``prior.prepare`` fills.

    Returns:
        Cells touched; points dropped as (4,) counts: non-finite, range, outside, gated; (4,)
        bounds of the touched cells in the window: first row, end row, first column, end column.
    """
    cell = np.empty(BLOCK, np.int32)
    height = np.empty(BLOCK, np.float32)
    weight = np.empty(BLOCK, np.float32)
    dropped = np.zeros(4, np.int64)
    count = flat.shape[0] // 3
    n_touched = 0
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        project(flat[3 * start : 3 * stop], scan, window, cell, height, weight)
        n_touched = _scatter(
            flat, start, cell, height, weight, stop - start, rules.gate_square, scratch,
            n_touched, dropped,
        )  # fmt: skip
        if intensity.shape[0] > 0:
            _brighten(cell, weight, intensity[start:stop], scratch.brightness)
    bounds = np.array([window.rows, 0, window.cols, 0])
    dropped[GATED] = apply(layers, scan, rules, window, scratch, n_touched, bounds)
    return n_touched, dropped, bounds
