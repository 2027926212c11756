"""Run and judge one case of ``ilrs replay``; a worker process of a suite runs nothing else."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.replay.reference import Comparison, compare, read_reference, write_reference
from ilrs_robots.replay.suite import Case, Verdict, flag_failures, load_case


def judge_case(
    case: Case,
    out: Path,
    *,
    why: str | None = None,
    report: bool = True,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> Verdict:
    """Replay, write what came of it, compare.

    Args:
        case: what to run.
        out: folder of its results.
        why: reason for which the reference is renewed instead of compared with, or None.
        report: whether the page with its pictures is drawn.
        on_progress: gets the share that is done.
    """
    begin = time.perf_counter()
    try:
        verdict = _judge(case, out, why, report, on_progress)
    except (IlrsError, OSError) as error:
        verdict = Verdict(case.name, 2, (str(error),))
    return replace(verdict, wall_s=time.perf_counter() - begin)


def _judge(
    case: Case, out: Path, why: str | None, report: bool, on_progress: Callable[[float], None]
) -> Verdict:
    from ilrs_robots.replay.outcome import write_outputs
    from ilrs_robots.replay.rescue import replay_bag
    from ilrs_robots.view.replay_report import write_replay_report

    rows: list[Comparison] = []
    reference = None
    if case.reference is not None and why is None:
        reference = read_reference(case.reference)  # before the work, so that a slip costs nothing
    replay = replay_bag(case.bag, case.profile, case.faults, case.seed, on_progress)
    content = write_outputs(out, replay)
    numbers = content["metrics"]
    failures = flag_failures(case.expect, replay.flags)
    if reference is not None:
        rows = compare(numbers, reference)
        failures += [row.sentence() for row in rows if row.failed]
    elif case.reference is not None and why is not None and not failures:
        today = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d")
        write_reference(case.reference, numbers, why, today)
    if report:
        write_replay_report(out, case.name, replay, content, rows, failures)
    return Verdict(case.name, 1 if failures else 0, tuple(failures), tuple(rows), numbers)


def judge_file(path: Path, out: Path, why: str | None, report: bool) -> Verdict:
    """Run the case of a file; everything that is wrong with it is in the verdict."""
    try:
        case = load_case(path)
    except IlrsError as error:
        return Verdict(path.stem, 2, (str(error),))
    return judge_case(case, out / path.stem, why=why, report=report)
