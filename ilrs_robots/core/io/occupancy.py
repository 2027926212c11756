"""Cost to the contents of a nav_msgs/OccupancyGrid, and back.

An OccupancyGrid's origin is the outer **corner** of cell [0, 0], a ``GridSpec``'s its centre: half
a cell apart. Data are row by row from the lowest y.
"""

from __future__ import annotations

from array import array
from typing import Any, Final, NamedTuple

import numpy as np

from ilrs_robots.core.errors import MessageLayoutError
from ilrs_robots.core.types import Float32Array, GridSpec

UNKNOWN: Final = -1
LETHAL: Final = 100


class OccupancyArrays(NamedTuple):
    """What an OccupancyGrid holds besides its header.

    Attributes:
        width: cells along x.
        height: cells along y.
        resolution: cell size, metres.
        corner_m: x, y of the lower left corner of the grid, metres.
        data: ``array.array('b')`` of 0..100, -1 where unknown.
    """

    width: int
    height: int
    resolution: float
    corner_m: tuple[float, float]
    data: array[int]


def cost_to_occupancy(cost: Float32Array, spec: GridSpec) -> OccupancyArrays:
    """Round a cost to whole per cent; only a cost of 0.99 and more becomes 100 or 99.

    Args:
        cost: (rows, cols) float32 0..1, clipped; NaN unknown.
        spec: the grid that it is on.

    Raises:
        MessageLayoutError: ``shape``, where the cost is not on the grid.
    """
    if cost.shape != spec.shape:
        raise MessageLayoutError("shape", f"cost has shape {cost.shape}, the grid {spec.shape}")
    unknown = np.isnan(cost)
    percent = np.where(unknown, np.float32(0.0), cost) * np.float32(100.0)
    values = np.clip(np.rint(percent), 0, LETHAL).astype(np.int8)
    values[unknown] = UNKNOWN
    data = array("b")
    data.frombytes(np.ascontiguousarray(values).data.cast("B"))
    half = 0.5 * spec.resolution_m
    corner = (spec.origin_x_m - half, spec.origin_y_m - half)
    return OccupancyArrays(spec.cols, spec.rows, spec.resolution_m, corner, data)


def occupancy_to_cost(
    data: Any, height: int, width: int, resolution_m: float, corner_m: tuple[float, float]
) -> tuple[Float32Array, GridSpec]:
    """Cost of an OccupancyGrid's contents.

    Args:
        data: height * width numbers, -1 or 0..100.
        height: cells along y.
        width: cells along x.
        resolution_m: cell size.
        corner_m: the message's origin.

    Returns:
        (height, width) float32 0..1 with NaN unknown, and its grid.

    Raises:
        MessageLayoutError: reason ``negative_size``, ``resolution``, ``truncated`` or ``value``.
    """
    if height < 0 or width < 0:
        raise MessageLayoutError("negative_size", f"height {height}, width {width}")
    if not np.isfinite((resolution_m, *corner_m)).all() or resolution_m <= 0.0:
        raise MessageLayoutError("resolution", f"resolution {resolution_m} m, corner {corner_m}")
    values = np.asarray(data, dtype=np.int8)
    if values.size != height * width:
        raise MessageLayoutError("truncated", f"{values.size} values for {height} x {width} cells")
    if values.size and (int(values.min()) < UNKNOWN or int(values.max()) > LETHAL):
        raise MessageLayoutError(
            "value", f"values from {values.min()} to {values.max()}, allowed are -1 to 100"
        )
    cost = values.astype(np.float32).reshape(height, width)
    cost *= np.float32(0.01)
    cost[cost < 0.0] = np.nan
    half = 0.5 * resolution_m
    origin = corner_m[0] + half, corner_m[1] + half
    return cost, GridSpec(*origin, resolution_m, height, width)
