"""Moving a map that was kept: odom began elsewhere, the ground is where it was.

The rule: what turns no cell by more than half its width and lifts no height by more than
``LIFT_LIMIT_M`` over the window counts as a shift: the window moves by whole cells (at most half a
cell of error) and heights rise by the difference; with equal anchors every bit stays. A larger
turn about z is resampled: each new cell takes all that the cell under its centre held. Frames
that are tilted against each other are refused: heights in them are not comparable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.map_files import HEIGHTS
from ilrs_robots.core.types import FloatArray

LIFT_LIMIT_M: Final = 0.02
"""Heights are refused where a tilt changes them by more than this over half a window."""


def moved(
    arrays: Mapping[str, NDArray[Any]], resolution_m: float, T_new_old: FloatArray
) -> dict[str, NDArray[Any]]:
    """The state of a map in another odom frame.

    Args:
        arrays: as ``ElevationMap.to_arrays`` gives them, layers (size, size) in the map's units;
            not altered.
        resolution_m: cell size.
        T_new_old: (4, 4) takes coordinates of the frame it was kept in to the new one.

    Returns:
        A state for ``ElevationMap.from_arrays``.

    Raises:
        TerrainError: the frames are tilted against each other.
    """
    size = arrays["elevation"].shape[0]
    half_m = 0.5 * size * resolution_m
    lift_m = float(np.hypot(T_new_old[2, 0], T_new_old[2, 1])) * half_m
    if lift_m > LIFT_LIMIT_M:
        raise TerrainError(
            f"the map's frame is tilted against odom by {math.degrees(lift_m / half_m):.2f} deg: "
            f"{lift_m:.3f} m over half a window, limit {LIFT_LIMIT_M} m"
        )
    yaw = se3.yaw_of(se3.split_transform(T_new_old)[1])
    row, col = (int(v) for v in arrays["first_cell"])
    middle = resolution_m * (np.array([col, row]) + 0.5 * (size - 1))
    turn_m = abs(yaw) * math.sqrt(2.0) * half_m
    if turn_m <= 0.5 * resolution_m:
        carried = T_new_old[:2, :2] @ middle + T_new_old[:2, 3]
        shift = np.rint((carried - middle) / resolution_m).astype(np.int64)
        out = dict(arrays)
        out["first_cell"] = np.array([row + shift[1], col + shift[0]], dtype=np.int64)
    else:
        out = _turned(arrays, resolution_m, T_new_old, middle)
    dz = np.float32(T_new_old[2, 3])
    if abs(dz) > 1e-6:
        for name in HEIGHTS:
            if name in out:
                out[name] = out[name] + dz
    return out


def _turned(
    arrays: Mapping[str, NDArray[Any]], step: float, T_new_old: FloatArray, middle: FloatArray
) -> dict[str, NDArray[Any]]:
    """Nearest cells on a new window of the same size around the carried middle."""
    size = arrays["elevation"].shape[0]
    row, col = (int(v) for v in arrays["first_cell"])
    carried = T_new_old[:2, :2] @ middle + T_new_old[:2, 3]
    first = np.rint(carried / step - 0.5 * (size - 1)).astype(np.int64)
    x, y = np.meshgrid(step * (first[0] + np.arange(size)), step * (first[1] + np.arange(size)))
    back = se3.invert(T_new_old)
    at_x = back[0, 0] * x + back[0, 1] * y + back[0, 3]
    at_y = back[1, 0] * x + back[1, 1] * y + back[1, 3]
    from_col = np.rint(at_x / step).astype(np.int64) - col
    from_row = np.rint(at_y / step).astype(np.int64) - row
    known = (from_row >= 0) & (from_row < size) & (from_col >= 0) & (from_col < size)
    source = np.where(known, from_row * size + from_col, 0)
    out = dict(arrays)
    for name, values in arrays.items():
        if values.shape == (size, size):
            empty = np.nan if values.dtype.kind == "f" and name != "count" else 0
            out[name] = np.where(known, values.reshape(-1)[source], values.dtype.type(empty))
    out["first_cell"] = np.array([first[1], first[0]], dtype=np.int64)
    return out
