"""Compiled loop of the elevation map over the cells that a scan touched."""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.cells import aged_variance, place_of, pose_variance
from ilrs_robots.core.mapping.map_state import FUSED, Layers, Rules, Scan, Scratch, Window
from ilrs_robots.core.types import Float32Array, IntArray

_HIGHEST_OF = 1.3 * np.log(np.maximum(np.arange(1024.0), 1.0))
"""Squared standard deviations that the highest of n noisy points stands above their surface."""


@njit(cache=True, inline="always")
def pass_limit(height: float, variance: float, pose: float, rules: Rules) -> float:
    """Height below which a ray contradicts one that is known.

    The cell's own doubt counts up to the clearance only: it grows where scans contradict the cell,
    and such a cell should be the first to go.
    """
    clear = rules.clearance_m
    gate = float(rules.gate_square)
    return float(height - clear - np.sqrt(gate * pose + min(gate * variance, clear * clear)))


@njit(cache=True, inline="always")
def _bound(old: float, seen: float, sign: float, variance: float, rules: Rules) -> float:
    """A bound after a scan: outwards at once where it is no noise, else a share of the way."""
    if old != old:
        return seen
    change = seen - old
    new = sign * change > 0.0 and change * change > rules.gate_square * variance
    return old + (change if new else rules.relaxation * change)


@njit(cache=True, error_model="numpy", inline="always")
def _hanging(old: np.float32, seen: np.float32, low: float, high: float) -> np.float32:
    """Lowest of what stands above a cell's height; NaN where that is nothing."""
    lowest = min(old, seen) if old == old else seen
    return lowest if low <= lowest <= high else np.float32(np.nan)


@njit(cache=True, error_model="numpy")
def _brighten(intensity: Float32Array, place: int, sums: Float32Array, gain: float) -> None:
    """Blend a cell's mean intensity like its height; the sums are zero afterwards."""
    if sums[0] > 0.0:
        old, seen = intensity[place], sums[1] / sums[0]
        intensity[place] = old + gain * (seen - old) if old == old else seen
    sums[:] = 0.0


@njit(cache=True, error_model="numpy")
def apply(
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
    part: int,
    n_touched: int,
    bounds: IntArray,
) -> int:
    """Give each touched cell of a part its sums once, clear the records; returns the points gated.

    The highest of n noisy points stands about sqrt(1.3 ln n) standard deviations above the
    surface, which the bounds do without.
    """
    gated = 0
    bright = scratch.brightness.shape[0] > 0
    touched, lowest, low_m = scratch.touched[part], scratch.lowest[part], scratch.low_m[part]
    for k in range(n_touched):
        at = touched[k]
        row, col = at // window.cols, at % window.cols
        place, r = place_of(row, col, window), scratch.records[at]
        ref, sw, n_in, n_out = float(r[0]), float(r[2]), float(r[7]), float(r[8])
        top, low = float(r[5]), float(r[6])
        lowest[k], low_m[k] = np.int32(r[9]), r[6]
        scratch.marks[at] = FUSED if n_in > 0.0 else 0
        point_variance = gain = 0.0
        height, variance = float(layers.elevation[place]), np.inf
        upper, lower = float(layers.upper_bound[place]), float(layers.lower_bound[place])
        pose = pose_variance(row, col, scan)
        if height == height:
            variance = aged_variance(place, layers, scan, rules)
            if layers.passed[place] and top > pass_limit(upper, variance, pose, rules):
                layers.passed[place] = 0
                layers.passes[place] = np.inf
        if n_in > 0.0:
            mean = float(r[3]) / sw
            point_variance = n_in / sw + scratch.slope_variance[at]
            spread = max(float(r[4]) / sw - mean * mean, 0.0)
            noise = max(point_variance, spread) / n_in + pose
            gain = variance / (variance + noise) if variance < np.inf else 1.0
            height = height + gain * (ref + mean - height) if gain < 1.0 else ref + mean
            variance = (1.0 - gain) * variance if gain < 1.0 else noise
            if n_in > 1.0:
                inside = np.sqrt(_HIGHEST_OF[min(int(n_in), 1023)] * point_variance)
                top, low = top - inside, low + inside
        variance += rules.outlier_variance * n_out / (n_in + n_out)
        layers.elevation[place] = height
        layers.variance[place] = min(max(variance, rules.min_variance), rules.max_variance)
        layers.count[place] += n_in
        layers.last_seen_s[place] = scan.stamp_s
        upper = _bound(upper, max(top, height), 1.0, point_variance, rules)
        lower = _bound(lower, min(low, height), -1.0, point_variance, rules)
        layers.upper_bound[place] = max(upper, height)
        layers.lower_bound[place] = min(lower, height)
        layers.hangs_from[place] = _hanging(
            layers.hangs_from[place], r[10], height + rules.clearance_m, layers.upper_bound[place]
        )
        if bright:
            _brighten(layers.intensity, place, scratch.brightness[at], gain)
        gated += int(n_out)
        r[:] = 0.0
        bounds[0], bounds[1] = min(bounds[0], row), max(bounds[1], row + 1)
        bounds[2], bounds[3] = min(bounds[2], col), max(bounds[3], col + 1)
    return gated
