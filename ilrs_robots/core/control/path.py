"""A polyline by arc length: projection of a point, points ahead, what is left."""

from __future__ import annotations

import math

import numpy as np

from ilrs_robots.core.types import FloatArray


class ArcPath:
    """A path that is followed forwards; the projection does not jump between its branches.

    Attributes:
        xy_m: (N, 2) points without repetitions.
        along_m: (N,) arc length of each point.
        progress_m: arc length of the last projection.
    """

    def __init__(self, xy_m: FloatArray) -> None:
        """Take the points.

        Raises:
            ValueError: not (N, 2), empty or not finite.
        """
        xy = np.array(xy_m, dtype=np.float64)
        if xy.ndim != 2 or xy.shape[1] != 2 or len(xy) == 0 or not np.isfinite(xy).all():
            raise ValueError(f"path {xy.shape}: expected (N, 2) finite points, N >= 1")
        steps = np.hypot(*np.diff(xy, axis=0).T) if len(xy) > 1 else np.zeros(0)
        self.xy_m = xy[np.concatenate(([True], steps > 1e-9))]
        self.along_m = np.concatenate(([0.0], np.cumsum(steps[steps > 1e-9])))
        self.progress_m = 0.0

    @property
    def length_m(self) -> float:
        """Whole length."""
        return float(self.along_m[-1])

    def project(self, x_m: float, y_m: float, back_m: float, ahead_m: float) -> float:
        """Move the projection to the nearest point near the last one.

        Args:
            x_m: place.
            y_m: place.
            back_m: how far back it may move.
            ahead_m: how far ahead it may move.

        Returns:
            Distance from the path, positive when the point lies left of it.
        """
        if len(self.xy_m) == 1:
            return math.dist(self.xy_m[0], (x_m, y_m))
        low, high = self.progress_m - back_m, self.progress_m + ahead_m
        first = max(int(np.searchsorted(self.along_m, low, "right")) - 1, 0)
        last = min(int(np.searchsorted(self.along_m, high)), len(self.xy_m) - 1)
        start = self.xy_m[first:last]
        leg = self.xy_m[first + 1 : last + 1] - start
        size = self.along_m[first + 1 : last + 1] - self.along_m[first:last]
        offset = np.array([x_m, y_m]) - start
        share = np.clip((offset * leg).sum(axis=1) / size**2, 0.0, 1.0)
        away = np.hypot(*(offset - share[:, np.newaxis] * leg).T)
        best = int(np.argmin(away))
        at = float(self.along_m[first + best] + share[best] * size[best])
        self.progress_m = min(max(at, low, 0.0), high)
        cross = leg[best, 0] * offset[best, 1] - leg[best, 1] * offset[best, 0]
        return math.copysign(float(away[best]), float(cross))

    def point(self, along_m: float) -> tuple[float, float]:
        """Point at an arc length; beyond the end on the last leg's straight continuation."""
        x = float(np.interp(along_m, self.along_m, self.xy_m[:, 0]))
        y = float(np.interp(along_m, self.along_m, self.xy_m[:, 1]))
        beyond = along_m - self.length_m
        if beyond > 0.0 and len(self.xy_m) > 1:
            heading = self.heading(self.length_m)
            return x + beyond * math.cos(heading), y + beyond * math.sin(heading)
        return x, y

    def heading(self, along_m: float) -> float:
        """Direction of the leg at an arc length, rad; 0 for a single point."""
        if len(self.xy_m) == 1:
            return 0.0
        leg = int(np.searchsorted(self.along_m, along_m, "right")) - 1
        leg = min(max(leg, 0), len(self.xy_m) - 2)
        dx, dy = self.xy_m[leg + 1] - self.xy_m[leg]
        return math.atan2(dy, dx)

    def ahead(self, distance_m: float = math.inf) -> FloatArray:
        """(M, 2) points from the projection on, at most this far."""
        at = self.progress_m
        inner = (self.along_m > at) & (self.along_m < at + distance_m)
        end = min(at + distance_m, self.length_m)
        return np.concatenate(([self.point(at)], self.xy_m[inner], [self.point(end)]))


def wrap(angle_rad: float) -> float:
    """The same angle within -pi to pi."""
    return math.remainder(angle_rad, 2.0 * math.pi)
