"""The computer that a vehicle's nodes run on: versions, clock, disk, load, as plain values.

A vehicle tells these once a second, so that ``ilrs deploy check`` needs no login to judge it.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Final

import psutil

import ilrs_robots

_MB: Final = 1e6
_STA_UNSYNC: Final = 0x40
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES: Final = 512
"""More than any kernel's struct timex."""
_STATUS_AT: Final = 40
"""Offset of ``status`` in struct timex where a long has 64 bits."""


def clock_synchronised() -> bool | None:
    """Whether somebody (chrony, ntpd, ptp4l) keeps the system clock; None where nobody can say.

    Reference: adjtimex(2), ``STA_UNSYNC``.
    """
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None or adjtimex(buffer) < 0:
        return None
    status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], sys.byteorder)
    return not status & _STA_UNSYNC


def versions() -> dict[str, str]:
    """Of this package, Python, the ROS distribution (where one is named) and the machine."""
    return {
        "version": ilrs_robots.__version__,
        "python": platform.python_version(),
        "ros_distro": os.environ.get("ROS_DISTRO", ""),
        "machine": platform.machine(),
    }


def values(disk_of: Path) -> dict[str, object]:
    """Everything that changes while a vehicle runs, and its versions.

    Args:
        disk_of: a folder on the disk that counts; its free space is NaN while nobody can tell.
    """
    synchronised = clock_synchronised()
    try:
        free_mb = shutil.disk_usage(disk_of).free / _MB
    except OSError:  # the disk is gone, or its folder
        free_mb = float("nan")
    return {
        **versions(),
        "wall_time_s": time.time(),
        "clock_synchronised": "unknown" if synchronised is None else str(synchronised).lower(),
        "disk_free_mb": free_mb,
        "memory_available_mb": psutil.virtual_memory().available / _MB,
        "load_1min": os.getloadavg()[0],
        "cores": os.cpu_count() or 0,
    }
