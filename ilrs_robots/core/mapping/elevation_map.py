"""A rolling elevation map around a vehicle, fused scan by scan with a Kalman filter per cell.

The map is a window of a fixed lattice in the odom frame. Moving it clears the cells that enter
and touches nothing else. A scan is gated against what the map held before it, summed per cell and
applied once, so that the order of its points does not matter.

A cell with a vertical face or an overhang has no single height. ``elevation`` then is the mean of
what agrees with the cell's history, ``upper_bound`` the highest and ``lower_bound`` the lowest
surface that was measured; what must not hit a rock looks at the former. A bound goes outwards at
once and comes back slowly, and only where the cell is seen or seen through: an obstacle that
leaves the field of view stays, one that walks away does not (``visibility``). A scan that is
higher or lower than the map as a whole is shifted onto it (``drift``).

Reference: Fankhauser, Bloesch, Hutter 2018, Probabilistic Terrain Mapping (the filter per cell);
the aggregation before the update and the bounds are our own.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core.errors import ConfigError, InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping import drift, fusion, map_arrays, map_state, prior, ring, visibility
from ilrs_robots.core.mapping.map_config import ElevationMapConfig, UpdateReport
from ilrs_robots.core.mapping.sensor_noise import SensorNoise
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

__all__ = ["LAYER_NAMES", "ElevationMap", "ElevationMapConfig", "UpdateReport", "warm_up"]

LAYER_NAMES: Final = tuple(n for n in map_state.Layers._fields if n not in map_state.HIDDEN)
FARTHEST_M: Final = 1e7
"""Farthest middle of a window: float64 still resolves a nanometre there, and no drive is longer
than the circumference of the Moon."""
_SCATTER: Final = 2654435761
"""Knuth's multiplier: spreads milliseconds so that a scan's half of the rays is as if by lot."""
_REASONS: Final = ("non_finite", "range", "outside", "gated")
_EMPTY: Final = ring.layers_of(1)


class ElevationMap:
    """Rolling map in the odom frame.

    Args:
        config: size, noise, rules.
        origin: x, y of the middle of the window in odom, metres; snapped to the lattice.
    """

    def __init__(self, config: ElevationMapConfig, origin: ArrayLike = (0.0, 0.0)) -> None:
        self.config = config
        self._col, self._row = self._lattice(origin)
        self._layers = ring.layers_of(config.size_cells**2)
        self._scratch = map_state.scratch_of(config.size_cells)
        self._changed = ring.ChangedArea()
        self._time_origin_ns: int | None = None
        self._rules = map_state.Rules(
            np.float32(config.gate_sigma**2),
            config.growth_m2_per_s,
            config.outlier_sigma_m**2,
            config.min_sigma_m**2,
            config.max_sigma_m**2,
            config.upper_relaxation,
            config.visibility_clearance_m,
        )

    @property
    def spec(self) -> GridSpec:
        """The current window in odom."""
        step, size = self.config.resolution_m, self.config.size_cells
        return GridSpec(self._col * step, self._row * step, step, size, size)

    @property
    def time_origin_ns(self) -> int | None:
        """Stamp of the first scan: the zero of ``last_seen_s``; None before it."""
        return self._time_origin_ns

    def recentre(self, xy_m: ArrayLike) -> None:
        """Move the window so that its middle is the lattice point nearest to ``xy_m`` (odom).

        Cells that enter are unknown; the others keep every bit. The cost grows with the cells
        that enter.
        """
        col, row = self._lattice(xy_m)
        size, old = self.config.size_cells, (self._row, self._col)
        for axis, shift in enumerate((row - old[0], col - old[1])):
            ring.forget_entered(self._layers, size, axis, old[axis], shift)
        self._changed.add(*ring.entered(old[0], row, size), col, col + size)
        self._changed.add(row, row + size, *ring.entered(old[1], col, size))
        self._col, self._row = col, row

    def update(
        self,
        xyz_sensor_m: Float32Array,
        T_odom_sensor: FloatArray,
        stamp_ns: int,
        pose_covariance: FloatArray | None = None,
        noise: SensorNoise | None = None,
        intensity: Float32Array | None = None,
    ) -> UpdateReport:
        """Fuse one scan.

        The pose's uncertainty is common to all points and does not average out: each cell's
        measured variance grows by that of z and by the larger of roll's and pitch's times the
        squared horizontal distance from the sensor.

        Args:
            xyz_sensor_m: (N, 3) float32, metres, sensor frame.
            T_odom_sensor: (4, 4).
            stamp_ns: time of the pose.
            pose_covariance: (6, 6) of x, y, z, roll, pitch, yaw as in ROS, or None for exact.
            noise: of this sensor; None for the map's own.
            intensity: (N,) float32 in the sensor's unit, NaN where there is none.

        Raises:
            InvalidCloudError: ``shape``, ``empty`` or ``all_nan``; the map is as before.
            TransformError: the pose is not rigid or not finite; the map is as before.
        """
        xyz = np.asarray(xyz_sensor_m, dtype=np.float32)
        bright = _checked(xyz, intensity)
        flat = np.ascontiguousarray(xyz).reshape(-1)
        origin_ns = int(stamp_ns) if self._time_origin_ns is None else self._time_origin_ns
        stamp_s = (int(stamp_ns) - origin_ns) * 1e-9
        of = noise or self.config.noise
        scan = self._scan(se3.require_rigid(T_odom_sensor), stamp_s, pose_covariance, of)
        prior.prepare(self._layers, scan, self._rules, self._window(), self._scratch)
        offset = self._offset(flat, scan)
        shift = drift.shift_of(offset, self.config)
        if shift:
            scan.matrix[2, 3] += np.float32(shift)
            scan = scan._replace(sensor_height=scan.sensor_height + shift)
        if bright.size and not self._scratch.brightness.size:
            room = np.zeros((self.config.size_cells**2, 2), np.float32)
            self._scratch = self._scratch._replace(brightness=room)
        touched, counts, bounds = fusion.fuse_scan(
            flat, bright, self._layers, scan, self._rules, self._window(), self._scratch
        )
        seen_through = self._clean_up(flat, touched, scan, bounds)
        dropped = dict(zip(_REASONS, counts.tolist(), strict=True))
        if dropped["non_finite"] == xyz.shape[0]:
            raise InvalidCloudError("all_nan", f"none of {xyz.shape[0]} points is finite")
        row0, row1, col0, col1 = (int(v) for v in bounds)
        self._changed.add(self._row + row0, self._row + row1, self._col + col0, self._col + col1)
        self._time_origin_ns = origin_ns
        return UpdateReport(xyz.shape[0], dropped, touched, seen_through, offset, shift)

    def take_changed(self) -> tuple[int, int, int, int] | None:
        """Rectangle of the current window that holds every cell changed since the last call.

        Fused, seen through, entered by a move, cleared or restored. What changed and has left the
        window since does not count.

        Returns:
            First row, end row, first column, end column (ends excluded); None for nothing.
        """
        return self._changed.take(self._row, self._col, self.config.size_cells)

    def layer(self, name: str) -> Float32Array:
        """(rows, cols) float32 copy of a layer in row and column order; NaN is unknown.

        ``elevation``, ``upper_bound`` and ``lower_bound`` in metres in odom, ``variance`` in
        square metres as of the last time each cell was seen, ``count`` of fused points,
        ``last_seen_s`` in seconds after ``time_origin_ns``, ``intensity`` in the sensor's unit.

        Raises:
            KeyError: there is no such layer.
        """
        if name not in LAYER_NAMES:
            raise KeyError(f"no layer {name!r}; there are {', '.join(LAYER_NAMES)}")
        buffer: Float32Array = getattr(self._layers, name)
        out: Float32Array = ring.unrolled(buffer, self.config.size_cells, self._row, self._col)
        return out

    def clear(self) -> None:
        """Forget everything but the place of the window."""
        for layer, empty in zip(self._layers._asdict().values(), map_state.EMPTY, strict=True):
            layer.fill(empty)
        self._time_origin_ns = None
        self._all_changed()

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that ``from_arrays`` needs, as arrays that ``numpy.savez`` takes."""
        return map_arrays.pack(
            self._layers, self.config, self._row, self._col, self._time_origin_ns
        )

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> ElevationMap:
        """The map that ``to_arrays`` described.

        Raises:
            ConfigError: an array is missing or does not fit.
        """
        restored = cls(map_arrays.settings_in(arrays))
        restored._row, restored._col = (int(v) for v in arrays["first_cell"])
        map_arrays.unpack(arrays, restored._layers, restored._row, restored._col)
        stamps = arrays["time_origin_ns"].ravel()
        restored._time_origin_ns = int(stamps[0]) if stamps.size else None
        restored._all_changed()
        return restored

    def _all_changed(self) -> None:
        size = self.config.size_cells
        self._changed.add(self._row, self._row + size, self._col, self._col + size)

    def _offset(self, flat: Float32Array, scan: map_state.Scan) -> float | None:
        if not self.config.drift_compensation or self._time_origin_ns is None:
            return None
        return drift.offset_of(flat, self.config, scan, self._window(), self._scratch)

    def _clean_up(
        self, flat: Float32Array, touched: int, scan: map_state.Scan, bounds: NDArray[np.int64]
    ) -> int:
        """Take out what the scan sees through; how many cells lost something."""
        seen_through = 0
        if self.config.visibility and touched:
            seen_through = visibility.clean_up(
                flat, touched, self._layers, _EMPTY, scan, self._rules, self._window(),
                self._scratch, bounds,
            )  # fmt: skip
        visibility.forget_fused(self._scratch, touched)
        return seen_through

    def _lattice(self, middle_m: ArrayLike) -> tuple[int, int]:
        """Lattice column and row of cell [0, 0] for a window around a point."""
        middle = np.asarray(middle_m, dtype=np.float64)
        if middle.shape != (2,) or not np.isfinite(middle).all():
            raise ConfigError(f"the map's middle must be two finite numbers (m), got {middle}")
        if np.abs(middle).max() > FARTHEST_M:
            raise ConfigError(
                f"the map's middle = {middle} m: farther than the limit {FARTHEST_M:.0e} m"
            )
        cells = np.rint(middle / self.config.resolution_m)
        half = self.config.size_cells // 2
        return int(cells[0]) - half, int(cells[1]) - half

    def _window(self) -> map_state.Window:
        size = self.config.size_cells
        return map_state.Window(size, size, self._row % size, self._col % size)

    def _scan(
        self,
        T_odom_sensor: FloatArray,
        stamp_s: float,
        covariance: FloatArray | None,
        noise: SensorNoise,
    ) -> map_state.Scan:
        step, c = self.config.resolution_m, self.config
        matrix = T_odom_sensor[:3].copy()
        matrix[:2] /= step
        matrix[0, 3] += 0.5 - self._col
        matrix[1, 3] += 0.5 - self._row
        z_variance = tilt_variance = 0.0
        if covariance is not None:
            spread = np.diagonal(np.asarray(covariance, dtype=np.float64))
            z_variance, tilt_variance = float(spread[2]), float(max(spread[3], spread[4]))
        return map_state.Scan(
            np.ascontiguousarray(matrix, dtype=np.float32),
            np.float32(max(c.range_min_m, 1e-3) ** 2),
            np.float32(c.range_max_m**2),
            np.float32(noise.height_sigma_m**2),
            np.float32(noise.range_sigma_m**2),
            np.float32(noise.angle_sigma_rad**2),
            np.float32(noise.incidence_sigma_rad**2),
            float(matrix[0, 3]),
            float(matrix[1, 3]),
            float(matrix[2, 3]),
            step,
            z_variance,
            tilt_variance,
            stamp_s,
            float(np.sin(noise.view_top_rad)),
            (int(stamp_s * 1e3) * _SCATTER >> 16) & 1,
        )


def _checked(xyz: Float32Array, intensity: Float32Array | None) -> Float32Array:
    """The intensities of a cloud, (N,) or (0,), where the cloud can be used."""
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise InvalidCloudError("shape", f"points have shape (N, 3), got {xyz.shape}")
    if xyz.shape[0] == 0:
        raise InvalidCloudError("empty", "the cloud has no points")
    if intensity is None:
        return np.empty(0, np.float32)
    bright = np.ascontiguousarray(intensity, dtype=np.float32)
    if bright.shape != (xyz.shape[0],):
        raise InvalidCloudError(
            "shape", f"intensities have shape ({xyz.shape[0]},), got {bright.shape}"
        )
    return bright


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    small = ElevationMap(ElevationMapConfig(size_cells=32))
    points = np.array([[1.0, 1.0, -1.0], [-1.0, 1.0, -1.0], [-9.0, -9.0, -9.0]], np.float32)
    for stamp in range(2):
        report = small.update(points, np.eye(4), stamp, intensity=np.ones(3, np.float32))
    if not report.cells_touched:
        raise AssertionError("a warm-up that touches no cell leaves kernels cold")
