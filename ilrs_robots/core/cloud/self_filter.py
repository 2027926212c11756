"""Leave out of a scan what the sensor sees of its own vehicle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray


@dataclass(frozen=True)
class OwnBox:
    """An upright box of the vehicle in base_link.

    Attributes:
        low_m: lowest x, y, z, metres.
        high_m: highest x, y, z, metres.
    """

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.low_m, self.high_m, strict=True):
            if not low < high:
                raise ConfigError(f"own box: low {axis} = {low} m must be below high = {high} m")


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(
    xyz: Float32Array,
    T_base_sensor: FloatArray,
    low: FloatArray,
    high: FloatArray,
    reach_square: float,
    own: BoolArray,
) -> int:
    """Mark the points in any box; points beyond the farthest corner cost one comparison."""
    count = 0
    for n in range(xyz.shape[0]):
        x, y, z = float(xyz[n, 0]), float(xyz[n, 1]), float(xyz[n, 2])
        own[n] = False
        if not x * x + y * y + z * z <= reach_square:
            continue
        px = T_base_sensor[0, 0] * x + T_base_sensor[0, 1] * y + T_base_sensor[0, 2] * z
        py = T_base_sensor[1, 0] * x + T_base_sensor[1, 1] * y + T_base_sensor[1, 2] * z
        pz = T_base_sensor[2, 0] * x + T_base_sensor[2, 1] * y + T_base_sensor[2, 2] * z
        px, py, pz = px + T_base_sensor[0, 3], py + T_base_sensor[1, 3], pz + T_base_sensor[2, 3]
        for b in range(low.shape[0]):
            if (
                low[b, 0] <= px <= high[b, 0]
                and low[b, 1] <= py <= high[b, 1]
                and low[b, 2] <= pz <= high[b, 2]
            ):
                own[n] = True
                count += 1
                break
    return count


def own_points(
    xyz_sensor_m: Float32Array, T_base_sensor: FloatArray, boxes: tuple[OwnBox, ...]
) -> tuple[BoolArray, int]:
    """Tell which points lie inside the vehicle.

    Args:
        xyz_sensor_m: (N, 3) float32, metres, sensor frame.
        T_base_sensor: (4, 4).
        boxes: of the vehicle in base_link.

    Returns:
        (N,) bool, and how many are true.
    """
    xyz = np.ascontiguousarray(xyz_sensor_m, dtype=np.float32)
    own = np.zeros(xyz.shape[0], dtype=np.bool_)
    if not boxes or xyz.shape[0] == 0:
        return own, 0
    low = np.array([box.low_m for box in boxes], dtype=np.float64)
    high = np.array([box.high_m for box in boxes], dtype=np.float64)
    pose = np.ascontiguousarray(T_base_sensor, dtype=np.float64)
    farthest = np.maximum(np.abs(low - pose[:3, 3]), np.abs(high - pose[:3, 3]))
    reach = float(np.linalg.norm(farthest, axis=1).max()) * (1.0 + 1e-6)
    return own, int(_mark(xyz, pose, low, high, reach * reach, own))


def inside_discs(
    xyz_sensor_m: Float32Array, T_fixed_sensor: FloatArray, discs: FloatArray
) -> BoolArray:
    """Tell which points stand over discs on the ground, as other vehicles do.

    Args:
        xyz_sensor_m: (N, 3) float32, metres, sensor frame.
        T_fixed_sensor: (4, 4) into the frame of the discs.
        discs: (M, 3) x, y and radius, metres.

    Returns:
        (N,) bool.
    """
    inside = np.zeros(len(xyz_sensor_m), np.bool_)
    size = np.abs(xyz_sensor_m).max(initial=0.0) * np.sqrt(3.0)
    away = np.hypot(*(discs[:, :2] - T_fixed_sensor[:2, 3]).T) - discs[:, 2]
    near = discs[away <= size]
    if len(near):
        xy = xyz_sensor_m @ T_fixed_sensor[:2, :3].T.astype(np.float32)
        for x, y, radius in near - (*T_fixed_sensor[:2, 3], 0.0):
            inside |= (xy[:, 0] - x) ** 2 + (xy[:, 1] - y) ** 2 <= radius**2
    return inside


def warm_up() -> None:
    """Compile the kernel for the types in use."""
    box = OwnBox((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    own_points(np.zeros((1, 3), np.float32), np.eye(4), (box,))
