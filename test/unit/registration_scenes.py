"""Scans of a lidar at any pose: over planes and boxes, and over true lunar ground."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import GridSpec

SIGMA_M = 0.012


@dataclass(frozen=True)
class Ground:
    """Heights of a grid as something that rays hit."""

    dem: Dem

    def hits(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        steps = np.concatenate(([0.3], np.geomspace(1.0, 40.0, 90)))
        low = np.full(len(rays), np.inf)
        high = np.full(len(rays), np.inf)
        for before, after in pairwise(steps):
            todo = np.flatnonzero(np.isinf(high))
            below = self._above(origin, rays[todo], np.full(len(todo), after)) <= 0.0
            low[todo[below]], high[todo[below]] = before, after
        hit = np.flatnonzero(np.isfinite(high))
        for _ in range(14):
            middle = 0.5 * (low[hit] + high[hit])
            above = self._above(origin, rays[hit], middle) > 0.0
            low[hit[above]] = middle[above]
            high[hit[~above]] = middle[~above]
        return high

    def _above(self, origin: np.ndarray, rays: np.ndarray, reach: np.ndarray) -> np.ndarray:
        at = origin + reach[:, None] * rays
        ground = self.dem.height(at[:, :2])
        return np.where(np.isnan(ground), 1.0, at[:, 2] - ground)


def lunar_ground(seed: int, half_m: float = 60.0, step_m: float = 0.1) -> Ground:
    """Procedural ground with its craters and roughness, in steps of a decimetre."""
    surface = Surface(procedural_dem(seed, 640.0), seed)
    count = round(2.0 * half_m / step_m) + 1
    spec = GridSpec(-half_m, -half_m, step_m, count, count)
    return Ground(Dem(surface.grid(spec), spec))


def scan(
    scene: list[object],
    T_world_sensor: np.ndarray,
    seed: int,
    *,
    columns: int = 360,
    channels: int = 48,
    reach_m: float = 35.0,
    sigma_m: float = SIGMA_M,
) -> np.ndarray:
    """(N, 3) float32 in the sensor's frame; the pattern of rays moves with the sensor."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns, endpoint=False),
        np.radians(np.linspace(-32.0, 10.0, channels)),
    )
    rays = np.stack(
        (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
         np.sin(elevation)), axis=-1,
    ).reshape(-1, 3)  # fmt: skip
    rays = rays[rng.random(len(rays)) > 0.02]
    world = rays @ T_world_sensor[:3, :3].T
    reach = np.min([thing.hits(T_world_sensor[:3, 3], world) for thing in scene], axis=0)
    seen = reach < reach_m
    noisy = reach[seen] + rng.normal(0.0, sigma_m, int(seen.sum()))
    return (noisy[:, None] * rays[seen]).astype(np.float32)


def standing_on(ground: Ground, x: float, y: float, yaw: float, height_m: float) -> np.ndarray:
    """Pose of a sensor above the ground, tilted as the ground is over 1.5 m."""
    around = np.array([[x + 0.75, y], [x - 0.75, y], [x, y + 0.75], [x, y - 0.75]])
    h = ground.dem.height(around)
    gx, gy = (h[0] - h[1]) / 1.5, (h[2] - h[3]) / 1.5
    c, s = np.cos(yaw), np.sin(yaw)
    pitch, roll = -np.arctan(c * gx + s * gy), np.arctan(-s * gx + c * gy)
    return se3.from_rpy((x, y, float(h.mean()) + height_m), (roll, pitch, yaw))


def error_of(found: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Metres and degrees between two poses."""
    off = se3.invert(true) @ found
    cosine = np.clip(0.5 * (np.trace(off[:3, :3]) - 1.0), -1.0, 1.0)
    return float(np.linalg.norm(off[:3, 3])), float(np.degrees(np.arccos(cosine)))
