"""``ilrs record``: record what runs, or mend bags that were cut."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from ilrs_robots.cli.child import command_line
from ilrs_robots.cli.run import check_room
from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.robots.assembly import ProcessSpec, dds_environment
from ilrs_robots.robots.record_profiles import FIELD_PROFILE, load_profiles, profile_names
from ilrs_robots.robots.site import read_site

_PATIENCE_S: Final = 30.0
"""How long the recorder may take to write what it holds when it is told to end."""


def default_folder() -> Path:
    """``runs/<UTC>`` in the current folder, for a bag that nobody has named."""
    return (Path("runs") / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")).absolute()


@click.command()
@click.option(
    "--profile",
    type=click.Choice(profile_names()),
    default=FIELD_PROFILE,
    show_default=True,
    help="Topics; --list says what each is for.",
)
@click.option("--out", type=click.Path(path_type=Path), help="New folder [default: runs/<time>].")
@click.option("--topics", default="", help="Topics instead of a profile's, separated by commas.")
@click.option("--exclude", default="", help="Regular expression of topics to leave out.")
@click.option("--site", default="", help="Site whose file, seed and epoch the bag shall carry.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Seed that the bag names.")
@click.option("--split-mb", type=click.IntRange(0), default=1024, show_default=True)
@click.option("--queue-mb", type=click.IntRange(1), default=128, show_default=True)
@click.option("--no-compression", is_flag=True, help="Leave the chunks as they are.")
@click.option("--duration", default=0.0, help="Seconds of wall time; 0: until Ctrl-C.")
@click.option("--sim-time/--wall-time", default=False, help="Time from /clock.")
@click.option("--network", is_flag=True, help="Listen beyond this machine (default: loopback).")
@click.option("--list", "list_profiles", is_flag=True, help="Say what the profiles are for.")
@click.option(
    "--repair",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Mend this bag where it stands instead of recording; may be given several times.",
)
def record(
    out: Path | None,
    duration: float,
    network: bool,
    list_profiles: bool,
    repair: tuple[Path, ...],
    **options: object,
) -> int:
    """Record a profile's topics into a rosbag2 bag (mcap), until Ctrl-C.

    It hears what `ros2 launch` or `ilrs sim` has started in the same ROS_DOMAIN_ID. A power cut
    loses less than a second; exit code 0 when the bag is whole, else 1.
    """
    if list_profiles:
        for name, doc in sorted(load_profiles().docs.items()):
            console.print(f"{name}: {doc}", highlight=False)
        return 0
    if repair:
        return _repair(repair)
    site = str(options["site"])
    if site:
        read_site(site)
        if site.endswith((".yaml", ".yml")):
            options["site"] = str(Path(site).expanduser().absolute())
    folder = (out or default_folder()).absolute()
    check_room(folder)
    spec = ProcessSpec("recorder", "recorder", "", ("recorder",), _parameters(folder, options))
    environment = {**os.environ, **dds_environment(os.environ, localhost_only=not network)}
    return _run(spec, environment, duration)


def _parameters(folder: Path, options: dict[str, object]) -> dict[str, str | bool | int | float]:
    seed = options["seed"]
    return {
        "output_dir": str(folder),
        "profile": str(options["profile"]),
        "topics": str(options["topics"]),
        "exclude": str(options["exclude"]),
        "site": str(options["site"]),
        "seed": seed if isinstance(seed, int) else -1,
        "split_mb": int(str(options["split_mb"])),
        "queue_mb": int(str(options["queue_mb"])),
        "compress": not options["no_compression"],
        "use_sim_time": bool(options["sim_time"]),
    }


def _run(spec: ProcessSpec, environment: dict[str, str], duration_s: float) -> int:
    """The recorder until it ends, is told to, or the time is over."""
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda received, _frame: told.append(received))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    end_s = time.monotonic() + duration_s if duration_s > 0.0 else float("inf")
    process = subprocess.Popen(command_line(spec), env=environment, start_new_session=True)
    try:
        while process.poll() is None and not told and time.monotonic() < end_s:
            time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        return process.wait(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise IlrsError(
            f"the recorder did not end within {_PATIENCE_S:.0f} s and is killed; "
            "`ilrs record --repair` mends the bag"
        ) from error
    finally:
        process.kill()
        process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)


def _repair(bags: tuple[Path, ...]) -> int:
    from ilrs_robots.replay.recovery import repair_bag

    failed = False
    for bag in bags:
        try:
            console.print(f"{bag}: {repair_bag(bag).sentence()}", highlight=False, soft_wrap=True)
        except IlrsError as error:
            failed = True
            console.print(f"[red]ilrs:[/red] {error}", highlight=False, soft_wrap=True)
    return 1 if failed else 0
