"""What is played live: order, clock, start, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosbags.convert import converter
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.playback import Playback
from ilrs_robots.replay.profile import ReplayProfile

pytestmark = pytest.mark.replay
ROVER = Path(__file__).parent / "suite" / "bags" / "crewed_rover"
S = 1_000_000_000


def later(into: Path, by_ns: int, plugin: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """The bag as a recorder with another clock writes it."""
    with Bag(ROVER) as bag, Writer(into, version=9, storage_plugin=plugin) as writer:
        topics: dict = {}
        for raw in bag.raw([t for t in bag.topics if not t.endswith("ground")]):
            if raw.topic not in topics:
                topics[raw.topic] = writer.add_connection(
                    raw.topic, raw.msgtype, typestore=bag.typestore
                )
            writer.write(topics[raw.topic], raw.log_ns + by_ns, raw.data)
        writer.set_custom_data("ilrs_robot", "crewed_rover")
    return into


def test_messages_come_as_they_came_to_the_recorder() -> None:
    with Bag(ROVER) as bag:
        playback = Playback(bag, ReplayProfile())
        played = list(playback.messages())
        raw = [(m.log_ns, m.topic, m.data) for m in bag.raw(list(playback.topics))]
        end_ns = bag.info.end_ns
    assert [(m.clock_ns, m.topic, m.data) for m in played] == raw
    assert playback.robot == "crewed_rover"
    assert set(playback.kinds.values()) == {"imu", "joints", "attitude", "cloud", "truth"}
    assert (playback.first_ns, playback.last_ns) == (raw[0][0], end_ns)


def test_the_clock_is_that_of_the_stamps_whatever_the_recorders_was(tmp_path) -> None:
    with Bag(ROVER) as bag:
        expected = [m.clock_ns for m in Playback(bag, ReplayProfile()).messages()]
    with Bag(later(tmp_path / "bag", 1_700_000_000 * S)) as bag:
        played = list(Playback(bag, ReplayProfile()).messages())
    shift = np.array([m.clock_ns for m in played]) - expected
    assert np.ptp(shift) == 0
    assert abs(shift[0]) < S // 10
    assert all(m.clock_ns >= m.stamp_ns for m in played if m.kind != "cloud")


def test_a_start_leaves_out_what_came_before_and_knows_the_pose_there() -> None:
    with Bag(ROVER) as bag:
        whole, rest = (Playback(bag, ReplayProfile(), start_s) for start_s in (0.0, 5.0))
        assert rest.first_ns == whole.first_ns + 5 * S
        stamps = [m.clock_ns for m in rest.messages()]
        assert 0 <= stamps[0] - rest.first_ns < S // 10
        first, later_on = whole.start_pose(), rest.start_pose()
        with pytest.raises(BagError, match="--start 99: the bag is 12"):
            Playback(bag, ReplayProfile(), 99.0)
    assert np.linalg.norm(first[:2, 3]) < 0.05
    assert np.linalg.norm(later_on[:2, 3]) == pytest.approx(2.65, abs=0.1)


def test_a_ros1_bag_is_played_as_ros2_messages(tmp_path) -> None:
    source = later(tmp_path / "bag", 0, StoragePlugin.SQLITE3)
    converter.convert(
        [source], tmp_path / "ros1.bag", "sqlite3", 9, None, "file",
        get_typestore(Stores.ROS2_JAZZY), get_typestore(Stores.ROS1_NOETIC), [], [], [], [],
    )  # fmt: skip
    with Bag(source) as bag:
        played = Playback(bag, ReplayProfile()).messages()
        expected = {(m.topic, m.clock_ns): m.data for m in played}
    with Bag(tmp_path / "ros1.bag") as bag:
        found = {
            (m.topic, m.clock_ns): m.data
            for m in Playback(bag, ReplayProfile(robot="crewed_rover")).messages()
        }
    assert found == expected


def test_a_bag_without_sensors_cannot_be_played() -> None:
    with Bag(ROVER) as bag, pytest.raises(BagError, match="/hopper/imu/data"):
        Playback(bag, ReplayProfile(robot="hopper"))
