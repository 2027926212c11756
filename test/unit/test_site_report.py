"""The report of a mission: sums of energy and light, flights, and a page that holds every word."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from ilrs_robots.cli.demo_site import plans_of, thinned_site
from ilrs_robots.core.types import GridSpec
from ilrs_robots.replay.energy import energy_use
from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.replay.mission_track import EventLine, TaskLine
from ilrs_robots.replay.site_evaluation import (
    SiteEvaluation,
    VehiclePlan,
    VehicleRun,
    _flights,
    _height_m,
    write_summary,
)
from ilrs_robots.robots.mission_file import read_mission
from ilrs_robots.robots.site import read_site


def power(watts=36.0, n=101):
    """So many seconds on a battery, the second half of them in the dark."""
    share = np.where(np.arange(n) <= n // 2, 1.0, 0.0)
    zero = np.zeros(n)
    return {
        "time_s": np.arange(n, dtype=float), "charge": np.linspace(0.9, 0.8, n),
        "battery_w": np.full(n, -watts), "sources_w": zero, "solar_w": 10.0 * share,
        "sun_share": share, "load_w": np.full(n, watts), "drive_w": np.full(n, 9.0),
    }  # fmt: skip


def test_energy_is_power_over_time_and_a_long_silence_is_left_out():
    use = energy_use(power())
    assert use.loads_wh == pytest.approx(1.0)
    assert use.out_of_battery_wh == pytest.approx(1.0)
    assert use.drive_wh == pytest.approx(0.25)
    assert use.into_battery_wh == 0.0
    assert use.solar_wh == pytest.approx(10.0 * 50.0 / 3600.0)
    assert (use.dark_s, use.known_s) == (50.0, 100.0)
    assert use.light_share == pytest.approx(0.5)
    assert (use.begin_charge, use.least_charge) == pytest.approx((0.9, 0.8))
    late = power()
    late["time_s"] = np.where(late["time_s"] > 50.0, late["time_s"] + 1e4, late["time_s"])
    assert energy_use(late).known_s == pytest.approx(99.0)
    assert energy_use({}) is None


def hopper_run():
    """Two flights of a hopper over level ground, and a shake that is none."""
    run = RunEvaluation("hopper", np.array([0.0, 0.0]), 14.0, start_xy_m=np.zeros(2))
    run.stamps_s = np.arange(0.0, 100.0, 0.5)
    s = run.stamps_s
    height = np.zeros_like(s)
    for begin, apex in ((10.0, 20.0), (60.0, 10.0)):
        inside = (s >= begin) & (s <= begin + 30.0)
        height[inside] = apex * np.sin(np.pi * (s[inside] - begin) / 30.0)
    height[4] = 0.6
    x = np.interp(s, [10.0, 40.0, 60.0, 90.0], [0.0, 50.0, 50.0, 0.0])
    run.true_xyz_m = np.column_stack((x, np.zeros_like(s), 7.0 + height))
    run.terrain_spec = GridSpec(-10.0, -10.0, 1.0, 21, 81)
    run.terrain_m = np.full(run.terrain_spec.shape, 7.0)
    run.reached_by_truth, run.final_distance_to_goal_m = True, 0.0
    return run


def found():
    run = hopper_run()
    run.power = power()
    height = _height_m(run)
    task = TaskLine("hopper.<dark>", "hopper", "hop_and_measure", "done", 1.0, 50.0, "done & well")
    plan = VehiclePlan("hopper", True, (0.0, 0.0), (0.0, 0.0), 14.0)
    vehicle = VehicleRun(plan, run, (task,), energy_use(run.power), height, _flights(run, height))
    events = (EventLine(1.5, "hopper.dark", "launched, at last", True),)
    return SiteEvaluation("m", "s", [vehicle], events, 100.0, notes={"seed": 1})


def test_flights_are_what_leaves_the_ground_for_longer_than_a_shake():
    first, second = found().vehicles[0].flights
    assert first.apex_m == pytest.approx(20.0, abs=0.1)
    assert first.distance_m == pytest.approx(50.0, abs=2.0)
    assert second.end_s - second.begin_s == pytest.approx(30.0, abs=1.5)


def test_summary_says_what_the_page_says(tmp_path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from ilrs_robots.view.site_report import page, rows_of

    evaluation = found()
    write_summary(evaluation, tmp_path / "summary.json")
    summary = json.loads((tmp_path / "summary.json").read_text())
    vehicle = summary["vehicles"]["hopper"]
    assert summary["succeeded"] is True
    assert vehicle["energy"]["loads_wh"] == 1.0
    assert len(vehicle["flights"]) == 2
    assert vehicle["tasks"][0]["state"] == "done"
    assert summary["events"][0]["trouble"] is True
    text = page(evaluation, "a mission", [])
    for said in ("hopper.&lt;dark&gt;", "done &amp; well", "launched, at last", "seed: 1"):
        assert said in text
    assert "Everything done" in text
    values = {row.label: row.value for row in rows_of(evaluation.vehicles[0])}
    assert values["energy used"] == "1.0"
    assert values["flights"] == "2"
    evaluation.vehicles[0].run.reached_by_truth = False
    assert "Not everything done" in page(evaluation, "", [])


def test_the_demonstrations_site_is_the_mains_with_fewer_rays(tmp_path):
    copy = read_site(thinned_site("shackleton", 32, tmp_path))
    own = read_site("shackleton")
    for name in ("long_range", "crewed_rover", "hopper"):
        lidar, whole = (site.robot(name).load_model().lidar for site in (copy, own))
        assert (lidar.columns, lidar.channels) == (32, whole.channels)
    assert copy.base == own.base
    assert thinned_site("shackleton", 0, tmp_path) == "shackleton"
    plans = {plan.name: plan for plan in plans_of(read_mission("demo").mission, own)}
    assert plans["crewed_rover"].end_xy_m == plans["crewed_rover"].start_xy_m
    assert plans["hopper"].hops
    assert not plans["long_range"].hops
    assert all(math.isfinite(value) for plan in plans.values() for value in plan.end_xy_m)
