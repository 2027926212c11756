"""Name the unit tests that need nothing but the core: they also run with old libraries.

A test belongs here when every module of the package that it imports is ``ilrs_robots.core``, and
every other import is of the standard library or of what the core itself stands on.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORE_NEEDS = {"astronomy", "cv2", "hypothesis", "numba", "numpy", "psutil", "pytest", "rasterio"}
CORE_NEEDS |= {"scipy", "transforms3d", "yaml"}


def imported(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def needs_only_the_core(path: Path) -> bool:
    """Whether a test file can run where only the core's libraries are."""
    for module in imported(path):
        top = module.partition(".")[0]
        if top == "ilrs_robots":
            if not module.startswith("ilrs_robots.core"):
                return False
        elif top not in CORE_NEEDS and top not in sys.stdlib_module_names:
            return False
    return True


def core_tests() -> list[Path]:
    """Every such file under test/unit."""
    return [
        p for p in sorted((ROOT / "test" / "unit").glob("test_*.py")) if needs_only_the_core(p)
    ]


if __name__ == "__main__":
    print("\n".join(str(path.relative_to(ROOT)) for path in core_tests()))
