"""The localisation node over real DDS: start, a given pose, a reset simulation, another clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState, PointCloud2, Range
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.types import Cloud, ImuSample, JointSample, RangeSample
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.far_senses import range_message
from ilrs_robots.nodes.localization import LONGEST_FALL_NS, LocalizationNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.robots.model import load_robot

S = 1_000_000_000
TICK_NS = 20_000_000
WHEELS = load_robot("long_range").wheels
NAMES = (*(f"{w}_wheel" for w in WHEELS.names), *(f"{w}_steer" for w in WHEELS.steered))
SPEED_MPS = 0.5


class Vehicle:
    """Drives straight ahead on level ground and publishes what its sensors say."""

    def __init__(
        self, graph: Any, *, use_sim_time: bool = True, method: str = "dead_reckoning"
    ) -> None:
        self.graph = graph
        self.node = graph.add(Node("vehicle"))
        self.clock = self.node.create_publisher(Clock, "/clock", qos.STATE)
        self.imu = self.node.create_publisher(Imu, "imu/data", qos.STREAM)
        self.joints = self.node.create_publisher(JointState, "joint_states", qos.STREAM)
        self.given = self.node.create_publisher(
            PoseWithCovarianceStamped, "initialpose", qos.STATE
        )
        self.points = self.node.create_publisher(PointCloud2, "lidar/points", qos.SENSOR)
        self.ranges = self.node.create_publisher(Range, "beacons/range", qos.STATE)
        self.looks = False
        self.odom: list[Odometry] = []
        self.map_odom = np.zeros(3)
        self.message, self.values = "", {}
        self.poses: list[PoseWithCovarianceStamped] = []
        subscribe = self.node.create_subscription
        subscribe(Odometry, "odom", self.odom.append, qos.STREAM)
        subscribe(PoseWithCovarianceStamped, "pose", self.poses.append, qos.STATE)
        subscribe(TFMessage, "/tf", self._on_tf, qos.TF)
        subscribe(DiagnosticArray, "/diagnostics", self._on_diagnostics, qos.STATE)
        self.now_ns, self.turned_rad = 50 * S, 0.0
        self.force_mps2 = np.array([0.0, 0.0, MOON_GRAVITY_MPS2])
        self.localization = graph.add(LocalizationNode())
        self.localization.set_parameters([Parameter("use_sim_time", value=use_sim_time)])
        self.localization.declare_parameter("method", method)
        bring_up(self.localization)
        graph.until(
            lambda: self.imu.get_subscription_count() and self.joints.get_subscription_count(),
            "discovery",
        )
        self.node.create_timer(0.01, self._tick)

    def _on_tf(self, msg: TFMessage) -> None:
        for item in msg.transforms:
            if item.header.frame_id == "map":
                self.map_odom = convert.split_transform_message(item.transform)[0]

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self.message = msg.status[0].message
        self.values = {pair.key: pair.value for pair in msg.status[0].values}

    def _tick(self) -> None:
        self.now_ns += TICK_NS
        rate = SPEED_MPS / WHEELS.radius_m
        self.turned_rad += rate * TICK_NS * 1e-9
        self.clock.publish(Clock(clock=convert.to_stamp(self.now_ns)))
        sample = ImuSample(self.now_ns, np.zeros(3), self.force_mps2)
        self.imu.publish(convert.imu_message(sample, "imu"))
        wheels, steers = len(WHEELS.names), len(WHEELS.steered)
        sample = JointSample(
            self.now_ns,
            NAMES,
            np.r_[np.full(wheels, self.turned_rad), np.zeros(steers)],
            np.r_[np.full(wheels, rate), np.zeros(steers)],
        )
        self.joints.publish(convert.joint_message(sample))
        if self.looks and self.now_ns % (10 * TICK_NS) == 0:
            self.points.publish(convert.cloud_message(self.scan()))
            self.ranges.publish(range_message(RangeSample(self.now_ns, "nobody", 9.0, 0.5), 99.0))

    def scan(self) -> Cloud:
        """Rolling ground that goes by."""
        rng = np.random.default_rng(self.now_ns)
        reach, turn = rng.uniform(2.0, 15.0, 8000), rng.uniform(0.0, 2.0 * np.pi, 8000)
        x, y = reach * np.cos(turn), reach * np.sin(turn)
        gone = self.turned_rad * WHEELS.rolling_radius_m
        z = 0.4 * np.sin(0.4 * (x + gone)) * np.cos(0.3 * y)
        xyz = np.column_stack((x, y, z)).astype(np.float32)
        return Cloud(self.now_ns, f"{self.localization.robot}/base_link", xyz, None)

    def give_pose(self, x: float, y: float, frame: str = "map", w: float = 1.0) -> None:
        msg = PoseWithCovarianceStamped()
        msg.header.frame_id = frame
        msg.pose.pose.position.x, msg.pose.pose.position.y = x, y
        msg.pose.pose.orientation.w = w
        self.given.publish(msg)

    def way_m(self) -> float:
        if not self.odom:
            return 0.0
        p = self.odom[-1].pose.pose.position
        return float(np.hypot(p.x, p.y))


@pytest.fixture
def vehicle(graph: Any) -> Vehicle:
    made = Vehicle(graph)
    graph.until(lambda: made.way_m() > 2.0, "odometry")
    return made


def test_a_reset_simulation_starts_again_where_the_site_says(graph: Any, vehicle: Vehicle) -> None:
    start = vehicle.map_odom.copy()
    vehicle.now_ns = S
    graph.until(lambda: vehicle.way_m() < 1.0, "the pose to start again")
    stamps = [convert.to_ns(msg.header.stamp) for msg in vehicle.odom]
    assert stamps[-1] < 40 * S
    graph.until(lambda: vehicle.way_m() > 1.0, "odometry to go on")
    np.testing.assert_array_equal(vehicle.map_odom, start)


def test_a_vehicle_that_is_dropped_takes_its_tilt_when_it_stands(graph: Any) -> None:
    vehicle = Vehicle(graph)
    vehicle.force_mps2 = np.zeros(3)
    fell_ns = vehicle.now_ns
    graph.until(lambda: vehicle.now_ns > fell_ns + S, "a second of falling")
    assert not vehicle.odom
    tilt = np.radians(8.0)
    vehicle.force_mps2 = MOON_GRAVITY_MPS2 * np.array([-np.sin(tilt), 0.0, np.cos(tilt)])
    graph.until(lambda: vehicle.odom, "odometry")
    q = vehicle.odom[0].pose.pose.orientation
    assert 2.0 * np.arcsin(q.y) == pytest.approx(tilt, abs=1e-3)


def test_a_vehicle_that_never_stands_still_begins_all_the_same(graph: Any) -> None:
    vehicle = Vehicle(graph)
    vehicle.force_mps2 = np.zeros(3)
    graph.until(lambda: vehicle.odom, "odometry")
    assert convert.to_ns(vehicle.odom[0].header.stamp) >= 50 * S + LONGEST_FALL_NS


def test_a_given_pose_moves_map_to_odom_onto_the_terrain(graph: Any, vehicle: Vehicle) -> None:
    before = vehicle.map_odom.copy()
    vehicle.give_pose(1.0, 2.0, frame="odom")
    vehicle.give_pose(1.0, 2.0, w=0.0)
    vehicle.give_pose(1e7, 0.0)
    vehicle.give_pose(12.0, -8.0)
    way = vehicle.way_m()
    graph.until(lambda: np.any(vehicle.map_odom != before), "the pose to be taken")
    jump = max(
        abs(b.pose.pose.position.x - a.pose.pose.position.x)
        for a, b in zip(vehicle.odom, vehicle.odom[1:], strict=False)
    )
    assert jump < 0.2
    assert vehicle.way_m() >= way
    x, y, z = vehicle.map_odom
    assert np.hypot(x - 12.0, y + 8.0) == pytest.approx(vehicle.way_m(), abs=0.5)
    prior = vehicle.localization._prior
    assert z == pytest.approx(float(prior.height(np.array([[12.0, -8.0]]))[0]), abs=0.1)


def test_the_filter_says_where_in_map_and_how_its_sensors_do(graph: Any) -> None:
    vehicle = Vehicle(graph, method="filter")
    graph.until(lambda: vehicle.way_m() > 1.0 and vehicle.poses, "odometry and poses in map")
    graph.until(lambda: "wheels_nis" in vehicle.values, "innovation statistics")
    assert int(vehicle.values["wheels_taken"]) > 20
    x = vehicle.poses[-1].pose.pose.position.x
    p = vehicle.odom[-1].pose.pose.position
    reach = vehicle.map_odom + np.array((p.x, p.y, p.z))
    assert x == pytest.approx(reach[0], abs=0.5)
    spread = np.array(vehicle.poses[-1].pose.covariance).reshape(6, 6)
    assert (np.diagonal(spread) > 0.0).all()
    vehicle.give_pose(12.0, -8.0)
    before = vehicle.map_odom.copy()
    graph.until(lambda: np.any(vehicle.map_odom != before), "the pose to be taken")


def test_scans_are_matched_beside_odometry_which_keeps_its_rate(graph: Any) -> None:
    vehicle = Vehicle(graph, method="filter")
    graph.until(lambda: vehicle.way_m() > 0.5, "odometry")
    vehicle.looks = True
    graph.until(lambda: int(vehicle.values.get("scan_taken", "0")) >= 3, "motions by scans")
    assert int(vehicle.values["scans_matched"]) >= 3
    assert int(vehicle.values["marks_unknown"]) >= 1
    assert "dem_fix" in vehicle.values
    stamps = np.array([convert.to_ns(msg.header.stamp) for msg in vehicle.odom])
    assert np.diff(stamps).max() <= 3 * TICK_NS
    vehicle.now_ns = S  # a reset while a scan may be under way
    graph.until(lambda: vehicle.way_m() < 0.4, "the pose to start again")
    graph.until(lambda: vehicle.way_m() > 0.5, "odometry to go on")


def test_a_node_on_the_wall_clock_names_use_sim_time(graph: Any) -> None:
    vehicle = Vehicle(graph, use_sim_time=False)
    graph.until(lambda: vehicle.message, "diagnostics")
    graph.until(lambda: "set use_sim_time of this node to true" in vehicle.message, "the sentence")
    assert vehicle.message.startswith("imu/data is stamped 5")
