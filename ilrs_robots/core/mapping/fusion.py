"""Fuse a scan into the map, on two cores where it is large; the loops are in ``kernels``."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.mapping import threads
from ilrs_robots.core.mapping.kernels import fuse_part
from ilrs_robots.core.mapping.map_state import WHOLE, Layers, Rules, Scan, Scratch, Window
from ilrs_robots.core.types import Float32Array, IntArray

ALONE: Final = 20_000
"""Points that one thread fuses in about the time it takes to wake another and to share."""


def fuse_scan(
    flat: Float32Array,
    intensity: Float32Array,
    layers: Layers,
    scan: Scan,
    rules: Rules,
    window: Window,
    scratch: Scratch,
) -> tuple[int, IntArray, IntArray]:
    """Fuse one scan; one thread or two give the same bytes.

    Args:
        flat: (3 * n,) float32 points in the sensor frame, x y z x y z, metres.
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
    rest = (flat, intensity, layers, scan, rules, window, scratch)
    if flat.shape[0] <= 3 * ALONE or not threads.two_cores():
        touched, dropped, bounds = fuse_part(WHOLE, *rest)
        return int(touched), dropped, bounds
    even, odd = threads.both(lambda part: fuse_part(part, *rest), True)
    n_even, n_odd = int(even[0]), int(odd[0])
    for listed in (scratch.touched, scratch.lowest, scratch.low_m):
        _append(listed, n_even, n_odd)
    dropped = even[1]
    dropped[-1] += odd[1][-1]
    low, high = np.minimum(even[2], odd[2]), np.maximum(even[2], odd[2])
    return n_even + n_odd, dropped, np.array([low[0], high[1], low[2], high[3]])


def _append(listed: NDArray[np.generic], n_even: int, n_odd: int) -> None:
    """Put the other half's list behind the first one's."""
    listed[0, n_even : n_even + n_odd] = listed[1, :n_odd]
