"""From the diagnostics of a vehicle's nodes to one sentence: what it can still do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ilrs_robots.core import config
from ilrs_robots.core.config import param

OK: Final = 0
WARN: Final = 1
ERROR: Final = 2
STALE: Final = 3
"""Levels as diagnostic_msgs/DiagnosticStatus numbers them."""

NOMINAL: Final = "nominal"
MODES: Final = {
    "command_gate": "held",
    "localization": "no_pose",
    "terrain_mapping": "blind",
    "navigation": "no_goals",
    "flight": "no_flight",
    "power": "power",
    "state_publisher": "no_description",
    "health": "computer",
}
"""What a vehicle is when this node is not well."""
INCOMPLETE: Final = "incomplete"
"""A node is not heard: its process has ended or hangs."""
SILENT_AFTER_S: Final = 3.0
"""A node that reports once a second and has not done so for this long is not there."""


@dataclass(frozen=True)
class DiagnosticsConfig:
    """When a node that works is reported as one that does not work well enough."""

    latency_p95_ms: float = param(
        1000.0,
        doc="95th percentile of the work's latency above which the node warns; 0: never",
        unit="ms",
        low=0.0,
        high=60_000.0,
    )
    process_memory_mb: float = param(
        1500.0,
        doc="memory of the node's process above which it warns; 0: never",
        unit="MB",
        low=0.0,
        high=1_000_000.0,
    )
    process_cpu_percent: float = param(
        0.0,
        doc="share of one core that the process uses above which the node warns; 0: never",
        unit="%",
        low=0.0,
        high=10_000.0,
    )
    input_silent_s: float = param(
        5.0,
        doc="an input that came at a regular rate and stays away for so long is named; 0: never",
        unit="s",
        low=0.0,
        high=3600.0,
    )

    def __post_init__(self) -> None:
        """Check the ranges."""
        config.check(self)


@dataclass(frozen=True)
class NodeReport:
    """The newest diagnostics of one node.

    Attributes:
        level: OK, WARN, ERROR or STALE.
        message: its sentence.
        heard_s: when it came, by a steady clock.
    """

    level: int
    message: str
    heard_s: float


@dataclass(frozen=True)
class VehicleHealth:
    """What a vehicle can do.

    Attributes:
        level: the worst of its nodes.
        modes: ``nominal``, or the names of everything that is missing.
        sentence: for people.
        nodes: level and sentence of each node.
    """

    level: int
    modes: tuple[str, ...]
    sentence: str
    nodes: Mapping[str, tuple[int, str]]


def judge(
    expected: tuple[str, ...], reports: Mapping[str, NodeReport], now_s: float
) -> VehicleHealth:
    """Put the nodes' reports together.

    Args:
        expected: names of the nodes that the vehicle consists of.
        reports: the newest of each that has reported.
        now_s: by the same steady clock as the reports.
    """
    nodes: dict[str, tuple[int, str]] = {}
    for name in dict.fromkeys((*expected, *reports)):
        report = reports.get(name)
        if report is None:
            nodes[name] = (STALE, "has not reported yet")
        elif now_s - report.heard_s > SILENT_AFTER_S:
            nodes[name] = (STALE, f"not heard for {now_s - report.heard_s:.0f} s")
        else:
            nodes[name] = (report.level, report.message)
    unwell = {name: state for name, state in nodes.items() if state[0] != OK}
    if not unwell:
        return VehicleHealth(OK, (NOMINAL,), NOMINAL, nodes)
    modes = [MODES.get(name, name) for name in unwell]
    if any(level == STALE for level, _ in unwell.values()):
        modes.append(INCOMPLETE)
    sentences = "; ".join(f"{name}: {message}" for name, (_, message) in unwell.items())
    level = max(level for level, _ in unwell.values())
    return VehicleHealth(level, tuple(modes), f"{', '.join(modes)} ({sentences})", nodes)
