"""Lengths are reported by tools/lengths.py; here only what nobody should let happen."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "lengths.py"
LONGEST_FILE = 350
LONGEST_FUNCTION = 60
"""Of the package itself; lower them when the last one above has been split."""


def test_nothing_in_the_package_grows_far_beyond_what_is_reported() -> None:
    spec = importlib.util.spec_from_file_location("lengths", TOOL)
    assert spec is not None
    assert spec.loader is not None
    lengths = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lengths)
    paths = lengths.sources(("ilrs_robots",))
    assert [f for f in lengths.long_files(paths) if f[0] > LONGEST_FILE] == []
    assert [f for f in lengths.long_functions(paths) if f[0] > LONGEST_FUNCTION] == []


def test_the_report_ends_with_its_sum_and_never_fails() -> None:
    done = subprocess.run(
        [sys.executable, str(TOOL)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "files over 300 lines" in done.stdout.splitlines()[-1]
