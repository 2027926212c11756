"""What the error-state filter takes besides plain sensor samples, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.types import FloatArray

_TRIANGLES = {size: np.triu_indices(size) for size in (3, 6)}


@dataclass(frozen=True)
class RelativePose:
    """Motion of ``base_link`` between two instants, as two scans show it.

    Attributes:
        since_ns: stamp of the older scan.
        stamp_ns: stamp of the newer one.
        way_m: (3,) in the axes of the older pose, metres.
        turn_wxyz: (4,) attitude of the newer pose in the older one.
        covariance: (6, 6) of way (m) and turn (rad, axes of the newer pose). What the scans do
            not show carries a variance so large that it says nothing.
        keep: whether the motions that follow speak of the newer pose.
    """

    since_ns: int
    stamp_ns: int
    way_m: FloatArray
    turn_wxyz: FloatArray
    covariance: FloatArray
    keep: bool = True


@dataclass(frozen=True)
class PositionFix:
    """Place of ``base_link``, in the axes that the filter's caller names.

    Attributes:
        stamp_ns: nanoseconds.
        position_m: (3,) metres; NaN where it was not measured.
        covariance_m2: (3, 3).
    """

    stamp_ns: int
    position_m: FloatArray
    covariance_m2: FloatArray


@dataclass(frozen=True)
class BeaconRange:
    """Distance to a beacon whose place is known.

    Attributes:
        stamp_ns: nanoseconds.
        beacon_m: (3,) place of the beacon, metres, same axes as a ``PositionFix``.
        range_m: distance, metres.
        sigma_m: its standard deviation.
        antenna_m: (3,) of the vehicle's antenna in base_link, metres.
    """

    stamp_ns: int
    beacon_m: FloatArray
    range_m: float
    sigma_m: float
    antenna_m: FloatArray


@dataclass(frozen=True)
class SunDirection:
    """Where the Sun is seen.

    Attributes:
        stamp_ns: nanoseconds.
        seen: (3,) unit vector towards the Sun in base_link.
        known: (3,) unit vector towards it in the axes of ``map``.
        sigma_rad: standard deviation of each of the two angles.
    """

    stamp_ns: int
    seen: FloatArray
    known: FloatArray
    sigma_rad: float


@dataclass(frozen=True)
class GroundHeight:
    """Height of ``base_link`` above ground that is known as a plane near a place.

    Attributes:
        stamp_ns: nanoseconds.
        height_m: measured, vertical, metres.
        place_m: (3,) a point of the ground.
        slope: (2,) its rise along x and y.
        sigma_m: standard deviation of height and ground together.
        height_only: whether it corrects height and speed upwards and nothing that goes with them.
    """

    stamp_ns: int
    height_m: float
    place_m: FloatArray
    slope: FloatArray
    sigma_m: float
    height_only: bool = False


@dataclass(frozen=True)
class SensorHealth:
    """What the gate made of one sensor's answers.

    Attributes:
        taken: how many were used.
        refused: how many lay beyond the gate, or spoke of a pose that is not kept.
        nis_mean: mean normalised innovation squared over its expected value, of what was used;
            near 1 where the noise is what the filter believes. NaN before the first.
        last_nis: of the newest answer, over its expected value of one.
        doubted: refused several times in a row and not yet good again.
        lost: how often what was known was doubted instead of the sensor.
    """

    taken: int
    refused: int
    nis_mean: float
    last_nis: float
    doubted: bool
    lost: int


@dataclass(frozen=True)
class FilterState:
    """The filter's state in its anchor (the frame in which absolute places are given).

    Attributes:
        stamp_ns: nanoseconds.
        position_m: (3,) of base_link.
        quat_wxyz: (4,) of base_link.
        velocity_mps: (3,) of base_link.
        rate_rps: (3,) base_link, bias taken off.
        gyro_bias_rps: (3,) base_link.
        accel_bias_mps2: (3,) base_link.
        slip_mps: (2,) by how much the wheels turn faster than the ground goes by, along and
            across.
        covariance: (15, 15) of position and velocity at the IMU, attitude (rotation vector in
            base_link), gyro bias, accelerometer bias.
    """

    stamp_ns: int
    position_m: FloatArray
    quat_wxyz: FloatArray
    velocity_mps: FloatArray
    rate_rps: FloatArray
    gyro_bias_rps: FloatArray
    accel_bias_mps2: FloatArray
    slip_mps: FloatArray
    covariance: FloatArray


def health_of(row: FloatArray) -> SensorHealth:
    """One sensor's row of statistics (STATISTICS,), counts and squared distances without unit."""
    dof = float(row[at.S_DOF])
    return SensorHealth(
        taken=int(row[at.S_TAKEN]),
        refused=int(row[at.S_REFUSED]),
        nis_mean=float(row[at.S_NIS]) / dof if dof else float("nan"),
        last_nis=float(row[at.S_LAST]),
        doubted=bool(row[at.S_DOUBTED]),
        lost=int(row[at.S_LOST]),
    )


def upper_triangle(matrix: FloatArray) -> FloatArray:
    """Row by row, of a symmetric covariance (3, 3) or (6, 6) of any unit."""
    return np.asarray(matrix[_TRIANGLES[len(matrix)]], dtype=np.float64)
