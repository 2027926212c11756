"""Notice when a vehicle that ought to drive does not get on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ilrs_robots.core.control.ground_ahead import Ahead
from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.progress import ApproachMonitor, MotionMonitor, Patience

_MOVING = 0.02


@dataclass(frozen=True)
class Trouble:
    """Why a recovery is needed.

    Attributes:
        cause: one short phrase.
        mark_xy_m: ground in map to be closed, or None.
        held_up: something held the vehicle although its way was open.
    """

    cause: str
    mark_xy_m: tuple[float, float] | None = None
    held_up: bool = False


class Watchdog:
    """Stuck under command, standing before closed or unseen ground, or getting no nearer."""

    def __init__(self, config: NavigatorConfig, front_m: float) -> None:
        """Take limits, and how far the vehicle reaches ahead of its centre."""
        self._config = config
        self._front_m = front_m
        self._motion = MotionMonitor(config.stuck_distance_m, config.stuck_angle_rad)
        self._approach = ApproachMonitor()
        self._standing = Patience()

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters."""
        self._config = config
        self._motion = MotionMonitor(config.stuck_distance_m, config.stuck_angle_rad)

    def reset(self) -> None:
        """Begin anew, for another goal."""
        self._approach.reset()
        self.pause()

    def pause(self) -> None:
        """Forget how long the vehicle has stood, after a recovery."""
        self._motion.reset()
        self._standing.update(0, False)

    def without_plan(self, now_ns: int, reason: str, held: bool) -> Trouble | None:
        """Trouble after standing for too long because there is no path."""
        if self._standing.update(now_ns, not held) > self._config.wait_s:
            return Trouble(reason or "no path")
        return None

    def driving(
        self,
        now_ns: int,
        pose: tuple[float, float, float],
        command: tuple[float, float],
        ahead: Ahead,
        remaining_m: float,
        held: bool,
        visited_m2: float = 0.0,
    ) -> Trouble | None:
        """Trouble while there is a path.

        Args:
            now_ns: time of the stamps.
            pose: x, y, yaw in map.
            command: speed (m/s) and yaw rate (rad/s) that the tracker asks for.
            ahead: closed and unseen ground on the path.
            remaining_m: path that is left.
            held: something else keeps the vehicle from moving.
            visited_m2: ground that the vehicle has come near to.
        """
        x, y, yaw = pose
        settings = self._config
        moving = max(abs(command[0]), abs(command[1])) > _MOVING
        still_s = self._motion.update(now_ns, x, y, yaw, moving and not held)
        stood_s = self._standing.update(now_ns, not moving and not held)
        if still_s > settings.stuck_s:
            reach_m = self._front_m + 0.5 * settings.mark_radius_m
            mark = (x + reach_m * math.cos(yaw), y + reach_m * math.sin(yaw))
            return Trouble(f"no motion for {still_s:.0f} s under command", mark, held_up=True)
        if stood_s > settings.wait_s:
            if ahead.closed_m <= ahead.seen_m:
                return Trouble(f"ground {ahead.closed_m:.1f} m ahead is closed")
            return Trouble(f"ground {ahead.seen_m:.1f} m ahead is not seen", ahead.end_xy_m)
        lost_s = self._approach.update(now_ns, remaining_m, held, visited_m2)
        if lost_s > settings.no_progress_s:
            self._approach.reset()
            cause = f"no nearer to the goal for {settings.no_progress_s:.0f} s"
            return Trouble(cause, held_up=True)
        return None
