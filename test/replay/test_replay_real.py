"""Real recordings and scans, where they are: another robot's drive, a golden map, a real lidar."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from scipy import ndimage

from ilrs_robots.cli.main import cli
from ilrs_robots.core.io.map_files import load_map
from ilrs_robots.replay.profile import load_profile
from ilrs_robots.replay.rescue import replay_bag

pytestmark = pytest.mark.replay
HUSKY_END_M = np.array([-40.0454, -76.9988, -2.6974])
"""Where a respected filter ends, which passes its own test within 1.0452 m."""
S = 1_000_000_000


def replayed(out: Path, *arguments: object) -> dict:
    command = ["replay", *map(str, arguments), "--out", str(out), "--no-report"]
    done = CliRunner().invoke(cli, command, standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 0, done.output
    return json.loads((out / "metrics.json").read_text())


@pytest.fixture(scope="session")
def data() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data is not there ({folder.name}/ beside the repository's folder)")
    return folder


def test_a_foreign_rover_ends_where_a_respected_filter_does(data, tmp_path) -> None:
    content = replayed(tmp_path, data / "bags" / "husky_test1.bag", "--profile", "husky")
    metrics = content["metrics"]
    end = np.array([metrics[f"final_{axis}_m"] for axis in "xyz"])
    assert np.linalg.norm(end - HUSKY_END_M) < 0.6
    assert metrics["driven_m"] == pytest.approx(359.0, abs=2.0)
    assert content["reading"]["undecodable"] == {}
    rows = np.loadtxt(tmp_path / "trajectory.tum")
    np.testing.assert_allclose(rows[-1, 1:4], end, atol=1e-5)
    assert (np.diff(rows[:, 0]) > 0.0).all()


@pytest.mark.soak
def test_the_filter_carries_a_foreign_rover_as_well(data) -> None:
    profile = replace(load_profile("husky"), localization="filter")
    segment = replay_bag(data / "bags" / "husky_test1.bag", profile).segment
    assert segment is not None
    assert np.linalg.norm(segment.poses.positions_m[-1] - HUSKY_END_M) < 0.6
    step = segment.perception.localization
    assert step.counters.get("joints_gate", 0) == 0
    assert not step.lost


def test_the_golden_map_comes_back(data, tmp_path) -> None:
    bag = data / "bags" / "grid_map_golden.bag"
    profile = tmp_path / "profile.yaml"
    profile.write_text("robot: someone\nmodel: long_range\ntopics:\n  recorded_map: /grid_map\n")
    metrics = replayed(tmp_path / "out", bag, "--profile", profile)["metrics"]
    saved = load_map(tmp_path / "out" / "recorded_map.npz")
    elevation = saved.layers["elevation"]
    assert elevation.shape == (120, 40)
    assert saved.spec.resolution_m == pytest.approx(0.03)
    assert metrics["recorded_cells_known"] == int(np.isfinite(elevation).sum())
    assert np.isnan(elevation).mean() == pytest.approx(0.81, abs=0.005)


def test_two_real_scans_agree_on_the_ground(data, tmp_path) -> None:
    """A lidar that stands: what the second scan adds must not contradict the first."""
    scans = [np.load(data / "lidar" / f"os1_128_scan{k}.npy") for k in (0, 1)]
    profile = tmp_path / "profile.yaml"
    profile.write_text(
        "robot: someone\nmodel: hopper\nframes: {os_sensor: lidar_link}\n"
        "topics: {clouds: [/points], pose: /pose, truth: ''}\n"
    )
    maps = []
    for name, chosen in (("first", scans[:1]), ("both", scans)):
        bag = write_scans(tmp_path / name, chosen)
        metrics = replayed(tmp_path / f"{name}_out", bag, "--profile", profile)["metrics"]
        assert metrics["scans_fused"] == len(chosen)
        maps.append(load_map(tmp_path / f"{name}_out" / "map.npz").layers["elevation"])
    known = np.isfinite(maps[0]) & np.isfinite(maps[1])
    assert known.sum() > 5000
    flat = known & (ndimage.generic_gradient_magnitude(np.nan_to_num(maps[0]), ndimage.sobel) < 1)
    change = np.abs(maps[1] - maps[0])[flat]
    assert np.median(change) < 0.02


def write_scans(path: Path, scans: list) -> Path:
    """Scans of a lidar that stands, a tenth of a second apart, with a pose every 20 ms."""
    store = get_typestore(Stores.ROS2_JAZZY)
    make = store.types

    def header(stamp_ns: int, frame: str):
        sec, nanosec = divmod(stamp_ns, S)
        stamp = make["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
        return make["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)

    point = make["geometry_msgs/msg/Point"](x=0.0, y=0.0, z=0.0)
    level = make["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0)
    pose = make["geometry_msgs/msg/Pose"](position=point, orientation=level)
    column = make["sensor_msgs/msg/PointField"]
    kinds = {"x": 7, "y": 7, "z": 7, "intensity": 7, "t": 6, "ring": 4}
    fields = [
        column(name=n, offset=scans[0].dtype.fields[n][1], datatype=k, count=1)
        for n, k in kinds.items()
    ]
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        names = {
            "/pose": "geometry_msgs/msg/PoseStamped",
            "/points": "sensor_msgs/msg/PointCloud2",
        }
        topics = {n: writer.add_connection(n, k, typestore=store) for n, k in names.items()}
        for k in range(40):
            stamp = S + k * S // 50
            message = make[names["/pose"]](header=header(stamp, "map"), pose=pose)
            writer.write(topics["/pose"], stamp, store.serialize_cdr(message, names["/pose"]))
            if k % 5 == 0 and 0 < k // 5 <= len(scans):
                scan = scans[k // 5 - 1]
                message = make[names["/points"]](
                    header=header(stamp, "os_sensor"), height=1, width=scan.size, fields=fields,
                    is_bigendian=False, point_step=scan.dtype.itemsize,
                    row_step=scan.dtype.itemsize * scan.size,
                    data=np.frombuffer(scan.tobytes(), dtype=np.uint8), is_dense=False,
                )  # fmt: skip
                data = store.serialize_cdr(message, names["/points"])
                writer.write(topics["/points"], stamp + S // 10, data)
    return path
