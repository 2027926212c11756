"""Feeds the package's transform tree from /tf and /tf_static; one listener per process."""

from __future__ import annotations

from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.errors import TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.convert import split_transform_message, to_ns

MAX_BACKWARD_JUMP_NS = 1_000_000_000
"""A transform that is older than the newest by more than this means that time was reset."""


class TransformListener:
    """Subscribes on behalf of a node; several nodes of a process may share one listener."""

    def __init__(self, node: Node) -> None:
        self.tree = TransformTree()
        self._node = node
        self._newest_ns = 0
        node.create_subscription(TFMessage, "/tf", self._on_tf, qos.TF)
        node.create_subscription(TFMessage, "/tf_static", self._on_static, qos.TF_STATIC)

    def _on_tf(self, msg: TFMessage) -> None:
        for item in msg.transforms:
            stamp_ns = to_ns(item.header.stamp)
            if stamp_ns < self._newest_ns - MAX_BACKWARD_JUMP_NS:
                self._node.get_logger().warning(
                    f"time went back from {self._newest_ns * 1e-9:.2f} s to "
                    f"{stamp_ns * 1e-9:.2f} s: transform history cleared"
                )
                self.tree.clear()
                self._newest_ns = stamp_ns
            self._newest_ns = max(self._newest_ns, stamp_ns)
            position, quat = split_transform_message(item.transform)
            try:
                self.tree.set(item.header.frame_id, item.child_frame_id, stamp_ns, position, quat)
            except TransformError as error:
                self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)

    def _on_static(self, msg: TFMessage) -> None:
        for item in msg.transforms:
            position, quat = split_transform_message(item.transform)
            try:
                self.tree.set_static(
                    item.header.frame_id,
                    item.child_frame_id,
                    se3.make_transform(position, quat),
                )
            except TransformError as error:
                self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)
