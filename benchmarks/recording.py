"""CPU of a recording at 20 MB/s: the recorder over DDS, and writers of bags on the same scans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rclpy
from mcap.writer import CompressionType
from mcap.writer import Writer as McapPeer
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as RosbagsPeer
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode
from sensor_msgs.msg import Imu, PointCloud2

from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.supervisor import program
from ilrs_robots.core.types import Cloud
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.recorder_types import message_definition
from ilrs_robots.replay.bag import Bag
from ilrs_robots.replay.bag_writer import BagWriter, Topic
from ilrs_robots.robots.assembly import dds_environment

RATE_MBPS = 20.0
POINTS = 65_536
IMU_HZ = 200
TARGET_PERCENT = 10.0
KIND = "sensor_msgs/msg/PointCloud2"
SCANS = 8


def scans() -> list[bytes]:
    """Serialized scans of gently rolling ground, no two alike."""
    made = []
    for number in range(SCANS):
        rng = np.random.default_rng(number)
        azimuth = np.linspace(-np.pi, np.pi, POINTS)
        reach = 1.5 / np.tan(np.deg2rad(rng.uniform(3.0, 40.0, POINTS)))
        x, y = reach * np.cos(azimuth), reach * np.sin(azimuth)
        z = -1.5 + 0.1 * np.sin(0.7 * x) * np.cos(0.5 * y) + rng.normal(0.0, 0.01, POINTS)
        xyz = np.stack((x, y, z), axis=1).astype(np.float32)
        offsets = np.linspace(0, 99_000_000, POINTS).astype(np.int64)
        message = convert.cloud_message(Cloud(1, "lidar", xyz, time_offset_ns=offsets))
        made.append(bytes(serialize_message(message)))
    return made


def run(quick: bool = False) -> dict[str, Any]:
    """The recorder in a process of its own, then each writer alone."""
    seconds = 8.0 if quick else 30.0
    data = scans()
    with tempfile.TemporaryDirectory() as folder:
        rows = [over_dds(Path(folder), data, seconds)]
        writers = {
            "ours, chunks safe every 0.5 s": ours,
            "rosbags, zstd": rosbags_peer,
            "mcap, zstd": mcap_peer,
        }
        for name, write in writers.items():
            taken = [alone(Path(folder) / f"{write.__name__}{k}", data, write) for k in range(3)]
            percent, share = sorted(taken)[1]
            row = {"work": f"writer alone: {name}", "cpu_percent_of_a_core": percent}
            rows.append({**row, "bytes_per_byte": share})
    return {
        "name": "Recording at 20 MB/s",
        "unit": "percent of one core",
        "rows": rows,
        "note": f"Scans of {POINTS} points, {IMU_HZ} IMU messages a second between two processes; "
        "CPU of all threads of the recorder, its DDS included. Writers alone get the same scans "
        "as bytes; their CPU is that of one second's 20 MB.",
    }


def alone(
    folder: Path, data: list[bytes], write: Callable[[Path, list[bytes]], None]
) -> tuple[float, float]:
    """CPU of a writer, percent of one core at the rate, and size of the bag per byte."""
    count = int(5 * RATE_MBPS * 1e6 / len(data[0]))
    chosen = [data[k % SCANS] for k in range(count)]
    total = sum(map(len, chosen))
    begin_s = time.process_time()
    write(folder, chosen)
    took_s = time.process_time() - begin_s
    size = sum(f.stat().st_size for f in folder.rglob("*.mcap"))
    return 100.0 * took_s / (total / (RATE_MBPS * 1e6)), size / total


def ours(folder: Path, data: list[bytes]) -> None:
    writer = BagWriter(folder, queue_bytes=2**30)
    topic = Topic("/points", KIND, *message_definition(KIND))
    for number, item in enumerate(data):
        writer.push(topic, number, item)
    writer.close()


def rosbags_peer(folder: Path, data: list[bytes]) -> None:
    writer = RosbagsPeer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    text, digest = message_definition(KIND)
    with writer:
        connection = writer.add_connection("/points", KIND, msgdef=text, rihs01=digest)
        for number, item in enumerate(data):
            writer.write(connection, number, item)


def mcap_peer(folder: Path, data: list[bytes]) -> None:
    folder.mkdir()
    with (folder / "peer.mcap").open("wb") as file:
        writer = McapPeer(file, compression=CompressionType.ZSTD)
        writer.start("ros2")
        schema = writer.register_schema(KIND, "ros2msg", message_definition(KIND)[0].encode())
        channel = writer.register_channel("/points", "cdr", schema)
        for number, item in enumerate(data):
            writer.add_message(channel, number, item, number)
        writer.finish()


def over_dds(folder: Path, data: list[bytes], seconds: float) -> dict[str, Any]:
    """The recorder while scans and IMU messages come at the rate."""
    with own_domain(os.environ) as domain:
        env = {**os.environ, **dds_environment(os.environ), "ROS_DOMAIN_ID": str(domain)}
        os.environ.update(env)
        command = [*program("recorder"), "--ros-args", "-p", f"output_dir:={folder / 'bag'}"]
        process = subprocess.Popen(command, env=env)
        try:
            sent, percent = publish(domain, psutil.Process(process.pid), data, seconds)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    with Bag(folder / "bag") as bag:
        kept = bag.counts.get("/points", 0)
        dropped = bag.info.custom["ilrs_dropped"]
    return {
        "work": f"recorder over DDS, {seconds:.0f} s",
        "cpu_percent_of_a_core": percent,
        "target_percent": TARGET_PERCENT,
        "scans": sent,
        "recorded": kept,
        "dropped": dropped,
    }


def publish(
    domain: int, recorder: psutil.Process, data: list[bytes], seconds: float
) -> tuple[int, float]:
    """Scans published, and the recorder's CPU in percent of one core meanwhile."""
    rclpy.init(domain_id=domain)
    node = Node("driver")
    points = node.create_publisher(PointCloud2, "/points", qos.SENSOR)
    imu = node.create_publisher(Imu, "/imu", QoSProfile(depth=50))
    while not (points.get_subscription_count() and imu.get_subscription_count()):
        time.sleep(0.1)
    small = bytes(serialize_message(Imu()))
    per_scan = max(1, round(IMU_HZ * len(data[0]) / (RATE_MBPS * 1e6)))
    step_s = len(data[0]) / (RATE_MBPS * 1e6) / per_scan
    begin_s, sent, before = time.monotonic(), 0, _cpu_s(recorder)
    for step in range(int(seconds / step_s)):
        if step % per_scan == 0:
            points.publish(data[sent % SCANS])
            sent += 1
        imu.publish(small)
        time.sleep(max(0.0, begin_s + (step + 1) * step_s - time.monotonic()))
    time.sleep(1.0)  # for what is still under way
    took_s = time.monotonic() - begin_s
    percent = 100.0 * (_cpu_s(recorder) - before) / took_s
    node.destroy_node()
    rclpy.shutdown()
    return sent, percent


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    sys.stdout.write(f"{run(quick=True)}\n")
