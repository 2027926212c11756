"""What a process keeps in a small file, so that its next life goes on where this one ended."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from rclpy.node import Node

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.parameters import declare_one


class KeptState:
    """One JSON object, replaced whole: a reader never sees half of it.

    Args:
        path: the file, or None to keep nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of(cls, node: Node, name: str) -> KeptState:
        """The state ``name`` in the folder that the node's parameter ``state_dir`` gives.

        Raises:
            ConfigError: there is no such folder.
        """
        doc = "folder for state that survives a restart; empty: none is kept"
        folder = str(declare_one(node, "state_dir", "", doc))
        if folder and not Path(folder).is_dir():
            raise ConfigError(f"state_dir = {folder!r}: there is no such folder")
        return cls(Path(folder) / f"{name}.json" if folder else None)

    def save(self, state: dict[str, Any]) -> bool:
        """Keep a state; a disk that refuses it must not stop the robot.

        A full disk still lets a file be written over that is there already.

        Returns:
            Whether the next life will know it. Where it will not, it knows nothing old either.
        """
        if self._path is None:
            return True
        text = json.dumps(state)
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(text)
            os.replace(fresh, self._path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return self._write_over(text)
        return True

    def _write_over(self, text: str) -> bool:
        """Write into the blocks that the old file has; a half of it is no JSON and no state."""
        assert self._path is not None
        try:
            with self._path.open("r+") as file:
                file.write(text)
                file.truncate()
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        return True

    def load(self) -> dict[str, Any] | None:
        """What was kept, or None."""
        if self._path is None:
            return None
        try:
            state = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return None
        return state if isinstance(state, dict) else None
