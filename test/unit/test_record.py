"""What `ilrs record` chooses, carries and mends, without ROS."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from ilrs_robots.cli.launch_plan import robot_plan, site_plan
from ilrs_robots.cli.machine import Machine
from ilrs_robots.cli.main import cli
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.replay.bag import Bag
from ilrs_robots.replay.bag_writer import BagWriter, Topic
from ilrs_robots.robots.record_about import about_run
from ilrs_robots.robots.record_profiles import load_profiles

CLOUD, GRID, IMU = (
    "sensor_msgs/msg/PointCloud2",
    "grid_map_msgs/msg/GridMap",
    "sensor_msgs/msg/Imu",
)
TOPICS = {
    "/clock": "rosgraph_msgs/msg/Clock",
    "/tf": "tf2_msgs/msg/TFMessage",
    "/tf_static": "tf2_msgs/msg/TFMessage",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
    "/long_range/odom": "nav_msgs/msg/Odometry",
    "/long_range/truth/odom": "nav_msgs/msg/Odometry",
    "/long_range/cmd_vel": "geometry_msgs/msg/TwistStamped",
    "/long_range/navigate_to_pose/_action/feedback": "nav2_msgs/action/NavigateToPose_Feedback",
    "/long_range/imu/data": IMU,
    "/long_range/joint_states": "sensor_msgs/msg/JointState",
    "/long_range/star_tracker/attitude": IMU,
    "/long_range/lidar/points": CLOUD,
    "/husky/front_camera/points": CLOUD,
    "/long_range/elevation_map": GRID,
    "/long_range/markers": "visualization_msgs/msg/MarkerArray",
}
SENSED = {t for t, kind in TOPICS.items() if kind.startswith("sensor_msgs/")}
SHOWN = {"/long_range/elevation_map", "/long_range/markers"}


@pytest.mark.parametrize(
    ("profile", "left_out"),
    [
        ("minimal", SENSED | SHOWN),
        ("replay", SHOWN),
        ("report", SENSED | {"/long_range/markers"}),
        ("everything", set()),
    ],
)
def test_a_profile_holds_what_its_reader_needs(profile, left_out):
    choice = load_profiles().choice(profile)
    assert {t for t, kind in TOPICS.items() if choice.holds(t, kind)} == TOPICS.keys() - left_out


def test_what_cannot_be_computed_again_is_dropped_last():
    rank = {t: load_profiles().priority(t, kind) for t, kind in TOPICS.items()}
    assert rank["/long_range/elevation_map"] == rank["/long_range/markers"] == 2
    assert rank["/long_range/lidar/points"] == 1
    assert {rank[t] for t in TOPICS.keys() - SHOWN if TOPICS[t] != CLOUD} == {0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("profiles: {a: {topics: ['(']}}", r"'\('"),
        ("profiles: {a: {extends: b}}", "extends = 'b'"),
        ("profiles: {a: {extends: a}}", "circle"),
        ("profiles: {a: 3}", "mapping"),
        ("profils: {}", "profils"),
        ("priorities: [{priority: 9}]", "priority"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "profiles.yaml"
    path.write_text(text if "doc" in text else text.replace("{a: {", "{a: {doc: x, "))
    with pytest.raises(ConfigError, match=said):
        load_profiles(path)


def test_the_bag_names_site_and_seed():
    about = about_run("shackleton", 9)
    assert about["ilrs_seed"] == "9"
    assert about["ilrs_epoch_utc"].endswith("Z")
    assert "latitude_deg" in about["ilrs_site_file"]
    assert "ilrs_site" not in about_run()


@pytest.mark.parametrize("plan", [site_plan, robot_plan])
def test_every_launch_file_records_when_it_is_asked_to(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = {
        "site": "shackleton",
        "robot": "long_range",
        "sim": "mujoco",
        "use_sim_time": "auto" if plan is site_plan else "true",
        "log_level": "info",
        "record_profile": "minimal",
    }
    for flag in ("respawn", "network", "autostart"):
        arguments[flag] = "false"
    arguments |= {"composed": "true", "rviz": "false", "foxglove": "false", "headless": "true"}
    for text, folder in (("true", "runs"), ("false", ""), ("", ""), ("here", "here")):
        specs = plan(arguments | {"record": text}, tmp_path, Machine()).processes
        found = [s.parameters for s in specs if s.name == "recorder"]
        if not folder:
            assert found == []
            continue
        assert Path(found[0]["output_dir"]).is_relative_to(tmp_path / folder)
        assert (found[0]["profile"], found[0]["site"]) == ("minimal", "shackleton")
        assert found[0]["use_sim_time"] is True


def test_repair_mends_a_cut_bag_and_says_how_much(tmp_path):
    bag, text = tmp_path / "bag", Topic("/a", "std_msgs/msg/String", "string data\n", "")
    writer = BagWriter(bag)
    for k in range(10):
        writer.push(text, k, b"\0\1\0\0\2\0\0\0a\0")
    writer.close()
    file = bag / "bag_0.mcap"
    file.write_bytes(file.read_bytes()[:-50])
    (bag / "metadata.yaml").unlink()
    done = CliRunner().invoke(cli, ["record", "--repair", str(bag)], standalone_mode=False)
    assert done.return_value == 0
    assert "10 messages" in done.output
    with Bag(bag) as opened:
        assert [m.msg.data for m in opened.messages()] == ["a"] * 10
    done = CliRunner().invoke(cli, ["record", "--repair", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 1
    assert "no mcap file" in done.output
