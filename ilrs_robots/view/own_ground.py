"""A vehicle's own map as a mesh: measured heights in the Sun, hazards in colour."""

from __future__ import annotations

from typing import Final

import numpy as np

from ilrs_robots.core.terrain.hillshade import hillshade
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.view_state import GroundView
from ilrs_robots.view.glb import Mesh
from ilrs_robots.view.shapes import grid_triangles
from ilrs_robots.view.sunlit_ground import GroundPicture, Sun, colours, irradiance, jpeg_of

MAX_SIDE: Final = 160
"""Vertices along a side of the mesh; the picture on it has the map's own cells."""
CLOSED: Final = np.array([0.86, 0.16, 0.10])
COSTLY: Final = np.array([0.95, 0.65, 0.10])
SEEN: Final = np.array([0.35, 0.62, 0.95])
"""A touch of blue tells measured ground from what is known from orbit."""


def own_ground(
    view: GroundView, sun: Sun, picture: GroundPicture, *, hazards: bool = True
) -> Mesh | None:
    """The mesh in the frame of the map, or None while nothing is known.

    Args:
        view: heights and cost.
        sun: where it stands, in map.
        picture: the site's ground, for its exposure and its large shadows.
        hazards: whether closed and costly cells are coloured.
    """
    if not np.isfinite(view.heights_m).any():
        return None
    rgb = _picture(view, sun, picture, hazards=hazards)
    step = -(-max(view.spec.shape) // MAX_SIDE)
    heights = _coarse(view.heights_m, step)
    rows, cols = heights.shape
    if min(rows, cols) < 2:
        return None
    s = view.spec
    x = s.origin_x_m + s.resolution_m * (step * np.arange(cols) + 0.5 * (step - 1))
    y = s.origin_y_m + s.resolution_m * (step * np.arange(rows) + 0.5 * (step - 1))
    xx, yy = np.meshgrid(x, y)
    u = (step * (np.arange(cols) + 0.5)) / s.cols
    v = (step * (np.arange(rows) + 0.5)) / s.rows
    points = np.stack((xx, yy, heights), axis=-1).reshape(-1, 3)
    uv = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    triangles = grid_triangles(rows, cols)
    known = np.isfinite(points[:, 2])
    triangles = triangles[known[triangles].all(axis=1)]
    if not len(triangles):
        return None
    used, again = np.unique(triangles, return_inverse=True)
    return Mesh(points[used], again.reshape(-1, 3), uv=uv[used], jpeg=jpeg_of(rgb))


def cost_on(view: GroundView) -> Float32Array | None:
    """(rows, cols) cost on the cells of the heights, NaN unknown; None where there is none."""
    if view.cost is None or view.cost_spec is None:
        return None
    if view.cost_spec == view.spec:
        return view.cost
    s, c = view.spec, view.cost_spec
    row = np.round((_ys(s) - c.origin_y_m) / c.resolution_m).astype(int)
    col = np.round((_xs(s) - c.origin_x_m) / c.resolution_m).astype(int)
    out = np.full(s.shape, np.nan, dtype=np.float32)
    rows, cols = (row >= 0) & (row < c.rows), (col >= 0) & (col < c.cols)
    out[np.ix_(rows, cols)] = view.cost[np.ix_(row[rows], col[cols])]
    return out


def _picture(
    view: GroundView, sun: Sun, picture: GroundPicture, *, hazards: bool
) -> FloatArray:  # fmt: skip
    heights = view.heights_m.astype(np.float32)
    known = np.isfinite(heights)
    filled = np.where(known, heights, np.float32(np.nanmean(heights)))
    turn = float(np.arctan2(view.T_map_frame[1, 0], view.T_map_frame[0, 0]))
    own = Sun(sun.yaw_rad - turn, sun.elevation_rad)
    light = irradiance(filled, view.spec.resolution_m, own)
    xx, yy = np.meshgrid(_xs(view.spec)[::8], _ys(view.spec)[::8])
    flat = np.stack((xx.ravel(), yy.ravel(), np.zeros(xx.size), np.ones(xx.size)), axis=1)
    lit = picture.lit_at((flat @ view.T_map_frame.T)[:, :2]).reshape(xx.shape)
    light *= np.kron(lit, np.ones((8, 8)))[: light.shape[0], : light.shape[1]].astype(np.float32)
    relief = hillshade(filled, view.spec.resolution_m, 2.2, 0.6)
    rgb = colours(light, relief, picture.white)
    rgb = rgb * (0.88 + 0.12 * SEEN / SEEN.max())
    cost = cost_on(view) if hazards else None
    if cost is not None:
        costly = np.clip(np.nan_to_num(cost), 0.0, 1.0)[..., None]
        rgb = rgb * (1.0 - 0.35 * costly) + 0.35 * costly * COSTLY * (0.25 + 0.75 * rgb)
        closed = (np.nan_to_num(cost) >= 0.99)[..., None]
        rgb = np.where(closed, 0.45 * rgb + 0.55 * CLOSED * (0.35 + 0.65 * rgb), rgb)
    return np.clip(rgb, 0.0, 1.0)


def _coarse(heights_m: Float32Array, step: int) -> FloatArray:
    """Means of blocks, NaN where nothing in a block is known."""
    rows, cols = (n // step for n in heights_m.shape)
    blocks = heights_m[: rows * step, : cols * step].reshape(rows, step, cols, step)
    known = np.isfinite(blocks)
    count = known.sum(axis=(1, 3))
    total = np.where(known, blocks, 0.0).sum(axis=(1, 3), dtype=np.float64)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _xs(spec: GridSpec) -> FloatArray:
    return np.asarray(spec.origin_x_m + spec.resolution_m * np.arange(spec.cols))


def _ys(spec: GridSpec) -> FloatArray:
    return np.asarray(spec.origin_y_m + spec.resolution_m * np.arange(spec.rows))
