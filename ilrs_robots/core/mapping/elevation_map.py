"""A rolling elevation map around a vehicle, fused scan by scan with a Kalman filter per cell.

The map is a window of a fixed lattice in the odom frame. Moving it clears the cells that enter
and touches nothing else. A scan is gated against what the map held before it, summed per cell and
applied once, so that the order of its points does not matter.

A cell with a vertical face or an overhang has no single height. ``elevation`` then is the mean of
what agrees with the cell's history, and ``upper_bound`` the highest surface that was measured;
what must not hit a rock looks at the latter. The upper bound rises at once and sinks slowly, and
only where the cell is seen: an obstacle that leaves the field of view stays.

Reference: Fankhauser, Bloesch, Hutter 2018, Probabilistic Terrain Mapping (the filter per cell);
the aggregation before the update and the bounds are our own.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ilrs_robots.core import config
from ilrs_robots.core.errors import ConfigError, InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.mapping import kernels, map_state
from ilrs_robots.core.mapping.map_config import ElevationMapConfig, UpdateReport
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

__all__ = ["LAYER_NAMES", "ElevationMap", "ElevationMapConfig", "UpdateReport", "warm_up"]

LAYER_NAMES: Final = map_state.Layers._fields
_REASONS: Final = ("non_finite", "range", "outside", "gated")


class ElevationMap:
    """Rolling map in the odom frame.

    Args:
        config: size, noise, rules.
        origin: x, y of the middle of the window in odom, metres; snapped to the lattice.
    """

    def __init__(self, config: ElevationMapConfig, origin: ArrayLike = (0.0, 0.0)) -> None:
        self.config = config
        size = config.size_cells
        cells = size * size
        self._layers = map_state.Layers(
            *(np.full(cells, fill, np.float32) for fill in (np.nan, np.nan, np.nan, 0.0, np.nan))
        )
        self._records = np.zeros((cells, map_state.RECORD), np.float32)
        self._touched = np.empty(cells, np.int32)
        self._col, self._row = self._lattice(origin)
        self._time_origin_ns: int | None = None
        self._rules = map_state.Rules(
            np.float32(config.gate_sigma**2),
            config.growth_m2_per_s,
            config.outlier_sigma_m**2,
            config.min_sigma_m**2,
            config.max_sigma_m**2,
            config.upper_relaxation,
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
        size = self.config.size_cells
        for axis, shift in ((0, row - self._row), (1, col - self._col)):
            start = self._row if axis == 0 else self._col
            count = min(abs(shift), size)
            first = start + (size if shift > 0 else shift) if count < size else 0
            index = np.arange(first, first + count) % size
            for layer, empty in zip(self._layers, _empty_values(), strict=True):
                grid = layer.reshape(size, size)
                if axis == 0:
                    grid[index] = empty
                else:
                    grid[:, index] = empty
        self._col, self._row = col, row

    def update(
        self,
        xyz_sensor_m: Float32Array,
        T_odom_sensor: FloatArray,
        stamp_ns: int,
        pose_covariance: FloatArray | None = None,
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

        Raises:
            InvalidCloudError: ``shape``, ``empty`` or ``all_nan``; the map is as before.
            TransformError: the pose is not rigid or not finite; the map is as before.
        """
        xyz = np.asarray(xyz_sensor_m, dtype=np.float32)
        if xyz.ndim != 2 or xyz.shape[1] != 3:
            raise InvalidCloudError("shape", f"points have shape (N, 3), got {xyz.shape}")
        if xyz.shape[0] == 0:
            raise InvalidCloudError("empty", "the cloud has no points")
        origin_ns = int(stamp_ns) if self._time_origin_ns is None else self._time_origin_ns
        stamp_s = (int(stamp_ns) - origin_ns) * 1e-9
        scan = self._scan(se3.require_rigid(T_odom_sensor), stamp_s, pose_covariance)
        touched, counts = kernels.fuse_scan(
            np.ascontiguousarray(xyz).reshape(-1), self._layers, scan, self._rules,
            self._window(), self._records, self._touched,
        )  # fmt: skip
        dropped = dict(zip(_REASONS, counts.tolist(), strict=True))
        if dropped["non_finite"] == xyz.shape[0]:
            raise InvalidCloudError("all_nan", f"none of {xyz.shape[0]} points is finite")
        self._time_origin_ns = origin_ns
        return UpdateReport(xyz.shape[0], dropped, touched)

    def layer(self, name: str) -> Float32Array:
        """(rows, cols) float32 copy of a layer in row and column order; NaN is unknown.

        ``elevation`` and ``upper_bound`` in metres in odom, ``variance`` in square metres as of
        the last time each cell was seen, ``count`` of fused points, ``last_seen_s`` in seconds
        after ``time_origin_ns``.

        Raises:
            KeyError: there is no such layer.
        """
        if name not in LAYER_NAMES:
            raise KeyError(f"no layer {name!r}; there are {', '.join(LAYER_NAMES)}")
        size = self.config.size_cells
        grid = getattr(self._layers, name).reshape(size, size)
        row, col = self._row % size, self._col % size
        out = np.empty((size, size), np.float32)
        top, left = size - row, size - col
        out[:top, :left] = grid[row:, col:]
        out[:top, left:] = grid[row:, :col]
        out[top:, :left] = grid[:row, col:]
        out[top:, left:] = grid[:row, :col]
        return out

    def clear(self) -> None:
        """Forget everything but the place of the window."""
        for layer, empty in zip(self._layers, _empty_values(), strict=True):
            layer.fill(empty)
        self._time_origin_ns = None

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that ``from_arrays`` needs, as arrays that ``numpy.savez`` takes."""
        arrays: dict[str, NDArray[Any]] = {name: self.layer(name) for name in LAYER_NAMES}
        arrays["first_cell"] = np.array([self._row, self._col], dtype=np.int64)
        known = self._time_origin_ns
        arrays["time_origin_ns"] = np.array([] if known is None else [known], dtype=np.int64)
        arrays["config_json"] = np.array(json.dumps(dataclasses.asdict(self.config)))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> ElevationMap:
        """The map that ``to_arrays`` described.

        Raises:
            ConfigError: an array is missing or does not fit.
        """
        wanted = (*LAYER_NAMES, "first_cell", "time_origin_ns", "config_json")
        missing = [name for name in wanted if name not in arrays]
        if missing:
            raise ConfigError(f"saved map: {missing[0]!r} is missing")
        settings = json.loads(str(arrays["config_json"]))
        restored = cls(config.from_mapping(ElevationMapConfig, settings, "saved map"))
        size = restored.config.size_cells
        restored._row, restored._col = (int(v) for v in arrays["first_cell"])
        for name in LAYER_NAMES:
            if arrays[name].shape != (size, size):
                raise ConfigError(
                    f"saved map: {name} has shape {arrays[name].shape}, expected {(size, size)}"
                )
            shifted = np.roll(arrays[name], (restored._row % size, restored._col % size), (0, 1))
            getattr(restored._layers, name)[:] = shifted.ravel()
        stamps = arrays["time_origin_ns"]
        restored._time_origin_ns = int(stamps[0]) if stamps.size else None
        return restored

    def _lattice(self, middle_m: ArrayLike) -> tuple[int, int]:
        """Lattice column and row of cell [0, 0] for a window around a point."""
        middle = np.asarray(middle_m, dtype=np.float64)
        if middle.shape != (2,) or not np.isfinite(middle).all():
            raise ConfigError(f"the map's middle must be two finite numbers (m), got {middle}")
        cells = np.rint(middle / self.config.resolution_m)
        half = self.config.size_cells // 2
        return int(cells[0]) - half, int(cells[1]) - half

    def _window(self) -> map_state.Window:
        size = self.config.size_cells
        return map_state.Window(size, size, self._row % size, self._col % size)

    def _scan(
        self, T_odom_sensor: FloatArray, stamp_s: float, covariance: FloatArray | None
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
            np.float32(c.height_sigma_m**2),
            np.float32(c.range_sigma_m**2),
            np.float32(c.angle_sigma_rad**2),
            float(matrix[0, 3]),
            float(matrix[1, 3]),
            step * step,
            z_variance,
            tilt_variance,
            stamp_s,
        )


def _empty_values() -> tuple[float, ...]:
    return tuple(0.0 if name == "count" else float("nan") for name in LAYER_NAMES)


def warm_up() -> None:
    """Compile the kernels for the types in use."""
    small = ElevationMap(ElevationMapConfig(size_cells=8))
    small.update(np.ones((1, 3), np.float32), np.eye(4), 0)
