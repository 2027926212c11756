"""Build the interface underlay into the virtual environment.

The ROS 2 wheels lack tf2_msgs, nav2_msgs and grid_map_msgs. ``underlay/`` holds
those of their definitions that this package uses; colcon generates them here, and
merges them into the environment itself so that nothing has to be sourced.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

FOREIGN_INCLUDE = re.compile(
    r"/opt/python/cp\d+-cp\d+/"
    r"(?:include/python3\.\d+|lib/python3\.\d+/site-packages/numpy/_core/include)"
)


def repair_exported_targets(prefix: Path) -> int:
    """Point the wheels' exported CMake targets at this interpreter; return the count mended.

    The wheels export the include folders of the machine they were built on, and CMake
    refuses an imported target whose include folder does not exist.
    """
    import numpy

    python_include = sysconfig.get_path("include")
    numpy_include = numpy.get_include()

    def local(match: re.Match[str]) -> str:
        return numpy_include if "numpy" in match.group() else python_include

    mended = 0
    for path in sorted((prefix / "share").rglob("*.cmake")):
        text = path.read_text(encoding="utf-8")
        repaired = FOREIGN_INCLUDE.sub(local, text)
        if repaired != text:
            path.write_text(repaired, encoding="utf-8")
            mended += 1
    return mended


def build(prefix: Path, sources: Path) -> int:
    """Run colcon over the underlay, installing it merged into the environment; return its code."""
    work = prefix / "underlay"
    shutil.rmtree(work, ignore_errors=True)
    env = dict(os.environ)
    env["PATH"] = f"{prefix / 'bin'}{os.pathsep}{env.get('PATH', '')}"
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(prefix)
    for name in ("COLCON_PREFIX_PATH", "PYTHONPATH"):
        env.pop(name, None)
    # Nothing here runs hot: what an rclpy program does with a message is rclpy's and CDR's.
    flags = "-O1 -w"
    command = [
        str(prefix / "bin" / "colcon"), "--log-base", str(work / "log"), "build",
        "--base-paths", str(sources), "--build-base", str(work / "build"),
        "--install-base", str(prefix), "--merge-install",
        "--cmake-args", "-G", "Ninja", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython3_EXECUTABLE={sys.executable}",
        f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}",
    ]  # fmt: skip
    return subprocess.run(command, env=env).returncode


if __name__ == "__main__":
    environment = Path(sys.prefix)
    repair_exported_targets(environment)
    sys.exit(build(environment, Path(__file__).resolve().parents[2] / "underlay"))
