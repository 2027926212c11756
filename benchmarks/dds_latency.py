"""Cloud-in to map-out through DDS: from publishing a scan to holding the map made of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import rclpy
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.supervisor import program
from ilrs_robots.core.types import Cloud
from ilrs_robots.nodes import convert, qos
from ilrs_robots.robots.assembly import dds_environment

POINTS = 30_000
PERIOD_S = 0.2
SCAN_NS = 100_000_000
ROBOT = "long_range"


def scan(stamp_ns: int, rng: np.random.Generator) -> Cloud:
    """Gently rolling ground around the sensor, as a turning lidar sees it."""
    azimuth = np.linspace(-np.pi, np.pi, POINTS)
    reach = 1.5 / np.tan(np.deg2rad(rng.uniform(3.0, 40.0, POINTS)))
    x, y = reach * np.cos(azimuth), reach * np.sin(azimuth)
    z = -1.5 + 0.1 * np.sin(0.7 * x) * np.cos(0.5 * y) + rng.normal(0.0, 0.01, POINTS)
    xyz = np.stack((x, y, z), axis=1).astype(np.float32)
    offsets = np.linspace(0, SCAN_NS - 1_000_000, POINTS).astype(np.int64)
    return Cloud(stamp_ns, f"{ROBOT}/lidar_link", xyz, time_offset_ns=offsets)


class Probe(Node):  # type: ignore[misc]
    """Publishes poses and scans, notes when the maps of each scan arrive."""

    def __init__(self) -> None:
        super().__init__("probe")
        ns = f"/{ROBOT}"
        self.tf = self.create_publisher(TFMessage, "/tf", qos.TF)
        self.points = self.create_publisher(PointCloud2, f"{ns}/lidar/points", qos.SENSOR)
        self.sent: dict[int, float] = {}
        self.arrived: dict[str, dict[int, float]] = {"elevation_map": {}, "traversability": {}}
        for kind, topic in ((GridMap, "elevation_map"), (OccupancyGrid, "traversability")):
            self.create_subscription(
                kind, f"{ns}/{topic}", lambda msg, t=topic: self._note(t, msg), qos.MAP
            )
        self.rng = np.random.default_rng(1)

    def _note(self, topic: str, msg: Any) -> None:
        self.arrived[topic][convert.to_ns(msg.header.stamp)] = time.perf_counter()

    def send(self, stamp_ns: int) -> None:
        still = (np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]))
        for moment in range(stamp_ns - 20_000_000, stamp_ns + SCAN_NS + 1, 20_000_000):
            pair = ((f"{ROBOT}/odom", f"{ROBOT}/base_link"), ("map", f"{ROBOT}/odom"))
            self.tf.publish(
                TFMessage(transforms=[convert.transform_message(*p, moment, *still) for p in pair])
            )
        cloud = scan(stamp_ns, self.rng)
        msg = convert.cloud_message(cloud)
        self.sent[stamp_ns + int(cloud.time_offset_ns.max())] = time.perf_counter()
        self.points.publish(msg)


def run(quick: bool = False) -> dict[str, Any]:
    """Latencies of the mapping node in a process of its own."""
    scans = 30 if quick else 150
    with own_domain(os.environ) as domain:
        env = {**os.environ, **dds_environment(os.environ), "ROS_DOMAIN_ID": str(domain)}
        os.environ.update(env)
        arguments = [
            "--ros-args", "-r", f"__ns:=/{ROBOT}", "-p", "nodes:=state_publisher,terrain_mapping",
            "-p", "site:=shackleton", "-p", f"robot:={ROBOT}", "-p", "map_period_s:=0.0",
        ]  # fmt: skip
        process = subprocess.Popen([*program("robot_node"), *arguments], env=env)
        try:
            return measure(domain, scans)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=10)


def measure(domain: int, scans: int) -> dict[str, Any]:
    """Send scans at 5 Hz and collect."""
    rclpy.init(domain_id=domain)
    probe = Probe()
    executor = SingleThreadedExecutor()
    executor.add_node(probe)
    while not (probe.points.get_subscription_count() and probe.tf.get_subscription_count()):
        executor.spin_once(timeout_sec=0.1)
    begin = time.monotonic()
    for number in range(scans):
        probe.send(time.time_ns() - SCAN_NS)
        while time.monotonic() < begin + (number + 1) * PERIOD_S:
            executor.spin_once(timeout_sec=0.01)
    rows = [row(probe, topic) for topic in probe.arrived]
    probe.destroy_node()
    rclpy.shutdown()
    return {
        "name": "Cloud in to map out through DDS",
        "unit": "ms",
        "rows": rows,
        "note": f"{POINTS} points at {1 / PERIOD_S:.0f} Hz between two processes; the first five "
        "scans are left out. GridMap: 400 x 400 cells, four layers.",
    }


def row(probe: Probe, topic: str) -> dict[str, Any]:
    """One line of the table."""
    held = probe.arrived[topic]
    stamps = sorted(probe.sent)[5:]
    took = np.array([held[s] - probe.sent[s] for s in stamps if s in held]) * 1e3
    return {
        "work": f"scan published to {topic} held",
        "scans": len(stamps),
        "arrived": len(took),
        "median_ms": float(np.median(took)),
        "p95_ms": float(np.percentile(took, 95)),
        "target_p95_ms": 60.0,
    }


if __name__ == "__main__":
    sys.stdout.write(f"{run(quick=True)}\n")
