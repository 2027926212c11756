"""``ilrs terrain info``, ``render`` and ``bake``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from ilrs_robots.cli.terminal import console
from ilrs_robots.cli.terrain import SOURCE, bar, chosen_window, terrain, window_options
from ilrs_robots.cli.worlds import bake_progress
from ilrs_robots.core.errors import TerrainError


@terrain.command()
@SOURCE
@window_options
@click.option("--json", "as_json", is_flag=True, help="Everything, for programs.")
def info(
    source: Path, lat: float | None, lon: float | None, size: float | None, band: int,
    as_json: bool,
) -> int:  # fmt: skip
    """Tell slopes, heights, holes, place and provenance of SOURCE, however large it is."""
    from ilrs_robots.core.io.dem_window import pixels_of
    from ilrs_robots.core.io.raster_files import open_raster
    from ilrs_robots.core.io.survey import survey

    with open_raster(source, band) as raster:
        pixels = pixels_of(raster, chosen_window(raster, lat, lon, size))
        if as_json:
            told = survey(raster, pixels).as_dict()
        else:
            with bar(f"reading {source.name}") as show:
                told = survey(raster, pixels, show).as_dict()
    if as_json:
        click.echo(json.dumps(told, indent=1))
    else:
        _print(source, told)
    return 0


def _print(source: Path, told: dict[str, Any]) -> None:
    place = "a local plane"
    if told["latitude_deg"] is not None:
        place = f"around {told['latitude_deg']:.4f} N, {told['longitude_deg']:.4f} E"
    console.print(
        f"{source}: {told['rows']} x {told['cols']} samples every {told['posting_m']:g} m, "
        f"{place}\nheights {told['low_m']:.2f} to {told['high_m']:.2f} m, "
        f"{told['no_data_samples']} samples without a height",
        soft_wrap=True,
    )
    table = Table("slopes, deg", "median", "p90", "p95", "largest", "over 15", "over 20")
    for baseline, row in told["slopes_by_baseline_m"].items():
        angles = (f"{row[k]:.2f}" for k in ("p50_deg", "p90_deg", "p95_deg", "max_deg"))
        shares = (f"{100 * row[f'share_over_{limit}_deg']:.2f} %" for limit in (15, 20))
        table.add_row(f"at {baseline} m", *angles, *shares)
    console.print(table)
    console.print("provenance:", json.dumps(told["provenance"], indent=1), markup=False)


@terrain.command()
@SOURCE
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True,
    help="PNG to write.",
)  # fmt: skip
@window_options
@click.option("--time", "utc", required=True, help="UTC, ISO 8601 with Z.")
@click.option("--at", nargs=2, type=float, metavar="LAT LON",
              help="Place in degrees, for a local plane.")  # fmt: skip
@click.option("--pixels", default=1024, show_default=True, type=click.IntRange(16, 8192),
              help="Of the longer side at most; more samples are averaged.")  # fmt: skip
@click.option("--shadows/--no-shadows", default=True, show_default=True)
def render(
    source: Path, output: Path, lat: float | None, lon: float | None, size: float | None,
    band: int, utc: str, at: tuple[float, float] | None, pixels: int, shadows: bool,
) -> int:  # fmt: skip
    """Draw SOURCE in the Sun's light of a moment."""
    from ilrs_robots.core.environment.ephemeris import utc_seconds
    from ilrs_robots.core.io.dem_files import read_window
    from ilrs_robots.core.io.dem_window import pixels_of
    from ilrs_robots.core.io.images import write_png
    from ilrs_robots.core.io.raster_files import open_raster
    from ilrs_robots.core.terrain.render import render as draw

    seconds = utc_seconds(utc)
    with open_raster(source, band) as raster, bar(f"reading {source.name}") as show:
        window = pixels_of(raster, chosen_window(raster, lat, lon, size))
        factor = math.ceil(max(window[2:]) / pixels)
        dem = read_window(raster, window, factor, show)
    place = _middle(dem, at, source.name)
    with bar("shading"):
        drawn = draw(dem, seconds, math.radians(place[0]), math.radians(place[1]), shadows=shadows)
    write_png(output, drawn.pixels)
    console.print(
        f"{output}: {drawn.pixels.shape[1]} x {drawn.pixels.shape[0]} pixels; the Sun at azimuth "
        f"{math.degrees(drawn.azimuth_rad):.2f} deg, elevation "
        f"{math.degrees(drawn.elevation_rad):.2f} deg; {100 * drawn.lit_share:.1f} % lit",
        soft_wrap=True,
    )
    return 0


def _middle(dem: Any, at: tuple[float, float] | None, name: str) -> tuple[float, float]:
    """Latitude and longitude of a DEM's middle, degrees."""
    from ilrs_robots.core.io.dem_window import place_of

    if dem.projection is None:
        if at is None:
            raise TerrainError(f"{name}: a local plane; say where it lies with --at LAT LON")
        return at
    x_min, y_min, x_max, y_max = dem.bounds_m
    return place_of(dem.projection, 0.5 * (x_min + x_max), 0.5 * (y_min + y_max))


@terrain.command()
@click.argument("site")
@click.option("--seed", type=click.IntRange(0), default=None, help="Replaces the terrain's.")
@click.option("--folder", type=click.Path(path_type=Path), help="Instead of the user's cache.")
@click.option("--far", type=click.Path(path_type=Path), help="Wider DEM for the horizon.")
@click.option("--azimuths", default=360, show_default=True, help="Directions of the horizon.")
@click.option("--observer", default=2.0, show_default=True, help="Height above ground, metres.")
def bake(
    site: str, seed: int | None, folder: Path | None, far: Path | None, azimuths: int,
    observer: float,
) -> int:  # fmt: skip
    """Bake what the terrain of SITE needs (DEM, prior, horizon, heightmap), once."""
    from ilrs_robots.core.environment.horizon import HorizonConfig
    from ilrs_robots.robots.terrain_bake import bake_site

    settings = HorizonConfig(azimuths=azimuths, observer_m=observer)
    with bake_progress() as show:
        done = bake_site(site, seed=seed, root=folder, horizon=settings, far=far, progress=show)
    for word, names in (("made", done.made), ("kept", done.kept)):
        if names:
            console.print(f"{word}: {', '.join(names)}")
    console.print(f"{done.folder}\n{done.heightmap}", soft_wrap=True)
    return 0
