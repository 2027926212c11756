"""A way through poses, and what is checked and added around a search for one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.types import BoolArray, FloatArray, GridSpec

Pose = tuple[float, float, float]


@dataclass(frozen=True)
class Se2Path:
    """A way through poses.

    Attributes:
        poses: (N, 3) x, y (m) and yaw (rad); the first is the start.
        reverse: (N,) bool, the leg to this pose is driven backwards.
        cost_m: metres of free ground that it is worth.
        reached: it ends at the goal.
        reason: empty, or one sentence on what is not as asked.
        kept: it is what is left of the last path.
        looked_at: poses that the search made; 0 where none was needed.
    """

    poses: FloatArray
    reverse: BoolArray
    cost_m: float
    reached: bool
    reason: str = ""
    kept: bool = False
    looked_at: int = 0

    @property
    def length_m(self) -> float:
        """Metres that are driven."""
        return float(np.hypot(*np.diff(self.poses[:, :2], axis=0).T).sum())


@dataclass(frozen=True)
class LastPlan:
    """What is remembered of a plan: cost left and lower bound at each of its poses."""

    path: Se2Path
    goal: Pose
    excess_m: FloatArray


def cell_at(spec: GridSpec, place: Pose) -> tuple[int, int]:
    """Row and column of a place, at the rim where it lies beyond."""
    row, col = spec.cell_of(np.array(place[:2]))
    return min(max(int(row), 0), spec.rows - 1), min(max(int(col), 0), spec.cols - 1)


def same_pose(first: Pose, second: Pose) -> bool:
    """Whether two goals are alike; NaN stands for any yaw."""
    return bool(np.array_equal(np.array(first), np.array(second), equal_nan=True))


def check_ends(spec: GridSpec, start: Pose, goal: Pose) -> None:
    """Refuse what is not finite or outside the map.

    Raises:
        PlanningError: with the value and the limits.
    """
    x_min, y_min, x_max, y_max = spec.bounds_m
    for name, pose in (("start", start), ("goal", goal)):
        for axis, value, low, high in (("x", pose[0], x_min, x_max), ("y", pose[1], y_min, y_max)):
            if not math.isfinite(value):
                raise PlanningError(f"{name} {axis} = {value}: not finite")
            if not low <= value < high:
                raise PlanningError(
                    f"{name} {axis} = {value:.2f} m is outside the map, "
                    f"which spans {low:.2f} to {high:.2f} m"
                )
    if not math.isfinite(start[2]):
        raise PlanningError(f"start yaw = {start[2]} rad: not finite")


def straight_to(pose: FloatArray, goal: Pose, sample_m: float) -> FloatArray:
    """(N, 3) poses of the last turn, the straight way to the goal and its own yaw.

    Args:
        pose: (3,) x, y (m) and yaw (rad) from which it starts.
        goal: x, y (m) and yaw (rad), NaN for any.
        sample_m: distance between poses.
    """
    dx, dy = goal[0] - pose[0], goal[1] - pose[1]
    way = math.hypot(dx, dy)
    yaw = math.atan2(dy, dx) if way > 1e-6 else float(pose[2])
    count = max(math.ceil(way / sample_m), 1)
    share = np.arange(count + 1) / count
    made = np.column_stack((pose[0] + share * dx, pose[1] + share * dy, np.full(count + 1, yaw)))
    if math.isnan(goal[2]):
        return made
    return np.concatenate((made, [[goal[0], goal[1], goal[2]]]))
