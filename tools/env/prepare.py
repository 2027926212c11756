"""Make ``.venv`` whole: wheels, interface underlay, and the package itself.

``./run`` calls this before everything else, with the standard library alone. Each stage leaves
its mark in a stamp only once it is complete, so that a half-made environment is never used: a
stage without its mark is made again, and without the first one everything is.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import debian
import shared_libraries
import underlay
from failure import SetupError

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "setup-stamp.json"
LOG = VENV / "setup.log"
LOCKS = (ROOT / "requirements" / "build.txt", ROOT / "requirements" / "lock.txt")
PACKAGE_FILES = tuple(
    ROOT / name for name in ("package.xml", "setup.py", "setup.cfg", "pyproject.toml")
)
SUPPORTED = ((3, 11), (3, 13))
GLIBC_AT_LEAST = (2, 35)
DISK_BYTES = 3_500_000_000
SMOKE_TEST = (
    "import rclpy, tf2_msgs.msg, nav2_msgs.action, grid_map_msgs.srv\n"
    "nav2_msgs.action.NavigateToPose.Goal.__class__.__import_type_support__()\n"
)

NO_NETWORK = (
    "Failed to establish a new connection",
    "Network is unreachable",
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name resolution",
    "ConnectTimeoutError",
    "ProxyError",
    "Max retries exceeded",
)


def say(text: str) -> None:
    """Write one line of progress."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def _digest(*parts: str | Path) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _pins(lock: Path) -> str:
    """Return a lock without its comments, which say who wanted what."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#"))


def wanted_stamps(python_version: str) -> dict[str, str]:
    """Return the mark of each stage for the files as they are now, in the order of building."""
    here = Path(__file__).parent
    sources = sorted(path for path in (ROOT / "underlay").rglob("*") if path.is_file())
    wheels = _digest(python_version, str(VENV), *map(_pins, LOCKS))
    names = (str(path.relative_to(ROOT)) for path in sources)
    return {
        "wheels": wheels,
        "underlay": _digest(wheels, here / "underlay.py", *names, *sources),
        "package": _digest(wheels, *PACKAGE_FILES),
    }


def read_stamps() -> dict[str, str]:
    """Return the marks of the stages that were completed; none if the stamp is unreadable."""
    try:
        stamps = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def write_stamps(stamps: dict[str, str]) -> None:
    """Replace the stamp in one step."""
    partial = STAMP.with_suffix(".partial")
    partial.write_text(json.dumps(stamps, indent=1) + "\n", encoding="utf-8")
    partial.replace(STAMP)


def venv_python_version() -> str | None:
    """Return the ``X.Y`` that ``.venv`` was made with, if its interpreter still exists."""
    try:
        lines = (VENV / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.replace(" ", "").split("=", 1) for line in lines if "=" in line)
    if not (VENV / "bin" / "python").exists():
        return None
    return ".".join(fields.get("version", "").split(".")[:2]) or None


def own_version() -> str:
    """Return ``X.Y`` of the running Python."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def is_python_kept() -> bool:
    """Return whether ``.venv`` has a Python that works, and the one that was asked for if any."""
    version = venv_python_version()
    return version is not None and ("ILRS_PYTHON" not in os.environ or version == own_version())


def is_complete() -> bool:
    """Return whether every stage of ``.venv`` was made from the files as they are now."""
    return is_python_kept() and read_stamps() == wanted_stamps(venv_python_version() or "")


def check_machine() -> None:
    """Raise if the wheels cannot work here at all."""
    if platform.machine() not in ("x86_64", "AMD64"):
        raise SetupError(
            f"this machine is {platform.machine()}, the ROS 2 wheels are for x86-64 Linux: "
            "use a ROS 2 distribution instead (docs/install.md)"
        )
    libc, version = platform.libc_ver()
    if libc != "glibc" or tuple(int(n) for n in version.split(".")[:2]) < GLIBC_AT_LEAST:
        raise SetupError(
            f"the wheels need glibc 2.35 or newer, this machine has {libc or 'another libc'} "
            f"{version}: use Debian 12, Ubuntu 24.04 or newer"
        )


def check_disk() -> None:
    """Raise if the environment would not fit."""
    held = VENV if VENV.exists() else ROOT
    free = shutil.disk_usage(held).free
    if free < DISK_BYTES:
        raise SetupError(
            f"disk full: set-up needs {DISK_BYTES / 1e9:.1f} GB under {ROOT}, "
            f"{free / 1e9:.1f} GB are free: free some and run again"
        )


def run_logged(command: list[str], what: str) -> None:
    """Run a step with its output in the log; raise with its cause in one line."""
    start = LOG.stat().st_size if LOG.exists() else 0
    with LOG.open("a", encoding="utf-8") as log:
        done = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return
    with LOG.open("rb") as log:
        log.seek(start)
        output = log.read().decode(errors="replace")
    raise SetupError(explain(output, what))


def explain(output: str, what: str) -> str:
    """Return the likely cause of a failed step, and how to mend it, in one line."""
    if "No space left on device" in output:
        return f"disk full during {what}: free some space (in the temporary folder too), run again"
    if "CERTIFICATE_VERIFY_FAILED" in output:
        return (
            f"certificate not trusted during {what}: check the clock, "
            "or name your network's certificates to pip (PIP_CERT)"
        )
    if any(sign in output for sign in NO_NETWORK):
        return (
            f"no network during {what}: PyPI was not reached; "
            "check the connection, the proxy and pip's settings, then run again"
        )
    if "DO NOT MATCH THE HASHES" in output:
        return f"{what}: a downloaded file is not the pinned one (hash mismatch), see {LOG}"
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    cause = errors[0] if errors else (lines or ["no output"])[-1]
    return f"{what} failed: {cause[:200]} (all of it: {LOG})"


def make_wheels() -> None:
    """Make the virtual environment anew and fill it with the pinned wheels."""
    if VENV.exists():
        say("rebuilding .venv: it is incomplete, or was made from other files or elsewhere")
        STAMP.unlink(missing_ok=True)
        shutil.rmtree(VENV)
    check_disk()
    base_python = getattr(sys, "_base_executable", sys.executable)
    say(f"[1/4] virtual environment (Python {platform.python_version()})")
    VENV.mkdir()
    run_logged([base_python, "-m", "venv", str(VENV)], "making the virtual environment")
    pip = [
        str(VENV / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check",
        "install", "--require-hashes", "--no-deps", "--progress-bar=off",
    ]  # fmt: skip
    say("[2/4] pinned wheels from PyPI (600 MB, one to two minutes)")
    run_logged([*pip, "--only-binary=:all:", "-r", str(LOCKS[0])], "installing pip itself")
    # EmPy alone comes as source; it is built with the pinned setuptools.
    pip += ["--no-build-isolation", "--only-binary=:all:", "--no-binary=empy"]
    run_logged([*pip, "-r", str(LOCKS[1])], "installing the wheels")
    lacking = shared_libraries.unresolved(VENV)
    if lacking:
        listed = "; ".join(f"{name} (for {', '.join(who)})" for name, who in lacking.items())
        raise SetupError(
            f"shared libraries that wheels need are missing: {listed}; "
            "install the Debian packages that hold them"
        )


def make_underlay() -> None:
    """Build the interface packages into the environment."""
    say("[3/4] interface underlay (about a minute)")
    python = str(VENV / "bin" / "python")
    run_logged([python, str(Path(underlay.__file__))], "building the interface underlay")
    run_logged([python, "-c", SMOKE_TEST], "importing the interface underlay")


def make_package() -> None:
    """Install the package itself, editable."""
    say("[4/4] ilrs_robots itself")
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--no-input", "--disable-pip-version-check"]
    run_logged(
        [*pip, "install", "--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT)],
        "installing ilrs_robots",
    )


STAGES = {"wheels": make_wheels, "underlay": make_underlay, "package": make_package}


def build() -> None:
    """Make every stage that is not complete."""
    check_machine()
    debian.ensure(("build", "run"), say)
    started = time.monotonic()
    done = read_stamps()
    wanted = wanted_stamps(venv_python_version() or own_version())
    if done.get("wheels") != wanted["wheels"] or not is_python_kept():
        done, wanted = {}, wanted_stamps(own_version())
    for stage, make in STAGES.items():
        if done.get(stage) == wanted[stage]:
            continue
        if done.pop(stage, None) is not None:
            write_stamps(done)
        make()
        done[stage] = wanted[stage]
        write_stamps(done)
    say(f"ready after {time.monotonic() - started:.0f} s")


@contextmanager
def exclusive() -> Iterator[None]:
    """Hold the set-up lock; another ``./run`` waits. The kernel frees it if this process dies."""
    with (ROOT / ".venv.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another ./run is setting up; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ensure_test_packages() -> None:
    """Install what only tests need; the tests that miss it skip, so failure is only said."""
    try:
        debian.ensure(("test",), say)
    except SetupError as error:
        say(f"tests that need it will skip: {error}")


def main() -> int:
    """Prepare what the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--test-packages", action="store_true")
    arguments = parser.parse_args()
    try:
        if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
            raise SetupError(f"Python 3.11 to 3.13 is needed, this is {platform.python_version()}")
        if not is_complete():
            with exclusive():
                if not is_complete():
                    build()
        debian.ensure(("run",), say)
        if arguments.test_packages:
            ensure_test_packages()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("setup: disk full: free some space and run again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("setup: interrupted; the next ./run finishes it", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
