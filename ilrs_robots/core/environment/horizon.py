"""Horizon maps: how high the terrain stands in every direction, seen from every cell."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.environment.horizon_kernels import COUNTS_PER_RAD, UNKNOWN, scan_direction
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

Int16Array = NDArray[np.int16]
MAX_COUNTS: Final = 2_000_000_000
"""Cells times azimuths of one map; 4 GB."""


_NO_TERRAIN: Final = np.empty((0, 0), dtype=np.float32)
_NO_TERRAIN.flags.writeable = False


@dataclass(frozen=True)
class HorizonConfig:
    """How a horizon map is computed."""

    observer_m: float = param(
        2.0, doc="height of panel or antenna above ground", unit="m", low=0.0, high=1e4
    )
    azimuths: int = param(360, doc="directions, evenly from x of map", low=4, high=7200)
    lines: int = param(4, doc="scan lines per cell; a cell is seen from within half a line of its "
                       "centre", low=2, high=64)  # fmt: skip
    far_range_m: float = param(
        150e3, doc="how far the wider terrain is looked at", unit="m", low=1e3, high=500e3
    )
    workers: int = param(0, doc="threads; 0 takes one per core", low=0, high=256)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class HorizonMap:
    """Elevation of the horizon for every direction and cell.

    Attributes:
        counts: (azimuths, rows, cols) int16, elevation in 1 / COUNTS_PER_RAD rad; UNKNOWN where
            the ground is. Layer k looks along yaw 2 pi k / azimuths, counter-clockwise from x of
            ``map``.
        spec: where the cells are.
        observer_m: height of the observer above ground.
    """

    counts: Int16Array
    spec: GridSpec
    observer_m: float

    def __post_init__(self) -> None:
        """Check the shape.

        Raises:
            TerrainError: counts and grid disagree.
        """
        if self.counts.ndim != 3 or self.counts.shape[1:] != self.spec.shape:
            raise TerrainError(
                f"horizon counts have shape {self.counts.shape}: the grid says {self.spec.shape}"
            )

    def elevation_rad(self, layer: int) -> FloatArray:
        """Horizon of one direction, (rows, cols) radians, NaN where unknown."""
        counts = self.counts[layer % self.counts.shape[0]]
        return np.where(counts == UNKNOWN, np.nan, counts / COUNTS_PER_RAD)

    def profile_rad(self, row: int, col: int) -> FloatArray:
        """Horizon all around one cell, (azimuths,) radians, NaN where unknown."""
        counts = np.asarray(self.counts[:, row, col])
        return np.where(counts == UNKNOWN, np.nan, counts / COUNTS_PER_RAD)

    def sky_view(self) -> Float32Array:
        """Share of the hemisphere's cosine-weighted sky that is free, (rows, cols), 0 to 1.

        The surface is taken as level: the mean of cos^2 of the horizon's elevation, where it
        stands above the horizontal. Reference: Dozier and Frew 1990, IEEE Trans. Geosci. Remote
        Sens. 28, 963, equation 7b.
        """
        total = np.zeros(self.spec.shape)
        for layer in self.counts:
            total += np.cos(np.maximum(layer, 0) / COUNTS_PER_RAD) ** 2
        share = (total / len(self.counts)).astype(np.float32)
        share[self.counts[0] == UNKNOWN] = np.nan
        return share

    def save(self, path: Path) -> None:
        """Write counts (``.npy``) and beside them the grid (``.json``).

        Raises:
            TerrainError: the folder cannot be written.
        """
        spec = {name: getattr(self.spec, name) for name in self.spec.__dataclass_fields__}
        text = json.dumps({"spec": spec, "observer_m": self.observer_m})
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                np.save(file, self.counts)
            os.replace(part, path)
            path.with_suffix(".json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise TerrainError(f"{path}: cannot be written ({error})") from error
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> HorizonMap:
        """Read what ``save`` wrote; the counts stay on disk until they are looked at.

        Raises:
            TerrainError: missing or not a horizon map.
        """
        try:
            told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            counts = np.load(path, mmap_mode="r")
            return cls(counts, GridSpec(**told["spec"]), float(told["observer_m"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TerrainError(f"{path}: not a horizon map ({error})") from error


def horizon_map(
    near: Dem,
    settings: HorizonConfig | None = None,
    *,
    far: Dem | None = None,
    frame: SiteFrame | None = None,
    beyond_m: float | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> HorizonMap:
    """Compute the horizon of every cell of a DEM in all directions.

    Directions are those of ``map`` and followed along great circles of the sphere. A ray takes
    the terrain where it crosses grid lines across it, linear between samples. Inside ``near`` only
    ``near`` counts; a hole in it hides nothing. Beyond all terrain the Moon is a smooth sphere.

    Args:
        near: the cells to look from.
        settings: how.
        far: wider terrain in the same ``map``, metres; its own spacing is its resolution.
        frame: of ``map``; None takes map distances as true and directions as straight.
        beyond_m: height of that smooth sphere, metres; None takes the median of the widest DEM.
        on_progress: called with directions done and directions in all, in the calling thread.

    Raises:
        TerrainError: nothing is known, too large, or near and far do not belong together.
    """
    s = settings or HorizonConfig()
    _require_usable(near, far, s)
    widest = far if far is not None else near
    level = float(np.nanmedian(widest.heights_m)) if beyond_m is None else beyond_m
    counts = np.empty((s.azimuths, *near.spec.shape), dtype=np.int16)
    flipped = np.ascontiguousarray(near.heights_m.T)
    flipped.flags.writeable = False  # as a Dem's heights: one compiled form of the kernel
    jobs = [
        _Direction(2.0 * math.pi * k / s.azimuths, near, flipped, far, frame, level, s)
        for k in range(s.azimuths)
    ]
    workers = s.workers or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        running = [pool.submit(job.scan, counts[k]) for k, job in enumerate(jobs)]
        try:
            for done, finished in enumerate(as_completed(running), start=1):
                finished.result()
                if on_progress is not None:
                    on_progress(done, s.azimuths)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return HorizonMap(counts, near.spec, s.observer_m)


def _require_usable(near: Dem, far: Dem | None, settings: HorizonConfig) -> None:
    for name, dem in (("near", near), ("far", far)):
        if dem is not None and np.isnan(dem.heights_m).all():
            raise TerrainError(f"{name} terrain: all {dem.heights_m.size} samples are no-data")
    size = near.heights_m.size * settings.azimuths
    if size > MAX_COUNTS:
        raise TerrainError(
            f"horizon of {near.spec.rows} x {near.spec.cols} cells in {settings.azimuths} "
            f"directions: {size} values, limit {MAX_COUNTS}: take fewer directions or a window"
        )
    if far is None:
        return
    if near.projection and far.projection and near.projection != far.projection:
        raise TerrainError("near and far terrain have different projections: reproject one")
    inner, outer = near.bounds_m, far.bounds_m
    if not (inner[0] < outer[2] and inner[2] > outer[0] and inner[1] < outer[3]
            and inner[3] > outer[1]):  # fmt: skip
        raise TerrainError(
            f"far terrain spans {outer} m, near terrain {inner} m: they do not overlap in map"
        )


@dataclass(frozen=True)
class _Direction:
    """One direction of the scan: which axis leads, where the far samples lie."""

    yaw_rad: float
    near: Dem
    flipped: Float32Array
    far: Dem | None
    frame: SiteFrame | None
    level_m: float
    settings: HorizonConfig

    def scan(self, out: Int16Array) -> None:
        spec, s = self.near.spec, self.settings
        dx, dy = _exact_direction(self.yaw_rad)
        along_x = abs(dx) >= abs(dy)
        lead, side = (dx, dy) if along_x else (dy, dx)
        mirrored, slope = lead < 0.0, side / abs(lead)
        heights = self.near.heights_m if along_x else self.flipped
        step_m = spec.resolution_m / abs(lead)
        target = out if along_x else np.empty(heights.shape, dtype=np.int16)
        last = (heights.shape[1] - 1) * spec.resolution_m
        start = [spec.origin_x_m, spec.origin_y_m]
        start[0 if along_x else 1] += last if mirrored else 0.0
        per_row = np.array([0.0, 1.0] if along_x else [1.0, 0.0]) * spec.resolution_m
        per_col = per_row[::-1] * (-1.0 if mirrored else 1.0)
        near_grid = np.array([*start, *per_row, *per_col])
        scale, track = self._track(np.array([dx, dy]), 0.5 * last / abs(lead))
        far = _NO_TERRAIN if self.far is None else self.far.heights_m
        far_grid = np.zeros(3)
        if self.far is not None:
            f = self.far.spec
            far_grid = np.array([f.origin_x_m, f.origin_y_m, f.resolution_m])
        lines = 1 if slope in (0.0, 1.0, -1.0) else s.lines
        scan_direction(
            heights, mirrored, slope, step_m / (scale * MOON_RADIUS_M), lines, s.observer_m,
            self.level_m, far, far_grid, near_grid, track, target,
        )  # fmt: skip
        if not along_x:
            out[:] = target.T

    def _track(self, way: FloatArray, half_m: float) -> tuple[float, FloatArray]:
        """Map scale at the middle, and (N, 4) far samples of a line that starts half_m before."""
        spec = self.near.spec
        x_min, y_min, x_max, y_max = spec.bounds_m
        middle = np.array([0.5 * (x_min + x_max), 0.5 * (y_min + y_max)])
        scale = 1.0 if self.frame is None else float(self.frame.scale_at(*middle))
        if self.far is None:
            return scale, np.empty((0, 4))
        step = self.far.spec.resolution_m / (scale * float(np.abs(way).max()))
        samples = math.ceil(self.settings.far_range_m / step)
        before = -math.floor(half_m / (scale * step))  # lines at a corner leave before the middle
        arc: Any = np.arange(float(before), samples + 1.0) * step / MOON_RADIUS_M
        if self.frame is None:
            ahead = arc[:, None] * MOON_RADIUS_M * way
        else:
            lat, lon = self.frame.place_of(*middle)
            azimuth = self.frame.azimuth_of_yaw(math.atan2(way[1], way[0]), lat, lon)
            ahead = np.stack(self.frame.map_of(*_ahead(lat, lon, azimuth, arc)), -1) - middle
        inside = self.far.contains(ahead + middle)
        if inside.any():
            keep = int(np.flatnonzero(inside)[-1]) + 1
            ahead = ahead[:keep]
            arc = arc[:keep]
        distance = half_m + np.sign(arc) * np.hypot(ahead[:, 0], ahead[:, 1])
        from_start = half_m / (scale * MOON_RADIUS_M) + arc
        return scale, np.column_stack((ahead + half_m * way, distance, from_start))


def _exact_direction(yaw_rad: float) -> tuple[float, float]:
    """Cosine and sine, with the eight main directions free of rounding."""
    eighth = yaw_rad / (math.pi / 4.0)
    whole = round(eighth)
    if abs(eighth - whole) < 1e-9:
        half = math.sqrt(0.5)
        x = (1.0, half, 0.0, -half, -1.0, -half, 0.0, half)[whole % 8]
        y = (0.0, half, 1.0, half, 0.0, -half, -1.0, -half)[whole % 8]
        return x, y
    return math.cos(yaw_rad), math.sin(yaw_rad)


def _ahead(
    lat: FloatArray, lon: FloatArray, azimuth: FloatArray, arc: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Places an arc ahead on a great circle. Reference: Snyder 1987, equations 5-5 and 5-6."""
    sine = np.sin(lat) * np.cos(arc) + np.cos(lat) * np.sin(arc) * np.cos(azimuth)
    turn = np.arctan2(
        np.sin(arc) * np.sin(azimuth),
        np.cos(lat) * np.cos(arc) - np.sin(lat) * np.sin(arc) * np.cos(azimuth),
    )
    return np.arcsin(np.clip(sine, -1.0, 1.0)), lon + turn


def warm_up() -> None:
    """Compile the kernels."""
    dem = Dem(np.zeros((2, 3), dtype=np.float32), GridSpec(0.0, 0.0, 1.0, 2, 3))
    wide = Dem(np.zeros((2, 2), dtype=np.float32), GridSpec(-9.0, -9.0, 20.0, 2, 2))
    horizon_map(dem, HorizonConfig(azimuths=4, workers=1), far=wide)
