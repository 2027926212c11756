"""Base and vehicle in two network namespaces, with a wire between them that loses or is cut.

The wire is two TAP devices whose frames this test carries, so that no kernel module is needed:
30 % loss is that of all frames, DDS's own acknowledgements and discovery included.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import gate_config_of

PEER = Path(__file__).with_name("network_peer.py")
OWN = {"vehicle": "192.168.77.1", "base": "192.168.77.2"}
GATE = gate_config_of(load_robot("long_range"))
STALE_S = 0.5
"""After this the gate only brakes, along its ramp."""
WAIT_S = 240.0
UNSHARE = shutil.which("unshare")


def why_not() -> str:
    """What this machine lacks for two networks; empty where it has all."""
    if UNSHARE is None or shutil.which("ip") is None:
        return "unshare or ip is not installed"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    probe = [UNSHARE, "-n", "-m", "sh", "-c", "ip tuntap add dev t mode tap"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


pytestmark = [
    pytest.mark.node,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(why_not()), reason=f"no network namespaces: {why_not()}"),
]


class Machine:
    """A process in its own network, and what it has said."""

    def __init__(self, role: str) -> None:
        self.role, self.said = role, [{}]
        ours, theirs = socket.socketpair()
        other = next(name for name in OWN if name != role)
        self.process = subprocess.Popen(
            [
                str(UNSHARE), "-n", "-m", sys.executable, str(PEER),
                role, OWN[role], OWN[other], str(theirs.fileno()),
            ],
            pass_fds=(theirs.fileno(),), stdout=subprocess.PIPE, text=True,
            env={**os.environ, "ROS_DOMAIN_ID": "0", "ILRS_SUPERVISED": ""},
        )  # fmt: skip
        theirs.close()
        ours.settimeout(WAIT_S)
        _, (self.end,), _, _ = socket.recv_fds(ours, 16, 1)
        ours.close()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                self.said.append(json.loads(line))

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.end)


class Wire(threading.Thread):
    """Carries frames between two ends; loses a share of them, or all."""

    def __init__(self, ends: tuple[int, int]) -> None:
        super().__init__(daemon=True)
        self.loss, self.carried, self.ended = 0.0, 0, False
        self._ends, self._dice = ends, random.Random(1)

    def run(self) -> None:
        first, second = self._ends
        across = {first: second, second: first}
        while not self.ended:
            for end in select.select(self._ends, (), (), 0.1)[0]:
                frame = os.read(end, 65536)
                if self._dice.random() >= self.loss:
                    os.write(across[end], frame)
                    self.carried += 1


class Rig:
    """The two machines and the wire."""

    def __init__(self) -> None:
        self.vehicle, self.base = Machine("vehicle"), Machine("base")
        self.wire = Wire((self.vehicle.end, self.base.end))
        self.wire.start()

    def commands(self, after_s: float = 0.0) -> list[dict[str, Any]]:
        """What the actuators were told, by the gate's clock."""
        return [row for row in self.vehicle.said if row.get("stamp_s", -1.0) > after_s]

    def speed(self) -> float:
        rows = self.commands()
        return float(rows[-1]["speed_mps"]) if rows else 0.0

    def gate(self) -> str:
        return next((str(r["gate"]) for r in reversed(self.vehicle.said) if "gate" in r), "")

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            for machine in (self.vehicle, self.base):
                assert machine.process.poll() is None, f"{machine.role} ended before {what}"
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.gate()}"
            time.sleep(0.01)

    def close(self) -> None:
        self.wire.ended = True
        self.wire.join()
        self.vehicle.close()
        self.base.close()


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def check_it_brakes(outputs: list[dict[str, Any]], cut_s: float) -> None:
    """Along the ramp from the bound of staleness on; the gate's own pauses are no fault of it."""
    rows = [(float(row["stamp_s"]), float(row["speed_mps"])) for row in outputs]
    top, pauses_s = max(speed for _, speed in rows), 0.0
    for (before_s, before), (now_s, now) in itertools.pairwise(rows):
        pauses_s += max(now_s - before_s - GATE.max_step_s, 0.0)
        step_s = min(now_s - max(before_s, cut_s + STALE_S), GATE.max_step_s)
        if step_s > 0.0:
            assert now <= max(before - GATE.max_decel_mps2 * step_s, 0.0) + 1e-6, (before_s, now_s)
    last_s = max((stamp_s for stamp_s, speed in rows if speed), default=cut_s) - cut_s
    print(f"cut: the last moving output came {last_s:.2f} s later")
    assert last_s < STALE_S + top / GATE.max_decel_mps2 + pauses_s + 0.1


@pytest.mark.parametrize(
    ("outputs", "cuts", "share"),
    [(40, 1, 0.1), pytest.param(1200, 5, 0.5, marks=pytest.mark.soak)],
)
def test_a_third_lost_is_driven_through_and_a_cut_stops(
    rig: Rig, outputs: int, cuts: int, share: float
) -> None:
    """A machine that is busy with other tests may stand more often, so little is asked there."""
    rig.until(lambda: rig.speed() > 0.1, "the vehicle to be driven from the base")
    rig.wire.loss = 0.3
    begin_s = time.time()
    rig.until(lambda: len(rig.commands(begin_s)) > outputs, "commands through a bad link")
    moving = [row["speed_mps"] > 0.0 for row in rig.commands(begin_s)]
    print(f"30 % loss: {100.0 * sum(moving) / len(moving):.0f} % of {len(moving)} outputs move")
    assert sum(moving) > share * len(moving)
    for _ in range(cuts):
        rig.wire.loss = 1.0
        cut_s = time.time()
        rig.until(lambda: rig.speed() == 0.0, "the stop")
        rig.until(lambda: "teleop command" in rig.gate(), "the reason in the diagnostics")
        check_it_brakes(rig.commands(cut_s), cut_s)
        rig.wire.loss = 0.0
        rig.until(lambda: rig.speed() > 0.1, "the drive to go on over the mended wire")
