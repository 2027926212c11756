"""Error-state Kalman filter over position, attitude and gyro bias."""

from __future__ import annotations

import bisect
import math

import numpy as np

from ilrs_robots.core.geometry.se3 import quat_conjugate, quat_multiply
from ilrs_robots.core.types import FloatArray, IntArray

POSITION = slice(0, 3)
ATTITUDE = slice(3, 6)
BIAS = slice(6, 9)

_TINY = 1e-12


_EYE9 = np.eye(9)
_EYE3 = np.eye(3)


def quat_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Product of two quaternions wxyz (4,); plain floats are faster than arrays here."""
    a, b, c, d = left.tolist()
    e, f, g, h = right.tolist()
    return np.array(
        (
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        )
    )


def quat_inverse_product(left: FloatArray, right: FloatArray) -> FloatArray:
    """Product of the conjugate of the first with the second: the turn from first to second."""
    a, b, c, d = left.tolist()
    return quat_product(np.array((a, -b, -c, -d)), right)


def quat_exp(rotation_rad: FloatArray) -> FloatArray:
    """Quaternion wxyz of a rotation vector (3,), rad."""
    x, y, z = rotation_rad.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    scale = math.sin(0.5 * angle) / angle if angle > _TINY else 0.5
    return np.array((math.cos(0.5 * angle), scale * x, scale * y, scale * z))


def quat_log(quat_wxyz: FloatArray) -> FloatArray:
    """Rotation vector (3,), rad, at most pi long, of a unit quaternion."""
    w, x, y, z = quat_wxyz.tolist()
    if w < 0.0:
        w, x, y, z = -w, -x, -y, -z
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2.0 * math.atan2(sine, w) / sine if sine > _TINY else 2.0
    return np.array((scale * x, scale * y, scale * z))


def rotation_matrix(quat_wxyz: FloatArray) -> FloatArray:
    """(3, 3) of a unit quaternion."""
    w, x, y, z = quat_wxyz.tolist()
    return np.array(
        (
            (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)),
            (2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x)),
            (2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)),
        )
    )


def skew(vector: FloatArray) -> FloatArray:
    """(3, 3) matrix of the cross product."""
    x, y, z = vector.tolist()
    return np.array(((0.0, -z, y), (z, 0.0, -x), (-y, x, 0.0)))


class ErrorStateFilter:
    """Nominal state and the covariance of its error.

    The error is position in odom, attitude as a rotation vector in base_link (the true attitude
    is the nominal one times the exponential of the error) and gyro bias in base_link.

    Reference: Sola 2017, Quaternion kinematics for the error-state Kalman filter, section 7.

    Attributes:
        position_m: (3,) odom.
        quat_wxyz: (4,) base_link in odom.
        bias_rps: (3,) base_link.
        covariance: (9, 9).
    """

    def __init__(
        self, position_m: FloatArray, quat_wxyz: FloatArray, covariance: FloatArray
    ) -> None:
        """Take the initial state; the bias starts at zero."""
        self.position_m = np.array(position_m, dtype=np.float64)
        self.quat_wxyz = np.array(quat_wxyz, dtype=np.float64)
        self.bias_rps = np.zeros(3)
        self.covariance = np.array(covariance, dtype=np.float64)

    def turn(
        self, rate_rps: FloatArray, step_s: float, noise_rad2: float, walk_rps2: float
    ) -> None:
        """Rotate by a measured rate.

        Args:
            rate_rps: (3,) measured rate in base_link, bias still in it.
            step_s: seconds.
            noise_rad2: variance that the step adds to each axis of the attitude, rad2.
            walk_rps2: variance that the step adds to each axis of the bias, (rad/s)2.
        """
        rotation = (rate_rps - self.bias_rps) * step_s
        step = quat_exp(rotation)
        quat = quat_product(self.quat_wxyz, step)
        self.quat_wxyz = quat / math.sqrt(float(quat @ quat))
        jacobian = _EYE9.copy()
        jacobian[ATTITUDE, ATTITUDE] = rotation_matrix(step).T
        jacobian[ATTITUDE, BIAS] = -step_s * _EYE3
        self.covariance = jacobian @ self.covariance @ jacobian.T
        diagonal = self.covariance.ravel()[:: self.covariance.shape[0] + 1]
        diagonal[ATTITUDE] += noise_rad2
        diagonal[BIAS] += walk_rps2

    def move(self, delta_m: FloatArray, quat_wxyz: FloatArray, variance_m2: FloatArray) -> None:
        """Shift by a vector given in the body's axes.

        Args:
            delta_m: (3,) metres in the axes of ``quat_wxyz``.
            quat_wxyz: (4,) attitude halfway through the shift.
            variance_m2: (3,) what the shift adds along each of those axes.
        """
        rotation = rotation_matrix(quat_wxyz)
        self.position_m = self.position_m + rotation @ delta_m
        jacobian = _EYE9.copy()
        jacobian[POSITION, ATTITUDE] = -rotation @ skew(delta_m)
        self.covariance = jacobian @ self.covariance @ jacobian.T
        self.covariance[POSITION, POSITION] += (rotation * variance_m2) @ rotation.T

    def correct(
        self,
        jacobian: FloatArray,
        residual: FloatArray,
        noise: FloatArray,
        gate: float = np.inf,
    ) -> bool:
        """Apply a measurement unless it lies beyond the gate.

        Args:
            jacobian: (M, 9) of the measurement by the error state.
            residual: (M,) measured minus predicted.
            noise: (M, M) covariance of the measurement.
            gate: largest squared Mahalanobis distance.

        Returns:
            Whether it was applied.
        """
        cross = self.covariance @ jacobian.T
        spread = jacobian @ cross + noise
        if float(residual @ np.linalg.solve(spread, residual)) > gate:
            return False
        gain = np.linalg.solve(spread, cross.T).T
        error = gain @ residual
        keep = _EYE9 - gain @ jacobian
        covariance = keep @ self.covariance @ keep.T + gain @ noise @ gain.T
        self.covariance = 0.5 * (covariance + covariance.T)
        self.position_m = self.position_m + error[POSITION]
        self.quat_wxyz = quat_product(self.quat_wxyz, quat_exp(error[ATTITUDE]))
        self.bias_rps = self.bias_rps + error[BIAS]
        return True

    def pose_covariance(self) -> FloatArray:
        """(6, 6) of x, y, z and rotations about the fixed x, y, z axes, as in ROS."""
        axes = _EYE9[:6, :6].copy()
        axes[3:, 3:] = rotation_matrix(self.quat_wxyz)
        turned: FloatArray = axes @ self.covariance[:6, :6] @ axes.T
        return turned


class AttitudeHistory:
    """Attitudes of the last seconds, so that other sensors' stamps find theirs."""

    def __init__(self, span_ns: int) -> None:
        """Keep ``span_ns`` nanoseconds."""
        self._span_ns = span_ns
        self._stamps_ns: list[int] = []
        self._quats: list[FloatArray] = []

    def add(self, stamp_ns: int, quat_wxyz: FloatArray) -> None:
        """Append; stamps must grow."""
        self._stamps_ns.append(stamp_ns)
        self._quats.append(quat_wxyz)
        while self._stamps_ns[0] < stamp_ns - self._span_ns:
            del self._stamps_ns[0], self._quats[0]

    def restore(self, stamps_ns: IntArray, quats_wxyz: FloatArray) -> None:
        """Take other attitudes in place of these: (K,) stamps that grow, (K, 4) quaternions."""
        self._stamps_ns, self._quats = stamps_ns.tolist(), list(quats_wxyz)

    def replace_latest(self, quat_wxyz: FloatArray) -> None:
        """Turn the whole history by the rotation that takes the latest attitude to this one."""
        turn = quat_multiply(quat_wxyz, quat_conjugate(self._quats[-1]))
        self._quats = list(quat_multiply(np.broadcast_to(turn, (len(self._quats), 4)), self.array))

    @property
    def array(self) -> FloatArray:
        """(K, 4)."""
        return np.array(self._quats)

    def at(self, stamp_ns: int) -> FloatArray | None:
        """Interpolated attitude, or None outside the history."""
        stamps = self._stamps_ns
        if not stamps or not stamps[0] <= stamp_ns <= stamps[-1]:
            return None
        after = bisect.bisect_left(stamps, stamp_ns)
        if stamps[after] == stamp_ns:
            return self._quats[after]
        before = after - 1
        share = (stamp_ns - stamps[before]) / (stamps[after] - stamps[before])
        return between(self._quats[before], self._quats[after], share)


def between(first: FloatArray, second: FloatArray, share: float) -> FloatArray:
    """Attitude at ``share`` of the shortest way from the first to the second."""
    rotation = quat_log(quat_inverse_product(first, second))
    return quat_product(first, quat_exp(share * rotation))
