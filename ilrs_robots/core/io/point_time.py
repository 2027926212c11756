"""Per-point time of the common lidar drivers, recognised by field name, datatype and value.

========================  ==================================================  ==================
field                     meaning                                             driver
========================  ==================================================  ==================
``t``                     uint32 nanoseconds after the header stamp           Ouster
``time``                  float32 seconds after the header stamp, or before   Velodyne
``timestamp``             float64 absolute, seconds                           Hesai, RoboSense
``timestamp``             float64 absolute, nanoseconds                       Livox
``offset_time``           uint32 nanoseconds after the header stamp           Livox
``time_stamp``            uint32 nanoseconds after the header stamp           Nebula
``time_offset``,          integer nanoseconds or float seconds after the      Aeva and others
``time_offset_ns``        header stamp
========================  ==================================================  ==================

An absolute time's unit (seconds, microseconds or nanoseconds) is the one in which it lies near
the header stamp.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.types import FloatArray, IntArray

TIME_FIELDS: Final = (
    "t", "time_offset", "time_offset_ns", "offset_time", "time", "time_stamp", "timestamp"
)  # fmt: skip
"""Looked for in this order."""
MAX_OFFSET_S: Final = 10.0
"""No scan takes longer; a time farther from the header stamp is of another clock."""

_ABSOLUTE_UNITS_S: Final = (1.0, 1e-6, 1e-9)


def time_offset_ns(name: str, raw: NDArray[Any], stamp_ns: int) -> IntArray:
    """Nanoseconds of points after the header stamp.

    Args:
        name: field name, one of ``TIME_FIELDS``.
        raw: (N,) values, N > 0, finite.
        stamp_ns: header stamp.

    Returns:
        (N,) int64.

    Raises:
        InvalidCloudError: reason ``point_time``, a time more than 10 s away from the stamp: the
            sensor's clock is not the header's.
    """
    if raw.dtype.kind != "f":
        offset = raw.astype(np.int64)
        _check(max(abs(int(offset.min())), abs(int(offset.max()))) * 1e-9)
        return offset
    seconds = raw.astype(np.float64)
    if name == "timestamp" and raw.dtype.itemsize == 8:
        seconds = _after_stamp(seconds, stamp_ns)
    if name == "time_offset_ns":
        seconds = seconds * 1e-9
    _check(float(np.abs(seconds).max()))
    return np.rint(seconds * 1e9).astype(np.int64)


def _after_stamp(values: FloatArray, stamp_ns: int) -> FloatArray:
    """Seconds after the stamp of absolute times, in the unit that brings them nearest to it."""
    whole, part = divmod(int(stamp_ns), 1_000_000_000)
    best: FloatArray | None = None
    for unit in _ABSOLUTE_UNITS_S:
        per_second = round(1.0 / unit)
        origin = float(whole * per_second)
        seconds: FloatArray = (values - origin) * unit - part * 1e-9
        if best is None or float(np.abs(seconds).max()) < float(np.abs(best).max()):
            best = seconds
    assert best is not None
    return best


def _check(largest_s: float) -> None:
    if not largest_s <= MAX_OFFSET_S:
        raise InvalidCloudError(
            "point_time",
            f"a point's time is {largest_s:.3f} s away from the header stamp, limit "
            f"{MAX_OFFSET_S:.0f} s",
        )
