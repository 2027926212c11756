"""A bag survives what happens to it: a kill, a cut at any byte, a slow disk, a full disk."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from mcap.reader import NonSeekingReader, SeekingReader
from rosbags.highlevel import AnyReader
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.typesys import Stores, get_typestore

from ilrs_robots.replay.bag import Bag, BagError
from ilrs_robots.replay.bag_metadata import read_metadata
from ilrs_robots.replay.bag_writer import BagWriter, Topic
from ilrs_robots.replay.mcap_file import Disk
from ilrs_robots.replay.mcap_records import CHUNK, MAGIC, records
from ilrs_robots.replay.mcap_scan import look, scan
from ilrs_robots.replay.recovery import KEY, needs_repair, repair_bag, salvage

STORE = get_typestore(Stores.ROS2_JAZZY)
STRING = "std_msgs/msg/String"
TIME = QosTime(9223372036, 854775807)
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    TIME,
    TIME,
    QosLiveliness.AUTOMATIC,
    TIME,
    avoid_ros_namespace_conventions=False,
)


def topic(name="/text", priority=0, qos=(LATCHED,)):
    text, _ = STORE.generate_msgdef(STRING, ros_version=2)
    return Topic(name, STRING, text, STORE.hash_rihs01(STRING), qos, priority)


def payload(text):
    return bytes(STORE.serialize_cdr(STORE.types[STRING](data=text), STRING))


def texts(path, name="/text"):
    with Bag(path) as bag:
        return [m.msg.data for m in bag.messages(name)]


def write(path, count, *, size=200, **options):
    """A bag of texts of which no two are alike and that hardly compress."""
    rng = np.random.default_rng(1)
    chosen = topic()
    writer = BagWriter(path, **options)
    for k in range(count):
        noise = rng.bytes(size).hex()
        while not writer.push(chosen, 1000 + k, payload(f"{k} {noise}")):
            time.sleep(0.001)
    writer.close()
    assert not writer.error
    return writer


def numbers(found):
    return [int(text.split()[0]) for text in found]


def test_every_reader_opens_the_bag_and_finds_the_same(tmp_path):
    write(tmp_path / "bag", 5000, about={"seed": "7", "site": "shackleton"})
    assert numbers(texts(tmp_path / "bag")) == list(range(5000))
    (file,) = (tmp_path / "bag").glob("*.mcap")
    assert file.name == "bag_0.mcap"
    for reader_type in (SeekingReader, NonSeekingReader):
        with file.open("rb") as stream:
            reader = reader_type(stream, validate_crcs=True)
            stamps = [m.log_time for _, _, m in reader.iter_messages()]
            assert stamps == list(range(1000, 6000))
    with file.open("rb") as stream:
        reader = SeekingReader(stream, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary.statistics.message_count == 5000
        assert summary.statistics.chunk_count == len(summary.chunk_indexes) > 1
        held = {m.name: m.metadata for m in reader.iter_metadata()}
        assert held["ilrs"] == {"seed": "7", "site": "shackleton"}
        said = yaml.safe_load(held["rosbag2"]["serialized_metadata"])
        assert said["message_count"] == 5000
    whole = scan(file)
    assert whole.whole
    assert whole.index.message_count == 5000


def test_metadata_follow_rosbag2_and_profiles_come_back(tmp_path):
    write(tmp_path / "bag", 3, about={"note": 'a "quoted"\nline: #1'})
    said = read_metadata(tmp_path / "bag")
    assert said["version"] == 9
    assert said["storage_identifier"] == "mcap"
    assert said["relative_file_paths"] == ["bag_0.mcap"]
    assert said["starting_time"] == {"nanoseconds_since_epoch": 1000}
    assert said["duration"] == {"nanoseconds": 2}
    assert said["custom_data"] == {"note": 'a "quoted"\nline: #1'}
    (row,) = said["topics_with_message_count"]
    assert row["topic_metadata"]["type_description_hash"].startswith("RIHS01_")
    with AnyReader([tmp_path / "bag"]) as reader:
        (connection,) = reader.connections
        assert connection.ext.offered_qos_profiles == [LATCHED]
        assert connection.msgcount == 3


def test_a_bag_without_messages_opens(tmp_path):
    BagWriter(tmp_path / "bag").close()
    with Bag(tmp_path / "bag") as bag:
        assert bag.info.message_count == 0
        assert list(bag.messages()) == []


def test_a_bag_is_split_by_size_and_reads_as_one(tmp_path):
    writer = write(tmp_path / "bag", 4000, split_bytes=300_000, flush_s=0.0, about={"seed": "7"})
    files = sorted((tmp_path / "bag").glob("*.mcap"), key=lambda p: int(p.stem.split("_")[1]))
    assert len(files) == writer.files > 2
    assert numbers(texts(tmp_path / "bag")) == list(range(4000))
    for file in files:  # each stands for itself
        with file.open("rb") as stream:
            reader = SeekingReader(stream, validate_crcs=True)
            assert {"seed": "7"} in [m.metadata for m in reader.iter_metadata()]
    rows = read_metadata(tmp_path / "bag")["files"]
    assert sum(row["message_count"] for row in rows) == 4000
    assert [row["path"] for row in rows] == [file.name for file in files]


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_recording import payload, topic
from ilrs_robots.replay.bag_writer import BagWriter
writer, chosen, k = BagWriter(Path(sys.argv[1])), topic(), 0
while True:
    writer.push(chosen, time.time_ns(), payload(f"{k} " + "x" * 2000))
    print(k, time.time_ns(), flush=True)
    k += 1
    time.sleep(0.002)
"""


def test_a_killed_recording_opens_as_it_is_and_lost_less_than_a_second(tmp_path):
    bag = tmp_path / "bag"
    command = [sys.executable, "-c", CHILD, str(bag), os.path.dirname(__file__)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        lines = [child.stdout.readline() for _ in range(500)]
    finally:
        child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate(timeout=30)
    last = [line for line in (*lines, *rest.splitlines(keepends=True)) if line.endswith("\n")][-1]
    killed_ns = int(last.split()[1])
    with Bag(bag) as opened:  # by rosbags, before any repair
        stamps = [m.log_ns for m in opened.raw()]
    assert (killed_ns - stamps[-1]) * 1e-9 < 1.0
    (file,) = bag.glob("*.mcap")
    with file.open("rb") as stream:
        seen = [m.log_time for _, _, m in SeekingReader(stream, True).iter_messages()]
    assert seen == stamps
    found = repair_bag(bag)
    assert found.messages == len(stamps)
    assert found.lost_bytes == 0
    assert numbers(texts(bag)) == list(range(len(stamps)))
    with Bag(bag) as opened:
        assert opened.info.message_count == len(stamps)
    assert not needs_repair(bag)


def test_a_cut_at_any_byte_loses_what_lies_behind_it_and_nothing_else(tmp_path):
    write(tmp_path / "bag", 6000, about={"seed": "7"})
    (file,) = (tmp_path / "bag").glob("*.mcap")
    data = file.read_bytes()
    spread = np.linspace(0.03, 0.97, 7) * len(data)
    cuts = [0, 7, 8, 30, *spread.astype(int).tolist(), len(data) - 1]
    kept, name = [], file.name
    for cut in cuts:
        bag = tmp_path / f"cut_{cut}"
        bag.mkdir()
        (bag / name).write_bytes(data[:cut])
        assert needs_repair(bag)
        found = repair_bag(bag)
        assert found.bytes == cut
        again = repair_bag(bag)
        assert again.messages == found.messages
        assert again.lost_bytes == 0 or found.empty
        if found.empty:
            assert found.messages == 0
            continue
        got = numbers(texts(bag))
        assert got == list(range(len(got)))
        assert found.messages == len(got)
        kept.append(len(got))
        with (bag / name).open("rb") as stream:
            reader = NonSeekingReader(stream, validate_crcs=True)
            assert len(list(reader.iter_messages())) == len(got)
        assert read_metadata(bag)["custom_data"].get("seed", "7") == "7"
    assert kept == sorted(kept)
    assert kept[-1] == 6000  # only the end was missing
    # of a cut chunk what decompresses is kept: no step is as long as a chunk of 1 MiB
    assert len(set(kept)) > 5


def test_zeros_at_the_end_are_what_a_power_cut_leaves(tmp_path):
    write(tmp_path / "bag", 3000)
    (file,) = (tmp_path / "bag").glob("*.mcap")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + bytes(len(data) // 2))
    found = repair_bag(tmp_path / "bag")
    got = numbers(texts(tmp_path / "bag"))
    assert 0 < len(got) == found.messages < 3000
    assert got == list(range(len(got)))
    assert found.lost_bytes > 0
    assert json.loads(read_metadata(tmp_path / "bag")["custom_data"][KEY])["messages"] == len(got)


def test_a_damaged_chunk_costs_its_own_messages_only(tmp_path):
    write(tmp_path / "bag", 9000)
    (file,) = (tmp_path / "bag").glob("*.mcap")
    data = bytearray(file.read_bytes())
    chunks = [r for r in records(bytes(data), len(MAGIC)) if r.opcode == CHUNK]
    largest = max(chunks, key=lambda r: r.end - r.start)
    data[(largest.start + largest.end) // 2] ^= 0xFF
    file.write_bytes(data[:-10])
    found = repair_bag(tmp_path / "bag")
    got = numbers(texts(tmp_path / "bag"))
    assert got == sorted(got)
    assert 4000 < len(got) == found.messages < 9000
    assert found.lost_bytes >= largest.end - largest.start


def test_salvage_leaves_the_cut_bag_alone(tmp_path):
    write(tmp_path / "bag", 3000)
    (file,) = (tmp_path / "bag").glob("*.mcap")
    cut = file.read_bytes()[:500_000]
    file.write_bytes(cut)
    for source in (file, tmp_path / "bag"):
        into = tmp_path / f"new_{source.name}"
        found = salvage(source, into)
        assert 0 < found.messages == len(texts(into)) < 3000
        assert file.read_bytes() == cut
    with pytest.raises(BagError, match="no mcap file"):
        salvage(tmp_path / "nothing", tmp_path / "other")


def test_a_bag_that_is_being_written_is_not_repaired(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    with pytest.raises(BagError, match="being written"):
        repair_bag(tmp_path / "bag")
    writer.close()
    repair_bag(tmp_path / "bag")


def throttled(bytes_per_s):
    class Slow(Disk):
        def put(self, offset, parts):
            time.sleep(sum(map(len, parts)) / bytes_per_s)
            super().put(offset, parts)

    return Slow


def test_a_slow_disk_drops_by_priority_and_never_blocks(tmp_path):
    vital, scans, maps = (topic(f"/{n}", n) for n in range(3))
    writer = BagWriter(
        tmp_path / "bag", queue_bytes=2**20, flush_s=0.05, disk=throttled(4e6), compress=False
    )
    big, slowest_s, pushed = payload("x" * 50_000), 0.0, 0
    for k in range(300):  # 25 MB/s of scans and maps onto a disk that takes 4
        before_s = time.perf_counter()
        for chosen, data in ((scans, big), (maps, big), (vital, payload(str(k)))):
            writer.push(chosen, k, data)
            pushed += 1
        slowest_s = max(slowest_s, time.perf_counter() - before_s)
        time.sleep(0.004)
    dropped = dict(writer.counters.dropped)
    behind_s = writer.behind_s
    writer.close()
    assert slowest_s < 0.5
    assert "/0" not in dropped
    assert dropped["/2"] > dropped["/1"] > 0
    assert behind_s > 0.02
    assert numbers(texts(tmp_path / "bag", "/0")) == list(range(300))
    with Bag(tmp_path / "bag") as bag:
        assert bag.info.message_count + writer.counters.dropped_total == pushed


def test_a_full_disk_ends_the_recording_and_what_was_safe_opens(tmp_path):
    class Full(Disk):
        def put(self, offset, parts):
            if offset + sum(map(len, parts)) > 200_000:
                os.pwrite(self._fd, b"".join(parts)[:3000], offset)
                raise OSError(28, "No space left on device")
            super().put(offset, parts)

    chosen, writer = topic(), BagWriter(tmp_path / "bag", flush_s=0.02, disk=Full, compress=False)
    end_s = time.monotonic() + 60.0
    pushed = 0
    while not writer.error:
        assert time.monotonic() < end_s
        writer.push(chosen, pushed, payload(f"{pushed} " + "x" * 5000))
        pushed += 1
        time.sleep(0.002)
    writer.close()
    assert "No space left" in writer.error
    assert writer.counters.written + writer.counters.dropped_total == pushed
    got = numbers(texts(tmp_path / "bag"))
    assert got == list(range(len(got)))
    assert len(got) == writer.counters.written > 5
    assert look(next((tmp_path / "bag").glob("*.mcap"))).whole
