"""What it takes to run a site in Gazebo, as plain data; launch files turn it into actions."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.terrain.heightmap import BakeConfig, Heightmap
from ilrs_robots.core.terrain.rocks import Rocks, lift_points
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.robots.assembly import ParameterValue, ProcessSpec, chosen_robots
from ilrs_robots.robots.gazebo.interfaces import (
    Bridge,
    robot_bridges,
    thrust_bridges,
    world_bridges,
    write_bridges,
)
from ilrs_robots.robots.gazebo.terrain import Progress, baked_terrain, cache_dir
from ilrs_robots.robots.gazebo.world import WorldContent, render_world, world_name
from ilrs_robots.robots.model import HopperModel
from ilrs_robots.robots.site import RobotPlacement, load_site

_DROP_M: Final = 0.02
"""Vehicles start so far above the ground and settle: none starts inside it."""


@dataclass(frozen=True)
class Spawn:
    """A vehicle and where it is put into the world, standing on the ground.

    Attributes:
        name: namespace, and name of the model in Gazebo.
        model: name of its file in ``config/robots``.
        x_m: of base_link in map (and in Gazebo's world, which has the same axes).
        y_m: likewise.
        z_m: likewise, above the reference sphere.
        roll_rad: attitude of the ground under it.
        pitch_rad: likewise.
        yaw_rad: heading.
    """

    name: str
    model: str
    x_m: float
    y_m: float
    z_m: float
    roll_rad: float
    pitch_rad: float
    yaw_rad: float


@dataclass(frozen=True)
class GazeboPlan:
    """Files, vehicles and processes of a site in Gazebo.

    Attributes:
        world_name: as Gazebo's topics and services name it.
        world_path: SDF file for ``gz sim``; everything that it names exists on this machine.
        bridge_path: YAML for the parameter ``config_file`` of
            ``ros_gz_bridge parameter_bridge``.
        bridge_parameters: ROS parameters of the bridge, ``config_file`` among them.
        spawns: vehicles for ``ros_gz_sim create``.
        processes: programs of this package that run beside Gazebo (clock, star tracker, Sun,
            lidar fallback, a hopper's engines); without them there is no ``/clock``.
    """

    world_name: str
    world_path: Path
    bridge_path: Path
    bridge_parameters: dict[str, ParameterValue]
    spawns: tuple[Spawn, ...]
    processes: tuple[ProcessSpec, ...]

    def server_arguments(self, *, headless: bool) -> list[str]:
        """Arguments of ``gz sim``: run at once; without a window, but with sensors, on request."""
        window = ["-s", "--headless-rendering"] if headless else []
        return ["-r", *window, str(self.world_path)]


def gazebo_plan(
    site_name: str,
    robots: tuple[str, ...] = (),
    *,
    seed: int | None = None,
    lidar_fallback: bool = False,
    progress: Progress | None = None,
) -> GazeboPlan:
    """Make ready whatever Gazebo needs to run a site.

    The terrain is baked on first use (some ten seconds); a site whose terrain ships, or was
    baked before, takes it from there.

    Args:
        site_name: a name from ``config/sites`` or the path of a site file.
        robots: names to run, empty for all of the site.
        seed: replaces the terrain's seed.
        lidar_fallback: whether our own ray casting replaces Gazebo's lidars.
        progress: is told what is being done and which share of it is, 0..1.

    Raises:
        ConfigError: the site file is wrong, or has no such robot.
        TerrainError: the terrain cannot be read, built or baked, or a robot stands beyond it.
    """
    site, true = load_site(site_name, seed=seed)
    chosen = chosen_robots(site, robots)
    name = world_name(site)
    config = BakeConfig()
    terrain = baked_terrain(site, true.surface, config, progress=progress)
    rocks = rocks_of(true.surface, terrain.heightmap, config)
    bridges = list(world_bridges(name))
    models = {robot: site.robot(robot).load_model() for robot in chosen}
    for robot, model in models.items():
        bridges += robot_bridges(robot, model, lidar_fallback=lidar_fallback)
    hoppers = [robot for robot, model in models.items() if isinstance(model, HopperModel)]
    if hoppers:
        bridges += thrust_bridges(name)
    world = render_world(WorldContent(site, terrain, rocks, f"{terrain.folder}/"))
    folder = _write(name, world, tuple(bridges))
    parameters: dict[str, ParameterValue] = {
        "site": site_name,
        "seed": site.terrain.seed,
        "robots": ",".join(chosen),
        "world": name,
        "ground_m": float(terrain.heightmap.height(np.zeros((1, 2)))[0]),
        "lidar_fallback": lidar_fallback,
        "use_sim_time": False,  # it makes the clock
    }
    return GazeboPlan(
        name,
        folder / f"{name}.sdf",
        folder / "bridge.yaml",
        bridge_parameters(folder / "bridge.yaml", tuple(bridges)),
        tuple(spawn(site.robot(robot), terrain.heightmap, rocks) for robot in chosen),
        (support_process(parameters, engines=bool(hoppers)),),
    )


def standalone_world(
    site_name: str, folder: Path, *, seed: int | None = None, progress: Progress | None = None
) -> str:
    """A site's world without vehicles, for a file of the user's own.

    Args:
        site_name: a name from ``config/sites`` or the path of a site file.
        folder: where the file will lie; terrain below it is named relative to it.
        seed: replaces the terrain's seed.
        progress: is told what is being done and which share of it is, 0..1.

    Raises:
        ConfigError: the site file is wrong.
        TerrainError: the terrain cannot be read, built or baked.
    """
    site, true = load_site(site_name, seed=seed)
    config = BakeConfig()
    terrain = baked_terrain(site, true.surface, config, progress=progress)
    rocks = rocks_of(true.surface, terrain.heightmap, config)
    place, below = terrain.folder.resolve(), folder.resolve()
    if place.is_relative_to(below):
        place = place.relative_to(below)
    return render_world(WorldContent(site, terrain, rocks, f"{place}/"))


def _write(name: str, world: str, bridges: tuple[Bridge, ...]) -> Path:
    """World and bridge in a folder of the cache that is named by what they hold."""
    key = hashlib.sha256(f"{world}{bridges}".encode()).hexdigest()[:16]
    folder = cache_dir() / "worlds" / f"{name}-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.sdf").write_text(world, encoding="utf-8")
        write_bridges(folder / "bridge.yaml", bridges)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error
    return folder


def support_process(
    parameters: Mapping[str, ParameterValue], *, engines: bool = False
) -> ProcessSpec:
    """Our nodes beside Gazebo; without them there is no clock.

    Args:
        parameters: of the process.
        engines: whether a hopper's engines are among them.
    """
    nodes = ["clock", "star_tracker", "sun"]
    if engines:
        nodes.append("gazebo_thrust")
    if parameters["lidar_fallback"]:
        nodes.append("lidar_fallback")
    return ProcessSpec(
        "gazebo_support", "gazebo_support", "", tuple(nodes), parameters, essential=True
    )


def bridge_parameters(path: Path, bridges: tuple[Bridge, ...]) -> dict[str, ParameterValue]:
    """Parameters of ``ros_gz_bridge``: its table, and best effort where sensors want it."""
    chosen: dict[str, ParameterValue] = {"config_file": str(path), "use_sim_time": False}
    for bridge in bridges:
        if bridge.sensor:
            key = f"qos_overrides.{bridge.ros_topic}.publisher.reliability"
            chosen[key] = "best_effort"
    return chosen


def rocks_of(surface: Surface, heightmap: Heightmap, config: BakeConfig) -> Rocks:
    """Rocks of the window that stand out enough, the tallest first."""
    reach = heightmap.reach_m
    found = surface.rocks(-reach, -reach, reach, reach).taller_than(config.rock_min_m)
    order = np.lexsort((found.ids, -found.height_above_ground_m))
    return found.select(order[: config.rock_limit])


def spawn(placement: RobotPlacement, ground: Heightmap, rocks: Rocks) -> Spawn:
    """Where a vehicle is put: with the slope under its footprint, above its highest bump.

    Args:
        placement: the site's entry.
        ground: the baked ground, on which Gazebo lets it stand.
        rocks: that stand on it.

    Raises:
        ConfigError: its model's file is wrong.
        TerrainError: its footprint does not lie on the baked ground.
    """
    footprint = placement.load_model().footprint
    along = np.linspace(-0.5, 0.5, 15)
    box = np.stack(np.meshgrid(along * footprint.length_m, along * footprint.width_m), axis=-1)
    c, s = math.cos(placement.yaw_rad), math.sin(placement.yaw_rad)
    local = box.reshape(-1, 2)
    xy = local @ np.array([[c, s], [-s, c]]) + (placement.x_m, placement.y_m)
    z = ground.height(xy)
    if np.isnan(z).any():
        raise TerrainError(
            f"robot {placement.name!r} at ({placement.x_m}, {placement.y_m}) m: the baked terrain "
            f"reaches {ground.reach_m:.1f} m from map's origin"
        )
    plane = np.column_stack((local, np.ones(len(local))))
    (forward, left, level), *_ = np.linalg.lstsq(plane, z, rcond=None)
    bump = float(np.max(lift_points(xy, z, rocks) - plane @ (forward, left, level)))
    pitch = -math.atan(forward)
    roll = math.atan(left * math.cos(pitch))
    z_m = float(level) + bump + _DROP_M
    return Spawn(
        placement.name, placement.model, placement.x_m, placement.y_m, z_m,
        roll, pitch, placement.yaw_rad,
    )  # fmt: skip
