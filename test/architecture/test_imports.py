"""The house keeps its shape: what a vehicle's process may load, and who knows what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "ilrs_robots"


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


FILES = sorted(PACKAGE.rglob("*.py"))


def test_the_import_contracts_hold() -> None:
    """The layers stand in pyproject.toml and nowhere else; where the tool is, they are checked."""
    pytest.importorskip("importlinter", reason="import-linter is a tool of developers")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_only_nodes_know_ros_and_only_sim_knows_the_engine() -> None:
    """Whatever a package of messages is called: the contracts can only list names."""
    for path in FILES:
        box = path.relative_to(PACKAGE).parts[0]
        roots = {name.split(".")[0] for name in imported(path)}
        ros = {r for r in roots if r == "rclpy" or r.endswith(("_msgs", "_srvs", "_interfaces"))}
        assert box == "nodes" or not ros, path
        assert box == "sim" or "mujoco" not in roots, path
    if box != "view":
        assert not roots & {"matplotlib", "viser"}


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
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


HEAVY = {
    "mujoco", "open3d", "matplotlib", "viser", "rasterio", "rosbags", "pandas",
    "scipy.ndimage", "scipy.special", "scipy.sparse",
}  # fmt: skip
"""Modules that cost a small computer memory or start-up time (scipy's 0.3 s a process)."""


def test_a_vehicles_running_process_has_loaded_no_simulator_and_no_viewer(domain_id: int) -> None:
    """Configured, active and spun: what is imported late shows as well."""
    code = f"""
import sys
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from ilrs_robots.nodes import gate_main, robot_main
from ilrs_robots.nodes.runtime import bring_up
rclpy.init()
executor = SingleThreadedExecutor()
for node in (*robot_main.make_nodes(), gate_main.CommandGateNode()):
    executor.add_node(node)
    if isinstance(node, LifecycleNode):
        bring_up(node)
for _ in range(40):
    executor.spin_once(timeout_sec=0.05)
print("heavy:", sorted({HEAVY!r} & set(sys.modules)))
rclpy.shutdown()
"""
    assert run_python(code).strip().splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize(
    "name", ["localization", "navigation", "terrain_mapping", "command_gate", "flight"]
)
def test_a_robots_node_never_holds_the_true_ground(name: str) -> None:
    text = (PACKAGE / "nodes" / f"{name}.py").read_text(encoding="utf-8")
    assert "load_site" not in text
    assert ".surface" not in text
