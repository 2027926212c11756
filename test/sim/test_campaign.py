"""Campaigns: worlds of a seed, the all-knowing planner, runs that fail alone, figures."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from ilrs_robots.cli.campaign import campaign as command
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.model import load_robot
from ilrs_robots.sim.campaign import outcome as word
from ilrs_robots.sim.campaign.config import CampaignConfig
from ilrs_robots.sim.campaign.drive import SIM
from ilrs_robots.sim.campaign.outcome import RunResult
from ilrs_robots.sim.campaign.pool import Campaign, workers
from ilrs_robots.sim.campaign.reference import TrueGround
from ilrs_robots.sim.campaign.summary import Summary, write_csv
from ilrs_robots.sim.campaign.worlds import make_world
from ilrs_robots.sim.lockstep import Lockstep

pytestmark = pytest.mark.sim

CONFIG = CampaignConfig()
SMALL = CampaignConfig(side_max_m=30.0)


def test_scans_match_where_rocks_leave_little_flat_ground():
    """World 8: three in ten points lie on planes. Without a match nothing tells that it slides."""
    world = make_world(8, CONFIG)
    run = Lockstep(world.site, world.terrain, CONFIG.robot, 8, SIM)
    while run.world.time_ns < 2_500_000_000:
        run.step()
    ground = run.pipeline.senses.ground
    run.world.close()
    assert ground is not None
    assert ground.scans.matched >= 8
    assert (ground.scans.dropped["unmatched"], ground.scans.odometry.restarts) == (0, 0)


# -- worlds ---------------------------------------------------------------------------------------


def test_a_world_is_as_its_configuration_says_and_the_same_for_a_seed():
    world, again, other = (make_world(seed, CONFIG) for seed in (3, 3, 4))
    assert (world.side_m, world.cover) == (again.side_m, again.cover)
    np.testing.assert_array_equal(world.goal_xy_m, again.goal_xy_m)
    np.testing.assert_array_equal(world.ground.cost, again.ground.cost)
    assert not np.array_equal(world.goal_xy_m, other.goal_xy_m)
    half = 0.5 * world.side_m
    assert world.terrain.prior.bounds_m == (-half, -half, half, half)
    wide = world.terrain.surface.bounds_m
    assert wide[0] < -half - 60.0
    rocks = world.terrain.surface.rocks(-half, -half, half, half)
    a, b = rocks.semi_axes_m[:, :2].T
    covered = float(np.pi * (a * b).sum() / world.side_m**2)
    assert covered == pytest.approx(world.cover, rel=0.35)
    assert np.hypot(*(world.goal_xy_m - world.start_xy_m)) > 0.4 * world.side_m


def test_a_world_has_slopes_as_asked():
    config = replace(CONFIG, cover_min=0.0, cover_max=0.0, craters_max=0)
    gentle = make_world(5, replace(config, slope_min_deg=5.0, slope_max_deg=5.0))
    steep = make_world(5, replace(config, slope_min_deg=24.0, slope_max_deg=24.0))
    for world, limit in ((gentle, 5.0), (steep, 24.0)):
        n = round(world.side_m / 10.0)
        middle = world.terrain.surface.dem.spec.rows // 2
        heights = world.terrain.surface.dem.heights_m
        heights = heights[middle - n : middle + n + 1, middle - n : middle + n + 1]
        steepest = np.degrees(np.arctan(np.hypot(*np.gradient(heights, 5.0)).max()))
        assert limit - 1.0 < steepest < limit + 8.0
    assert (steep.ground.judged >= 1.0).mean() > (gentle.ground.judged >= 1.0).mean()


# -- the all-knowing planner ----------------------------------------------------------------------


class Walls:
    """Flat ground with a wall across it that has a gap."""

    def __init__(self, gap_m):
        self.gap_m = gap_m

    def top_grid(self, spec: GridSpec):
        x, y = np.meshgrid(spec.x_m(), spec.y_m())
        wall = (np.abs(x) < 0.5) & (np.abs(y) > 0.5 * self.gap_m)
        return np.where(wall, 1.5, 0.0).astype(np.float32)


@pytest.mark.parametrize(
    ("gap_m", "kind"), [(5.0, "solved"), (4.0, "tight"), (2.0, "unsolved"), (0.0, "unsolved")]
)
def test_the_all_knowing_planner_passes_what_the_vehicle_fits_through(gap_m, kind):
    model = load_robot("long_range")
    ground = TrueGround.of(Walls(gap_m), (-15.0, -15.0, 15.0, 15.0), model)
    found = ground.solve(np.array([-10.0, 2.0]), np.array([10.0, -2.0]))
    assert found.kind == kind
    if kind == "unsolved":
        assert "cannot be reached" in found.reason
    else:
        assert 20.3 < found.length_m < 23.0
        at_wall = found.path_xy_m[np.abs(found.path_xy_m[:, 0]) < 0.5]
        assert np.abs(at_wall[:, 1]).max() <= 0.5 * gap_m - 0.5 * model.footprint.width_m + 0.2


# -- runs that fail alone -------------------------------------------------------------------------

RUN = """
    import json, os, sys, time
    seed, out = int(sys.argv[1]), sys.argv[3]
    assert json.load(open(sys.argv[2]))["robot"] == "long_range"
    if os.path.exists(os.path.join({folder!r}, f"mended_{{seed}}")):
        seed += 100
    if seed == 2:
        os.kill(os.getpid(), 11)
    if seed == 3:
        time.sleep(600)
    if seed == 4:
        print("no such thing", file=sys.stderr)
        sys.exit(7)
    if seed == 5:
        open(out, "w").write("{{ not json")
        sys.exit(0)
    result = {{"seed": seed % 100, "outcome": "reached", "reference": "solved",
               "reference_m": 20.0, "driven_m": 21.0, "digest": str(os.getpid())}}
    open(out, "w").write(json.dumps(result))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "made_up_run.py").write_text(
        textwrap.dedent(RUN).format(folder=str(tmp_path))
    )
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'code'}:{before}")
    return "made_up_run"


def test_one_failing_run_never_loses_the_others_and_only_it_is_made_again(tmp_path, module):
    folder = Campaign(tmp_path / "out", CONFIG)
    seen = []
    with workers(3) as pool:
        folder.run(folder.missing(range(1, 8)), pool, 2.0, lambda r: seen.append(r.seed), module)
    assert sorted(seen) == [1, 2, 3, 4, 5, 6, 7]
    runs = {run.seed: run for run in folder.results()}
    assert {s for s, run in runs.items() if run.outcome == word.REACHED} == {1, 6, 7}
    assert runs[2].reason.startswith("ended by signal 11")
    assert runs[3].reason == "killed after 2 s"
    assert runs[4].reason == "ended with code 7: no such thing"
    assert runs[5].reason.startswith("ended with code 0")

    folder.path(6).write_text("{ cut")
    for seed in (2, 3, 4, 5):
        (tmp_path / f"mended_{seed}").touch()
    again = Campaign(tmp_path / "out", CONFIG, resume=True)
    assert again.missing(range(1, 9)) == [2, 3, 4, 5, 6, 8]
    with workers(2) as pool:
        again.run(again.missing(range(1, 8)), pool, 20.0, module=module)
    after = {run.seed: run for run in again.results()}
    assert all(run.outcome == word.REACHED for run in after.values())
    assert after[1].digest == runs[1].digest
    assert after[6].digest != runs[6].digest


def test_a_real_dask_cluster_makes_the_runs_and_loses_none_with_one(tmp_path, module):
    """A scheduler and a worker of their own on this machine; one run kills its process."""
    distributed = pytest.importorskip("distributed", reason="the extra [cluster] is not there")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None
    ) as cluster:
        folder = Campaign(tmp_path / "out", CONFIG)
        with workers(0, cluster.scheduler_address) as executor:
            folder.run([1, 2, 4, 6], executor, 60.0, module=module)
    runs = {run.seed: run for run in folder.results()}
    assert {s for s, run in runs.items() if run.outcome == word.REACHED} == {1, 6}
    assert runs[2].reason.startswith("ended by signal 11")
    assert runs[4].reason == "ended with code 7: no such thing"
    assert runs[1].digest != runs[6].digest, "each in a process of its own"


def test_a_folder_of_another_campaign_is_refused(tmp_path):
    Campaign(tmp_path / "out", CONFIG)
    with pytest.raises(ConfigError, match="go on with --resume"):
        Campaign(tmp_path / "out", CONFIG)
    with pytest.raises(ConfigError, match=r"cover_max = 0.2, now it is 0.15"):
        Campaign(tmp_path / "out", replace(CONFIG, cover_max=0.15), resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    with pytest.raises(ConfigError, match="something else"):
        Campaign(tmp_path / "other", CONFIG)


def test_an_interrupted_campaign_leaves_no_process_behind(tmp_path, module):
    folder = Campaign(tmp_path / "out", CONFIG)
    begin = time.monotonic()

    def interrupted():
        with workers(2) as pool:
            folder.run([1, 3], pool, 600.0, interrupt, module)

    def interrupt(_run):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - begin < 60.0
    assert [run.seed for run in folder.results()] == [1]


@pytest.mark.soak
def test_a_run_ends_with_whoever_waits_for_it(tmp_path):
    """The program itself: a parent that is not its parent is as good as gone."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(asdict(SMALL)))
    out = tmp_path / "run.json"
    done = subprocess.run(
        [sys.executable, "-m", "ilrs_robots.sim.campaign.one", "1", str(config), str(out), "1"],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode != 0
    assert "nobody waits" in done.stderr
    assert not out.exists()


# -- figures --------------------------------------------------------------------------------------

GOOD = RunResult(
    1, "reached", reference="solved", reference_m=30.0, driven_m=33.0, reason="", goal_error_m=0.3
)


def test_the_figures_say_what_is_wrong():
    runs = [
        GOOD,
        replace(GOOD, seed=2, driven_m=40.0),
        replace(GOOD, seed=3, outcome="refused", reason="no way"),
        RunResult(4, "refused", reason="no way", reference="unsolved"),
        RunResult(5, "timeout", reason="late", reference="unsolved"),
        RunResult(6, "reached", reference="unsolved"),
        replace(GOOD, seed=7, rocks_over_clearance=1),
        replace(GOOD, seed=8, outcome="tipped"),
        RunResult(9, "error", reason="killed after 2 s"),
        RunResult(10, "refused", reason="no way", reference="tight"),
    ]
    made = Summary.of(runs)
    assert (made.runs, made.solved, made.arrived) == (10, 5, 3)
    assert (made.unsolved, made.truly_refused, made.beyond, made.tight) == (3, 1, 1, 1)
    assert (made.tipped, made.touched, made.broken) == (1, 1, 1)
    assert made.ratio_median == pytest.approx(1.1)
    assert (made.ratio_p95, made.ratio_worst) == (pytest.approx(1.31), pytest.approx(4.0 / 3.0))
    assert made.within == pytest.approx(2.0 / 3.0)
    said = " / ".join(made.shortfalls)
    for words in (
        "reached 3 of 5 worlds", "refused 1 and reached 1 of 3", "1 of 10 tipped over",
        "1 of 10 touched", "1 of 10 broke off",
    ):  # fmt: skip
        assert words in said
    assert runs[1].faults == ("33 % longer than need be",)
    assert runs[2].faults == ("refused what can be reached",)
    assert Summary.of([GOOD]).shortfalls == ()
    assert Summary.of([]).shortfalls == ()


def test_the_table_is_whole(tmp_path):
    write_csv(tmp_path / "campaign.csv", [GOOD, replace(GOOD, seed=2, driven_m=40.0)])
    with (tmp_path / "campaign.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["1", "2"]
    assert float(rows[0]["ratio"]) == pytest.approx(1.1)
    assert rows[1]["faults"] == "33 % longer than need be"


# -- the real thing -------------------------------------------------------------------------------


def campaign(out: Path, *more: str) -> tuple[int, str]:
    """The command, in this process; its runs have their own."""
    done = CliRunner().invoke(
        command, ["--out", str(out), *more], standalone_mode=False, catch_exceptions=False
    )
    return int(done.return_value), " ".join(done.output.split())


def short(tmp_path: Path, **more: float) -> tuple[str, str]:
    settings = tmp_path / "short.yaml"
    settings.write_text(yaml.safe_dump({"side_max_m": 30.0, **more}))
    return "--config", str(settings)


def test_a_world_is_driven_in_and_reported(tmp_path):
    """The beginning of a drive through the whole of it: a process, a world, page and table."""
    options = ("--worlds", "1", "--first-seed", "9", *short(tmp_path, duration_s=3.0))
    code, said = campaign(tmp_path / "out", *options)
    assert code == 1, said
    assert "1 of 1 neither arrived nor refused" in said
    run = RunResult.from_json(json.loads((tmp_path / "out/runs/000009.json").read_text()))
    assert (run.outcome, run.reason) == (word.TIMEOUT, "not reached within 3 s")
    assert run.faults == ("timeout",)
    assert run.worst_roll_deg < 28.0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Campaign of 1 worlds" in page
    assert "World 9: timeout" in page
    for picture in ("overview.png", "world_000009.png"):
        assert (tmp_path / "out" / picture).stat().st_size > 10_000
    assert (tmp_path / "out" / "campaign.csv").exists()
    code, said = campaign(tmp_path / "out", *options)
    assert code == 2
    assert "--resume" in said


@pytest.mark.timeout(1200)
def test_five_worlds_with_a_way_are_driven_through_without_a_detour(tmp_path):
    """The shortest drives of the first sixty: reached, nothing tipped, nothing tall touched."""
    seeds = "0,27,41,43,53"
    code, said = campaign(tmp_path / "out", "--seeds", seeds, "--no-report")
    assert code == 0, said
    runs = Campaign(tmp_path / "out", CONFIG, resume=True).results()
    assert [run.seed for run in runs] == [int(seed) for seed in seeds.split(",")]
    for run in runs:
        assert (run.outcome, run.reference, run.faults) == (word.REACHED, "solved", ()), run.seed
        assert run.ratio is not None
        assert run.ratio < 1.2, run.seed


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_five_more_come_out_as_they_should(tmp_path):
    """Reached where it can be, refused where it cannot, nothing tipped, nothing tall touched."""
    code, said = campaign(tmp_path / "out", "--worlds", "5", "--first-seed", "9")
    runs = Campaign(tmp_path / "out", CONFIG, resume=True).results()
    assert len(runs) == 5
    summary = Summary.of(runs)
    assert (summary.tipped, summary.touched, summary.broken) == (0, 0, 0), said
    assert code == 0, said


def test_a_campaign_that_cannot_run_says_why(tmp_path):
    for more, words in (
        (("--robot", "hopper"), "hopper"),
        (("--seeds", "3,x"), "'x'isnotaseed"),
        (("--config", str(tmp_path / "none.yaml")), "none.yaml"),
        (("--dask", "tcp://127.0.0.1:1"), "dask"),
    ):
        code, said = campaign(tmp_path / "out", "--worlds", "1", "--no-report", *more)
        assert code == 2, said
        assert words in said.replace(" ", "")  # the terminal breaks long paths
