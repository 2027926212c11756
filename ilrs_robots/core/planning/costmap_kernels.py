"""Kernels of the costmap: pooling of observations and inflation."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def pool(  # type: ignore[no-untyped-def]  # pragma: no cover
    cost, col0, row0, cos, sin, lethal, enough, pooled, hits, observed
):
    """Highest cost per cell, then newest wins; places are in cells of the target grid."""
    rows, cols = observed.shape
    pooled[:] = -1.0
    hits[:] = 0
    half = 0.5 * (abs(cos) + abs(sin)) - 1e-6
    for r in range(cost.shape[0]):
        for c in range(cost.shape[1]):
            value = cost[r, c]
            if np.isnan(value):
                continue
            x = col0 + c * cos - r * sin
            y = row0 + c * sin + r * cos
            reach = half if value >= lethal else max(half - 0.5, 0.0)
            for row in range(
                max(int(np.floor(y - reach + 0.5)), 0),
                min(int(np.floor(y + reach + 0.5)) + 1, rows),
            ):
                for col in range(
                    max(int(np.floor(x - reach + 0.5)), 0),
                    min(int(np.floor(x + reach + 0.5)) + 1, cols),
                ):
                    hits[row, col] += 1
                    if value > pooled[row, col]:
                        pooled[row, col] = value
    for row in range(rows):
        for col in range(cols):
            if hits[row, col] == 0:
                continue
            value = min(pooled[row, col], np.float32(1.0))
            old = observed[row, col]
            if hits[row, col] >= enough or np.isnan(old) or value > old:
                observed[row, col] = value


@njit(cache=True)
def inflate(base, distance, resolution, radii, near_cost, cost, clearance):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Close what is within the first radius of a closed cell's edge; soft cost to the second."""
    closed, soft, length = radii
    for row in range(base.shape[0]):
        for col in range(base.shape[1]):
            away = max(distance[row, col] - 0.5, 0.0) * resolution
            clearance[row, col] = min(away, 1000.0)
            value = base[row, col]
            if distance[row, col] < 0.5 or away < closed:
                cost[row, col] = 1.0
            elif away < soft:
                cost[row, col] = max(value, near_cost * np.exp((closed - away) / length))
            else:
                cost[row, col] = value
