"""Whatever a file and its order do, the same drive comes out, or how much is lost is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from rosbags.convert import converter
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from ilrs_robots.replay.bag import Bag, BagError, RawMessage
from ilrs_robots.replay.faults import parse_fault
from ilrs_robots.replay.outcome import numbers_of
from ilrs_robots.replay.rescue import replay_bag

pytestmark = pytest.mark.replay
HOPPER = Path(__file__).parent / "suite" / "bags" / "hopper"
S = 1_000_000_000
Change = Callable[[list[RawMessage]], Iterable[RawMessage]]


@pytest.fixture(scope="module")
def whole() -> str:
    return digest(replay_bag(HOPPER))


def digest(replay) -> str:
    assert replay.segment is not None
    return replay.segment.perception.digest()


def rewritten(into: Path, change: Change, plugin=StoragePlugin.MCAP) -> Path:
    """The bag with its messages changed, in another file."""
    with Bag(HOPPER) as bag, Writer(into, version=9, storage_plugin=plugin) as writer:
        store, topics = bag.typestore, {}
        for message in change(list(bag.raw())):
            if message.topic not in topics:
                topics[message.topic] = writer.add_connection(
                    message.topic, message.msgtype, typestore=store
                )
            writer.write(topics[message.topic], message.log_ns, message.data)
    return into


def test_sqlite_and_ros1_hold_the_same_drive(tmp_path, whole) -> None:
    sqlite = rewritten(tmp_path / "sqlite", lambda m: m, StoragePlugin.SQLITE3)
    assert digest(replay_bag(sqlite)) == whole
    assert digest(replay_bag(as_ros1(sqlite, tmp_path / "ros1.bag"))) == whole


def as_ros1(source: Path, into: Path) -> Path:
    converter.convert(
        [source], into, "sqlite3", 9, None, "file", get_typestore(Stores.ROS2_JAZZY),
        get_typestore(Stores.ROS1_NOETIC), ["/hopper/truth/ground"], [], [], [],
    )  # fmt: skip
    return into


def test_the_order_of_the_file_does_not_matter(tmp_path, whole) -> None:
    def shuffled(messages):
        late = [m._replace(log_ns=m.log_ns + 137_000_000 * (k % 2)) for k, m in
                enumerate(messages)]  # fmt: skip
        return sorted(late, key=lambda m: m.log_ns)

    assert digest(replay_bag(rewritten(tmp_path / "bag", shuffled))) == whole


def test_duplicates_are_left_out_and_counted(tmp_path, whole) -> None:
    replay = replay_bag(rewritten(tmp_path / "bag", lambda ms: [m for m in ms for _ in "ab"]))
    assert digest(replay) == whole
    assert sum(replay.report.duplicates.values()) == replay.report.messages // 2


def test_a_loop_is_two_segments_of_which_one_is_judged(tmp_path, whole) -> None:
    def looped(messages):
        length = messages[-1].log_ns - messages[0].log_ns + S
        again = [m._replace(log_ns=m.log_ns + length) for m in messages]
        return [*messages, *again[: len(again) // 2]]

    replay = replay_bag(rewritten(tmp_path / "bag", looped))
    assert replay.report.segments == 2
    assert "time_set_back" in replay.flags
    assert digest(replay) == whole


def test_a_robot_whose_clock_is_set_back_begins_again() -> None:
    replay = replay_bag(HOPPER, faults=(parse_fault("clock_jump:start=2,size=-100"),))
    assert replay.report.segments == 2
    ((rise, fall),) = replay.flags["time_set_back"]
    assert rise == pytest.approx(2.0, abs=0.2)
    assert fall - rise < 1.5


def test_one_clock_that_leaves_the_others_does_not_begin_a_segment(tmp_path) -> None:
    def jumped(messages):
        for k, m in enumerate(messages):
            if m.topic.endswith("imu/data") and k > len(messages) // 2:
                sec = int.from_bytes(m.data[4:8], "little") - 600
                m = m._replace(data=m.data[:4] + sec.to_bytes(4, "little") + m.data[8:])
            yield m

    replay = replay_bag(rewritten(tmp_path / "bag", jumped))
    assert replay.report.segments == 1
    assert replay.report.other_clock["/hopper/imu/data"] > 50
    assert numbers_of(replay)["map_rmse_m"] < 0.02


def test_a_cut_mcap_gives_what_is_there(tmp_path) -> None:
    bag = tmp_path / "hopper"
    shutil.copytree(HOPPER, bag)
    file = bag / "hopper.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 7 // 10])
    for source in (bag, file):
        replay = replay_bag(source)
        assert 100 < replay.report.messages < 800
        assert "bytes lost" in replay.report.damage[0]
    (bag / "metadata.yaml").unlink()
    assert replay_bag(bag).report.messages > 100


def test_a_cut_ros1_bag_gives_what_is_there(tmp_path) -> None:
    file = as_ros1(rewritten(tmp_path / "bag", lambda m: m), tmp_path / "ros1.bag")
    whole = file.read_bytes()
    cut = tmp_path / "cut.bag"
    cut.write_bytes(whole[: len(whole) * 6 // 10])
    replay = replay_bag(cut)
    assert 100 < replay.report.messages < 800
    assert f"of {len(whole) * 6 // 10} bytes lost" in replay.report.damage[0]


def test_a_cut_sqlite_bag_gives_what_is_there(tmp_path) -> None:
    bag = rewritten(tmp_path / "bag", lambda m: m, StoragePlugin.SQLITE3)
    file = next(bag.glob("*.db3"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 7 // 10])
    (bag / "metadata.yaml").unlink()
    replay = replay_bag(bag)
    assert 100 < replay.report.messages < 800
    assert replay.report.damage


def test_what_is_no_bag_cannot_run(tmp_path) -> None:
    (tmp_path / "text.bag").write_text("nothing")
    for path in (tmp_path / "absent", tmp_path / "text.bag"):
        with pytest.raises(BagError):
            replay_bag(path)


def test_scans_without_their_transform_are_dropped_with_the_reason(tmp_path) -> None:
    def without_poses(messages):
        return [m for m in messages if not m.topic.endswith("truth/odom")]

    replay = replay_bag(rewritten(tmp_path / "bag", without_poses))
    assert replay.saved is None
    assert set(replay.segment.perception.mapping.dropped) <= {
        "missing_transform", "stale_transform", "waited_too_long",
    }  # fmt: skip
    assert numbers_of(replay)["scans_dropped"] > 0
