"""A hopper's engines, tank and altimeter beside Gazebo, over ROS."""

from __future__ import annotations

from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import FluidPressure, Imu, JointState, Range

from ilrs_robots.core.types import ImuSample, OdometryEstimate, ThrusterCommand
from ilrs_robots.nodes import convert, hop_convert, qos
from ilrs_robots.nodes.flight_output import THRUST_TOPIC
from ilrs_robots.nodes.gazebo_thrust import GazeboThrustNode
from ilrs_robots.robots.gazebo.terrain import read_baked, shipped_dir
from ilrs_robots.robots.model import load_robot

MODEL = load_robot("hopper")
STEP_NS = 4_000_000


class FakeGazebo(Node):
    """What the bridge and the flight node would say."""

    def __init__(self) -> None:
        super().__init__("bridge", namespace="hopper")
        self.imu = self.create_publisher(Imu, "imu/data", qos.STREAM)
        self.truth = self.create_publisher(Odometry, "truth/odom", qos.STATE)
        self.thrust = self.create_publisher(JointState, THRUST_TOPIC, qos.COMMAND)
        self.ranges: list[Range] = []
        self.pressures: list[FluidPressure] = []
        self.create_subscription(Range, "altimeter/range", self.ranges.append, qos.STREAM)
        self.create_subscription(FluidPressure, "tank/pressure", self.pressures.append, qos.STATE)

    def ready(self) -> bool:
        return bool(
            self.imu.get_subscription_count() and self.truth.get_subscription_count()
            and self.thrust.get_subscription_count() and self.count_publishers("altimeter/range")
        )  # fmt: skip


def test_thrust_burns_the_tank_and_the_altimeter_sees_the_baked_ground(graph: Any) -> None:
    node = graph.add(GazeboThrustNode("hopper"))
    gazebo = graph.add(FakeGazebo())
    graph.until(gazebo.ready, "the graph")
    level = read_baked(shipped_dir("shackleton")).heightmap.height(np.zeros((1, 2)))[0]
    place, upright = np.array([0.0, 0.0, level + 30.0]), np.array([1.0, 0.0, 0.0, 0.0])
    thrust = np.where([t.group == "main" for t in MODEL.thrusters.values()], 120.0, 0.0)
    last = 0
    for k in range(1, 126):
        last = k * STEP_NS
        if k % 5 == 1:
            estimate = OdometryEstimate(last, place, upright, np.zeros(3), np.zeros(3))
            gazebo.truth.publish(convert.odometry_message(estimate, "map", "hopper/truth"))
            command = ThrusterCommand(last, thrust)
            gazebo.thrust.publish(
                hop_convert.thruster_message(command, list(MODEL.thrusters), "hopper/base_link")
            )
            graph.spin(4)
        sample = ImuSample(last, np.zeros(3), np.array([0.0, 0.0, 2.4]))
        gazebo.imu.publish(convert.imu_message(sample, "hopper/imu_link"))
        graph.spin(2)
    graph.until(lambda: node._run_ns >= last - 20_000_000, "the engines to follow")
    np.testing.assert_allclose(node.engines.thrust_n[:4], 120.0, rtol=0.1)
    flow = 480.0 / (MODEL.tank.isp_s * 9.80665)
    spent = MODEL.tank.propellant_kg - node.engines.propellant_kg
    assert 0.3 * flow < spent < 0.55 * flow
    graph.until(lambda: len(gazebo.pressures) >= 2 and len(gazebo.ranges) >= 5, "its sensors")
    seen = np.median([m.range for m in gazebo.ranges])
    height = 30.0 + MODEL.altimeter.position_m[2]
    assert abs(seen - height) < 0.2
    told = hop_convert.tank_sample(gazebo.pressures[0])
    assert abs(MODEL.tank.propellant_of(told.pressure_pa) - MODEL.tank.propellant_kg) < 2.0
    bad = JointState(name=["main_left"], effort=[float("nan")])
    gazebo.thrust.publish(bad)
    graph.spin(10)
    assert np.isfinite(node.engines.thrust_n).all()
