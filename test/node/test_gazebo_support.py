"""Beside Gazebo: the clock at its rate, star trackers, the Sun, and lidar scans of our own."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Point, Pose, Vector3, Vector3Stamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, PointCloud2
from std_msgs.msg import ColorRGBA

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.types import OdometryEstimate
from ilrs_robots.nodes import convert, gazebo_support, qos
from ilrs_robots.nodes.gazebo_support import GazeboSupportNode
from ilrs_robots.nodes.sun import light_message
from ilrs_robots.robots.gazebo.interfaces import FAST_CLOCK
from ilrs_robots.robots.gazebo.light import SiteSun
from ilrs_robots.robots.gazebo.terrain import read_baked, shipped_dir
from ilrs_robots.robots.site import read_site
from ilrs_robots.sim import lidar as lidar_module


class FakeGazebo(Node):
    """What the bridge would publish, and what our nodes would hear."""

    def __init__(self) -> None:
        super().__init__("bridge")
        self.fast = self.create_publisher(Clock, FAST_CLOCK, 10)
        self.truth = self.create_publisher(Odometry, "/long_range/truth/odom", qos.STATE)
        self.heard: dict[str, list[Any]] = {}
        for topic, kind, profile in (
            ("/clock", Clock, qos.STATE),
            ("/long_range/star_tracker/attitude", Imu, qos.STATE),
            ("/long_range/lidar/points", PointCloud2, qos.SENSOR),
            ("/sun/direction", Vector3Stamped, qos.STATE),
            ("/diagnostics", DiagnosticArray, qos.STATE),
        ):
            found = self.heard.setdefault(topic, [])
            self.create_subscription(kind, topic, found.append, profile)

    def ready(self) -> bool:
        """Whether everything has found its peer."""
        return (
            self.fast.get_subscription_count() > 0
            and self.truth.get_subscription_count() > 0
            and self.count_publishers("/clock") > 0
            and self.count_publishers("/long_range/star_tracker/attitude") > 0
        )

    def tick(self, time_ns: int) -> None:
        """One physics step's clock."""
        self.fast.publish(Clock(clock=convert.to_stamp(time_ns)))

    def stand(self, time_ns: int, position: np.ndarray, quat: np.ndarray) -> None:
        """The true pose."""
        estimate = OdometryEstimate(time_ns, position, quat, np.zeros(3), np.zeros(3))
        child = "long_range/truth/base_link"
        self.truth.publish(convert.odometry_message(estimate, "map", child))


def support(**values: Any) -> GazeboSupportNode:
    """The node with parameters as from a command line."""
    return GazeboSupportNode(
        parameter_overrides=[Parameter(k, value=v) for k, v in values.items()]
    )


def test_the_clock_is_thinned_and_follows_a_reset(graph: Any) -> None:
    node = graph.add(support(site="shackleton", robots="long_range"))
    gazebo = graph.add(FakeGazebo())
    graph.until(gazebo.ready, "the clock's peers")
    times = gazebo.heard["/clock"]
    for step in range(1, 101):
        gazebo.tick(step * 4_000_000)
        graph.spin(3)
    graph.until(lambda: times and convert.to_ns(times[-1].clock) >= 360_000_000, "0.36 s")
    stamps = np.array([convert.to_ns(msg.clock) for msg in times])
    assert (np.diff(stamps) >= gazebo_support.CLOCK_PERIOD_NS).all()
    assert len(stamps) <= 11
    gazebo.tick(8_000_000)
    graph.until(lambda: convert.to_ns(times[-1].clock) == 8_000_000, "the clock after a reset")
    assert node.count_publishers("/long_range/lidar/points") == 0  # the fallback is off


def test_star_tracker_and_sun_say_what_is_true(graph: Any) -> None:
    graph.add(support(site="shackleton", robots="long_range"))
    gazebo = graph.add(FakeGazebo())
    graph.until(gazebo.ready, "the truth's peers")
    quat = se3.quat_from_rpy(0.1, -0.2, 2.0)
    for step in range(1, 26):
        gazebo.stand(step * 100_000_000, np.zeros(3), quat)
        graph.spin(3)
    seen = gazebo.heard["/long_range/star_tracker/attitude"]
    graph.until(lambda: len(seen) >= 3, "three attitudes in 2.5 s at 1 Hz")
    assert [convert.to_ns(msg.header.stamp) for msg in seen] == [
        100_000_000, 1_100_000_000, 2_100_000_000,
    ]  # fmt: skip
    sample = convert.attitude_sample(seen[0])
    turn = 2.0 * math.acos(min(1.0, abs(float(np.dot(sample.quat_wxyz, quat)))))
    assert 0.0 < turn < 10.0 * sample.sigma_rad
    assert seen[0].header.frame_id == "long_range/star_tracker_link"
    assert seen[0].angular_velocity_covariance[0] == -1.0

    gazebo.tick(3_600_000_000_000)
    graph.until(
        lambda: any(m.header.stamp.sec == 3600 for m in gazebo.heard["/sun/direction"]), "the Sun"
    )
    told = gazebo.heard["/sun/direction"][-1]
    light = SiteSun(read_site("shackleton"), 0.0).at(3600.0)
    vector = np.array([told.vector.x, told.vector.y, told.vector.z])
    assert told.header.frame_id == "map"
    np.testing.assert_allclose(vector, -light.direction, atol=1e-12)


def test_the_lidar_fallback_sees_the_baked_ground_and_is_named(graph: Any) -> None:
    node = graph.add(support(site="shackleton", robots="long_range", lidar_fallback=True))
    gazebo = graph.add(FakeGazebo())
    graph.until(gazebo.ready, "the truth's peers")
    level = read_baked(shipped_dir("shackleton")).heightmap.height(np.zeros((1, 2)))[0]
    position, quat = np.array([0.0, 0.0, level]), se3.quat_from_rpy(0.02, -0.03, 0.5)
    scans = gazebo.heard["/long_range/lidar/points"]
    first_ns = 12_000_000_000  # long after time zero: no scan of the past may appear
    for step in range(12):
        gazebo.stand(first_ns + step * 100_000_000, position, quat)
        graph.until(lambda n=step: node._fallbacks["long_range"]._last is not None
                    and node._fallbacks["long_range"]._last[0] >= first_ns + n * 100_000_000,
                    "the pose")  # fmt: skip
    graph.until(lambda: len(scans) >= 2, "scans")
    assert convert.to_ns(scans[0].header.stamp) >= first_ns
    assert scans[0].header.frame_id == "long_range/lidar_link"
    assert {f.name for f in scans[0].fields} == {"x", "y", "z", "intensity", "t"}
    cloud = convert.cloud_of(scans[0])
    assert len(cloud.xyz_m) > 5000
    config = node._fallbacks["long_range"]._model.lidar
    mount = se3.from_rpy(np.array(config.position_m), config.rpy_rad)
    pose = se3.make_transform(position, quat) @ mount
    points = cloud.xyz_m @ pose[:3, :3].T + pose[:3, 3]
    ground = node._fallbacks["long_range"]._ground
    above = points[:, 2] - ground.height(points[:, :2].astype(np.float64))
    near = np.hypot(*(points[:, :2] - position[:2]).T) < 10.0
    assert np.median(np.abs(above[near])) < 2.0 * config.range_sigma_m
    assert lidar_module.GROUND_INTENSITY >= np.median(cloud.intensity) > 0.0

    graph.until(lambda: gazebo.heard["/diagnostics"], "diagnostics")
    status = gazebo.heard["/diagnostics"][-1].status[0]
    assert status.level == DiagnosticStatus.WARN
    assert "lidar fallback is on for long_range" in status.message
    assert {v.key: v.value for v in status.values}["long_range.lidar"] == "fallback"


class LightFields:
    """The fields of ros_gz_interfaces/msg/Light (ros_gz, branch jazzy); others are refused.

    The package is in no wheel; its own class is used where Gazebo is.
    """

    DIRECTIONAL = 2
    __slots__ = (
        "attenuation_constant", "attenuation_linear", "attenuation_quadratic", "cast_shadows",
        "diffuse", "direction", "header", "id", "intensity", "name", "parent_id", "pose", "range",
        "specular", "spot_falloff", "spot_inner_angle", "spot_outer_angle", "type",
    )  # fmt: skip

    def __init__(self) -> None:
        self.pose, self.direction = Pose(), Vector3()
        self.diffuse, self.specular = ColorRGBA(), ColorRGBA()


def test_gazebos_light_gets_every_value_of_the_world() -> None:
    world = ElementTree.parse(share_dir() / "worlds" / "shackleton.sdf").getroot()
    wanted = world.find("world/light")
    assert wanted is not None
    ground = read_baked(shipped_dir("shackleton")).heightmap.height(np.zeros((1, 2)))[0]
    msg = light_message(LightFields, SiteSun(read_site("shackleton"), ground).at(0.0))
    assert (msg.name, msg.type) == (wanted.get("name"), LightFields.DIRECTIONAL)
    for name, colour in (("diffuse", msg.diffuse), ("specular", msg.specular)):
        values = [float(v) for v in (wanted.findtext(name) or "").split()]
        assert [colour.r, colour.g, colour.b, colour.a] == values
    direction = [float(v) for v in (wanted.findtext("direction") or "").split()]
    np.testing.assert_allclose(
        [msg.direction.x, msg.direction.y, msg.direction.z], direction, atol=2e-6
    )
    assert msg.intensity == float(wanted.findtext("intensity") or "nan")
    assert msg.cast_shadows == (wanted.findtext("cast_shadows") == "true")
    assert (msg.pose.position, msg.pose.orientation.w) == (Point(), 1.0)
