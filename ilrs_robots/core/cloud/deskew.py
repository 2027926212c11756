"""Undo the motion of the sensor during a scan."""

from __future__ import annotations

import numpy as np
from numba import njit

from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import Cloud, Float32Array, FloatArray, IntArray


def deskew(
    cloud: Cloud,
    knot_stamps_ns: IntArray,
    positions_m: FloatArray,
    quats_wxyz: FloatArray,
    reference_ns: int,
) -> Float32Array:
    """Give the points of a scan as if all had been measured at one time.

    Between knots the sensor moves on a straight line and turns as the shortest arc, to first
    order in the angle between two knots (0.1 mm at 50 m for 0.1 deg between them).

    Args:
        cloud: scan in the sensor's frame with per-point time.
        knot_stamps_ns: (K,) int64, strictly increasing, covering the scan and ``reference_ns``.
        positions_m: (K, 3) float64 sensor positions in odom.
        quats_wxyz: (K, 4) float64 sensor attitudes in odom.
        reference_ns: time whose sensor frame the result is in.

    Returns:
        (N, 3) float32, metres, sensor frame at ``reference_ns``.

    Raises:
        InvalidCloudError: the scan has no per-point time (``no_point_time``), or points lie
            outside the knots (``outside_knots``).
    """
    if cloud.time_offset_ns is None:
        raise InvalidCloudError("no_point_time", "the scan has no per-point time")
    if cloud.xyz_m.shape[0] == 0:
        return cloud.xyz_m.copy()
    stamps = np.asarray(knot_stamps_ns, dtype=np.int64)
    offsets = np.ascontiguousarray(cloud.time_offset_ns, dtype=np.int64)
    first, last = int(offsets.min()) + cloud.stamp_ns, int(offsets.max()) + cloud.stamp_ns
    if min(first, reference_ns) < stamps[0] or max(last, reference_ns) > stamps[-1]:
        raise InvalidCloudError(
            "outside_knots",
            f"points from {first * 1e-9:.4f} s to {last * 1e-9:.4f} s and the reference "
            f"{reference_ns * 1e-9:.4f} s must lie within the poses, "
            f"{stamps[0] * 1e-9:.4f} s to {stamps[-1] * 1e-9:.4f} s",
        )
    reference = se3.interpolate_poses(
        stamps, positions_m, quats_wxyz, np.array([reference_ns], dtype=np.int64)
    )
    T_ref_odom = se3.invert(se3.make_transform(reference[0][0], reference[1][0]))
    knots = np.empty((stamps.size, 3, 4))
    for k in range(stamps.size):
        knots[k] = (T_ref_odom @ se3.make_transform(positions_m[k], quats_wxyz[k]))[:3]
    xyz = np.ascontiguousarray(cloud.xyz_m, dtype=np.float32)
    return _deskew(xyz, offsets, stamps - cloud.stamp_ns, knots)


@njit(cache=True)
def _deskew(
    xyz: Float32Array, offsets: IntArray, knot_offsets: IntArray, knots: FloatArray
) -> Float32Array:  # pragma: no cover - compiled
    out = np.empty_like(xyz)
    last = knot_offsets.size - 2
    k = 0
    for i in range(xyz.shape[0]):
        t = offsets[i]
        while k < last and t > knot_offsets[k + 1]:
            k += 1
        while k > 0 and t < knot_offsets[k]:
            k -= 1
        u = (t - knot_offsets[k]) / (knot_offsets[k + 1] - knot_offsets[k])
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        for row in range(3):
            a = knots[k, row]
            b = knots[k + 1, row]
            before = a[0] * x + a[1] * y + a[2] * z + a[3]
            after = b[0] * x + b[1] * y + b[2] * z + b[3]
            out[i, row] = before + u * (after - before)
    return out


def warm_up() -> None:
    """Compile the kernel."""
    _deskew(
        np.zeros((1, 3), np.float32),
        np.zeros(1, np.int64),
        np.array([0, 1], np.int64),
        np.zeros((2, 3, 4)),
    )
