"""Turns in place where the ground leaves room for them, and room made where it does not.

A path planned for a point may begin in any direction. A vehicle that stands beside rocks can often
turn to it only after it has moved on or back a little. The longer way round is no way out: wheels
at four corners sweep the whole circle in any turn of more than half of it.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from ilrs_robots.core.control.ground_guard import Brakes, GroundGuard, GuardConfig
from ilrs_robots.core.planning.footing import Footing
from ilrs_robots.core.types import Float32Array, GridSpec

_STEP_M: Final = 0.1
_MOST_M: Final = 1.5
_SPEED_MPS: Final = 0.15
_THERE_M: Final = 0.03
_ASIDE_M: Final = 0.3


class _Shift(NamedTuple):
    x: float
    y: float
    yaw: float
    way_m: float


class TurningRoom:
    """Says how to turn in place where the command gate lets the vehicle turn.

    It judges by the same map, track and arcs as the gate does.

    Attributes:
        reason: what is done, empty while the turn is free.
    """

    def __init__(self, footing: Footing) -> None:
        """Take how the vehicle stands."""
        self._guard = GroundGuard(GuardConfig(), footing, Brakes(1.0, 1.0))
        self._per_rad_m = self._guard.rim_mps(0.0, 1.0)
        self._map: Float32Array | None = None
        self._shift: _Shift | None = None
        self.reset()

    def reset(self) -> None:
        """Forget what was begun."""
        self._shift, self.reason = None, ""

    def forget(self) -> None:
        """Forget map and track: time went back."""
        self._guard.forget()
        self._map = None
        self.reset()

    def step(
        self,
        turn_rad: float,
        pose: tuple[float, float, float],
        cost: Float32Array,
        spec: GridSpec,
    ) -> tuple[float, float] | None:
        """Speed (m/s) and yaw rate (rad/s), or None where the turn is to go on.

        Args:
            turn_rad: what is to be turned by in place, 0 for nothing.
            pose: x, y (m) and yaw (rad) in odom.
            cost: (rows, cols) float32 traversability, 0 to 1, 1 closed, NaN unknown.
            spec: its grid in odom.
        """
        self._guard.on_pose(*pose)
        if self._shift is not None:
            command = self._shifting(pose, self._shift)
            if command is not None:
                return command
            self.reset()
        if turn_rad == 0.0:
            self.reset()
            return None
        if cost is not self._map:
            self._map = cost
            self._guard.on_cost(cost, spec)
        self._shift = self._found(pose, turn_rad)
        return None if self._shift is None else self._shifting(pose, self._shift)

    def _found(self, pose: tuple[float, float, float], turn_rad: float) -> _Shift | None:
        """The shortest way straight back or on after which the turn is free; None for none."""
        if self._turns(pose, turn_rad):
            return None
        x, y, yaw = pose
        free = {1.0: True, -1.0: True}
        for count in range(1, round(_MOST_M / _STEP_M) + 1):
            for side in (-1.0, 1.0):
                way_m = side * count * _STEP_M
                free[side] = free[side] and self._guard.clear(
                    np.array(pose), side, 0.0, abs(way_m)
                )
                there = x + way_m * math.cos(yaw), y + way_m * math.sin(yaw), yaw
                if free[side] and self._turns(there, turn_rad):
                    return _Shift(x, y, yaw, way_m)
        return None

    def _turns(self, pose: tuple[float, float, float], turn_rad: float) -> bool:
        way_m = abs(turn_rad) * self._per_rad_m
        side = math.copysign(1.0 / self._per_rad_m, turn_rad)
        return self._guard.clear(np.array(pose), 0.0, side, way_m)

    def _shifting(
        self, pose: tuple[float, float, float], shift: _Shift
    ) -> tuple[float, float] | None:
        """Straight on or back along the heading at the start; None once it is done."""
        cos, sin = math.cos(shift.yaw), math.sin(shift.yaw)
        along = cos * (pose[0] - shift.x) + sin * (pose[1] - shift.y)
        aside = cos * (pose[1] - shift.y) - sin * (pose[0] - shift.x)
        left_m = abs(shift.way_m) - math.copysign(1.0, shift.way_m) * along
        if left_m < _THERE_M or left_m > abs(shift.way_m) + _ASIDE_M or abs(aside) > _ASIDE_M:
            return None
        self.reason = f"making room to turn: {shift.way_m:+.1f} m"
        error = math.remainder(shift.yaw - pose[2], 2.0 * math.pi)
        return math.copysign(_SPEED_MPS, shift.way_m), max(min(0.5 * error, 0.05), -0.05)
