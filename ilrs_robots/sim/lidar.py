"""A scanning lidar: every column is cast from where the sensor is at that column's time.

The rays of each period are cast by a worker thread while physics computes the next one (MuJoCo
steps without the interpreter's lock), and joined before the next exchange: the result does not
depend on the threads' timing. The vehicle's own body is not in the scene.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.geometry.se3 import quat_from_rpy
from ilrs_robots.core.types import Cloud, Float32Array, IntArray
from ilrs_robots.robots.sensor_parts import LidarConfig
from ilrs_robots.sim.lidar_rays import fill_rays, keep_answers
from ilrs_robots.sim.lidar_scene import Scene
from ilrs_robots.sim.sensors import BodyState

GROUND_INTENSITY = 30.0
"""Intensity of regolith that faces the sensor: 255 times its normal albedo of 0.12."""

ROCK_INTENSITY = 50.0
"""The same of a bare rock face, albedo 0.2."""

_CAST_THREADS = 1


@dataclass(frozen=True)
class _Slice:
    """What some columns have seen."""

    xyz_m: Float32Array
    column: IntArray
    intensity: Float32Array


def ray_directions(config: LidarConfig) -> Float32Array:
    """Unit vectors of every ray in the sensor frame, (columns, channels, 3) float32."""
    elevation = np.radians(
        np.linspace(config.elevation_min_deg, config.elevation_max_deg, config.channels)
    )
    span = config.azimuth_max_deg - config.azimuth_min_deg
    steps = np.arange(config.columns) / config.columns
    azimuth = np.radians(config.azimuth_min_deg + span * steps)
    flat = np.cos(elevation)[None, :]
    directions = np.empty((config.columns, config.channels, 3), dtype=np.float32)
    directions[..., 0] = np.cos(azimuth)[:, None] * flat
    directions[..., 1] = np.sin(azimuth)[:, None] * flat
    directions[..., 2] = np.sin(elevation)[None, :]
    return directions


class Lidar:
    """One sensor with its own noise; ``start`` and ``finish`` bracket each period.

    Attributes:
        scene: what the rays may hit; replaced when the vehicle has moved on.
    """

    def __init__(
        self, config: LidarConfig, frame_id: str, rng: np.random.Generator,
        pool: ThreadPoolExecutor,
    ) -> None:  # fmt: skip
        self.config, self._frame_id, self._rng, self._pool = config, frame_id, rng, pool
        self.scene: Scene
        self._directions = ray_directions(config)
        self._mount = np.array([*config.position_m, *quat_from_rpy(*config.rpy_rad)])
        self._period_ns = round(1e9 / config.rate_hz)
        self._offsets_ns = self._period_ns * np.arange(config.columns) // config.columns
        self._scan_ns = 0
        self._column = 0
        self._whole = True
        self._slices: list[_Slice] = []
        self._due: list[Future[Cloud | None]] = []

    def start(self, before: BodyState, after: BodyState, cast: bool = True) -> None:
        """Hand the columns whose time lies in [before, after) to the worker.

        Args:
            before: true state.
            after: true state.
            cast: whether rays are cast; a scan of which a column was not is left out.
        """
        while True:
            end = int(np.searchsorted(self._offsets_ns, after.stamp_ns - self._scan_ns))
            last = end == self.config.columns
            self._whole = (self._whole or self._column == 0) and cast
            if end > self._column and self._whole:
                job = (self.scene, before, after, self._scan_ns, self._column, end)
                self._due.append(self._pool.submit(self._cast, *job))
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

    def skip_to(self, time_ns: int) -> None:
        """Give the scan under way up; the next begins at the first whole period from a time on."""
        self._scan_ns = -(-time_ns // self._period_ns) * self._period_ns
        self._column = 0
        self._slices.clear()

    def state(self) -> bytes:
        """The noise generator's state and the place in the scan."""
        return f"{self._rng.bit_generator.state} {self._scan_ns} {self._column}".encode()

    def _cast(
        self, scene: Scene, before: BodyState, after: BodyState, scan_ns: int, first: int, end: int
    ) -> Cloud | None:
        stamps = scan_ns + self._offsets_ns[first:end]
        share = (stamps - before.stamp_ns) / (after.stamp_ns - before.stamp_ns)
        local = self._directions[first:end]
        rays = np.empty((*local.shape[:2], 6), dtype=np.float32)
        fill_rays(local, share, before.pose(), after.pose(), self._mount, scene.origin_m, rays)
        if first == 0:
            self._slices = []
        self._slices.append(self._measure(scene, local, rays, first))
        if end < self.config.columns:
            return None
        slices, self._slices = self._slices, []
        return self._assemble(scan_ns, slices)

    def _measure(
        self, scene: Scene, local: Float32Array, rays: Float32Array, first: int
    ) -> _Slice:
        """Cast; noise, dropouts and range limits; rays without an answer are left out."""
        ranges, normals, rock = scene.cast(rays, _CAST_THREADS)
        config, shape = self.config, ranges.shape
        noise = self._rng.standard_normal(shape, dtype=np.float32)
        noise *= np.float32(config.range_sigma_m)
        lost = self._rng.random(shape, dtype=np.float32) < config.dropout
        shine = np.where(rock, np.float32(ROCK_INTENSITY), np.float32(GROUND_INTENSITY))
        xyz = np.empty((ranges.size, 3), dtype=np.float32)
        column = np.empty(ranges.size, dtype=np.int64)
        intensity = np.empty(ranges.size, dtype=np.float32)
        count = keep_answers(
            local, rays, ranges, normals, shine, noise, lost,
            (config.range_min_m, config.range_max_m), first, xyz, column, intensity,
        )  # fmt: skip
        return _Slice(xyz[:count], column[:count], intensity[:count])

    def _assemble(self, scan_ns: int, slices: list[_Slice]) -> Cloud:
        columns = np.concatenate([s.column for s in slices])
        return Cloud(
            scan_ns,
            self._frame_id,
            np.concatenate([s.xyz_m for s in slices]),
            self._offsets_ns[columns],
            np.concatenate([s.intensity for s in slices]),
        )
