"""Follow a path by regulated pure pursuit, for a vehicle that can turn in place."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.path import ArcPath, wrap
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import FloatArray

_ARRIVING_MPS = 0.2


@dataclass(frozen=True)
class TrackerConfig:
    """Limits and gains of the path tracker."""

    max_speed_mps: float = param(0.6, doc="forward speed", unit="m/s", low=0.01, high=20.0)
    reverse_speed_mps: float = param(0.25, doc="backward speed", unit="m/s", low=0.01, high=20.0)
    min_speed_mps: float = param(
        0.08, doc="speed below which regulation does not go", unit="m/s", low=0.0, high=5.0
    )
    max_yaw_rate_rps: float = param(0.3, doc="yaw rate", unit="rad/s", low=0.01, high=5.0)
    max_decel_mps2: float = param(
        0.25, doc="deceleration that speeds are planned for", unit="m/s2", low=0.01, high=10.0
    )
    max_lateral_mps2: float = param(
        0.2, doc="lateral acceleration in curves", unit="m/s2", low=0.01, high=10.0
    )
    lookahead_s: float = param(3.0, doc="lookahead time", unit="s", low=0.1, high=30.0)
    min_lookahead_m: float = param(1.0, doc="least lookahead", unit="m", low=0.05, high=50.0)
    max_lookahead_m: float = param(2.5, doc="largest lookahead", unit="m", low=0.05, high=50.0)
    slow_curvature_rpm: float = param(
        0.5, doc="curvature at which speed is halved", unit="rad/m", low=0.01, high=100.0
    )
    slow_clearance_m: float = param(
        1.5, doc="obstacles nearer than this slow the vehicle", unit="m", low=0.0, high=50.0
    )
    turn_above_rad: float = param(
        1.05, doc="heading error that is turned away in place", unit="rad", low=0.1, high=3.2
    )
    turn_until_rad: float = param(
        0.2, doc="heading error at which turning in place ends", unit="rad", low=0.01, high=3.2
    )
    turn_gain_per_s: float = param(
        1.0, doc="yaw rate per heading error when turning in place", unit="1/s", low=0.01
    )
    goal_tolerance_m: float = param(0.3, doc="position at the goal", unit="m", low=0.01, high=50.0)
    yaw_tolerance_rad: float = param(0.1, doc="yaw at the goal", unit="rad", low=0.005, high=3.2)
    clear_margin_m: float = param(
        0.3, doc="distance kept from the end of clear ground", unit="m", low=0.0, high=50.0
    )

    def __post_init__(self) -> None:
        """Check ranges and their order."""
        config.check(self)
        for low, high in (
            ("min_lookahead_m", "max_lookahead_m"),
            ("turn_until_rad", "turn_above_rad"),
            ("min_speed_mps", "max_speed_mps"),
        ):
            if getattr(self, low) > getattr(self, high):
                raise ConfigError(
                    f"{low} = {getattr(self, low)}: must not be above {high} = "
                    f"{getattr(self, high)}"
                )


@dataclass(frozen=True)
class TrackStatus:
    """How the path is being followed.

    Attributes:
        done: the end is reached, and the final yaw if one was asked for.
        cross_track_m: distance from the path, positive to its left.
        remaining_m: path that is left.
        reason: what limits the speed, one short phrase, empty when nothing does.
        turn_rad: what is to be turned by in place, 0 while the vehicle drives.
    """

    done: bool
    cross_track_m: float
    remaining_m: float
    reason: str
    turn_rad: float = 0.0

    @property
    def turning(self) -> bool:
        """The vehicle turns in place."""
        return self.turn_rad != 0.0


class PathTracker:
    """Regulated pure pursuit with turns in place.

    Speed is regulated by curvature, lateral acceleration, remaining path, clear ground ahead and
    nearby obstacles. Acceleration is left to the command gate. Backwards the same law is applied
    to the vehicle's rear.

    References: Coulter 1992 (pure pursuit); Macenski et al. 2023 (regulated pure pursuit).
    """

    def __init__(self, config: TrackerConfig) -> None:
        """Start without a path."""
        self.config = config
        self._path: ArcPath | None = None
        self._final_yaw: float | None = None
        self._reverse = False
        self._turning = False
        self._at_end = False

    @property
    def path(self) -> ArcPath | None:
        """The path with the vehicle's progress on it."""
        return self._path

    def set_path(
        self,
        xy_m: FloatArray,
        final_yaw_rad: float | None = None,
        reverse: bool = False,
        aligned: bool = False,
    ) -> None:
        """Follow a new path.

        Args:
            xy_m: (N, 2) metres, in the frame in which poses are given.
            final_yaw_rad: yaw to turn to at the end, or None.
            reverse: drive it backwards, rear first.
            aligned: turn in place to its direction first, however small the error is, where the
                ground beside the path is not to be touched.

        Raises:
            ValueError: no finite (N, 2) points, or the yaw is not finite.
        """
        if final_yaw_rad is not None and not math.isfinite(final_yaw_rad):
            raise ValueError(f"final yaw = {final_yaw_rad} rad: not finite")
        self._path = ArcPath(xy_m)
        self._final_yaw = final_yaw_rad
        self._turning = aligned or (self._turning and self._reverse == reverse)
        self._reverse = reverse
        self._at_end = False

    def clear(self) -> None:
        """Forget the path."""
        self._path = None
        self._turning = self._at_end = False

    def command(
        self,
        x: float,
        y: float,
        yaw: float,
        v: float,
        clear_distance_m: float = math.inf,
        obstacle_distance_m: float = math.inf,
    ) -> tuple[float, float, TrackStatus]:
        """Give the command for now.

        Args:
            x: metres, in the frame of the path.
            y: metres.
            yaw: rad.
            v: forward speed now, m/s.
            clear_distance_m: how far along the path the ground is seen and safe.
            obstacle_distance_m: distance of the nearest obstacle from the vehicle's edge.

        Returns:
            forward speed (m/s), yaw rate (rad/s), status. NaN input gives zero.
        """
        path = self._path
        if path is None:
            return 0.0, 0.0, TrackStatus(True, 0.0, 0.0, "no path")
        if not all(map(math.isfinite, (x, y, yaw, v))) or math.isnan(clear_distance_m):
            return 0.0, 0.0, TrackStatus(False, math.nan, math.nan, "pose is not finite")
        cross_m = path.project(x, y, back_m=1.0, ahead_m=3.0)
        remaining_m = path.length_m - path.progress_m
        facing = wrap(yaw + math.pi) if self._reverse else yaw
        if self._at_end or self._reached(path, x, y, abs(v), remaining_m):
            self._at_end = True
            return self._finish(yaw, cross_m, remaining_m)
        lookahead = self.config.lookahead_s * abs(v)
        lookahead = min(max(lookahead, self.config.min_lookahead_m), self.config.max_lookahead_m)
        px, py = self._carrot(path, x, y, lookahead)
        error = wrap(math.atan2(py - y, px - x) - facing)
        limit = self.config.turn_until_rad if self._turning else self.config.turn_above_rad
        self._turning = abs(error) > limit
        if self._turning:
            status = TrackStatus(False, cross_m, remaining_m, "turning in place", error)
            return 0.0, self._turn_rate(error), status
        curvature = 2.0 * math.sin(error) / max(math.hypot(px - x, py - y), 1e-6)
        speed, reason = self._speed(
            curvature, max(remaining_m, 0.05), clear_distance_m, obstacle_distance_m
        )
        sign = -1.0 if self._reverse else 1.0
        return sign * speed, speed * curvature, TrackStatus(False, cross_m, remaining_m, reason)

    def _reached(
        self, path: ArcPath, x: float, y: float, speed: float, remaining_m: float
    ) -> bool:
        """Within the tolerance of the end, slowed down, and not just passing by it."""
        tolerance = self.config.goal_tolerance_m
        if math.dist(path.xy_m[-1], (x, y)) > tolerance or remaining_m > 2.0 * tolerance:
            return False
        return speed <= _ARRIVING_MPS or remaining_m <= 0.3 * tolerance

    def _finish(
        self, yaw: float, cross_m: float, remaining_m: float
    ) -> tuple[float, float, TrackStatus]:
        error = 0.0 if self._final_yaw is None else wrap(self._final_yaw - yaw)
        if abs(error) <= self.config.yaw_tolerance_rad:
            return 0.0, 0.0, TrackStatus(True, cross_m, remaining_m, "")
        status = TrackStatus(False, cross_m, remaining_m, "turning to the final yaw", error)
        return 0.0, self._turn_rate(error), status

    def _carrot(self, path: ArcPath, x: float, y: float, lookahead: float) -> tuple[float, float]:
        """The point to steer to; near the end it does not run past the goal by much."""
        px, py = path.point(path.progress_m + lookahead)
        if path.progress_m + lookahead > path.length_m:
            gx, gy = path.xy_m[-1]
            if math.hypot(gx - x, gy - y) > self.config.min_lookahead_m:
                return float(gx), float(gy)
        return px, py

    def _turn_rate(self, error: float) -> float:
        rate = min(self.config.turn_gain_per_s * abs(error), self.config.max_yaw_rate_rps)
        return math.copysign(max(rate, 0.05), error)

    def _speed(
        self, curvature: float, remaining_m: float, clear_m: float, obstacle_m: float
    ) -> tuple[float, str]:
        """The lowest of all limits, and what sets it."""
        settings, bend = self.config, abs(curvature)
        top = settings.reverse_speed_mps if self._reverse else settings.max_speed_mps
        slowest = settings.min_speed_mps
        limits = [
            (top, ""),
            (max(top / (1.0 + bend / settings.slow_curvature_rpm), slowest), "curve"),
            (math.sqrt(settings.max_lateral_mps2 / max(bend, 1e-9)), "curve"),
            (settings.max_yaw_rate_rps / max(bend, 1e-9), "yaw rate"),
            (max(math.sqrt(2.0 * settings.max_decel_mps2 * remaining_m), slowest), "goal is near"),
            (
                math.sqrt(
                    2.0 * settings.max_decel_mps2 * max(clear_m - settings.clear_margin_m, 0.0)
                ),
                "clear ground is short",
            ),
        ]
        if obstacle_m < settings.slow_clearance_m:
            share = max(obstacle_m, 0.0) / settings.slow_clearance_m
            limits.append((max(top * (0.4 + 0.6 * share), slowest), "obstacle is near"))
        return min(limits)
