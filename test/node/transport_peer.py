"""The far end of the transport tests: a process of its own, as every node of a site is."""

from __future__ import annotations

import contextlib
import sys

import rclpy
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import UInt32

SENSOR_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def count_clouds(node: Node) -> None:
    """Answer every cloud with how many have come so far."""
    publisher = node.create_publisher(UInt32, "received", 10)
    received = 0

    def on_cloud(_: PointCloud2) -> None:
        nonlocal received
        received += 1
        publisher.publish(UInt32(data=received))

    node.create_subscription(PointCloud2, "cloud", on_cloud, SENSOR_QOS)


def serve_goals(node: Node) -> None:
    """Answer every goal with one feedback and the goal's own x."""

    def execute(goal: ServerGoalHandle) -> NavigateToPose.Result:
        goal.publish_feedback(NavigateToPose.Feedback(distance_remaining=1.5))
        goal.succeed()
        return NavigateToPose.Result(error_msg=f"at {goal.request.pose.pose.position.x}")

    ActionServer(node, NavigateToPose, "navigate_to_pose", execute)


def main() -> None:
    """Run the role of the first argument in the namespace of the second until the test ends it."""
    rclpy.init()
    node = Node("transport_peer", namespace=sys.argv[2])
    {"clouds": count_clouds, "goals": serve_goals}[sys.argv[1]](node)
    with contextlib.suppress(ExternalShutdownException, KeyboardInterrupt):
        rclpy.spin(node)


if __name__ == "__main__":
    main()
