"""What a hopper sees of its landing place on the way down, in darkness: lidar scans into a map."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np

from ilrs_robots.core.cloud.deskew import deskew
from ilrs_robots.core.cloud.self_filter import own_points
from ilrs_robots.core.errors import ExtrapolationError, InvalidCloudError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.error_state import rotation_matrix
from ilrs_robots.core.localization.filter_types import FilterState
from ilrs_robots.core.mapping.elevation_map import ElevationMap
from ilrs_robots.core.types import AltimeterSample, Cloud, Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.hop_localization import HopLocalization
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.settings import map_config_of, noises_of, own_boxes_of

_MOST_WAITING = 4
_TIED_SCANS = 3
_GROUND_SHARE = 0.35
_STEEPEST_BEAM = 0.85
_LEAST_CELLS = 12
_PLANE_M = 0.6
_LEAST_SIGMA_M = 0.03
_GATE_SIGMA = 5.0
"""A landing map is made of a hundred thousands of points in seconds: of those at three deviations
some contradict every place at any time."""
_POSE_SPREAD = np.diag([0.0, 0.0, 1e-4, 1e-7, 1e-7, 0.0])
"""Of z (1 cm) and tilt (0.3 mrad) between scans: what is common to all of them moves map and
vehicle alike."""


class LandingView:
    """Builds the landing area's map from scans, and follows the ground under the vehicle.

    The map's axes are those of the pose (``map``); its window stays around the place where the
    vehicle means to land, however far away that still is.

    Args:
        model: the vehicle.
        name: its namespace, which frame ids begin with.
        size_m: side of the map.
        cell_m: its cell.

    Attributes:
        map: of the landing area, None before ``begin``.
        scans: how many were fused since ``begin``.
        refused: why the last scan was not.
        below_m: height of the ground below by the altimeter, smoothed, map; NaN before it spoke.
        below_ns: when that was.
        beam_from_m: (3,) where the altimeter's beam begins, base_link.
        beam: (3,) its direction, base_link.
    """

    def __init__(self, model: HopperModel, name: str, size_m: float, cell_m: float) -> None:
        cells = 2 * round(0.5 * size_m / cell_m)
        self._config = replace(
            map_config_of(model), resolution_m=cell_m, size_cells=cells, visibility=False,
            range_sigma_m=model.lidar.range_sigma_m, gate_sigma=_GATE_SIGMA,
        )  # fmt: skip
        self._noise = noises_of(model, name)[f"{name}/{model.lidar.frame}"]
        self._T_base_lidar = se3.from_rpy(
            np.array(model.lidar.position_m), np.array(model.lidar.rpy_rad)
        )
        self._boxes = own_boxes_of(model, 0.1)
        self.beam_from_m = np.array(model.altimeter.position_m)
        mount = se3.quat_from_rpy(*model.altimeter.rpy_rad)
        self.beam = se3.quat_rotate(mount, np.array([1.0, 0.0, 0.0]))
        self.map: ElevationMap | None = None
        self.scans = 0
        self.refused = ""
        self.below_m = math.nan
        self.below_ns = -(10**18)
        self._waiting: deque[Cloud] = deque(maxlen=_MOST_WAITING)

    def begin(self, place_m: FloatArray) -> None:
        """Start an empty map around (3,) a place, metres, map."""
        self.map = ElevationMap(self._config, (float(place_m[0]), float(place_m[1])))
        self.scans, self.refused = 0, ""
        self._waiting.clear()

    def end(self) -> None:
        """Scans are no longer fused; the map stays."""
        self._waiting.clear()

    def on_range(self, sample: AltimeterSample, state: FilterState) -> None:
        """The altimeter: height of the ground below, smoothed, while it points down."""
        R = rotation_matrix(state.quat_wxyz)
        beam = R @ self.beam
        if not math.isfinite(sample.range_m) or -beam[2] < _STEEPEST_BEAM:
            return
        late_s = (state.stamp_ns - sample.stamp_ns) * 1e-9
        place = state.position_m - late_s * state.velocity_mps
        hit = float((place + R @ self.beam_from_m + sample.range_m * beam)[2])
        fresh = sample.stamp_ns - self.below_ns > 500_000_000 or math.isnan(self.below_m)
        self.below_m = hit if fresh else self.below_m + _GROUND_SHARE * (hit - self.below_m)
        self.below_ns = sample.stamp_ns

    def tie(self, sample: AltimeterSample, poses: HopLocalization) -> None:
        """Let the altimeter hold the pose to the height of the map.

        Ground from orbit is off by metres, more than the inertial unit drifts in a hop, so before
        there is a map the height is the inertial unit's alone.
        """
        if self.scans >= _TIED_SCANS:
            poses.odometry.on_altimeter(
                sample.stamp_ns, sample.range_m, sample.sigma_m, self.beam_from_m, self.beam,
                self.ground,
            )  # fmt: skip

    def on_scan(self, cloud: Cloud) -> None:
        """Queue a scan; ``fuse`` takes it when poses span it."""
        if self.map is not None and len(cloud.xyz_m):
            self._waiting.append(cloud)

    def fuse(self, poses: HopLocalization) -> int:
        """Fuse the scans that poses span; gives how many."""
        done = 0
        while self._waiting and self.map is not None:
            cloud = self._waiting[0]
            offsets = cloud.time_offset_ns
            last = cloud.stamp_ns + (0 if offsets is None else int(offsets.max(initial=0)))
            if last > poses.state.stamp_ns:
                break
            self._waiting.popleft()
            try:
                self._fuse(cloud, last, poses)
                done += 1
            except (ExtrapolationError, InvalidCloudError, TransformError) as error:
                self.refused = str(error)
        self.scans += done
        return done

    def _fuse(self, cloud: Cloud, last_ns: int, poses: HopLocalization) -> None:
        stamps, places, quats = poses.poses(cloud.stamp_ns, last_ns)
        if not len(stamps):
            raise ExtrapolationError(f"no poses span the scan at {cloud.stamp_ns * 1e-9:.2f} s")
        mount, turn = se3.split_transform(self._T_base_lidar)
        sensor = places + se3.quat_rotate(quats, np.broadcast_to(mount, places.shape))
        attitude = se3.quat_multiply(quats, np.broadcast_to(turn, quats.shape))
        xyz = deskew(cloud, stamps, sensor, attitude, last_ns)
        own, count = own_points(xyz, self._T_base_lidar, self._boxes)
        if count:
            xyz = xyz[~own]
        at = np.array([last_ns], dtype=np.int64)
        origin, quat = se3.interpolate_poses(stamps, sensor, attitude, at)
        T = se3.make_transform(origin[0], quat[0])
        assert self.map is not None
        self.map.update(xyz, T, last_ns, _POSE_SPREAD, self._noise)

    def layers(self) -> tuple[dict[str, Float32Array], GridSpec] | None:
        """Elevation (m) and its variance (m2) on their grid; None before anything is seen."""
        if self.map is None or not self.scans:
            return None
        names = ("elevation", "variance")
        return {name: self.map.layer(name) for name in names}, self.map.spec

    def ground_m(self, xy_m: FloatArray, radius_m: float = 1.0) -> float:
        """Middle height of what is seen around (2,) a place, metres; NaN where too little is."""
        near = self._near(xy_m, radius_m)
        seen = near[np.isfinite(near)]
        return float(np.median(seen)) if seen.size >= _LEAST_CELLS else math.nan

    def ground(self, xy_m: FloatArray) -> tuple[float, FloatArray, float]:
        """Height m, slope (2,) and standard deviation m of the map at (2,) a place, metres.

        The height is NaN where too little is seen. The slope is said to be none: what a beam
        tells shall not move the vehicle sideways over its own map, whose errors are alike
        everywhere, only up and down.
        """
        near = self._near(xy_m, _PLANE_M)
        rows, cols = np.nonzero(np.isfinite(near))
        if len(rows) < _LEAST_CELLS or self.map is None:
            return math.nan, np.zeros(2), 1.0
        step = self.map.spec.resolution_m
        middle = 0.5 * (np.array(near.shape) - 1.0)
        x, y = (cols - middle[1]) * step, (rows - middle[0]) * step
        z = near[rows, cols].astype(np.float64)
        A = np.column_stack((x, y, np.ones(len(x))))
        fit = np.linalg.lstsq(A, z, rcond=None)[0]
        rough = float(np.std(z - A @ fit))
        return float(fit[2]), np.zeros(2), max(rough, _LEAST_SIGMA_M)

    def _near(self, xy_m: FloatArray, radius_m: float) -> Float32Array:
        """(K, K) heights of the cells around a place; empty where the map does not reach."""
        if self.map is None or not self.scans:
            return np.zeros((0, 0), dtype=np.float32)
        spec = self.map.spec
        row, col = (int(v) for v in spec.cell_of(xy_m))
        k = max(round(radius_m / spec.resolution_m), 1)
        if not (k <= row < spec.rows - k and k <= col < spec.cols - k):
            return np.zeros((0, 0), dtype=np.float32)
        return self.map.layer("elevation")[row - k : row + k + 1, col - k : col + k + 1]
