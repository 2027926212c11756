"""What a stopped vehicle tries: stop and look, close what stopped it, back up where it came."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.navigator_types import NavigatorConfig
from ilrs_robots.core.control.progress import DrivenTrack, MotionMonitor
from ilrs_robots.core.control.tracker import PathTracker
from ilrs_robots.core.control.watchdog import Trouble
from ilrs_robots.core.planning.costmap import NavigationCostmap

_NS = 1e-9
_SHORT_M = 0.3
_NEAR_M = 0.5


class Recovery:
    """One recovery after another, a bounded number in one place and in all.

    The first in a place only looks, unless the vehicle was held by something that the map did not
    show; the next ones back up along the driven track. Where it is the way that is missing, the
    vehicle first goes and looks from near at what closes it, and backs up after that only; it may
    then pass closed ground at less distance.
    """

    def __init__(self, config: NavigatorConfig) -> None:
        """Start with none used."""
        self._config = config
        self._tracker = PathTracker(config.tracker)
        self._motion = MotionMonitor(config.stuck_distance_m, config.stuck_angle_rad)
        self.reset()

    def reconfigure(self, config: NavigatorConfig) -> None:
        """Take other parameters."""
        self._config = config
        self._tracker.config = config.tracker
        self._motion = MotionMonitor(config.stuck_distance_m, config.stuck_angle_rad)

    def reset(self) -> None:
        """Forget earlier recoveries."""
        self.total = 0
        self.reason = ""
        self._here = 0
        self._place: tuple[float, float] | None = None
        self._mark: tuple[float, float] | None = None
        self._look_until_ns = 0
        self._back_up = False
        self._backing = self._squeeze = self._recheck = False
        self._rechecked = False

    def begin(self, now_ns: int, x: float, y: float, trouble: Trouble) -> bool:
        """Begin a recovery; False when no more are allowed."""
        if self._place is None or (
            math.dist(self._place, (x, y)) > self._config.recovered_after_m
        ):
            self._here = 0
        if self._here >= self._config.max_recoveries or (
            self.total >= self._config.max_total_recoveries
        ):
            return False
        self._place = (x, y) if self._here == 0 else self._place
        self._here += 1
        self.total += 1
        self._mark = trouble.mark_xy_m
        lost = not trouble.held_up and self._mark is None
        self._recheck = lost
        self._back_up = not lost or (self._here > 1 and self._rechecked)
        self._look_until_ns = now_ns + round(self._config.look_s / _NS)
        self._backing = False
        self._squeeze = lost and self._rechecked
        self._rechecked = self._rechecked or lost
        self.reason = f"stopped to look: {trouble.cause}"
        return True

    def step(
        self,
        now_ns: int,
        pose: tuple[float, float, float, float],
        track: DrivenTrack,
        costmap: NavigationCostmap,
        held: bool,
    ) -> tuple[float, float, bool]:
        """Speed (m/s), yaw rate (rad/s), and whether the recovery is over.

        Args:
            now_ns: time of the stamps.
            pose: x, y, yaw, v in map.
            track: where the vehicle has driven.
            costmap: what stopped the vehicle is closed in it.
            held: something else keeps the vehicle from moving.
        """
        x, y, yaw, v = pose
        if now_ns < self._look_until_ns:
            return 0.0, 0.0, False
        if not self._backing:
            if self._mark is not None:
                costmap.mark_disc(*self._mark, self._config.mark_radius_m)
                self._mark = None
            if self._recheck:
                costmap.recheck()
            if self._squeeze:
                costmap.narrow()
            if not self._start_backing(x, y, yaw, track):
                return 0.0, 0.0, True
        v_out, w_out, status = self._tracker.command(x, y, yaw, v)
        still_s = self._motion.update(now_ns, x, y, yaw, not held)
        over = status.done or still_s > self._config.stuck_s
        if over:
            return 0.0, 0.0, True
        share = min(1.0, self._config.tracker.reverse_speed_mps / max(v_out, 1e-9))
        return share * v_out, share * w_out if v_out > 0.0 else w_out, False

    def _start_backing(self, x: float, y: float, yaw: float, track: DrivenTrack) -> bool:
        path = track.back(x, y, self._config.back_m)
        if not self._back_up or len(path) < 2 or math.dist(path[0], path[-1]) < _SHORT_M:
            return False
        near = path[np.hypot(*(path - path[0]).T) >= min(_NEAR_M, math.dist(path[0], path[-1]))]
        dx, dy = near[0] - path[0]
        # What was driven backwards is driven forwards on the way back.
        behind = dx * math.cos(yaw) + dy * math.sin(yaw) < 0.0
        # An arc back to the track would leave the ground that the vehicle has proven by driving.
        self._tracker.set_path(path, reverse=behind, aligned=True)
        self._motion.reset()
        self._backing = True
        self.reason = f"backing up by {self._config.back_m:.1f} m along the driven track"
        return True
