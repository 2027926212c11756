"""A goal's pose in ``map``, whatever frame it came in."""

from __future__ import annotations

from geometry_msgs.msg import PoseStamped

from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import convert
from ilrs_robots.robots.steps import MAP_FRAME

MAX_AHEAD_NS = 1_000_000_000
"""A goal stamped ahead of the newest transform by no more than this may wait for its own."""


def in_map(tree: TransformTree, pose: PoseStamped) -> FloatArray:
    """(4, 4) T_map_goal at the pose's stamp; stamp 0 means now, no frame means ``map``.

    Raises:
        TransformError: the pose is none, or its frame is not known at its stamp.
    """
    frame = pose.header.frame_id or MAP_FRAME
    T_frame_goal = convert.pose_matrix(pose.pose)
    if frame == MAP_FRAME:
        return T_frame_goal
    stamp_ns = convert.to_ns(pose.header.stamp) or (tree.latest_stamp(MAP_FRAME, frame) or 0)
    T_map_goal: FloatArray = tree.lookup(MAP_FRAME, frame, stamp_ns) @ T_frame_goal
    return T_map_goal


def lies_ahead(tree: TransformTree, pose: PoseStamped) -> bool:
    """Whether the transform at the pose's stamp has not come yet, but soon will."""
    latest = tree.latest_stamp(MAP_FRAME, pose.header.frame_id or MAP_FRAME)
    stamp_ns = convert.to_ns(pose.header.stamp)
    return latest is not None and latest < stamp_ns <= latest + MAX_AHEAD_NS
