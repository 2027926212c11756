"""What a bag says of the run that it holds: software, configuration, site, seed, mission time."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ilrs_robots import __version__
from ilrs_robots.core.config import load_yaml
from ilrs_robots.core.paths import config_file

VERSION_KEY: Final = "ilrs_version"
REVISION_KEY: Final = "ilrs_revision"
RECORDED_KEY: Final = "ilrs_recorded_utc"
SITE_KEY: Final = "ilrs_site"
SITE_FILE_KEY: Final = "ilrs_site_file"
SEED_KEY: Final = "ilrs_seed"
EPOCH_KEY: Final = "ilrs_epoch_utc"
ROBOT_FILE_KEY: Final = "ilrs_robot_file/"
"""Followed by the model's name; the value is the text of its file."""
_GIT_S: Final = 5.0


def about_run(site: str = "", seed: int | None = None) -> dict[str, str]:
    """Key-value pairs for the metadata of a bag.

    Args:
        site: name or path of the site file; empty when the run has none.
        seed: of terrain and sensors; the site's own by default.

    Raises:
        ConfigError: the site's file is wrong.
    """
    about = {
        VERSION_KEY: __version__,
        REVISION_KEY: revision(),
        RECORDED_KEY: datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if not site:
        return about
    # Read as text: the types of a site bring terrain and its libraries into the recorder.
    path = config_file("sites", site)
    loaded = load_yaml(path)
    terrain, robots = loaded.get("terrain") or {}, loaded.get("robots") or []
    about |= {
        SITE_KEY: str(loaded.get("name", "")),
        SITE_FILE_KEY: path.read_text(encoding="utf-8"),
        SEED_KEY: str(terrain.get("seed", "") if seed is None else seed),
        EPOCH_KEY: str(loaded.get("epoch_utc", "")),
    }
    for model in sorted({str(robot["model"]) for robot in robots}):
        text = config_file("robots", model).read_text(encoding="utf-8")
        about[ROBOT_FILE_KEY + model] = text
    return about


def revision() -> str:
    """The checkout's git revision, with ``+`` when it has been changed; empty outside of one."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    head = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return head + "+" if head and changed else head


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
