"""The demonstration's obstacle course: a goal that cannot be reached by driving straight.

Terrain of a seed gets a fresh crater and boulder clusters on the line between a start and a goal.
Candidates are drawn from the seed in order; the first that keeps every promise of
``demo_scenario`` is taken, so a seed always gives the same course.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.corridor import (
    CorridorReport,
    corridor_report,
    slopes_rad,
    way_exists,
)
from ilrs_robots.core.terrain.features import BlockField, Crater, Features, SurfaceConfig
from ilrs_robots.core.terrain.hashing import stream
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import FloatArray

__all__ = ["CorridorReport", "Scenario", "corridor_report", "demo_scenario"]

MIN_ROCKS = 3
AREA_RADIUS_M = 4.0
AREA_SLOPE_RAD = math.radians(8.0)
AREA_ROCK_M = 0.1
_CANDIDATES = 300
_SLOPE_EXCESS_RAD = math.radians(2.0)  # the steep stretch is this much over the limit
_SLOPE_SPARE_RAD = math.radians(3.0)  # the way around keeps this much below it
_STEP_SHARE = 0.8  # and below this share of the step limit
_AWAY_WIDTHS = 0.9  # widths that it stays away from every obstacle
_FRESH_DEPTH = 0.2


@dataclass(frozen=True)
class Scenario:
    """A terrain, a place to start and a place to reach.

    Attributes:
        surface: the true terrain with the scenario's features.
        start_xy_m: (2,) float64, metres.
        start_yaw_rad: towards the goal.
        goal_xy_m: (2,) float64, metres.
        features: what was added to the terrain of the seed.
        report: what lies on the straight line.
    """

    surface: Surface
    start_xy_m: FloatArray
    start_yaw_rad: float
    goal_xy_m: FloatArray
    features: Features
    report: CorridorReport


def demo_scenario(
    seed: int,
    clearance_m: float,
    max_slope_rad: float,
    width_m: float = 2.1,
    max_step_m: float = 0.24,
    config: SurfaceConfig | None = None,
) -> Scenario:
    """Make the obstacle course of a seed.

    The straight line of 65 to 80 m cuts at least three rocks taller than the clearance, and
    ground in the vehicle's swath is steeper than the limit. Within 4 m of start and goal slopes
    stay below 8 deg (over the vehicle's width) and no rock is taller than 0.1 m. A way around
    exists, with 3 deg to spare.

    Args:
        seed: of terrain and course.
        clearance_m: of the vehicle above flat ground.
        max_slope_rad: steepest ground that it may drive.
        width_m: of the vehicle.
        max_step_m: highest step that it may drive.
        config: random background.

    Raises:
        TerrainError: no candidate keeps all promises.
    """
    dem = procedural_dem(seed)
    plain = Surface(dem, seed, config)
    rng = np.random.default_rng(int(stream(seed, "demo scenario")))
    for _ in range(_CANDIDATES):
        start, goal, features = _candidate(rng)
        surface = plain.with_features(features)
        if not (_is_calm(surface, start, width_m) and _is_calm(surface, goal, width_m)):
            continue
        report = corridor_report(surface, start, goal, width_m, clearance_m)
        if report.rocks_on_line < MIN_ROCKS:
            continue
        if report.max_slope_rad < max_slope_rad + _SLOPE_EXCESS_RAD:
            continue
        gentle = max_slope_rad - _SLOPE_SPARE_RAD
        step = _STEP_SHARE * max_step_m
        if not way_exists(surface, start, goal, gentle, step, _AWAY_WIDTHS * width_m):
            continue
        yaw = math.atan2(goal[1] - start[1], goal[0] - start[0])
        return Scenario(surface, start, yaw, goal, features, report)
    raise TerrainError(
        f"seed {seed}: none of {_CANDIDATES} courses has {MIN_ROCKS} rocks over {clearance_m} m "
        f"and a slope over {math.degrees(max_slope_rad):.1f} deg on its line and a way around"
    )


def _candidate(rng: np.random.Generator) -> tuple[FloatArray, FloatArray, Features]:
    start = rng.uniform(-30.0, 30.0, 2)
    heading = rng.uniform(-math.pi, math.pi)
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    length = rng.uniform(66.0, 79.0)

    def place(share: float, side: float) -> tuple[float, float]:
        point = start + share * length * along + side * across
        return float(point[0]), float(point[1])

    diameter = float(rng.uniform(12.0, 17.0))
    where = place(rng.uniform(0.5, 0.62), rng.uniform(-1.5, 1.5))
    crater = Crater(*where, diameter, _FRESH_DEPTH * diameter, 0.06)
    fields = [BlockField(*where, 1.3 * diameter, 0.06, 0.47 * diameter)]
    for low, high in ((0.2, 0.3), (0.76, 0.8)):
        spot = place(rng.uniform(low, high), rng.uniform(-1.0, 1.0))
        radius = float(rng.uniform(4.5, 6.5))
        fields.append(BlockField(*spot, radius, 0.25, 0.0, 0.2))
    return start, start + length * along, Features((crater,), tuple(fields))


def _is_calm(surface: Surface, xy_m: FloatArray, width_m: float) -> bool:
    """Whether a vehicle can stand and turn at a place."""
    x, y = (float(v) for v in xy_m)
    reach = AREA_RADIUS_M + 1.5
    near = surface.rocks(x - reach, y - reach, x + reach, y + reach).taller_than(AREA_ROCK_M)
    distance = np.hypot(*(near.centre_m[:, :2] - xy_m).T)
    if (distance - near.semi_axes_m[:, :2].max(axis=1, initial=0.0) < AREA_RADIUS_M).any():
        return False
    steps = np.arange(-AREA_RADIUS_M, AREA_RADIUS_M + 0.01, 0.5)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    grid = grid[np.hypot(grid[:, 0], grid[:, 1]) <= AREA_RADIUS_M]
    slopes = slopes_rad(surface, xy_m + grid, width_m)
    return bool((slopes < AREA_SLOPE_RAD).all())
