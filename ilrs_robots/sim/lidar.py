"""A scanning lidar: every column is cast from where the sensor is at that column's time.

The rays of each exchange period are cast by a worker thread while physics computes the next one
(MuJoCo steps without the interpreter's lock), and joined before the next exchange: the result
does not depend on the threads' timing. The vehicle's own body is not in the scene.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.geometry.se3 import interpolate_poses, quat_from_rpy, quat_multiply, quat_rotate
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray, IntArray
from ilrs_robots.robots.model import LidarConfig
from ilrs_robots.sim.lidar_scene import Scene
from ilrs_robots.sim.sensors import BodyState

GROUND_ALBEDO = 0.12
"""Reflectance of regolith (mature highland soil is darker and brighter by a third)."""

ROCK_ALBEDO = 0.2
"""Reflectance of a bare rock face."""


@dataclass(frozen=True)
class _Slice:
    """What the columns of one period have seen."""

    xyz_m: Float32Array
    column: IntArray
    intensity: Float32Array


def ray_directions(config: LidarConfig) -> Float32Array:
    """Unit vectors of every ray in the sensor frame, (columns, channels, 3) float32."""
    elevation = np.radians(
        np.linspace(config.elevation_min_deg, config.elevation_max_deg, config.channels)
    )
    span = config.azimuth_max_deg - config.azimuth_min_deg
    azimuth = np.radians(config.azimuth_min_deg + span / config.columns * np.arange(config.columns))
    flat = np.cos(elevation)[None, :]
    directions = np.stack(
        (
            np.cos(azimuth)[:, None] * flat,
            np.sin(azimuth)[:, None] * flat,
            np.broadcast_to(np.sin(elevation)[None, :], (config.columns, config.channels)),
        ),
        axis=-1,
    )
    return directions.astype(np.float32)


class Lidar:
    """One sensor with its own noise; ``start`` and ``finish`` bracket each exchange period."""

    def __init__(
        self, config: LidarConfig, frame_id: str, rng: np.random.Generator,
        pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self.config, self._frame_id, self._rng, self._pool = config, frame_id, rng, pool
        self._directions = ray_directions(config)
        self._mount_m = np.array(config.position_m)
        self._mount_quat = quat_from_rpy(*config.rpy_rad)
        self._period_ns = round(1e9 / config.rate_hz)
        self._offsets_ns = self._period_ns * np.arange(config.columns) // config.columns
        self._scan_ns = 0
        self._column = 0
        self._slices: list[_Slice] = []
        self._due: list[Future[Cloud | None]] = []
        self.scene: Scene

    def start(self, before: BodyState, after: BodyState) -> None:
        """Hand the columns whose time lies in [before, after) to the worker."""
        while True:
            end = int(np.searchsorted(self._scan_ns + self._offsets_ns, after.stamp_ns))
            stamps = self._scan_ns + self._offsets_ns[self._column : end]
            last = end == self.config.columns
            if len(stamps):
                job = (self._scan_ns, self._column, *self._poses(before, after, stamps), last)
                self._due.append(self._pool.submit(self._cast, self.scene, *job))
            if not last:
                self._column = end
                return
            self._scan_ns += self._period_ns
            self._column = 0

    def finish(self) -> list[Cloud]:
        """Wait for the worker; scans that are complete now."""
        done = [future.result() for future in self._due]
        self._due.clear()
        return [cloud for cloud in done if cloud is not None]

    def state(self) -> bytes:
        """The noise generator's state and the place in the scan."""
        return f"{self._rng.bit_generator.state} {self._scan_ns} {self._column}".encode()

    def _poses(
        self, before: BodyState, after: BodyState, stamps_ns: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Sensor in map at each stamp."""
        positions, quats = interpolate_poses(
            np.array([before.stamp_ns, after.stamp_ns]),
            np.stack((before.position_m, after.position_m)),
            np.stack((before.quat_wxyz, after.quat_wxyz)),
            stamps_ns,
        )
        lever = np.broadcast_to(self._mount_m, positions.shape)
        return positions + quat_rotate(quats, lever), quat_multiply(
            quats, np.broadcast_to(self._mount_quat, quats.shape)
        )

    def _cast(
        self, scene: Scene, scan_ns: int, first: int, positions_m: FloatArray, quats: FloatArray,
        last: bool,
    ) -> Cloud | None:  # fmt: skip
        local = self._directions[first : first + len(positions_m)]
        found = _hit(scene, positions_m, quats, local)
        self._slices.append(self._measure(local, first, *found))
        if not last:
            return None
        slices, self._slices = self._slices, []
        columns = np.concatenate([s.column for s in slices])
        return Cloud(
            scan_ns,
            self._frame_id,
            np.concatenate([s.xyz_m for s in slices]),
            self._offsets_ns[columns],
            np.concatenate([s.intensity for s in slices]),
        )

    def _measure(
        self, local: Float32Array, first: int, ranges_m: Float32Array, intensity: Float32Array
    ) -> _Slice:
        """Noise, dropouts and range limits; rays without an answer are left out."""
        config, shape = self.config, ranges_m.shape
        noise = self._rng.standard_normal(shape, dtype=np.float32)
        lost = self._rng.random(shape, dtype=np.float32) < config.dropout
        measured = ranges_m + np.float32(config.range_sigma_m) * noise
        keep = (measured >= config.range_min_m) & (measured <= config.range_max_m) & ~lost
        column, channel = np.nonzero(keep)
        xyz = local[column, channel] * measured[column, channel, None]
        return _Slice(xyz, column + first, intensity[column, channel])


def _hit(
    scene: Scene, positions_m: FloatArray, quats: FloatArray, local: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """True ranges (inf for a miss) and intensities 0..255, both (columns, channels) float32."""
    import open3d as o3d

    columns, channels = local.shape[:2]
    rays = np.empty((columns, channels, 6), dtype=np.float32)
    rays[..., :3] = (positions_m - scene.origin_m)[:, None, :]
    np.matmul(local, _matrices(quats).transpose(0, 2, 1), out=rays[..., 3:])
    answer = scene.engine.cast_rays(o3d.core.Tensor.from_numpy(rays))
    ranges = answer["t_hit"].numpy()
    cosine = np.abs(np.einsum("nkc,nkc->nk", answer["primitive_normals"].numpy(), rays[..., 3:]))
    rock = answer["geometry_ids"].numpy() == scene.rock_geometry
    albedo = np.where(rock, np.float32(ROCK_ALBEDO), np.float32(GROUND_ALBEDO))
    return ranges, np.float32(255.0) * albedo * cosine


def _matrices(quats: FloatArray) -> Float32Array:
    """Rotation matrices (N, 3, 3) float32 of (N, 4) quaternions."""
    axes = [quat_rotate(quats, np.broadcast_to(e, (len(quats), 3))) for e in np.eye(3)]
    return np.stack(axes, axis=-1).astype(np.float32)


