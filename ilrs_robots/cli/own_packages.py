"""What pip installed for our programs, for a Python that is not theirs.

On a ROS machine `ros2 launch` runs on the distribution's Python, our programs on that of the
virtual environment they were built with. What only PyPI has lies in the latter.
"""

from __future__ import annotations

import importlib.util
import site
import sys
from pathlib import Path

from ilrs_robots.cli.child import SupervisionError, program
from ilrs_robots.core.errors import ConfigError

NEEDED = "astronomy"
"""Of what only PyPI has, the one thing that a launch file itself uses."""


def see_own_packages(what: str, otherwise: str) -> None:
    """Add the packages of our programs' environment to this process, behind its own.

    Args:
        what: the argument that needs them.
        otherwise: what works without.

    Raises:
        ConfigError: they are not there either, or for another version of Python.
    """
    if importlib.util.find_spec(NEEDED) is not None:
        return
    folder = own_site_packages()
    if folder is not None:
        site.addsitedir(str(folder))
    if importlib.util.find_spec(NEEDED) is None:
        raise ConfigError(
            f"{what}: {sys.executable} finds no astronomy-engine. Install "
            "constraints-ros-jazzy.txt into the virtual environment that the package is built "
            f"in (docs/install.md), or use {otherwise}"
        )


def own_site_packages() -> Path | None:
    """Where pip installs for our programs, by the Python that their first line names.

    None where that is not an environment of this version of Python.
    """
    try:
        first = Path(program("ilrs")[0]).read_text(encoding="utf-8").partition("\n")[0]
    except (SupervisionError, OSError, UnicodeDecodeError):
        return None
    prefix = Path(first.removeprefix("#!").strip()).parent.parent
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folder = prefix / "lib" / version / "site-packages"
    known = (prefix / "pyvenv.cfg").is_file() and folder.is_dir()
    return folder if first.startswith("#!") and known else None
