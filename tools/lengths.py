"""Report files over 300 lines and functions over 40: a reason to look, not a failure.

usage: python tools/lengths.py [FOLDER...]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 300
FUNCTION_LINES = 40
ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("ilrs_robots", "test", "benchmarks", "tools")


def sources(folders: tuple[str, ...] = FOLDERS) -> list[Path]:
    """Python files below the folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, first line and length of every function; decorators and docstring do not count."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node, clean=False)
            spoken = 0 if said is None else len(said.splitlines())
            assert node.end_lineno is not None
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1 - spoken


def long_files(paths: list[Path]) -> list[tuple[int, str]]:
    """Length and name of every file that is longer than it should be, longest first."""
    found = [(len(p.read_text(encoding="utf-8").splitlines()), p) for p in paths]
    return sorted(
        ((n, str(p.relative_to(ROOT))) for n, p in found if n > FILE_LINES), reverse=True
    )


def long_functions(paths: list[Path]) -> list[tuple[int, str]]:
    """Length and place of every function that is longer than it should be, longest first."""
    found = [
        (lines, f"{path.relative_to(ROOT)}:{first} {name}")
        for path in paths
        for name, first, lines in functions(path)
        if lines > FUNCTION_LINES
    ]
    return sorted(found, reverse=True)


def main(folders: list[str]) -> int:
    """Print what is too long; 0 always."""
    paths = sources(tuple(folders) or FOLDERS)
    files, long = long_files(paths), long_functions(paths)
    for lines, name in files:
        print(f"{lines:5d} lines  {name}")
    for lines, name in long:
        print(f"{lines:5d} lines  {name}")
    print(
        f"{len(files)} of {len(paths)} files over {FILE_LINES} lines, "
        f"{len(long)} functions over {FUNCTION_LINES}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
