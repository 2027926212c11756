"""Program ``robot_node``: the nodes of one vehicle, all in this process or those named."""

from __future__ import annotations

import sys
from collections.abc import Callable

from rclpy.node import Node

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.flight import FlightNode
from ilrs_robots.nodes.health import HealthNode
from ilrs_robots.nodes.localization import LocalizationNode
from ilrs_robots.nodes.navigation import NavigationNode
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.power import PowerNode
from ilrs_robots.nodes.runtime import run
from ilrs_robots.nodes.state_publisher import StatePublisherNode
from ilrs_robots.nodes.terrain_mapping import TerrainMappingNode
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.assembly import ROBOT_NODES


def make_nodes() -> list[Node]:
    """Create the nodes that the parameter ``nodes`` names; they share one transform listener."""
    # The host node learns which nodes to make and carries their transform listener.
    host = Node("robot_host")
    wanted = str(declare_one(host, "nodes", ",".join(ROBOT_NODES), "comma-separated node names"))
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    listener = TransformListener(host)
    makers: dict[str, Callable[[], Node]] = {
        "state_publisher": StatePublisherNode,
        "localization": LocalizationNode,
        "terrain_mapping": lambda: TerrainMappingNode(listener),
        "navigation": lambda: NavigationNode(listener),
        "flight": lambda: FlightNode(listener),
        "power": lambda: PowerNode(listener),
        "health": HealthNode,
    }
    unknown = [name for name in names if name not in makers]
    if unknown or not names:
        raise ConfigError(
            f"parameter nodes = {wanted!r}: {unknown[0] if unknown else 'nothing'!r} is not one "
            f"of {', '.join(makers)}"
        )
    return [host, *(makers[name]() for name in names)]


def main(args: list[str] | None = None) -> int:
    """Run until asked to end."""
    return run(make_nodes, args)


if __name__ == "__main__":
    sys.exit(main())
