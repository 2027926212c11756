"""Program ``robot_node``: the nodes of one vehicle, all in this process or those named.

What belongs to a site and not to a vehicle (its base, its mission) runs by the same program.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import Final

from rclpy.node import Node

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.dds_segment import MAPS_BYTES
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.runtime import run
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.assembly import ROBOT_NODES


def make_nodes() -> list[Node]:
    """Create the nodes that the parameter ``nodes`` names; they share one transform listener."""
    # The host node learns which nodes to make and carries their transform listener.
    host = Node("robot_host")
    wanted = str(declare_one(host, "nodes", ",".join(ROBOT_NODES), "comma-separated node names"))
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    unknown = [name for name in names if name not in MAKERS]
    if unknown or not names:
        raise ConfigError(
            f"parameter nodes = {wanted!r}: {unknown[0] if unknown else 'nothing'!r} is not one "
            f"of {', '.join(MAKERS)}"
        )
    shared = _Shared(host)
    return [host, *(MAKERS[name](shared) for name in names)]


class _Shared:
    """The one transform listener of a process, made when a node first wants it."""

    def __init__(self, host: Node) -> None:
        self._host = host

    @cached_property
    def listener(self) -> TransformListener:
        return TransformListener(self._host)


# A process imports the nodes that it runs and no more: a base would weigh as much as a rover.


def _state_publisher(_shared: _Shared) -> Node:
    from ilrs_robots.nodes.state_publisher import StatePublisherNode

    return StatePublisherNode()


def _localization(_shared: _Shared) -> Node:
    from ilrs_robots.nodes.localization import LocalizationNode

    return LocalizationNode()


def _terrain_mapping(shared: _Shared) -> Node:
    from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode

    return TerrainMappingNode(shared.listener)


def _navigation(shared: _Shared) -> Node:
    from ilrs_robots.nodes.navigation import NavigationNode

    return NavigationNode(shared.listener)


def _flight(shared: _Shared) -> Node:
    from ilrs_robots.nodes.flight import FlightNode

    return FlightNode(shared.listener)


def _power(shared: _Shared) -> Node:
    from ilrs_robots.nodes.power import PowerNode

    return PowerNode(shared.listener)


def _health(_shared: _Shared) -> Node:
    from ilrs_robots.nodes.health import HealthNode

    return HealthNode()


def _base(_shared: _Shared) -> Node:
    from ilrs_robots.nodes.base import BaseNode

    return BaseNode()


def _mission(_shared: _Shared) -> Node:
    from ilrs_robots.nodes.mission import MissionNode

    return MissionNode()


MAKERS: Final[dict[str, Callable[[_Shared], Node]]] = {
    "state_publisher": _state_publisher,
    "localization": _localization,
    "terrain_mapping": _terrain_mapping,
    "navigation": _navigation,
    "flight": _flight,
    "power": _power,
    "health": _health,
    "base": _base,
    "mission": _mission,
}


def main(args: list[str] | None = None) -> int:
    """Run until asked to end."""
    return run(make_nodes, args, segment_bytes=MAPS_BYTES)


if __name__ == "__main__":
    sys.exit(main())
