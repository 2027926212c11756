"""Make ``.venv-compat``: the core's libraries at the age that a ROS 2 Jazzy machine has.

Prints the path of its Python. Made again whenever the lock or the Python changes.
"""

from __future__ import annotations

import hashlib
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
    """Make the environment unless it is there."""
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
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
