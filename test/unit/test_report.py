"""The report shows what was measured, says what was not, and needs nothing but its folder."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.core.types import GridSpec
from ilrs_robots.replay.evaluation import MapComparison, RunEvaluation
from ilrs_robots.replay.metrics import MapErrors
from ilrs_robots.replay.tracks import OccupancySample
from ilrs_robots.view.report import write_report
from ilrs_robots.view.report_html import number, title_of

pytest.importorskip("matplotlib", reason="pictures need matplotlib")
SCENARIO = {
    "site": "<moon> & co",
    "seed": 3,
    "straight_line": {
        "rocks_over_clearance": 4,
        "clearance_m": 0.32,
        "max_slope_deg": 27.0,
        "slope_limit_deg": 20.0,
    },
}


def full_run():
    """A made-up run with everything in it, on a coarse terrain."""
    n = 60
    run = RunEvaluation("rover", np.array([10.0, 4.0]), 1.0, start_xy_m=np.zeros(2))
    run.reached = run.reached_by_truth = run.reached_by_robot = True
    run.robot_word = "succeeded"
    run.final_distance_to_goal_m, run.distance_driven_m = 0.42, 12.3
    run.stamps_s = np.linspace(5.0, 35.0, n)
    run.true_xyz_m = np.column_stack((np.linspace(0, 10, n), np.linspace(0, 4, n), np.zeros(n)))
    run.true_rpy_rad = np.full((n, 3), 0.05)
    run.speed_mps = np.full(n, 0.4)
    run.slope_rad = np.full(n, 0.1)
    run.estimated_xyz_m = run.true_xyz_m + 0.1
    run.estimated_xyz_m[:3] = np.nan
    run.position_error_m = run.horizontal_error_m = np.full(n, 0.15)
    run.yaw_error_rad = np.zeros(n)
    spec = GridSpec(-3.0, -3.0, 0.5, 24, 36)
    run.terrain_spec = spec
    run.terrain_m = np.sin(spec.x_m())[None, :] * np.cos(spec.y_m())[:, None]
    run.terrain_m[0, 0] = np.nan
    seen = np.zeros((20, 20), np.float32)
    seen[:5] = np.nan
    errors = MapErrors(np.where(np.isnan(seen), np.nan, 0.03), np.zeros((20, 20)))
    window = GridSpec(-2.0, -2.0, 0.2, 20, 20)
    run.maps = [MapComparison(0, window, np.zeros(2), seen, errors, errors, 0.75)]
    run.plans_xy_m = [run.true_xyz_m[:, :2]]
    cost = np.tile(np.array([np.nan, 0.0, 0.5, 1.0], np.float32), (20, 5))
    run.traversability = OccupancySample(0, "rover/odom", window, cost)
    run.latency_p95_ms = {"rover/mapping": 12.0}
    return run


def rocks():
    return Rocks(
        np.array([[3.0, 1.0, 0.0], [6.0, 2.0, 0.0]]),
        np.array([[0.5, 0.4, 0.6], [0.2, 0.2, 0.1]]),
        np.zeros(2),
        np.arange(2),
        np.array([0.6, 0.1]),
    )


class Collector(HTMLParser):
    """Tags that are open, pictures, links and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.links, self.text = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "img":
            self.images.append(values["src"])
            assert values["alt"]
        if tag == "a":
            self.links.append(values["href"])
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_complete_report(tmp_path):
    extra = {"rocks": rocks(), "provenance": {"version": "1.2.3"}, "files": {"bag": "bag"}}
    path = write_report(tmp_path / "out", full_run(), SCENARIO, extra)
    text = path.read_text(encoding="utf-8")
    page = Collector(text)
    assert page.open == []
    assert path == tmp_path / "out" / "report.html"
    assert set(page.images) == {
        "path.png", "elevation_map.png", "pose_error.png", "motion.png", "traversability.png",
    }  # fmt: skip
    for name in (*page.images, "picture.png"):
        data = (path.parent / name).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 5000
    assert page.links == ["bag"]
    for words in ("Goal reached", "0.42 m from the goal", "<moon> & co", "4 rocks", "1.2.3",
                  "12.3", "3.0", "rover/mapping"):  # fmt: skip
        assert words in page.text
    assert not re.search(r"\b(nan|None|inf)\b", page.text)
    assert "http" not in text


def test_a_missed_goal_is_said_first(tmp_path):
    run = RunEvaluation("rover", np.zeros(2), 1.0)
    run.reached = run.reached_by_truth = False
    run.robot_word = "aborted: no way around"
    page = Collector(write_report(tmp_path, run, SCENARIO).read_text(encoding="utf-8"))
    assert "Goal not reached" in page.text
    assert "goal not reached" in title_of(run, SCENARIO)
    assert "aborted: no way around" in page.text


def test_a_run_without_data_gives_reasons_instead_of_pictures(tmp_path):
    run = RunEvaluation("rover", np.zeros(2), 1.0)
    run.missing = {"truth": "no message of /rover/truth/odom in the bag"}
    page = Collector(write_report(tmp_path, run, {}).read_text(encoding="utf-8"))
    assert page.images == []
    assert "Not known" in page.text
    assert "no message of /rover/truth/odom" in page.text
    assert not re.search(r"\b(nan|None)\b", page.text)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (-1.256, "−1.26"), (12345.0, "12 345.00")],
)
def test_numbers_are_readable(value, text):
    assert number(value, 2).replace("\u202f", " ") == text


def test_drawing_libraries_are_imported_only_to_draw():
    code = (
        "import sys, ilrs_robots.view.report, ilrs_robots.replay.evaluate;"
        "print([m for m in ('matplotlib', 'rclpy', 'evo') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
