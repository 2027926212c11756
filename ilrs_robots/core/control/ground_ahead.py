"""How far along its path a vehicle may go: closed ground, unseen ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.control.path import ArcPath
from ilrs_robots.core.planning.costmap import NavigationCostmap
from ilrs_robots.core.planning.path_geometry import resample
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec

_SPACING_M = 0.1


@dataclass(frozen=True)
class GroundView:
    """What the costmap said when it was last looked at.

    Attributes:
        spec: grid.
        cost: inflated cost.
        seen: observed cells.
        clearance_m: distance to closed cells.
        lethal_cost: cost from which a cell is closed.
        lethal_radius_m: how far cells are inflated.
    """

    spec: GridSpec
    cost: Float32Array
    seen: BoolArray
    clearance_m: Float32Array
    lethal_cost: float
    lethal_radius_m: float

    @classmethod
    def of(cls, costmap: NavigationCostmap) -> GroundView:
        """Look at a costmap now."""
        settings = costmap.config
        return cls(
            costmap.spec,
            costmap.cost,
            costmap.seen,
            costmap.clearance_m,
            settings.lethal_cost,
            settings.lethal_radius_m,
        )

    def obstacle_distance_m(self, x: float, y: float) -> float:
        """Distance from the inflated radius to the nearest closed cell, at least 0."""
        row, col = self.spec.cell_of(np.array([x, y]))
        if not (0 <= row < self.spec.rows and 0 <= col < self.spec.cols):
            return math.inf
        return max(float(self.clearance_m[row, col]) - self.lethal_radius_m, 0.0)


@dataclass(frozen=True)
class Ahead:
    """Distances along the path from the vehicle.

    Attributes:
        closed_m: to the first closed cell, infinite if there is none.
        seen_m: to the end of what is seen, infinite if all of it is.
        end_xy_m: where the nearer of both lies.
    """

    closed_m: float
    seen_m: float
    end_xy_m: tuple[float, float]


def look_ahead(
    view: GroundView, path: ArcPath, view_m: float, blind_m: float, gap_m: float, escape_m: float
) -> Ahead:
    """Find the first closed and the first unseen ground along a path.

    A vehicle that stands in closed ground may leave it: closed cells before the first open one
    are passed over within ``escape_m``. Unseen cells are passed over in gaps up to ``gap_m``, and
    up to ``blind_m`` from the vehicle, where its sensor cannot look, but only if seen ground
    follows.

    Args:
        view: the ground.
        path: with the vehicle's progress on it.
        view_m: how far to look.
        blind_m: reach of the sensor's blind zone.
        gap_m: longest gap.
        escape_m: longest way out of closed ground.
    """
    points = resample(path.ahead(view_m), _SPACING_M)
    steps = np.hypot(*np.diff(points, axis=0).T) if len(points) > 1 else np.zeros(0)
    along = np.concatenate(([0.0], np.cumsum(steps)))
    row, col = view.spec.cell_of(points)
    row, col = np.clip(row, 0, view.spec.rows - 1), np.clip(col, 0, view.spec.cols - 1)
    closed = view.cost[row, col] >= view.lethal_cost
    escaping = np.logical_and.accumulate(closed) & (along <= escape_m)
    closed &= ~escaping
    closed_m = float(along[np.argmax(closed)]) if closed.any() else math.inf
    seen_m = _end_of_seen(view.seen[row, col], along, blind_m, gap_m)
    nearer = min(closed_m, seen_m, float(along[-1]))
    end = points[int(np.searchsorted(along, nearer - 1e-9))]
    return Ahead(closed_m, seen_m, (float(end[0]), float(end[1])))


def _end_of_seen(seen: BoolArray, along: FloatArray, blind_m: float, gap_m: float) -> float:
    last = 0.0
    seen_along = along[seen]
    for at in seen_along:
        if at - last > gap_m and not (last == 0.0 and at <= blind_m + gap_m):
            return last
        last = float(at)
    left = float(along[-1]) - last
    allowed = gap_m if last > 0.0 else min(gap_m, blind_m)
    return math.inf if left <= allowed else last
