"""``ilrs sim``: a site in the embedded simulator, over DDS or in lock-step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ilrs_robots.cli.run import SimRequest, run_over_dds
from ilrs_robots.cli.terminal import console, goal_progress
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.record_profiles import DEFAULT_PROFILE, profile_names

if TYPE_CHECKING:
    from ilrs_robots.sim.lockstep import LockstepProgress, LockstepResult


def parse_goal(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """``x,y`` in metres."""
    if value is None:
        return None
    try:
        x, y = (float(part) for part in value.split(","))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not x,y in metres, such as 40,-12.5") from error
    return x, y


def site_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every command about a simulated site shares."""
    for option in (
        click.option("--site", default="shackleton", show_default=True, help="Name or file."),
        click.option("--robot", default="long_range", show_default=True, help="Robot to drive."),
        click.option("--seed", type=click.IntRange(0), default=None, help="Terrain and noise."),
        click.option("--goal", callback=parse_goal, metavar="X,Y", help="Goal in map, metres."),
        click.option("--duration", default=900.0, show_default=True, help="Simulated seconds."),
        click.option("--rtf", default=0.0, help="Upper bound of the real-time factor; 0: none."),
    ):
        command = option(command)
    return command


@click.command()
@site_options
@click.option("--record", type=click.Path(path_type=Path), help="Folder for a rosbag2 bag.")
@click.option(
    "--record-profile",
    type=click.Choice(profile_names()),
    default=DEFAULT_PROFILE,
    show_default=True,
    help="Topics of the bag.",
)
@click.option("--network", is_flag=True, help="Let DDS leave this machine (default: loopback).")
@click.option("--headless/--no-headless", default=True, help="No window is ever opened yet.")
@click.option("--lockstep", is_flag=True, help="One process, no DDS, deterministic.")
def sim(
    site: str,
    robot: str,
    seed: int | None,
    goal: tuple[float, float] | None,
    duration: float,
    rtf: float,
    record: Path | None,
    record_profile: str,
    network: bool,
    headless: bool,
    lockstep: bool,
) -> int:
    """Run a site's robot in the embedded simulator, with a goal or waiting for one."""
    del headless
    request = SimRequest(site, robot, seed, goal, duration, rtf, record, network, record_profile)
    if lockstep:
        if record is not None:
            raise ConfigError("--record needs DDS: leave out --lockstep")
        result = run_lockstep(request)
        console.print(
            f"{result.outcome} after {result.time_s:.1f} s, {result.driven_m:.1f} m driven, "
            f"{result.goal_error_m:.2f} m from the goal {result.reason}\ndigest {result.digest}"
        )
        return 0 if result.outcome == "reached" else 1
    outcome = run_over_dds(request)
    if outcome is None:
        return 0
    console.print(f"goal {outcome.status} {outcome.message}".rstrip())
    return 0 if outcome.succeeded else 1


def run_lockstep(request: SimRequest) -> LockstepResult:
    """Drive to the goal in one process.

    Raises:
        ConfigError: neither the request nor the site names a goal.
    """
    from ilrs_robots.core import warm
    from ilrs_robots.sim.lockstep import Lockstep

    site, terrain = request.load()
    goal = request.goal(site)
    if goal is None:
        raise ConfigError(f"site {site.name!r} has no goal of its own: give one with --goal x,y")
    warm.mapping()
    warm.navigation()
    run = Lockstep(site, terrain, request.robot, site.terrain.seed)
    with goal_progress() as show:

        def on_progress(progress: LockstepProgress) -> None:
            output = progress.state.navigation
            if output is not None and round(progress.time_s * 50) % 25 == 0:
                speed = float(progress.truth.linear_mps[0])
                show(output.distance_remaining_m, speed, None, progress.time_s)

        return run.drive(goal, request.duration_s, on_progress)
