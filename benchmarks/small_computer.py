"""One vehicle's autonomy pinned to one core: its share of it, memory, start to first map."""

from __future__ import annotations

import compileall
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import PointCloud2

import ilrs_robots
from ilrs_robots.cli.child import command_line
from ilrs_robots.cli.domain import own_domain
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.quick_executor import EXECUTOR, PLAIN, QUICK
from ilrs_robots.robots.assembly import (
    ProcessSpec,
    dds_environment,
    robot_processes,
    simulation_process,
)

ROBOT, SITE, SEED = "long_range", "shackleton", 1
GOAL_XY_M = (40.0, -12.5)
SETTLE_S = 5.0
"""Simulated seconds of driving before the measurement."""
TARGET_SHARE, TARGET_MB, TARGET_START_S = 60.0, 400.0, 5.0
WAIT_S = 600.0


class Probe(Node):  # type: ignore[misc]
    """Hears what the vehicle takes and gives, from the other core."""

    def __init__(self) -> None:
        super().__init__("probe")
        self.now_s = 0.0
        self.maps = 0
        self.points: list[int] = []
        self.shares: dict[str, list[float]] = {}
        self.create_subscription(Clock, "/clock", self._on_clock, qos.STATE)
        self.create_subscription(OccupancyGrid, f"/{ROBOT}/traversability", self._on_map, qos.MAP)
        self.create_subscription(
            PointCloud2, f"/{ROBOT}/lidar/points", self._on_points, qos.SENSOR
        )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_health, qos.STATE)
        self.goal = self.create_publisher(PoseStamped, f"/{ROBOT}/goal_pose", qos.STATE)

    def _on_clock(self, msg: Clock) -> None:
        self.now_s = msg.clock.sec + msg.clock.nanosec * 1e-9

    def _on_map(self, _msg: OccupancyGrid) -> None:
        self.maps += 1

    def _on_points(self, msg: PointCloud2) -> None:
        self.points.append(msg.width * msg.height)

    def _on_health(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            values = {item.key: item.value for item in status.values}
            name = status.name.rpartition("/")[2]
            if "cpu_percent" in values:
                self.shares.setdefault(name, []).append(float(values["cpu_percent"]))

    def send_goal(self) -> None:
        msg = PoseStamped()
        msg.header.frame_id = "map"
        msg.pose.position.x, msg.pose.position.y = GOAL_XY_M
        msg.pose.orientation.w = 1.0
        self.goal.publish(msg)


class Process:
    """A program bound to one core."""

    def __init__(self, spec: ProcessSpec, env: dict[str, str], core: int) -> None:
        self.name, self.begun_s = spec.name, time.monotonic()
        self._running = subprocess.Popen(
            command_line(spec),
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        self._seen = psutil.Process(self._running.pid)

    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """What it alone holds (unique set size): segments of DDS are shared."""
        return float(self._seen.memory_full_info().uss) * 1e-6

    def rss_mb(self) -> float:
        return float(self._seen.memory_info().rss) * 1e-6

    def end(self) -> None:
        self._running.send_signal(signal.SIGINT)
        try:
            self._running.wait(20.0)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()


@contextlib.contextmanager
def started(specs: list[ProcessSpec], env: dict[str, str], core: int) -> Iterator[list[Process]]:
    """Processes for a while."""
    made: list[Process] = []
    try:
        for spec in specs:
            made.append(Process(spec, env, core))
        yield made
    finally:
        for process in made:
            process.end()


def run(quick: bool = False) -> dict[str, Any]:
    """Measure a drive in the embedded simulator, which has the other core.

    Args:
        quick: a fifth of the simulated time.

    Returns:
        A table by process and node, and what the vehicle takes when rclpy's executor spins it.
    """
    cores = sorted(os.sched_getaffinity(0))
    span_s = 12.0 if quick else 60.0
    # an installed package has its byte code; without it each start compiles three hundred files
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(Path(ilrs_robots.__file__).parent, quiet=1)
    peer = _with(PLAIN, cores, span_s)["rows"][0]
    table = _with(QUICK, cores, span_s)
    table["rows"].insert(1, {**peer, "what": "the same with rclpy's executor"})
    return table


def _with(executor_name: str, cores: list[int], span_s: float) -> dict[str, Any]:
    """Measure in a graph of its own with the executor named."""
    with own_domain(os.environ) as domain:
        mine = {"ROS_DOMAIN_ID": str(domain), EXECUTOR: executor_name}
        env = {**os.environ, **dds_environment(os.environ), **mine}
        os.environ.update(env)
        rclpy.init(domain_id=domain)
        probe = Probe()
        executor = SingleThreadedExecutor()
        executor.add_node(probe)
        try:
            sim = simulation_process(SITE, SEED, (ROBOT,), rtf=1.0)
            with started([sim], env, cores[0]):
                return _measured(probe, executor.spin_once, env, cores[-1], span_s)
        finally:
            probe.destroy_node()
            rclpy.shutdown()


def _until(condition: Callable[[], object], spin: Callable[..., None], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_S:.0f} s in vain for {what}")
        spin(timeout_sec=0.05)


def _measured(
    probe: Probe, spin: Callable[..., None], env: dict[str, str], core: int, span_s: float
) -> dict[str, Any]:
    _until(lambda: probe.count_publishers("/clock"), spin, "the simulator")
    vehicle = robot_processes(SITE, SEED, ROBOT, use_sim_time=True)
    gate_first = sorted(vehicle, key=lambda spec: spec.executable != "command_gate")
    env = {**env, "NUMBA_NUM_THREADS": "1"}
    with started(gate_first, env, core) as processes:
        nodes = next(p for p in processes if p.name == ROBOT)
        _until(lambda: probe.maps, spin, "the first map")
        start_s, start_cpu_s = time.monotonic() - nodes.begun_s, nodes.cpu_s()
        _until(lambda: probe.goal.get_subscription_count(), spin, "the navigator")
        probe.send_goal()
        begin_s = probe.now_s + SETTLE_S
        _until(lambda: probe.now_s > begin_s, spin, "the drive to settle")
        return _table(probe, spin, processes, span_s, (start_s, start_cpu_s))


def _table(
    probe: Probe,
    spin: Callable[..., None],
    processes: list[Process],
    span_s: float,
    start: tuple[float, float],
) -> dict[str, Any]:
    probe.shares.clear()
    probe.points.clear()
    begin_s, wall_s = probe.now_s, time.monotonic()
    before = {p.name: p.cpu_s() for p in processes}
    memory = {p.name: (0.0, 0.0) for p in processes}
    looked_s = 0.0
    while probe.now_s < begin_s + span_s:
        spin(timeout_sec=0.05)
        if time.monotonic() > wall_s + WAIT_S:
            raise TimeoutError("the simulated time does not go on")
        if time.monotonic() > looked_s + 1.0:
            looked_s = time.monotonic()
            for p in processes:
                mine = (p.memory_mb(), p.rss_mb())
                memory[p.name] = max(memory[p.name], mine)
    took_s, wall_s = probe.now_s - begin_s, time.monotonic() - wall_s
    used = {p.name: 100.0 * (p.cpu_s() - before[p.name]) / took_s for p in processes}
    rows: list[dict[str, Any]] = [
        {
            "what": "the vehicle: nodes and gate",
            "core_percent": sum(used.values()),
            "own_memory_mb": sum(m[0] for m in memory.values()),
            "start_to_first_map_s": start[0],
            "of_it_cpu_s": start[1],
        },
        {
            "what": "target",
            "core_percent": TARGET_SHARE,
            "own_memory_mb": TARGET_MB,
            "start_to_first_map_s": TARGET_START_S,
        },
    ]
    for name, share in used.items():
        own, rss = memory[name]
        rows.append(
            {"what": f"process {name}", "core_percent": share, "own_memory_mb": own, "rss_mb": rss}
        )
    pace = took_s / wall_s
    for name in sorted(probe.shares):
        # a node's own figure is by wall time
        rows.append(
            {"what": f"node {name}", "core_percent": float(np.mean(probe.shares[name])) / pace}
        )
    points = float(np.mean(probe.points)) if probe.points else float("nan")
    return {
        "name": "One vehicle on one core",
        "unit": "percent of the core per simulated second",
        "rows": rows,
        "note": f"{points:.0f} points at 5 Hz, driving in the embedded simulator on another core; "
        f"processor time by simulated time, which went {pace:.2f} times as fast as the wall's. "
        "A node's share is that of its callbacks; DDS and the executor are the rest of the "
        "process. Own memory: pages of nobody else's (the transport's segments are shared).",
    }


if __name__ == "__main__":
    sys.stdout.write(f"{run(quick=True)}\n")
