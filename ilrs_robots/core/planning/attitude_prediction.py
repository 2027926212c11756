"""Roll, pitch and clearance that a vehicle would have at poses on a map of heights.

The vehicle is set down with its wheels on the heights below them; its suspension's weights
(``footing``) give the plane of the body. The underside is then held against the highest surface
of every cell below it. Unknown ground gives NaN, never a level.

Angles follow REP-103: roll is positive with the left side up, pitch with the nose down.

Reference: the same idea bounds attitude and clearance on Mars 2020 (Otsu et al. 2020, Fast
approximate clearance evaluation for rovers with articulated suspension systems); the linear
suspension and the kernels are our own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

_LEAST_KNOWN = 0.25
_BELLY_STEP = 0.7


class HeightTable(NamedTuple):
    """Heights as kernels take them; map coordinates to cells by a similarity.

    ``col = c x + s y + col0`` and ``row = -s x + c y + row0`` with ``c``, ``s`` cosine and sine of
    the frame's turn over the resolution.
    """

    elevation: Float32Array
    upper: Float32Array
    c: float
    s: float
    col0: float
    row0: float
    resolution: float


@dataclass(frozen=True)
class Heights:
    """Heights on a grid, and where the grid lies in the frame that poses are given in.

    Attributes:
        spec: the grid in its own frame (odom).
        elevation_m: (rows, cols) float32, metres, NaN unknown.
        upper_m: (rows, cols) float32, highest surface of each cell, NaN where no higher than
            ``elevation_m``; None for the elevation itself.
        T_pose_grid: (4, 4) from the grid's frame to that of the poses; None for one frame.
    """

    spec: GridSpec
    elevation_m: Float32Array
    upper_m: Float32Array | None = None
    T_pose_grid: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check shapes and the transform.

        Raises:
            PlanningError: with what was given and what is needed.
        """
        upper = self.elevation_m if self.upper_m is None else self.upper_m
        for name, layer in (("elevation", self.elevation_m), ("upper bound", upper)):
            if layer.shape != self.spec.shape:
                raise PlanningError(f"{name} {layer.shape}: the grid is {self.spec.shape}")
        turn = self.T_pose_grid
        if turn is not None and (turn.shape != (4, 4) or not np.isfinite(turn).all()):
            raise PlanningError("T_pose_grid: expected a finite 4 x 4 matrix")

    @property
    def table(self) -> HeightTable:
        """What kernels take; a tilt between the frames is left out."""
        spec, T = self.spec, np.eye(4) if self.T_pose_grid is None else self.T_pose_grid
        yaw = math.atan2(T[1, 0], T[0, 0])
        c, s = math.cos(yaw) / spec.resolution_m, math.sin(yaw) / spec.resolution_m
        col0 = -c * T[0, 3] - s * T[1, 3] - spec.origin_x_m / spec.resolution_m
        row0 = s * T[0, 3] - c * T[1, 3] - spec.origin_y_m / spec.resolution_m
        elevation = np.ascontiguousarray(self.elevation_m, dtype=np.float32)
        upper = elevation if self.upper_m is None else np.fmax(elevation, self.upper_m)
        return HeightTable(
            elevation,
            np.ascontiguousarray(upper, dtype=np.float32),
            c,
            s,
            float(col0),
            float(row0),
            spec.resolution_m,
        )


@dataclass(frozen=True)
class PredictedAttitude:
    """How a vehicle would stand at N poses; NaN where the ground under a wheel is unknown.

    Attributes:
        height_m: (N,) of base_link, in the heights' frame.
        roll_rad: (N,) positive with the left side up.
        pitch_rad: (N,) positive with the nose down.
        clearance_m: (N,) least distance of the underside from known ground below it; NaN where
            none of it is known.
    """

    height_m: FloatArray
    roll_rad: FloatArray
    pitch_rad: FloatArray
    clearance_m: FloatArray

    @property
    def tilt_rad(self) -> FloatArray:
        """(N,) angle between the body's z and the vertical."""
        return np.asarray(np.arccos(np.cos(self.roll_rad) * np.cos(self.pitch_rad)))


@njit(cache=True, error_model="numpy", inline="always")
def height_at(layer, col, row):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Bilinear height at a place in cells, over the known corners; NaN where few are known."""
    rows, cols = layer.shape
    if not (0.0 <= col <= cols - 1 and 0.0 <= row <= rows - 1):
        return np.nan
    j = min(int(col), cols - 2)
    i = min(int(row), rows - 2)
    u, v = col - j, row - i
    a, b, c, d = layer[i, j], layer[i, j + 1], layer[i + 1, j], layer[i + 1, j + 1]
    value = (1.0 - v) * ((1.0 - u) * a + u * b) + v * ((1.0 - u) * c + u * d)
    if value == value:
        return value
    total, weight = 0.0, 0.0
    for z, w in ((a, (1 - u) * (1 - v)), (b, u * (1 - v)), (c, (1 - u) * v), (d, u * v)):
        if z == z:
            total += w * z
            weight += w
    return total / weight if weight >= _LEAST_KNOWN else np.nan


@njit(cache=True, error_model="numpy", inline="always")
def body_plane(heights, footing, x, y, cos, sin):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Height (m) and slopes along and across of the body at a pose; NaN where unknown."""
    col0 = heights.c * x + heights.s * y + heights.col0
    row0 = -heights.s * x + heights.c * y + heights.row0
    # The vehicle's axes in cells of the grid.
    ax, ay = heights.c * cos + heights.s * sin, -heights.s * cos + heights.c * sin
    level, along, across = 0.0, 0.0, 0.0
    for k in range(footing.wheels.shape[0]):
        wx, wy = footing.wheels[k, 0], footing.wheels[k, 1]
        z = height_at(heights.elevation, col0 + ax * wx - ay * wy, row0 + ay * wx + ax * wy)
        level += footing.weights[0, k] * z
        along += footing.weights[1, k] * z
        across += footing.weights[2, k] * z
    return level, along, across


@njit(cache=True, error_model="numpy")
def belly_clearance(heights, footing, x, y, cos, sin, level, along, across):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Least distance of the underside from the known ground below it, metres."""
    rows, cols = heights.upper.shape
    col0 = heights.c * x + heights.s * y + heights.col0
    row0 = -heights.s * x + heights.c * y + heights.row0
    ax, ay = heights.c * cos + heights.s * sin, -heights.s * cos + heights.c * sin
    step = _BELLY_STEP * heights.resolution
    nx = max(int(np.ceil(2.0 * footing.half_length / step)), 1)
    ny = max(int(np.ceil(2.0 * footing.half_width / step)), 1)
    least = np.inf
    for i in range(nx + 1):
        bx = footing.half_length * (2.0 * i / nx - 1.0)
        for j in range(ny + 1):
            by = footing.half_width * (2.0 * j / ny - 1.0)
            col = int(np.floor(col0 + ax * bx - ay * by + 0.5))
            row = int(np.floor(row0 + ay * bx + ax * by + 0.5))
            if 0 <= col < cols and 0 <= row < rows:
                gap = level + along * bx + across * by - heights.upper[row, col]
                if gap < least:
                    least = gap
    return least + footing.clearance if least < np.inf else np.nan


@njit(cache=True, error_model="numpy")
def _predict(heights, footing, poses, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    for n in range(poses.shape[0]):
        x, y = poses[n, 0], poses[n, 1]
        cos, sin = math.cos(poses[n, 2]), math.sin(poses[n, 2])
        level, along, across = body_plane(heights, footing, x, y, cos, sin)
        out[0, n] = level
        out[1, n] = math.atan(across / math.sqrt(1.0 + along * along))
        out[2, n] = -math.atan(along)
        out[3, n] = belly_clearance(heights, footing, x, y, cos, sin, level, along, across)


def predict_attitude(
    heights: Heights, footing: Footing, poses_xy_yaw: FloatArray
) -> PredictedAttitude:
    """Set a vehicle down at poses.

    Args:
        heights: the ground.
        footing: the vehicle.
        poses_xy_yaw: (N, 3) x (m), y (m), yaw (rad) of base_link; rows that are not finite give
            NaN.

    Raises:
        PlanningError: another shape.
    """
    poses = np.ascontiguousarray(poses_xy_yaw, dtype=np.float64)
    if poses.ndim != 2 or poses.shape[1] != 3:
        raise PlanningError(f"poses {poses.shape}: needs (N, 3) x, y (m) and yaw (rad)")
    out = np.full((4, len(poses)), np.nan)
    finite = np.isfinite(poses).all(axis=1)
    made = np.empty((4, int(finite.sum())))
    _predict(heights.table, footing.table, np.ascontiguousarray(poses[finite]), made)
    out[:, finite] = made
    return PredictedAttitude(*out)


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    spec = GridSpec(-2.0, -2.0, 0.5, 9, 9)
    wheels = np.array([[0.5, 0.5], [0.5, -0.5], [-0.5, 0.5], [-0.5, -0.5]])
    weights = np.array([[0.25] * 4, [0.5, 0.5, -0.5, -0.5], [0.5, -0.5, 0.5, -0.5]])
    footing = Footing(wheels, weights, 0.3, 0.4, 0.3)
    predict_attitude(Heights(spec, np.zeros(spec.shape, np.float32)), footing, np.zeros((1, 3)))
