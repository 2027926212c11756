"""``ilrs doctor``: is this machine fit to run everything, and if not, what helps?"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator
from typing import Final

import click
from rich.markup import escape

from ilrs_robots.cli import doctor_checks as checks
from ilrs_robots.cli.domain import own_domain
from ilrs_robots.cli.run import variables
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import dds_environment
from ilrs_robots.robots.findings import BAD, GOOD, NOTE, Finding, exit_code
from ilrs_robots.robots.findings import as_json as as_json_of

_COLOURS: Final = {GOOD: "green", NOTE: "yellow", BAD: "red"}
_SLOW_MS: Final = 50.0


@click.command()
@click.option("--quick", is_flag=True, help="Leave out what takes seconds: imports, kernels, DDS.")
@click.option("--json", "as_json_", is_flag=True, help="One JSON object.")
@click.option("--strict", is_flag=True, help="Exit code 1 after a warning, too.")
def doctor(quick: bool, as_json_: bool, strict: bool) -> int:
    """Look at everything that has to be right on this machine; name each fault with its remedy.

    Exit code 0: nothing is wrong; 1: an error; 2: a wrong call.
    """
    looked = _quick() if quick else itertools.chain(_quick(), _thorough())
    findings = show(looked, as_json=as_json_, title="this machine")
    return exit_code(findings, strict=strict)


def show(findings: Iterable[Finding], *, as_json: bool, title: str) -> list[Finding]:
    """Findings on the terminal as they come, those that are not good with their remedy."""
    if as_json:
        listed = list(findings)
        click.echo(json.dumps(as_json_of(listed), indent=1))
        return listed
    console.print(f"[bold]{escape(title)}[/bold]")
    listed = []
    for finding in findings:
        listed.append(finding)
        colour = _COLOURS[finding.level]
        line = f"{finding.check}: {finding.what}"
        console.print(f"[{colour}]{finding.level:>7}[/{colour}]  {escape(line)}", soft_wrap=True)
        if finding.remedy:
            console.print(f"         -> {escape(finding.remedy)}", soft_wrap=True)
    return listed


def _thorough() -> Iterator[Finding]:
    yield from checks.imports()
    yield from _loopback()
    yield from checks.kernels()


def _quick() -> Iterator[Finding]:
    yield from checks.python()
    yield from checks.locked_versions()
    yield from checks.environment(os.environ)
    yield from checks.underlay()
    yield from checks.transport(os.environ)
    yield from checks.shared_memory()
    yield from checks.disk()
    yield from checks.memory()
    yield from checks.terrain_cache()
    yield from checks.kernel_cache()
    yield from checks.system_clock()


def _loopback() -> Iterator[Finding]:
    """Two participants in a domain of their own, with this environment's transport."""
    from ilrs_robots.nodes.loopback import measure

    check, remedy = (
        "DDS loop-back",
        "see the line on /dev/shm; is a firewall on lo? try ILRS's own",
    )
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
    try:
        with (
            own_domain(environment) as domain,
            variables({"ROS_DOMAIN_ID": str(domain), **dds_environment(os.environ)}),
        ):
            found = measure()
    except IlrsError as error:
        yield Finding(check, BAD, str(error), remedy)
        return
    what = (
        f"{found.answered} of {found.sent} clouds of 2 MB, there and back in "
        f"{found.round_trip_ms:.1f} ms, met after {found.met_s:.1f} s"
    )
    if found.answered < found.sent // 2:
        yield Finding(check, BAD, what, remedy)
    elif found.answered < found.sent or found.round_trip_ms > _SLOW_MS:
        yield Finding(check, NOTE, what, "the machine is busy, or its shared memory is small")
    else:
        yield Finding(check, GOOD, what)
