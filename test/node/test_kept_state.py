"""What survives the restart of a process: the emergency stop, the pose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rclpy.node import Node
from std_srvs.srv import SetBool

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.runtime import bring_up

pytestmark = pytest.mark.node


def gate(graph: Any, state_dir: Path) -> CommandGateNode:
    node = graph.add(CommandGateNode())
    node.declare_parameter("state_dir", str(state_dir))
    bring_up(node)
    return node


def test_an_emergency_stop_outlives_the_gate(graph: Any, tmp_path: Path) -> None:
    first = gate(graph, tmp_path)
    caller = graph.add(Node("operator"))
    client = caller.create_client(SetBool, "estop")
    graph.until(client.service_is_ready, "the gate's service")
    answer = client.call_async(SetBool.Request(data=True))
    graph.until(answer.done, "the answer")
    first.trigger_shutdown()
    second = gate(graph, tmp_path)
    assert second._gate.estop


def test_a_state_is_replaced_whole_and_a_broken_one_is_none(tmp_path: Path) -> None:
    state = KeptState(tmp_path / "a.json")
    assert state.load() is None
    state.save({"x": 1})
    state.save({"x": 2})
    assert state.load() == {"x": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    (tmp_path / "a.json").write_text('{"x": ')
    assert state.load() is None
    KeptState(None).save({"x": 3})


def test_a_state_folder_that_is_not_there_is_refused(graph: Any, tmp_path: Path) -> None:
    node = graph.add(Node("keeper"))
    node.declare_parameter("state_dir", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"state_dir = .*nowhere.*no such folder"):
        KeptState.of(node, "pose")
