"""Plain data that the boxes hand to one another. Arrays are read, never altered, by a receiver."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class GridSpec:
    """A regular grid, sampled at cell centres.

    Arrays on it have shape (rows, cols). Row 0 has the lowest y, column 0 the lowest x, and
    ``origin`` is the centre of cell [0, 0] (not its corner).

    Attributes:
        origin_x_m: x of the centre of cell [0, 0], metres.
        origin_y_m: y of the centre of cell [0, 0], metres.
        resolution_m: spacing, metres.
        rows: cells along y.
        cols: cells along x.
    """

    origin_x_m: float
    origin_y_m: float
    resolution_m: float
    rows: int
    cols: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.rows, self.cols

    def x_m(self) -> FloatArray:
        """Column centres, (cols,) float64, metres."""
        return self.origin_x_m + self.resolution_m * np.arange(self.cols, dtype=np.float64)

    def y_m(self) -> FloatArray:
        """Row centres, (rows,) float64, metres."""
        return self.origin_y_m + self.resolution_m * np.arange(self.rows, dtype=np.float64)

    def xy_of(self, rows: IntArray, cols: IntArray) -> FloatArray:
        """Centres of cells, (N, 2) float64, metres."""
        return np.stack(
            (
                self.origin_x_m + self.resolution_m * np.asarray(cols, dtype=np.float64),
                self.origin_y_m + self.resolution_m * np.asarray(rows, dtype=np.float64),
            ),
            axis=-1,
        )

    def cell_of(self, xy_m: FloatArray) -> tuple[IntArray, IntArray]:
        """Row and column of the cell that holds each point; may lie outside the grid.

        Args:
            xy_m: (N, 2) or (2,) metres.
        """
        xy = np.asarray(xy_m, dtype=np.float64)
        col = np.floor((xy[..., 0] - self.origin_x_m) / self.resolution_m + 0.5).astype(np.int64)
        row = np.floor((xy[..., 1] - self.origin_y_m) / self.resolution_m + 0.5).astype(np.int64)
        return row, col

    def contains(self, xy_m: FloatArray) -> BoolArray:
        """Whether each point falls into a cell."""
        row, col = self.cell_of(xy_m)
        inside: BoolArray = (row >= 0) & (row < self.rows) & (col >= 0) & (col < self.cols)
        return inside

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """Outer edges (x_min, y_min, x_max, y_max) of the cells, metres."""
        half = 0.5 * self.resolution_m
        return (
            self.origin_x_m - half,
            self.origin_y_m - half,
            self.origin_x_m + self.resolution_m * self.cols - half,
            self.origin_y_m + self.resolution_m * self.rows - half,
        )


@dataclass(frozen=True)
class Cloud:
    """Points of one scan in the sensor's frame.

    Attributes:
        stamp_ns: time of the first point (header stamp), nanoseconds.
        frame_id: the sensor's frame.
        xyz_m: (N, 3) float32, metres.
        time_offset_ns: (N,) int64 after ``stamp_ns``, or None when the scan is instantaneous.
        intensity: (N,) float32 or None.
    """

    stamp_ns: int
    frame_id: str
    xyz_m: Float32Array
    time_offset_ns: IntArray | None = None
    intensity: Float32Array | None = None


@dataclass(frozen=True)
class ImuSample:
    """One inertial measurement in the IMU's frame (specific force, so +g up at rest)."""

    stamp_ns: int
    angular_velocity_rps: FloatArray
    specific_force_mps2: FloatArray


@dataclass(frozen=True)
class JointSample:
    """Joint states by name; positions in rad, velocities in rad/s."""

    stamp_ns: int
    names: tuple[str, ...]
    position_rad: FloatArray
    velocity_rps: FloatArray


@dataclass(frozen=True)
class AttitudeSample:
    """A star tracker's answer: attitude of its frame in the axes of ``map``."""

    stamp_ns: int
    quat_wxyz: FloatArray
    sigma_rad: float


@dataclass(frozen=True)
class SunSample:
    """A sun sensor's answer.

    Attributes:
        stamp_ns: nanoseconds.
        toward: (3,) unit vector towards the Sun in base_link.
        sigma_rad: of each of its two angles.
    """

    stamp_ns: int
    toward: FloatArray
    sigma_rad: float


@dataclass(frozen=True)
class RangeSample:
    """A distance from the vehicle's antenna to a beacon's.

    Attributes:
        stamp_ns: nanoseconds.
        beacon: its name.
        range_m: distance, metres.
        sigma_m: its standard deviation.
    """

    stamp_ns: int
    beacon: str
    range_m: float
    sigma_m: float


@dataclass(frozen=True)
class OdometryEstimate:
    """Pose of ``base_link`` in ``odom`` and its twist in ``base_link``.

    Attributes:
        stamp_ns: nanoseconds.
        position_m: (3,) metres, odom.
        quat_wxyz: (4,) attitude of base_link in odom.
        linear_mps: (3,) base_link.
        angular_rps: (3,) base_link.
        pose_covariance: (6, 6) x, y, z, roll, pitch, yaw as in ROS.
    """

    stamp_ns: int
    position_m: FloatArray
    quat_wxyz: FloatArray
    linear_mps: FloatArray
    angular_rps: FloatArray
    pose_covariance: FloatArray = field(default_factory=lambda: np.zeros((6, 6)))


@dataclass(frozen=True)
class VelocityCommand:
    """Planar command for a body: forward speed and yaw rate."""

    stamp_ns: int
    linear_mps: float
    angular_rps: float


@dataclass(frozen=True)
class AltimeterSample:
    """One answer of an altimeter along its beam; NaN where nothing answered."""

    stamp_ns: int
    range_m: float
    sigma_m: float


@dataclass(frozen=True)
class TankSample:
    """Pressure of the gas in a propellant tank."""

    stamp_ns: int
    pressure_pa: float
    sigma_pa: float


@dataclass(frozen=True)
class ThrusterCommand:
    """Thrust that each thruster shall give from now on.

    Attributes:
        stamp_ns: nanoseconds.
        thrust_n: (T,) newtons, in the order of the vehicle's file.
    """

    stamp_ns: int
    thrust_n: FloatArray
