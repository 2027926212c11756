"""Build the package for colcon (``ament_python``) and for pip alike.

``package.xml`` holds the version; ``pyproject.toml`` holds the metadata and the dependencies.
Here stands what neither can state, or what colcon reads from here alone.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "ilrs_robots"
ROOT = Path(__file__).resolve().parent
EXECUTABLES = {
    "ilrs": "cli.main",
    "robot_node": "nodes.robot_main",
    "command_gate": "nodes.gate_main",
    "embedded_sim": "nodes.sim_main",
    "recorder": "nodes.recorder_main",
    "gazebo_drive": "nodes.gazebo_drive",
    "gazebo_support": "nodes.gazebo_support",
    "mission_view": "cli.view_main",
}
SHARED_FOLDERS = ("config", "launch", "urdf", "worlds")


def version() -> str:
    """Return the version that ``package.xml`` states."""
    found = ElementTree.parse(ROOT / "package.xml").findtext("version")
    if not found:
        raise ValueError(f"{ROOT / 'package.xml'} states no version")
    return found


def shared_files() -> list[tuple[str, list[str]]]:
    """Return the share files as setuptools wants them, each folder's tree kept."""
    share = Path("share") / NAME
    listed = [
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (str(share), ["package.xml"]),
    ]
    by_folder: dict[Path, list[str]] = {}
    for folder in SHARED_FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            relative = path.relative_to(ROOT)
            if path.is_file() and "__pycache__" not in relative.parts:
                by_folder.setdefault(relative.parent, []).append(str(relative))
    listed += [(str(share / folder), files) for folder, files in by_folder.items()]
    return listed


setup(
    name=NAME,
    version=version(),
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    data_files=shared_files(),
    entry_points={
        "console_scripts": [f"{name} = {NAME}.{where}:main" for name, where in EXECUTABLES.items()]
    },
    zip_safe=False,
)
