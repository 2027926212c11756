"""The all-knowing planner: what a vehicle could do that knew every rock from the start.

It judges the true surface by the vehicle's own limits and plans with the vehicle's own planner
and distances, so that only what is known differs; half a cell of its map is added, for where the
cells of a map lie is chance. What it cannot solve so, it tries again with no distance but half the
vehicle's width: such worlds are *tight*, and neither arriving nor refusing is held against the
vehicle there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.mapping.traversability import traversability
from ilrs_robots.core.planning.costmap import NavigationCostmap, region
from ilrs_robots.core.planning.grid_planner import plan_path
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.settings import (
    limits_of,
    navigator_config_of,
    traversability_config_of,
)

SOLVED = "solved"
TIGHT = "tight"
UNSOLVED = "unsolved"

_CELL_M = 0.1
_MARGIN_M = 4.0
_ALL_M = 1000.0


class TrueSurface(Protocol):
    """What is asked of a terrain."""

    def top_grid(self, spec: GridSpec) -> Float32Array:
        """Heights of ground and rocks, (rows, cols) float32 metres."""


@dataclass(frozen=True)
class Reference:
    """What the all-knowing planner says of a world.

    Attributes:
        kind: ``solved``, ``tight`` or ``unsolved``.
        length_m: of its path, 0 where there is none.
        path_xy_m: (N, 2) metres, map.
        reason: why there is none.
    """

    kind: str
    length_m: float
    path_xy_m: FloatArray
    reason: str


@dataclass(frozen=True)
class TrueGround:
    """The true surface as the vehicle's planner would see it.

    Attributes:
        model: the vehicle.
        bounds_m: x_min, y_min, x_max, y_max that no path leaves.
        judged: (rows, cols) cost of the surface, not inflated.
        judged_spec: its grid.
        spec: grid of what follows.
        cost: (rows, cols) inflated cost.
        clearance_m: (rows, cols) distance to closed cells.
    """

    model: RoverModel
    bounds_m: tuple[float, float, float, float]
    judged: Float32Array
    judged_spec: GridSpec
    spec: GridSpec
    cost: Float32Array
    clearance_m: Float32Array

    @classmethod
    def of(
        cls, surface: TrueSurface, bounds_m: tuple[float, float, float, float], model: RoverModel
    ) -> TrueGround:
        """Judge the true surface within bounds."""
        x_min, y_min, x_max, y_max = bounds_m
        cols = round((x_max - x_min + 2.0 * _MARGIN_M) / _CELL_M) + 1
        rows = round((y_max - y_min + 2.0 * _MARGIN_M) / _CELL_M) + 1
        grid = GridSpec(x_min - _MARGIN_M, y_min - _MARGIN_M, _CELL_M, rows, cols)
        layers = traversability(
            surface.top_grid(grid), _CELL_M, limits_of(model), traversability_config_of(model)
        )
        spec = _spec_of(model, bounds_m)
        settings = navigator_config_of(model).costmap
        radius_m = settings.lethal_radius_m + 0.5 * settings.resolution_m
        costmap = _costmap(model, spec, layers.cost, grid, radius_m)
        return cls(
            model, bounds_m, layers.cost, grid, spec, costmap.cost.copy(),
            costmap.clearance_m.copy(),
        )  # fmt: skip

    @property
    def open(self) -> BoolArray:
        """(rows, cols) cells in which the vehicle's middle may be."""
        free: BoolArray = self.cost < navigator_config_of(self.model).costmap.lethal_cost
        return free

    def solve(self, start_xy_m: FloatArray, goal_xy_m: FloatArray) -> Reference:
        """Plan with all knowledge from start to goal."""
        settings = navigator_config_of(self.model)
        half_m = 0.5 * self.model.footprint.width_m
        bare = _costmap(self.model, self.spec, self.judged, self.judged_spec, half_m)
        reason = ""
        for kind, cost in ((SOLVED, self.cost), (TIGHT, bare.cost)):
            try:
                plan = plan_path(cost, self.spec, start_xy_m, goal_xy_m, settings.planner)
            except PlanningError as error:
                reason = reason or str(error)
                continue
            if plan.reached:
                return Reference(kind, plan.length_m, plan.xy_m, reason)
            reason = reason or plan.reason
        return Reference(UNSOLVED, 0.0, np.zeros((0, 2)), reason)


def _spec_of(model: RoverModel, bounds_m: tuple[float, float, float, float]) -> GridSpec:
    """All of the square on the lattice of the vehicle's own costmap."""
    corners = np.array([bounds_m[:2], bounds_m[2:]])
    return region(navigator_config_of(model).costmap, corners, bounds_m)


def _costmap(
    model: RoverModel,
    spec: GridSpec,
    judged: Float32Array,
    judged_spec: GridSpec,
    radius_m: float,
) -> NavigationCostmap:
    settings = navigator_config_of(model).costmap
    settings = replace(settings, trust_m=_ALL_M, lethal_radius_m=radius_m)
    made = NavigationCostmap(settings, spec)
    made.fuse_observation(judged, judged_spec, np.eye(4))
    return made
