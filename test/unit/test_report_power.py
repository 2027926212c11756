"""The report shows the power of a run where a bag holds it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.replay.power_track import power_series
from ilrs_robots.replay.tracks import DiagnosticSeries
from ilrs_robots.view.report import write_report


def said(**values: list[str]) -> DiagnosticSeries:
    series = DiagnosticSeries()
    for key, texts in values.items():
        name = key.replace("__", ".")
        series.values[name] = [(k * 10**9, text) for k, text in enumerate(texts)]
    return series


def test_series_line_up_by_stamp_and_what_is_no_number_is_unknown():
    series = said(charge=["0.9", "0.8", "0.7"], load__drive_w=["10", "0", "20"],
                  load__radio_w=["5", "5"], solar_w=["1", "x", "3"])  # fmt: skip
    found = power_series(series)
    np.testing.assert_array_equal(found["charge"], [0.9, 0.8, 0.7])
    np.testing.assert_array_equal(found["load_w"], [15.0, 5.0, 20.0])
    np.testing.assert_array_equal(found["solar_w"], [1.0, np.nan, 3.0])
    np.testing.assert_array_equal(found["time_s"], [0.0, 1.0, 2.0])
    assert power_series(None) == {} == power_series(DiagnosticSeries())


def test_the_page_has_the_picture_only_where_there_was_power(tmp_path: Path):
    run = RunEvaluation("r", np.zeros(2), 1.0)
    page = write_report(tmp_path / "without", run, {})
    assert "power.png" not in page.read_text(encoding="utf-8")
    run.power = power_series(said(charge=["0.9", "0.8"], sources_w=["90", "80"]))
    page = write_report(tmp_path / "with", run, {})
    assert "power.png" in page.read_text(encoding="utf-8")
    assert (page.parent / "power.png").stat().st_size > 5_000
