"""A DEM refined without limit of resolution: ground and rocks as pure functions of the place.

The ground is the sum of the DEM under a C1 cubic, fractal roughness, small random craters and the
features of a scenario. Every part depends on (x, y, seed) only, so any two windows agree where
they overlap, whatever their resolution.

Reference: Catmull and Rom 1974 (interpolating cubic); Keys 1981, IEEE TASSP 29, 1153. The parts
name theirs.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain import craters, rock_sources
from ilrs_robots.core.terrain.dem import Dem, as_points
from ilrs_robots.core.terrain.features import BlockField, Crater, Features, SurfaceConfig
from ilrs_robots.core.terrain.ground_kernels import add_ground, cubic
from ilrs_robots.core.terrain.rocks import Rocks, lift_points, raise_to_tops
from ilrs_robots.core.terrain.roughness import octave_table, roughness_at
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

__all__ = ["BlockField", "Crater", "Features", "Rocks", "Surface", "SurfaceConfig", "warm_up"]

_EDGE = 1e-9
_MAX_CELLS = 400_000_000


@njit(cache=True)
def _base(z: np.ndarray, geo: np.ndarray, x: float, y: float) -> float:
    """Catmull-Rom through the DEM's samples; linear ghosts beyond the edge; NaN outside."""
    rows, cols = z.shape
    c = (x - geo[0]) / geo[2]
    r = (y - geo[1]) / geo[2]
    if not (-_EDGE <= c <= cols - 1 + _EDGE and -_EDGE <= r <= rows - 1 + _EDGE):
        return np.nan
    j = min(max(math.floor(c), 0), cols - 2)
    i = min(max(math.floor(r), 0), rows - 2)
    column = np.empty(4)
    for n in range(4):
        ii = i - 1 + n
        if ii < 0:
            lo, hi, wl = 0, 1, 2.0
        elif ii >= rows:
            lo, hi, wl = rows - 1, rows - 2, 2.0
        else:
            lo, hi, wl = ii, ii, 1.0
        b = wl * z[lo, j] - (wl - 1.0) * z[hi, j]
        d = wl * z[lo, j + 1] - (wl - 1.0) * z[hi, j + 1]
        a = wl * z[lo, j - 1] - (wl - 1.0) * z[hi, j - 1] if j > 0 else 2.0 * b - d
        e = wl * z[lo, j + 2] - (wl - 1.0) * z[hi, j + 2] if j + 2 < cols else 2.0 * d - b
        column[n] = cubic(a, b, d, e, c - j)
    height: float = cubic(column[0], column[1], column[2], column[3], r - i)
    return height


@njit(cache=True, nogil=True)
def _heights(
    z: np.ndarray, geo: np.ndarray, table: np.ndarray, octaves: np.ndarray, classes: np.ndarray,
    seeds: np.ndarray, law: np.ndarray, given: np.ndarray, xy: np.ndarray, out: np.ndarray,
) -> None:  # fmt: skip
    for n in range(xy.shape[0]):
        x = xy[n, 0]
        y = xy[n, 1]
        height = _base(z, geo, x, y)
        if not math.isnan(height):
            height += roughness_at(table, octaves, x, y)
            height += craters.craters_height(classes, seeds, law, given, x, y)
        out[n] = height


class Surface:
    """Ground and rocks at any place inside a DEM's hull.

    Args:
        dem: posting of some metres; NaN samples stay unknown ground.
        seed: of everything that is added; the same seed gives the same place everywhere.
        config: of the random background.
        features: of a scenario, added on top.
    """

    def __init__(
        self,
        dem: Dem,
        seed: int,
        config: SurfaceConfig | None = None,
        features: Features | None = None,
    ) -> None:
        self.dem = dem
        self.seed = int(seed)
        self.config = config if config is not None else SurfaceConfig()
        self.features = features if features is not None else Features()
        s = dem.spec
        self._geo = np.array([s.origin_x_m, s.origin_y_m, s.resolution_m])
        self._octaves = octave_table(self.seed, self.config.roughness_m, self.config.hurst)
        self._classes, self._crater_seeds = craters.crater_classes(self.config, self.seed)
        self._law = craters.crater_law(self.config)
        self._given = craters.crater_records(self.features.craters)
        self._sources = rock_sources.given_sources(
            self.seed, self.config, self.features.block_fields
        )

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """Hull of the DEM's samples (x_min, y_min, x_max, y_max), metres."""
        return self.dem.bounds_m

    def with_features(self, features: Features) -> Surface:
        """The same terrain with other features."""
        return Surface(self.dem, self.seed, self.config, features)

    def height(self, xy_m: ArrayLike) -> FloatArray:
        """Ground without rocks, (N,) float64 metres; NaN outside the DEM's hull.

        Args:
            xy_m: (N, 2) metres.
        """
        xy = as_points(xy_m)
        out = np.empty(len(xy))
        _heights(
            self.dem.heights_m, self._geo, *self._octaves, self._classes, self._crater_seeds,
            self._law, self._given, xy, out,
        )  # fmt: skip
        return out

    def grid(self, spec: GridSpec) -> Float32Array:
        """Ground without rocks at cell centres, (rows, cols) float32 metres; NaN outside.

        Raises:
            TerrainError: more cells than memory should hold.
        """
        return self.grid_f64(spec).astype(np.float32)

    def grid_f64(self, spec: GridSpec) -> FloatArray:
        """As ``grid`` before it is rounded to float32."""
        if spec.rows * spec.cols > _MAX_CELLS:
            raise TerrainError(
                f"a grid of {spec.rows} x {spec.cols} cells: above the limit {_MAX_CELLS} cells"
            )
        out = np.zeros(spec.shape)
        where = (spec.origin_x_m, spec.origin_y_m, spec.resolution_m)
        x1 = where[0] + where[2] * (spec.cols - 1)
        y1 = where[1] + where[2] * (spec.rows - 1)
        box = np.array([where[0], where[1], x1, y1])
        craters.stamp(out, *where, self._given)
        craters.stamp(out, *where, self._collect(self._classes, self._crater_seeds, box, -1.0))
        add_ground(self.dem.heights_m, self._geo, *self._octaves, *where, out)
        return out

    def rocks(self, x_min: float, y_min: float, x_max: float, y_max: float) -> Rocks:
        """Every rock whose centre lies in [x_min, x_max) x [y_min, y_max), metres.

        A rock's place, shape and id do not depend on the window. Rocks off the DEM's hull do not
        exist.
        """
        box = np.array([x_min, y_min, x_max, y_max], dtype=np.float64)
        drawn, ids = rock_sources.draw_all(self._sources + self._ejecta_sources(box), box)
        ground = self.height(drawn[:, :2])
        known = ~np.isnan(ground)
        drawn, ids, ground = drawn[known], ids[known], ground[known]
        z = ground + drawn[:, rock_sources.HEIGHT] - drawn[:, rock_sources.SEMI_C]
        return Rocks(
            np.column_stack((drawn[:, :2], z)),
            drawn[:, rock_sources.SEMI_A : rock_sources.SEMI_C + 1].copy(),
            drawn[:, rock_sources.YAW].copy(),
            ids,
            drawn[:, rock_sources.HEIGHT].copy(),
        )

    def top_height(self, xy_m: ArrayLike) -> FloatArray:
        """Height of the rock, or of the ground where there is none, (N,) float64 metres."""
        xy = as_points(xy_m)
        ground = self.height(xy)
        finite = xy[~np.isnan(ground)]
        if len(finite) == 0:
            return ground
        reach = self._rock_reach_m()
        low, high = finite.min(axis=0) - reach, finite.max(axis=0) + reach
        return lift_points(xy, ground, self.rocks(*low, *high))

    def top_grid(self, spec: GridSpec) -> Float32Array:
        """As ``grid``, with the rocks' tops."""
        heights = self.grid_f64(spec)
        reach = self._rock_reach_m()
        x_min, y_min, x_max, y_max = spec.bounds_m
        found = self.rocks(x_min - reach, y_min - reach, x_max + reach, y_max + reach)
        raise_to_tops(
            heights, spec.origin_x_m, spec.origin_y_m, spec.resolution_m,
            found.centre_m, found.semi_axes_m, found.yaw_rad,
        )  # fmt: skip
        return heights.astype(np.float32)

    def _collect(
        self, classes: FloatArray, seeds: NDArray[np.uint64], box: FloatArray, margin: float
    ) -> FloatArray:
        records = np.empty((1024, craters.EXTENT + 1))
        count = craters.collect(classes, seeds, self._law, self._given, box, margin, records)
        if count > len(records):
            records = np.empty((count, craters.EXTENT + 1))
            craters.collect(classes, seeds, self._law, self._given, box, margin, records)
        return records[:count]

    def _rock_reach_m(self) -> float:
        return rock_sources.largest_reach_m(self.config.rock_max_m)

    def _ejecta_sources(self, box: FloatArray) -> list[rock_sources.Source]:
        large = self._classes[:, 2] > rock_sources.EJECTA_DIAMETER_M
        if self.config.ejecta_k <= 0.0 or not large.any():
            return []
        margin = rock_sources.EJECTA_REACH * self.config.crater_max_m
        near = self._collect(self._classes[large], self._crater_seeds[large], box, margin)
        return rock_sources.ejecta_sources(self.seed, self.config, near[:, : craters.SHARP + 1])


def warm_up() -> None:
    """Compile every kernel of ground and rocks."""
    dem = Dem(np.zeros((3, 3), dtype=np.float32), GridSpec(0.0, 0.0, 5.0, 3, 3))
    features = Features((Crater(5.0, 5.0, 4.0, 0.5),), (BlockField(5.0, 5.0, 4.0, 0.1),))
    surface = Surface(dem, 0, features=features)
    surface.top_grid(GridSpec(0.0, 0.0, 1.0, 3, 3))
    surface.top_height(np.array([[1.0, 1.0]]))
