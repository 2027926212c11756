"""Diagnostics of nodes and vehicle: what is told, when, and under which name."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from ilrs_robots.nodes import statistics
from ilrs_robots.nodes.meter import NodeMeter
from ilrs_robots.nodes.statistics import LatencyWindow
from ilrs_robots.robots import computer
from ilrs_robots.robots.vehicle_health import (
    ERROR,
    MODES,
    OK,
    STALE,
    WARN,
    DiagnosticsConfig,
    NodeReport,
    judge,
)

S = 1_000_000_000
NODES = ("localization", "terrain_mapping", "command_gate")


def reports(**levels: int) -> dict[str, NodeReport]:
    return {
        name: NodeReport(level, f"{name} says {level}", 10.0) for name, level in levels.items()
    }


@pytest.mark.parametrize("page", ["deployment.md", "frames_and_topics.md"])
def test_every_mode_stands_in_the_pages(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    told = text.rpartition("`nominal`, or")[2].partition("`incomplete`")[0]
    assert {mode for mode in MODES.values() if f"`{mode}`" not in told} == set()


def test_a_vehicle_is_nominal_when_every_node_says_so() -> None:
    found = judge(NODES, reports(localization=OK, terrain_mapping=OK, command_gate=OK), 11.0)
    assert (found.level, found.modes) == (OK, ("nominal",))


def test_the_modes_name_everything_that_is_missing_and_the_sentence_says_why() -> None:
    found = judge(NODES, reports(localization=OK, terrain_mapping=ERROR, command_gate=WARN), 11.0)
    assert found.level == ERROR
    assert set(found.modes) == {"blind", "held"}
    assert "terrain_mapping says 2" in found.sentence


def test_a_node_that_is_silent_or_never_came_makes_the_vehicle_incomplete() -> None:
    found = judge(NODES, reports(localization=OK, terrain_mapping=OK), 11.0)
    assert found.level == STALE
    assert found.modes == ("held", "incomplete")
    late = judge(NODES, reports(localization=OK, terrain_mapping=OK, command_gate=OK), 20.0)
    assert late.nodes["localization"] == (STALE, "not heard for 10 s")


def test_latencies_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(statistics, "perf_counter", lambda: now_s)
    window = LatencyWindow()
    for step in range(11):
        now_s = 100.0 + step
        window.add(0.001 * step)
    values = window.values()
    assert values["latency_p50_ms"] == pytest.approx(5.0)
    assert values["latency_max_ms"] == pytest.approx(10.0)
    assert values["rate_hz"] == pytest.approx(1.0)
    now_s = 200.0
    assert math.isnan(window.percentile_ms(95))
    assert window.rate_hz() == 0.0


def stamped(stamp_ns: int) -> SimpleNamespace:
    stamp = SimpleNamespace(sec=stamp_ns // S, nanosec=stamp_ns % S)
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp))


def test_an_input_has_rate_and_age_and_is_named_when_it_stays_away() -> None:
    meter, cfg = NodeMeter(), DiagnosticsConfig()
    take = meter.watch("imu/data")
    assert meter.trouble(cfg, meter.values(0), 0) == ""  # never came: the node itself says so
    for step in range(50):
        take(stamped(step * S // 50))
    values = meter.values(S)
    assert values["in.imu/data.age_s"] == pytest.approx(0.02)
    assert float(str(values["in.imu/data.rate_hz"])) > 0.0
    assert meter.trouble(cfg, values, 3 * S) == ""
    assert meter.trouble(cfg, values, 8 * S) == "imu/data has been silent for 7 s"
    meter.resume()
    assert meter.trouble(cfg, values, 8 * S) == ""


def test_what_comes_by_occasion_may_stay_away() -> None:
    meter = NodeMeter()
    meter.watch("goal_pose")(stamped(0))
    assert meter.trouble(DiagnosticsConfig(), meter.values(S), 1000 * S) == ""


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        (DiagnosticsConfig(latency_p95_ms=100.0), "latency_p95_ms is 250 ms, more than 100 ms"),
        (DiagnosticsConfig(latency_p95_ms=0.0), ""),
        (DiagnosticsConfig(process_memory_mb=1.0), "process_memory_mb is"),
    ],
)
def test_thresholds_are_parameters(cfg: DiagnosticsConfig, said: str) -> None:
    meter = NodeMeter()
    values = {"latency_p95_ms": 250.0, **meter.values(0)}
    found = meter.trouble(cfg, values, 0)
    assert found.startswith(said) if said else found == ""


def test_cpu_of_a_callback_is_counted_to_its_node() -> None:
    meter = NodeMeter()
    meter.values(0)
    assert meter.work(lambda n: sum(range(n)), 300_000) == sum(range(300_000))
    assert float(str(meter.values(0)["cpu_percent"])) > 0.0


def test_the_computer_tells_what_a_check_from_afar_needs(tmp_path) -> None:  # type: ignore[no-untyped-def]
    values = computer.values(tmp_path)
    assert values["clock_synchronised"] in ("true", "false", "unknown")
    assert float(str(values["disk_free_mb"])) > 0.0
    assert values["version"]
