"""The house keeps its shape: what a vehicle's process may load, and who knows what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ilrs_robots"
LEVEL = {"core": 0, "robots": 1, "sim": 2, "replay": 2, "nodes": 3, "view": 3, "cli": 4}
"""A file imports from its own level's box or from lower ones; nodes may use sim and replay."""


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        return
    box = parts[0]
    for name in imported(path):
        if not name.startswith("ilrs_robots."):
            continue
        other = name.split(".")[1]
        if other in LEVEL and other != box:
            assert LEVEL[other] < LEVEL[box], f"{box} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_nodes_know_ros_and_only_sim_knows_the_engine(path: Path) -> None:
    box = path.relative_to(PACKAGE).parts[0]
    roots = {name.split(".")[0] for name in imported(path)}
    ros = {r for r in roots if r in {"rclpy", "action_msgs"} or r.endswith(("_msgs", "_srvs"))}
    if box != "nodes":
        assert not ros
    if box != "sim":
        assert "mujoco" not in roots
    if box != "view":
        assert not roots & {"matplotlib", "viser"}


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_core_loads_with_ros_engine_and_open3d_blocked() -> None:
    code = """
import sys, pkgutil, importlib
for name in ("rclpy", "mujoco", "open3d", "matplotlib", "viser"):
    sys.modules[name] = None
import ilrs_robots.core
for module in pkgutil.walk_packages(ilrs_robots.core.__path__, "ilrs_robots.core."):
    importlib.import_module(module.name)
import ilrs_robots.robots.pipeline, ilrs_robots.robots.assembly
print("loaded")
"""
    assert run_python(code).strip().endswith("loaded")


def test_a_vehicles_process_loads_no_simulator_and_no_viewer() -> None:
    code = """
import sys
import ilrs_robots.nodes.robot_main, ilrs_robots.nodes.gate_main
heavy = {"mujoco", "open3d", "matplotlib", "viser", "rasterio", "rosbags"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code).strip().splitlines()[-1] == "[]"
