"""Files that appear whole or not at all, whatever the disk does."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ilrs_robots.core.errors import StorageError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MB: Final = 1e6


def put(part: Path, content: bytes | memoryview) -> None:
    """Write bytes and wait until they are on the disk."""
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, write: Callable[[Path], None], size_bytes: int) -> None:
    """Write beside the file, then take its place.

    Args:
        path: the file.
        write: writes what it is given the path of; must sync it.
        size_bytes: about what the file needs, for the message.

    Raises:
        StorageError: it cannot be written; what was there is as it was, and nothing is left of
            the new one. On a full disk with what it needs and what is free.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)  # before the free space is looked at
        raise StorageError(
            f"{path.name}: cannot be written ({_why(error, path, size_bytes)})"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _why(error: OSError, path: Path, size_bytes: int) -> str:
    if error.errno not in _FULL:
        return str(error.strerror)
    free_bytes, folder = shutil.disk_usage(path.parent).free, str(path.parent)
    return (
        f"{error.strerror}: it needs {size_bytes / _MB:.2f} MB, "
        f"{free_bytes / _MB:.2f} MB are free in {folder!r}"
    )
