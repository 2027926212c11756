"""Real DDS in one process: each test has its own domain, context and executor."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ilrs_robots.nodes.quick_executor import make_executor
from ilrs_robots.robots.assembly import dds_environment

sys.path.insert(0, str(Path(__file__).parent))
WAIT_S = 60.0


class Graph:
    """Nodes of a test, spun until a condition holds."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.nodes: list[Node] = []

    def add(self, node: Node) -> Any:
        """Add a node to the executor."""
        self._executor.add_node(node)
        self.nodes.append(node)
        return node

    def remove(self, node: Node) -> None:
        """Let a node end as its process would."""
        self._executor.remove_node(node)
        self.nodes.remove(node)
        node.destroy_node()

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = WAIT_S) -> None:
        """Spin until the condition holds; fail with what was waited for."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout_s:.0f} s in vain for {what}")
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, cycles: int) -> None:
        """Let what has arrived be handled."""
        for _ in range(cycles):
            self._executor.spin_once(timeout_sec=0.0)


@pytest.fixture
def graph(domain_id: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    """A running rclpy with loopback transport in the test's own domain, as the processes spin."""
    for key, value in dds_environment({}).items():
        monkeypatch.setenv(key, value)
    rclpy.init(domain_id=domain_id)
    executor = make_executor()
    made = Graph(executor)
    yield made
    for node in made.nodes:
        executor.remove_node(node)
        node.destroy_node()
    executor.shutdown()
    rclpy.shutdown()


@pytest.fixture
def parameters() -> Callable[..., list[Parameter]]:
    """Parameter overrides from keywords."""
    return lambda **values: [Parameter(name, value=value) for name, value in values.items()]
