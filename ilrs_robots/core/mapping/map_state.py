"""What the elevation map's kernels work on: layers, window, one scan, the rules."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import Float32Array

Int32Array = NDArray[np.int32]

BLOCK: Final = 512
RECORD: Final = 8
"""float32 numbers kept per cell during a scan: reference height, gate variance, sum of weights,
of weighted and of weighted squared residuals, highest residual, points in the gate and out of it.
They fill half a cache line, so that a point costs one line."""

NON_FINITE: Final = 0
RANGE: Final = 1
OUTSIDE: Final = 2
GATED: Final = 3


class Layers(NamedTuple):
    """State of the map, each (rows * cols,) float32 in the circular buffer's own order."""

    elevation: Float32Array
    variance: Float32Array
    upper_bound: Float32Array
    count: Float32Array  # type: ignore[assignment]
    last_seen_s: Float32Array


class Window(NamedTuple):
    """Size of the map and where its row 0 and column 0 are in the circular buffer."""

    rows: int
    cols: int
    first_row: int
    first_col: int


class Scan(NamedTuple):
    """What holds for every point of one scan; lengths in metres, variances in square metres."""

    matrix: Float32Array
    """(3, 4): sensor coordinates to column, row (cells, 0.0 is an edge) and height."""
    range_square_low: np.float32
    range_square_high: np.float32
    height_variance: np.float32
    range_variance: np.float32
    angle_variance: np.float32
    sensor_col: float
    sensor_row: float
    cell_square: float
    pose_z_variance: float
    pose_tilt_variance: float
    stamp_s: float


class Rules(NamedTuple):
    """How a cell takes what it is given."""

    gate_square: np.float32
    growth_per_s: float
    outlier_variance: float
    min_variance: float
    max_variance: float
    upper_relaxation: float
