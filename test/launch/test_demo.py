"""`ilrs demo --robot` over real DDS on a short way: it arrives; summary, report and bag stay."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from ilrs_robots.cli.supervisor import program

SITE = """
name: short
latitude_deg: -89.45
longitude_deg: -137.49
epoch_utc: "2035-01-15T00:00:00Z"
goal_m: [7.0, 1.0]
terrain: {kind: procedural, seed: 2}
robots: [{name: long_range, model: long_range}]
"""
TOPICS = {
    "/clock",
    "/tf",
    "/tf_static",
    "/diagnostics",
    "/long_range/imu/data",
    "/long_range/joint_states",
    "/long_range/star_tracker/attitude",
    "/long_range/lidar/points",
    "/long_range/odom",
    "/long_range/elevation_map",
    "/long_range/traversability",
    "/long_range/plan",
    "/long_range/cmd_vel_nav",
    "/long_range/cmd_vel",
    "/long_range/truth/odom",
    "/long_range/navigate_to_pose/_action/status",
    "/long_range/navigate_to_pose/_action/feedback",
}


@pytest.mark.launch
@pytest.mark.timeout(700)
def test_a_short_drive_arrives_and_is_reported(domain_id: int, tmp_path: Path) -> None:
    site, out = tmp_path / "short.yaml", tmp_path / "run"
    site.write_text(SITE)
    done = subprocess.run(
        [
            *program("ilrs"),
            "demo",
            "--robot",
            "long_range",
            "--site",
            str(site),
            "--seed",
            "2",
            "--out",
            str(out),
        ],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["reached"] is True
    assert summary["outcome"]["status"] == "succeeded"
    assert summary["final_distance_to_goal_m"] < 0.6
    assert 6.0 < summary["distance_driven_m"] < 12.0
    assert summary["max_horizontal_error_m"] < 0.3
    assert summary["map_rmse_aligned_m"] < 0.05
    assert summary["recorder_dropped"] == 0
    assert set(summary["latency_p95_ms"]) >= {
        "long_range/localization",
        "long_range/navigation",
        "long_range/terrain_mapping",
    }
    page = (out / "report.html").read_text()
    pictures = sorted(path.name for path in out.glob("*.png"))
    assert len(pictures) >= 5
    for name in pictures:
        if name != "picture.png":
            assert name in page
    with Reader(out / "bag") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert set(counts) >= TOPICS
    assert counts["/long_range/lidar/points"] >= 40
