"""How much higher or lower than the map a scan is as a whole.

Odometry's height drifts, and a small offset between scan and map makes every cell contradict its
history. The offset is taken out of the *scan*: neither ground that is seen nor ground that is not
is ever moved, and what enters at the rim continues what is there without a step. Up to a dead band
the scan is left as it is, so that exact poses give the map as if there were no compensation and a
lasting offset still pulls the ground that is seen slowly after the odometry.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.mapping import threads
from ilrs_robots.core.mapping.map_config import ElevationMapConfig
from ilrs_robots.core.mapping.map_state import Scan, Scratch, Window
from ilrs_robots.core.mapping.prior import gradient
from ilrs_robots.core.types import Float32Array

ALONE = 200_000
"""Points that one thread goes through in about the time it takes to wake another."""
SAMPLES = 8192
LEAST = 100
"""Points wanted, and points below which nothing is said: the median of 100 points with 1 cm of
noise is good to 1.3 mm."""
_STEEPEST = 0.18
"""Gradient of ground that counts as flat: 10 degrees."""


@njit(cache=True, error_model="numpy", nogil=True)
def _residuals(
    flat: Float32Array,
    mask: int,
    limit_m: float,
    most_variance: float,
    scan: Scan,
    window: Window,
    scratch: Scratch,
) -> Float32Array:
    """Heights of a share of the points above the map's flat and sure cells.

    The share is chosen by a hash of the coordinates, not by the place in the scan, so that the
    order of the points does not matter. A cell's own slope is taken off.
    """
    m = scan.matrix
    count = flat.shape[0] // 3
    bits = flat.view(np.uint32)
    out = np.empty(count, np.float32)
    used = 0
    for k in range(count):
        if (bits[3 * k] ^ (bits[3 * k + 1] >> np.uint32(3))) & np.uint32(mask):
            continue
        x, y, z = flat[3 * k], flat[3 * k + 1], flat[3 * k + 2]
        square = x * x + y * y + z * z
        u = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]
        v = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]
        if not (scan.range_square_low <= square <= scan.range_square_high):
            continue
        if not (0.0 <= u < window.cols and 0.0 <= v < window.rows):
            continue
        row, col = int(v), int(u)
        cell = row * window.cols + col
        known = scratch.heights[cell]
        if not scratch.gates[cell] <= most_variance:
            continue
        if not (0 < row < window.rows - 1 and 0 < col < window.cols - 1):
            continue
        left, right = scratch.heights[cell - 1], scratch.heights[cell + 1]
        below, above = scratch.heights[cell - window.cols], scratch.heights[cell + window.cols]
        if not np.isfinite(left + right + below + above):
            continue
        slope_x = gradient(left, known, right) / scan.cell_m
        slope_y = gradient(below, known, above) / scan.cell_m
        if slope_x * slope_x + slope_y * slope_y > _STEEPEST * _STEEPEST:
            continue
        plane = (u - col - 0.5) * slope_x + (v - row - 0.5) * slope_y
        height = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        residual = height - known - plane * scan.cell_m
        if abs(residual) <= limit_m:
            out[used] = residual
            used += 1
    return out[:used]


def offset_of(
    flat: Float32Array,
    config: ElevationMapConfig,
    scan: Scan,
    window: Window,
    scratch: Scratch,
) -> float | None:
    """How much higher than the map a scan's flat ground is, metres.

    The median over points on cells that are flat and sure, so that what has moved and what stands
    up does not count.

    Args:
        flat: (3 * n,) float32 points in the sensor frame, metres.
        config: limits.
        scan: pose and noise of the scan.
        window: size of the map.
        scratch: what ``prior.prepare`` says of the map before the scan.

    Returns:
        None where too few points say so, or where they disagree among themselves.
    """
    mask = (1 << max(int(flat.shape[0] / 3 / SAMPLES).bit_length() - 1, 0)) - 1
    middle = flat.shape[0] // 6 * 3
    halves = (flat[:middle], flat[middle:])
    rules = (mask, 2.0 * config.drift_limit_m, config.drift_sigma_m**2)
    residuals = np.concatenate(
        threads.both(
            lambda half: _residuals(halves[half], *rules, scan, window, scratch),
            flat.shape[0] > 3 * ALONE,
        )
    )
    if residuals.size < LEAST:
        return None
    offset = float(np.median(residuals))
    spread = float(np.median(np.abs(residuals - np.float32(offset))))
    if abs(offset) > config.drift_limit_m or spread > max(config.drift_sigma_m, 0.01):
        return None
    return offset


def shift_of(offset_m: float | None, config: ElevationMapConfig) -> float:
    """What to add to a scan's heights: the offset's excess over the dead band, metres."""
    if offset_m is None or abs(offset_m) <= config.drift_deadband_m:
        return 0.0
    return -float(np.copysign(abs(offset_m) - config.drift_deadband_m, offset_m))
