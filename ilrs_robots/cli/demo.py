"""``ilrs demo``: the site's three vehicles on a mission over DDS; report, summary and bag."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import click

from ilrs_robots.cli import demo_drive
from ilrs_robots.cli.demo_site import SiteDemo

DURATION_S = 1800.0


@click.command()
@click.option("--mission", default="demo", show_default=True, help="Name or mission file.")
@click.option(
    "--robot", default="", help="One vehicle alone on the obstacle course, such as long_range."
)
@click.option("--site", default="", help="Site name or file [default: the mission's, or demo].")
@click.option("--seed", type=click.IntRange(0), help="Terrain and noise [default: the site's, 1].")
@click.option("--rtf", default=0.0, help="Upper bound of the real-time factor; 0: none.")
@click.option("--duration", default=DURATION_S, show_default=True, help="Simulated seconds.")
@click.option(
    "--lidar-columns", type=click.IntRange(0, 4096), default=256, show_default=True,
    help="Of every lidar of the mission; 0: all that the vehicles have.",
)  # fmt: skip
@click.option("--view", is_flag=True, help="Show the mission in the browser while it runs.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder [default: runs/<time>].")
def demo(
    mission: str,
    robot: str,
    site: str,
    seed: int | None,
    rtf: float,
    duration: float,
    lidar_columns: int,
    view: bool,
    out: Path | None,
) -> int:
    """Run the site's vehicles on a mission, then write report, summary and bag.

    With --robot, one vehicle drives to a goal behind boulders and a crater instead.
    """
    folder = out or Path("runs") / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    if folder.exists():
        raise click.UsageError(f"{folder} exists already: choose another with --out")
    folder.mkdir(parents=True)
    if robot:
        if view:
            raise click.UsageError("--view shows a mission: leave out --robot")
        chosen = 1 if seed is None else seed
        return demo_drive.drive(site or "demo", robot, chosen, rtf, duration, folder)
    limit_s = duration if duration > 0.0 else math.inf
    return SiteDemo(mission, site, seed, rtf, limit_s, lidar_columns, view, folder).run()
