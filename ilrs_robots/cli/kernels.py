"""Compiled kernels: made once before many processes start that would each compile the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

GROUPS: Final = (("mapping", "navigation"), ("localization", "hopping", "power", "reckoning"))
"""Functions of core/warm.py, by the process that calls them."""


def cold() -> bool:
    """Whether nothing was compiled yet, where a folder for it is named."""
    folder = os.environ.get("NUMBA_CACHE_DIR", "")
    return bool(folder) and next(Path(folder).rglob("*.nbi"), None) is None


def compile_kernels() -> None:
    """Fill the cache of kernels; who needs one that could not be compiled says so itself."""
    started = [
        subprocess.Popen([sys.executable, "-c", f"from ilrs_robots.core import warm; {calls}"])
        for calls in ("; ".join(f"warm.{name}()" for name in names) for names in GROUPS)
    ]
    for process in started:
        process.wait()
