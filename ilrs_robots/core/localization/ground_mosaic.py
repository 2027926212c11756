"""The ground along the way, in coarse cells: what is compared with a map from orbit.

What a vehicle sees at one place is small beside the posting of an orbital map, so measured points
are averaged to coarse cells and kept behind the vehicle for some hundred metres of way: as long
as odometry holds its shape better than the orbital map is sharp. A cell keeps the mean place of
its points with their mean height, so that a cell of which one corner was seen tells no wrong
height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec, IntArray


@dataclass(frozen=True)
class GroundMosaicConfig:
    """Size and memory of the mosaic."""

    cell_m: float = param(
        5.0, doc="cell: the posting of the orbital map", unit="m", low=0.1, high=100.0
    )
    size_cells: int = param(320, doc="cells along each side", unit="cells", low=16, high=4000)
    reach_m: float = param(
        40.0, doc="points farther from the vehicle are not used: they graze the ground", unit="m",
        low=1.0, high=1000.0,
    )  # fmt: skip
    least_points: int = param(20, doc="points that make a cell known", low=1, high=10_000)
    memory_m: float = param(
        350.0, doc="way after which a cell is no longer used", unit="m", low=10.0, high=1e5
    )
    tear_m: float = param(
        0.8, doc="RMS change of heights that were known, above which odometry has broken",
        unit="m", low=0.01, high=100.0,
    )  # fmt: skip
    tear_cells: int = param(20, doc="cells that must tell so", unit="cells", low=1, high=10_000)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class Taken(NamedTuple):
    """What a look at the ground gave: cells touched, and whether they tear the mosaic."""

    cells: int
    torn: bool


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_up(
    xyz: FloatArray, at: FloatArray, reach_m: float, cell_m: float, low: IntArray, sums: FloatArray
) -> None:
    """Add count, x, y, z of each finite point within reach to its cell; x, y about its corner."""
    for n in range(xyz.shape[0]):
        x, y, z = xyz[n, 0], xyz[n, 1], xyz[n, 2]
        dx, dy = x - at[0], y - at[1]
        if not dx * dx + dy * dy <= reach_m * reach_m or not np.isfinite(z):
            continue
        row, col = int(np.floor(y / cell_m)), int(np.floor(x / cell_m))
        cell = sums[row - low[0], col - low[1]]
        cell[0] += 1.0
        cell[1] += x - col * cell_m
        cell[2] += y - row * cell_m
        cell[3] += z


class GroundMosaic:
    """Mean heights in coarse cells of the odom frame, in a window that follows the vehicle.

    Args:
        settings: size and memory.

    Attributes:
        way_m: length of the way so far.
    """

    def __init__(self, settings: GroundMosaicConfig) -> None:
        self.settings = settings
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        size = self.settings.size_cells
        self._sums: FloatArray = np.zeros((size, size, 4))
        self._way: FloatArray = np.full((size, size), -np.inf)
        self._first: IntArray = np.zeros(2, np.int64)
        self._at: FloatArray | None = None
        self.way_m = 0.0

    def add(self, xyz_m: FloatArray, xy_m: FloatArray) -> Taken:
        """Take points of the ground.

        Args:
            xyz_m: (N, 3) odom frame, metres; what is not finite is left out.
            xy_m: (2,) where the vehicle is, odom frame.

        Returns:
            how many coarse cells were touched; and whether heights that were known have changed
            so much that odometry must have broken (the vehicle was carried away). Then the points
            are not taken.

        Raises:
            InvalidCloudError: ``shape``.
        """
        cfg, at = self.settings, np.ascontiguousarray(xy_m, dtype=np.float64)
        points = np.ascontiguousarray(xyz_m, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise InvalidCloudError("shape", f"points have shape (N, 3), got {points.shape}")
        self._follow(at)
        low = np.floor((at[::-1] - cfg.reach_m) / cfg.cell_m).astype(np.int64)
        high = np.floor((at[::-1] + cfg.reach_m) / cfg.cell_m).astype(np.int64)
        new = np.zeros((*(high - low + 1), 4))
        _sum_up(points, at, cfg.reach_m, cfg.cell_m, low, new)
        rows, cols = (slice(*pair) for pair in zip(low - self._first, high - self._first + 1,
                                                   strict=True))  # fmt: skip
        sums, way = self._sums[rows, cols], self._way[rows, cols]
        sums[way < self.way_m - cfg.memory_m] = 0.0
        if self._tears(sums, new):
            return Taken(0, True)
        touched = new[..., 0] > 0
        sums += new
        way[touched] = self.way_m
        return Taken(int(touched.sum()), False)

    def cells(self) -> FloatArray:
        """(K, 3) mean x, y and height of the cells that are remembered, metres, odom frame."""
        cfg = self.settings
        known = (self._way >= self.way_m - cfg.memory_m) & (self._sums[..., 0] >= cfg.least_points)
        rows, cols = np.nonzero(known)
        means = self._sums[rows, cols, 1:] / self._sums[rows, cols, :1]
        means[:, 0] += (cols + self._first[1]) * cfg.cell_m
        means[:, 1] += (rows + self._first[0]) * cfg.cell_m
        found: FloatArray = means
        return found

    def _tears(self, old: FloatArray, new: FloatArray) -> bool:
        cfg = self.settings
        both = (old[..., 0] >= cfg.least_points) & (new[..., 0] >= cfg.least_points)
        if int(both.sum()) < cfg.tear_cells:
            return False
        change = new[both, 3] / new[both, 0] - old[both, 3] / old[both, 0]
        return bool(float(np.mean(change**2)) > cfg.tear_m**2)

    def _follow(self, at: FloatArray) -> None:
        """Count the way; move the window where the reach leaves it, which forgets cells."""
        cfg = self.settings
        size, margin = cfg.size_cells, int(cfg.reach_m / cfg.cell_m) + 2
        middle = np.floor(at[::-1] / cfg.cell_m).astype(np.int64)
        if self._at is None:
            self._first = middle - size // 2
        else:
            self.way_m += float(np.linalg.norm(at - self._at))
        self._at = at.copy()
        place = middle - self._first
        if ((place >= margin) & (place < size - margin)).all():
            return
        shift = middle - size // 2 - self._first
        self._first = middle - size // 2
        sums, way = np.zeros_like(self._sums), np.full_like(self._way, -np.inf)
        if (np.abs(shift) < size).all():
            to_r, to_c = (slice(max(-s, 0), min(size - s, size)) for s in shift.tolist())
            of_r, of_c = (slice(max(s, 0), min(size + s, size)) for s in shift.tolist())
            sums[to_r, to_c], way[to_r, to_c] = self._sums[of_r, of_c], self._way[of_r, of_c]
        self._sums, self._way = sums, way


def points_of_map(elevation_m: Float32Array, spec: GridSpec) -> FloatArray:
    """(K, 3) x, y, height of the known cells of an elevation map, metres, in its frame.

    Args:
        elevation_m: (rows, cols) metres, NaN unknown.
        spec: of the map.
    """
    rows, cols = np.nonzero(np.isfinite(elevation_m))
    return np.column_stack((spec.xy_of(rows, cols), elevation_m[rows, cols]))


def warm_up() -> None:
    """Compile the kernel for the types in use."""
    mosaic = GroundMosaic(GroundMosaicConfig(size_cells=32))
    mosaic.add(np.zeros((3, 3)), np.zeros(2))
