"""Run the test suite in two parts: what may share the cores, then what needs them.

The first part uses as many processes as there are cores. Nodes and assemblies of processes run
alone afterwards: they meet real time. With arguments everything goes to one pytest instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALONE = ("test/node", "test/launch")


def main(arguments: list[str]) -> int:
    """Exit code of the first part that failed, or 0."""
    pytest = [sys.executable, "-m", "pytest", "--durations=15"]
    if arguments:
        return subprocess.run([*pytest, *arguments], cwd=ROOT).returncode
    workers = str(len(os.sched_getaffinity(0)))
    shared = ["-n", workers, "--dist", "loadfile", *(f"--ignore={folder}" for folder in ALONE)]
    codes = [subprocess.run([*pytest, *part], cwd=ROOT).returncode for part in (shared, ALONE)]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
