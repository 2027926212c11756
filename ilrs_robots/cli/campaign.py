"""``ilrs campaign``: many seeded worlds in lock-step on all cores, and what came of them."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.config import from_mapping, load_yaml
from ilrs_robots.core.errors import ConfigError, IlrsError

if TYPE_CHECKING:
    from ilrs_robots.sim.campaign.config import CampaignConfig
    from ilrs_robots.sim.campaign.outcome import RunResult
    from ilrs_robots.sim.campaign.pool import Campaign
    from ilrs_robots.sim.campaign.summary import Summary

WALL_PER_SIMULATED = 3.0
START_S = 180.0
"""A run may take this long before it drives: a first one compiles the kernels."""


@click.command()
@click.option("--worlds", type=click.IntRange(1, 100_000), default=20, show_default=True)
@click.option("--first-seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--seeds", default="", help="Only these worlds, as 16,42,136.")
@click.option("--robot", default="", help="Vehicle of config/robots [default: long_range].")
@click.option(
    "--config",
    "settings",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML with other worlds: sides, rock cover, slopes, time.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the runs, campaign.csv and report.html.",
)
@click.option("--resume", is_flag=True, help="Go on in a folder; what has ended is not run again.")
@click.option("--jobs", type=click.IntRange(0), default=0, help="Processes; 0 for one per core.")
@click.option("--time-out", type=click.FloatRange(1.0), help="Wall seconds of one run.")
@click.option(
    "--dask", "--cluster", "address", default="",
    help="A dask scheduler, as tcp://host:8786; pickles over the network, none by default.",
)  # fmt: skip
@click.option("--report/--no-report", default=True, help="Draw report.html.")
def campaign(
    worlds: int,
    first_seed: int,
    seeds: str,
    robot: str,
    settings: Path | None,
    out: Path,
    resume: bool,
    jobs: int,
    time_out: float | None,
    address: str,
    report: bool,
) -> int:
    """Drive in many seeded worlds and compare with a planner that knows everything.

    Exit code 0: everything as it should be; 1: not; 2: cannot run.
    """
    try:
        config = _config(settings, robot)
        chosen = _listed(seeds) or tuple(range(first_seed, first_seed + worlds))
        return _run(
            config, out, chosen, resume=resume, jobs=jobs,
            limit_s=time_out or START_S + WALL_PER_SIMULATED * config.duration_s,
            address=address, report=report,
        )  # fmt: skip
    except IlrsError as error:
        console.print(f"[red]ilrs campaign:[/red] {escape(str(error))}", highlight=False)
        return 2


def _listed(text: str) -> tuple[int, ...]:
    """Seeds in a comma-separated list."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isdecimal():
            raise ConfigError(f"--seeds {text}: {word!r} is not a seed, a whole number from 0 on")
    return tuple(dict.fromkeys(int(word) for word in words))


def _config(settings: Path | None, robot: str) -> CampaignConfig:
    from ilrs_robots.robots.model import load_robot, require_rover
    from ilrs_robots.sim.campaign.config import CampaignConfig

    config = CampaignConfig()
    if settings is not None:
        config = from_mapping(CampaignConfig, load_yaml(settings), settings.name)
    config = replace(config, robot=robot or config.robot)
    require_rover(load_robot(config.robot), "a campaign")
    return config


def _run(
    config: CampaignConfig, out: Path, seeds: tuple[int, ...], *, resume: bool, jobs: int,
    limit_s: float, address: str, report: bool,
) -> int:  # fmt: skip
    from ilrs_robots.sim.campaign.pool import Campaign
    from ilrs_robots.sim.campaign.summary import Summary, write_csv

    _need("mujoco", "sim")
    if report:
        _need("matplotlib", "view")
    folder = Campaign(out, config, resume=resume)
    left = folder.missing(seeds)
    try:
        if left:
            _drive(folder, left, jobs, limit_s, address)
    except KeyboardInterrupt:
        console.print("stopped: what has ended is kept, go on with --resume")
        return 130
    finally:
        runs = folder.results()
        write_csv(out / "campaign.csv", runs)
    summary = Summary.of(runs)
    (out / "summary.json").write_text(json.dumps(asdict(summary), indent=1) + "\n")
    if report:
        _report(folder, runs, summary)
    _show(summary, out)
    return 1 if summary.shortfalls else 0


def _need(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"{module} is not installed: pip install 'ilrs_robots[{extra}]'"
            + (", or leave the report with --no-report" if extra == "view" else "")
        )


def _drive(folder: Campaign, seeds: list[int], jobs: int, limit_s: float, address: str) -> None:
    from ilrs_robots.sim.campaign.pool import workers

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[last]}"),
    )  # fmt: skip
    with (
        Progress(*columns, console=console) as progress,
        workers(jobs, address) as executor,
    ):
        task = progress.add_task("worlds", total=len(seeds), last="")

        def show(run: RunResult) -> None:
            text = f"{run.seed}: {run.outcome}"
            progress.update(task, advance=1, last=text)
            for fault in run.faults:
                progress.console.print(f"world {run.seed}: {escape(fault)}: {escape(run.reason)}")

        folder.run(seeds, executor, limit_s, show)


def _report(folder: Campaign, runs: list[RunResult], summary: Summary) -> None:
    from ilrs_robots.view.campaign_report import write_campaign_report

    with console.status("drawing"):
        write_campaign_report(folder.folder, folder.config, runs, summary)


def _show(summary: Summary, out: Path) -> None:
    table = Table(show_header=False, box=None)
    for what, value in summary.lines:
        table.add_row(what, value)
    console.print(table)
    for sentence in summary.shortfalls:
        console.print(f"[red]not as it should be:[/red] {escape(sentence)}", highlight=False)
    console.print(f"results in {out}", highlight=False)
