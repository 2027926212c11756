"""``ilrs sim``: a site in the embedded simulator, over DDS or in lock-step."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ilrs_robots.cli.mission import run_mission, show_mission, site_of_mission
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
@click.option("--view", is_flag=True, help="The mission view in the browser (127.0.0.1:8080).")
@click.option("--mission", help="Name from config/missions or file; ends when it is over.")
@click.option(
    "--robots", default="", metavar="A,B", help="With --mission: vehicles [default: its own]."
)
@click.pass_context
def sim(
    context: click.Context,
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
    view: bool,
    mission: str | None,
    robots: str,
) -> int:
    """Run a site's robot in the embedded simulator, with a goal or waiting for one.

    With --mission, the vehicles of a mission: the site is the mission's own and time is unlimited
    unless --site and --duration say otherwise.
    """
    del headless
    if mission:
        return sim_mission(_mission_request(context))
    if robots:
        raise ConfigError("--robots goes with --mission; --robot names the vehicle of a goal")
    request = SimRequest(
        site, robot, seed, goal, duration, rtf, record, network, record_profile, view=view
    )
    if lockstep:
        if view:
            raise ConfigError("--view needs DDS: leave out --lockstep")
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


def _mission_request(context: click.Context) -> SimRequest:
    """What ``--mission`` asks for.

    Raises:
        ConfigError: with an option that does not go with it.
    """
    said, source = context.params, context.get_parameter_source
    given = {name for name in said if source(name) != ParameterSource.DEFAULT}
    wrong = sorted(given & {"goal", "robot", "lockstep"})
    if wrong:
        raise ConfigError(
            f"--mission runs over DDS and sends its own goals: leave out --{wrong[0]}"
        )
    return SimRequest(
        said["site"] if "site" in given else site_of_mission(said["mission"]),
        robot="",
        seed=said["seed"],
        goal_xy_m=None,
        duration_s=said["duration"] if "duration" in given else math.inf,
        rtf=said["rtf"],
        record=said["record"],
        network=said["network"],
        record_profile=said["record_profile"],
        robots=tuple(part.strip() for part in said["robots"].split(",") if part.strip()),
        mission=said["mission"],
        view=said["view"],
    )


def sim_mission(request: SimRequest) -> int:
    """Run a mission and say how it went: 0 when every task is done."""
    progress = run_mission(request)
    if progress is None:
        return 0
    show_mission(progress)
    console.print(f"mission {progress.name}: {progress.summary}")
    return 0 if progress.succeeded else 1


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
