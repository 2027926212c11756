"""What ``ilrs doctor`` looks at besides DDS; each function yields findings and changes nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import psutil

from ilrs_robots.cli.kernels import GROUPS
from ilrs_robots.cli.shared_memory import FOLDER, choose_transport
from ilrs_robots.core.paths import share_dir
from ilrs_robots.robots import computer
from ilrs_robots.robots.assembly import PROFILE_KEYS
from ilrs_robots.robots.findings import BAD, GOOD, NOTE, Finding
from ilrs_robots.robots.gazebo.terrain import cache_dir

PARTICIPANTS: Final = 5
"""Processes of a usual run: simulator, a vehicle, its gate, the recorder, ``ilrs`` itself."""
SUPPORTED: Final = ((3, 11), (3, 13))
LIBRARIES: Final = (
    "numpy", "scipy", "numba", "cv2", "open3d", "small_gicp", "clarabel", "rasterio",
    "transforms3d", "mujoco", "matplotlib", "rclpy",
)  # fmt: skip
UNDERLAY: Final = {
    "tf2_msgs": "msg/TFMessage",
    "nav2_msgs": "action/NavigateToPose",
    "grid_map_msgs": "msg/GridMap",
}
WARMED: Final = tuple(name for group in GROUPS for name in group)
_GIB: Final = 2**30
_SETUP: Final = "./run setup (./run clean first, if that does not help)"
_IMPORT_TIMEOUT_S: Final = 120.0
_KERNEL_TIMEOUT_S: Final = 600.0
_OLD_CACHE_BYTES: Final = 5 * _GIB


def python() -> Iterator[Finding]:
    """The interpreter's version."""
    found = sys.version_info[:2]
    what = f"Python {sys.version.split()[0]} at {sys.executable}"
    if SUPPORTED[0] <= found <= SUPPORTED[1] or "ROS_DISTRO" in os.environ:
        yield Finding("python", GOOD, what)
    else:
        low, high = (".".join(map(str, v)) for v in SUPPORTED)
        remedy = f"name a Python {low} to {high} in ILRS_PYTHON, then ./run clean setup"
        yield Finding("python", BAD, what, remedy)


def locked_versions(lock: Path | None = None) -> Iterator[Finding]:
    """Are the installed packages those of the lock?

    Args:
        lock: the file; the checkout's by default.
    """
    path = lock or share_dir() / "requirements" / "lock.txt"
    if not path.is_file():
        yield Finding("wheels", GOOD, "no lock here: an installed package, not a checkout")
        return
    wrong = list(_wrong_versions(path.read_text(encoding="utf-8")))
    if wrong:
        shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        yield Finding("wheels", BAD, f"not as locked: {shown}", _SETUP)
    else:
        yield Finding("wheels", GOOD, "every package has its locked version")


def _wrong_versions(text: str) -> Iterator[str]:
    from packaging.markers import Marker
    from packaging.version import Version

    for name, version, marker in re.findall(
        r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ; ([^\\\n]+))?", text, re.MULTILINE
    ):
        if marker and not Marker(marker.strip()).evaluate():
            continue
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} (missing)"
            continue
        if Version(found) != Version(version):
            yield f"{name} {found} instead of {version}"


def environment(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Variables that mix two ROS installations, or name what is not there."""
    distro = variables.get("ROS_DISTRO", "")
    wheels = any(importlib.metadata.distributions(name="ros-jazzy-rclpy"))
    if distro and wheels and "/opt/ros" in variables.get("PYTHONPATH", ""):
        yield Finding(
            "environment", BAD, f"ROS from wheels, and {distro} is sourced over it",
            "use ./run, which leaves it out, or a terminal in which nothing is sourced",
        )  # fmt: skip
    rmw = variables.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if rmw != "rmw_fastrtps_cpp":
        yield Finding(
            "environment", NOTE, f"RMW_IMPLEMENTATION={rmw}: the shipped profiles are not its",
            "unset RMW_IMPLEMENTATION, or configure that middleware for clouds of some MB",
        )  # fmt: skip
    else:
        source = "from wheels" if wheels else f"of {distro or 'an unknown distribution'}"
        yield Finding("environment", GOOD, f"ROS 2 {source}, {rmw}")


def underlay() -> Iterator[Finding]:
    """The interface packages: are they there, and are they those of the distribution?"""
    from rosbags.typesys import Stores, get_typestore

    missing = [name for name in UNDERLAY if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "interfaces", BAD, f"missing: {', '.join(missing)}",
            f"{_SETUP}; on a ROS machine: rosdep install",
        )  # fmt: skip
        return
    hashes, store = _type_hashes(), get_typestore(Stores.ROS2_JAZZY)
    for name in sorted(hashes.keys() & store.types.keys()):
        if name.partition("/")[0] in UNDERLAY and hashes[name] != store.hash_rihs01(name):
            yield Finding(
                "interfaces", BAD, f"{name} is not the distribution's: others do not hear us",
                _SETUP,
            )  # fmt: skip
            return
    yield Finding("interfaces", GOOD, f"{', '.join(UNDERLAY)} with {len(hashes)} type hashes")


def _type_hashes() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in UNDERLAY:
        for prefix in (*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix):
            for path in (Path(prefix) / "share" / package).glob("*/*.json") if prefix else ():
                for entry in json.loads(path.read_text(encoding="utf-8")).get("type_hashes", ()):
                    found.setdefault(entry["type_name"], entry["hash_string"])
    return found


def transport(variables: Mapping[str, str]) -> Iterator[Finding]:
    """The profile that DDS is told to use, and the kernel's buffers behind it."""
    for path in {variables[key] for key in PROFILE_KEYS if variables.get(key)}:
        try:
            ElementTree.parse(path)
        except (OSError, ElementTree.ParseError) as error:
            remedy = "unset it (ilrs sets its own), or write one with ilrs deploy profile"
            yield Finding("DDS profile", BAD, f"{path}: {error}", remedy)
            break
    else:
        what = next(
            (variables[k] for k in PROFILE_KEYS if variables.get(k)),
            "none named: ilrs sets its own",
        )
        yield Finding("DDS profile", GOOD, what)
    buffers = Path("/proc/sys/net/core/rmem_max")
    size = int(buffers.read_text()) if buffers.is_file() else 0
    if size >= 2**21:
        yield Finding("socket buffers", GOOD, f"up to {size // 1024} KiB")
    elif size:
        yield Finding(
            "socket buffers", NOTE,
            f"net.core.rmem_max is {size // 1024} KiB: clouds over a network lose fragments",
            "sysctl -w net.core.rmem_max=8388608 (deploy/sysctl); no matter on one machine",
        )  # fmt: skip


def shared_memory(shm: Path = FOLDER, participants: int = PARTICIPANTS) -> Iterator[Finding]:
    """Room for the segments of a usual run."""
    with tempfile.TemporaryDirectory() as folder:
        remark = choose_transport(participants, Path(folder), shm).remark
    if not remark:
        free = shutil.disk_usage(shm).free
        yield Finding(
            "/dev/shm", GOOD, f"{free / 2**20:.0f} MiB free for {participants} processes"
        )
        return
    what, _, remedy = remark.partition(" Mend with: ")
    yield Finding("/dev/shm", NOTE, what, remedy)


def disk() -> Iterator[Finding]:
    """Room where runs, logs and caches go."""
    for name, folder in (("here", Path.cwd()), ("home", Path.home())):
        there = next(p for p in (folder, *folder.parents) if p.exists())
        free = shutil.disk_usage(there).free
        what = f"{free / _GIB:.1f} GiB free in {there}"
        if free >= 2 * _GIB:
            yield Finding(f"disk ({name})", GOOD, what)
        else:
            level = BAD if free < _GIB // 4 else NOTE
            yield Finding(f"disk ({name})", level, what, "remove old runs/, bags and ROS logs")


def memory() -> Iterator[Finding]:
    """Memory and cores."""
    free, cores = psutil.virtual_memory().available, len(os.sched_getaffinity(0))
    what = f"{free / _GIB:.1f} GiB free, {cores} cores"
    if free >= 2 * _GIB and cores >= 2:
        yield Finding("memory", GOOD, what)
    else:
        remedy = "a run with simulator wants 2 GiB and two cores; end other programs"
        yield Finding("memory", NOTE, what, remedy)


def terrain_cache(folder: Path | None = None) -> Iterator[Finding]:
    """What baked terrain takes, and whether it can be written at all."""
    folder = folder or cache_dir()
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if not os.access(there, os.W_OK):
        remedy = "chown it, or set XDG_CACHE_HOME to a folder of yours"
        yield Finding("terrain cache", BAD, f"{there} cannot be written", remedy)
        return
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    what = f"{size / 2**20:.0f} MiB in {folder}"
    if size > _OLD_CACHE_BYTES:
        yield Finding("terrain cache", NOTE, what, f"rm -r {folder}: what is needed is made again")
    else:
        yield Finding("terrain cache", GOOD, what)


def kernel_cache() -> Iterator[Finding]:
    """Where compiled kernels are kept: without it every start compiles for a minute."""
    from ilrs_robots.core.energy import drive

    named = os.environ.get("NUMBA_CACHE_DIR", "")
    folder = Path(named) if named else Path(drive.__file__).parent / "__pycache__"
    there = next(p for p in (folder, *folder.parents) if p.exists())
    if os.access(there, os.W_OK):
        yield Finding("kernel cache", GOOD, f"{folder} can be written")
    else:
        remedy = "set NUMBA_CACHE_DIR to a folder that this user can write"
        yield Finding("kernel cache", BAD, f"{there} cannot be written", remedy)


def system_clock() -> Iterator[Finding]:
    """Does somebody keep the clock? Only a vehicle's computer needs it."""
    if computer.clock_synchronised() is False:
        yield Finding(
            "system clock", NOTE, "nobody keeps it",
            "on a vehicle: install chrony with deploy/chrony; in a simulation it does not matter",
        )  # fmt: skip
    else:
        yield Finding("system clock", GOOD, "kept, or the kernel does not say")


def imports() -> Iterator[Finding]:
    """Load every compiled library in a process of its own: one that crashes is a finding too."""
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is None:
            optional = name in ("mujoco", "matplotlib")
            remedy = f"{_SETUP}; on a ROS machine constraints-ros-jazzy.txt"
            yield Finding(f"library {name}", NOTE if optional else BAD, "not installed", remedy)
    present = [name for name in LIBRARIES if importlib.util.find_spec(name) is not None]
    code = (
        "import importlib, sys\n"
        "for n in sys.argv[1:]: print(n, flush=True); importlib.import_module(n)\n"
    )
    done = _child(["-c", code, *present], _IMPORT_TIMEOUT_S)
    if done is not None and done.returncode == 0:
        yield Finding("libraries", GOOD, f"{len(present)} load")
        return
    if done is None:
        yield Finding("libraries", BAD, "do not load within two minutes", "is the disk broken?")
        return
    at = (done.stdout.split() or ["?"])[-1]
    how = f"signal {-done.returncode}" if done.returncode < 0 else _last(done.stderr)
    yield Finding(f"library {at}", BAD, f"does not load: {how}", f"{_SETUP}; ldd names what lacks")


def kernels() -> Iterator[Finding]:
    """Load every compiled kernel, and compile those that are not in the cache."""
    code = (
        "import sys, time; from ilrs_robots.core import warm\n"
        "for n in sys.argv[1:]: getattr(warm, n)()\n"
    )
    begin_s = time.monotonic()
    done = _child(["-c", code, *WARMED], _KERNEL_TIMEOUT_S)
    took_s = time.monotonic() - begin_s
    if done is None or done.returncode != 0:
        how = "took more than ten minutes" if done is None else _last(done.stderr)
        remedy = "remove the kernel cache (see above) and run ilrs doctor again"
        yield Finding("kernels", BAD, f"do not compile: {how}", remedy)
    else:
        yield Finding("kernels", GOOD, f"{', '.join(WARMED)} ready after {took_s:.0f} s")


def _child(arguments: list[str], timeout_s: float) -> subprocess.CompletedProcess[str] | None:
    """A Python of this environment; None when it took too long."""
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return None


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["without a word"])[-1]
