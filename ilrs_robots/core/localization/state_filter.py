"""Error-state Kalman filter of position, velocity, attitude, biases and slip."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ilrs_robots.core.geometry.se3 import normalise_quat
from ilrs_robots.core.localization import filter_layout as at
from ilrs_robots.core.localization.dead_reckoning_config import DeadReckoningConfig
from ilrs_robots.core.localization.error_state import (
    quat_exp,
    quat_product,
    rotation_matrix,
    skew,
)
from ilrs_robots.core.localization.filter_config import FilterConfig, constants
from ilrs_robots.core.localization.filter_inputs import FilterInputs
from ilrs_robots.core.localization.filter_layout import SENSORS, FilterArrays, Kind
from ilrs_robots.core.localization.filter_motion import CREEPING_MPS
from ilrs_robots.core.localization.filter_types import (
    FilterState,
    SensorHealth,
    health_of,
    upper_triangle,
)
from ilrs_robots.core.localization.timeline import Timeline
from ilrs_robots.core.types import FloatArray

_POSE = np.ix_([0, 1, 2, 6, 7, 8], [0, 1, 2, 6, 7, 8])
"""Position and attitude in the error state."""


class StateFilter(FilterInputs):
    """Inertial navigation that everything else corrects.

    Frames: the state lives in an *anchor*, a frame parallel to gravity in which absolute places
    are given. ``odom`` begins as the anchor; an absolute fix moves the state in the anchor and
    odom with it, so that the pose in odom stays smooth (``odom_pose``, ``anchor_from_odom``).

    Everything may come late by ``delay_s`` and in any order; the outcome is the same. Values that
    are not finite, repeated or too late are refused and counted in ``refused``.

    Reference: Sola 2017, Quaternion kinematics for the error-state Kalman filter.

    Args:
        shared: mounts, gyro, slip and gravity, as dead reckoning has them.
        own: everything else.
    """

    def __init__(self, shared: DeadReckoningConfig, own: FilterConfig) -> None:
        self.shared, self.own = shared, own
        self.refused: Counter[str] = Counter()
        self.heard_ns: dict[str, int] = {}
        self._c = constants(shared, own)
        self._lever = np.array(own.imu_position_m)
        self._delay_ns = round(own.delay_s * 1e9)
        self.reset(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), -1)

    # -- where it is ---------------------------------------------------------------------------
    def reset(
        self,
        position_m: FloatArray,
        quat_wxyz: FloatArray,
        stamp_ns: int,
        position_sigma_m: float = 0.0,
        attitude_sigma_rad: float | None = None,
    ) -> None:
        """Begin at a known pose, at rest within ``initial_speed_sigma_mps``.

        Args:
            position_m: (3,) of base_link, metres, anchor.
            quat_wxyz: (4,) base_link in the anchor.
            stamp_ns: its time; -1 for that of the first sample.
            position_sigma_m: of each coordinate.
            attitude_sigma_rad: of each axis; None for the configured one.

        Raises:
            TransformError: the quaternion is not one.
            ValueError: the position is not finite.
        """
        place = np.array(position_m, dtype=np.float64)
        if place.shape != (3,) or not np.isfinite(place).all():
            raise ValueError(f"position {place}: expected three finite numbers")
        tilt = attitude_sigma_rad or self.shared.initial_attitude_sigma_rad
        state = FilterArrays.empty()
        quat = normalise_quat(quat_wxyz)
        state.nominal[at.Q_ : at.Q_ + 4] = quat
        state.nominal[at.P_ : at.P_ + 3] = place + rotation_matrix(quat) @ self._lever
        state.times_ns[at.T_STATE] = stamp_ns
        own, shared = self.own, self.shared
        biases = (shared.gyro_bias_sigma_rps, own.accel_bias_sigma_mps2)
        sigmas = np.array([position_sigma_m, own.initial_speed_sigma_mps, tilt, *biases])
        spread = np.repeat(sigmas**2, 3)
        slips = np.square([CREEPING_MPS * s for s in (own.slip_sigma, own.lateral_slip_sigma)])
        np.fill_diagonal(state.covariance, np.r_[spread, slips, np.zeros(6)])
        self._begin(state)

    def _begin(self, state: FilterArrays) -> None:
        self.heard_ns.clear()
        self._line = Timeline(state, self._c, self._delay_ns)

    def begin_with(
        self, gyro_bias_rps: FloatArray, accel_bias_mps2: FloatArray, covariance: FloatArray
    ) -> None:
        """Take biases and a covariance, as standing showed them, right after ``reset``.

        Args:
            gyro_bias_rps: (3,) rad/s, base_link.
            accel_bias_mps2: (3,) m/s2, base_link.
            covariance: (15, 15) as in ``FilterState``, SI units.
        """
        state = self._line.state.copy()
        state.nominal[at.BG_ : at.BG_ + 3] = gyro_bias_rps
        state.nominal[at.BA_ : at.BA_ + 3] = accel_bias_mps2
        state.covariance[:15, :15] = covariance
        self._begin(state)

    def go_on_at(self, stamp_ns: int) -> None:
        """Keep the state where the clock was set: what was measured before is done."""
        state = self._line.state.copy()
        state.times_ns[:] = -1
        state.times_ns[at.T_STATE] = stamp_ns
        self._begin(state)

    def place_at(self, covariance_m2: FloatArray, *, odom: bool = False) -> None:
        """Take a new spread of the position, independent of everything else that is known.

        Args:
            covariance_m2: (3, 3) metres squared, anchor.
            odom: whether it is that of the way in odom as well; else only odom's own place in the
                anchor is now known so well, and the way is known as before.
        """
        self._line.advance()
        state = self._line.state.copy()
        way = np.asarray(covariance_m2) if odom else self._way_covariance()
        state.covariance[: at.E_V], state.covariance[:, : at.E_V] = 0.0, 0.0
        state.covariance[: at.E_V, : at.E_V] = covariance_m2
        state.nominal[at.FORGIVEN : at.FORGIVEN + 6] = upper_triangle(way - covariance_m2)
        self._begin(state)

    def doubt_place(self, sigma_m: float) -> None:
        """Odom's place in the anchor is known less well, by a standard deviation in metres."""
        self._line.advance()
        at_ns = max(self.stamp_ns, 0)
        self._line.add(Kind.DOUBT, at_ns, np.array([sigma_m, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]))

    def _way_covariance(self) -> FloatArray:
        """(3, 3) m2 of the position, with what absolute places took away."""
        x = self._line.state.nominal
        back = np.zeros((3, 3))
        back[np.triu_indices(3)] = x[at.FORGIVEN : at.FORGIVEN + 6]
        spread: FloatArray = self._line.state.covariance[:3, :3] + back + np.triu(back, 1).T
        return spread

    # -- what it knows -------------------------------------------------------------------------
    def advance(self) -> None:
        """Use everything up to the newest inertial sample, and look whether it is sane."""
        self._line.advance()
        state = self._line.state
        spread = np.diagonal(state.covariance)
        sane = np.isfinite(state.nominal).all() and np.isfinite(state.covariance).all()
        if sane and spread.min() >= 0.0:
            return
        self.refused["insane"] += 1
        self._begin(self._recovered(state))

    def _recovered(self, broken: FilterArrays) -> FilterArrays:
        """The last state that was sane, with everything but its place and attitude doubted."""
        state = self._line.last_sane()
        self.reset(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), -1, self.own.doubt_position_m)
        fresh = self._line.state
        fresh.nominal[at.P_ : at.P_ + 3] = state.nominal[at.P_ : at.P_ + 3]
        fresh.nominal[at.Q_ : at.Q_ + 4] = state.nominal[at.Q_ : at.Q_ + 4]
        fresh.nominal[at.SHIFT : at.SHIFT_YAW + 1] = state.nominal[at.SHIFT : at.SHIFT_YAW + 1]
        fresh.times_ns[at.T_STATE] = broken.times_ns[at.T_STATE]
        fresh.statistics[:] = state.statistics
        return fresh

    @property
    def stamp_ns(self) -> int:
        """Time of the state; -1 before the first sample."""
        return int(self._line.state.times_ns[at.T_STATE])

    @property
    def quat_wxyz(self) -> FloatArray:
        """(4,) base_link in the anchor."""
        return self._line.state.nominal[at.Q_ : at.Q_ + 4].copy()

    @property
    def gyro_bias_rps(self) -> FloatArray:
        """(3,) base_link."""
        return self._line.state.nominal[at.BG_ : at.BG_ + 3].copy()

    @property
    def imu_ns(self) -> int | None:
        """Stamp of the newest inertial sample, None before the first."""
        return self._line.imu_ns

    @property
    def redone(self) -> int:
        """How many events late measurements had done again."""
        return self._line.redone

    def state(self, ahead_s: float = 0.0) -> FilterState:
        """The state of ``advance``, carried ahead by its velocity and rate for a short time."""
        x, P = self._line.state.nominal, self._line.state.covariance
        rate = x[at.NOW_W : at.NOW_W + 3] - x[at.BG_ : at.BG_ + 3]
        quat = quat_product(x[at.Q_ : at.Q_ + 4], quat_exp(rate * ahead_s))
        R = rotation_matrix(quat)
        place = x[at.P_ : at.P_ + 3] + x[at.V_ : at.V_ + 3] * ahead_s
        spin = np.array(
            (
                rate[1] * self._lever[2] - rate[2] * self._lever[1],
                rate[2] * self._lever[0] - rate[0] * self._lever[2],
                rate[0] * self._lever[1] - rate[1] * self._lever[0],
            )
        )
        return FilterState(
            stamp_ns=self.stamp_ns + round(ahead_s * 1e9),
            position_m=place - R @ self._lever,
            quat_wxyz=quat,
            velocity_mps=x[at.V_ : at.V_ + 3] - R @ spin,
            rate_rps=rate,
            gyro_bias_rps=x[at.BG_ : at.BG_ + 3].copy(),
            accel_bias_mps2=x[at.BA_ : at.BA_ + 3].copy(),
            slip_mps=x[at.SLIP_ : at.SLIP_ + 2].copy(),
            covariance=P[:15, :15].copy(),
        )

    @property
    def anchor_from_odom(self) -> tuple[FloatArray, float]:
        """Where absolute fixes moved odom: its origin (3,) in the anchor and its yaw, rad."""
        x = self._line.state.nominal
        return x[at.SHIFT : at.SHIFT + 3].copy(), float(x[at.SHIFT_YAW])

    def pose_covariance(self, in_odom: bool) -> FloatArray:
        """(6, 6) of x, y, z and rotations about fixed axes, as in ROS.

        Args:
            in_odom: what absolute fixes took away comes back, since odom has drifted all the same.
        """
        x, P = self._line.state.nominal, self._line.state.covariance
        R = rotation_matrix(x[at.Q_ : at.Q_ + 4])
        jacobian = np.eye(6)
        jacobian[:3, 3:] = R @ skew(self._lever)
        jacobian[3:, 3:] = R
        spread: FloatArray = jacobian @ P[_POSE] @ jacobian.T
        if in_odom and x[at.FORGIVEN] != 0.0:
            spread[:3, :3] += self._way_covariance() - P[:3, :3]
        return spread

    def health(self) -> dict[str, SensorHealth]:
        """Each sensor that has spoken, by its kind in lower case."""
        rows = self._line.state.statistics
        found = {kind.name.lower(): health_of(rows[kind]) for kind in SENSORS}
        return {name: row for name, row in found.items() if row.taken or row.refused}

    @property
    def lost(self) -> bool:
        """Whether the position is known no better than ``trusted_position_m``."""
        P = self._line.state.covariance
        return bool(np.sqrt(np.trace(P[:2, :2])) > self.own.trusted_position_m)


def warm_up() -> None:
    """Compile the kernels."""
    made = StateFilter(DeadReckoningConfig(), FilterConfig())
    made.wheels(1, np.zeros(3), np.ones(3))
    made.propagate(np.array([1, 2], dtype=np.int64), np.zeros((2, 3)), np.zeros((2, 3)))
    made.imu(3, np.zeros(3), np.zeros(3))
    made.advance()
