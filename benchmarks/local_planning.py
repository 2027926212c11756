"""Local planning and control: SE(2) plans and replans, one cycle of sampling control, attitude.

Times are those of one core. The machine is shared, so besides the wall time each row gives the
processor's own time, which waiting for others does not lengthen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ilrs_robots.core.control.mppi import MppiConfig, SamplingController, path_table
from ilrs_robots.core.control.mppi_config import DrivingLimits
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.planning.attitude_prediction import Heights, predict_attitude
from ilrs_robots.core.planning.local_terrain import LocalTerrain, clearance_of, footprint_discs
from ilrs_robots.core.planning.se2_config import Se2Config
from ilrs_robots.core.planning.se2_planner import Se2Planner
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import load_robot

LENGTH_M, WIDTH_M = 2.6, 2.1
STEP_M = 0.1


def terrain(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cost with rocks and heights with waves, (size, size) at 0.1 m; the corners are free."""
    rng = np.random.default_rng(seed)
    at = STEP_M * np.arange(size)
    x, y = np.meshgrid(at, at)
    side = size * STEP_M
    cost = np.zeros((size, size), np.float32)
    heights = 0.25 * np.sin(0.35 * x + seed) * np.cos(0.3 * y) + 0.02 * np.sin(2.1 * x + 1.7 * y)
    for _ in range(int(0.03 * side * side)):
        cx, cy = rng.uniform(0.0, side, 2)
        radius = rng.uniform(0.15, 0.6)
        if min(math.hypot(cx - 3.0, cy - 3.0), math.hypot(cx - side + 3.0, cy - side + 3.0)) < 3.5:
            continue
        rock = np.hypot(x - cx, y - cy) < radius
        cost[rock] = 1.0
        heights[rock] += 0.4
    return cost, heights.astype(np.float32)


def local(cost: np.ndarray, heights: np.ndarray) -> LocalTerrain:
    """The terrain with what is made of it once per map, before any plan."""
    spec = GridSpec(0.0, 0.0, STEP_M, *cost.shape)
    ground = Heights(spec, heights)
    made = LocalTerrain(spec, cost, clearance_of(cost, STEP_M, 0.99), ground)
    _ = made.table
    return made


def clocked(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor milliseconds of one call, and what it gave."""
    wall, own = time.perf_counter(), time.process_time()
    made = work()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - own), made


def planner() -> Se2Planner:
    settings = Se2Config(max_roll_rad=math.radians(28.0), max_pitch_rad=math.radians(28.0))
    return Se2Planner(settings, footing_of(load_robot("long_range")), (LENGTH_M, WIDTH_M))


def row(work: str, wall: list[float], own: list[float], **more: Any) -> dict[str, Any]:
    return {
        "work": work,
        "cpu_median_ms": round(float(np.median(own)), 3),
        "cpu_p95_ms": round(float(np.percentile(own, 95)), 3),
        "wall_median_ms": round(float(np.median(wall)), 3),
        "wall_p95_ms": round(float(np.percentile(wall, 95)), 3),
    } | more


def planning_rows(size: int, worlds: int) -> list[dict[str, Any]]:
    """Plans from corner to corner, then replans on the way while rocks come into view."""
    times: dict[str, list[tuple[float, float]]] = {"plan": [], "replan": [], "turned": []}
    unsolved = 0
    side = size * STEP_M
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        cost, heights = terrain(size, seed)
        start, goal = (3.0, 3.0, 0.8), (side - 3.0, side - 3.0, None)
        mine = planner()
        ground = local(cost, heights)
        try:
            wall, own, path = clocked(lambda: mine.plan(ground, start, goal))  # noqa: B023
        except PlanningError:
            unsolved += 1
            continue
        times["plan"].append((wall, own))
        for _ in range(8):
            n = min(6, len(path.poses) - 2)
            pose = tuple(path.poses[n])
            angle, away = rng.uniform(-math.pi, math.pi), rng.uniform(3.0, 9.0)
            col = int((pose[0] + away * math.cos(angle)) / STEP_M)
            row_ = int((pose[1] + away * math.sin(angle)) / STEP_M)
            cost[max(row_ - 3, 0) : max(row_ + 3, 0), max(col - 3, 0) : max(col + 3, 0)] = 1.0
            ground = local(cost, heights)
            try:
                wall, own, path = clocked(lambda: mine.plan(ground, pose, goal))  # noqa: B023
            except PlanningError:
                break
            times["replan" if path.kept else "turned"].append((wall, own))
    cells = f"{size * size} cells x 32 headings, 0.1 m"
    return [
        row(
            f"{name}, {cells}",
            *(list(t) for t in zip(*times[kind], strict=True)),
            n=len(times[kind]),
            unsolved=unsolved,
        )
        for kind, name in (
            ("plan", "SE(2) plan"),
            ("replan", "SE(2) replan, a rock comes into view"),
            ("turned", "SE(2) replan, it lies on the path"),
        )
        if times[kind]
    ]


def control_row(rollouts: int, steps: int, repeats: int) -> dict[str, Any]:
    """One control cycle on rocky, wavy ground."""
    cost, heights = terrain(384, 1)
    cost[:60] = 0.0
    heights[:60] = heights[60]
    ground = local(cost, heights)
    x = np.arange(3.0, 30.0, 0.2)
    path = path_table(np.column_stack((x, np.full(len(x), 3.0))), np.full(len(x), 0.6))
    controller = SamplingController(
        MppiConfig(rollouts=rollouts, steps=steps), DrivingLimits(),
        footprint_discs(LENGTH_M, WIDTH_M), footing_of(load_robot("long_range")),
    )  # fmt: skip
    state = (3.0, 3.2, 0.1, 0.4, 0.0)
    wall, own = [], []
    for n in range(repeats + 3):
        one, two, motion = clocked(lambda: controller.step(state, path, ground))  # noqa: B023
        if n >= 3:
            wall.append(one)
            own.append(two)
        state = (*(float(v) for v in motion.states[0, :4]), motion.w / max(motion.v, 1e-6))
    return row(f"control cycle, {rollouts} rollouts x {steps} steps", wall, own, n=repeats)


def attitude_row(repeats: int) -> dict[str, Any]:
    cost, heights = terrain(384, 2)
    del cost
    ground = Heights(GridSpec(0.0, 0.0, STEP_M, 384, 384), heights)
    footing = footing_of(load_robot("long_range"))
    rng = np.random.default_rng(0)
    poses = np.column_stack((rng.uniform(3.0, 35.0, (1000, 2)), rng.uniform(-3.0, 3.0, 1000)))
    timed = [clocked(lambda: predict_attitude(ground, footing, poses))[:2] for _ in range(repeats)]
    wall, own = (list(t) for t in zip(*timed[1:], strict=True))
    return row("attitude and clearance at 1000 poses", wall, own, n=repeats - 1)


def run(quick: bool = False) -> dict[str, Any]:
    """Measure after a warm-up."""
    planning_rows(200, 1)
    rows = planning_rows(384, 4 if quick else 30)
    rows += planning_rows(587, 2 if quick else 15)
    rows.append(control_row(1000, 50, 10 if quick else 60))
    rows.append(attitude_row(5 if quick else 20))
    note = (
        "Plans cross the map from corner to corner among 3 rocks per 100 m2, with predicted roll, "
        "pitch and clearance; the distance field and the pooled heights of a new map are made "
        "before and not timed. Nav2's Smac gives 2 to 20 ms for 147 456 cells and 30 to 200 ms "
        "for 344 128 by its own account, without attitude."
    )
    return {"name": "Local planning and control", "unit": "ms", "rows": rows, "note": note}


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=1))
