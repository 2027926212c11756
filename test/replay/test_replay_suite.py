"""The reference bags come out as they should, and a core that changed is noticed."""

from __future__ import annotations

import dataclasses
import filecmp
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

from ilrs_robots.cli.main import cli
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.io.map_files import load_map
from ilrs_robots.core.localization.attitude import AttitudeEstimator
from ilrs_robots.core.mapping.elevation_map import ElevationMap
from ilrs_robots.replay.suite import load_case
from ilrs_robots.robots import perception

pytestmark = pytest.mark.replay
SUITE = Path(__file__).parent / "suite"


def ilrs(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["replay", *map(str, arguments)], standalone_mode=False)
    assert done.exception is None, done.output
    return done.return_value, done.output


def test_every_vehicle_and_every_fault_comes_out_as_it_should(tmp_path) -> None:
    code, said = ilrs("--suite", SUITE, "--out", tmp_path, "--no-report", "--jobs", 2)
    assert code == 0, said
    results = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {"long_range", "crewed_rover", "hopper"} <= {row["name"] for row in results}
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert (int(root.get("tests")), root.get("failures"), root.get("errors")) == (
        len(results), "0", "0",
    )  # fmt: skip
    kinds = {text.split(":")[0] for p in SUITE.glob("*.yaml") for text in _faults(p)}
    assert kinds == {"dropout", "spike", "delay", "nan", "frame_missing", "clock_jump", "rate"}
    for bag in (SUITE / "bags").iterdir():
        assert sum(file.stat().st_size for file in bag.iterdir()) < 2_000_000


def _faults(path: Path) -> list[str]:
    return [fault.kind for fault in load_case(path).faults]


def test_two_runs_are_equal_to_the_byte(tmp_path) -> None:
    assert ilrs(SUITE / "hopper.yaml", "--out", tmp_path / "first")[0] == 0
    assert ilrs(SUITE / "hopper.yaml", "--out", tmp_path / "second", "--no-report")[0] == 0
    files = ["metrics.json", "map.npz", "map.tif", "trajectory.tum"]
    same, different, absent = filecmp.cmpfiles(
        tmp_path / "first", tmp_path / "second", files, shallow=False
    )
    assert (same, different, absent) == (files, [], [])
    page = (tmp_path / "first" / "report.html").read_text()
    assert "map_rmse_m" in page
    assert "In order" in page
    saved = load_map(tmp_path / "first" / "map.npz")
    metrics = json.loads((tmp_path / "first" / "metrics.json").read_text())["metrics"]
    known = int(np.isfinite(saved.layers["elevation"]).sum())
    assert known == metrics["map_cells_known"]


# -- a core that changed -----------------------------------------------------------------------
def heights_up(monkeypatch) -> None:
    fuse = ElevationMap.update

    def update(self, xyz, T_odom_sensor, *args):
        raised = T_odom_sensor.copy()
        raised[2, 3] += 0.03
        return fuse(self, xyz, raised, *args)

    monkeypatch.setattr(ElevationMap, "update", update)


def yaw_off(monkeypatch) -> None:
    make = AttitudeEstimator.__init__
    turn = se3.quat_from_rpy(0.0, 0.0, np.radians(1.0))

    def init(self, *args):
        make(self, *args)
        self._star_to_base = se3.quat_multiply(turn, self._star_to_base)

    monkeypatch.setattr(AttitudeEstimator, "__init__", init)


def transform_lost(monkeypatch) -> None:
    make = perception.new_tree

    def new_tree(model, name):
        bare = dataclasses.replace(model.lidar, frame="somewhere_else")
        return make(dataclasses.replace(model, lidar=bare), name)

    monkeypatch.setattr(perception, "new_tree", new_tree)


def threshold_halved(monkeypatch) -> None:
    limits = perception.limits_of

    def limits_of(model):
        found = limits(model)
        return dataclasses.replace(found, max_step_m=0.5 * found.max_step_m)

    monkeypatch.setattr(perception, "limits_of", limits_of)


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        (heights_up, "map_bias_m"),
        (yaw_off, "yaw_error_mean_deg"),
        (transform_lost, "scans_fused"),
        (threshold_halved, "lethal_share"),
    ],
)
def test_a_changed_core_is_outside(tmp_path, monkeypatch, change, metric: str) -> None:
    suite = tmp_path / "suite"
    for part in ("bags/long_range", "references"):
        shutil.copytree(SUITE / part, suite / part)
    shutil.copy(SUITE / "long_range.yaml", suite)
    change(monkeypatch)
    code, said = ilrs("--suite", suite, "--out", tmp_path / "out", "--no-report", "--jobs", 1)
    assert code == 1, said
    assert metric in said


# -- references --------------------------------------------------------------------------------
def test_a_reference_is_written_with_its_reason_and_judges(tmp_path) -> None:
    bag, reference = SUITE / "bags" / "hopper", tmp_path / "hopper.json"
    common = (bag, "--out", tmp_path / "out", "--no-report", "--reference", reference)
    assert ilrs(*common)[0] == 2  # there is none yet
    assert ilrs(*common, "--update-reference")[0] == 2  # no reason
    assert ilrs(*common, "--update-reference", "--why", "first one")[0] == 0
    assert ilrs(*common)[0] == 0
    held = json.loads(reference.read_text())
    assert not any("latency" in name or "wall" in name for name in held["metrics"])
    held["metrics"]["map_rmse_m"]["absolute"] = 0.5
    held["metrics"]["scans_fused"]["value"] += 1
    held["metrics"]["false_alarms"]["value"] = 0.5
    reference.write_text(json.dumps(held))
    code, said = ilrs(*common)
    assert code == 1
    assert "outside" in said
    assert "better" in said
    assert ilrs(*common, "--update-reference", "--why", "a scan less")[0] == 0
    new = json.loads(reference.read_text())
    assert [entry["why"] for entry in new["why"]] == ["first one", "a scan less"]
    assert new["metrics"]["map_rmse_m"]["absolute"] == 0.5
    assert ilrs(*common)[0] == 0


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("melt:start=1", "melt"),
        ("dropout:begin=1", "key=value"),
        ("dropout:start=soon", "not a number"),
        ("dropout:share=2", "share"),
    ],
)
def test_a_fault_that_is_none_cannot_run(tmp_path, fault: str, says: str) -> None:
    code, said = ilrs(SUITE / "hopper.yaml", "--out", tmp_path, "--fault", fault)
    assert code == 2
    assert says in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--rate", 2), "--rate is for --live"),
        (("--record", "x", "--out", "y"), "--record is for --live"),
        ((), "--out DIR"),
        (("--live", "--out", "x"), "--live takes no --out"),
        (("--live", "--record", "x"), "--record needs --site"),
        (("--live", "--site", "nowhere"), "nowhere"),
        (("--live", "--start", 99), "the bag is 5.0 s long"),
    ],
)
def test_options_that_do_not_go_together_cannot_run(tmp_path, options, says: str) -> None:
    code, said = ilrs(SUITE / "bags" / "hopper", *options)
    assert code == 2
    assert says in " ".join(said.split())


def test_a_flag_that_does_not_rise_is_outside(tmp_path) -> None:
    shutil.copytree(SUITE / "bags" / "hopper", tmp_path / "bags" / "hopper")
    case = tmp_path / "case.yaml"
    case.write_text("bag: bags/hopper\nexpect:\n  - {flag: map_old, rise_until: 4.0}\n")
    code, said = ilrs(case, "--out", tmp_path / "out", "--no-report")
    assert code == 1
    assert "map_old did not rise between 0 and 4 s" in " ".join(said.split())
