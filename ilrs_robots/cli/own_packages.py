"""What pip installed for our programs, for a Python that is not theirs.

On a ROS machine `ros2 launch` runs on the distribution's Python, our programs on that of the
virtual environment they were built with. What only PyPI has lies in the latter. This module
imports nothing that needs it.
"""

from __future__ import annotations

import importlib.util
import os
import site
import sys
from pathlib import Path
from typing import Final

from ilrs_robots.core.errors import ConfigError

NEEDED = "astronomy"
"""Of what only PyPI has, what Gazebo's world needs in a launch file's own process."""
COMPILER: Final = "numba"
"""What every launch file needs there. Python 3.12, Jazzy's, wants 0.59 or newer, which its
distribution need not have."""


def see_compiler() -> None:
    """For a launch file, before anything else of this package is imported.

    Raises:
        ConfigError: it is nowhere.
    """
    _see(COMPILER, COMPILER, "ros2 launch", "")


def see_own_packages(what: str, otherwise: str) -> None:
    """Add the packages of our programs' environment to this process, behind its own.

    Args:
        what: the argument that needs them.
        otherwise: what works without.

    Raises:
        ConfigError: they are not there either, or for another version of Python.
    """
    _see(NEEDED, "astronomy-engine", what, f", or use {otherwise}")


def _see(module: str, distribution: str, what: str, otherwise: str) -> None:
    if importlib.util.find_spec(module) is not None:
        return
    folder = own_site_packages()
    if folder is not None:
        site.addsitedir(str(folder))
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"{what}: {sys.executable} finds no {distribution}. Install "
            "constraints-ros-jazzy.txt into the virtual environment that the package is built "
            f"in (docs/install.md){otherwise}"
        )


def own_site_packages() -> Path | None:
    """Where pip installs for our programs, by the Python that their first line names.

    None where that is not an environment of this version of Python.
    """
    program = next((path for path in program_places("ilrs") if path.is_file()), None)
    try:
        text = "" if program is None else program.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    first = text.partition("\n")[0]
    prefix = Path(first.removeprefix("#!").strip()).parent.parent
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = prefix / "lib" / version / "site-packages"
    known = (prefix / "pyvenv.cfg").is_file() and folder.is_dir()
    return folder if first.startswith("#!") and known else None


def program_places(executable: str) -> list[Path]:
    """Where a program of ours may be: lib/ilrs_robots of a ROS prefix, or beside this Python."""
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    places = [Path(p) / "lib" / "ilrs_robots" / executable for p in prefixes]
    return [*places, Path(sys.executable).parent / executable]
