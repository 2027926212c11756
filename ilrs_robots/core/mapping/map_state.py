"""What the elevation map's kernels work on: layers, window, one scan, the rules."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import Float32Array

Int32Array = NDArray[np.int32]
UInt8Array = NDArray[np.uint8]

BLOCK: Final = 512
CACHE_LINE: Final = 64
TILE: Final = 8
FUSED: Final = 1
TOUCHED: Final = 2
STRIPE: Final = 8
"""Rows per stripe: two threads fuse one scan, one the even stripes of the map, one the odd."""
WHOLE: Final = -1
"""Instead of 0 or 1, which half of the stripes: both."""
RECORD: Final = 11
"""float32 numbers kept per cell during a scan: reference height, gate variance, sum of weights,
of weighted and of weighted squared residuals, highest and lowest height, points in the gate and
out of it, index of the lowest point, lowest height above the gate."""

NON_FINITE: Final = 0
RANGE: Final = 1
OUTSIDE: Final = 2
GATED: Final = 3


class Layers(NamedTuple):
    """State of the map, each (rows * cols,) float32 in the circular buffer's own order.

    The last three are the memory of the visibility check and no layers for users: the lowest of
    what was measured above the elevation, (rows * cols, 8) heights of the lowest ray through each
    lane of a cell, infinite where none came, and uint8 whether there was any.
    """

    elevation: Float32Array
    variance: Float32Array
    upper_bound: Float32Array
    count: Float32Array  # type: ignore[assignment]
    last_seen_s: Float32Array
    lower_bound: Float32Array
    intensity: Float32Array
    hangs_from: Float32Array
    passes: Float32Array
    passed: UInt8Array


LANES: Final = 4
HIDDEN: Final = ("hangs_from", "passes", "passed")
_FILLS: Final[dict[str, np.generic[Any]]] = {
    "count": np.float32(0.0),
    "passes": np.float32(np.inf),
    "passed": np.uint8(0),
}
EMPTY: Final = tuple(_FILLS.get(name, np.float32(np.nan)) for name in Layers._fields)
"""What an unknown cell holds, in the order of ``Layers``."""


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
    incidence_variance: np.float32
    sensor_col: float
    sensor_row: float
    sensor_height: float
    cell_m: float
    pose_z_variance: float
    pose_tilt_variance: float
    stamp_s: float
    view_top_sine: float
    turn: int
    """Of a dense scan's rays, which half is followed: those of even or of odd cells."""


class Rules(NamedTuple):
    """How a cell takes what it is given."""

    gate_square: np.float32
    growth_per_s: float
    outlier_variance: float
    min_variance: float
    max_variance: float
    relaxation: float
    clearance_m: float


def aligned(rows: int, columns: int) -> Float32Array:
    """(rows, columns) float32 zeros that begin on a cache line."""
    room = np.zeros(rows * columns + CACHE_LINE // 4, np.float32)
    skip = -room.ctypes.data % CACHE_LINE // 4
    return room[skip : skip + rows * columns].reshape(rows, columns)


class Scratch(NamedTuple):
    """Room for one scan, in the window's own order or in the order of the touched cells."""

    records: Float32Array
    """(cells, RECORD) zeros; zeros again after each scan."""
    touched: Int32Array
    """(2, cells) the cells that have points; the second row is for the other thread's half."""
    heights: Float32Array
    """(cells,) elevation before the scan."""
    gates: Float32Array
    """(cells,) variance that the gate allows for besides that of a point, before the scan."""
    slope_variance: Float32Array
    """(cells,) what a cell's slope adds to a point's variance."""
    lowest: Int32Array
    """(2, cells) of each touched cell: its lowest point."""
    low_m: Float32Array
    """(2, cells) of each touched cell: the height of that point."""
    marks: UInt8Array
    """(cells,) zeros; while a scan is at hand TOUCHED, and then FUSED where it agrees."""
    flags: UInt8Array
    """(2, cells) zeros; while a scan is at hand 1 where its rays along an axis passed."""
    flagged: Int32Array
    """(2, cells) the cells so flagged."""
    limits: Float32Array
    """(cells,) height below which a ray contradicts the cell."""
    blocks: Float32Array
    """(ceil(rows / TILE), ceil(cols / TILE)) highest of the limits of TILE x TILE cells."""
    brightness: Float32Array
    """(cells, 2) zeros, sums of weight and of weighted intensity; (0, 2) where unused."""


def scratch_of(size: int) -> Scratch:
    """Room for scans into a map of size x size cells."""
    cells, tiles = size * size, -(-size // TILE)
    return Scratch(
        aligned(cells, RECORD),
        np.empty((2, cells), np.int32),
        np.empty(cells, np.float32),
        np.empty(cells, np.float32),
        np.zeros(cells, np.float32),
        np.empty((2, cells), np.int32),
        np.empty((2, cells), np.float32),
        np.zeros(cells, np.uint8),
        np.zeros((2, cells), np.uint8),
        np.empty((2, cells), np.int32),
        np.empty(cells, np.float32),
        np.empty((tiles, tiles), np.float32),
        np.zeros((0, 2), np.float32),
    )
