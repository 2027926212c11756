"""``ilrs site``: a site's terrain and world for Gazebo."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import ConfigError


@contextlib.contextmanager
def bake_progress() -> Iterator[Callable[[str, float], None]]:
    """A progress bar for what ``gazebo_plan`` tells; nothing is shown when nothing is baked."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=False) as progress:
        tasks: dict[str, int] = {}

        def show(label: str, share: float) -> None:
            if label not in tasks:
                tasks[label] = progress.add_task(label, total=1.0)
            progress.update(tasks[label], completed=share)  # type: ignore[arg-type]

        yield show


@click.group()
def site() -> None:
    """Terrain and worlds of a site, for Gazebo."""


@site.command()
@click.argument("name")
@click.option("--samples", default=0, help="Along a side, 2^n + 1; 0: the most that fit.")
@click.option("--spacing", default=0.25, show_default=True, help="Between samples, metres.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Replaces the terrain's.")
@click.option("--folder", type=click.Path(path_type=Path), help="Instead of the user's cache.")
def bake(name: str, samples: int, spacing: float, seed: int | None, folder: Path | None) -> int:
    """Bake the terrain of site NAME (or of a site file) into a heightmap."""
    from ilrs_robots.core.terrain.heightmap import BakeConfig
    from ilrs_robots.robots.gazebo.terrain import bake_into, baked_terrain
    from ilrs_robots.robots.site import load_site

    config = BakeConfig(samples=samples, spacing_m=spacing)
    loaded, terrain = load_site(name, seed=seed)
    with bake_progress() as show:
        if folder is None:
            made = baked_terrain(loaded, terrain.surface, config, progress=show)
        else:
            spec = config.grid(terrain.surface.bounds_m)
            made = bake_into(folder, loaded, terrain.surface, spec, progress=show)
    image = made.heightmap
    console.print(
        f"{made.folder}: {image.samples} x {image.samples} samples every {image.spacing_m:g} m, "
        f"heights {image.low_m:.2f} to {image.low_m + image.relief_m:.2f} m"
    )
    return 0


@site.command()
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path), help="File to write; default: cache.")
@click.option("--seed", type=click.IntRange(0), default=None, help="Replaces the terrain's.")
def world(name: str, output: Path | None, seed: int | None) -> int:
    """Write the Gazebo world of site NAME (or of a site file); its terrain is baked if need be."""
    from ilrs_robots.robots.gazebo.plan import gazebo_plan, standalone_world

    with bake_progress() as show:
        if output is None:
            path = gazebo_plan(name, seed=seed, progress=show).world_path
        else:
            path = output
            text = standalone_world(name, path.parent, seed=seed, progress=show)
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    console.print(f"{path}: gz sim {path}")
    return 0
