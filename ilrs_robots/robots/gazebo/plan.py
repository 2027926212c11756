"""What it takes to run a site in Gazebo, as plain data; launch files turn it into actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ilrs_robots.robots.assembly import ProcessSpec


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
            lidar fallback); like all others they take ``use_sim_time`` from here.
    """

    world_name: str
    world_path: Path
    bridge_path: Path
    bridge_parameters: dict[str, str | bool | int | float]
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
    progress: Callable[[str, float], None] | None = None,
) -> GazeboPlan:
    """Make ready whatever Gazebo needs to run a site.

    The terrain is baked on first use (about ten seconds); a site whose terrain ships, or was
    baked before, takes it from there.

    Args:
        site_name: a name from ``config/sites`` or the path of a site file.
        robots: names to run, empty for all of the site.
        seed: replaces the terrain's seed.
        lidar_fallback: whether our own ray casting replaces Gazebo's lidars.
        progress: is told what is being done and which share of it is, 0..1.

    Raises:
        ConfigError: the site file is wrong, or has no such robot.
        TerrainError: the terrain cannot be read, built or baked.
    """
    raise NotImplementedError
