"""Wheels and steering in Gazebo: what the joints are told, with commands and without."""

from __future__ import annotations

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.gazebo_drive import GazeboDriveNode
from ilrs_robots.robots.gazebo.interfaces import steer_command_topic, wheel_command_topic
from ilrs_robots.robots.model import load_robot

pytestmark = pytest.mark.node

ROBOT = "long_range"
MODEL = load_robot(ROBOT)
WHEELS = MODEL.wheels
STEP_NS = 20_000_000


class Gazebo(Node):
    """Stands for Gazebo: joints that follow their set points at once, and a clock."""

    def __init__(self):
        super().__init__("gazebo")
        self.now_ns = 1_000_000_000
        self.speed = dict.fromkeys(WHEELS.names, 0.0)
        self.angle = dict.fromkeys(WHEELS.steered, 0.0)
        self.heard = 0
        for name in WHEELS.names:
            topic = wheel_command_topic(ROBOT, f"{name}_wheel")
            self.create_subscription(
                Float64,
                topic,
                lambda msg, name=name: self.take(self.speed, name, msg),
                qos.COMMAND,
            )
        for name in WHEELS.steered:
            topic = steer_command_topic(ROBOT, f"{name}_steer")
            self.create_subscription(
                Float64,
                topic,
                lambda msg, name=name: self.take(self.angle, name, msg),
                qos.COMMAND,
            )
        self.joints = self.create_publisher(JointState, "joint_states", qos.STREAM)
        self.commands = self.create_publisher(TwistStamped, "cmd_vel", qos.COMMAND)

    def take(self, values, name, msg):
        self.heard += 1
        values[name] = msg.data

    def say(self, **changes):
        self.now_ns += STEP_NS
        positions = {f"{n}_wheel": 0.0 for n in WHEELS.names}
        positions |= {f"{n}_steer": a for n, a in self.angle.items()} | changes
        msg = JointState(name=list(positions), position=list(positions.values()))
        msg.header.stamp = convert.to_stamp(self.now_ns)
        self.joints.publish(msg)

    def order(self, v, w, stamp_ns=None):
        msg = TwistStamped()
        msg.header.stamp = convert.to_stamp(self.now_ns if stamp_ns is None else stamp_ns)
        msg.twist.linear.x, msg.twist.angular.z = v, w
        self.commands.publish(msg)


@pytest.fixture
def both(graph, parameters):
    drive = graph.add(
        GazeboDriveNode(parameter_overrides=parameters(site="shackleton", robot=ROBOT))
    )
    gazebo = graph.add(Gazebo())
    graph.until(
        lambda: (
            gazebo.joints.get_subscription_count()
            and gazebo.commands.get_subscription_count()
            and gazebo.count_publishers(wheel_command_topic(ROBOT, "front_left_wheel"))
        ),
        "the graph",
    )
    return drive, gazebo


def turn(graph, drive, gazebo, steps, order=None):
    """Some periods of Gazebo's time; each is over when the drive has taken the joints."""
    for _ in range(steps):
        if order is not None:
            gazebo.order(*order)
            graph.spin(4)
        gazebo.say()
        graph.until(lambda: drive._now_ns == gazebo.now_ns, "the drive to follow")
    graph.spin(20)


def test_the_vehicle_drives_as_commanded_and_stops_when_commands_stay_away(graph, both):
    drive, gazebo = both
    graph.until(lambda: (turn(graph, drive, gazebo, 5, (0.5, 0.0)), gazebo.heard)[1], "a command")
    turn(graph, drive, gazebo, 120, (0.5, 0.0))
    np.testing.assert_allclose(list(gazebo.speed.values()), 0.5 / WHEELS.radius_m, rtol=0.01)
    turn(graph, drive, gazebo, 10)
    assert drive.drive.v_mps > 0.45  # 0.2 s of silence are within the time-out
    turn(graph, drive, gazebo, 60)
    assert drive.drive.v_mps == 0.0
    graph.until(lambda: not any(gazebo.speed.values()), "wheels at rest")


def test_wheels_turn_as_the_kinematics_say_and_wait_for_the_steering(graph, both):
    drive, gazebo = both
    graph.until(lambda: (turn(graph, drive, gazebo, 5, (0.0, 0.2)), gazebo.heard)[1], "a command")
    turn(graph, drive, gazebo, 60, (0.0, 0.2))
    for name, angle in gazebo.angle.items():
        x, y = WHEELS.positions[name]
        across = np.arctan2(0.2 * x, -0.2 * y)
        assert np.cos(2.0 * (angle - across)) == pytest.approx(1.0, abs=1e-6)
    assert gazebo.speed["middle_left"] == pytest.approx(-gazebo.speed["middle_right"], abs=2e-3)
    assert gazebo.speed["middle_right"] > 0.1


def test_bad_commands_and_broken_joint_states_never_move_the_vehicle(graph, both):
    drive, gazebo = both
    turn(graph, drive, gazebo, 3)
    gazebo.order(float("nan"), 0.0)
    gazebo.order(0.5, 0.0, stamp_ns=gazebo.now_ns - 300_000_000)
    turn(graph, drive, gazebo, 10)
    assert drive.drive.v_mps == 0.0
    gazebo.order(0.5, 0.0)
    graph.spin(10)
    gazebo.say(front_left_steer=float("nan"))
    graph.spin(10)
    assert drive.drive.v_mps == 0.0
    assert not any(gazebo.speed.values())


def test_time_set_back_stands_still_and_goes_on(graph, both):
    drive, gazebo = both
    turn(graph, drive, gazebo, 40, (0.5, 0.0))
    assert drive.drive.v_mps > 0.1
    gazebo.now_ns = 0
    turn(graph, drive, gazebo, 1)
    assert drive.drive.v_mps == 0.0
    turn(graph, drive, gazebo, 40, (0.5, 0.0))
    assert drive.drive.v_mps > 0.1
