"""A digital elevation model: heights at cell centres, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

_EDGE = 1e-9  # cells: a point computed to lie on the last sample counts as inside


@njit(cache=True)
def _bilinear(
    layer: np.ndarray, x0: float, y0: float, res: float, xy: np.ndarray, out: np.ndarray
) -> None:
    rows, cols = layer.shape
    for n in range(xy.shape[0]):
        c = (xy[n, 0] - x0) / res
        r = (xy[n, 1] - y0) / res
        if not (-_EDGE <= c <= cols - 1 + _EDGE and -_EDGE <= r <= rows - 1 + _EDGE):
            out[n] = np.nan
            continue
        j = min(max(int(np.floor(c)), 0), cols - 2)
        i = min(max(int(np.floor(r)), 0), rows - 2)
        u = c - j
        v = r - i
        low = layer[i, j] * (1.0 - u) + layer[i, j + 1] * u
        high = layer[i + 1, j] * (1.0 - u) + layer[i + 1, j + 1] * u
        out[n] = low * (1.0 - v) + high * v


def as_points(xy_m: ArrayLike) -> FloatArray:
    """(N, 2) float64 contiguous.

    Raises:
        TerrainError: another shape.
    """
    points = np.ascontiguousarray(xy_m, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise TerrainError(f"points have shape {points.shape}: must be (N, 2), metres")
    return points


@dataclass(frozen=True)
class Dem:
    """Heights on a regular grid, bilinear between the samples.

    Attributes:
        heights_m: (rows, cols) float32, metres above the reference sphere or datum; NaN unknown.
            Row 0 has the lowest y. Made read-only.
        spec: where the samples are.
        projection: WKT of the map projection, or None for a local plane.
        provenance: where the heights come from (source, product, window, checksum, seed ...).

    Outside the samples' hull every answer is NaN; nothing is clamped or extrapolated.
    """

    heights_m: Float32Array
    spec: GridSpec
    projection: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check shapes and freeze the array.

        Raises:
            TerrainError: shape, spacing or type cannot be used.
        """
        if self.heights_m.shape != self.spec.shape:
            raise TerrainError(
                f"heights have shape {self.heights_m.shape}: the grid says {self.spec.shape}"
            )
        if min(self.spec.shape) < 2:
            raise TerrainError(f"a DEM of {self.spec.shape} samples: needs at least 2 x 2")
        if not (np.isfinite(self.spec.resolution_m) and self.spec.resolution_m > 0.0):
            raise TerrainError(f"resolution {self.spec.resolution_m} m: must be above 0 m")
        frozen = np.array(self.heights_m, dtype=np.float32, order="C")
        frozen.flags.writeable = False
        object.__setattr__(self, "heights_m", frozen)

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """Hull of the samples (x_min, y_min, x_max, y_max), metres; half a cell inside spec's."""
        s = self.spec
        return (
            s.origin_x_m,
            s.origin_y_m,
            s.origin_x_m + s.resolution_m * (s.cols - 1),
            s.origin_y_m + s.resolution_m * (s.rows - 1),
        )

    def contains(self, xy_m: ArrayLike) -> BoolArray:
        """Whether each point lies in the hull of the samples (its height may still be NaN)."""
        xy = as_points(xy_m)
        x_min, y_min, x_max, y_max = self.bounds_m
        slack = _EDGE * self.spec.resolution_m
        inside: BoolArray = (
            (xy[:, 0] >= x_min - slack)
            & (xy[:, 0] <= x_max + slack)
            & (xy[:, 1] >= y_min - slack)
            & (xy[:, 1] <= y_max + slack)
        )
        return inside

    def height(self, xy_m: ArrayLike) -> FloatArray:
        """Bilinear height, (N,) float64 metres, NaN outside.

        Args:
            xy_m: (N, 2) metres.
        """
        return self._sample(self.heights_m, as_points(xy_m))

    def gradient(self, xy_m: ArrayLike) -> FloatArray:
        """(N, 2) dz/dx and dz/dy: central differences at the samples, bilinear between them."""
        xy = as_points(xy_m)
        dz_dx, dz_dy = self._node_gradients()
        return np.stack((self._sample(dz_dx, xy), self._sample(dz_dy, xy)), axis=-1)

    def normal(self, xy_m: ArrayLike) -> FloatArray:
        """Unit normals, (N, 3) float64, upwards; NaN outside."""
        slope = self.gradient(xy_m)
        normal = np.concatenate((-slope, np.ones((len(slope), 1))), axis=1)
        normal[np.isnan(slope).any(axis=1)] = np.nan
        unit: FloatArray = normal / np.linalg.norm(normal, axis=1, keepdims=True)
        return unit

    def slope_rad(self, xy_m: ArrayLike) -> FloatArray:
        """Steepest slope, (N,) float64 rad, of the same gradient as ``normal``; NaN outside."""
        slope = self.gradient(xy_m)
        angle: FloatArray = np.arctan(np.hypot(slope[:, 0], slope[:, 1]))
        return angle

    def slope_map_rad(self) -> FloatArray:
        """Slope at every sample, (rows, cols) float64 rad.

        Central differences over two cells (one-sided at the edges): the convention that gives
        the slope statistics published for 5 m LOLA products ("5 m baseline").
        """
        dz_dx, dz_dy = self._node_gradients()
        angle: FloatArray = np.arctan(np.hypot(dz_dx, dz_dy))
        return angle

    def _node_gradients(self) -> tuple[FloatArray, FloatArray]:
        found = self.__dict__.get("_gradients")
        if found is None:
            heights = self.heights_m.astype(np.float64)
            dz_dy, dz_dx = np.gradient(heights, self.spec.resolution_m)
            found = (np.ascontiguousarray(dz_dx), np.ascontiguousarray(dz_dy))
            object.__setattr__(self, "_gradients", found)
        pair: tuple[FloatArray, FloatArray] = found
        return pair

    def _sample(self, layer: Float32Array | FloatArray, xy: FloatArray) -> FloatArray:
        out = np.empty(len(xy))
        s = self.spec
        _bilinear(layer, s.origin_x_m, s.origin_y_m, s.resolution_m, xy, out)
        return out


def warm_up() -> None:
    """Compile the kernels."""
    dem = Dem(np.zeros((2, 2), dtype=np.float32), GridSpec(0.0, 0.0, 1.0, 2, 2))
    dem.slope_rad(np.zeros((1, 2)))
    dem.height(np.zeros((1, 2)))
