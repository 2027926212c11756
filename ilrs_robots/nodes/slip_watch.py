"""The navigation node's eyes for slip: a scan now and then, while the wheels turn."""

from __future__ import annotations

from sensor_msgs.msg import JointState, PointCloud2

from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.geometry.transform_tree import TransformTree
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots.steps import NavigationStep


class SlipWatch:
    """Hands scans to the navigation step; what is not wanted is not even converted.

    Args:
        node: that subscribes.
        step: that matches the scans.
        tree: transforms.
    """

    def __init__(self, node: ManagedNode, step: NavigationStep, tree: TransformTree) -> None:
        self._step, self._tree = step, tree
        doc = "point clouds that show whether the vehicle moves as its wheels turn; empty: none"
        topic = str(declare_one(node, "slip_cloud_topic", "lidar/points", doc))
        if topic:
            node.subscribe(PointCloud2, topic, self._on_cloud, qos.SENSOR)
            node.subscribe(JointState, "joint_states", self._on_joints, qos.STREAM)

    def look(self, now_ns: int) -> None:
        """Match what has come."""
        self._step.look(self._tree, now_ns)

    def values(self) -> dict[str, object]:
        """For /diagnostics."""
        if self._step.slip is None:
            return {}
        window = self._step.navigator.slip
        return {"slip": window.slip, "slip_way_m": window.wheel_m, "sunk_m": window.sunk_m}

    def _on_joints(self, msg: JointState) -> None:
        self._step.on_joints(convert.joint_sample(msg))

    def _on_cloud(self, msg: PointCloud2) -> None:
        slip = self._step.slip
        if slip is None or not slip.wants_scan():
            return
        try:
            self._step.on_cloud(convert.cloud_of(msg))
        except InvalidCloudError as error:
            slip.scans.dropped[error.reason] += 1
