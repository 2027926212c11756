"""A disk without a byte left: what is kept stays kept, what is not is said; no one stops."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from borrow import borrowed
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from std_msgs.msg import String
from std_srvs.srv import SetBool

from ilrs_robots.core.errors import StorageError
from ilrs_robots.core.io.map_files import SavedMap, export_geotiff, load_map, save_map
from ilrs_robots.core.types import GridSpec
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.command_gate import NOT_KEPT, CommandGateNode
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.recorder import RecorderNode
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.replay.bag import Bag
from ilrs_robots.replay.recovery import needs_repair, repair_bag

pytestmark = pytest.mark.node
MAP_RIG = borrowed("node/test_terrain_map_services.py").Rig


def test_what_was_kept_before_is_kept_anew_and_what_was_not_is_said(small_disk: Any) -> None:
    old = KeptState(small_disk.folder / "old.json")
    assert old.save({"estop": False, "why": "longer than what comes after it"})
    small_disk.fill()
    assert old.save({"estop": True})
    assert old.load() == {"estop": True}
    fresh = KeptState(small_disk.folder / "fresh.json")
    assert not fresh.save({"estop": True})
    assert fresh.load() is None
    assert sorted(p.name for p in small_disk.folder.iterdir()) == ["ballast", "old.json"]


def gate(graph: Any, folder: Any) -> CommandGateNode:
    node = graph.add(CommandGateNode())
    node.declare_parameter("state_dir", str(folder))
    bring_up(node)
    return node


def stop(node: CommandGateNode) -> str:
    answer = node._on_estop(SetBool.Request(data=True), SetBool.Response())
    assert answer.success
    return str(answer.message)


def test_an_emergency_stop_outlives_the_gate_on_a_full_disk(graph: Any, small_disk: Any) -> None:
    first = gate(graph, small_disk.folder)
    small_disk.fill()
    assert NOT_KEPT not in stop(first)
    first.trigger_shutdown()
    second = gate(graph, small_disk.folder)
    assert second._gate.estop
    # full from the very beginning: the stop holds, and that it will not outlive the gate is said
    (small_disk.folder / "long_range.gate.json").unlink()
    small_disk.fill()
    second.trigger_shutdown()
    third = gate(graph, small_disk.folder)
    assert NOT_KEPT in stop(third)
    assert third._gate.estop


def test_a_refused_map_says_what_it_needs_what_is_free_and_leaves_nothing(
    small_disk: Any,
) -> None:
    shape = (400, 400)
    height = np.zeros(shape, np.float32)
    spec = GridSpec(0.0, 0.0, 0.1, *shape)
    saved = SavedMap({"elevation": height}, spec, {"elevation": height}, np.eye(4), 1)
    small_disk.fill()
    for name, write in (("a.npz", save_map), ("a.tif", export_geotiff)):
        with pytest.raises(StorageError) as caught:
            write(small_disk.folder / name, saved)
        words = rf"{name}: .*No space left on device: it needs \d+\.\d\d MB, 0\.00 MB are free in"
        assert re.search(words, str(caught.value))
    assert [p.name for p in small_disk.folder.iterdir()] == ["ballast"]


@pytest.mark.soak
def test_a_map_that_cannot_be_saved_is_refused_and_the_old_file_and_the_map_stay(
    graph: Any, small_disk: Any
) -> None:
    rig = MAP_RIG(graph, small_disk.folder)
    rig.scan()
    assert rig.file("save", "site.npz")
    saved = load_map(small_disk.folder / "site.npz").stamp_ns
    small_disk.fill()
    rig.scan()
    before = {name: array.tobytes() for name, array in rig.step.map.to_arrays().items()}
    assert not rig.file("save", "site.npz")
    assert not rig.file("save", "site.tif")
    level, message, values = rig.mapper.health()
    assert level == DiagnosticStatus.WARN
    assert "not saved" in message
    assert "0.00 MB are free" in message
    assert values["saves_failed"] == 2
    assert {name: array.tobytes() for name, array in rig.step.map.to_arrays().items()} == before
    assert load_map(small_disk.folder / "site.npz").stamp_ns == saved
    assert sorted(p.name for p in small_disk.folder.iterdir()) == ["ballast", "site.npz"]
    rig.scan()
    small_disk.free()
    assert rig.file("save", "site.npz")
    assert "not saved" not in rig.mapper.health()[1]
    assert load_map(small_disk.folder / "site.npz").stamp_ns == rig.step.last_stamp_ns


def test_the_recorder_says_so_goes_on_and_leaves_a_bag_that_opens(
    graph: Any, small_disk: Any
) -> None:
    bag = small_disk.folder / "bag"
    settings = {"output_dir": str(bag), "topics": "/words", "compress": False, "flush_s": 0.1}
    recorder = graph.add(
        RecorderNode(parameter_overrides=[Parameter(k, value=v) for k, v in settings.items()])
    )
    peer = graph.add(Node("peer"))
    words = peer.create_publisher(String, "words", qos.STATE)
    said: list[DiagnosticStatus] = []
    peer.create_subscription(
        DiagnosticArray, "/diagnostics", lambda m: said.extend(m.status), qos.STATE
    )
    graph.until(words.get_subscription_count, "the recorder to listen")

    def speak() -> None:
        words.publish(String(data="x" * 50_000))

    def written() -> bool:
        speak()
        return recorder.writer.counters.written > 10

    graph.until(written, "messages in the bag")
    small_disk.fill()

    def told() -> bool:
        speak()
        return any("No space left" in status.message for status in said)

    graph.until(told, "the recorder's word in the diagnostics")
    assert said[-1].level == DiagnosticStatus.ERROR
    heard = len(said)
    graph.until(lambda: len(said) > heard, "it goes on to report")
    assert not recorder.finish()
    small_disk.free()
    if needs_repair(bag):  # the next recorder does it
        repair_bag(bag)
    with Bag(bag) as opened:
        assert opened.info.message_count == recorder.writer.counters.written > 5
