"""A vehicle's nodes get next to no processor time: it slows or stands, and that is seen.

Its threads run as SCHED_IDLE on a core that busy processes hold. Where the kernel gives each
session its own share of a core (``sched_autogroup_enabled``) classes count within a session only:
the busy processes are sessions of their own, so many that next to nothing is left either way.
What is asserted is by the stamps of the messages, in simulated time, so that the machine's own
load plays no part.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from borrow import borrowed

pytestmark = [pytest.mark.launch, pytest.mark.soak, pytest.mark.timeout(3000)]
BURNERS = 30
STARVED_S = 12.0
"""Simulated, at the longest."""
PATIENCE_S = 900.0
SUPERVISION = borrowed("launch/test_supervision.py")


@contextlib.contextmanager
def starved(process: psutil.Process, core: int) -> Iterator[None]:
    """Idle priority beside busy processes on one core, for a while."""
    own = os.sched_getaffinity(process.pid)
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True,
                         preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        for _ in range(BURNERS)
    ]  # fmt: skip
    try:
        _threads(process, os.SCHED_IDLE, {core})
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            _threads(process, os.SCHED_OTHER, own)


def _threads(process: psutil.Process, policy: int, cores: set[int]) -> None:
    for thread in process.threads():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setscheduler(thread.id, policy, os.sched_param(0))
            os.sched_setaffinity(thread.id, cores)


def test_without_processor_time_it_stands_and_goes_on_afterwards(
    start: Callable[..., Any], truth: Any
) -> None:
    run = start("sim", "--site", "shackleton", "--goal", "14,4", "--duration", "400", "--rtf", "1")
    witness = SUPERVISION.Witness(truth.node)
    run.until(truth(truth.drives), "the vehicle drives", PATIENCE_S)
    begin_s, heard = truth.rows[-1][0], len(witness.gate)
    with starved(run.child("robot_node"), max(os.sched_getaffinity(0))):
        run.until(
            truth(lambda: truth.rows[-1][0] > begin_s + STARVED_S or truth.rests()),
            "it to stand, or time to pass",
            PATIENCE_S,
        )
        then = len(witness.gate)
        run.until(truth(lambda: len(witness.gate) > then + 1), "diagnostics of after that")
    slow = min(row[1] for row in truth.rows if row[0] > begin_s)
    print(
        f"slowest {slow:.2f} m/s, stalest pose {witness.stalest_s(begin_s, braking=False):.2f} s"
    )
    print(f"the gate said: {sorted(set(witness.gate[heard:]))}")
    assert slow < 0.3
    assert any(message != "open" for message in witness.gate[heard:])
    run.until(truth(lambda: "goal succeeded" in run.said()), "the goal", PATIENCE_S)
    assert run.process.wait(timeout=120) == 0
    assert witness.stalest_s(begin_s, braking=False) < SUPERVISION.STALE_S
    truth.check_it_was_steady()
