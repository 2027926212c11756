"""``robot_description`` and transforms of links, as a viewer takes them."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.geometry import se3
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.state_publisher import StatePublisherNode
from ilrs_robots.robots.frames import sensor_mounts
from ilrs_robots.robots.model import load_robot

pytestmark = pytest.mark.node

STAMP_NS = 5_000_000_000
ANGLES = {"rocker_left": 0.2, "front_left_steer": -0.5, "front_left_wheel": 1.0}


class Viewer(Node):
    def __init__(self):
        super().__init__("viewer")
        self.texts, self.static, self.moving = [], {}, {}
        self.create_subscription(String, "robot_description", self.texts.append, qos.MAP)
        self.create_subscription(TFMessage, "/tf_static", self.on_static, qos.TF_STATIC)
        self.create_subscription(TFMessage, "/tf", self.on_moving, qos.TF)
        self.joints = self.create_publisher(JointState, "joint_states", qos.STREAM)

    def on_static(self, msg):
        self.static.update({t.child_frame_id: t for t in msg.transforms})

    def on_moving(self, msg):
        self.moving.update({t.child_frame_id: t for t in msg.transforms})

    def say_joints(self):
        msg = JointState(name=list(ANGLES), position=list(ANGLES.values()))
        msg.header.stamp = convert.to_stamp(STAMP_NS)
        self.joints.publish(msg)
        return len(self.moving)


def matrix(item):
    return se3.make_transform(*convert.split_transform_message(item.transform))


def test_a_viewer_that_comes_late_can_draw_the_vehicle(graph):
    node = graph.add(StatePublisherNode())
    node.trigger_configure()
    node.trigger_activate()
    viewer = graph.add(Viewer())
    mounts = sensor_mounts(load_robot("long_range"), "long_range")
    graph.until(lambda: set(mounts) < set(viewer.static), "the static transforms")
    for frame, T_base_sensor in mounts.items():
        item = viewer.static[frame]
        assert item.header.frame_id == "long_range/base_link"
        np.testing.assert_allclose(matrix(item), T_base_sensor, atol=1e-12)

    graph.until(lambda: viewer.texts, "the description")
    links = {link.get("name") for link in ET.fromstring(viewer.texts[-1].data).findall("link")}
    assert "base_link" in links

    graph.until(viewer.say_joints, "moving links")
    steer = viewer.moving["long_range/front_left_knuckle_link"]
    assert convert.to_ns(steer.header.stamp) == STAMP_NS
    assert steer.header.frame_id == "long_range/rocker_left_link"
    turned = se3.from_rpy(np.zeros(3), (0.0, 0.0, ANGLES["front_left_steer"]))[:3, :3]
    np.testing.assert_allclose(matrix(steer)[:3, :3], turned, atol=1e-9)
    drawn = set(viewer.static) | set(viewer.moving) | {"long_range/base_link"}
    silent = {n for n in links if f"long_range/{n}" not in drawn}
    assert all(any(word in n for word in ("wheel", "knuckle", "bogie", "rocker")) for n in silent)
