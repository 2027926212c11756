"""``robot_description`` and the links' transforms, where no ``robot_state_publisher`` does it."""

from __future__ import annotations

import threading
from time import perf_counter
from typing import Any, Final

from geometry_msgs.msg import TransformStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.geometry import se3
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.convert import to_ns, transform_message
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.robots.link_tree import Joint, LinkTree
from ilrs_robots.robots.site import load_placement
from ilrs_robots.robots.steps import base_frame, sensor_mounts

JOINT_PERIOD_NS: Final = 200_000_000
"""Wheels and arms are for the eye; every process of the site takes each message of /tf."""


class StatePublisherNode(ManagedNode):
    """Publishes what is fixed once, for whoever comes late as well, and moving links at 5 Hz.

    Moving links are published while somebody takes ``robot_description``, and only then: without
    it nobody can draw them.
    """

    later = ("joint_states",)

    def __init__(self) -> None:
        super().__init__("state_publisher")
        self._tree: LinkTree | None = None
        self._maker: threading.Thread | None = None
        self._joints: Any = None
        self._last_ns: int | None = None

    def setup(self) -> None:
        """Publish the mounts of the robot's sensors at once, its description when it is made.

        Expanding the description takes half a second of one core, in which the vehicle's other
        nodes shall not wait.
        """
        placement = load_placement(self.site_name, self.robot)
        model = placement.load_model()
        self._static = self.publisher(TFMessage, "/tf_static", qos.TF_STATIC)
        self._moving = self.publisher(TFMessage, "/tf", qos.TF)
        self._description = self.publisher(String, "robot_description", qos.MAP)
        mounts = sensor_mounts(model, self.robot)
        self._static.publish(
            TFMessage(
                transforms=[
                    transform_message(base_frame(self.robot), frame, 0, *se3.split_transform(T))
                    for frame, T in mounts.items()
                ]
            )
        )
        self.timer(1.0, self._watch)
        self._maker = threading.Thread(
            target=self._describe, args=(placement.model, set(mounts)), daemon=True
        )
        self._maker.start()

    def reset(self) -> None:
        """Wait for the description and forget it."""
        if self._maker is not None:
            self._maker.join()
        self._maker = self._tree = self._joints = None

    def destroy_node(self) -> None:
        """Wait for the description, whose publisher ends with the node."""
        if self._maker is not None:
            self._maker.join()
        super().destroy_node()

    def _watch(self) -> None:
        """Listen to the joints from the first moment that somebody takes the description."""
        if self._joints is None and self._description.get_subscription_count() > 0:
            self._joints = self.subscribe(JointState, "joint_states", self._on_joints, qos.SENSOR)

    def _describe(self, model: str, known: set[str]) -> None:
        """Make and publish the description, and the fixed links that are no sensors."""
        from ilrs_robots.robots.description import urdf_of

        try:
            urdf = urdf_of(model, self.robot)
            tree = LinkTree(urdf)
        except IlrsError as error:
            self.get_logger().error(f"no robot_description: {error}")
            return
        if not self.context.ok():
            return
        self._description.publish(String(data=urdf))
        fixed = [joint for joint in tree.fixed if f"{self.robot}/{joint.child}" not in known]
        self._static.publish(TFMessage(transforms=[self._message(j, 0, 0.0) for j in fixed]))
        self._tree = tree

    def _message(self, joint: Joint, stamp_ns: int, position: float) -> TransformStamped:
        parent, child = (f"{self.robot}/{link}" for link in (joint.parent, joint.child))
        place = se3.split_transform(joint.transform(position))
        return transform_message(parent, child, stamp_ns, *place)

    def _on_joints(self, msg: JointState) -> None:
        begin = perf_counter()
        stamp_ns = to_ns(msg.header.stamp)
        if self._tree is None or self._description.get_subscription_count() == 0:
            return
        if self._last_ns is not None and 0 <= stamp_ns - self._last_ns < JOINT_PERIOD_NS:
            return
        self._last_ns = stamp_ns
        positions = dict(zip(msg.name, msg.position, strict=False))
        known = [joint for joint in self._tree.moving if joint.name in positions]
        self._moving.publish(
            TFMessage(
                transforms=[self._message(j, stamp_ns, float(positions[j.name])) for j in known]
            )
        )
        self.latency.add(perf_counter() - begin)
