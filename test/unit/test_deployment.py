"""What judges a vehicle on its own computer: doctor, check, profiles of the transport."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from ilrs_robots.cli import doctor_checks as checks
from ilrs_robots.cli.doctor import doctor
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.nodes.deploy_probe import Heard
from ilrs_robots.robots import deployment
from ilrs_robots.robots.findings import BAD, GOOD, NOTE, Finding, exit_code, worst
from ilrs_robots.robots.interfaces import contract, regular_rate_hz
from ilrs_robots.robots.peers_profile import peers_profile

REPOSITORY = Path(__file__).resolve().parents[2]


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
    assert regular_rate_hz("altimeter/range") == 20.0  # its silence is named, too
    assert regular_rate_hz("tank/pressure") == 5.0
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
