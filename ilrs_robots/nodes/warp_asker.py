"""Asks the simulator to let time run fast while a mission only waits."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node
from std_srvs.srv import SetBool

from ilrs_robots.nodes.time_warp import SERVICE


class WarpAsker:
    """Calls ``time_warp`` when what is wanted changes; where nobody serves it, time is left alone.

    Args:
        node: that asks.
    """

    def __init__(self, node: Node) -> None:
        self._node, self._client = node, node.create_client(SetBool, SERVICE)
        self._asked, self._refused = False, False

    def want(self, fast: bool) -> None:
        """Say whether time may run fast from now on."""
        if fast == self._asked or self._refused or not self._client.service_is_ready():
            return
        self._asked = fast
        answer = self._client.call_async(SetBool.Request(data=fast))
        answer.add_done_callback(self._on_answer)

    def _on_answer(self, done: Any) -> None:
        answer = done.result()
        if answer is not None and not answer.success:
            self._refused = True
            self._node.get_logger().info(f"time does not run fast: {answer.message}")

    def close(self) -> None:
        """Take the client down."""
        self._node.destroy_client(self._client)
