"""The recorder on a real graph: whatever is published stands in the bag, and the bag opens."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from action_msgs.msg import GoalStatus, GoalStatusArray  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from grid_map_msgs.msg import GridMap  # noqa: E402
from nav2_msgs.action import NavigateToPose  # noqa: E402
from nav_msgs.msg import Odometry  # noqa: E402
from rclpy.action import ActionClient, ActionServer  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import MultiThreadedExecutor  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402
from std_msgs.msg import Float32MultiArray, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from ilrs_robots import __version__  # noqa: E402
from ilrs_robots.core import config  # noqa: E402
from ilrs_robots.core.paths import config_file  # noqa: E402
from ilrs_robots.nodes.recorder import CLOCK_KEY, RecorderConfig  # noqa: E402
from ilrs_robots.nodes.recorder_types import (  # noqa: E402
    UnknownTypeError,
    message_definition,
)
from ilrs_robots.replay.bag import Bag  # noqa: E402
from ilrs_robots.replay.mcap_scan import look  # noqa: E402
from ilrs_robots.replay.recovery import needs_repair  # noqa: E402
from ilrs_robots.robots.assembly import dds_environment  # noqa: E402

pytestmark = pytest.mark.node

SENSOR = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
MAP = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
FEEDBACK = "/rover/navigate_to_pose/_action/feedback"
STATUS = "/rover/navigate_to_pose/_action/status"
COUNT = 30


def wait_until(condition, what, timeout_s=60.0):
    """Poll a condition on the graph."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"gave up waiting for {what}"
        time.sleep(0.02)


class Rover:
    """A node that publishes what a rover does."""

    def __init__(self, domain_id):
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("rover_double", namespace="rover", context=self.context)
        make = self.node.create_publisher
        self.publishers = {
            "/rover/lidar/points": make(PointCloud2, "lidar/points", SENSOR),
            "/rover/elevation_map": make(GridMap, "elevation_map", MAP),
            "/rover/robot_description": make(String, "robot_description", MAP),
            "/tf": make(TFMessage, "/tf", 50),
            "/rover/odom": make(Odometry, "odom", 10),
        }
        self.publishers["/rover/robot_description"].publish(String(data="<robot/>"))
        self.server = ActionServer(self.node, NavigateToPose, "navigate_to_pose", self.execute)
        self.client = ActionClient(self.node, NavigateToPose, "navigate_to_pose")
        self.last_status = None
        self.node.create_subscription(
            GoalStatusArray, STATUS, self.note_status, QoSProfile(depth=10)
        )
        self.executor = MultiThreadedExecutor(num_threads=2, context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def execute(self, goal):
        for step in range(COUNT):
            feedback = NavigateToPose.Feedback(distance_remaining=float(COUNT - step))
            goal.publish_feedback(feedback)
            time.sleep(0.01)
        goal.succeed()
        return NavigateToPose.Result()

    def heard(self):
        """Whether the recorder listens to everything."""
        names = [*self.publishers, STATUS]
        return all(self.node.count_subscribers(n) >= 1 for n in names) and (
            self.node.count_subscribers(FEEDBACK) >= 2
        )

    def drive(self):
        values = np.arange(20_000 * 4, dtype=np.float32).tobytes()
        cloud = PointCloud2(height=1, width=20_000, point_step=16, row_step=320_000)
        cloud.data.frombytes(values)
        grid = GridMap(layers=["elevation"], data=[Float32MultiArray(data=[1.0, 2.0])])
        for index in range(COUNT):
            cloud.header.stamp.nanosec = index
            self.publishers["/rover/lidar/points"].publish(cloud)
            odom = Odometry()
            odom.header.stamp.nanosec = index
            odom.pose.pose.position.x = 0.5 * index
            self.publishers["/rover/odom"].publish(odom)
            edge = TransformStamped()
            edge.child_frame_id = "rover/base_link"
            self.publishers["/tf"].publish(TFMessage(transforms=[edge]))
            if index % 10 == 0:
                self.publishers["/rover/elevation_map"].publish(grid)
            time.sleep(0.02)

    def navigate(self):
        assert self.client.wait_for_server(timeout_sec=10.0)
        sent = self.client.send_goal_async(NavigateToPose.Goal())
        wait_until(sent.done, "the goal to be accepted")
        result = sent.result().get_result_async()
        wait_until(result.done, "the result")
        assert result.result().status == GoalStatus.STATUS_SUCCEEDED
        wait_until(lambda: self.last_status == GoalStatus.STATUS_SUCCEEDED, "the last status")

    def note_status(self, msg):
        self.last_status = msg.status_list[-1].status if msg.status_list else None

    def close(self):
        self.executor.shutdown()
        self.thread.join(timeout=30.0)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def domain(domain_id, monkeypatch):
    """A domain of its own, with the shipped transport."""
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    return domain_id


@pytest.fixture
def rover(domain):
    double = Rover(domain)
    yield double
    double.close()


def start_recorder(bag: Path, **parameters):
    """The program itself, in a process of its own."""
    args = ["--ros-args", "-p", f"output_dir:={bag}"]
    for key, value in parameters.items():
        args += ["-p", f"{key}:={value}"]
    command = [sys.executable, "-m", "ilrs_robots.nodes.recorder_main", *args]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
    )


def stop(process, number):
    process.send_signal(number)
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    return output


def test_everything_that_is_published_stands_in_the_bag(rover, tmp_path):
    process = start_recorder(tmp_path / "bag")
    try:
        wait_until(rover.heard, "the recorder to subscribe")
        rover.drive()
        rover.navigate()
    finally:
        output = stop(process, signal.SIGINT)
    assert process.returncode == 0, output

    with Bag(tmp_path / "bag") as bag:
        seen = Counter(item.topic for item in bag.messages())
        assert seen["/rover/odom"] == COUNT
        assert seen["/tf"] == COUNT
        assert seen["/rover/lidar/points"] == COUNT
        assert seen["/rover/elevation_map"] == COUNT // 10
        assert seen["/rover/robot_description"] == 1
        assert seen[FEEDBACK] == COUNT
        assert seen["/diagnostics"] >= 1
        left = [m.msg.feedback.distance_remaining for m in bag.messages(FEEDBACK)]
        assert left == [float(COUNT - k) for k in range(COUNT)]
        last = list(bag.messages(STATUS))[-1].msg.status_list[-1]
        assert last.status == GoalStatus.STATUS_SUCCEEDED
        stamps = [m.msg.header.stamp.nanosec for m in bag.messages("/rover/odom")]
        assert stamps == list(range(COUNT))
        first = next(bag.messages("/rover/lidar/points")).msg
        np.testing.assert_array_equal(
            np.frombuffer(first.data, np.float32), np.arange(80_000, dtype=np.float32)
        )
        logs = [m.log_ns for m in bag.raw()]
        assert abs(logs[-1] - time.time_ns()) < 60e9
        assert CLOCK_KEY in bag.info.custom


def test_only_what_is_wanted_is_recorded_until_sigterm(rover, tmp_path):
    process = start_recorder(
        tmp_path / "bag", topics="/rover/odom,/tf,/rover/lidar/points", exclude="lidar"
    )
    try:
        wait_until(
            lambda: all(rover.node.count_subscribers(n) for n in ("/tf", "/rover/odom")),
            "the recorder to subscribe",
        )
        rover.drive()
    finally:
        output = stop(process, signal.SIGTERM)
    assert process.returncode == 0, output
    with Bag(tmp_path / "bag") as bag:
        assert bag.topics.keys() == {"/tf", "/rover/odom"}


def test_a_profile_with_its_site_stands_in_the_bag(rover, tmp_path):
    process = start_recorder(tmp_path / "bag", profile="replay", site="shackleton", seed=7)
    names = ("/tf", "/rover/odom", "/rover/lidar/points")
    try:
        wait_until(
            lambda: all(rover.node.count_subscribers(n) for n in names),
            "the recorder to subscribe",
        )
        assert rover.node.count_subscribers("/rover/elevation_map") == 0
        rover.drive()
    finally:
        output = stop(process, signal.SIGINT)
    assert process.returncode == 0, output
    with Bag(tmp_path / "bag") as bag:
        counts, custom = bag.counts, bag.info.custom
    assert {counts[name] for name in names} == {COUNT}
    assert "/rover/elevation_map" not in counts
    assert custom["ilrs_profile"] == "replay"
    assert (custom["ilrs_site"], custom["ilrs_seed"]) == ("shackleton", "7")
    site = config.load_yaml(config_file("sites", "shackleton"))
    assert custom["ilrs_epoch_utc"] == site["epoch_utc"]
    assert yaml.safe_load(custom["ilrs_site_file"]) == site
    assert yaml.safe_load(custom["ilrs_robot_file/long_range"])["wheels"]
    assert custom["ilrs_version"] == __version__


def test_a_killed_recorder_leaves_a_bag_and_the_next_one_mends_it(rover, tmp_path):
    process = start_recorder(tmp_path / "bag", topics="/rover/odom")
    try:
        wait_until(lambda: rover.node.count_subscribers("/rover/odom"), "the recorder")
        rover.drive()
        wait_until(lambda: kept(tmp_path / "bag") >= COUNT // 2, "a checkpoint")
    finally:
        stop(process, signal.SIGKILL)
    left = kept(tmp_path / "bag")
    with Bag(tmp_path / "bag") as bag:  # as it is
        assert len(list(bag.messages("/rover/odom"))) == left >= COUNT // 2
    (file,) = (tmp_path / "bag").glob("*.mcap")
    with file.open("r+b") as stream:  # what a power cut does besides
        stream.truncate(file.stat().st_size - 100)
    process = start_recorder(tmp_path / "bag_2", topics="/rover/odom")
    try:
        wait_until(lambda: not needs_repair(tmp_path / "bag"), "the bag to be mended")
    finally:
        output = stop(process, signal.SIGINT)
    assert "mended" in output
    with Bag(tmp_path / "bag") as bag:
        assert bag.info.message_count == left
        assert len(list(bag.messages("/rover/odom"))) == left


def kept(bag: Path) -> int:
    """Messages that are safe in a bag that is being written."""
    return sum(look(file).index.message_count for file in bag.glob("*.mcap"))


def test_an_existing_folder_is_refused_in_one_line(domain, tmp_path):
    process = start_recorder(tmp_path)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "exists already" in output
    assert "Traceback" not in output


def test_bad_exclude_names_the_key():
    with pytest.raises(Exception, match="exclude"):
        RecorderConfig(output_dir="bag", exclude="(")


@pytest.mark.parametrize(
    ("msgtype", "type_hash"),
    [  # as the interface packages of Jazzy state them
        (
            "nav2_msgs/action/NavigateToPose_FeedbackMessage",
            "RIHS01_9d1f6fa2eb975ce733b419ac2e97b134d8ff92b6478b6559feed9a50bdfd82b3",
        ),
        (
            "geometry_msgs/msg/PoseStamped",
            "RIHS01_10f3786d7d40fd2b54367835614bff85d4ad3b5dab62bf8bca0cc232d73b4cd8",
        ),
    ],
)
def test_definitions_have_the_hash_of_the_wire(msgtype, type_hash):
    assert message_definition(msgtype)[1] == type_hash


def test_a_type_that_is_not_installed_is_refused():
    with pytest.raises(UnknownTypeError, match="no_such_msgs"):
        message_definition("no_such_msgs/msg/Thing")
