"""The vehicle's health over DDS: degraded modes by name, one log line for each change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter

from ilrs_robots.nodes import qos
from ilrs_robots.nodes.health import AGGREGATE, HealthNode
from ilrs_robots.nodes.managed import ERROR, OK, WARN, ManagedNode
from ilrs_robots.nodes.runtime import bring_up

pytestmark = pytest.mark.node
SITE = ["-p", "site:=three", "-p", "robot:=hopper"]


class Part(ManagedNode):
    """A managed node under a name that the vehicle expects, as well as it is told to be."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.robot = "hopper"
        self.level, self.sentence = OK, "warm"

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        return self.level, self.sentence, {}


class Listener:
    """What an operator sees."""

    def __init__(self, graph: Any) -> None:
        node = graph.add(Node("operator"))
        self.modes, self.levels, self.tree = "", [], {}
        self.values: dict[str, str] = {}
        node.create_subscription(DiagnosticStatus, "health", self._on_health, qos.MAP)
        node.create_subscription(DiagnosticArray, AGGREGATE, self._on_tree, qos.STATE)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_values, qos.STATE)

    def _on_health(self, msg: DiagnosticStatus) -> None:
        self.modes = {pair.key: pair.value for pair in msg.values}["modes"]

    def _on_tree(self, msg: DiagnosticArray) -> None:
        self.tree = {status.name: status.level for status in msg.status}

    def _on_values(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            if status.name == "hopper/health":
                self.values = {pair.key: pair.value for pair in status.values}


def test_degraded_modes_are_published_by_name_and_every_change_is_logged(
    graph: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    power, health = graph.add(Part("power")), graph.add(HealthNode())
    flight = graph.add(Part("flight"))
    health.robot, health.site_name = "hopper", "three"
    health.set_parameters([Parameter("use_sim_time", value=True)])  # nobody keeps CI's clock
    seen = Listener(graph)
    for node in (power, flight, health):
        bring_up(node)
    graph.until(lambda: seen.modes == "nominal", "a healthy vehicle")
    graph.until(lambda: seen.tree.get("/hopper/power") == OK, "the tree of standard tools")
    power.level, power.sentence = ERROR, "a cable has come off"
    graph.until(lambda: seen.modes == "power", "the degraded mode")
    graph.until(lambda: seen.tree["/hopper"] == ERROR, "the worst of the nodes on top")
    graph.until(lambda: "version" in seen.values, "what the computer tells")
    assert {"disk_free_mb", "clock_synchronised", "process_memory_mb", "latency_max_ms"} <= set(
        seen.values
    )
    assert float(seen.values["in./diagnostics.rate_hz"]) > 0.0
    assert float(seen.values["latency_max_ms"]) > 0.0
    power.level, power.sentence = OK, "warm again"
    graph.until(lambda: seen.modes == "nominal", "health again")
    drop(graph, power)
    graph.until(lambda: seen.modes == "power,incomplete", "the node that has gone")
    lines = [line for line in capfd.readouterr().err.splitlines() if "diagnostics: " in line]
    said = [line.rpartition("diagnostics: ")[2] for line in lines if "[power]" in line]
    assert said == ["a cable has come off", "warm again"]


def test_a_fault_in_the_diagnostics_is_told_and_ends_nothing(
    graph: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    power = graph.add(Part("power"))
    told: list[tuple[bytes, str]] = []

    def take(msg: DiagnosticArray) -> None:
        told.extend((status.level, status.message) for status in msg.status)

    graph.add(Node("operator")).create_subscription(
        DiagnosticArray, "/diagnostics", take, qos.STATE
    )
    bring_up(power)
    graph.until(lambda: (OK, "warm") in told, "a healthy node")
    power.health = lambda: 1 // 0
    graph.until(lambda: told[-1][0] == ERROR, "the fault")
    assert "ZeroDivisionError" in told[-1][1]
    del power.health
    graph.until(lambda: told[-1] == (OK, "warm"), "health again")
    assert "1 // 0" in capfd.readouterr().err  # the line that is wrong


def test_a_disk_that_is_not_there_is_refused_and_one_that_goes_is_told(
    graph: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "state"
    told = {"robot": "hopper", "site": "three", "disk_of": str(folder), "use_sim_time": True}
    health = HealthNode(parameter_overrides=[Parameter(k, value=v) for k, v in told.items()])
    graph.add(health)
    health.trigger_configure()
    assert not health.active
    assert f"disk_of is '{folder}': there is no such folder" in capfd.readouterr().err
    folder.mkdir()
    bring_up(health)
    seen = Listener(graph)
    graph.until(lambda: float(seen.values.get("disk_free_mb", "nan")) > 0.0, "the free space")
    folder.rmdir()
    graph.until(lambda: seen.values["disk_free_mb"] == "nan", "that nobody can tell it")
    assert health.health()[:2] == (WARN, f"free space unknown: {folder} cannot be read")


def drop(graph: Any, node: Any) -> None:
    graph.nodes.remove(node)
    node.executor.remove_node(node)
    node.destroy_node()
