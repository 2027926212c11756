"""Every vehicle node through its lifecycle over the services, in every order that makes sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node
from std_msgs.msg import String

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.flight import FlightNode
from ilrs_robots.nodes.health import HealthNode
from ilrs_robots.nodes.localization import LocalizationNode
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.power import PowerNode
from ilrs_robots.nodes.state_publisher import StatePublisherNode
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.assembly import GATE, HOPPER_NODES, ROBOT_NODES


def hopper_s(node: FlightNode) -> FlightNode:
    """The node of a vehicle that can fly: by default all are of a rover."""
    node.robot = "hopper"
    return node


MAKERS: dict[str, Callable[[TransformListener], Any]] = {
    "state_publisher": lambda _listener: StatePublisherNode(),
    "localization": lambda _listener: LocalizationNode(),
    "terrain_mapping": TerrainMappingNode,
    "navigation": NavigationNode,
    "flight": lambda listener: hopper_s(FlightNode(listener)),
    "command_gate": lambda _listener: CommandGateNode(),
    "power": PowerNode,
    "health": lambda _listener: HealthNode(),
}
NAMES = {
    "configure": (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
    "activate": (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
    "deactivate": (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
    "cleanup": (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
    "shutdown unconfigured": (
        Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
        State.PRIMARY_STATE_FINALIZED,
    ),
    "shutdown inactive": (Transition.TRANSITION_INACTIVE_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),
    "shutdown active": (Transition.TRANSITION_ACTIVE_SHUTDOWN, State.PRIMARY_STATE_FINALIZED),
}
ROUND = ("configure", "activate", "deactivate", "cleanup")
ORDERS = (
    (*ROUND, *ROUND, "shutdown unconfigured"),
    ("configure", "cleanup", "configure", "activate", "deactivate", "activate", "shutdown active"),
    ("configure", "shutdown inactive"),
)


class Manager:
    """Changes states as a lifecycle manager does."""

    def __init__(self, graph: Any, name: str) -> None:
        self.graph = graph
        self.node = graph.add(Node("manager"))
        self.changing = self.node.create_client(ChangeState, f"{name}/change_state")
        self.asking = self.node.create_client(GetState, f"{name}/get_state")
        graph.until(self.changing.service_is_ready, "change_state")
        graph.until(self.asking.service_is_ready, "get_state")

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        answer = self.changing.call_async(request)
        self.graph.until(answer.done, "the transition")
        return bool(answer.result().success)

    def state(self) -> int:
        answer = self.asking.call_async(GetState.Request())
        self.graph.until(answer.done, "the state")
        return int(answer.result().current_state.id)


def drop(graph: Any, node: Any) -> None:
    graph.nodes.remove(node)
    node.executor.remove_node(node)
    node.destroy_node()


def entities(node: Any) -> dict[str, list[str]]:
    return {
        "publishers": sorted(p.topic_name for p in node.publishers),
        "subscriptions": sorted(s.topic_name for s in node.subscriptions),
        "services": sorted(s.srv_name for s in node.services),
        "timers": [str(t.timer_period_ns) for t in node.timers],
    }


@pytest.mark.parametrize("name", MAKERS)
def test_every_sensible_order_works_and_cleanup_leaves_nothing(graph: Any, name: str) -> None:
    host = graph.add(Node("host"))
    for order in ORDERS:
        node = graph.add(MAKERS[name](TransformListener(host)))
        manager = Manager(graph, name)
        bare = entities(node)
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
        for step in order:
            transition, state = NAMES[step]
            assert manager.change(transition), f"{step} of {order}"
            assert manager.state() == state, f"{step} of {order}"
            assert node.active == (state == State.PRIMARY_STATE_ACTIVE)
            if state in (State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_FINALIZED):
                assert entities(node) == bare, f"{step} of {order}"
        for gone in (node, manager.node):
            drop(graph, gone)


OPEN = {
    State.PRIMARY_STATE_UNCONFIGURED: {"configure", "shutdown unconfigured"},
    State.PRIMARY_STATE_INACTIVE: {"activate", "cleanup", "shutdown inactive"},
    State.PRIMARY_STATE_ACTIVE: {"deactivate", "shutdown active"},
    State.PRIMARY_STATE_FINALIZED: set(),
}
"""What a state allows (design.ros2.org, managed nodes); every other one must be refused."""
WAY_TO: dict[int, tuple[str, ...]] = {
    State.PRIMARY_STATE_UNCONFIGURED: (),
    State.PRIMARY_STATE_INACTIVE: ("configure",),
    State.PRIMARY_STATE_ACTIVE: ("activate",),
    State.PRIMARY_STATE_FINALIZED: ("shutdown active",),
}


def test_the_nodes_of_this_test_are_all_of_a_vehicle() -> None:
    assert set(MAKERS) == {*ROBOT_NODES, *HOPPER_NODES, GATE}


LIGHT = ("state_publisher", "health")
"""The guard is that of all: these two stand for it in the short form."""


@pytest.mark.parametrize(
    "name", [n if n in LIGHT else pytest.param(n, marks=pytest.mark.soak) for n in MAKERS]
)
def test_a_transition_that_is_not_open_is_refused_and_changes_nothing(
    graph: Any, name: str
) -> None:
    """Every transition in every state: those that are not open, one after the other."""
    host = graph.add(Node("host"))
    node = graph.add(MAKERS[name](TransformListener(host)))
    manager = Manager(graph, name)
    for state, way in WAY_TO.items():
        for step in way:
            assert manager.change(NAMES[step][0]), step
        held = entities(node)
        for closed in NAMES.keys() - OPEN[state]:
            assert not manager.change(NAMES[closed][0]), f"{closed} in state {state}"
            assert manager.state() == state, f"{closed} in state {state}"
        assert entities(node) == held


class Refusing(ManagedNode):
    """A node whose set-up fails as often as it is told."""

    def __init__(self, failures: list[Exception]) -> None:
        super().__init__("refusing")
        self.failures = failures

    def setup(self) -> None:
        self.publisher(String, "before_the_fault", qos.STATE)
        if self.failures:
            raise self.failures.pop(0)


def test_a_setup_that_fails_leaves_nothing_and_may_be_tried_again(graph: Any) -> None:
    node = graph.add(Refusing([IlrsError("no terrain yet")]))
    manager, bare = Manager(graph, "refusing"), entities(node)
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    assert entities(node) == bare
    for step in ("configure", "activate"):
        assert manager.change(NAMES[step][0]), step
    assert node.active


def test_a_fault_in_a_setup_is_no_end_of_the_process(graph: Any) -> None:
    node = graph.add(Refusing([RuntimeError("a mistake of ours")]))
    manager = Manager(graph, "refusing")
    assert not manager.change(Transition.TRANSITION_CONFIGURE)
    assert not node.active
    assert manager.state() in (State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_FINALIZED)
