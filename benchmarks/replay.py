"""Replay: times real time for pose alone and for map alone, and memory over the bag's length."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from ilrs_robots.core import warm
from ilrs_robots.core.io.pointcloud2 import encode_cloud
from ilrs_robots.core.types import Cloud
from ilrs_robots.replay.bag import Bag
from ilrs_robots.replay.profile import ReplayProfile, TopicsConfig
from ilrs_robots.replay.rescue import replay_bag

SUITE = Path(__file__).resolve().parents[1] / "test" / "replay" / "suite" / "bags"
S = 1_000_000_000
POINTS, RINGS, SCAN_HZ = 100_000, 125, 10
NO_CLOUDS = ReplayProfile(topics=TopicsConfig(clouds=()))
MAP_ALONE = ReplayProfile(robot="long_range", topics=TopicsConfig(pose="truth/odom", truth=""))
MEASURE = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2])))
import replay
replay.replay_bag(sys.argv[1], replay.NO_CLOUDS)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def longer(source: Path, into: Path, times: int, drop: str = "") -> float:
    """Write a bag several times in a row, stamps going on; gives its seconds."""
    with Bag(source) as bag, Writer(into, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        info, topics = bag.info, {}
        span = info.end_ns - info.start_ns + S // 50
        for turn in range(times):
            for message in bag.raw([t for t in bag.topics if not drop or drop not in t]):
                if message.topic not in topics:
                    topics[message.topic] = writer.add_connection(
                        message.topic, message.msgtype, typestore=bag.typestore
                    )
                data = bytearray(message.data)
                stamp = int.from_bytes(data[4:8], "little") * S
                stamp += int.from_bytes(data[8:12], "little") + turn * span
                data[4:8] = (stamp // S).to_bytes(4, "little")
                data[8:12] = (stamp % S).to_bytes(4, "little")
                writer.write(topics[message.topic], message.log_ns + turn * span, bytes(data))
        return times * span / S


def big_scans(into: Path, seconds: float) -> None:
    """A standing vehicle with a lidar of 100 000 points at 10 Hz over rolling ground."""
    rng = np.random.default_rng(1)
    with Bag(SUITE / "long_range") as bag:
        store = bag.typestore
        poses = list(bag.raw("/long_range/truth/odom"))
    make = store.types
    kinds = {"/long_range/truth/odom": "nav_msgs/msg/Odometry",
             "/long_range/lidar/points": "sensor_msgs/msg/PointCloud2"}  # fmt: skip
    start = poses[0].log_ns
    with Writer(into, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {n: writer.add_connection(n, k, typestore=store) for n, k in kinds.items()}
        pose, cloud = topics.values()
        for k in range(round(seconds * 50)):
            now = start + k * S // 50
            data = bytearray(poses[0].data)
            data[4:8], data[8:12] = ((now // S).to_bytes(4, "little"),
                                     (now % S).to_bytes(4, "little"))  # fmt: skip
            writer.write(pose, now, bytes(data))
            if k % (50 // SCAN_HZ) == 0 and k >= 5:
                message = _scan(make, rng, now - S // SCAN_HZ)
                writer.write(cloud, now, store.serialize_cdr(message, kinds[cloud.topic]))


def _scan(make: Any, rng: np.random.Generator, stamp_ns: int) -> Any:
    down = np.tile(np.radians(np.linspace(-28.0, -4.0, RINGS)), POINTS // RINGS)
    turn = np.repeat(np.linspace(-np.pi, np.pi, POINTS // RINGS), RINGS)
    away = 1.5 / np.tan(-down) + rng.normal(0.0, 0.01, POINTS)
    height = -1.5 + 0.05 * np.sin(0.5 * away) + rng.normal(0.0, 0.01, POINTS)
    xyz = np.column_stack((away * np.cos(turn), away * np.sin(turn), height)).astype(np.float32)
    offsets = np.linspace(0, S // SCAN_HZ - 1, POINTS).astype(np.int64)
    fields, step, data = encode_cloud(Cloud(stamp_ns, "", xyz, offsets))
    column = make["sensor_msgs/msg/PointField"]
    sec, nanosec = divmod(stamp_ns, S)
    stamp = make["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    return make["sensor_msgs/msg/PointCloud2"](
        header=make["std_msgs/msg/Header"](stamp=stamp, frame_id="long_range/lidar_link"),
        height=1, width=POINTS, is_bigendian=False, point_step=step, row_step=step * POINTS,
        fields=[column(name=f.name, offset=f.offset, datatype=f.datatype, count=f.count)
                for f in fields],
        data=np.frombuffer(data, dtype=np.uint8), is_dense=True,
    )  # fmt: skip


def median_s(path: Path, profile: ReplayProfile, repeats: int) -> float:
    """Median wall time of replaying a bag."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        replay_bag(path, profile)
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def peak_mb(path: Path) -> float:
    """Largest memory of a process that replays a bag."""
    here = str(Path(__file__).resolve().parent)
    command = [sys.executable, "-c", MEASURE, str(path), here]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout)) / 1024.0


def run(*, quick: bool = False) -> dict[str, Any]:
    """Rows for the table."""
    warm.mapping()
    warm.reckoning()
    repeats = 1 if quick else 3
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        long_s = longer(SUITE / "long_range", where / "long", 20 if quick else 80, "lidar")
        took = median_s(where / "long", NO_CLOUDS, repeats)
        row = {"what": "IMU 50 Hz and six wheels 50 Hz", "bag_s": long_s}
        rows.append({**row, "wall_s": took, "times_real_time": long_s / took, "wanted": 1000})
        filtered = replace(NO_CLOUDS, localization="filter")
        took = median_s(where / "long", filtered, repeats)
        row = {"what": "the same by the error-state filter", "bag_s": long_s}
        rows.append({**row, "wall_s": took, "times_real_time": long_s / took, "wanted": 1000})
        seconds = 3.0 if quick else 10.0
        big_scans(where / "scans", seconds)
        took = median_s(where / "scans", MAP_ALONE, repeats)
        row = {"what": "map alone, 100 k points at 10 Hz", "bag_s": seconds}
        rows.append({**row, "wall_s": took, "times_real_time": seconds / took, "wanted": 5})
        peaks = [peak_mb(where / "long")]
        shorter_s = longer(SUITE / "long_range", where / "shorter", 5, "lidar")
        peaks.append(peak_mb(where / "shorter"))
        for name, span_s, peak in (("memory", long_s, peaks[0]),
                                   ("memory, a shorter bag", shorter_s, peaks[1])):  # fmt: skip
            rows.append({"what": name, "bag_s": span_s, "peak_MB": peak})
    note = (
        "Opening the bag and the vehicle's file (0.1 to 0.2 s) counts in; scans are decoded in a "
        "thread beside the fusing, so the map alone takes two cores."
    )
    return {"name": "Replay of recorded drives", "rows": rows, "note": note}


if __name__ == "__main__":
    print(json.dumps(run(quick="--quick" in sys.argv), indent=1))
