"""``ilrs terrain``: ground from orbit, made from a seed, refined, degraded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import TerrainError

OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="GeoTIFF to write; it appears whole or not at all.",
)  # fmt: skip
SOURCE = click.argument("source", type=click.Path(path_type=Path))
SEED = click.option("--seed", type=click.IntRange(0), default=1, show_default=True)


def window_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose a part of a file, for every command that reads one."""
    for option in (
        click.option("--band", default=1, show_default=True, help="From 1."),
        click.option("--size", type=float, help="Edge of the window, metres."),
        click.option("--lon", type=float, help="Longitude of its middle, degrees east."),
        click.option("--lat", type=float, help="Latitude of the window's middle, degrees."),
    ):
        command = option(command)
    return command


@contextlib.contextmanager
def bar(label: str) -> Iterator[Callable[[float], None]]:
    """A progress bar of a share 0 to 1."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=1.0)
        yield lambda share: progress.update(task, completed=share)


def chosen_window(
    raster: Any, lat: float | None, lon: float | None, size: float | None
) -> tuple[float, float, float, float] | None:
    """The window that the options name; None for the whole file."""
    from ilrs_robots.core.io.dem_window import window_around

    given = [value is not None for value in (lat, lon, size)]
    if not any(given):
        return None
    if lat is None or lon is None or size is None:
        raise click.UsageError("--lat, --lon and --size go together")
    return window_around(raster, lat, lon, size)


def read_part(
    source: Path, lat: float | None, lon: float | None, size: float | None, band: int,
    posting: float | None = None,
) -> Any:  # fmt: skip
    """The DEM of the window that the options name, averaged to a posting."""
    from ilrs_robots.core.io.dem_files import read_window
    from ilrs_robots.core.io.dem_window import factor_of, pixels_of
    from ilrs_robots.core.io.raster_files import open_raster

    with open_raster(source, band) as raster, bar(f"reading {source.name}") as show:
        pixels = pixels_of(raster, chosen_window(raster, lat, lon, size))
        return read_window(raster, pixels, factor_of(raster, posting), show)


@click.group()
def terrain() -> None:
    """Terrain: import, generate, refine, degrade, look at, bake."""


@terrain.command("import")
@SOURCE
@OUTPUT
@window_options
@click.option("--posting", type=float, help="Average to this, metres; default: the file's.")
@click.option("--no-fill", is_flag=True, help="Leave no-data as it is.")
@click.option(
    "--max-fill", default=0.5, show_default=True, help="Largest share of the samples to fill."
)
def import_(
    source: Path, output: Path, lat: float | None, lon: float | None, size: float | None,
    band: int, posting: float | None, no_fill: bool, max_fill: float,
) -> int:  # fmt: skip
    """Read elevation data SOURCE (GeoTIFF, PDS3 .LBL or .IMG) and write the site's DEM.

    No-data is filled from around it and marked in a band `filled`; where the heights come from
    is written into the file.
    """
    from ilrs_robots.core.io.dem_files import write_geotiff
    from ilrs_robots.core.terrain.fill import filled

    require_other(source, output)
    dem = read_part(source, lat, lon, size, band, posting)
    marks = {}
    if not no_fill:
        dem, where = filled(dem, max_fill)
        if where.any():
            marks = {"filled": where}
            console.print(f"filled and marked: {int(where.sum())} of {where.size} samples")
    write_geotiff(output, dem, marks)
    say_written(output, dem)
    return 0


@terrain.command()
@OUTPUT
@SEED
@click.option("--size", default=1000.0, show_default=True,
              help="Edge, metres; less than 640 is the drivable middle of 640.")  # fmt: skip
@click.option("--posting", default=5.0, show_default=True, help="Below 5: with detail, metres.")
@click.option("--median-slope", default=4.3, show_default=True, help="At 5 m, degrees.")
@click.option("--p90-slope", default=10.0, show_default=True, help="At 5 m, degrees.")
@click.option("--equilibrium", default=0.0, show_default=True,
              help="Diameter above which craters are fewer, metres; 0: none.")  # fmt: skip
@click.option("--rock-cover", default=0.005, show_default=True, help="Share of the area.")
@click.option("--rocks", type=click.Choice(["raised", "beside", "none"]), default="raised",
              help="In the heights (default), in a table beside the file, or none.")  # fmt: skip
def generate(
    output: Path, seed: int, size: float, posting: float, median_slope: float, p90_slope: float,
    equilibrium: float, rock_cover: float, rocks: str,
) -> int:  # fmt: skip
    """Make terrain from a seed: fractal ground, craters of all ages, rocks on their ejecta."""
    from dataclasses import replace

    from ilrs_robots.core.io.surface_files import write_surface
    from ilrs_robots.core.terrain.generate import GenerateConfig
    from ilrs_robots.core.terrain.generate import generate as make

    settings = GenerateConfig(
        seed=seed, size_m=size, posting_m=posting, median_slope_deg=median_slope,
        p90_slope_deg=p90_slope, equilibrium_m=equilibrium,
    )  # fmt: skip
    ejecta = settings.detail.ejecta_k if rocks != "none" else 0.0
    cover = rock_cover if rocks != "none" else 0.0
    detail = replace(settings.detail, rock_k=cover, ejecta_k=ejecta)
    settings = replace(settings, detail=detail)
    with bar("shaping the ground"):
        surface = make(settings)
    with bar(f"writing {output.name}") as show:
        slopes = write_surface(output, surface, settings.grid, rocks=rocks, progress=show)
    say_slopes(output, slopes)
    return 0


@terrain.command()
@SOURCE
@OUTPUT
@window_options
@SEED
@click.option("--posting", default=0.1, show_default=True, help="Metres.")
@click.option("--rocks", type=click.Choice(["raised", "beside", "none"]), default="raised")
def refine(
    source: Path, output: Path, lat: float | None, lon: float | None, size: float | None,
    band: int, seed: int, posting: float, rocks: str,
) -> int:  # fmt: skip
    """Add to DEM SOURCE the detail that its posting cannot hold, with statistics that go on."""
    from ilrs_robots.core.io.dem_files import require_complete
    from ilrs_robots.core.io.surface_files import write_surface
    from ilrs_robots.core.terrain.refine import refined

    require_other(source, output)
    dem = read_part(source, lat, lon, size, band)
    require_complete(dem, source.name)
    surface, spec = refined(dem, posting, seed, rocks=rocks != "none")
    with bar(f"writing {output.name}") as show:
        slopes = write_surface(output, surface, spec, rocks=rocks, progress=show)
    say_slopes(output, slopes)
    return 0


@terrain.command()
@SOURCE
@OUTPUT
@window_options
@SEED
@click.option("--error", default=0.4, show_default=True, help="RMS height error, metres.")
@click.option("--correlation", default=15.0, show_default=True, help="Its length, metres.")
@click.option("--interpolated", default=0.9, show_default=True, help="Share of the pixels.")
@click.option("--shift", default=3.0, show_default=True, help="Of the whole map, metres.")
@click.option("--posting", default=5.0, show_default=True, help="Metres.")
def prior(
    source: Path, output: Path, lat: float | None, lon: float | None, size: float | None,
    band: int, seed: int, error: float, correlation: float, interpolated: float, shift: float,
    posting: float,
) -> int:  # fmt: skip
    """Degrade true terrain SOURCE to what is known from orbit; guessed pixels are marked."""
    from ilrs_robots.core.io.dem_files import write_geotiff
    from ilrs_robots.core.terrain.prior import PriorConfig, marked_prior

    require_other(source, output)
    settings = PriorConfig(
        error_m=error, correlation_m=correlation, posting_m=posting,
        interpolated_share=interpolated, shift_m=shift,
    )  # fmt: skip
    truth = read_part(source, lat, lon, size, band, coarse_posting(source, band, posting))
    with bar("degrading"):
        dem, guessed = marked_prior(truth, seed, settings)
    write_geotiff(output, dem, {"interpolated": guessed})
    console.print(f"{100 * guessed.mean():.1f} % of the pixels are interpolated, and marked")
    say_written(output, dem)
    return 0


def coarse_posting(source: Path, band: int, posting: float) -> float | None:
    """The posting to read a truth at: averaged while reading where whole pixels make it up."""
    from ilrs_robots.core.io.raster_files import open_raster

    with open_raster(source, band) as raster:
        factor = posting / raster.resolution_m
        whole = factor > 1.5 and abs(factor - round(factor)) < 1e-6
        return posting if whole else None


def require_other(source: Path, output: Path) -> None:
    """Refuse to write over what is being read."""
    if source.exists() and output.exists() and source.samefile(output):
        raise TerrainError(f"{output}: is the source; name another file to write")


def say_written(path: Path, dem: Any) -> None:
    """One line about a DEM that was written."""
    spec = dem.spec
    console.print(
        f"{path}: {spec.rows} x {spec.cols} samples every {spec.resolution_m:g} m", soft_wrap=True
    )


def say_slopes(path: Path, slopes: Any) -> None:
    """One line about terrain that was written, with its slopes."""
    table = slopes.table()
    console.print(
        f"{path}: {slopes.samples} samples, heights {slopes.low_m:.2f} to {slopes.high_m:.2f} m; "
        f"slopes at {slopes.resolution_m * slopes.block:g} m: median {table['p50_deg']:.1f}, "
        f"p90 {table['p90_deg']:.1f}, p95 {table['p95_deg']:.1f}, largest {table['max_deg']:.1f} "
        "deg",
        soft_wrap=True,
    )
