"""How much faster than real time the embedded simulator runs, and what a scan costs."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from ilrs_robots.core.geometry.se3 import quat_from_rpy
from ilrs_robots.core.terrain import surface as surface_module
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.robots.model import RobotModel, load_robot
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.lidar import ray_directions
from ilrs_robots.sim.lidar_rays import fill_rays
from ilrs_robots.sim.lidar_scene import Scene, build_scene
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

CHANNELS, COLUMNS, RATE_HZ = 60, 512, 10.0
SPEED_MPS, YAW_RATE_RPS = 0.5, 0.02
SEED = 1


def run(quick: bool = False) -> dict[str, Any]:
    """Measure one rover on rough ground with craters and rocks.

    Args:
        quick: a tenth of the simulated time.
    """
    surface_module.warm_up()
    seconds = 6.0 if quick else 60.0
    terrain, model = _terrain(), _model()
    physics = _factor(terrain, model, seconds, lidar=False)
    both = _factor(terrain, model, seconds, lidar=True)
    scans, build_ms, triangles = _scan_cost(terrain, model, 20 if quick else 100)
    rows = [
        {"what": "one rover, 60 x 512 lidar at 10 Hz", "factor": both[0], "cpu_factor": both[1]},
        {"what": "one rover, no lidar", "factor": physics[0], "cpu_factor": physics[1]},
        {
            "what": "one scan of 30 720 rays, one thread",
            "median_ms": float(np.median(scans)),
            "p95_ms": float(np.percentile(scans, 95)),
        },
        {"what": "new scene, once in 5 m", "median_ms": build_ms, "triangles": triangles},
    ]
    return {"name": "Embedded simulator", "unit": "simulated seconds per second", "rows": rows}


def _terrain() -> Surface:
    places = 5.0 * np.arange(129) - 320.0
    heights = 3.0 * np.sin(places / 40.0)[None, :] * np.cos(places / 55.0)[:, None]
    spec = GridSpec(float(places[0]), float(places[0]), 5.0, 129, 129)
    return Surface(Dem(heights.astype(np.float32), spec), SEED)


def _model() -> RobotModel:
    model = load_robot("long_range")
    lidar = dataclasses.replace(model.lidar, channels=CHANNELS, columns=COLUMNS, rate_hz=RATE_HZ)
    return dataclasses.replace(model, lidar=lidar)


def _factor(
    terrain: Surface, model: RobotModel, seconds: float, *, lidar: bool
) -> tuple[float, float]:
    """Simulated over elapsed time, and simulated over processor time of all threads."""
    with EmbeddedWorld(terrain, [SimRobot("rover", model)], SEED, SimConfig(lidar=lidar)) as world:
        for _ in range(10):
            world.step()
        start_ns, wall, processor = world.time_ns, time.perf_counter(), time.process_time()
        while world.time_ns - start_ns < seconds * 1e9:
            world.command("rover", VelocityCommand(world.time_ns, SPEED_MPS, YAW_RATE_RPS))
            world.step()
        simulated = (world.time_ns - start_ns) * 1e-9
        return (
            simulated / (time.perf_counter() - wall),
            simulated / (time.process_time() - processor),
        )


def _scan_cost(
    terrain: Surface, model: RobotModel, repeats: int
) -> tuple[list[float], float, int]:
    """Milliseconds of each scan, median milliseconds of a new scene, and its triangles."""
    spec = GridSpec(-12.0, -12.0, 0.1, 241, 241)
    heights = terrain.grid(spec)
    builds = []
    for _ in range(5):
        start = time.perf_counter()
        scene = build_scene(terrain, spec, heights, model.lidar.range_max_m + 7.0)
        builds.append(1e3 * (time.perf_counter() - start))
    rays = _rays(model, scene, float(heights[120, 120]))
    costs = []
    for _ in range(repeats):
        start = time.perf_counter()
        scene.cast(rays, 1)
        costs.append(1e3 * (time.perf_counter() - start))
    return costs, float(np.median(builds)), scene.triangles


def _rays(model: RobotModel, scene: Scene, ground_m: float) -> np.ndarray:
    directions = ray_directions(model.lidar)
    rays = np.empty((*directions.shape[:2], 6), dtype=np.float32)
    pose = np.array([0.0, 0.0, ground_m, 1.0, 0.0, 0.0, 0.0])
    mount = np.array([*model.lidar.position_m, *quat_from_rpy(*model.lidar.rpy_rad)])
    fill_rays(directions, np.zeros(len(directions)), pose, pose, mount, scene.origin_m, rays)
    return rays
