"""Triangles that a lidar sees: the physics' own patch, coarser rings around it, and rocks.

Open3D is imported where it is used: it takes seconds and 200 MB.

Reference: Wald et al. 2014 (Embree), through Open3D's ``RaycastingScene``.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.sim.config import LATTICE_M
from ilrs_robots.sim.terrain import RockSet, Terrain

_RING_RATIOS = (2, 4, 2)  # spacing of each ring over that of the level inside it
_ROCK_LEVELS_M = ((8.0, 3), (16.0, 2), (30.0, 1))  # distance below which a subdivision is used
_ROCK_SHAPE_M = 0.005  # a coarser subdivision serves where no corner stands out by more than this
_ROCK_SKIP_PER_M = 0.0015  # a rock lower than this per metre of distance is left out

Faces = NDArray[np.uint32]


@dataclass(frozen=True)
class Scene:
    """A scene ready for rays.

    Attributes:
        engine: Open3D's ``RaycastingScene``, in coordinates relative to ``origin_m``.
        origin_m: (3,) map.
        rock_geometry: id of the rocks' mesh, or -1.
        triangles: how many there are.
    """

    engine: Any
    origin_m: FloatArray
    rock_geometry: int
    triangles: int

    def cast(
        self, rays: Float32Array, threads: int
    ) -> tuple[Float32Array, Float32Array, NDArray[np.bool_]]:
        """Cast (..., 6) float32 rays, relative to the origin.

        Returns:
            ranges (...) float32 m, inf for a miss; normals (..., 3); whether a rock was hit.
        """
        import open3d as o3d

        answer = self.engine.cast_rays(o3d.core.Tensor.from_numpy(rays), nthreads=threads)
        rock = answer["geometry_ids"].numpy() == self.rock_geometry
        return answer["t_hit"].numpy(), answer["primitive_normals"].numpy(), rock


def build_scene(
    terrain: Terrain, spec: GridSpec, heights_m: Float32Array, reach_m: float
) -> Scene:
    """Build the scene around a patch.

    Args:
        terrain: ground and rocks.
        spec: grid of the physics' patch.
        heights_m: (rows, cols) float32, its heights; NaN is no ground.
        reach_m: how far from the patch's centre rays can get.
    """
    import open3d as o3d

    half = 0.5 * (spec.rows - 1) * LATTICE_M
    centre = np.array([spec.origin_x_m + half, spec.origin_y_m + half])
    origin = np.array([*centre, float(np.nanmean(heights_m))])
    engine = o3d.t.geometry.RaycastingScene()
    triangles = 0
    for vertices, faces in ground_meshes(terrain, spec, heights_m, reach_m, origin):
        engine.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(faces))
        triangles += len(faces)
    x, y = (float(v) for v in centre)
    rocks = terrain.rocks(x - reach_m, y - reach_m, x + reach_m, y + reach_m)
    vertices, faces = rock_mesh(terrain, rocks, origin)
    rock_geometry = -1
    if len(faces):
        rock_geometry = engine.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(faces))
        triangles += len(faces)
    scene = Scene(engine, origin, rock_geometry, triangles)
    engine.cast_rays(o3d.core.Tensor(np.array([[0, 0, 1, 0, 0, 1]], dtype=np.float32)))
    return scene


def ground_meshes(
    terrain: Terrain, spec: GridSpec, heights_m: Float32Array, reach_m: float, origin_m: FloatArray
) -> list[tuple[Float32Array, Faces]]:
    """The patch and ever coarser rings around it, stitched without gaps.

    The outermost samples of each level are laid onto the straight edges of the next level's
    triangles, so that neighbours share their border exactly.
    """
    half = 0.5 * (spec.rows - 1) * spec.resolution_m
    grids = [(spec, np.asarray(heights_m, dtype=np.float32), 0)]
    for ratio in itertools.chain(_RING_RATIOS, itertools.repeat(2)):
        if half >= reach_m:
            break
        inner = grids[-1][0]
        outer, hole = _next_level(inner, ratio, half, reach_m)
        heights = np.asarray(terrain.grid(outer), dtype=np.float32)
        grids[-1] = (inner, _laid_on(grids[-1][1], heights, hole), grids[-1][2])
        grids.append((outer, heights, hole))
        half = 0.5 * (outer.rows - 1) * outer.resolution_m
    return [_mesh(s, h, hole, origin_m) for s, h, hole in grids]


def _next_level(
    inner: GridSpec, ratio: int, half_m: float, reach_m: float
) -> tuple[GridSpec, int]:
    """Grid of ``ratio`` times the spacing around ``inner``; the width in cells of its frame.

    A ring doubles the half side, and stops where ``reach_m`` is covered.
    """
    step = ratio * inner.resolution_m
    wanted = min(2.0 * half_m, max(reach_m, half_m + step))
    if wanted + 2.0 * step > reach_m:
        wanted = reach_m
    frame = math.ceil((wanted - half_m) / step - 1e-9)
    side = (inner.rows - 1) // ratio + 1 + 2 * frame
    origin = (inner.origin_x_m - frame * step, inner.origin_y_m - frame * step)
    return GridSpec(*origin, step, side, side), frame


def _laid_on(fine: Float32Array, coarse: Float32Array, frame: int) -> Float32Array:
    """``fine`` with its border on the coarse grid's edges."""
    laid = fine.copy()
    hole = coarse[frame : coarse.shape[0] - frame, frame : coarse.shape[1] - frame]
    for place in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        edge = hole[place]
        along = np.linspace(0.0, len(edge) - 1.0, fine.shape[0])
        laid[place] = np.interp(along, np.arange(len(edge)), edge)
    return laid


def _mesh(
    spec: GridSpec, heights_m: Float32Array, frame: int, origin_m: FloatArray
) -> tuple[Float32Array, Faces]:
    """Two triangles per cell, split as MuJoCo splits it; ``frame`` > 0 leaves out the inside."""
    vertices = np.empty((*spec.shape, 3), dtype=np.float32)
    vertices[..., 0] = (spec.x_m() - origin_m[0])[None, :]
    vertices[..., 1] = (spec.y_m() - origin_m[1])[:, None]
    vertices[..., 2] = heights_m.astype(np.float64) - origin_m[2]
    known = np.isfinite(heights_m)
    cell = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:] & known[1:, 1:]
    if frame:
        cell[frame:-frame, frame:-frame] = False
    row, col = np.nonzero(cell)
    low = (row * spec.cols + col).astype(np.uint32)
    up = low + np.uint32(spec.cols)
    faces = np.empty((2 * len(low), 3), dtype=np.uint32)
    faces[0::2] = np.stack((low, low + np.uint32(1), up + np.uint32(1)), axis=1)
    faces[1::2] = np.stack((low, up + np.uint32(1), up), axis=1)
    flat = vertices.reshape(-1, 3)
    flat[~np.isfinite(flat[:, 2]), 2] = 0.0
    return flat, faces


def rock_mesh(
    terrain: Terrain, rocks: RockSet, origin_m: FloatArray
) -> tuple[Float32Array, Faces]:
    """One mesh of all rocks that matter, finer where they are near."""
    distance = np.hypot(*(rocks.centre_m[:, :2] - origin_m[:2]).T)
    top = rocks.centre_m[:, 2] + rocks.semi_axes_m[:, 2]
    above = top - terrain.height(rocks.centre_m[:, :2])
    level = np.zeros(len(distance), dtype=np.int64)
    for limit, subdivision in reversed(_ROCK_LEVELS_M):
        level[distance < limit + rocks.semi_axes_m[:, 0]] = subdivision
    level = np.minimum(level, _enough(rocks.semi_axes_m[:, 0]))
    level[~(above > _ROCK_SKIP_PER_M * distance)] = -1
    parts = [_rocks_of(rocks, np.flatnonzero(level == k), k, origin_m) for k in range(4)]
    offsets = np.cumsum([0, *(len(v) for v, _ in parts)]).astype(np.uint32)
    vertices = np.concatenate([v for v, _ in parts])
    faces = np.concatenate([f + offset for (_, f), offset in zip(parts, offsets, strict=False)])
    return vertices, faces


def _enough(semi_axis_m: FloatArray) -> NDArray[np.int64]:
    """Subdivision at which a rock's corners stand out by ``_ROCK_SHAPE_M`` at most."""
    out = np.full(semi_axis_m.shape, 3, dtype=np.int64)
    for level in (2, 1, 0):
        stands_out = np.linalg.norm(unit_sphere(level)[0], axis=1).max() - 1.0
        out[semi_axis_m * stands_out <= _ROCK_SHAPE_M] = level
    return out


def _rocks_of(
    rocks: RockSet, index: NDArray[np.int64], level: int, origin_m: FloatArray
) -> tuple[Float32Array, Faces]:
    unit, faces = unit_sphere(level)
    scaled = rocks.semi_axes_m[index][:, None, :] * unit
    cos, sin = np.cos(rocks.yaw_rad[index])[:, None], np.sin(rocks.yaw_rad[index])[:, None]
    placed = np.stack(
        (
            cos * scaled[..., 0] - sin * scaled[..., 1],
            sin * scaled[..., 0] + cos * scaled[..., 1],
            scaled[..., 2],
        ),
        axis=-1,
    )
    placed += (rocks.centre_m[index] - origin_m)[:, None, :]
    first = (np.arange(len(index)) * len(unit)).astype(np.uint32)
    return (
        placed.reshape(-1, 3).astype(np.float32),
        (first[:, None, None] + faces).reshape(-1, 3).astype(np.uint32),
    )


@functools.lru_cache(maxsize=8)
def unit_sphere(level: int) -> tuple[FloatArray, Faces]:
    """Subdivided icosahedron with the volume of the unit sphere: (V, 3) vertices, (F, 3) faces."""
    g = 0.5 * (1.0 + 5.0**0.5)
    corners = np.array(
        [[-1, g, 0], [1, g, 0], [-1, -g, 0], [1, -g, 0], [0, -1, g], [0, 1, g],
         [0, -1, -g], [0, 1, -g], [g, 0, -1], [g, 0, 1], [-g, 0, -1], [-g, 0, 1]]
    )  # fmt: skip
    faces = np.array(
        [[0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4],
         [11, 10, 2], [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8],
         [3, 8, 9], [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1]]
    )  # fmt: skip
    vertices = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    for _ in range(level):
        vertices, faces = _subdivide(vertices, faces)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    volume = float(np.sum(np.cross(a, b) * c)) / 6.0
    vertices *= (4.0 / 3.0 * np.pi / volume) ** (1.0 / 3.0)
    return vertices, faces.astype(np.uint32)


def _subdivide(
    vertices: FloatArray, faces: NDArray[np.int64]
) -> tuple[FloatArray, NDArray[np.int64]]:
    edges = np.sort(np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]])), axis=1)
    unique, place = np.unique(edges, axis=0, return_inverse=True)
    middle = vertices[unique].sum(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    ab, bc, ca = (place.reshape(3, -1) + len(vertices)).astype(np.int64)
    a, b, c = faces.T
    split = np.concatenate(
        [np.stack(t, axis=1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
    )
    return np.concatenate((vertices, middle)), split
