"""Compiled loops of the elevation map: one pass over points, one over the cells they touched.

Points are taken in blocks. A first loop without branches, which the compiler turns into vector
instructions, gives cell, height and weight of each point. A second one adds them to their cells.
Every sum is over the whole scan and relative to the cell's own height, so the order of the points
changes nothing but the last bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.map_state import (
    BLOCK,
    GATED,
    Int32Array,
    Layers,
    Rules,
    Scan,
    Window,
)
from ilrs_robots.core.types import Float32Array, IntArray


@njit(cache=True, error_model="numpy")
def _project(
    flat: Float32Array,
    scan: Scan,
    window: Window,
    cell: Int32Array,
    height: Float32Array,
    weight: Float32Array,
) -> None:
    """Cell (or the reason, negative), height and inverse variance of each point of a block.

    ``flat`` is (3 n,): with the stride known at compile time the loop becomes vector code.
    The variance of a point's height follows from the ray's elevation e and range r:
    height_variance + range_variance sin(e)^2 + angle_variance (r cos(e))^2.
    """
    m = scan.matrix
    ax, ay, az, au = m[0, 0], m[0, 1], m[0, 2], m[0, 3]
    bx, by, bz, bu = m[1, 0], m[1, 1], m[1, 2], m[1, 3]
    cx, cy, cz, cu = m[2, 0], m[2, 1], m[2, 2], m[2, 3]
    low, high = scan.range_square_low, scan.range_square_high
    base, along, across = scan.height_variance, scan.range_variance, scan.angle_variance
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


@njit(cache=True, inline="always")
def _place(cell: int, window: Window) -> int:
    """Where a cell of the window is in the circular buffer."""
    row = cell // window.cols + window.first_row
    col = cell % window.cols + window.first_col
    if row >= window.rows:
        row -= window.rows
    if col >= window.cols:
        col -= window.cols
    return row * window.cols + col


@njit(cache=True, inline="always")
def _pose_variance(cell: int, scan: Scan, window: Window) -> float:
    """Height variance that the pose adds to a whole cell: z, and tilt times distance."""
    across = (cell % window.cols) + 0.5 - scan.sensor_col
    along = (cell // window.cols) + 0.5 - scan.sensor_row
    square = (across * across + along * along) * scan.cell_square
    return scan.pose_z_variance + scan.pose_tilt_variance * square


@njit(cache=True, inline="always")
def _aged_variance(place: int, layers: Layers, scan: Scan, rules: Rules) -> float:
    """Variance of a known cell at the time of the scan."""
    idle = max(scan.stamp_s - layers.last_seen_s[place], 0.0)
    grown = float(layers.variance[place]) + rules.growth_per_s * idle
    return float(min(grown, rules.max_variance))


@njit(cache=True, error_model="numpy")
def _scatter(
    cell: Int32Array,
    height: Float32Array,
    weight: Float32Array,
    count: int,
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    records: Float32Array,
    touched: Int32Array,
    n_touched: int,
    dropped: IntArray,
) -> int:
    """Add a block to the records of its cells; returns how many cells are touched by now.

    The record of the cell at hand stays in registers: neighbours in a scan mostly share a cell.
    """
    gate, one, zero = rules.gate_square, np.float32(1.0), np.float32(0.0)
    current = np.int32(-1)
    ref = limit = sw = swd = swdd = top = n_in = n_out = zero
    for k in range(count):
        at = cell[k]
        if at < 0:
            dropped[-1 - at] += 1
            continue
        if at != current:
            if current >= 0:
                r = records[current]
                r[0], r[1], r[2], r[3] = ref, limit, sw, swd
                r[4], r[5], r[6], r[7] = swdd, top, n_in, n_out
            current = at
            r = records[at]
            ref, limit, sw, swd = r[0], r[1], r[2], r[3]
            swdd, top, n_in, n_out = r[4], r[5], r[6], r[7]
            if n_in + n_out == zero:
                touched[n_touched] = at
                n_touched += 1
                place = _place(at, window)
                ref = layers.elevation[place]
                limit = np.float32(np.inf)
                if ref == ref:
                    known = _aged_variance(place, layers, scan, rules)
                    limit = np.float32(known + _pose_variance(at, scan, window))
                else:
                    ref = height[k]
                top = np.float32(-np.inf)
        w = weight[k]
        d = height[k] - ref
        top = max(top, d)
        if d * d * w <= gate * (limit * w + one):
            wd = w * d
            sw += w
            swd += wd
            swdd += wd * d
            n_in += one
        else:
            n_out += one
    if current >= 0:
        r = records[current]
        r[0], r[1], r[2], r[3] = ref, limit, sw, swd
        r[4], r[5], r[6], r[7] = swdd, top, n_in, n_out
    return n_touched


@njit(cache=True, error_model="numpy")
def _apply(
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    records: Float32Array,
    touched: Int32Array,
    n_touched: int,
) -> int:
    """Give each touched cell its sums once, clear the records; returns the points gated."""
    gated = 0
    for k in range(n_touched):
        at = touched[k]
        place = _place(at, window)
        r = records[at]
        ref, sw, n_in, n_out = float(r[0]), float(r[2]), float(r[6]), float(r[7])
        top = ref + r[5]
        point_variance = 0.0
        height = layers.elevation[place]
        variance = np.inf
        if height == height:
            variance = _aged_variance(place, layers, scan, rules)
        if n_in > 0.0:
            mean = float(r[3]) / sw
            point_variance = n_in / sw
            spread = max(float(r[4]) / sw - mean * mean, 0.0)
            noise = max(1.0, spread * sw / n_in) / sw + _pose_variance(at, scan, window)
            if variance == np.inf:
                height, variance = ref + mean, noise
            else:
                gain = variance / (variance + noise)
                height = height + gain * (ref + mean - height)
                variance = (1.0 - gain) * variance
            if n_in > 1.0:
                top -= np.sqrt(1.3 * np.log(n_in) * point_variance)
        variance += rules.outlier_variance * n_out / (n_in + n_out)
        layers.elevation[place] = height
        layers.variance[place] = min(max(variance, rules.min_variance), rules.max_variance)
        layers.count[place] += n_in
        layers.last_seen_s[place] = scan.stamp_s
        upper = layers.upper_bound[place]
        seen = max(top, height)
        if upper != upper:
            upper = seen
        else:
            change = seen - upper
            new = change > 0.0 and change * change > rules.gate_square * point_variance
            upper += change if new else rules.upper_relaxation * change
        layers.upper_bound[place] = max(upper, height)
        gated += int(n_out)
        r[:] = 0.0
    return gated


@njit(cache=True, error_model="numpy")
def fuse_scan(
    flat: Float32Array,
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    records: Float32Array,
    touched: Int32Array,
) -> tuple[int, IntArray]:
    """Fuse one scan.

    Args:
        flat: (3 n,) float32 points in the sensor frame, x y z x y z.
        layers: state, altered.
        scan: pose and noise of the scan.
        rules: gate and variances.
        window: place of the map in its buffer.
        records: (rows * cols, RECORD) float32 zeros; zeros again on return.
        touched: (rows * cols,) int32 room.

    Returns:
        Cells touched, and points dropped as (4,) counts: non-finite, range, outside, gated.
    """
    cell = np.empty(BLOCK, np.int32)
    height = np.empty(BLOCK, np.float32)
    weight = np.empty(BLOCK, np.float32)
    dropped = np.zeros(4, np.int64)
    count = flat.shape[0] // 3
    n_touched = 0
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        _project(flat[3 * start : 3 * stop], scan, window, cell, height, weight)
        n_touched = _scatter(
            cell, height, weight, stop - start, layers, scan, rules, window, records, touched,
            n_touched, dropped,
        )  # fmt: skip
    dropped[GATED] = _apply(layers, scan, rules, window, records, touched, n_touched)
    return n_touched, dropped
