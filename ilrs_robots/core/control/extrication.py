"""What a trapped vehicle does: stop, back out slowly where it came, a few times, then ask."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from ilrs_robots.core.control.entrapment import (
    EntrapmentConfig,
    MotionEvidence,
    SlipWindow,
    trapped,
)
from ilrs_robots.core.control.progress import DrivenTrack
from ilrs_robots.core.control.tracker import PathTracker, TrackerConfig

_SHORT_M = 0.3
_LOOK_S = 0.5
"""Longest time between two steps that counts."""
_BLIND = 3.0
"""Of the way that counts as free: so far the wheels turn where nothing shows the motion."""


class _Phase(Enum):
    NONE = "none"
    RESTING = "resting"
    BACKING = "backing"


@dataclass(frozen=True)
class Answer:
    """What to do now.

    Attributes:
        v: forward speed, m/s.
        w: yaw rate, rad/s.
        reason: one sentence.
        begun: it was just seen to be trapped.
        free: it has just come out.
        bad_xy_m: with ``free``, centre of the ground that held it, in the frame of the poses.
        lost: it does not come out; somebody has to help.
    """

    v: float
    w: float
    reason: str
    begun: bool = False
    free: bool = False
    bad_xy_m: tuple[float, float] | None = None
    lost: bool = False


class Extrication:
    """Watches slip, and takes over while the vehicle is trapped.

    The pose may be reckoned from wheels that spin, so how far the vehicle has really backed is
    taken from the evidence; the pose serves to steer along the driven track.

    Attributes:
        window: slip over the last way of the wheels.
        count: how often it was trapped on the way to this goal.
    """

    def __init__(self, settings: EntrapmentConfig, tracker: TrackerConfig) -> None:
        """Start free."""
        self._settings, self._tracker = settings, PathTracker(tracker)
        self.window = SlipWindow(settings.way_m)
        self.reset()

    def reconfigure(self, settings: EntrapmentConfig, tracker: TrackerConfig) -> None:
        """Take other parameters."""
        if settings.way_m != self._settings.way_m:
            self.window = SlipWindow(settings.way_m)
        self._settings, self._tracker.config = settings, tracker

    def reset(self) -> None:
        """Begin anew, for another goal."""
        self.count = 0
        self._phase = _Phase.NONE
        self._tries = 0
        self._cause = ""
        self._until_ns = 0
        self._backed_m = self._rolled_m = 0.0
        self._seen = self._refused = False
        self._refused_s, self._looked_ns = 0.0, 0
        self.window.clear()

    def rewind(self) -> None:
        """Time went back."""
        self.window.restart()
        self.reset()

    @property
    def active(self) -> bool:
        """Whether it has taken over."""
        return self._phase is not _Phase.NONE

    def on_motion(self, span: MotionEvidence) -> None:
        """Take what wheels and surroundings say of a span of time."""
        if self._phase is _Phase.BACKING:
            self._rolled_m += max(-span.wheel_m, 0.0)
            if span.known:
                self._backed_m -= span.moved_m
                self._seen = True
        self.window.add(span)

    def on_gate(self, *, refuses_ground: bool) -> None:
        """Take whether the command gate lets nothing through because of the ground."""
        self._refused = refuses_ground

    def step(
        self, now_ns: int, pose: tuple[float, float, float, float], track: DrivenTrack
    ) -> Answer | None:
        """Say what to do; None while the vehicle is not trapped.

        Args:
            now_ns: time of the stamps.
            pose: x, y (m), yaw (rad), v (m/s).
            track: where it has driven.
        """
        if self._phase is _Phase.NONE:
            cause = trapped(self.window, self._settings)
            return self._begin(now_ns, cause) if cause else None
        if self._phase is _Phase.RESTING:
            if now_ns < self._until_ns:
                return Answer(0.0, 0.0, f"stopped: {self._cause}")
            if self._tries >= self._settings.tries:
                return self._help(f"{self._tries} tries to back out")
            if not self._aim(pose, track):
                return self._help("there is no driven track to back out along")
        return self._back(now_ns, pose)

    def _begin(self, now_ns: int, cause: str) -> Answer:
        self._cause, self._tries = cause, 0
        self.count += 1
        if self.count > self._settings.times:
            return self._help(f"it was trapped {self.count} times on the way")
        self._rest(now_ns)
        return Answer(0.0, 0.0, f"trapped, stopped: {cause}", begun=True)

    def _rest(self, now_ns: int) -> None:
        self._phase = _Phase.RESTING
        self._until_ns = now_ns + round(self._settings.rest_s * 1e9)

    def _aim(self, pose: tuple[float, float, float, float], track: DrivenTrack) -> bool:
        """Take the driven track as the way out; False where there is none."""
        far_m = _BLIND * self._settings.back_m
        path = track.back(pose[0], pose[1], far_m)
        if len(path) < 2 or math.dist(path[0], path[-1]) < _SHORT_M:
            return False
        self._tracker.set_path(path, reverse=True)
        self._phase = _Phase.BACKING
        self._tries += 1
        self._backed_m = self._rolled_m = 0.0
        self._seen = False
        self._refused_s = 0.0
        self.window.clear()
        return True

    def _back(self, now_ns: int, pose: tuple[float, float, float, float]) -> Answer:
        settings, (x, y, yaw, v) = self._settings, pose
        if self._backed_m >= settings.back_m:
            return self._out(x, y, yaw)
        if self._kept_in(now_ns) > settings.refused_s:
            if self._backed_m >= _SHORT_M:  # its wheels hold, and it may leave another way
                return self._out(x, y, yaw)
            self._also("the gate does not let it back out")
            self._rest(now_ns)
            return Answer(0.0, 0.0, f"stopped: {self._cause}")
        again = trapped(self.window, settings)
        far = self._rolled_m >= _BLIND * settings.back_m
        if again or far:
            if not self._seen:
                self._also("whether it backs out cannot be seen")
            self._rest(now_ns)
            return Answer(0.0, 0.0, f"stopped: {again or self._cause}")
        v_out, w_out, status = self._tracker.command(x, y, yaw, v)
        if status.done or status.turning:  # by its own reckoning it is there; the eyes decide
            v_out, w_out = -settings.back_mps, 0.0
        scale = min(1.0, settings.back_mps / max(abs(v_out), 1e-9))
        reason = (
            f"backing out at {settings.back_mps:.2f} m/s, try {self._tries} of {settings.tries}: "
            f"{self._cause}"
        )
        return Answer(scale * v_out, scale * w_out, reason)

    def _kept_in(self, now_ns: int) -> float:
        """Seconds of this try in which the gate refused, also with breaks between them."""
        if self._refused:
            self._refused_s += min(max(now_ns - self._looked_ns, 0) * 1e-9, _LOOK_S)
        self._looked_ns = now_ns
        return self._refused_s

    def _also(self, what: str) -> None:
        if what not in self._cause:
            self._cause = f"{self._cause}; {what}"

    def _out(self, x: float, y: float, yaw: float) -> Answer:
        """Free: what held it lies ahead of where it stands now."""
        away_m = self._backed_m + self._settings.mark_radius_m
        self._phase = _Phase.NONE
        self.window.clear()
        bad = (x + away_m * math.cos(yaw), y + away_m * math.sin(yaw))
        said = f"free again after {self._tries} tries, backed by {self._backed_m:.1f} m"
        return Answer(0.0, 0.0, said, free=True, bad_xy_m=bad)

    def _help(self, what: str) -> Answer:
        self._phase = _Phase.NONE
        self.window.clear()
        return Answer(0.0, 0.0, f"trapped: {self._cause}; {what}; help is needed", lost=True)
