"""Normals of the ground from the planes of small windows of the grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core.mapping.plane_fit import fit_planes
from ilrs_robots.core.types import Float32Array


class Normals(NamedTuple):
    """Unit vectors that point up, each (rows, cols) float32 in odom; NaN is unknown."""

    x: Float32Array
    y: Float32Array
    z: Float32Array


@njit(cache=True, error_model="numpy")
def _unit(slope_x: Float32Array, slope_y: Float32Array, out: Float32Array) -> None:
    one = np.float32(1.0)
    for k in range(slope_x.shape[0]):
        up = one / np.sqrt(one + slope_x[k] * slope_x[k] + slope_y[k] * slope_y[k])
        out[0, k], out[1, k], out[2, k] = -slope_x[k] * up, -slope_y[k] * up, up


def normals(
    height_m: Float32Array, resolution_m: float, window_m: float, min_support: int = 5
) -> Normals:
    """Normal of the least-squares plane around each known cell.

    Args:
        height_m: (rows, cols) float32, metres, NaN unknown.
        resolution_m: cell size.
        window_m: side of the window.
        min_support: known cells that a plane needs.
    """
    heights = np.ascontiguousarray(height_m, dtype=np.float32)
    fit = fit_planes(heights, resolution_m, window_m, np.isfinite(heights), min_support)
    out = np.empty((3, heights.size), np.float32)
    _unit(fit.slope_x.ravel(), fit.slope_y.ravel(), out)
    return Normals(*out.reshape(3, *heights.shape))


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    normals(np.zeros((9, 9), np.float32), 0.1, 0.5)
