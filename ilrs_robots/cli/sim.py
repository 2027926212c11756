"""``ilrs sim``: a site in the embedded simulator, over DDS or in lock-step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ilrs_robots.cli.run import SimRequest, run_over_dds
from ilrs_robots.cli.terminal import console, goal_progress
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.model import HopperModel
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
        if isinstance(request.load()[0].robot(robot).load_model(), HopperModel):
            return hop_lockstep(request)
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


def hop_lockstep(request: SimRequest) -> int:
    """Hop to the goal in one process; exit code 0 when it lands.

    Raises:
        ConfigError: neither the request nor the site names a goal.
        HopRefusedError: the hop is not flown.
    """
    from ilrs_robots.core import warm
    from ilrs_robots.robots.hop_flight_types import HopOutcome
    from ilrs_robots.sim.hop_lockstep import HopLockstep
    from ilrs_robots.sim.world import SimRobot

    site, terrain = request.load()
    goal = request.goal(site)
    if goal is None:
        raise ConfigError(f"site {site.name!r} has no goal of its own: give one with --goal x,y")
    warm.hopping()
    place = site.robot(request.robot)
    start = SimRobot(place.name, place.load_model(), place.x_m, place.y_m, place.yaw_rad)
    lockstep = HopLockstep(terrain.surface, terrain.prior, start, site.terrain.seed)
    with goal_progress() as show:

        def each(step: HopLockstep) -> None:
            status, state = step.flight.status, step.flight.localization.state
            if status is not None and step.world.time_ns % 500_000_000 == 0:
                speed = float((state.velocity_mps @ state.velocity_mps) ** 0.5)
                show(status.left_m, speed, None, step.world.time_ns * 1e-9)

        try:
            result = lockstep.hop(goal, request.duration_s, each)
        finally:
            lockstep.world.close()
    outcome = result.status.outcome
    console.print(
        f"{'no end' if outcome is None else outcome.value} after {result.time_s:.1f} s, "
        f"{result.miss_m:.2f} m from the place chosen, {result.goal_miss_m:.2f} m from the goal, "
        f"{result.down_mps:.2f} m/s down, {result.side_mps:.2f} m/s sideways, "
        f"{result.propellant_kg:.2f} kg burnt {result.status.reason}".rstrip()
    )
    return 0 if outcome is HopOutcome.LANDED else 1
