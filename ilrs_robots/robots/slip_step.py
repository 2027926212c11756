"""How far the wheels rolled and how far the body went: evidence of slip from scans, ROS-free."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from typing import Final

import numpy as np

from ilrs_robots.core.control.entrapment import MotionEvidence
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.localization.scan_odometry import ScanMotion
from ilrs_robots.core.types import Cloud, JointSample
from ilrs_robots.robots.model import RobotModel, require_rover
from ilrs_robots.robots.scan_odometry_step import ScanOdometryStep
from ilrs_robots.robots.settings import own_boxes_of

SPACING_M: Final = 0.1
"""Way of the wheels between two scans that are matched."""
KEEP_NS: Final = 10_000_000_000
_LONGEST_STEP_S: Final = 0.5
_SURE: Final = 0.3
"""Spread of a scan's motion, over the wheels' way, above which it says nothing."""
_SURE_M: Final = 0.03
_MARGIN_M: Final = 0.1


class SlipStep:
    """Matches a scan to the surroundings every tenth of a metre that the wheels roll.

    Standing costs nothing. A scan that sees too little of its own motion along the vehicle, as on
    a featureless plain, gives a span of unknown motion.

    Attributes:
        scans: the odometry of the scans.
    """

    def __init__(self, model: RobotModel, robot: str) -> None:
        """Take the vehicle and its name, which frame ids begin with."""
        self._model, self._robot = model, robot
        self.scans = ScanOdometryStep(robot, boxes=own_boxes_of(model, _MARGIN_M))
        wheels = require_rover(model, "seeing slip").wheels
        self._radius_m = wheels.rolling_radius_m
        self._turning = [f"{name}_wheel" for name in wheels.names]
        self._steering = [
            f"{name}_steer" if name in wheels.steered else "" for name in wheels.names
        ]
        self.reset()

    def reset(self) -> None:
        """Begin anew: time was set back, or the vehicle was moved."""
        self.scans.reset()
        self._rolled: deque[tuple[int, float, float]] = deque()
        self._taken: tuple[int, float] | None = None
        self._matched: list[ScanMotion] = []

    def on_joints(self, sample: JointSample) -> None:
        """Take what the encoders say; samples that lack a wheel say nothing.

        It is the wheels' own speed that counts: odometry may know of the slip already.
        """
        at = {name: k for k, name in enumerate(sample.names)}
        if not all(name in at for name in (*self._turning, *filter(None, self._steering))):
            return
        turning = np.asarray(sample.velocity_rps)[[at[name] for name in self._turning]]
        angles = [sample.position_rad[at[n]] if n else 0.0 for n in self._steering]
        # Of most wheels: one that hangs in the air tells nothing of the way.
        self.on_rolled(
            sample.stamp_ns, float(np.median(turning * np.cos(angles))) * self._radius_m
        )

    def on_rolled(self, stamp_ns: int, speed_mps: float) -> None:
        """Take the speed of the wheels' rims along the body at a time."""
        if not math.isfinite(speed_mps):
            return
        if not self._rolled:
            self._rolled.append((stamp_ns, 0.0, 0.0))
            return
        last_ns, net_m, path_m = self._rolled[-1]
        if stamp_ns <= last_ns:
            return
        way_m = speed_mps * min((stamp_ns - last_ns) * 1e-9, _LONGEST_STEP_S)
        self._rolled.append((stamp_ns, net_m + way_m, path_m + abs(way_m)))
        while stamp_ns - self._rolled[0][0] > KEEP_NS:
            self._rolled.popleft()

    def wants_scan(self) -> bool:
        """Whether the next scan is worth its matching."""
        if not self._rolled:
            return False
        path_m = self._rolled[-1][2]
        return self._taken is None or path_m - self._taken[1] >= SPACING_M

    def add(self, cloud: Cloud) -> None:
        """Take a scan if it is due."""
        if self.wants_scan():
            self._taken = cloud.stamp_ns, self._rolled[-1][2]
            self.scans.add(cloud)

    def process(self, tree: TransformTree, now_ns: int) -> list[MotionEvidence]:
        """Evidence of the scans whose transforms, and the wheels' way as far, have come."""
        self._matched += self.scans.process(tree, now_ns)
        last_ns = self._rolled[-1][0] if self._rolled else -(1 << 62)
        ripe = [motion for motion in self._matched if motion.to_ns <= last_ns]
        self._matched = [motion for motion in self._matched if motion.to_ns > last_ns]
        return [self._span(motion) for motion in ripe]

    def _span(self, motion: ScanMotion) -> MotionEvidence:
        wheel_m = self._net_m(motion.to_ns) - self._net_m(motion.last_ns)
        moved_m, up_m = float(motion.T_last_to[0, 3]), float(motion.T_last_to[2, 3])
        spread_m = math.sqrt(max(float(motion.covariance[0, 0]), 0.0))
        if spread_m > max(_SURE * abs(wheel_m), _SURE_M):
            moved_m = math.nan
        return MotionEvidence(motion.last_ns, motion.to_ns, wheel_m, moved_m, -up_m)

    def _net_m(self, stamp_ns: int) -> float:
        """Way of the wheels until a time, between the speeds that were told."""
        if not self._rolled:
            return math.nan
        stamps = [entry[0] for entry in self._rolled]
        at = bisect_left(stamps, stamp_ns)
        if at == 0:
            return self._rolled[0][1]
        if at == len(stamps):
            return self._rolled[-1][1]
        (a_ns, a_m, _), (b_ns, b_m, _) = self._rolled[at - 1], self._rolled[at]
        return a_m + (b_m - a_m) * (stamp_ns - a_ns) / (b_ns - a_ns)
