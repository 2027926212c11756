"""Run the core's tests in ``.venv-compat``: libraries of the age that a ROS 2 Jazzy machine has.

The environment is made again whenever the lock or the Python changes. Arguments go to pytest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-compat"
LOCK = ROOT / "requirements" / "compat.txt"
STAMP = VENV / "stamp"
NEWEST = (3, 12)
"""numpy 1.26 has no wheel for a later Python."""


def main() -> int:
    """Make the environment unless it is there, then run the tests."""
    if sys.version_info[:2] > NEWEST:
        print(
            f"compat: numpy 1.26 needs a Python up to {NEWEST[0]}.{NEWEST[1]}, this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}: set ILRS_PYTHON to an older one",
            file=sys.stderr,
        )
        return 1
    mark = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    python = VENV / "bin" / "python"
    if not (STAMP.is_file() and STAMP.read_text(encoding="utf-8") == mark):
        print("compat: making .venv-compat", file=sys.stderr, flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], check=True)
        pip = [ROOT / ".venv" / "bin" / "python", "-m", "pip", "--python", python]
        pip += ["install", "--quiet", "--disable-pip-version-check"]
        options = ["--require-hashes", "--only-binary", ":all:", "-r", LOCK]
        subprocess.run([*pip, *options], check=True)
        subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", ROOT], check=True)
        STAMP.write_text(mark, encoding="utf-8")
    told = subprocess.run(
        [python, ROOT / "tools" / "core_tests.py"], check=True, capture_output=True, text=True
    )
    caches = {"NUMBA_CACHE_DIR": str(VENV / "numba"), "PYTHONPATH": str(ROOT)}
    tests = [python, "-m", "pytest", *told.stdout.split(), *sys.argv[1:]]
    return subprocess.run(tests, cwd=ROOT, env=os.environ | caches).returncode


if __name__ == "__main__":
    sys.exit(main())
