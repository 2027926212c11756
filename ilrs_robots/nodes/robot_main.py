"""Program ``robot_node``: the nodes of one vehicle, all in this process or those named.

What belongs to a site and not to a vehicle (its base, its mission) runs by the same program.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

from rclpy.node import Node

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.runtime import run
from ilrs_robots.nodes.transforms import TransformListener
from ilrs_robots.robots.assembly import ROBOT_NODES

LISTENING: Final = {
    "terrain_mapping": "TerrainMappingNode",
    "navigation": "NavigationNode",
    "power": "PowerNode",
}
"""Nodes that share the transform listener; module and class."""
OTHERS: Final = {
    "state_publisher": "StatePublisherNode",
    "localization": "LocalizationNode",
    "health": "HealthNode",
    "base": "BaseNode",
    "mission": "MissionNode",
}


def make_nodes() -> list[Node]:
    """Create the nodes that the parameter ``nodes`` names; they share one transform listener."""
    # The host node learns which nodes to make and carries their transform listener.
    host = Node("robot_host")
    wanted = str(declare_one(host, "nodes", ",".join(ROBOT_NODES), "comma-separated node names"))
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    known = {**LISTENING, **OTHERS}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigError(
            f"parameter nodes = {wanted!r}: {unknown[0] if unknown else 'nothing'!r} is not one "
            f"of {', '.join(known)}"
        )
    listener = TransformListener(host) if set(names) & set(LISTENING) else None
    return [host, *(_made(name, listener) for name in names)]


def _made(name: str, listener: TransformListener | None) -> Node:
    """A node; its module is loaded now, so that a process holds what it needs and no more."""
    module = importlib.import_module(f"ilrs_robots.nodes.{name}")
    if name in LISTENING:
        return getattr(module, LISTENING[name])(listener)
    return getattr(module, OTHERS[name])()


def main(args: list[str] | None = None) -> int:
    """Run until asked to end."""
    return run(make_nodes, args)


if __name__ == "__main__":
    sys.exit(main())
