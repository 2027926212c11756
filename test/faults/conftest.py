"""Fixtures of the node and launch tests, here as well, and a disk that can be filled."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from borrow import borrowed

graph = borrowed("node/conftest.py").graph
start = borrowed("launch/conftest.py").start
truth = borrowed("launch/test_supervision.py").truth

ROOM_BYTES = 48 << 20


class SmallDisk:
    """A file system of its own, forty-eight mebibytes large."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not one byte."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    size = f"size={ROOM_BYTES}"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode or os.statvfs(folder).f_blocks * os.statvfs(folder).f_bsize != ROOM_BYTES:
        pytest.skip(f"a file system of its own cannot be mounted: {made.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
