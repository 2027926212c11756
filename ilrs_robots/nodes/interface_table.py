"""Every endpoint of a vehicle's nodes, read from the nodes themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import rclpy
from rclpy.action import (
    get_action_client_names_and_types_by_node,
    get_action_server_names_and_types_by_node,
)
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node

from ilrs_robots.nodes.command_gate import CommandGateNode
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.robot_main import make_nodes
from ilrs_robots.nodes.runtime import bring_up
from ilrs_robots.robots.assembly import GATE, ProcessSpec
from ilrs_robots.robots.security import Endpoints

NamesAndTypes = list[tuple[str, list[str]]]


def endpoints_of(watcher: Node, name: str, space: str) -> Endpoints:
    """What the graph knows of one node, without the parts of actions.

    Args:
        watcher: a node that sees it.
        name: of the node.
        space: its namespace, ``/long_range``.

    Raises:
        NodeNameNonExistentError: the graph does not know it.
    """

    def names(found: NamesAndTypes) -> frozenset[str]:
        return frozenset(entry for entry, _ in found)

    return Endpoints(
        names(watcher.get_publisher_names_and_types_by_node(name, space)),
        names(watcher.get_subscriber_names_and_types_by_node(name, space)),
        names(watcher.get_service_names_and_types_by_node(name, space)),
        names(watcher.get_client_names_and_types_by_node(name, space)),
        names(get_action_server_names_and_types_by_node(watcher, name, space)),
        names(get_action_client_names_and_types_by_node(watcher, name, space)),
    ).without_action_parts()


def vehicle_endpoints(
    specs: Iterable[ProcessSpec], more: Iterable[str] = ()
) -> dict[tuple[str, str], Endpoints]:
    """Endpoints of all nodes of a vehicle by (namespace, node), once they are all active.

    Each process of the assembly is made here, one after the other, in a context of its own.

    Args:
        specs: of ``robots.assembly.robot_processes``.
        more: further ROS arguments, for parameters that change what a node has.

    Raises:
        IlrsError: a node cannot be configured.
    """
    found: dict[tuple[str, str], Endpoints] = {}
    for spec in specs:
        make: Callable[[], list[Node]] = make_nodes
        if spec.nodes == (GATE,):
            make = _gate
        rclpy.init(args=[*spec.arguments(), *more])
        nodes: list[Node] = []
        try:
            nodes = make()
            for node in nodes:
                if isinstance(node, LifecycleNode):
                    bring_up(node)
            for node in nodes:
                space = node.get_namespace()
                key = (space, node.get_name())
                found[key] = _with_later(node, endpoints_of(nodes[0], node.get_name(), space))
        finally:
            for node in nodes:
                node.destroy_node()
            rclpy.try_shutdown()
    return found


def _gate() -> list[Node]:
    return [CommandGateNode()]


def _with_later(node: Node, made: Endpoints) -> Endpoints:
    """With the subscriptions that the node makes when somebody listens to it."""
    later = node.later if isinstance(node, ManagedNode) else ()
    names = {f"{node.get_namespace()}/{name}" for name in later}
    return Endpoints(
        made.publish, made.subscribe | names, made.reply, made.request, made.execute, made.call
    )
