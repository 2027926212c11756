"""Scans of analytic scenes: rays of a spinning lidar against planes, boxes and posts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RANGE_SIGMA_M = 0.012


@dataclass(frozen=True)
class Plane:
    """z = height + gx x + gy y, wherever x is within limits."""

    height: float = 0.0
    gx: float = 0.0
    gy: float = 0.0
    x_low: float = -np.inf
    x_high: float = np.inf

    def hits(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        slope = rays[:, 2] - self.gx * rays[:, 0] - self.gy * rays[:, 1]
        above = origin[2] - self.height - self.gx * origin[0] - self.gy * origin[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(slope < 0.0, -above / slope, np.inf)
        x = origin[0] + np.where(np.isfinite(reach), reach, 0.0) * rays[:, 0]
        return np.where((reach > 0.0) & (x >= self.x_low) & (x <= self.x_high), reach, np.inf)


@dataclass(frozen=True)
class Box:
    """Axis-parallel box between two corners."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    def hits(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            a = (np.asarray(self.low) - origin) / rays
            b = (np.asarray(self.high) - origin) / rays
        enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
        return np.where((enter <= leave) & (enter > 0.0), enter, np.inf)


@dataclass(frozen=True)
class Post:
    """Upright cylinder from z = 0, such as an astronaut or the leg of a lander."""

    x: float
    y: float
    radius: float = 0.3
    height: float = 1.7

    def hits(self, origin: np.ndarray, rays: np.ndarray) -> np.ndarray:
        away = origin[:2] - (self.x, self.y)
        a = np.sum(rays[:, :2] ** 2, axis=1)
        b = rays[:, :2] @ away
        root = b * b - a * (away @ away - self.radius**2)
        reach = np.where(root > 0.0, (-b - np.sqrt(np.maximum(root, 0.0))) / a, np.inf)
        z = origin[2] + np.where(np.isfinite(reach), reach, 0.0) * rays[:, 2]
        return np.where((reach > 0.0) & (z >= 0.0) & (z <= self.height), reach, np.inf)


def scan_of(
    scene,
    position,
    seed: int,
    *,
    columns: int = 1024,
    channels: int = 64,
    low_deg: float = -35.0,
    high_deg: float = 5.0,
    dropout: float = 0.02,
    reach_m: float = 20.0,
    sigma_m: float = RANGE_SIGMA_M,
) -> np.ndarray:
    """(N, 3) float32 in the frame of a level lidar: the nearest hit of each ray, with noise."""
    rng = np.random.default_rng(seed)
    azimuth, elevation = np.meshgrid(
        np.linspace(-np.pi, np.pi, columns, endpoint=False),
        np.radians(np.linspace(low_deg, high_deg, channels)),
    )
    rays = np.stack(
        (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
         np.sin(elevation)), axis=-1,
    ).reshape(-1, 3)  # fmt: skip
    rays = rays[rng.random(len(rays)) >= dropout]
    origin = np.asarray(position, dtype=np.float64)
    reach = np.min([thing.hits(origin, rays) for thing in scene], axis=0)
    seen = reach < reach_m
    reach = reach[seen] + rng.normal(0.0, sigma_m, seen.sum())
    return (reach[:, None] * rays[seen]).astype(np.float32)
