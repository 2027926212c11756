"""Program ``embedded_sim``: steps the world and lets the vehicles follow."""

from __future__ import annotations

import sys

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.nodes.embedded_sim import EmbeddedSimNode
from ilrs_robots.nodes.runtime import end_with_parent, keep_beating, keep_freed_memory, notify


def main(args: list[str] | None = None) -> int:
    """Run until asked to end; 1 when the world cannot be built or breaks."""
    end_with_parent()
    keep_freed_memory()
    rclpy.init(args=args)
    node: EmbeddedSimNode | None = None
    try:
        node = EmbeddedSimNode()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        keep_beating(node)
        notify("READY=1")
        while not node.ready():
            executor.spin_once(timeout_sec=0.05)
        node.get_logger().info("every vehicle listens: time starts")
        while rclpy.ok():
            wait_s = node.delay_s()
            if wait_s <= 0.0:
                node.step()
            executor.spin_once(timeout_sec=min(wait_s, 0.05))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except IlrsError as error:
        get_logger("embedded_sim").fatal(str(error))
        return 1
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
