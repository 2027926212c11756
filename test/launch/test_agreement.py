"""The same mission over DDS and in lock-step: same results, poses and energy within tolerances.

They differ by design: over DDS a command takes effect a period later, vehicles wait for their
order, and the lock-step runs each vehicle in a world of its own.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ilrs_robots.cli.demo_site import thinned_site
from ilrs_robots.cli.supervisor import program
from ilrs_robots.core import warm
from ilrs_robots.core.geometry import se3
from ilrs_robots.robots.hop_flight_types import HopFlightConfig, HopOutcome
from ilrs_robots.robots.power_step import PowerStep
from ilrs_robots.robots.site import load_site
from ilrs_robots.sim.hop_lockstep import HopLockstep
from ilrs_robots.sim.lockstep import Lockstep, LockstepProgress
from ilrs_robots.sim.world import SimRobot

pytestmark = pytest.mark.launch
COLUMNS = 128
GOAL_M, HOP_M = (9.0, -3.0), (30.0, -40.0)
MISSION = f"""
name: agreement
site: shackleton
vehicles:
  long_range:
    - {{task: go_to, name: out, to: [{GOAL_M[0]}, {GOAL_M[1]}]}}
  hopper:
    - {{task: go_to, name: hop, to: [{HOP_M[0]}, {HOP_M[1]}]}}
"""
PLACE_M = 0.6
"""Between the two ends of a drive: each may stop within the goal's tolerance of 0.25 m, and poses
are off by what masts and stars leave."""
HOP_PLACE_M = HopFlightConfig().divert_m + 1.0
"""From the goal: each takes the best place on its own noisy map within a divert's reach."""
APEX_M = 1.5
WAY, ENERGY, TIME = 0.05, 0.15, 0.15
"""Shares by which length, energy for driving and time of a task may differ."""


@pytest.mark.soak
@pytest.mark.timeout(2400)
def test_a_mission_over_dds_agrees_with_lock_step(domain_id: int, tmp_path: Path) -> None:
    path, out = tmp_path / "agreement.yaml", tmp_path / "run"
    path.write_text(MISSION)
    args = ["demo", "--mission", str(path), "--lidar-columns", str(COLUMNS), "--out", str(out)]
    done = subprocess.run(
        [*program("ilrs"), *args], env={**os.environ, "ROS_DOMAIN_ID": str(domain_id)},
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["succeeded"] is True
    site = thinned_site("shackleton", COLUMNS, tmp_path)
    drive_agrees(summary["vehicles"]["long_range"], site)
    hop_agrees(summary["vehicles"]["hopper"], site)


def drive_agrees(over_dds: dict[str, Any], site_name: str) -> None:
    site, terrain = load_site(site_name)
    warm.mapping()
    warm.navigation()
    run = Lockstep(site, terrain, "long_range", site.terrain.seed)
    power = PowerStep("long_range", site.robot("long_range").load_model(), site, terrain.prior)
    drive_j, looked_s, at = [0.0], [0.0], [run.world.truth("long_range").position_m]

    def each(progress: LockstepProgress) -> None:
        span = progress.time_s - looked_s[0]
        if span < 1.0:
            return
        truth = progress.truth
        pose = se3.make_transform(truth.position_m, truth.quat_wxyz)
        speed = float((truth.position_m - at[0]) @ pose[:3, 0]) / span
        state = power.step(progress.time_s, pose, speed)
        drive_j[0] += state.loads_w["drive"] * span
        looked_s[0], at[0] = progress.time_s, truth.position_m

    result = run.drive(GOAL_M, 300.0, each)
    run.world.close()
    assert result.outcome == "reached"
    task = over_dds["tasks"][0]
    assert task["state"] == "done"
    assert abs(over_dds["final_distance_to_goal_m"] - result.goal_error_m) < PLACE_M
    assert over_dds["distance_driven_m"] == pytest.approx(result.driven_m, rel=WAY, abs=0.3)
    assert task["ended_s"] - task["began_s"] == pytest.approx(result.time_s, rel=TIME, abs=4.0)
    assert over_dds["energy"]["drive_wh"] == pytest.approx(drive_j[0] / 3600.0, rel=ENERGY)


def hop_agrees(over_dds: dict[str, Any], site_name: str) -> None:
    site, terrain = load_site(site_name)
    warm.hopping()
    at = site.robot("hopper")
    start = SimRobot("hopper", at.load_model(), at.x_m, at.y_m, at.yaw_rad)
    lockstep = HopLockstep(terrain.surface, terrain.prior, start, site.terrain.seed)
    result = lockstep.hop(HOP_M, 200.0)
    landed = lockstep.world.truth("hopper").position_m
    lockstep.world.close()
    assert result.status.outcome is HopOutcome.LANDED
    assert over_dds["tasks"][0]["state"] == "done"
    (flight,) = over_dds["flights"]
    task = over_dds["tasks"][0]
    assert math.dist(flight["to_xy_m"], HOP_M) < HOP_PLACE_M
    assert math.dist(landed[:2], HOP_M) < HOP_PLACE_M
    assert task["ended_s"] - task["began_s"] == pytest.approx(result.time_s, rel=TIME)
    apex_m = result.apex_m - float(terrain.prior.height(landed[None, :2])[0])
    assert flight["apex_m"] == pytest.approx(apex_m, abs=APEX_M)
