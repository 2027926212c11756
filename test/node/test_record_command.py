"""``ilrs record`` as a team types it: what is published stands in the bag when Ctrl-C has come."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from rclpy.context import Context  # noqa: E402
from sensor_msgs.msg import Imu  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from ilrs_robots.replay.bag import Bag  # noqa: E402
from ilrs_robots.robots.assembly import dds_environment  # noqa: E402

pytestmark = pytest.mark.node


def test_ctrl_c_leaves_a_whole_bag_of_the_profile(domain_id, monkeypatch, tmp_path):
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    context = Context()
    rclpy.init(context=context, domain_id=domain_id)
    node = rclpy.create_node("driver", context=context)
    imu, other = (node.create_publisher(*of, 10) for of in ((Imu, "/imu"), (String, "/note")))
    command = [sys.executable, "-m", "ilrs_robots.cli.main", "record", "--out"]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, str(tmp_path / "bag"), "--site", "shackleton", "--seed", "4"],
            stdout=said,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
        )
    sent = 0
    try:
        end_s = time.monotonic() + 60.0
        while imu.get_subscription_count() == 0:
            assert time.monotonic() < end_s, (tmp_path / "said").read_text()
            time.sleep(0.02)
        for sent in range(1, 101):
            message = Imu()
            message.header.stamp.nanosec = sent
            imu.publish(message)
            other.publish(String(data="not of the profile"))
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, (tmp_path / "said").read_text()
    finally:
        process.kill()
        process.wait()
        node.destroy_node()
        rclpy.shutdown(context=context)
    with Bag(tmp_path / "bag") as bag:
        stamps = [m.msg.header.stamp.nanosec for m in bag.messages("/imu")]
        logs = [m.log_ns for m in bag.raw("/imu")]
        assert stamps == list(range(1, sent + 1))
        assert logs == sorted(logs)
        assert abs(logs[-1] - time.time_ns()) < 60e9
        assert "/note" not in bag.topics
        custom = bag.info.custom
    assert (custom["ilrs_site"], custom["ilrs_seed"]) == ("shackleton", "4")
    assert (custom["ilrs_profile"], json.loads(custom["ilrs_dropped"])) == ("replay", {})
