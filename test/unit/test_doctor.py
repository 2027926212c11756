"""What ``ilrs doctor`` finds out in processes of its own: libraries, kernels, DDS loop-back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from ilrs_robots.cli import doctor_checks as checks
from ilrs_robots.cli.doctor import doctor
from ilrs_robots.robots.findings import BAD, GOOD


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal 11"),
        ("raise ImportError('liblost.so.1: no such file')", "liblost.so.1: no such file"),
    ],
)
def test_a_library_that_crashes_or_does_not_load_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, how: str
) -> None:
    (tmp_path / "wrecked.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(checks, "LIBRARIES", ("json", "wrecked", "surely_not_there"))
    missing, broken = checks.imports()
    assert (missing.check, missing.level, missing.what) == (
        "library surely_not_there", BAD, "not installed"
    )  # fmt: skip
    assert (broken.check, broken.level) == ("library wrecked", BAD)
    assert how in broken.what
    assert broken.remedy


def test_a_library_that_hangs_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "endless.py").write_text("while True: __import__('time').sleep(1)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(checks, "LIBRARIES", ("endless",))
    monkeypatch.setattr(checks, "_IMPORT_TIMEOUT_S", 0.5)
    (finding,) = checks.imports()
    assert (finding.check, finding.level) == ("libraries", BAD)


def test_kernels_that_do_not_compile_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "WARMED", ("no_such_group",))
    (finding,) = checks.kernels()
    assert (finding.check, finding.level) == ("kernels", BAD)
    assert "no_such_group" in finding.what


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_the_whole_doctor_loads_compiles_and_hears_itself() -> None:
    done = CliRunner().invoke(doctor, ["--json"], standalone_mode=False)
    found = {finding["check"]: finding for finding in json.loads(done.output)["findings"]}
    assert {"libraries", "DDS loop-back", "kernels"} <= set(found), done.output
    assert found["libraries"]["what"] == f"{len(checks.LIBRARIES)} load"
    assert found["DDS loop-back"]["level"] != BAD  # a busy machine is slow
    assert "there and back" in found["DDS loop-back"]["what"]
    assert found["kernels"]["level"] == GOOD
    assert all(name in found["kernels"]["what"] for name in checks.WARMED)
