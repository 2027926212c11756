"""What this machine has: packages, commands, a display. Asked before anything is started."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ilrs_robots.core.errors import ConfigError


@dataclass(frozen=True)
class Machine:
    """A machine as its environment variables describe it.

    Attributes:
        environment: of the process that launches.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def has_package(self, name: str) -> bool:
        """Whether a ROS package is installed (resource index, REP-122 layout)."""
        prefixes = self.environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        marker = Path("share", "ament_index", "resource_index", "packages", name)
        return any((Path(prefix) / marker).is_file() for prefix in prefixes if prefix)

    def has_command(self, name: str) -> bool:
        """Whether a command is on the PATH."""
        return shutil.which(name, path=self.environment.get("PATH", "")) is not None

    @property
    def has_display(self) -> bool:
        """Whether a window can be opened."""
        return any(self.environment.get(key) for key in ("DISPLAY", "WAYLAND_DISPLAY"))

    def require_package(self, name: str, what: str, otherwise: str, source: str = "") -> None:
        """Refuse what needs a package that is not there.

        Args:
            name: the package.
            what: argument that asks for it.
            otherwise: what works without it.
            source: package to install for it; itself, if empty.

        Raises:
            ConfigError: in one line: what is missing, how to get it, what works now.
        """
        if not self.has_package(name):
            distro = self.environment.get("ROS_DISTRO") or "<distribution>"
            debian = f"ros-{distro}-{(source or name).replace('_', '-')}"
            raise ConfigError(
                f"{what}: the package {name} is not installed. Install it with "
                f"`sudo apt install {debian}`, or use {otherwise}"
            )

    def require_display(self, what: str, otherwise: str) -> None:
        """Refuse a window where there is no display.

        Raises:
            ConfigError: in one line.
        """
        if not self.has_display:
            raise ConfigError(
                f"{what}: needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set. "
                f"Use {otherwise}"
            )
