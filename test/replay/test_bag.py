"""Bags in, arrays out; writing never blocks and what is lost is counted."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import Stores, get_typestore

from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.bag_writer import BagWriter, Topic
from ilrs_robots.replay.tracks import (
    grid_map_sample,
    read_diagnostics,
    read_odometry,
    read_transforms,
    sample_evenly,
)

pytestmark = pytest.mark.replay
SHARED = Path(os.environ.get("ILRS_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_drive_comes_back_as_arrays(drive_type, drive_bag, plugin):
    drive = drive_type(yaw=0.7)
    with Bag(drive_bag(drive, plugin=plugin)) as bag:
        track = read_odometry(bag, "/rover/truth/odom")
        edges = read_transforms(bag)
        sim = read_diagnostics(bag)["sim"]
    np.testing.assert_array_equal(track.stamps_ns, drive.stamps_ns)
    np.testing.assert_allclose(track.positions_m, drive.positions())
    np.testing.assert_allclose(track.quats_wxyz[0], [np.cos(0.35), 0, 0, np.sin(0.35)])
    np.testing.assert_allclose(track.linear_mps[:, 0], 0.5)
    assert (track.frame_id, track.child_frame_id) == ("map", "rover/truth/base_link")
    assert list(edges) == [("map", "rover/odom")]
    np.testing.assert_allclose(
        edges["map", "rover/odom"].positions_m - drive.positions()[0], 0.0, atol=1e-12
    )
    assert sim.numbers("wall_s")[1] == pytest.approx(0.5)
    middle = (drive.stamps_ns[:1] + drive.stamps_ns[1:2]) // 2
    np.testing.assert_allclose(track.at(middle)[0][0], drive.positions()[:2].mean(axis=0))


def test_repeated_and_late_stamps_are_sorted_and_counted(bag_builder):
    from scipy.spatial.transform import Rotation

    with bag_builder.writer:
        for stamp, x in [(10, 1.0), (30, 3.0), (20, 2.0), (30, 9.0)]:
            bag_builder.odometry(
                "/odom", stamp, ("odom", "base"), (x, 0, 0), Rotation.identity(), 0.0
            )
    with Bag(bag_builder.writer.path) as bag:
        track = read_odometry(bag, "/odom")
    assert track.stamps_ns.tolist() == [10, 20, 30]
    assert track.dropped == 1


def test_grid_map_axes_and_circular_start(bag_builder):
    layer = np.arange(12, dtype=np.float32).reshape(3, 4)
    layer[1, 2] = np.nan
    with bag_builder.writer:
        for k, start in enumerate([(0, 0), (3, 1)]):
            bag_builder.grid_map("/map", k, "odom", (10.0, 20.0), 0.5, {"z": layer}, start)
    with Bag(bag_builder.writer.path) as bag:
        samples = [grid_map_sample(item.msg) for item in bag.messages("/map")]
    for sample in samples:
        np.testing.assert_array_equal(sample.layers["z"], layer)
        assert sample.spec.shape == (3, 4)
        assert sample.spec.origin_x_m == pytest.approx(10.0 - 0.75)
        assert sample.spec.origin_y_m == pytest.approx(20.0 - 0.5)


def test_even_samples_hold_the_last(drive_type, drive_bag):
    with Bag(drive_bag(drive_type())) as bag:
        picked = list(sample_evenly(bag, "/rover/odom", 5))
        stamps = [m.header.stamp.sec for m in picked]
        every = bag.counts["/rover/odom"]
        assert len(list(sample_evenly(bag, "/rover/odom", 10 * every))) == every
        assert list(sample_evenly(bag, "/nothing", 5)) == []
    assert len(picked) == 5
    assert stamps[-1] == 41


def test_a_topic_that_is_not_there_is_an_error(drive_type, drive_bag):
    with Bag(drive_bag(drive_type())) as bag, pytest.raises(BagError, match="/nobody/odom"):
        read_odometry(bag, "/nobody/odom")


def test_a_truncated_file_is_an_error(drive_type, drive_bag):
    path = drive_bag(drive_type())
    (file,) = path.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(BagError, match="does not open"):
        Bag(path)


def string_topic(name="/text"):
    store = get_typestore(Stores.ROS2_JAZZY)
    kind = "std_msgs/msg/String"
    text, _ = store.generate_msgdef(kind, ros_version=2)
    return Topic(name, kind, text, store.hash_rihs01(kind)), store


def test_the_writer_keeps_order_and_metadata(tmp_path):
    topic, store = string_topic()
    message = store.types["std_msgs/msg/String"]
    writer = BagWriter(tmp_path / "bag")
    for k in range(1000):
        data = bytes(store.serialize_cdr(message(data=f"message {k}"), topic.msgtype))
        assert writer.push(topic, 1000 + k, data)
    writer.set_custom("seed", "7")
    writer.close()
    writer.close()
    assert writer.counters.written == 1000
    with Bag(tmp_path / "bag") as bag:
        assert [m.msg.data for m in bag.messages()] == [f"message {k}" for k in range(1000)]
        assert bag.info.custom == {"seed": "7"}
        assert (bag.info.start_ns, bag.info.end_ns) == (1000, 1999)


def test_a_slow_disk_drops_and_counts_and_never_blocks(tmp_path, monkeypatch):
    topic, store = string_topic()
    data = bytes(store.serialize_cdr(store.types[topic.msgtype](data="x" * 1000), topic.msgtype))
    gate = threading.Event()
    writer = BagWriter(tmp_path / "bag", queue_bytes=10 * len(data))
    write = writer._writer.write

    def slow(*args):
        gate.wait(10.0)
        write(*args)

    monkeypatch.setattr(writer._writer, "write", slow)
    kept = sum(writer.push(topic, k, data) for k in range(100))
    gate.set()
    writer.close()
    assert kept < 100
    assert writer.counters.dropped == {"/text": 100 - kept}
    with Bag(tmp_path / "bag") as bag:
        assert bag.info.message_count == kept


def test_a_full_disk_is_reported_and_what_was_written_opens(tmp_path, monkeypatch):
    topic, store = string_topic()
    data = bytes(store.serialize_cdr(store.types[topic.msgtype](data="x"), topic.msgtype))
    writer = BagWriter(tmp_path / "bag")
    write = writer._writer.write

    def full(connection, stamp, payload):
        if stamp >= 5:
            raise OSError(28, "No space left on device")
        write(connection, stamp, payload)

    monkeypatch.setattr(writer._writer, "write", full)
    for k in range(10):
        writer.push(topic, k, data)
    writer.close()
    assert "No space left" in writer.error
    assert not writer.push(topic, 11, data)
    assert writer.counters.written == 5
    assert writer.counters.dropped_total == 6
    with Bag(tmp_path / "bag") as bag:
        assert bag.info.message_count == 5


def test_an_existing_folder_is_not_touched(tmp_path):
    with pytest.raises(BagError, match="exists already"):
        BagWriter(tmp_path)


def test_a_real_ros1_bag_opens():
    path = SHARED / "bags" / "husky_test1.bag"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    with Bag(path) as bag:
        topic = next(t for t, kind in bag.topics.items() if kind == "nav_msgs/msg/Odometry")
        track = read_odometry(bag, topic)
    assert len(track) > 1000
    assert (np.diff(track.stamps_ns) > 0).all()


def test_the_golden_grid_map_opens():
    path = SHARED / "bags" / "grid_map_golden.bag"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    with Bag(path) as bag:
        topic = next(t for t, kind in bag.topics.items() if kind == "grid_map_msgs/msg/GridMap")
        sample = grid_map_sample(next(bag.messages(topic)).msg)
    layer = next(iter(sample.layers.values()))
    assert sorted(layer.shape) == [40, 120]
    assert np.isnan(layer).mean() == pytest.approx(0.81, abs=0.02)
