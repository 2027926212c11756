"""``ilrs goal``: send one vehicle somewhere, whoever started it, and say how it went."""

from __future__ import annotations

import os
import time

import click

from ilrs_robots.cli.sim import parse_goal
from ilrs_robots.cli.terminal import console, goal_progress
from ilrs_robots.robots.assembly import dds_environment


@click.command()
@click.argument("robot")
@click.option(
    "--to",
    "goal_m",
    callback=parse_goal,
    required=True,
    metavar="X,Y",
    help="Goal in map, metres.",
)
@click.option("--timeout", default=600.0, show_default=True, help="Seconds of wall time.")
@click.option("--network", is_flag=True, help="Look beyond this machine (default: loopback).")
def goal(robot: str, goal_m: tuple[float, float], timeout: float, network: bool) -> int:
    """Send ROBOT to a goal and wait for it: exit code 0 when it has arrived, else 1.

    It hears what `ros2 launch` or `ilrs sim` has started in the same ROS_DOMAIN_ID.
    """
    os.environ.update(dds_environment(os.environ, localhost_only=not network))
    from ilrs_robots.nodes.goal_client import GoalProgress, send_goal

    end_s = time.monotonic() + timeout
    with goal_progress() as show:

        def on_progress(now: GoalProgress) -> None:
            show(now.distance_remaining_m, now.speed_mps, now.slope_deg, now.elapsed_s)

        outcome = send_goal(
            robot,
            goal_m,
            on_progress=on_progress,
            keep_waiting=lambda: time.monotonic() < end_s,
        )
    console.print(f"goal {outcome.status} {outcome.message}".rstrip())
    return 0 if outcome.succeeded else 1
