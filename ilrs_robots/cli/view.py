"""``ilrs view``: the mission view of whatever runs in this ROS domain."""

from __future__ import annotations

import os

import click

from ilrs_robots.cli import view_main
from ilrs_robots.robots.assembly import dds_environment
from ilrs_robots.robots.mission_assembly import VIEW_PORT, view_process


@click.command()
@click.option("--site", default="shackleton", show_default=True, help="Name or file.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Of procedural terrain.")
@click.option("--robots", default="", metavar="A,B", help="Vehicles [default: the site's].")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=VIEW_PORT, show_default=True, help="The next free one is taken.")
@click.option(
    "--token", default="", envvar="ILRS_VIEW_TOKEN",
    help="That a browser must bring (/?token=...); needed beyond 127.0.0.1.",
)  # fmt: skip
@click.option("--network", is_flag=True, help="Look beyond this machine (default: loopback).")
def view(
    site: str, seed: int | None, robots: str, host: str, port: int, token: str, network: bool
) -> int:
    """Show a site in the browser: vehicles, light, maps, mission; and send goals.

    It hears what `ros2 launch` or `ilrs sim` has started in the same ROS_DOMAIN_ID.
    """
    os.environ.update(dds_environment(os.environ, localhost_only=not network))
    chosen = tuple(part.strip() for part in robots.split(",") if part.strip())
    spec = view_process(site, seed, chosen, host=host, port=port, token=token)
    return view_main.main(["mission_view", *spec.arguments()])
