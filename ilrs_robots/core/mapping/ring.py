"""The circular buffer under the rolling map, and the part of it that changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.mapping.map_state import EMPTY, LANES, Layers


def layers_of(cells: int) -> Layers:
    """Layers of a map that knows nothing, each (cells,), ``passes`` (cells, 2 * LANES)."""
    wide = {"passes": (cells, 2 * LANES)}
    return Layers(
        *(
            np.full(wide.get(name, cells), fill, fill.dtype)
            for name, fill in zip(Layers._fields, EMPTY, strict=True)
        )
    )


def unrolled(buffer: NDArray[Any], size: int, row: int, col: int) -> NDArray[Any]:
    """(size, size) or (size, size, n) copy of a layer in the order of the window.

    Args:
        buffer: (size * size,) or (size * size, n) in the buffer's order, any unit.
        size: cells along a side.
        row: lattice row of the window's first cell.
        col: lattice column of the window's first cell.
    """
    grid = buffer.reshape(size, size, *buffer.shape[1:])
    row, col = row % size, col % size
    out = np.empty_like(grid)
    top, left = size - row, size - col
    out[:top, :left] = grid[row:, col:]
    out[:top, left:] = grid[row:, :col]
    out[top:, :left] = grid[:row, col:]
    out[top:, left:] = grid[:row, :col]
    return out


def forget_entered(layers: Layers, size: int, axis: int, start: int, shift: int) -> None:
    """Empty the cells that enter when the window moves along one axis, and no others.

    Args:
        layers: state, altered.
        size: cells along a side.
        axis: 0 for rows, 1 for columns.
        start: lattice index of the window's first cell along that axis before the move.
        shift: cells moved.
    """
    count = min(abs(shift), size)
    first = start + (size if shift > 0 else shift) if count < size else 0
    begin = first % size
    for part in (slice(begin, begin + count), slice(0, max(begin + count - size, 0))):
        for layer, empty in zip(layers._asdict().values(), EMPTY, strict=True):
            grid = layer.reshape(size, size, *layer.shape[1:])
            if axis == 0:
                grid[part] = empty
            else:
                grid[:, part] = empty


def entered(old: int, new: int, size: int) -> tuple[int, int]:
    """Lattice indices (first, end) that enter a window of ``size`` that moves from old to new."""
    if new > old:
        return max(new, old + size), new + size
    return new, min(old, new + size)


class ChangedArea:
    """Bounding rectangle of what changed, on the lattice, so that it survives a move."""

    def __init__(self) -> None:
        self._bounds: tuple[int, int, int, int] | None = None

    def add(self, row0: int, row1: int, col0: int, col1: int) -> None:
        """Take in lattice rows row0 to row1 and columns col0 to col1, ends excluded."""
        if row1 <= row0 or col1 <= col0:
            return
        if self._bounds is not None:
            old = self._bounds
            row0, row1 = min(row0, old[0]), max(row1, old[1])
            col0, col1 = min(col0, old[2]), max(col1, old[3])
        self._bounds = row0, row1, col0, col1

    def take(self, row: int, col: int, size: int) -> tuple[int, int, int, int] | None:
        """The rectangle within a window that begins at lattice ``row``, ``col``; then forget."""
        bounds, self._bounds = self._bounds, None
        if bounds is None:
            return None
        row0, row1 = max(bounds[0] - row, 0), min(bounds[1] - row, size)
        col0, col1 = max(bounds[2] - col, 0), min(bounds[3] - col, size)
        return (row0, row1, col0, col1) if row0 < row1 and col0 < col1 else None
