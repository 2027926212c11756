"""/dev/shm and Fast DDS: is there room for the segments, and what did the dead leave there.

Each participant has a segment ``fastrtps_<16 hex digits>`` and reads from ports
``fastrtps_port<number>``. Beside each stands a lock file ``..._el`` (one owner) or ``..._sl``
(several) on which its owner holds a kernel lock for as long as it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.dead_ports import FIRST_PORT, PORTS_PER_DOMAIN
from ilrs_robots.nodes.dead_ports import SHARED_MEMORY as FOLDER
from ilrs_robots.robots.assembly import dds_profile

OVERHEAD_BYTES: Final = 5 * 2**20
"""What a participant takes besides its segment's size: the allocator's nodes and the ports."""
SMALLEST_BYTES: Final = 4 * 2**20
"""A segment smaller than this does not hold several scans; then all goes through UDP."""
_NAME = re.compile(r"fastrtps_(?:[0-9a-f]{16}|port\d+)(?=_|$)")
_DDS = "{http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles}"


@dataclass(frozen=True)
class Transport:
    """Which profile to use, and a line to say when it is not the shipped one.

    Attributes:
        profile: file for FASTRTPS_DEFAULT_PROFILES_FILE.
        remark: empty, or what is wrong and what to do about it.
    """

    profile: Path
    remark: str = ""


def choose_transport(participants: int, folder: Path, shm: Path = FOLDER) -> Transport:
    """The shipped profile where /dev/shm has room for it, otherwise one that fits.

    Args:
        participants: processes that take part.
        folder: where a profile that fits may be written.
        shm: where shared memory lives.

    Raises:
        ConfigError: the shipped profile cannot be read.
    """
    shipped = dds_profile()
    tree, size = _read(shipped)
    free = shutil.disk_usage(shm).free if os.access(shm, os.W_OK) else 0
    need = participants * (size + OVERHEAD_BYTES)
    if free >= need:
        return Transport(shipped)
    fits = free // participants - OVERHEAD_BYTES
    if fits >= SMALLEST_BYTES:
        _segment_size(tree, shipped).text = str(fits)
        instead = f"segments of {fits / 2**20:.0f} MiB instead of {size / 2**20:.0f} MiB are used"
    else:
        _leave_out_shared_memory(tree)
        instead = "UDP on loopback is used instead, and many scans are lost"
    profile = folder / "fastdds.xml"
    tree.write(profile, xml_declaration=True, encoding="unicode")
    return Transport(
        profile,
        f"{shm} has {free / 2**20:.0f} MiB free, {participants} processes need "
        f"{need / 2**20:.0f} MiB: {instead}. Mend with: docker run --shm-size=1g, or "
        f"mount -o remount,size=1g {shm}",
    )


def used_by(pid: int) -> set[str]:
    """Names of the Fast DDS segments and ports that a process has open or mapped."""
    found: set[str] = set()
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{pid}/maps").read_text(errors="replace")
        lines = [line for line in maps.splitlines() if f"{FOLDER}/fastrtps_" in line]
        found |= {match[0] for line in lines if (match := _NAME.search(line))}
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if match := _NAME.search(os.readlink(entry.path)):
                    found.add(match[0])
    return found


def ports_of(domain: int, shm: Path = FOLDER) -> set[str]:
    """Names of the ports of a domain; without its holder's processes they are nobody's."""
    first = FIRST_PORT + PORTS_PER_DOMAIN * domain
    names = {
        match[0] for path in shm.glob("*fastrtps_port*") if (match := _NAME.search(path.name))
    }
    numbers = range(first, first + PORTS_PER_DOMAIN)
    return names & {f"fastrtps_port{number}" for number in numbers}


def remove_dead(names: Iterable[str], shm: Path = FOLDER) -> list[str]:
    """Remove those of the named segments and ports whose lock nobody holds; give their names."""
    removed = []
    for name in sorted(names):
        locks = [path for end in ("_el", "_sl") if (path := shm / f"{name}{end}").exists()]
        if any(_held(lock) for lock in locks):
            continue
        for path in (shm / name, *locks, shm / f"sem.{name}_mutex"):
            with contextlib.suppress(OSError):
                path.unlink()
                removed.append(path.name)
    return removed


def _held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _read(profile: Path) -> tuple[ElementTree.ElementTree[ElementTree.Element], int]:
    ElementTree.register_namespace("", _DDS[1:-1])
    try:
        tree = ElementTree.parse(profile)
        return tree, int(str(_segment_size(tree, profile).text))
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise ConfigError(f"{profile}: no Fast DDS profile ({error})") from error


def _segment_size(
    tree: ElementTree.ElementTree[ElementTree.Element], profile: Path
) -> ElementTree.Element:
    found = tree.find(f".//{_DDS}segment_size")
    if found is None:
        raise ConfigError(f"{profile}: no segment_size")
    return found


def _leave_out_shared_memory(tree: ElementTree.ElementTree[ElementTree.Element]) -> None:
    unused = None
    for transport in tree.findall(f".//{_DDS}transport_descriptors"):
        for descriptor in transport.findall(f"{_DDS}transport_descriptor"):
            if descriptor.findtext(f"{_DDS}type") == "SHM":
                transport.remove(descriptor)
                unused = descriptor.findtext(f"{_DDS}transport_id")
    for used in tree.findall(f".//{_DDS}userTransports"):
        for transport in used.findall(f"{_DDS}transport_id"):
            if transport.text == unused:
                used.remove(transport)
