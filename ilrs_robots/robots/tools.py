"""Programs of others that a site needs beside ours, as plain data for the launch files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ilrs_robots.robots.assembly import ParameterValue


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

    def __post_init__(self) -> None:
        """Keep mappings from being changed."""
        object.__setattr__(self, "environment", MappingProxyType(dict(self.environment)))
        if self.parameters is not None:
            object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
