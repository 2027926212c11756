"""The manager leads real managed nodes up: in order, again after a respawn, never by hearsay."""

from __future__ import annotations

import gc
import subprocess
import time
from typing import Any

import pytest

from ilrs_robots.cli.supervisor import program
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.lifecycle_manager import LifecycleManager
from ilrs_robots.nodes.managed import ManagedNode

pytestmark = pytest.mark.node


class Worker(ManagedNode):
    """Notes when it is set up; refuses as often as it is told, or takes its time."""

    def __init__(self, name: str, log: list[str], refusals: int = 0, takes_s: float = 0.0) -> None:
        super().__init__(name)
        self.log, self.refusals, self.takes_s = log, refusals, takes_s

    def setup(self) -> None:
        self.log.append(self.get_name())
        time.sleep(self.takes_s)
        if self.refusals:
            self.refusals -= 1
            raise IlrsError("not yet")


def drop(graph: Any, node: Any) -> None:
    graph.nodes.remove(node)
    node.executor.remove_node(node)
    node.destroy_node()


def test_nodes_come_up_in_order_and_again_after_a_respawn(graph: Any) -> None:
    log: list[str] = []
    events: list[str] = []
    manager = graph.add(
        LifecycleManager(["first", "second"], answer_s=1.0, on_event=events.append)
    )
    second = graph.add(Worker("second", log))
    graph.until(lambda: manager._posts[1].state is not None, "the second node's state")
    assert manager.missing == ["first", "second"]
    assert log == []  # it waits for the first
    first = graph.add(Worker("first", log))
    graph.until(lambda: manager.up, "both to be active")
    assert log == ["first", "second"]
    drop(graph, first)  # rclpy keeps its services in the graph: they do not answer any more
    graph.until(lambda: manager.missing == ["first"], "the loss to be seen")
    del first
    gc.collect()
    again = graph.add(Worker("first", log))
    graph.until(lambda: manager.up and again.active, "the respawned node to be active")
    assert log == ["first", "second", "first"]
    assert second.active
    assert "first is not active any more" in events


def test_a_call_that_times_out_is_not_repeated_blindly(graph: Any) -> None:
    """The node does what it was asked for after nobody waits any longer."""
    log: list[str] = []
    events: list[str] = []
    node = graph.add(Worker("slow", log, takes_s=0.5))
    manager = graph.add(LifecycleManager(["slow"], answer_s=0.2, on_event=events.append))
    graph.until(lambda: manager.up, "the slow node to be active")
    assert "slow did not answer configure in time" in events
    assert log == ["slow"]
    assert node.active


def test_a_refusal_is_said_and_tried_again(graph: Any) -> None:
    log: list[str] = []
    events: list[str] = []
    graph.add(Worker("shy", log, refusals=1))
    manager = graph.add(LifecycleManager(["shy"], on_event=events.append))
    graph.until(lambda: manager.up, "it to be active after all")
    assert log == ["shy", "shy"]
    assert events[0] == "shy refused to configure: again in 0.5 s"


def test_a_node_that_somebody_deactivates_is_led_up_again(graph: Any) -> None:
    node = graph.add(Worker("one", []))
    manager = graph.add(LifecycleManager(["one"]))
    graph.until(lambda: manager.up, "it to be active")
    node.trigger_deactivate()
    graph.until(lambda: node.active, "it to be active again")


def test_a_node_that_has_ended_for_good_is_said_once(graph: Any) -> None:
    node = graph.add(Worker("done", []))
    events: list[str] = []
    manager = graph.add(LifecycleManager(["done"], on_event=events.append))
    graph.until(lambda: manager.up, "it to be active")
    node.trigger_shutdown()
    graph.until(lambda: not manager.up, "the loss to be seen")
    seen_s = manager._posts[0].told_s
    graph.until(lambda: manager._posts[0].told_s > seen_s, "it to be asked again")
    assert events == [
        "done is active",
        "done is not active any more",
        "done is finalized: only a restart of its process brings it back",
    ]


@pytest.mark.soak
def test_a_killed_process_of_a_real_vehicle_is_led_up_again(graph: Any) -> None:
    command = [
        *program("robot_node"), "--ros-args", "-r", "__ns:=/long_range", "-p",
        "nodes:=state_publisher,localization,health", "-p", "autostart:=false",
    ]  # fmt: skip
    names = ["localization", "health", "state_publisher"]
    manager = graph.add(LifecycleManager(names, namespace="long_range"))
    for _ in range(2):
        with subprocess.Popen(command) as process:
            try:
                graph.until(lambda: manager.up, "the vehicle to be active", 200.0)
            finally:
                process.kill()
        graph.until(lambda: manager.missing == names, "the loss to be seen", 60.0)
