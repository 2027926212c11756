"""Ground that the vehicle has driven over: what bore its wheels and passed below its belly.

What a map says of ground right under a vehicle is often worst: no ray reaches it, and what was
seen of it was seen from afar. Where that is called closed after the vehicle is on it, every
command leads over closed ground, and the vehicle would stand for ever. The way it came is safe:
wheels may go where wheels have gone, the underside where the vehicle has stood.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.types import FloatArray

WHEELS: Final = 2
BELLY: Final = 1
_EVERY_M: Final = 0.1
_EVERY_RAD: Final = 0.1
_POSES: Final = 60
"""At every tenth of a metre: as far as a vehicle backs up, and odometry drifts by little on it."""
_WHEEL_M: Final = 0.15
"""Half width of what a wheel has rolled over: the wheel's, and half a cell of the map."""


class ProvenGround:
    """The newest poses, and the cells that they prove."""

    def __init__(self, footing: Footing) -> None:
        """Start without a track."""
        self._poses: deque[FloatArray] = deque(maxlen=_POSES)
        away = (-_WHEEL_M, 0.0, _WHEEL_M)
        beside = np.array([(dx, dy) for dx in away for dy in away])
        self._wheels = (footing.wheels_xy_m[:, None] + beside).reshape(-1, 2)
        half_m = footing.half_length_m, footing.half_width_m
        x, y = (np.arange(-h, h + 0.05, 0.1) for h in half_m)
        self._belly = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    def add(self, pose: FloatArray) -> None:
        """Take a pose (3,): x, y (m) and yaw (rad) in odom."""
        if self._poses:
            dx, dy, turned = pose - self._poses[-1]
            turned = math.remainder(turned, math.tau)
            if math.hypot(dx, dy) < _EVERY_M and abs(turned) < _EVERY_RAD:
                return
        self._poses.append(np.array(pose))

    def forget(self) -> None:
        """Forget the track: odom is another one."""
        self._poses.clear()

    def proven(
        self, pose: FloatArray, origin_m: tuple[float, float], resolution_m: float,
        shape: tuple[int, int],
    ) -> NDArray[np.uint8]:  # fmt: skip
        """What of a grid is proven.

        Args:
            pose: (3,) where the vehicle stands now: x, y (m) and yaw (rad) in odom.
            origin_m: centre of the grid's first cell, odom, metres.
            resolution_m: side of a cell.
            shape: rows and columns.

        Returns:
            (rows, cols) uint8: ``WHEELS``, ``BELLY`` or 0.
        """
        out = np.zeros(shape, np.uint8)
        poses = np.array([*self._poses, pose])
        for points, word in ((self._belly, BELLY), (self._wheels, WHEELS)):
            cos, sin = np.cos(poses[:, 2, None]), np.sin(poses[:, 2, None])
            x = poses[:, 0, None] + cos * points[:, 0] - sin * points[:, 1]
            y = poses[:, 1, None] + sin * points[:, 0] + cos * points[:, 1]
            col = np.floor((x - origin_m[0]) / resolution_m + 0.5).astype(np.int64)
            row = np.floor((y - origin_m[1]) / resolution_m + 0.5).astype(np.int64)
            inside = (col >= 0) & (col < shape[1]) & (row >= 0) & (row < shape[0])
            out[row[inside], col[inside]] = word
        return out
