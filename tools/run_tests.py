"""Run the test suite in two parts, beside each other: what computes, and what meets real time.

Nodes and assemblies of processes wait more than they compute, one after the other. What computes
fills the rest of the cores at a lower priority, so that it cannot delay them. The second part is
printed whole when it has ended. With arguments everything goes to one pytest instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

from ilrs_robots.cli.kernels import compile_kernels, compiled

ROOT = Path(__file__).resolve().parents[1]
REAL_TIME = ("test/node", "test/launch")
LOWER = 10
"""Steps of niceness: a process in real time then gets nine tenths of a core that both want."""


def main(arguments: list[str]) -> int:
    """Exit code of the first part that failed, or 0."""
    pytest = [sys.executable, "-m", "pytest", "--durations=15"]
    if arguments:
        return subprocess.run([*pytest, *arguments], cwd=ROOT).returncode
    if not compiled():  # otherwise every worker compiles the same kernels at a time
        compile_kernels()
    workers = str(len(os.sched_getaffinity(0)))
    # In the order of the folders: the long drives first, the many short tests fill the end.
    shared = ["-n", workers, "--dist", "loadfile", "--no-loadscope-reorder"]
    shared += [f"--ignore={folder}" for folder in REAL_TIME]
    with tempfile.TemporaryFile("w+") as said:
        meets_time = subprocess.Popen(
            [*pytest, *REAL_TIME], cwd=ROOT, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            computes = subprocess.run([*pytest, *shared], cwd=ROOT, preexec_fn=_step_back)
            print("\nnodes and launch: their tests ran beside these ...", flush=True)
            last = meets_time.wait()
        finally:
            meets_time.terminate()
            _show(said)
    return computes.returncode or last


def _step_back() -> None:
    os.nice(LOWER)


def _show(said: IO[str]) -> None:
    said.seek(0)
    sys.stdout.write(said.read())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
