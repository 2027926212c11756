"""The program ``ilrs``: one program, sub-commands."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.markup import escape

from ilrs_robots import __version__
from ilrs_robots.cli.campaign import campaign
from ilrs_robots.cli.demo import demo
from ilrs_robots.cli.deploy import deploy
from ilrs_robots.cli.docs import docs
from ilrs_robots.cli.doctor import doctor
from ilrs_robots.cli.env import env
from ilrs_robots.cli.goal import goal
from ilrs_robots.cli.map import map_files
from ilrs_robots.cli.plan import plan
from ilrs_robots.cli.record import record
from ilrs_robots.cli.replay import replay
from ilrs_robots.cli.security import security
from ilrs_robots.cli.sim import sim
from ilrs_robots.cli.terrain_show import terrain
from ilrs_robots.cli.view import view
from ilrs_robots.cli.worlds import site
from ilrs_robots.core.errors import IlrsError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ilrs")
def cli() -> None:
    """Robots of the International Lunar Research Station: simulate, drive, evaluate."""


cli.add_command(sim)
cli.add_command(campaign)
cli.add_command(demo)
cli.add_command(deploy)
cli.add_command(docs)
cli.add_command(doctor)
cli.add_command(env)
cli.add_command(goal)
cli.add_command(map_files, "map")
cli.add_command(plan)
cli.add_command(record)
cli.add_command(replay)
cli.add_command(security)
cli.add_command(site)
cli.add_command(terrain)
cli.add_command(view)


def main() -> int:
    """Run the command line; 0 in order, 1 with one line that says what went wrong."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except IlrsError as error:
        Console(stderr=True).print(f"[red]ilrs:[/red] {escape(str(error))}", highlight=False)
        return 1
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
