"""Supervision with small real processes: ready, restart, silence, giving up, nothing left."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ilrs_robots.cli import shared_memory
from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.run import check_room
from ilrs_robots.cli.signals import stop_on_signals
from ilrs_robots.cli.supervisor import Policy, SupervisionError, Supervisor
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import ProcessSpec, dds_environment, dds_profile, recorder_process

PRELUDE = """
import os, signal, socket, sys, time
def tell(message):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.sendto(f"{message}\\nMAINPID={os.getpid()}".encode(), os.environ["NOTIFY_SOCKET"])
"""
LIVES = PRELUDE + "tell('READY=1')\nwhile True: time.sleep(0.05); tell('WATCHDOG=1')"
DIES_AT_ONCE = PRELUDE + "print('no such rover'); sys.exit(3)"
DIES_WHEN_UP = PRELUDE + "tell('READY=1'); print('my last word'); sys.exit(3)"
DEAF = PRELUDE + (
    "for n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n"
    "tell('READY=1')\nwhile True: time.sleep(0.05); tell('WATCHDOG=1')"
)
FAST = Policy(ready_s=10.0, silent_s=0.6, max_deaths=3, window_s=60.0, first_delay_s=0.02)
PATIENCE_S = 20.0


class Rig:
    """A supervisor of scripts, and what it said."""

    def __init__(self, folder: Path, spare: str = "", **scripts: str) -> None:
        self.lines: list[tuple[str, str]] = []
        self.events: list[str] = []
        self.hurry = False
        self._earlier = {child.pid for child in psutil.Process().children()}
        self.supervisor = Supervisor(
            [ProcessSpec(name, "", "robot", (name,), spare=name == spare) for name in scripts],
            folder,
            on_line=lambda name, line: self.lines.append((name, line)),
            on_event=self.events.append,
            policy=FAST,
            command=lambda spec: [sys.executable, "-c", scripts[spec.name]],
            hurry=lambda: self.hurry,
        )

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, (self.events, self.lines)
            self.supervisor.poll(0.02)

    def pids(self) -> list[int]:
        # A worker of the test run may have children of its own, as of multiprocessing.
        born = {child.pid for child in psutil.Process().children()} - self._earlier
        return sorted(born)

    def life(self, name: str) -> int | None:
        return self.supervisor.life_of("robot", name)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(**scripts: str) -> Rig:
        rigs.append(Rig(tmp_path, **scripts))
        return rigs[-1]

    yield make
    for one in rigs:
        one.hurry = True
        one.supervisor.end()


def test_a_killed_process_is_started_again_and_the_others_live_on(rig: Callable[..., Rig]) -> None:
    made = rig(a=LIVES, b=LIVES)
    made.supervisor.start()
    assert (made.life("a"), made.life("b")) == (1, 1)
    first, _second = made.pids()
    os.kill(first, signal.SIGKILL)
    made.until(lambda: made.life("a") == 2)
    assert made.life("b") == 1
    assert made.events == [
        "a ended with signal SIGKILL: started again in 0.0 s",
        "a is up again",
    ]


def test_a_stopped_process_is_found_by_its_silence(rig: Callable[..., Rig]) -> None:
    made = rig(a=LIVES)
    made.supervisor.start()
    os.kill(made.pids()[0], signal.SIGSTOP)
    made.until(lambda: made.life("a") == 2)
    assert made.events[0].startswith("a fell silent for 1 s")


def test_a_supervisor_that_was_stopped_blames_nobody(rig: Callable[..., Rig]) -> None:
    made = rig(a=LIVES)
    made.supervisor.start()
    # As after Ctrl-Z and fg: long not looked, and the queue of notifications ran over meanwhile.
    made.supervisor._looked_s -= 60.0
    made.supervisor._posts[0].child.heard_s -= 60.0
    made.supervisor.poll(0.0)
    assert made.life("a") == 1
    assert made.events == []


def test_one_that_keeps_dying_is_given_up_with_its_last_words(rig: Callable[..., Rig]) -> None:
    made = rig(a=DIES_WHEN_UP)
    made.supervisor.start()
    with pytest.raises(SupervisionError, match=r"(?s)3 deaths within 60 s.*my last word"):
        made.until(lambda: False)
    assert len(made.events) >= 2


def test_one_that_never_comes_up_is_not_tried_again(rig: Callable[..., Rig]) -> None:
    made = rig(a=LIVES, b=DIES_AT_ONCE)
    with pytest.raises(SupervisionError, match=r"(?s)b ended with exit code 3.*no such rover"):
        made.supervisor.start()
    assert made.events == []


@pytest.mark.parametrize("dies", [DIES_AT_ONCE, DIES_WHEN_UP])
def test_without_a_spare_one_the_others_go_on(rig: Callable[..., Rig], dies: str) -> None:
    made = rig(spare="b", a=LIVES, b=dies)
    made.supervisor.start()
    made.until(lambda: any("the others go on without it" in event for event in made.events))
    made.supervisor.poll(0.05)
    assert made.life("a") == 1
    assert len(made.pids()) == 1


def test_in_a_hurry_even_the_deaf_end_at_once(rig: Callable[..., Rig]) -> None:
    made = rig(a=DEAF, b=LIVES)
    made.supervisor.start()
    made.hurry = True
    began_s = time.monotonic()
    ended = made.supervisor.end()
    assert {one.name: one.code for one in ended} == {"a": -signal.SIGKILL, "b": -signal.SIGKILL}
    assert time.monotonic() - began_s < 5.0
    assert made.pids() == []


def test_a_restarted_recorder_writes_into_a_new_folder(tmp_path: Path) -> None:
    spec = recorder_process(tmp_path / "bag", use_sim_time=True)
    assert spec.again(2).parameters["output_dir"] == f"{tmp_path / 'bag'}_2"
    assert spec.again(2).name == spec.name


def test_signals_twice_mean_at_once_but_an_echo_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("ilrs_robots.cli.signals.time.monotonic", lambda: now[0])
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert (stop.is_set(), stop.hurry) == (True, False)
        now[0] += 2.0
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.hurry
    assert signal.getsignal(signal.SIGINT) is before


def test_two_runs_get_different_domains_and_leave_no_lock() -> None:
    with own_domain({}) as first, own_domain({}) as second:
        assert first != second
        with own_domain({"ROS_DOMAIN_ID": str(first)}) as same:
            assert same == first
    folder = Path(f"/tmp/ilrs-domains-{os.getuid()}")
    assert not (folder / str(first)).exists()
    assert not (folder / str(second)).exists()


def test_a_domain_that_another_run_holds_is_refused() -> None:
    code = (
        "import sys\nfrom ilrs_robots.cli.domain import own_domain\n"
        "with own_domain({}) as domain: print(domain, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        domain = other.stdout.readline().strip()
        with (
            pytest.raises(IlrsError, match=f"ROS_DOMAIN_ID={domain} is in use by another run"),
            own_domain({"ROS_DOMAIN_ID": domain}),
        ):
            pass
        other.communicate("")
    assert other.returncode == 0


@pytest.mark.parametrize("text", ["-1", "233", "lunar"])
def test_a_domain_that_is_none_is_refused(text: str) -> None:
    with (
        pytest.raises(IlrsError, match="whole number from 0 to 232"),
        own_domain({"ROS_DOMAIN_ID": text}),
    ):
        pass


def test_a_full_disk_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_room(tmp_path / "bag")
    monkeypatch.setattr("ilrs_robots.cli.run.BAG_ROOM_BYTES", 2**62)
    with pytest.raises(IlrsError, match="MiB free, a recording needs at least"):
        check_room(tmp_path / "new" / "bag")


@pytest.mark.parametrize(("share", "word"), [(0.2, "segments of"), (0.0, "UDP on loopback")])
def test_a_small_dev_shm_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, word: str
) -> None:
    assert shared_memory.choose_transport(1, tmp_path).profile == dds_profile()
    usage = type("Usage", (), {"free": int(share * 5 * 69 * 2**20)})
    monkeypatch.setattr("ilrs_robots.cli.shared_memory.shutil.disk_usage", lambda _p: usage)
    chosen = shared_memory.choose_transport(5, tmp_path)
    assert chosen.profile.parent == tmp_path
    assert word in chosen.remark
    assert "--shm-size" in chosen.remark
    assert ("<type>SHM</type>" in chosen.profile.read_text()) == bool(share)
    env = dds_environment({}, profile=chosen.profile)
    assert env["FASTRTPS_DEFAULT_PROFILES_FILE"] == str(chosen.profile)
    assert env["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"


def test_only_segments_of_the_dead_are_removed(tmp_path: Path) -> None:
    dead, living, other = (f"fastrtps_{digit * 16}" for digit in "abc")
    for name in (dead, living, other):
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / f"{name}_el").touch()
    with (tmp_path / f"{living}_el").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shared_memory.remove_dead({dead, living}, tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {living, f"{living}_el", other, f"{other}_el"}
