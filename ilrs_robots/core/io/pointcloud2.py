"""PointCloud2 bytes to arrays without copying, to clean clouds, and back.

Any layout that a message can describe is read: any order of fields, padding between points and
rows, unaligned columns, either byte order, organised or not, integer and double columns. What a
message claims is checked against the bytes it brings before anything is read.

Reference: sensor_msgs/PointCloud2 and PointField; field names of common lidar drivers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import InvalidCloudError, MessageLayoutError
from ilrs_robots.core.io.point_time import TIME_FIELDS, time_offset_ns
from ilrs_robots.core.types import BoolArray, Cloud, Float32Array

FLOAT32: Final = 7
UINT32: Final = 6
_DATATYPES: Final = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"
}  # fmt: skip
_MOST_BYTES: Final = 2**31 - 1
"""Of a point: the largest item that numpy can describe."""
_PADDING_NAMES: Final = ("", "_")
_INTENSITY_FIELDS: Final = ("intensity", "reflectivity", "signal")


class PointField(NamedTuple):
    """One column of a point: as in ``sensor_msgs/PointField``."""

    name: str
    offset: int
    datatype: int
    count: int  # type: ignore[assignment]


@lru_cache(maxsize=64)
def _point_dtype(
    fields: tuple[PointField, ...], point_step: int, is_bigendian: bool
) -> np.dtype[np.void]:
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    order = ">" if is_bigendian else "<"
    for name, offset, datatype, count in fields:
        if name in _PADDING_NAMES:
            continue
        if datatype not in _DATATYPES:
            raise MessageLayoutError("datatype", f"field {name!r}: unknown datatype {datatype}")
        if name in names:
            raise MessageLayoutError("duplicate_field", f"field {name!r} is there twice")
        base = np.dtype(order + _DATATYPES[datatype])
        many = max(count, 1)
        if offset < 0 or offset + base.itemsize * many > point_step:
            raise MessageLayoutError(
                "point_step",
                f"field {name!r} ends at byte {offset + base.itemsize * many} of a point, "
                f"point_step is {point_step} bytes",
            )
        names.append(name)
        formats.append(base if many == 1 else (base, (many,)))
        offsets.append(offset)
    return np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": point_step}
    )


def structured_view(
    data: Any,
    height: int,
    width: int,
    fields: Sequence[PointField],
    point_step: int,
    row_step: int,
    is_bigendian: bool,
) -> NDArray[np.void]:
    """View a message's bytes as a structured array; nothing is copied.

    Args:
        data: any object with the buffer protocol (bytes, array.array, memoryview, uint8 array).
        height: rows; 1 for an unorganised cloud.
        width: points per row.
        fields: columns; nameless ones (PCL writes them as padding) are skipped, a count of 0 is
            read as 1.
        point_step: bytes from point to point.
        row_step: bytes from row to row; not looked at where there is one row.
        is_bigendian: byte order of the columns.

    Returns:
        (height, width) structured array that shares memory with ``data``.

    Raises:
        MessageLayoutError: reason ``negative_size``, ``point_step``, ``row_step``, ``truncated``,
            ``datatype`` or ``duplicate_field``.
    """
    if height < 0 or width < 0 or point_step < 0 or row_step < 0:
        raise MessageLayoutError(
            "negative_size",
            f"height {height}, width {width}, point_step {point_step}, row_step {row_step}: "
            "none may be negative",
        )
    if point_step > _MOST_BYTES:
        raise MessageLayoutError(
            "point_step", f"point_step is {point_step} bytes, more than {_MOST_BYTES} bytes"
        )
    key = tuple(PointField(*item) for item in fields)
    dtype = _point_dtype(key, point_step, bool(is_bigendian))
    if height == 0 or width == 0:
        return np.empty((height, width), dtype=dtype)
    if point_step == 0:
        raise MessageLayoutError("point_step", "point_step is 0 bytes but there are points")
    stride = row_step if height > 1 else width * point_step
    if stride < width * point_step:
        raise MessageLayoutError(
            "row_step",
            f"row_step is {row_step} bytes, {width} points of {point_step} bytes need "
            f"{width * point_step}",
        )
    have = memoryview(data).nbytes
    need = stride * (height - 1) + width * point_step
    if have < need:
        raise MessageLayoutError(
            "truncated", f"{height} x {width} points need {need} bytes, the message has {have}"
        )
    return np.ndarray((height, width), dtype=dtype, buffer=data, strides=(stride, point_step))


def decode_cloud(
    data: Any,
    height: int,
    width: int,
    fields: Sequence[PointField],
    point_step: int,
    row_step: int,
    is_bigendian: bool,
    stamp_ns: int,
    frame_id: str,
) -> Cloud:
    """Gather the finite points of a message with their intensities and times.

    A point goes, from every column alike, where x, y, z or its time is not finite. Per-point time
    is recognised as ``core/io/point_time.py`` says.

    Args:
        data: the bytes; see ``structured_view``.
        height: rows.
        width: points per row.
        fields: columns.
        point_step: bytes from point to point.
        row_step: bytes from row to row.
        is_bigendian: byte order.
        stamp_ns: header stamp.
        frame_id: header frame.

    Returns:
        A cloud of its own memory.

    Raises:
        MessageLayoutError: see ``structured_view``; also ``missing_xyz``.
        InvalidCloudError: reason ``empty``, ``all_nan`` or ``point_time`` (a time more than 10 s
            away from the header stamp: the sensor's clock is not the header's).
    """
    view = structured_view(data, height, width, fields, point_step, row_step, is_bigendian)
    names = view.dtype.names or ()
    missing = [axis for axis in ("x", "y", "z") if axis not in names]
    if missing:
        raise MessageLayoutError(
            "missing_xyz", f"no field {', '.join(missing)}; there are {', '.join(names) or 'none'}"
        )
    if view.size == 0:
        raise InvalidCloudError("empty", "the cloud has no points")
    points = view.reshape(-1) if view.flags.c_contiguous or height == 1 else view
    xyz = _gather_xyz(points)
    raw_time = _column(points, TIME_FIELDS)
    keep = _finite_rows(xyz, None if raw_time is None else raw_time[1])
    intensity = _column(points, _INTENSITY_FIELDS)
    value = None if intensity is None else intensity[1].astype(np.float32, copy=False)
    if keep is not None:
        if not keep.any():
            raise InvalidCloudError("all_nan", f"none of {xyz.shape[0]} points is finite")
        rows = np.flatnonzero(keep)
        xyz = xyz.take(rows, axis=0)
        value = None if value is None else value.take(rows)
        raw_time = None if raw_time is None else (raw_time[0], raw_time[1].take(rows))
    offset = None if raw_time is None else time_offset_ns(*raw_time, stamp_ns)
    return Cloud(int(stamp_ns), frame_id, xyz, offset, value)


def _gather_xyz(points: NDArray[np.void]) -> Float32Array:
    """(N, 3) float32 copy; one strided copy where x, y, z are neighbours of one float type."""
    dtypes = points.dtype.fields
    assert dtypes is not None
    kinds = [dtypes[axis] for axis in "xyz"]
    first, start = kinds[0][0], kinds[0][1]
    if first.kind == "f" and all(
        kind == first and offset == start + k * first.itemsize
        for k, (kind, offset) in enumerate((entry[0], entry[1]) for entry in kinds)
    ):
        triple = np.dtype(
            {
                "names": ["p"],
                "formats": [(first, (3,))],
                "offsets": [start],
                "itemsize": points.dtype.itemsize,
            }
        )
        return _flat(points.view(triple)["p"], 3)
    xyz = np.empty((points.size, 3), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for k, axis in enumerate("xyz"):
            column = points[axis]
            if column.ndim > points.ndim:
                raise MessageLayoutError("missing_xyz", f"field {axis} holds several numbers")
            xyz[:, k] = column.reshape(-1)
    return xyz


def _flat(values: NDArray[Any], columns: int) -> Float32Array:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32, order="C").reshape(-1, columns)


def _column(points: NDArray[np.void], names: Sequence[str]) -> tuple[str, NDArray[Any]] | None:
    """Name and native, flat copy of the first of the columns that is there and scalar."""
    for name in names:
        if name in (points.dtype.names or ()):
            column = points[name]
            if column.ndim == points.ndim:
                native = column.dtype.newbyteorder("=")
                return name, column.astype(native, order="C").reshape(-1)
    return None


def _finite_rows(xyz: Float32Array, time: NDArray[Any] | None) -> BoolArray | None:
    """Which points to keep, or None for all."""
    finite = np.isfinite(xyz)
    timed = np.isfinite(time) if time is not None and time.dtype.kind == "f" else None
    if finite.all() and (timed is None or timed.all()):
        return None
    keep: BoolArray = finite[:, 0] & finite[:, 1] & finite[:, 2]
    return keep if timed is None else keep & timed


def encode_cloud(cloud: Cloud) -> tuple[tuple[PointField, ...], int, array[int]]:
    """Lay a cloud out for a message: x, y, z, then intensity and ``t`` where the cloud has them.

    Returns:
        fields, point_step, and the bytes as an ``array.array('B')``, little-endian. A message's
        ``data`` takes such an array at once; ``bytes`` are copied element by element.

    Raises:
        InvalidCloudError: ``shape``, or ``point_time`` where a time does not fit uint32.
    """
    xyz = np.asarray(cloud.xyz_m)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise InvalidCloudError("shape", f"points have shape (N, 3), got {xyz.shape}")
    names = ["x", "y", "z"]
    names += ["intensity"] if cloud.intensity is not None else []
    fields = [PointField(name, 4 * k, FLOAT32, 1) for k, name in enumerate(names)]
    if cloud.time_offset_ns is not None:
        fields.append(PointField("t", 4 * len(fields), UINT32, 1))
    point_step = 4 * len(fields)
    data = array("B", (0,)) * (point_step * xyz.shape[0])
    if xyz.shape[0] == 0:
        return tuple(fields), point_step, data
    columns = np.frombuffer(data, dtype="<f4").reshape(-1, len(fields))
    columns[:, :3] = xyz
    if cloud.intensity is not None:
        columns[:, 3] = cloud.intensity
    if cloud.time_offset_ns is not None:
        offsets = np.asarray(cloud.time_offset_ns)
        if int(offsets.min()) < 0 or int(offsets.max()) > 0xFFFF_FFFF:
            raise InvalidCloudError(
                "point_time",
                f"times from {int(offsets.min())} to {int(offsets.max())} ns do not fit uint32",
            )
        np.frombuffer(data, dtype="<u4").reshape(-1, len(fields))[:, -1] = offsets
    return tuple(fields), point_step, data
