"""Layers to the contents of a grid_map_msgs/GridMap, and back.

grid_map's matrix has one row per cell along x and one column per cell along y. Row 0 has the
highest x, column 0 the highest y: indices grow towards -x and -y. Its circular buffer starts at
(outer, inner) = (row, column) start index. Storage is column by column. Seen as a C array that is
[column, row], so that it is ours turned by half a turn: both axes reversed, which is the flat
array reversed.

Reference: ANYbotics grid_map, GridMapMath.cpp and GridMapRosConverter.cpp.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ilrs_robots.core.errors import MessageLayoutError
from ilrs_robots.core.types import Float32Array, GridSpec

MAX_CELLS = 100_000_000


class GridMapArrays(NamedTuple):
    """What a GridMap message holds besides header and pose's orientation.

    Attributes:
        resolution: cell size, metres.
        length_x: size of the map along x, metres.
        length_y: size along y.
        position: x, y of the middle of the map, metres.
        layers: names.
        data: one flat float32 array per layer.
        dims: (label, size, stride) of each dimension, alike for all layers.
        outer_start_index: row where the circular buffer starts.
        inner_start_index: column where it starts.
    """

    resolution: float
    length_x: float
    length_y: float
    position: tuple[float, float]
    layers: tuple[str, ...]
    data: tuple[Any, ...]
    dims: tuple[tuple[str, int, int], ...]
    outer_start_index: int = 0
    inner_start_index: int = 0


def to_grid_map_arrays(layers: Mapping[str, Float32Array], spec: GridSpec) -> GridMapArrays:
    """Lay layers out as grid_map does.

    Args:
        layers: name to (rows, cols) float32; row 0 has the lowest y, column 0 the lowest x.
        spec: the grid that they are on.

    Returns:
        Contents whose ``data`` are ``array.array('f')``, which a message takes at once.

    Raises:
        MessageLayoutError: ``shape``, where a layer is not on the grid.
    """
    packed = []
    for name, values in layers.items():
        if values.shape != spec.shape:
            raise MessageLayoutError(
                "shape", f"layer {name!r} has shape {values.shape}, the grid has {spec.shape}"
            )
        turned = np.ascontiguousarray(values.reshape(-1)[::-1], dtype=np.float32)
        data = array("f")
        data.frombytes(turned.data.cast("B"))
        packed.append(data)
    step = spec.resolution_m
    middle = (
        spec.origin_x_m + 0.5 * (spec.cols - 1) * step,
        spec.origin_y_m + 0.5 * (spec.rows - 1) * step,
    )
    dims = (
        ("column_index", spec.rows, spec.rows * spec.cols),
        ("row_index", spec.cols, spec.cols),
    )
    return GridMapArrays(
        step, spec.cols * step, spec.rows * step, middle, tuple(layers), tuple(packed), dims
    )


def from_grid_map(content: GridMapArrays) -> tuple[dict[str, Float32Array], GridSpec]:
    """Layers in our order, whatever the start indices and the storage order of the message.

    Returns:
        name to (rows, cols) float32, and the grid.

    Raises:
        MessageLayoutError: reason ``resolution``, ``size``, ``layers``, ``dims``, ``truncated`` or
            ``start_index``.
    """
    spec = _spec_of(content)
    if len(content.layers) != len(content.data):
        raise MessageLayoutError(
            "layers", f"{len(content.layers)} layer names for {len(content.data)} arrays"
        )
    along_x, along_y = spec.cols, spec.rows
    outer, inner = content.outer_start_index, content.inner_start_index
    if not (0 <= outer < along_x and 0 <= inner < along_y):
        raise MessageLayoutError(
            "start_index", f"start index ({outer}, {inner}) of a {along_x} x {along_y} matrix"
        )
    column_major = _is_column_major(content.dims, along_x, along_y)
    unpacked = {}
    for name, data in zip(content.layers, content.data, strict=True):
        values = np.asarray(data, dtype=np.float32)
        if values.size != along_x * along_y:
            raise MessageLayoutError(
                "truncated",
                f"layer {name!r} has {values.size} values for {along_x} x {along_y} cells",
            )
        matrix = values.reshape(along_y, along_x)
        if not column_major:
            matrix = values.reshape(along_x, along_y).T
        matrix = np.roll(matrix, (-inner, -outer), axis=(0, 1))
        unpacked[name] = np.ascontiguousarray(matrix[::-1, ::-1])
    return unpacked, spec


def _spec_of(content: GridMapArrays) -> GridSpec:
    step = float(content.resolution)
    numbers = (step, content.length_x, content.length_y, *content.position)
    if not np.isfinite(numbers).all() or step <= 0.0:
        raise MessageLayoutError("resolution", f"resolution {step} m, lengths and place {numbers}")
    cols, rows = content.length_x / step, content.length_y / step
    if not (cols > 0.5 and rows > 0.5 and cols * rows <= MAX_CELLS):
        raise MessageLayoutError(
            "size", f"{cols:.0f} x {rows:.0f} cells: 1 to {MAX_CELLS} are allowed"
        )
    cols, rows = round(cols), round(rows)
    x, y = content.position
    return GridSpec(x - 0.5 * (cols - 1) * step, y - 0.5 * (rows - 1) * step, step, rows, cols)


def _is_column_major(dims: Sequence[tuple[str, int, int]], along_x: int, along_y: int) -> bool:
    labels = tuple(dim[0] for dim in dims)
    sizes = {dim[0]: dim[1] for dim in dims}
    if sizes != {"column_index": along_y, "row_index": along_x}:
        raise MessageLayoutError(
            "dims", f"dimensions {tuple(dims)} of a {along_x} x {along_y} matrix"
        )
    return labels[0] == "column_index"
