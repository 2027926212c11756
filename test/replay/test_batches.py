"""Whole chunks, columns, orders by array: the same as message by message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from ilrs_robots.core.localization.reckoning_batch import IMU, JOINTS, STARS
from ilrs_robots.core.types import AttitudeSample, ImuSample, JointSample
from ilrs_robots.replay.bag import Bag, BagError, RawMessage
from ilrs_robots.replay.block_order import BlockOrder
from ilrs_robots.replay.blocks import Block, blocks, in_chunks
from ilrs_robots.replay.columns import SINGLE, TRUTH, ColumnReader, Columns, Tables
from ilrs_robots.replay.decode import Decoder, PoseSample
from ilrs_robots.replay.faults import FaultMaker
from ilrs_robots.replay.ordered import HeaderOrder, ReadReport, Stamped
from ilrs_robots.replay.profile import ReplayProfile
from ilrs_robots.replay.read_ahead import read_ahead
from ilrs_robots.replay.rescue import replay_bag

pytestmark = pytest.mark.replay
ROVER = Path(__file__).parent / "suite" / "bags" / "crewed_rover"
S = 1_000_000_000


def copied(into: Path, plugin: StoragePlugin) -> Path:
    with Bag(ROVER) as bag, Writer(into, version=9, storage_plugin=plugin) as writer:
        topics: dict = {}
        for raw in bag.raw([t for t in bag.topics if not t.endswith(("ground", "points"))]):
            if raw.topic not in topics:
                topics[raw.topic] = writer.add_connection(
                    raw.topic, raw.msgtype, typestore=bag.typestore
                )
            writer.write(topics[raw.topic], raw.log_ns, raw.data)
    return into


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_blocks_hold_every_message_in_its_order(tmp_path, plugin) -> None:
    path = copied(tmp_path / "bag", plugin)
    with Bag(path) as bag:
        assert in_chunks(bag) == (plugin is StoragePlugin.MCAP)
        names = [name for name in bag.topics if not name.endswith("attitude")]
        expected = [(m.topic, m.log_ns, m.data) for m in bag.raw(names)]
        found = [
            (names[block.topics[n]], int(block.log_ns[n]), block.bytes_of(n))
            for block in blocks(bag, names)
            for n in range(len(block.topics))
        ]
    assert found == expected
    assert len(found) > 1000


def test_a_damaged_chunk_ends_the_blocks_with_the_reason(tmp_path) -> None:
    file = tmp_path / "bag.mcap"
    data = bytearray((ROVER / "crewed_rover.mcap").read_bytes())
    data[len(data) // 3] ^= 0xFF
    file.write_bytes(data)
    with Bag(file) as bag, pytest.raises(BagError, match="reading stops"):
        list(blocks(bag, list(bag.topics)))


def test_columns_are_what_decoding_gives() -> None:
    with Bag(ROVER) as bag:
        profile = ReplayProfile().for_bag(bag.topics, bag.info.custom)
        kinds = profile.topic_kinds()
        names = [name for name in bag.topics if name in kinds]
        reader, decoder = ColumnReader(names, kinds, bag.topics), Decoder(profile)
        seen = set()
        for block in blocks(bag, names):
            columns = reader.read(block)
            for n in range(len(block.topics)):
                kind, row = int(columns.kinds[n]), int(columns.rows[n])
                seen.add(kind)
                if kind != SINGLE:
                    topic = names[block.topics[n]]
                    raw = RawMessage(topic, bag.topics[topic], 0, block.bytes_of(n))
                    (sample,) = decoder.samples(kinds[topic], bag.decode(raw).msg)
                    assert sample.stamp_ns == columns.stamps_ns[n]
                    assert_equal(sample, kind, columns.tables, row, reader.names)
    assert seen == {IMU, JOINTS, STARS, TRUTH, SINGLE}


def assert_equal(sample: object, kind: int, tables: Tables, row: int, names: tuple) -> None:
    if isinstance(sample, ImuSample):
        values = np.concatenate((sample.angular_velocity_rps, sample.specific_force_mps2))
        assert kind == IMU
        np.testing.assert_array_equal(tables.imu[row], values)
    elif isinstance(sample, JointSample):
        assert (kind, sample.names) == (JOINTS, names)
        np.testing.assert_array_equal(tables.position[row], sample.position_rad)
        np.testing.assert_array_equal(tables.velocity[row], sample.velocity_rps)
    elif isinstance(sample, AttitudeSample):
        assert kind == STARS
        np.testing.assert_array_equal(tables.stars[row], [*sample.quat_wxyz, sample.sigma_rad])
    else:
        assert isinstance(sample, PoseSample)
        np.testing.assert_array_equal(tables.truth[row, :3], sample.T_map_base[:3, 3])


def stream(seed: int) -> list[tuple[str, int]]:
    """Topics and stamps as a bad recorder has them."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(600):
        for topic, every in (("/a", 1), ("/b", 2), ("/c", 20)):
            if k % every == 0:
                found.append((topic, 1000 * S + k * S // 50 + int(rng.normal(0, 3e6))))
    for _ in range(3):  # messages that come late, twice, of another clock
        n, m = rng.integers(100, len(found) - 100, 2)
        found.insert(int(n), found[int(n) - 3])
        found.insert(int(m) + int(rng.integers(1, 60)), found.pop(int(m)))
        n = int(rng.integers(100, len(found)))
        found[n] = (found[n][0], found[n][1] + int(rng.choice([-700, 700])) * S)
    if seed % 2:  # the whole robot's time is set back
        cut = len(found) // 2
        found = [*found[:cut], *((t, s - 300 * S) for t, s in found[cut:])]
    return found


@pytest.mark.parametrize("seed", range(8))
def test_an_order_by_array_is_the_order_one_by_one(seed: int) -> None:
    messages = stream(seed)
    names = ["/a", "/b", "/c"]
    kinds = dict.fromkeys(names, "cloud")
    types = dict.fromkeys(names, "x/msg/X")
    raws = [RawMessage(t, "x/msg/X", n, (f"{s}".encode())) for n, (t, s) in enumerate(messages)]
    slow_report, fast_report = ReadReport(), ReadReport()
    items = [
        Stamped(s, n + 1, "cloud", s, raw)
        for n, ((_, s), raw) in enumerate(zip(messages, raws, strict=True))
    ]
    slow = [
        (item.key_ns, None if item.raw is None else item.seq - 1)
        for item in HeaderOrder(S // 2, slow_report).sort(iter(items))
    ]
    order, fast = BlockOrder(names, types, kinds, S // 2, fast_report), []
    for first in range(0, len(messages), 97):
        for ordered in order.push(as_columns(messages[first : first + 97], names, first)):
            fast += rows(ordered)
    for ordered in order.finish():
        fast += rows(ordered)
    assert fast == slow
    for name in ("duplicates", "late", "other_clock", "segments"):
        assert getattr(fast_report, name) == getattr(slow_report, name), name


def as_columns(messages: list[tuple[str, int]], names: list[str], first: int) -> Columns:
    data = [f"{stamp}".encode() for _, stamp in messages]
    size = np.array([len(d) for d in data], np.int64)
    end = np.cumsum(size)
    count = len(messages)
    block = Block(
        np.frombuffer(b"".join(data), np.uint8),
        np.array([names.index(t) for t, _ in messages], np.int64),
        np.arange(first, first + count), end - size, size,
    )  # fmt: skip
    none = Tables(*(np.empty((0, n)) for n in (6, 0, 0, 5, 7)))
    stamps = np.array([s for _, s in messages], np.int64)
    single, nowhere = np.full(count, SINGLE, np.int64), np.full(count, -1, np.int64)
    return Columns(block, single, stamps, nowhere, none, np.ones(count, np.bool_))


def rows(ordered) -> list[tuple[int, int | None]]:
    if ordered.reset_ns is not None:
        return [(ordered.reset_ns, None)]
    return [(int(k), raw.log_ns) for k, raw in zip(ordered.keys_ns, ordered.raws, strict=True)]


def test_a_replay_in_batches_is_the_replay_one_by_one(monkeypatch) -> None:
    fast = replay_bag(ROVER)
    monkeypatch.setattr(FaultMaker, "none", property(lambda _self: False))
    slow = replay_bag(ROVER)
    assert fast.report == slow.report
    assert fast.flags == slow.flags
    one, other = fast.segment, slow.segment
    for mine, theirs in ((one.poses, other.poses), (one.truth, other.truth)):
        assert len(mine) == len(theirs) > 100
        np.testing.assert_array_equal(mine.stamps_ns, theirs.stamps_ns)
        np.testing.assert_allclose(mine.positions_m, theirs.positions_m, atol=1e-9)
        np.testing.assert_allclose(mine.quats_wxyz, theirs.quats_wxyz, atol=1e-9)
    counters = one.perception.localization.counters
    assert counters == other.perception.localization.counters
    np.testing.assert_allclose(
        fast.saved.layers["elevation"], slow.saved.layers["elevation"], atol=1e-6
    )


def test_what_is_read_ahead_comes_in_order_and_its_error_last() -> None:
    def broken() -> Iterator[int]:
        yield from range(50)
        raise BagError("the end")

    found = []
    with pytest.raises(BagError, match="the end"), read_ahead(broken()) as items:
        found += items
    assert found == list(range(50))


def test_reading_ahead_ends_with_who_takes() -> None:
    before = threading.active_count()
    with read_ahead(iter(range(10**9))) as items:
        assert next(items) == 0
    assert threading.active_count() == before
