"""Where the package's shared files are: the source checkout or the installed share folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ilrs_robots.core.errors import ConfigError

PACKAGE = "ilrs_robots"


def share_dir() -> Path:
    """The folder that holds ``config/``, ``launch/``, ``urdf/`` and ``worlds/``.

    A source checkout wins over an installed copy; installed copies are looked for in the
    prefixes of AMENT_PREFIX_PATH, then in the interpreter's.

    Raises:
        ConfigError: no candidate holds ``config/``.
    """
    checkout = Path(__file__).resolve().parents[2]
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    prefixes.append(Path(sys.prefix))
    candidates = [checkout, *(prefix / "share" / PACKAGE for prefix in prefixes)]
    for candidate in candidates:
        if (candidate / "config" / "robots").is_dir():
            return candidate
    looked = ", ".join(str(c) for c in candidates)
    raise ConfigError(f"the package's config folder was not found (looked in {looked})")


def config_file(kind: str, name: str) -> Path:
    """Path of ``config/<kind>/<name>.yaml``, or ``name`` itself when it is a YAML file's path.

    Args:
        kind: ``robots``, ``sites`` or ``missions``.
        name: a name from that folder, or a path that ends in ``.yaml``.

    Raises:
        ConfigError: there is none; the message lists what there is.
    """
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(f"{path}: no such file")
        return path
    folder = share_dir() / "config" / kind
    known = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(f"unknown {kind[:-1]} {name!r}; known: {', '.join(known) or 'none'}")
    return folder / f"{name}.yaml"


def shown(path: Path) -> str:
    """A file's name for messages: within the share folder from there on, elsewhere as given."""
    try:
        return str(path.resolve().relative_to(share_dir().resolve()))
    except ValueError:
        return str(path)


def beside(file: Path, named: str) -> Path:
    """The file that another file names: beside that file, or at an explicit absolute path.

    A file that was handed on must not reach, by ``..``, for what lies around the folder it is
    put in; whoever writes an absolute path (``~`` included) knows the machine and means it. What
    symbolic links inside the folder point at is their owner's choice and is followed.

    Args:
        file: the file that names the other.
        named: relative to the folder of ``file``, or absolute.

    Raises:
        ConfigError: a relative path that leaves the folder.
    """
    path = Path(named).expanduser()
    if path.is_absolute():
        return path
    inside = os.path.normpath(path)
    if inside == os.pardir or inside.startswith(os.pardir + os.sep):
        raise ConfigError(
            f"{named!r} leaves the folder of {file.name}: it must lie in it, or the path must be "
            "absolute"
        )
    return file.parent / inside
