"""Where the values of the error-state filter stand in its arrays: one table for kernels and class.

Events are rows of one table (stamp, kind, values), so that a late measurement is put into its
place and everything after it is done again by the same code, to the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from ilrs_robots.core.types import FloatArray, IntArray


class Kind(IntEnum):
    """What an event is. Measurements up to ``ALTITUDE`` have their own row of statistics."""

    IMU = 0
    WHEELS = 1
    STARS = 2
    SUN = 3
    SCAN = 4
    FIX = 5
    RANGE = 6
    STAND = 7
    ALTITUDE = 8
    KEEP = 9
    """Remember this pose: a relative measurement will speak of it."""
    DOUBT = 10
    """What is known becomes less sure, by given standard deviations."""
    MOVE = 11
    """A way in the body's axes that no inertial measurement saw."""


SENSORS: Final = tuple(kind for kind in Kind if Kind.WHEELS <= kind <= Kind.ALTITUDE)

# nominal state (NOMINAL,)
P_, V_, Q_, BG_, BA_, SLIP_ = 0, 3, 6, 10, 13, 16
KEPT_P, KEPT_Q = 18, 21
LAST_W, LAST_A = 25, 28
NOW_W = 31
WHEEL_MPS = 34
SHIFT, SHIFT_YAW = 35, 38
FORGIVEN = 39
"""(6,) upper triangle of what absolute fixes took off the position's covariance, m2."""
SLIP_SPEED = 45
"""Speed of the body to which the slip's speed was last fitted, m/s."""
NOMINAL = 46

# error state (ERROR,): position, velocity, attitude, gyro and accelerometer bias, slip, kept pose
E_P, E_V, E_Q, E_BG, E_BA, E_SLIP, E_KP, E_KQ = 0, 3, 6, 9, 12, 15, 17, 20
ERROR = 23

# times (TIMES,) int64
T_STATE, T_IMU, T_KEPT = 0, 1, 2
TIMES = 3

# one row of statistics for each sensor
S_TAKEN, S_REFUSED, S_NIS, S_DOF, S_BAD, S_GOOD, S_DOUBTED, S_LAST, S_LOST = range(9)
STATISTICS = 9

# an event's values
WIDTH = 30

# constants (CONSTANTS,)
C_GRAVITY, C_GYRO, C_ACCEL, C_GYRO_WALK, C_ACCEL_WALK = range(5)
C_SLIP, C_SLIP_SLOPE, C_SLIP_LENGTH, C_LATERAL = range(5, 9)
C_AVERAGES, C_MAX_GAP, C_GAP_RATE, C_GAP_ACCEL = range(9, 13)
C_LEVER = 13
C_SHUT_AFTER, C_REOPEN_AFTER, C_LOST_AFTER = range(16, 19)
C_STAMP_SIGMA = 19
C_DOUBT_V, C_DOUBT_Q, C_DOUBT_BG, C_DOUBT_BA, C_DOUBT_SLIP, C_DOUBT_P = range(20, 26)
CONSTANTS = 26

NS: Final = 1e-9


@dataclass
class FilterArrays:
    """Everything that a run of events changes.

    Attributes:
        nominal: (NOMINAL,).
        covariance: (ERROR, ERROR).
        times_ns: (TIMES,) int64.
        statistics: (number of kinds, STATISTICS).
    """

    nominal: FloatArray
    covariance: FloatArray
    times_ns: IntArray
    statistics: FloatArray

    @classmethod
    def empty(cls) -> FilterArrays:
        """At the origin, level, at rest, everything known exactly."""
        nominal = np.zeros(NOMINAL)
        nominal[Q_] = nominal[KEPT_Q] = 1.0
        return cls(
            nominal,
            np.zeros((ERROR, ERROR)),
            np.full(TIMES, -1, dtype=np.int64),
            np.zeros((len(Kind), STATISTICS)),
        )

    def copy(self) -> FilterArrays:
        """An independent copy."""
        return FilterArrays(
            self.nominal.copy(),
            self.covariance.copy(),
            self.times_ns.copy(),
            self.statistics.copy(),
        )
