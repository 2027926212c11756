"""Planning: cost field, path, inflation, fusion; beside scikit-image and scikit-fmm.

A peer that is not installed is left out, which its row says. scikit-fmm is on PyPI as source only,
so no extra names it: ``pip install scikit-fmm`` where a C++ compiler is.
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from ilrs_robots.core.planning import costmap as costmap_module
from ilrs_robots.core.planning import grid_planner, search
from ilrs_robots.core.planning.costmap import CostmapConfig, NavigationCostmap
from ilrs_robots.core.types import GridSpec

WEIGHT = 2.0


def terrain(size: int, seed: int = 0) -> np.ndarray:
    """Rolling cost with closed discs, both corners free."""
    rng = np.random.default_rng(seed)
    noise = rng.random((size, size)).astype(np.float32)
    cost = cv2.GaussianBlur(noise, (0, 0), 6.0)
    cost = (cost - cost.min()) / (cost.max() - cost.min()) * np.float32(0.9)
    for _ in range(size * size // 2400):
        col, row = (int(v) for v in rng.integers(0, size, 2))
        cv2.circle(cost, (col, row), int(rng.integers(3, 12)), 1.0, -1)
    cost[:8, :8] = cost[-8:, -8:] = 0.0
    return cost


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of one call, after one call that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def row(work: str, ours_ms: float, peer: str = "", peer_ms: float | None = None) -> dict[str, Any]:
    ratio = None if peer_ms is None else round(peer_ms / ours_ms, 2)
    return {
        "work": work,
        "ours_ms": round(ours_ms, 3),
        "peer": peer,
        "peer_ms": None if peer_ms is None else round(peer_ms, 3),
        "ratio": ratio,
    }


def field_rows(size: int, neighbours: tuple[int, ...], repeats: int) -> list[dict[str, Any]]:
    """Cost fields with so many neighbours, each beside both peers, which are timed once."""
    cost = terrain(size)
    weights = np.where(cost < 0.99, 1.0 + WEIGHT * cost / (1.0 - np.minimum(cost, 0.989)), -1.0)
    peer_ms: dict[str, float | None] = {}
    for peer, make in (
        ("skimage MCP_Geometric, 8 neighbours", minimum_cost),
        ("scikit-fmm travel_time", marching),
    ):
        try:
            peer_ms[peer] = median_ms(make(weights), repeats)
        except ImportError:
            peer_ms[f"{peer} (skipped: not installed)"] = None
    rows = []
    for connectivity in neighbours:
        name = f"cost field of {size * size} cells, {connectivity} neighbours"
        ours = median_ms(
            lambda n=connectivity: search.cost_field(cost, 0.25, (2, 2), WEIGHT, connectivity=n),
            repeats,
        )
        rows += [row(name, ours, peer, taken) for peer, taken in peer_ms.items()]
    return rows


def minimum_cost(weights: np.ndarray) -> Callable[[], object]:
    """scikit-image's cheapest ways from a cell; below 0 is closed."""
    graph = importlib.import_module("skimage.graph")
    return lambda: graph.MCP_Geometric(weights).find_costs([(2, 2)])


def marching(weights: np.ndarray) -> Callable[[], object]:
    """scikit-fmm's times of arrival; closed cells are masked."""
    skfmm = importlib.import_module("skfmm")
    front = np.ma.MaskedArray(np.ones(weights.shape), mask=weights < 0.0)
    front[2, 2] = -1.0
    speed = 1.0 / np.abs(weights)
    return lambda: skfmm.travel_time(front, speed, dx=0.25)


def path_row(size: int, repeats: int) -> dict[str, Any]:
    cost = terrain(size)
    spec = GridSpec(0.0, 0.0, 0.25, size, size)
    goal = ((size - 3) * 0.25, (size - 3) * 0.25)
    ours = median_ms(lambda: grid_planner.plan_path(cost, spec, (0.5, 0.5), goal), repeats)
    return row(f"smooth path across {size * size} cells, 16 neighbours", ours)


def costmap_rows(size: int, repeats: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    spec = GridSpec(0.0, 0.0, 0.25, size, size)
    costmap = NavigationCostmap(CostmapConfig(), spec)
    seen = GridSpec(20.0, 20.0, 0.1, 400, 400)
    cost = rng.random(seen.shape).astype(np.float32) * np.float32(0.5)
    cost[rng.random(seen.shape) < 0.01] = 1.0
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    fuse = median_ms(lambda: costmap.fuse_observation(cost, seen, turn), repeats)

    def inflate() -> object:
        costmap.clear_marks()
        return costmap.cost

    inflated = median_ms(inflate, repeats)
    return [
        row(f"fuse 400 x 400 cells of 0.1 m into {size} x {size}", fuse),
        row(f"inflate {size} x {size} cells", inflated),
    ]


def run(quick: bool = False) -> dict[str, Any]:
    """Measure; one warm-up call each, medians."""
    grid_planner.warm_up()
    costmap_module.warm_up()
    repeats = 3 if quick else 15
    rows = field_rows(600, (8, 16), repeats)
    if not quick:
        rows += field_rows(384, (8,), repeats) + field_rows(1000, (8,), 5)
    rows.append(path_row(600, repeats))
    rows += costmap_rows(600, repeats)
    return {"name": "Planning", "unit": "ms", "rows": rows}


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=1))
