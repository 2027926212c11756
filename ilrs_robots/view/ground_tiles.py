"""The site's ground as tiles, lowered where a vehicle's own map lies over it."""

from __future__ import annotations

from typing import Final

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.view_state import GroundView
from ilrs_robots.view.glb import Mesh
from ilrs_robots.view.shapes import grid_triangles
from ilrs_robots.view.sunlit_ground import jpeg_of

CELLS: Final = 64
"""Of a tile's side."""
MAX_SIDE: Final = 512
"""Cells of the whole; finer ground is thinned out."""
UNDER_M: Final = 0.3
"""The orbital ground lies so far under the lowest of a measured cell: it is never in its way."""
SENT_AGAIN_M: Final = 0.15
RAY_STEPS: Final = 4000


def thinned(prior: Dem) -> Dem:
    """The ground with at most ``MAX_SIDE`` cells along a side."""
    step = -(-max(prior.spec.shape) // MAX_SIDE)
    if step <= 1:
        return prior
    s, heights = prior.spec, prior.heights_m[::step, ::step]
    spec = GridSpec(s.origin_x_m, s.origin_y_m, step * s.resolution_m, *heights.shape)
    return Dem(heights, spec, prior.projection, prior.provenance)


class GroundTiles:
    """The mesh of the ground.

    Args:
        ground: as known from orbit.
        level_m: height that is drawn as zero.

    Attributes:
        names: of the tiles, by row and column.
    """

    def __init__(self, ground: Dem, level_m: float) -> None:
        self.ground, self._level_m = ground, level_m
        rows, cols = ground.spec.shape
        self.names = {
            f"{i}_{j}": (_tile(i, rows), _tile(j, cols))
            for i in range(0, rows - 1, CELLS)
            for j in range(0, cols - 1, CELLS)
        }
        self._sunk = ground.heights_m.copy()
        self._views: dict[str, GroundView] = {}

    def mesh(self, name: str, picture: FloatArray, per_cell: int) -> Mesh:
        """One tile.

        Args:
            name: of the tile.
            picture: (rows, cols, 3) of the whole ground.
            per_cell: pixels of the picture along a cell.
        """
        at_rows, at_cols = self.names[name]
        s, heights = self.ground.spec, self._sunk[at_rows, at_cols]
        rows, cols = heights.shape
        x = s.origin_x_m + s.resolution_m * np.arange(at_cols.start, at_cols.stop)
        y = s.origin_y_m + s.resolution_m * np.arange(at_rows.start, at_rows.stop)
        xx, yy = np.meshgrid(x, y)
        u, v = np.meshgrid(np.linspace(0.0, 1.0, cols), np.linspace(0.0, 1.0, rows))
        piece = picture[
            at_rows.start * per_cell : (at_rows.stop - 1) * per_cell,
            at_cols.start * per_cell : (at_cols.stop - 1) * per_cell,
        ]
        points = np.stack((xx, yy, heights - self._level_m), axis=-1).reshape(-1, 3)
        uv = np.stack((u, v), axis=-1).reshape(-1, 2)
        return Mesh(points, grid_triangles(rows, cols), uv=uv, jpeg=jpeg_of(piece))

    def lay_over(self, vehicle: str, view: GroundView | None) -> set[str]:
        """Take a vehicle's map, or none; names of the tiles that are others now."""
        if view is None:
            self._views.pop(vehicle, None)
        else:
            self._views[vehicle] = view
        sunk = self.ground.heights_m.copy()
        for one in self._views.values():
            sunk = np.fmin(sunk, _lowest(one, self.ground.spec) - UNDER_M)
        moved = np.abs(sunk - self._sunk) > SENT_AGAIN_M
        if not moved.any():
            return set()
        changed = {name for name, where in self.names.items() if moved[where].any()}
        self._sunk = sunk
        return changed

    def height(self, xy_m: FloatArray) -> FloatArray:
        """(N,) height of what is drawn at (N, 2) places of map, metres; NaN beyond the ground."""
        found = self.ground.height(xy_m)
        for view in self._views.values():
            inverse = se3.invert(view.T_map_frame)
            flat = np.column_stack(
                (xy_m, np.where(np.isnan(found), 0.0, found), np.ones(len(xy_m)))
            )
            own = (flat @ inverse.T)[:, :2]
            s = view.spec
            col = np.round((own[:, 0] - s.origin_x_m) / s.resolution_m).astype(int)
            row = np.round((own[:, 1] - s.origin_y_m) / s.resolution_m).astype(int)
            inside = (row >= 0) & (row < s.rows) & (col >= 0) & (col < s.cols)
            measured = np.full(len(xy_m), np.nan)
            measured[inside] = view.heights_m[row[inside], col[inside]] + view.T_map_frame[2, 3]
            found = np.where(np.isnan(measured), found, measured)
        return found

    def hit(self, origin_m: FloatArray, direction: FloatArray) -> FloatArray | None:
        """Where a ray meets the ground: (3,) metres in map, or None.

        Args:
            origin_m: (3,) in map.
            direction: (3,) any length.
        """
        way = direction / np.linalg.norm(direction)
        s = self.ground.spec
        reach = 2.0 * s.resolution_m * float(np.hypot(*s.shape)) + float(np.linalg.norm(origin_m))
        along = np.geomspace(0.5, reach, RAY_STEPS)
        points = origin_m + along[:, None] * way
        below = points[:, 2] <= self.height(points[:, :2])
        if not below.any():
            return None
        last = int(np.argmax(below))
        low, high = (along[last - 1] if last else 0.0), along[last]
        for _ in range(20):
            middle = 0.5 * (low + high)
            at = origin_m + middle * way
            if at[2] <= self.height(at[None, :2])[0]:
                high = middle
            else:
                low = middle
        return np.asarray(origin_m + high * way)


def _tile(first: int, count: int) -> slice:
    return slice(first, min(first + CELLS, count - 1) + 1)


def _lowest(view: GroundView, spec: GridSpec) -> Float32Array:
    """Lowest measured height about each vertex of the orbital grid, NaN where there is none."""
    out = np.full((spec.rows + 2, spec.cols + 2), np.inf, dtype=np.float32)
    row, col = np.nonzero(np.isfinite(view.heights_m))
    s, T = view.spec, view.T_map_frame
    local = np.column_stack((
        s.origin_x_m + s.resolution_m * col, s.origin_y_m + s.resolution_m * row,
        view.heights_m[row, col], np.ones(len(row)),
    ))  # fmt: skip
    at = local @ T.T
    j = np.round((at[:, 0] - spec.origin_x_m) / spec.resolution_m).astype(int) + 1
    i = np.round((at[:, 1] - spec.origin_y_m) / spec.resolution_m).astype(int) + 1
    inside = (i >= 0) & (i < spec.rows + 2) & (j >= 0) & (j < spec.cols + 2)
    np.minimum.at(out, (i[inside], j[inside]), at[inside, 2].astype(np.float32))
    wide = np.min([
        out[a : a + spec.rows, b : b + spec.cols] for a in range(3) for b in range(3)
    ], axis=0)  # fmt: skip
    return np.asarray(np.where(np.isfinite(wide), wide, np.nan), dtype=np.float32)
