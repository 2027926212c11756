"""Frame ids of a robot, and the transform tree that knows its sensors."""

from __future__ import annotations

from typing import Final

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.model import RobotModel

MAP_FRAME: Final = "map"
MAX_TRANSFORM_GAP_S: Final = 2.0
"""Between samples that are farther apart nothing is interpolated."""


def odom_frame(robot: str) -> str:
    """The robot's odometry frame id."""
    return f"{robot}/odom"


def base_frame(robot: str) -> str:
    """The robot's body frame id."""
    return f"{robot}/base_link"


def sensor_mounts(model: RobotModel, robot: str) -> dict[str, FloatArray]:
    """Sensor frame id -> (4, 4) T_base_sensor."""
    return {
        f"{robot}/{mount.frame}": se3.from_rpy(np.array(mount.position_m), mount.rpy_rad)
        for mount in model.sensors
    }


def new_tree(model: RobotModel, robot: str) -> TransformTree:
    """A transform tree that knows the robot's sensor mounts."""
    tree = TransformTree(max_gap_s=MAX_TRANSFORM_GAP_S)
    for frame, transform in sensor_mounts(model, robot).items():
        tree.set_static(base_frame(robot), frame, transform)
    return tree
