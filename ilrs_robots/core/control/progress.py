"""Whether a vehicle moves, whether it gets nearer, and where it has driven."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.control.path import wrap
from ilrs_robots.core.types import FloatArray

_NS = 1e-9


class MotionMonitor:
    """Time since the pose last changed while a command was given."""

    def __init__(self, distance_m: float, angle_rad: float) -> None:
        """Take what counts as motion."""
        self._distance_m = distance_m
        self._angle_rad = angle_rad
        self._anchor: tuple[int, float, float, float] | None = None

    def reset(self) -> None:
        """Begin anew at the next update."""
        self._anchor = None

    def update(self, now_ns: int, x: float, y: float, yaw: float, commanded: bool) -> float:
        """Seconds without motion under command."""
        anchor = self._anchor
        if anchor is None or not commanded or now_ns < anchor[0]:
            self._anchor = (now_ns, x, y, yaw)
            return 0.0
        moved = math.hypot(x - anchor[1], y - anchor[2]) >= self._distance_m
        if moved or abs(wrap(yaw - anchor[3])) >= self._angle_rad:
            self._anchor = (now_ns, x, y, yaw)
            return 0.0
        return (now_ns - anchor[0]) * _NS


class Patience:
    """Time for which a condition has held without a break."""

    def __init__(self) -> None:
        """Start with the condition false."""
        self._since_ns: int | None = None

    def update(self, now_ns: int, holds: bool) -> float:
        """Seconds for which it has held."""
        if not holds:
            self._since_ns = None
            return 0.0
        if self._since_ns is None or now_ns < self._since_ns:
            self._since_ns = now_ns
        return (now_ns - self._since_ns) * _NS


class ApproachMonitor:
    """Time since the way left last grew shorter than ever before, or new ground was looked at.

    A vehicle that goes round is not lost while it comes to places where it was not before; one
    that goes to and fro is.
    """

    def __init__(self, gain_m: float = 0.5, gain_m2: float = 10.0) -> None:
        """Take what counts as shorter, and as new ground."""
        self._gain_m, self._gain_m2 = gain_m, gain_m2
        self._best_m = math.inf
        self._most_m2 = 0.0
        self._since_ns = self._last_ns = 0

    def reset(self) -> None:
        """Forget the best."""
        self._best_m = math.inf

    def update(
        self, now_ns: int, remaining_m: float, held: bool = False, visited_m2: float = 0.0
    ) -> float:
        """Seconds without approach; those in which the vehicle was held do not count."""
        if held:
            self._since_ns += max(now_ns - self._last_ns, 0)
        self._last_ns = now_ns
        nearer = remaining_m < self._best_m - self._gain_m
        if nearer or visited_m2 > self._most_m2 + self._gain_m2 or now_ns < self._since_ns:
            self._best_m = min(remaining_m, self._best_m)
            self._most_m2 = visited_m2
            self._since_ns = now_ns
        return (now_ns - self._since_ns) * _NS


class DrivenTrack:
    """Where the vehicle has been, thinned, newest last.

    Attributes:
        driven_m: length of all that was added since ``begin``.
    """

    def __init__(self, spacing_m: float = 0.1, keep_m: float = 30.0) -> None:
        """Take spacing and length."""
        self._spacing_m = spacing_m
        self._keep = max(int(keep_m / spacing_m), 2)
        self._points: list[tuple[float, float]] = []
        self.driven_m = 0.0

    def begin(self) -> None:
        """Begin to count the way to another goal; the track stays."""
        self.driven_m = 0.0

    def add(self, x: float, y: float) -> None:
        """Append unless too near to the last; a jump begins a new track."""
        if self._points:
            away = math.dist(self._points[-1], (x, y))
            if away < self._spacing_m:
                return
            if away > 1.0:
                self._points.clear()
                away = 0.0
            self.driven_m += away
        self._points.append((x, y))
        del self._points[: -self._keep]

    def back(self, x: float, y: float, distance_m: float) -> FloatArray:
        """(N, 2) from here back along the track; shorter where the track is."""
        path = [(x, y)]
        left = distance_m
        for point in reversed(self._points):
            step = math.dist(path[-1], point)
            if step >= left:
                share = left / step
                path.append(
                    (
                        path[-1][0] + share * (point[0] - path[-1][0]),
                        path[-1][1] + share * (point[1] - path[-1][1]),
                    )
                )
                break
            left -= step
            path.append(point)
        return np.array(path)

    def cut(self, x: float, y: float) -> None:
        """Drop what lies after the point nearest to here, once it was driven back."""
        if self._points:
            away = [math.dist(point, (x, y)) for point in self._points]
            del self._points[away.index(min(away)) + 1 :]

    def clear(self) -> None:
        """Forget everything."""
        self._points.clear()
