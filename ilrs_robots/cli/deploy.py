"""``ilrs deploy check``: is a vehicle on its own computer fit to drive?"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ilrs_robots.cli.doctor import show
from ilrs_robots.cli.signals import stop_on_signals
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots import computer, deployment
from ilrs_robots.robots.assembly import (
    GATE,
    HOPPER_NODES,
    ROBOT_NODES,
    dds_environment,
    nodes_of,
    robot_processes,
)
from ilrs_robots.robots.findings import Finding, exit_code
from ilrs_robots.robots.interfaces import OPERATOR, TopicContract, contract
from ilrs_robots.robots.model import RoverModel, load_robot
from ilrs_robots.robots.peers_profile import peers_profile
from ilrs_robots.robots.site import load_site

if TYPE_CHECKING:
    from ilrs_robots.nodes.deploy_probe import ProbeResult


NO_SUCH_PART: Final = 3
"""Exit code where a vehicle does not have the process that was asked for."""


@click.group()
def deploy() -> None:
    """Vehicles on computers of their own."""


@deploy.command()
@click.argument("robot")
@click.option("--kind", default=None, help="The file in config/robots; the robot's name, if none.")
@click.option("--for", "duration_s", default=5.0, show_default=True, help="Listen so long, s.")
@click.option("--wait", "wait_s", default=10.0, show_default=True, help="For a first sign, s.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--strict", is_flag=True, help="Exit code 1 after a warning, too.")
def check(
    robot: str, kind: str | None, duration_s: float, wait_s: float, as_json: bool, strict: bool
) -> int:
    """Hold a running ROBOT against what it must be: nodes, topics, rates, clock, disk, versions.

    Nothing is installed and nobody logs in there: everything comes over DDS, in this terminal's
    domain and with its profile. Exit code 0: fit; 1: an error; 2: a wrong call.
    """
    from ilrs_robots.nodes.deploy_probe import listen

    if duration_s < 1.0:
        raise IlrsError(f"--for {duration_s:g}: must be 1 s or more")
    drives = isinstance(load_robot(kind or robot), RoverModel)
    rows = {_absolute(robot, row): row for row in contract(drives=drives)}
    wanted = {name: row.kind for name, row in rows.items() if row.source != OPERATOR}
    heard = listen(robot, wanted, duration_s, wait_s)
    findings = list(_judge(robot, rows, heard, duration_s, drives))
    show(findings, as_json=as_json, title=f"{robot} as it is heard here")
    return exit_code(findings, strict=strict)


@deploy.command()
@click.argument("robot")
@click.argument("part", type=click.Choice(["nodes", "gate"]))
@click.option("--site", default=None, help="Name or file; ILRS_SITE, else shackleton.")
@click.option("--state", type=click.Path(path_type=Path), help="Folder for what survives.")
@click.option("--sim-time", is_flag=True, help="Time from /clock.")
def run(robot: str, part: str, site: str | None, state: Path | None, sim_time: bool) -> int:
    """Become one process of ROBOT: its nodes or its gate. For systemd units and containers.

    The process id stays, so that Type=notify and WatchdogSec= hold for what really runs. Exit code
    3: ROBOT hops and has no gate; the unit takes it for done.
    """
    from ilrs_robots.cli.child import command_line

    name = site or os.environ.get("ILRS_SITE") or "shackleton"
    loaded, _terrain = load_site(name)
    drives = isinstance(loaded.robot(robot).load_model(), RoverModel)
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
    specs = robot_processes(
        name, loaded.terrain.seed, robot, use_sim_time=sim_time, state_dir=state, drives=drives
    )
    wanted = [spec for spec in specs if (spec.nodes == (GATE,)) == (part == "gate")]
    if not wanted:
        from ilrs_robots.nodes.runtime import notify

        console.print(f"{robot} does not drive: it has no gate, and none is to be started")
        notify("READY=1")  # the unit shall be done, not failed
        return NO_SUCH_PART
    command = command_line(wanted[0])
    os.execve(command[0], command, {**os.environ, **dds_environment(os.environ)})


@deploy.command()
@click.argument("robot")
@click.option("--kind", default=None, help="The file in config/robots; the robot's name, if none.")
@click.option("--skip", multiple=True, help="A node that the vehicle does not have; repeat it.")
@click.option("--once", is_flag=True, help="End as soon as all are active.")
@click.option("--for", "duration_s", default=0.0, help="End after so long, s; 0: never.")
def manage(
    robot: str, kind: str | None, skip: tuple[str, ...], once: bool, duration_s: float
) -> int:
    """Bring up a ROBOT whose nodes wait (autostart false): in order, and again after a respawn.

    A node's state is asked, never guessed from a call that took too long. Exit code 0: all are
    active at the end; 1: some are not.
    """
    from ilrs_robots.nodes.lifecycle_manager import manage as lead

    drives = isinstance(load_robot(kind or robot), RoverModel)
    # the gate first: nothing shall be commanded past it; nothing waits for the descriptions
    ours = (GATE, *ROBOT_NODES) if drives else HOPPER_NODES
    names = sorted((n for n in ours if n not in skip), key=lambda name: name == "state_publisher")
    end_s = time.monotonic() + duration_s if duration_s else math.inf
    with stop_on_signals() as stop:
        missing = lead(
            robot,
            names,
            lambda sentence: console.print(f"{robot}: {sentence}"),
            lambda up: not (stop.is_set() or (once and up) or time.monotonic() > end_s),
        )
    if missing:
        console.print(f"{robot}: not active: {', '.join(missing)}")
    return 1 if missing else 0


@deploy.command()
@click.option("--own", required=True, help="This machine's address on the vehicles' network.")
@click.option("--peer", "peers", multiple=True, help="Another machine's address; repeat it.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File."
)
def profile(own: str, peers: tuple[str, ...], out: Path) -> int:
    """Write a Fast DDS profile for machines that know each other by address, no multicast."""
    out.write_text(peers_profile(own, peers), encoding="utf-8")
    console.print(f"written: {out} (with ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT)")
    return 0


def _absolute(robot: str, row: TopicContract) -> str:
    return row.name if row.name.startswith("/") else f"/{robot}/{row.name}"


def _judge(
    robot: str,
    rows: dict[str, TopicContract],
    heard: ProbeResult,
    duration_s: float,
    drives: bool,
) -> Iterator[Finding]:
    yield from deployment.reached(robot, heard.nodes, nodes_of(drives=drives))
    if not heard.nodes:
        return
    told = heard.values.get("health", (0, "", {}))[2]
    yield from deployment.told(told, computer.versions())
    age_s = None
    with contextlib.suppress(KeyError, ValueError):
        age_s = float(heard.values["localization" if drives else "flight"][2]["in.imu/data.age_s"])
    yield from deployment.clock(
        heard.clock_offset_s,
        told.get("clock_synchronised", "unknown"),
        age_s,
        simulated=heard.simulated,
    )
    for name, topic in heard.topics.items():
        yield from deployment.topic(rows[name], name, topic, waited_s=duration_s)
    yield from deployment.health(heard.values)
