"""A whole mission as a user runs it: two rovers in the embedded simulator, over DDS."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.launch


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_rovers_do_their_mission_and_everything_ends(start: Callable[..., Any]) -> None:
    run = start("sim", "--mission", "two_rovers")
    run.until_up()
    run.remember_children()
    run.until(lambda: "long_range.around: done" in run.said(), "the tour", 900.0)
    assert run.process.wait(timeout=900) == 0, run.said()
    said = run.said()
    assert "crewed_rover.sortie: the crew works" in said
    assert "mission two_rovers: 4 done" in said
    assert run.left_behind() == []


@pytest.mark.soak
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_base_and_executive_may_be_lost_on_the_way(
    start: Callable[..., Any], number: signal.Signals
) -> None:
    """Killed or frozen: they are started again, know what was done, and all of it gets done."""
    run = start("sim", "--mission", "two_rovers")
    run.until_up()
    for n, (node, task) in enumerate((("base", "around"), ("mission", "back"))):
        run.until(lambda task=task: f"long_range.{task}: " in run.said(), f"{task} begins", 900.0)
        victim = run.child(f'nodes:="{node}"')
        assert victim is not None, run.said()
        victim.send_signal(number)
        run.until(lambda n=n: run.said().count("is up again") > n, f"{node} is up again", 900.0)
    assert run.process.wait(timeout=1200) == 0, run.said()
    assert "mission two_rovers: 4 done" in run.said()
    assert run.left_behind() == []


def test_a_mission_that_cannot_be_done_starts_nothing(
    start: Callable[..., Any], tmp_path: Any
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "name: m\nsite: three\nvehicles:\n  submarine:\n    - {task: wait, for_s: 1.0}\n"
    )
    run = start("sim", "--mission", str(path))
    assert run.process.wait(timeout=120) == 1
    (line,) = run.said().strip().splitlines()
    assert "bad.yaml:4: " in line
    assert "no robot 'submarine'" in line
