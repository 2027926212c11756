"""``ilrs goal`` where nobody answers: one line and an exit code."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ilrs_robots.cli.goal import goal
from ilrs_robots.robots.assembly import dds_environment


@pytest.mark.node
def test_without_a_vehicle_it_says_so_and_fails(
    domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in dds_environment({}).items():  # as the command does, but undone afterwards
        monkeypatch.setenv(key, value)
    done = CliRunner().invoke(
        goal, ["nobody", "--to", "3,-1.5", "--timeout", "1"], standalone_mode=False
    )
    assert done.exception is None, done.output
    assert done.return_value == 1


def test_a_goal_that_is_no_place() -> None:
    done = CliRunner().invoke(goal, ["long_range", "--to", "there"])
    assert done.exit_code == 2
    assert "x,y in metres" in done.output
