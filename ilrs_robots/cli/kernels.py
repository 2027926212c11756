"""Compiled kernels: made once before many processes start that would each compile the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

GROUPS: Final = (
    ("mapping", "navigation", "gate"),
    ("localization", "hopping", "power", "reckoning"),
)
"""Functions of core/warm.py, by the process that calls them."""

SOURCES: Final = Path(__file__).parents[1]
MARK: Final = "compiled"
"""File in the cache of kernels: of which sources all of them were compiled."""


def compiled() -> bool:
    """Whether the cache that ``NUMBA_CACHE_DIR`` names holds all kernels of these sources.

    Where no cache is named each process looks after itself, and nothing can be done here.
    """
    mark = _mark()
    return mark is None or (mark.is_file() and mark.read_text(encoding="utf-8") == _sources())


def compile_kernels() -> None:
    """Fill the cache of kernels; who needs one that could not be compiled says so itself."""
    started = [
        subprocess.Popen([sys.executable, "-c", f"from ilrs_robots.core import warm; {calls}"])
        for calls in ("; ".join(f"warm.{name}()" for name in names) for names in GROUPS)
    ]
    codes = [process.wait() for process in started]
    mark = _mark()
    if mark is not None and not any(codes):
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(_sources(), encoding="utf-8")


def _mark() -> Path | None:
    folder = os.environ.get("NUMBA_CACHE_DIR", "")
    return Path(folder) / MARK if folder else None


def _sources() -> str:
    """Digest of all files with kernels and of their compiler."""
    digest = hashlib.sha256(version("numba").encode())
    for path in sorted(SOURCES.rglob("*.py")):
        text = path.read_bytes()
        if b"numba" in text:
            digest.update(text)
    return digest.hexdigest()
