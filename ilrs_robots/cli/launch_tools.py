"""Programs of others beside a site's own: Gazebo, views, a gamepad. Asked for by launch arguments.

Each is looked for before anything starts; what is missing is named with what works instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ilrs_robots.cli.launch_arguments import Arguments
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.own_packages import see_own_packages
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots import tools
from ilrs_robots.robots.assembly import ProcessSpec, gazebo_drive_process
from ilrs_robots.robots.layouts import foxglove_layout, rviz_layout
from ilrs_robots.robots.model import RoverModel, require_rover
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.tools import ToolSpec

Progress = Callable[[str, float], None]
WORKS_NOW: Final = "sim:=mujoco, the embedded simulator, which works now"


def foreign_state_publisher(machine: Machine) -> bool:
    """Whether the distribution's ``robot_state_publisher`` does what our own node would."""
    return machine.has_package("robot_state_publisher")


def gazebo_programs(
    args: Arguments,
    site: SiteConfig,
    name: str,
    robots: tuple[str, ...],
    folder: Path,
    machine: Machine,
    progress: Progress | None = None,
) -> list[ProcessSpec | ToolSpec]:
    """Gazebo's programs for a site, after a look whether the machine has them.

    Args:
        args: of the launch file.
        site: the loaded site.
        name: what processes shall load as the site.
        robots: names of those that run.
        folder: for generated files.
        machine: where it runs.
        progress: is told what takes long, and which share of it is done, 0 to 1.

    Raises:
        IlrsError: Gazebo or a display is missing, or the world cannot be made.
    """
    for package in ("ros_gz_sim", "ros_gz_bridge"):
        machine.require_package(package, "sim:=gazebo", WORKS_NOW, source="ros_gz")
    if not machine.has_command("gz"):
        raise ConfigError(
            "sim:=gazebo: the command gz is not on the PATH. Source the ROS distribution's "
            f"setup file, or use {WORKS_NOW}"
        )
    headless = args.flag("headless")
    if not headless:
        machine.require_display("headless:=false", "headless:=true")
    see_own_packages("sim:=gazebo", WORKS_NOW)
    from ilrs_robots.robots.description import urdf_of
    from ilrs_robots.robots.gazebo.plan import gazebo_plan

    plan = gazebo_plan(
        name,
        robots,
        seed=args.optional_int("seed", low=0),
        lidar_fallback=args.choice("lidar", ("gazebo", "raycast")) == "raycast",
        progress=progress,
    )
    descriptions = {
        spawn.name: _written(
            folder / f"{spawn.name}.urdf", urdf_of(spawn.model, spawn.name, gazebo=True)
        )
        for spawn in plan.spawns
    }
    environment = gazebo_environment(machine.environment, network=args.flag("network"))
    rovers = [n for n in robots if isinstance(site.robot(n).load_model(), RoverModel)]
    return [
        *tools.gazebo_tools(plan, descriptions, headless=headless, environment=environment),
        *plan.processes,
        *(gazebo_drive_process(name, rover) for rover in rovers),
    ]


def gazebo_environment(base: Mapping[str, str], *, network: bool) -> dict[str, str]:
    """Gazebo's own transport kept on this machine, and apart from other domains' runs.

    Args:
        base: the caller's environment, whose own values count.
        network: whether it may leave this machine.
    """
    env = {} if network else {"GZ_IP": base.get("GZ_IP", "127.0.0.1")}
    domain = base.get("ROS_DOMAIN_ID", "")
    if domain not in ("", "0"):
        env["GZ_PARTITION"] = base.get("GZ_PARTITION", f"ros_domain_{domain}")
    return env


def programs_around(
    args: Arguments,
    site: SiteConfig,
    robots: tuple[str, ...],
    folder: Path,
    machine: Machine,
    *,
    simulated: bool,
) -> tuple[list[ProcessSpec | ToolSpec], list[str]]:
    """Descriptions, views and the gamepad, with what the user should know of them.

    Args:
        args: of the launch file.
        site: the loaded site.
        robots: names of those that run.
        folder: for generated files.
        machine: where it runs.
        simulated: whether time comes from ``/clock``.

    Raises:
        IlrsError: what is asked for cannot run on this machine.
    """
    found: list[ProcessSpec | ToolSpec] = []
    remarks: list[str] = []
    if foreign_state_publisher(machine):
        from ilrs_robots.robots.description import urdf_of  # xacro: only where it is needed

        for robot in robots:
            urdf = urdf_of(site.robot(robot).model, robot)
            found.append(tools.state_publisher_tool(robot, urdf, use_sim_time=simulated))
    if args.flag("rviz"):
        machine.require_display("rviz:=true", "rviz:=false, or foxglove:=true from elsewhere")
        machine.require_package("rviz2", "rviz:=true", "foxglove:=true or rviz:=false")
        layout = _written(folder / "site.rviz", rviz_layout(robots))
        found.append(tools.rviz_tool(layout, use_sim_time=simulated))
        if not machine.has_package("grid_map_rviz_plugin"):
            remarks.append("RViz will not show elevation maps: grid_map_rviz_plugin is missing")
    if args.flag("foxglove"):
        machine.require_package("foxglove_bridge", "foxglove:=true", "rviz:=true")
        layout = _written(folder / "foxglove.json", foxglove_layout(robots))
        found.append(tools.foxglove_tool(use_sim_time=simulated))
        remarks.append(f"Foxglove: connect to port 8765, import the layout {layout}")
    gamepad = args.text("gamepad")
    if gamepad:
        found += _gamepad(gamepad, site, robots, machine, simulated=simulated)
    return found, remarks


def _gamepad(
    robot: str,
    site: SiteConfig,
    robots: tuple[str, ...],
    machine: Machine,
    *,
    simulated: bool,
) -> list[ToolSpec]:
    if robot not in robots:
        raise ConfigError(f"gamepad:={robot}: no robot of that name runs; {', '.join(robots)} do")
    for package in ("joy", "teleop_twist_joy"):
        machine.require_package(package, f"gamepad:={robot}", "no gamepad")
    limits = require_rover(site.robot(robot).load_model(), "a gamepad").limits
    return tools.joystick_tools(
        robot,
        share_dir() / "config" / "joystick" / "gamepad.yaml",
        max_speed_mps=limits.max_speed_mps,
        max_yaw_rate_rps=limits.max_yaw_rate_rps,
        use_sim_time=simulated,
    )


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
