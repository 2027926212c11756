"""From a path to a command: speeds that the ground allows, then the tracker or sampling control.

The tracker's pursuit turns in place, arrives and knows its speed limits; sampling control refines
its command while the vehicle is under way, over predicted pose, attitude and slip. Neither is
ever faster than what is seen ahead can be stopped in.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from ilrs_robots.core.control import mppi
from ilrs_robots.core.control.ground_ahead import Ahead
from ilrs_robots.core.control.mppi import SamplingController, path_table
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.path import ArcPath
from ilrs_robots.core.control.speed_limits import (
    braking_decel,
    bump_speed,
    profile,
    stopping_speed,
)
from ilrs_robots.core.planning import attitude_prediction
from ilrs_robots.core.planning.attitude_prediction import PredictedAttitude, predict_attitude
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.planning.local_terrain import LocalTerrain, footprint_discs
from ilrs_robots.core.types import FloatArray

_NS = 1e-9
_SPACING_M = 0.2
_LEAST_POINTS = 3
_PAUSE_S = 0.5
"""After a longer pause the last answer of sampling control means nothing."""
_ARRIVING_M = 1.2
"""The last of a path is left to the tracker."""
_STANDING_MPS = 0.05
"""Where motions are safe but none is better than standing, the tracker goes on."""
_MOST_SLIP = 0.5
"""More is not made good: the wheels would dig in."""
_UNSAFE_S = 1.0
"""So long every motion may be unsafe before the way is taken for closed."""


class LocalDriver:
    """Command along a path, for a vehicle whose footing is known.

    Attributes:
        reason: why the last command is slower than the tracker's, empty where it is not.
    """

    def __init__(
        self, config: NavigatorConfig, footing: Footing, footprint_m: tuple[float, float]
    ) -> None:
        """Prepare sampling control.

        Args:
            config: of the navigator.
            footing: how the vehicle stands.
            footprint_m: its length and width.
        """
        self.footing, self._discs = footing, footprint_discs(*footprint_m)
        self._reach_m = 0.5 * footprint_m[0]
        self.reconfigure(config)

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters."""
        self._config = config
        self._sampler = SamplingController(config.mppi, config.driving, self._discs, self.footing)
        self.reset()

    def reset(self) -> None:
        """Forget the last command."""
        self.reason = ""
        self._last_ns: int | None = None
        self._unsafe_ns: int | None = None
        self._curvature = 0.0
        self._points, self._step_m = np.zeros((0, 2)), _SPACING_M
        self._stand: PredictedAttitude | None = None

    def look(self, now_ns: int, path: ArcPath, ahead: Ahead, terrain: LocalTerrain) -> Ahead:
        """Predict how the vehicle would stand along the path; where it must not, it is closed.

        Args:
            now_ns: time of the stamps.
            path: with the vehicle's progress on it.
            ahead: closed and unseen ground on it.
            terrain: the ground around, in map.
        """
        self._points, self._step_m = _even(path.ahead(self._config.view_m))
        self._stand = None
        if len(self._points) < _LEAST_POINTS:
            return ahead
        if terrain.heights is not None:
            leg = np.diff(self._points, axis=0)
            yaw = np.arctan2(leg[:, 1], leg[:, 0])
            poses = np.column_stack((self._points, np.append(yaw, yaw[-1])))
            self._stand = predict_attitude(terrain.heights, self.footing, poses)
            bad = self._tips(self._stand)
            first = int(np.argmax(bad))
            away_m = first * self._step_m - self._reach_m
            if bad.any() and away_m > 0.0 and away_m < ahead.closed_m:
                x, y = self._points[first]
                return dataclasses.replace(ahead, closed_m=away_m, end_xy_m=(float(x), float(y)))
        if self._unsafe_ns is not None and (now_ns - self._unsafe_ns) * _NS > _UNSAFE_S:
            away = min(round(2.0 * self._reach_m / self._step_m), len(self._points) - 1)
            x, y = self._points[away]
            closed_m = min(ahead.closed_m, self._reach_m)
            return dataclasses.replace(ahead, closed_m=closed_m, end_xy_m=(float(x), float(y)))
        return ahead

    def command(
        self,
        now_ns: int,
        pose: tuple[float, float, float],
        v: float,
        tracked: tuple[float, float],
        clear_m: float,
        terrain: LocalTerrain,
    ) -> tuple[float, float]:
        """Forward speed of the wheels (m/s) and yaw rate (rad/s), after ``look``.

        Args:
            now_ns: time of the stamps.
            pose: x, y (m) and yaw (rad) in map.
            v: forward speed, m/s.
            tracked: speed (m/s) and yaw rate (rad/s) that the tracker asks for.
            clear_m: how far along the path the ground is seen and safe.
            terrain: the ground around, in map.
        """
        self.reason = ""
        if tracked[0] <= 0.0 or len(self._points) < _LEAST_POINTS:
            self._last_ns, self._curvature = None, 0.0
            return tracked
        speed = self._profile(clear_m, tracked[0])
        arriving = self._step_m * len(self._points) < _ARRIVING_M
        if self._config.controller == "tracker" or arriving:
            return self._as_tracked(tracked, float(speed[0]))
        elapsed_s = self._elapsed_s(now_ns)
        curvature = tracked[1] / tracked[0]
        motion = self._sampler.step(
            (*pose, max(v, 0.0), self._curvature),
            path_table(self._points, speed),
            terrain,
            np.array([[float(speed[0]), curvature], [0.5 * float(speed[0]), curvature]]),
            elapsed_s,
        )
        self._last_ns = now_ns
        if not motion.safe:
            self.reason = "no safe motion ahead"
            self._unsafe_ns = now_ns if self._unsafe_ns is None else self._unsafe_ns
            self._curvature = 0.0
            return 0.0, 0.0
        self._unsafe_ns = None
        if motion.v < _STANDING_MPS < float(speed[0]):
            self._curvature = curvature
            return self._as_tracked(tracked, float(speed[0]))
        self._curvature = motion.w / max(motion.v, 1e-3)
        wheels = min(motion.v, float(speed[0]) / (1.0 - self._slip()))
        return wheels, wheels * self._curvature

    def _tips(self, stand: PredictedAttitude) -> FloatArray:
        """(N,) bool, where roll, pitch or clearance is beyond the limit."""
        limits, margin = self._config.driving, self._config.mppi.belly_margin_m
        with np.errstate(invalid="ignore"):
            bad = np.abs(stand.roll_rad) > limits.max_roll_rad
            bad |= np.abs(stand.pitch_rad) > limits.max_pitch_rad
            bad |= stand.clearance_m < margin
        return np.asarray(bad)

    def _elapsed_s(self, now_ns: int) -> float:
        if self._last_ns is None or not 0 <= (now_ns - self._last_ns) * _NS < _PAUSE_S:
            self._sampler.reset()
            self._curvature = 0.0
            return 0.0
        return (now_ns - self._last_ns) * _NS

    def _profile(self, clear_m: float, top_mps: float) -> FloatArray:
        """(N,) speed that is wanted at each point of the path ahead."""
        settings, limits = self._config.speed, self._config.driving
        count = len(self._points)
        limit, climb = np.full(count, top_mps), np.zeros(count)
        if self._stand is not None:
            climb = np.nan_to_num(-self._stand.pitch_rad)
            bumps = bump_speed(self._stand.height_m, self._step_m, settings)
            limit = np.minimum(limit, np.maximum(bumps, settings.least_mps))
        decel = braking_decel(limits.max_decel_mps2, limits.friction, climb, settings.brake_share)
        worst = np.minimum.accumulate(decel[::-1])[::-1]
        left_m = clear_m - self._config.tracker.clear_margin_m - self._step_m * np.arange(count)
        limit = np.minimum(limit, stopping_speed(left_m, worst, settings.reaction_s))
        return profile(limit, self._step_m, decel, float(limit[-1]))

    def _as_tracked(self, tracked: tuple[float, float], wanted: float) -> tuple[float, float]:
        """The tracker's command no faster than wanted, with the slip of the slope made good."""
        v, w = tracked
        ground = min(v, wanted)
        if ground < v - 1e-6:
            self.reason = "ground allows no more"
        limits = self._config.driving
        return min(ground / (1.0 - self._slip()), limits.max_speed_mps), w * ground / v

    def _slip(self) -> float:
        """Slip ratio that the slope under the vehicle makes, positive uphill."""
        if self._stand is None:
            return 0.0
        climb = float(np.nan_to_num(-self._stand.pitch_rad[0]))
        slip = self._config.driving.slip_per_slope * math.sin(climb)
        return min(max(slip, -_MOST_SLIP), _MOST_SLIP)


def _even(points_m: FloatArray) -> tuple[FloatArray, float]:
    """The (N, 2) line with points at even distances, and that distance; one point for none."""
    leg = np.hypot(*np.diff(points_m, axis=0).T)
    along = np.concatenate(([0.0], np.cumsum(leg)))
    count = math.ceil(along[-1] / _SPACING_M) + 1
    at = np.linspace(0.0, along[-1], count)
    even = np.column_stack([np.interp(at, along, points_m[:, n]) for n in range(2)])
    return even, float(along[-1] / max(count - 1, 1))


def warm_up() -> None:
    """Compile the kernels that driving uses."""
    attitude_prediction.warm_up()
    mppi.warm_up()
