"""``ilrs replay``: recompute recorded drives and say whether they come out as they should."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import ConfigError, IlrsError
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, profile_names

if TYPE_CHECKING:
    from ilrs_robots.replay.suite import Case, Verdict

_COLOURS = {"within": "green", "better": "cyan", "outside": "red", "missing": "red", "new": "dim"}


@click.command()
@click.argument("bag", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for metrics, maps, trajectory and report; needed unless --live.",
)
@click.option("--profile", default="", help="Topic mapping: a name of config/replay or a file.")
@click.option("--robot", default="", help="Which robot of the bag; needed where it holds several.")
@click.option(
    "--reference", type=click.Path(path_type=Path, dir_okay=False), help="Compare with this file."
)
@click.option("--update-reference", is_flag=True, help="Write the reference instead; needs --why.")
@click.option("--why", default="", help="Why the reference changes; stays in the file.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND:KEY=VALUE,...",
    help="Put a fault in: dropout, spike, delay, nan, frame_missing, clock_jump, rate.",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the faults.")
@click.option(
    "--suite",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Run every case (*.yaml) of this folder.",
)
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processes; 0 for one per core.")
@click.option("--report/--no-report", default=True, help="Draw report.html.")
@click.option("--live", is_flag=True, help="Publish over DDS, with /clock, instead.")
@click.option(
    "--rate",
    type=click.FloatRange(0.0),
    default=1.0,
    show_default=True,
    help="Live: seconds of the bag in a second at most; 0: as fast as the nodes follow.",
)
@click.option("--start", type=click.FloatRange(0.0), default=0.0, help="Live: seconds left out.")
@click.option("--pause", is_flag=True, help="Live: begin paused; space or /replay/pause goes on.")
@click.option("--site", default="", help="Live: start the vehicle's nodes as at this site.")
@click.option("--record", type=click.Path(path_type=Path), help="Live: a bag of what they say.")
@click.option(
    "--record-profile",
    type=click.Choice(profile_names()),
    default=DEFAULT_PROFILE,
    help="Live: topics of that bag.",
)
def replay(
    bag: Path | None, out: Path | None, profile: str, robot: str, reference: Path | None,
    update_reference: bool, why: str, faults: tuple[str, ...], seed: int, suite: Path | None,
    jobs: int, report: bool, live: bool, **live_options: Any,
) -> int:  # fmt: skip
    """Recompute the drive of BAG (rosbag2, ROS 1 bag, or a case's YAML file), without ROS.

    Exit code 0: within the reference's tolerances and as expected; 1: outside; 2: cannot run.
    With --live the bag is published for nodes that run.
    """
    try:
        if live:
            if out or suite or faults or reference or update_reference or seed:
                raise ConfigError("--live takes no --out, --suite, --reference, --fault, --seed")
            return _live(bag, profile, robot, live_options)
        _only_live()
        if out is None:
            raise ConfigError("give --out DIR for what comes of it, or --live")
        if update_reference != bool(why.strip()):
            raise ConfigError("--update-reference and --why '...' go together")
        reason = why if update_reference else None
        if (bag is None) == (suite is None):
            raise ConfigError("give either a BAG or --suite DIR")
        if suite is not None:
            if profile or robot or reference or faults or seed:
                raise ConfigError("--suite takes profile, reference and faults from its cases")
            return _suite(suite, out, jobs, reason, report)
        assert bag is not None
        case = _case(bag, profile, robot, reference, faults, seed)
        if reason is not None and case.reference is None:
            raise ConfigError("--update-reference needs --reference FILE, which is written")
        return _one(case, out, reason, report)
    except IlrsError as error:
        console.print(f"[red]ilrs replay:[/red] {escape(str(error))}", highlight=False)
        return 2


_LIVE: Final = ("rate", "start", "pause", "site", "record", "record_profile")


def _only_live() -> None:
    """Refuse what only a live replay takes.

    Raises:
        ConfigError: such an option was given.
    """
    context = click.get_current_context()
    for name in _LIVE:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ConfigError(f"--{name.replace('_', '-')} is for --live")


def _live(bag: Path | None, profile: str, robot: str, options: dict[str, Any]) -> int:
    from ilrs_robots.cli.replay_live import LiveRequest, play_live
    from ilrs_robots.replay.profile import ReplayProfile, load_profile

    if bag is None:
        raise ConfigError("--live needs a BAG")
    how = load_profile(profile) if profile else ReplayProfile()
    if robot:
        how = replace(how, robot=robot)
    request = LiveRequest(
        bag, how, rate=options["rate"], start_s=options["start"], paused=options["pause"],
        site=options["site"], record=options["record"],
        record_profile=options["record_profile"],
    )  # fmt: skip
    return play_live(request)


def _case(
    bag: Path, profile: str, robot: str, reference: Path | None, faults: tuple[str, ...], seed: int
) -> Case:
    from ilrs_robots.replay.faults import parse_fault
    from ilrs_robots.replay.profile import ReplayProfile, load_profile
    from ilrs_robots.replay.suite import Case, load_case

    if bag.suffix in (".yaml", ".yml"):
        case = load_case(bag)
    else:
        how = load_profile(profile) if profile else ReplayProfile()
        case = Case(bag.stem, bag, how)
    more = tuple(parse_fault(text) for text in faults)
    if robot:
        case = replace(case, profile=replace(case.profile, robot=robot))
    return replace(
        case,
        reference=reference or case.reference,
        faults=case.faults + more,
        seed=seed or case.seed,
    )


def _one(case: Case, out: Path, why: str | None, report: bool) -> int:
    from ilrs_robots.cli.replay_case import judge_case

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(case.name, total=1.0)
        verdict = judge_case(
            case, out, why=why, report=report,
            on_progress=lambda share: progress.update(task, completed=share),
        )  # fmt: skip
    _show(verdict)
    if verdict.code != 2:
        written = "reference written; " if why is not None and not verdict.code else ""
        console.print(f"{written}results in {out}, {verdict.wall_s:.1f} s", highlight=False)
    return verdict.code


def _suite(folder: Path, out: Path, jobs: int, why: str | None, report: bool) -> int:
    from ilrs_robots.replay.suite import cases_of, write_jsonl, write_junit

    paths = cases_of(folder)
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    for verdict in _verdicts(paths, out, jobs or os.cpu_count() or 1, why, report):
        found[verdict.name] = verdict
        _show(verdict, whole=False)
    verdicts = [found[path.stem] for path in paths]
    write_junit(out / "junit.xml", verdicts)
    write_jsonl(out / "results.jsonl", verdicts)
    good = sum(v.code == 0 for v in verdicts)
    console.print(f"{good} of {len(verdicts)} cases in order; results in {out}", highlight=False)
    return max(v.code for v in verdicts)


def _verdicts(
    paths: list[Path], out: Path, jobs: int, why: str | None, report: bool
) -> Iterator[Verdict]:
    """Verdicts as they come; one job runs in this process."""
    from ilrs_robots.cli.replay_case import judge_file
    from ilrs_robots.replay.suite import Verdict

    if min(jobs, len(paths)) == 1:
        for path in paths:
            yield judge_file(path, out, why, report)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=spawn) as pool:
        work = {pool.submit(judge_file, path, out, why, report): path for path in paths}
        for done in as_completed(work):
            try:
                yield done.result()
            except BrokenProcessPool:
                yield Verdict(work[done].stem, 2, ("the process ended without a word",))


def _show(verdict: Verdict, *, whole: bool = True) -> None:
    if whole and verdict.rows:
        table = Table("metric", "value", "reference", "allowed", "verdict", box=None)
        for row in verdict.rows:
            then = "" if row.reference is None else f"{row.reference:g}"
            now = "" if row.value is None else f"{row.value:g}"
            colour = _COLOURS[row.verdict]
            said = f"[{colour}]{row.verdict}[/{colour}]"
            table.add_row(row.metric, now, then, f"{row.allowed:.3g}", said)
        console.print(table)
    elif whole and verdict.metrics:
        for name, value in verdict.metrics.items():
            console.print(f"{name:24} {value:g}", highlight=False)
    word = {0: "[green]in order[/green]", 1: "[red]outside[/red]", 2: "[red]cannot run[/red]"}
    console.print(f"{escape(verdict.name)}: {word[verdict.code]}", highlight=False)
    for sentence in verdict.failures:
        console.print(f"  {escape(sentence)}", highlight=False)
