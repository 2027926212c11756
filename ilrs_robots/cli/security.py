"""``ilrs security``: SROS 2 policies for the interfaces that a vehicle really has."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.run import variables
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots import security as policy
from ilrs_robots.robots.assembly import dds_environment, robot_processes
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.site import load_site


@click.group()
def security() -> None:
    """Who may send and take what."""


@security.command()
@click.argument("robots", nargs=-1)
@click.option("--site", default="shackleton", show_default=True, help="Site name or file.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder, made if need be."
)
@click.option("--sim-time", is_flag=True, help="For a simulation: /clock is allowed as well.")
@click.option(
    "-p", "settings", multiple=True, help="NAME:=VALUE of a node that changes its topics."
)
def policies(
    robots: tuple[str, ...], site: str, out: Path, sim_time: bool, settings: tuple[str, ...]
) -> int:
    """Write OUT/<robot>.policy.xml for ROBOTS, or for all that the site runs by default.

    The vehicle's nodes are made and asked; no list is kept by hand. Three enclaves: /<robot> for
    its nodes and its gate, /<robot>/drivers for what feeds them, /<robot>/operator for people.
    """
    loaded, _terrain = load_site(site)
    out.mkdir(parents=True, exist_ok=True)
    for robot in robots or loaded.run_by_default:
        drives = isinstance(loaded.robot(robot).load_model(), RoverModel)
        text = policy_of(robot, site, drives=drives, sim_time=sim_time, settings=settings)
        path = out / f"{robot}.policy.xml"
        path.write_text(text, encoding="utf-8")
        console.print(f"written: {path}")
    return 0


def policy_of(
    robot: str,
    site: str,
    *,
    drives: bool,
    sim_time: bool = False,
    settings: tuple[str, ...] = (),
) -> str:
    """The policy file of one vehicle.

    Args:
        robot: its name at the site.
        site: name or path.
        drives: whether it is a rover.
        sim_time: whether it lives in simulated time.
        settings: ``name:=value`` of parameters.

    Raises:
        IlrsError: its nodes cannot be made.
    """
    from ilrs_robots.nodes.interface_table import vehicle_endpoints

    for setting in settings:
        if ":=" not in setting:
            raise IlrsError(f"-p {setting}: must be NAME:=VALUE")
    specs = robot_processes(site, 0, robot, use_sim_time=sim_time, drives=drives)
    more = [part for setting in settings for part in ("-p", setting)]
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
    with (
        own_domain(environment) as domain,
        variables({"ROS_DOMAIN_ID": str(domain), **dds_environment(os.environ)}),
    ):
        nodes = vehicle_endpoints(specs, more)
    return policy.policy_xml(
        {
            f"/{robot}": nodes,
            f"/{robot}/drivers": policy.drivers(robot, drives=drives, simulated=sim_time),
            f"/{robot}/operator": policy.operator(robot, drives=drives),
        }
    )
