"""Every vehicle node through its lifecycle over the services, in every order that makes sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.localization import LocalizationNode
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.state_publisher import StatePublisherNode
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener

MAKERS: dict[str, Callable[[TransformListener], Any]] = {
    "state_publisher": lambda _listener: StatePublisherNode(),
    "localization": lambda _listener: LocalizationNode(),
    "terrain_mapping": TerrainMappingNode,
    "navigation": NavigationNode,
    "command_gate": lambda _listener: CommandGateNode(),
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


@pytest.mark.parametrize("name", MAKERS)
def test_a_transition_that_is_not_open_is_refused_and_changes_nothing(
    graph: Any, name: str
) -> None:
    host = graph.add(Node("host"))
    graph.add(MAKERS[name](TransformListener(host)))
    manager = Manager(graph, name)
    for closed in ("activate", "deactivate", "cleanup"):
        assert not manager.change(NAMES[closed][0]), closed
        assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
