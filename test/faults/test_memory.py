"""Memory stays flat: less than a megabyte more for each simulated hour.

The resident set of the process is what counts, whoever holds it. The slope is the median of those
between all samples (Theil, Sen) after the first third, in which caches and maps fill. Each test
prints what it has measured: ``./run soak -k memory -s``.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
from borrow import borrowed
from scipy.stats import theilslopes

from ilrs_robots.core.control.navigator import NavigatorState
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.lockstep import ENDED, Lockstep

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
LIMIT_MB_PER_H = 1.0
SAMPLES = 120


class Watch:
    """Samples of the process's memory over simulated time."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._me = psutil.Process()
        self._rows: list[tuple[float, float]] = []

    def look(self, time_s: float) -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what glibc merely keeps is nobody's
        self._rows.append((time_s, self._me.memory_info().rss * 1e-6))

    def check(self) -> None:
        time_s, used_mb = np.array(self._rows[len(self._rows) // 3 :]).T
        slope, _, low, high = theilslopes(used_mb, time_s / 3600.0)
        print(
            f"{self.what}: {slope:+.2f} MB/h ({low:+.2f} to {high:+.2f}), "
            f"{used_mb[0]:.1f} to {used_mb[-1]:.1f} MB over {np.ptp(time_s):.0f} simulated s"
        )
        assert slope < LIMIT_MB_PER_H


def sampled(watch: Watch, span_s: float, step: Callable[[], float]) -> None:
    """Go on for so long, and look ``SAMPLES`` times."""
    begin_s = time_s = step()
    looked = 0
    while time_s < begin_s + span_s:
        time_s = step()
        if time_s >= begin_s + looked * span_s / SAMPLES:
            watch.look(time_s)
            looked += 1


@pytest.mark.parametrize("span_s", [1800.0])
def test_memory_of_the_pipeline_is_flat(span_s: float) -> None:
    """To and fro between two places."""
    site, terrain = load_site("shackleton", seed=1)
    run = Lockstep(site, terrain, "long_range", 1)
    goals = [(12.0, 0.0), (0.0, 6.0)]
    navigator = run.pipeline.navigation.navigator
    reached = 0

    def step() -> float:
        nonlocal reached
        state = run.step().state.navigation
        if state is None or state.state in ENDED or navigator.state == NavigatorState.IDLE:
            reached += state is not None and state.state == NavigatorState.REACHED
            navigator.set_goal(*goals[reached % 2], None)
        return run.world.time_ns * 1e-9

    watch = Watch("lock-step: simulator, map, filter, planner")
    sampled(watch, span_s, step)
    assert reached >= 2
    watch.check()


@pytest.mark.parametrize("span_s", [1200.0])
def test_memory_of_the_nodes_is_flat(graph: Any, span_s: float) -> None:
    """Map and gate over DDS, fed in a simulated time that goes as fast as they take it."""
    times = borrowed("node/test_time_node.py")
    world, mapping = times.assemble(graph, use_sim_time=True)
    graph.until(lambda: world.speed() > 0.35 and world.costs, "the vehicle to drive")
    world.node.destroy_timer(next(iter(world.node.timers)))
    tally = mapping._step.tally("lidar/points")
    before = tally.fused

    def step() -> float:
        world._tick()
        graph.spin(12)
        del world.out[:-1], world.costs[:-1]
        return float(world.now_ns * 1e-9)

    watch = Watch("nodes: terrain map and gate over DDS")
    sampled(watch, span_s, step)
    assert tally.fused - before > 0.5 * span_s / (5 * times.TICK_NS * 1e-9)
    watch.check()
