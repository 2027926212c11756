"""Programs of others that a site needs beside ours, as plain data for the launch files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ilrs_robots.robots.assembly import ParameterValue
from ilrs_robots.robots.steps import base_frame

if TYPE_CHECKING:
    from ilrs_robots.robots.gazebo.plan import GazeboPlan, Spawn

LINKS_RATE_HZ: Final = 5.0
"""Of wheels and arms in /tf: they are for the eye, and every process takes each message."""
CLOCK_RATE_HZ: Final = 25.0
"""Of /clock in a replay, as in the simulators (docs/frames_and_topics.md)."""


@dataclass(frozen=True)
class ToolSpec:
    """A program that is not ours: Gazebo, a bridge, RViz, ``robot_state_publisher``.

    Attributes:
        name: unique name for logs.
        executable: program of the package, or a command of the system.
        package: ROS package that installs it; empty for a command on the PATH.
        namespace: ROS namespace, without slashes; empty for the root.
        arguments: command-line arguments.
        parameters: ROS parameters; None where the program is no ROS node.
        parameter_file: YAML file of ROS parameters, read before ``parameters``.
        remappings: pairs (from, to) of ROS names.
        environment: variables on top of the launch's own.
        essential: whether the others are of no use without it.
        respawn: whether it is started again when it dies.
        once: whether it does one thing and ends; then exit code 0 is its success.
    """

    name: str
    executable: str
    package: str = ""
    namespace: str = ""
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, ParameterValue] | None = None
    parameter_file: Path | None = None
    remappings: tuple[tuple[str, str], ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    essential: bool = False
    respawn: bool = False
    once: bool = False

    def __post_init__(self) -> None:
        """Keep mappings from being changed."""
        object.__setattr__(self, "environment", MappingProxyType(dict(self.environment)))
        if self.parameters is not None:
            object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))


def state_publisher_tool(robot: str, urdf: str, *, use_sim_time: bool) -> ToolSpec:
    """``robot_state_publisher`` of one vehicle: its description and the places of its links.

    Args:
        robot: name and namespace of the vehicle.
        urdf: its description; link names without the robot's name.
        use_sim_time: whether time comes from ``/clock``.
    """
    return ToolSpec(
        name=f"{robot}.robot_state_publisher",
        executable="robot_state_publisher",
        package="robot_state_publisher",
        namespace=robot,
        parameters={
            "robot_description": urdf,
            "frame_prefix": f"{robot}/",
            "publish_frequency": LINKS_RATE_HZ,
            "use_sim_time": use_sim_time,
        },
        respawn=True,
    )


def joystick_tools(
    robot: str,
    parameter_file: Path,
    *,
    max_speed_mps: float,
    max_yaw_rate_rps: float,
    use_sim_time: bool,
) -> list[ToolSpec]:
    """A gamepad that drives one vehicle by hand, through the command gate.

    Args:
        robot: name and namespace of the vehicle.
        parameter_file: which buttons and axes.
        max_speed_mps: forward speed at full deflection, m/s.
        max_yaw_rate_rps: yaw rate at full deflection, rad/s.
        use_sim_time: whether time comes from ``/clock``: the gate looks at the stamps.
    """
    clock: dict[str, ParameterValue] = {"use_sim_time": use_sim_time}
    scale: dict[str, ParameterValue] = {
        "scale_linear.x": max_speed_mps,
        "scale_angular.yaw": max_yaw_rate_rps,
        "frame": base_frame(robot),
    }
    return [
        ToolSpec(
            name=f"{robot}.joy",
            executable="joy_node",
            package="joy",
            namespace=robot,
            parameters=clock,
            parameter_file=parameter_file,
            respawn=True,
        ),
        ToolSpec(
            name=f"{robot}.teleop",
            executable="teleop_node",
            package="teleop_twist_joy",
            namespace=robot,
            parameters={**clock, **scale},
            parameter_file=parameter_file,
            remappings=(("cmd_vel", "cmd_vel_teleop"),),
            respawn=True,
        ),
    ]


def rviz_tool(layout: Path, *, use_sim_time: bool) -> ToolSpec:
    """RViz with a layout; a user who closes it does not end the rest."""
    return ToolSpec(
        name="rviz",
        executable="rviz2",
        package="rviz2",
        arguments=("-d", str(layout)),
        parameters={"use_sim_time": use_sim_time},
    )


def foxglove_tool(*, use_sim_time: bool) -> ToolSpec:
    """The bridge that Foxglove connects to (its own defaults: ws://<this machine>:8765)."""
    return ToolSpec(
        name="foxglove",
        executable="foxglove_bridge",
        package="foxglove_bridge",
        parameters={"use_sim_time": use_sim_time},
        respawn=True,
    )


def bag_player_tool(bag: Path, topics: Sequence[str], *, rate: float, delay_s: float) -> ToolSpec:
    """``ros2 bag play`` of what sensors said; its end is the end of the replay.

    Args:
        bag: folder or file of the bag.
        topics: what is played. Topics that the nodes publish anew must not be among them.
        rate: speed of the clock, 1 for real time.
        delay_s: wall time before the first message, for the nodes to come up.
    """
    return ToolSpec(
        name="player",
        executable="ros2",
        arguments=(
            "bag",
            "play",
            str(bag),
            "--clock",
            f"{CLOCK_RATE_HZ:g}",
            "--rate",
            f"{rate:g}",
            "--delay",
            f"{delay_s:g}",
            "--disable-keyboard-controls",
            "--topics",
            *topics,
        ),
        essential=True,
    )


def gazebo_tools(
    plan: GazeboPlan,
    descriptions: Mapping[str, Path],
    *,
    headless: bool,
    environment: Mapping[str, str],
) -> list[ToolSpec]:
    """Gazebo's server and window, one spawner per vehicle, and the bridge to ROS.

    Server and window are two commands: the combined one starts both as children that a signal to
    it does not always reach.

    Args:
        plan: world, vehicles and bridge.
        descriptions: a URDF or SDF file for each vehicle.
        headless: no window, and sensors that render without a display.
        environment: of Gazebo's own programs.
    """
    server = [arg for arg in plan.server_arguments(headless=headless) if arg != "-s"]
    tools = [
        ToolSpec(
            name="gazebo",
            executable="gz",
            arguments=("sim", "-s", *server),
            environment=environment,
            essential=True,
        )
    ]
    if not headless:
        window = ("sim", "-g")
        tools.append(ToolSpec("gazebo_window", "gz", arguments=window, environment=environment))
    tools += [
        _spawner(spawn, plan.world_name, descriptions[spawn.name], environment)
        for spawn in plan.spawns
    ]
    tools.append(
        ToolSpec(
            name="bridge",
            executable="parameter_bridge",
            package="ros_gz_bridge",
            parameters=plan.bridge_parameters,
            environment=environment,
            respawn=True,
        )
    )
    return tools


def _spawner(
    spawn: Spawn, world: str, description: Path, environment: Mapping[str, str]
) -> ToolSpec:
    return ToolSpec(
        name=f"spawn.{spawn.name}",
        executable="create",
        package="ros_gz_sim",
        parameters={
            "world": world,
            "name": spawn.name,
            "file": str(description),
            "x": float(spawn.x_m),
            "y": float(spawn.y_m),
            "z": float(spawn.z_m),
            "R": float(spawn.roll_rad),
            "P": float(spawn.pitch_rad),
            "Y": float(spawn.yaw_rad),
        },
        environment=environment,
        once=True,
    )
