"""Kinematics of a vehicle with steered corner wheels and fixed wheels on one axle line."""

from __future__ import annotations

import numpy as np

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import BoolArray, FloatArray

_STANDSTILL_MPS = 1e-9


class SteeringKinematics:
    """Turn a planar command into wheel angles and speeds, and back.

    The instantaneous centre of rotation (ICR) stays on the line through the axles of the fixed
    wheels, so that none of them is dragged sideways. A wheel that would have to point backwards
    reverses instead, which keeps every angle within a quarter turn.

    The model is planar: a wheel's speed is the speed along the local ground.

    Reference: Siegwart, Nourbakhsh, Scaramuzza 2011, section 3.2 (rolling and sliding
        constraints of standard wheels).
    """

    def __init__(
        self,
        positions_xy_m: FloatArray,
        steered: BoolArray,
        radius_m: float,
        max_steer_rad: float,
    ) -> None:
        """Take the geometry.

        Args:
            positions_xy_m: (N, 2) wheel centres, metres, base_link.
            steered: (N,) bool, which wheels turn about their vertical axis.
            radius_m: rolling radius of every wheel, metres.
            max_steer_rad: largest angle of a steered wheel to either side, radians.

        Raises:
            ConfigError: shapes differ, a number is not finite, or the fixed wheels do not share
                one axle line.
        """
        positions = np.array(positions_xy_m, dtype=np.float64)
        mask = np.array(steered, dtype=np.bool_)
        if positions.ndim != 2 or positions.shape[1] != 2 or mask.shape != positions.shape[:1]:
            raise ConfigError(
                f"wheel positions {positions.shape} and steered {mask.shape}: "
                "expected (N, 2) and (N,)"
            )
        if len(positions) < 2 or not np.isfinite(positions).all():
            raise ConfigError("at least two wheels with finite positions are needed")
        if not radius_m > 0.0:
            raise ConfigError(f"wheel radius = {radius_m} m: must be above 0 m")
        if not 0.0 <= max_steer_rad <= np.pi:
            raise ConfigError(f"max_steer_rad = {max_steer_rad} rad: must be within 0 to pi rad")
        fixed_x = positions[~mask, 0]
        if len(fixed_x) and np.ptp(fixed_x) > 1e-6:
            raise ConfigError(
                f"fixed wheels span {np.ptp(fixed_x):.3f} m along x: they must share one axle line"
            )
        positions.flags.writeable = False
        mask.flags.writeable = False
        self.positions_xy_m = positions
        self.steered = mask
        self.radius_m = float(radius_m)
        self.max_steer_rad = float(max_steer_rad)
        self.axle_x_m = float(fixed_x[0]) if len(fixed_x) else 0.0

    def inverse(
        self,
        v: float,
        w: float,
        previous_steer: FloatArray | None = None,
        overlap_rad: float = 0.0,
    ) -> tuple[FloatArray, FloatArray]:
        """Give wheel angles and speeds for a forward speed and a yaw rate.

        A zero command gives zero speeds and keeps the angles, so that a stopped vehicle does not
        turn its wheels. A wheel at the centre of rotation keeps its angle as well.

        Args:
            v: forward speed of the middle of the axle line, m/s (negative drives backwards).
            w: yaw rate, rad/s, anticlockwise positive.
            previous_steer: (N,) angles now, rad; where both ways of pointing a wheel are within
                its limit the nearer one is taken. None stands for straight ahead, and angles then
                stay within +-pi/2.
            overlap_rad: the nearer way is taken up to this far beyond a quarter turn as well, rad,
                beyond the limit too; the wheel then stays at its limit.

        Returns:
            steer angles (N,) rad and wheel speeds (N,) rad/s, float64; zero angle on fixed wheels.

        Raises:
            ValueError: the command is not finite.
        """
        velocity = self._wheel_velocity(v, w)
        previous = self._previous(previous_steer)
        angle = np.arctan2(velocity[:, 1], velocity[:, 0])
        folded = np.where(angle > np.pi / 2, angle - np.pi, angle)
        folded = np.where(folded < -np.pi / 2, folded + np.pi, folded)
        if previous_steer is not None:
            other = np.where(folded > 0.0, folded - np.pi, folded + np.pi)
            nearer = np.abs(other - previous) < np.abs(folded - previous)
            within = np.abs(other) <= max(self.max_steer_rad, np.pi / 2 + overlap_rad)
            folded = np.where(nearer & within, other, folded)
        folded = np.clip(folded, -self.max_steer_rad, self.max_steer_rad)
        idle = np.hypot(velocity[:, 0], velocity[:, 1]) < _STANDSTILL_MPS
        steer = np.where(self.steered, np.where(idle, previous, folded), 0.0)
        return steer, self._project(velocity, steer)

    def wheel_speeds(self, v: float, w: float, steer_rad: FloatArray) -> FloatArray:
        """Give the wheel speeds for a command while the wheels still point elsewhere.

        Each wheel turns at the component of the wanted motion along its own heading, so that
        wheels on their way to a new angle push as little as possible against one another.

        Args:
            v: forward speed, m/s.
            w: yaw rate, rad/s.
            steer_rad: (N,) angles now, rad.

        Returns:
            (N,) float64, rad/s.
        """
        return self._project(self._wheel_velocity(v, w), self._previous(steer_rad))

    def forward(self, steer_rad: FloatArray, speed_rps: FloatArray) -> tuple[float, float, float]:
        """Give the body's planar twist by least squares over all wheels.

        Each wheel says two things: it rolls at its speed along its heading, and it does not slide
        across it.

        Args:
            steer_rad: (N,) wheel angles, rad; zero on fixed wheels.
            speed_rps: (N,) wheel speeds, rad/s.

        Returns:
            vx (m/s), vy (m/s), w (rad/s) of base_link.

        Raises:
            ValueError: wrong shape.
        """
        rows, rolled = self._constraints(steer_rad, speed_rps)
        twist = np.linalg.lstsq(rows, rolled, rcond=None)[0]
        return float(twist[0]), float(twist[1]), float(twist[2])

    def forward_given_yaw_rate(
        self,
        steer_rad: FloatArray,
        speed_rps: FloatArray,
        w: float,
        huber_mps: float = np.inf,
    ) -> tuple[float, float, float]:
        """Give the body's speed when the yaw rate is known better from a gyro.

        Args:
            steer_rad: (N,) wheel angles, rad.
            speed_rps: (N,) wheel speeds, rad/s.
            w: yaw rate, rad/s.
            huber_mps: contradictions beyond this weigh less, so that one spinning wheel does not
                carry the others along; infinite for plain least squares.

        Returns:
            vx (m/s), vy (m/s), and the root mean square of what the wheels contradict, m/s: a
            measure of slip.

        Reference: Huber 1964, iteratively reweighted least squares.
        """
        rows, rolled = self._constraints(steer_rad, speed_rps)
        known = rolled - rows[:, 2] * w
        rows = rows[:, :2]
        speed = _solve_two(rows, rows, known)
        residual = known - rows @ speed
        for _ in range(4):
            size = np.abs(residual)
            if size.max() <= huber_mps:
                break
            weighted = rows * (huber_mps / np.maximum(size, huber_mps))[:, np.newaxis]
            speed = _solve_two(weighted, rows, known)
            residual = known - rows @ speed
        return float(speed[0]), float(speed[1]), float(np.sqrt(np.mean(residual**2)))

    def speed_scale(self, v: float, w: float, max_speed_rps: float) -> float:
        """Give the factor (0 to 1) on (v, w) that keeps every wheel within its largest speed."""
        velocity = self._wheel_velocity(v, w)
        fastest = float(np.max(np.hypot(velocity[:, 0], velocity[:, 1]))) / self.radius_m
        return 1.0 if fastest <= max_speed_rps else max_speed_rps / fastest

    def _wheel_velocity(self, v: float, w: float) -> FloatArray:
        if not (np.isfinite(v) and np.isfinite(w)):
            raise ValueError(f"command v = {v} m/s, w = {w} rad/s: not finite")
        x, y = self.positions_xy_m[:, 0], self.positions_xy_m[:, 1]
        return np.stack((v - w * y, w * (x - self.axle_x_m)), axis=-1)

    def _previous(self, steer_rad: FloatArray | None) -> FloatArray:
        count = len(self.positions_xy_m)
        if steer_rad is None:
            return np.zeros(count)
        steer = np.asarray(steer_rad, dtype=np.float64)
        if steer.shape != (count,):
            raise ValueError(f"steer angles {steer.shape}: expected ({count},)")
        return np.where(self.steered, steer, 0.0)

    def _project(self, velocity: FloatArray, steer: FloatArray) -> FloatArray:
        along = velocity[:, 0] * np.cos(steer) + velocity[:, 1] * np.sin(steer)
        return np.asarray(along / self.radius_m, dtype=np.float64)

    def _constraints(
        self, steer_rad: FloatArray, speed_rps: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        steer = self._previous(steer_rad)
        speed = np.asarray(speed_rps, dtype=np.float64)
        if speed.shape != steer.shape:
            raise ValueError(f"wheel speeds {speed.shape}: expected {steer.shape}")
        x, y = self.positions_xy_m[:, 0], self.positions_xy_m[:, 1]
        cos, sin = np.cos(steer), np.sin(steer)
        count = len(speed)
        rows = np.empty((2 * count, 3))
        rows[:count, 0], rows[:count, 1] = cos, sin
        rows[count:, 0], rows[count:, 1] = -sin, cos
        rows[:count, 2] = x * sin - y * cos
        rows[count:, 2] = x * cos + y * sin
        rolled = np.zeros(2 * count)
        rolled[:count] = speed * self.radius_m
        return rows, rolled


def _solve_two(weighted: FloatArray, rows: FloatArray, known: FloatArray) -> FloatArray:
    """Solve the normal equations of two unknowns."""
    (a, b), (c, d) = (weighted.T @ rows).tolist()
    p, q = (weighted.T @ known).tolist()
    determinant = a * d - b * c
    return np.array([(d * p - b * q) / determinant, (a * q - c * p) / determinant])
