"""Program ``embedded_sim``: steps the world and lets the vehicles follow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import cast

import rclpy
from rclpy.executors import Executor
from rclpy.node import Node

from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.runtime import run


def simulate(executor: Executor, nodes: Sequence[Node]) -> None:
    """Wait for the vehicles, then step the world as they follow."""
    node = cast(EmbeddedSimNode, nodes[0])
    while not node.ready():
        executor.spin_once(timeout_sec=0.05)
    node.get_logger().info("every vehicle listens: time starts")
    while rclpy.ok():
        wait_s = node.delay_s()
        if wait_s <= 0.0:
            node.step()
        executor.spin_once(timeout_sec=min(wait_s, 0.05))


def main(args: list[str] | None = None) -> int:
    """Run until asked to end; 1 when the world cannot be built or breaks."""
    return run(lambda: [EmbeddedSimNode()], args, simulate)


if __name__ == "__main__":
    sys.exit(main())
