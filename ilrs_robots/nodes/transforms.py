"""Feeds the package's transform tree from /tf and /tf_static; one listener per process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.clock import ClockWatch, other_clock
from ilrs_robots.core.errors import TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.convert import split_transform_message, to_ns
from ilrs_robots.robots.frames import MAX_TRANSFORM_GAP_S

MAX_AHEAD_NS: Final = 1_000_000_000
"""A transform that lies further ahead of the clock is of another time, and is refused."""


class TransformListener:
    """Subscribes on behalf of a node; several nodes of a process may share one listener.

    When the node's clock is set back, every moving transform is forgotten. What still comes from
    before then lies in the future, and is refused.
    """

    def __init__(self, node: Node) -> None:
        self.tree = TransformTree(max_gap_s=MAX_TRANSFORM_GAP_S)
        self.waiting: list[Callable[[], None]] = []
        """Called whenever transforms have come, by those that may be waiting for them."""
        self._node = node
        self._watch = ClockWatch(bool(node.get_parameter("use_sim_time").value))
        self._refused: Counter[str] = Counter()
        node.create_subscription(TFMessage, "/tf", self._on_tf, qos.TF)
        node.create_subscription(TFMessage, "/tf_static", self._on_static, qos.TF_STATIC)

    @property
    def failures(self) -> dict[str, int]:
        """What was refused or asked for in vain, by reason; see ``TransformTree.failures``."""
        return {**self.tree.failures, **self._refused}

    def _on_tf(self, msg: TFMessage) -> None:
        now_ns = int(self._node.get_clock().now().nanoseconds)
        back_ns = self._watch.went_back_ns(now_ns)
        if back_ns:
            self._node.get_logger().warning(
                f"time was set back by {back_ns * 1e-9:.2f} s to {now_ns * 1e-9:.2f} s: "
                "transforms forgotten"
            )
            self.tree.clear()
        for item in msg.transforms:
            self._take(item, now_ns)
        for go_on in self.waiting:
            go_on()

    def _take(self, item: TransformStamped, now_ns: int) -> None:
        stamp_ns = to_ns(item.header.stamp)
        if now_ns and stamp_ns > now_ns + MAX_AHEAD_NS:
            self._refused["from_the_future"] += 1
            what = f"transform {item.header.frame_id} -> {item.child_frame_id}"
            ahead_s, limit_s = (stamp_ns - now_ns) * 1e-9, MAX_AHEAD_NS * 1e-9
            says = other_clock(what, stamp_ns, now_ns)
            self._node.get_logger().warning(
                says or f"{what} is {ahead_s:.3f} s ahead of the clock, limit {limit_s:.3f} s",
                throttle_duration_sec=5.0,
            )
            return
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
