"""Check the Debian packages that ``debian-packages.txt`` lists, and install what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from failure import SetupError
from shared_libraries import Loader

LIST = Path(__file__).with_name("debian-packages.txt")


@dataclass(frozen=True)
class Need:
    """One line of the list."""

    section: str
    packages: tuple[str, ...]
    probe: str
    reason: str

    @property
    def kind(self) -> str:
        """Return what sort of thing the probe looks for."""
        return self.probe.partition(":")[0]

    @property
    def subjects(self) -> list[str]:
        """Return the names of what the probe looks for; one of them is enough."""
        return self.probe.partition(":")[2].split("|")


def read_needs(path: Path = LIST) -> list[Need]:
    """Read the list; raise ``ValueError`` on a line that is not of its form."""
    needs, section = [], ""
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = line.strip("[]")
            continue
        fields = line.split(None, 2)
        if len(fields) != 3 or ":" not in fields[1] or not section:
            raise ValueError(f"{path.name}:{number}: want 'package probe reason', got {line!r}")
        needs.append(Need(section, tuple(fields[0].split("|")), fields[1], fields[2]))
    return needs


def missing(sections: Iterable[str]) -> list[Need]:
    """Return the needs of these sections that this machine does not meet."""
    wanted = set(sections)
    loader = Loader()
    include = Path(sysconfig.get_path("include"))
    probes: dict[str, Callable[[str], bool]] = {
        "command": lambda name: shutil.which(name) is not None,
        "module": lambda name: importlib.util.find_spec(name) is not None,
        "header": lambda name: (include / name).is_file(),
        "library": loader.finds,
    }
    return [
        need
        for need in read_needs()
        if need.section in wanted and not any(map(probes[need.kind], need.subjects))
    ]


def ensure(sections: Iterable[str], say: Callable[[str], None]) -> None:
    """Install what these sections miss if this is root, else raise with the line that does."""
    sections = tuple(sections)
    lacking = missing(sections)
    if not lacking:
        return
    if shutil.which("apt-get") is None:
        listed = ", ".join(f"{n.subjects[0]} (Debian: {n.packages[0]})" for n in lacking)
        raise SetupError(f"this machine lacks {listed}: install them with its package manager")
    if os.geteuid() != 0:
        raise SetupError(
            f"missing Debian packages. Mend with:  sudo apt-get install -y {_names(lacking)}"
        )
    _apt("update", "-q")
    names = _names(lacking)
    say(f"installing Debian packages: {names}")
    _apt("install", "-y", "-q", "--no-install-recommends", *names.split())
    lacking = missing(sections)
    if lacking:
        listed = ", ".join(f"{n.subjects[0]} ({'|'.join(n.packages)})" for n in lacking)
        raise SetupError(f"apt-get installed the packages, but still missing: {listed}")


def _names(needs: list[Need]) -> str:
    return " ".join(dict.fromkeys(_available(need.packages) for need in needs))


def _available(alternatives: tuple[str, ...]) -> str:
    if len(alternatives) > 1:
        for name in alternatives:
            shown = subprocess.run(["apt-cache", "show", name], capture_output=True, text=True)
            if shown.returncode == 0 and shown.stdout.strip():
                return name
    return alternatives[0]


def _apt(*arguments: str) -> None:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=env, capture_output=True, text=True)
    if done.returncode == 0:
        return
    output = (done.stdout + done.stderr).strip()
    line = f"apt-get {' '.join(arguments)}"
    if "No space left" in output:
        raise SetupError(f"disk full while running '{line}': free some space and run again")
    last = output.splitlines()[-1] if output else "no output"
    raise SetupError(f"'{line}' failed: {last}")
