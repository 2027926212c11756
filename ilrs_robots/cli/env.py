"""``ilrs env``: where Sun and Earth stand, and maps of a site's light, sight, shadow and heat."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import ConfigError

if TYPE_CHECKING:
    from ilrs_robots.core.environment.site_maps import SiteMap
    from ilrs_robots.core.terrain.dem import Dem

WHAT = ("lit", "earth", "psr", "temperature", "link")


@click.group()
def env() -> None:
    """Sun, Earth, light and heat of the Moon."""


def _place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object."),
        click.option("--height", default=0.0, show_default=True, help="Above the sphere, metres."),
        click.option("--time", "time_utc", required=True, help="UTC, 2035-05-15T00:00:00Z."),
        click.option("--lon", type=float, required=True, help="East longitude, degrees."),
        click.option("--lat", type=float, required=True, help="Latitude, degrees."),
    ):
        command = option(command)
    return command


@env.command("sun")
@_place_options
def sun_command(lat: float, lon: float, time_utc: str, height: float, as_json: bool) -> int:
    """Say where the Sun stands at a place and a time."""
    return _tell("sun", lat, lon, time_utc, height, as_json)


@env.command("earth")
@_place_options
def earth_command(lat: float, lon: float, time_utc: str, height: float, as_json: bool) -> int:
    """Say where the Earth stands at a place and a time."""
    return _tell("earth", lat, lon, time_utc, height, as_json)


def _tell(body: str, lat: float, lon: float, time_utc: str, height: float, as_json: bool) -> int:
    from ilrs_robots.core.environment import ephemeris

    seconds = ephemeris.utc_seconds(time_utc)
    look = ephemeris.sun if body == "sun" else ephemeris.earth
    seen = look(seconds, math.radians(lat), math.radians(lon), height)
    told = {
        "body": body,
        "time_utc": time_utc,
        "latitude_deg": lat,
        "longitude_deg": lon,
        "height_m": height,
        "azimuth_deg": round(math.degrees(float(seen.azimuth_rad)), 6),
        "elevation_deg": round(math.degrees(float(seen.elevation_rad)), 6),
        "distance_km": round(float(seen.distance_m) / 1e3, 3),
        "radius_deg": round(math.degrees(float(seen.radius_rad)), 6),
    }
    if as_json:
        print(json.dumps(told))
        return 0
    console.print(
        f"{body.capitalize()} at {lat:g}, {lon:g} deg, {time_utc}: azimuth "
        f"{told['azimuth_deg']:.3f} deg from north by east, elevation "
        f"{told['elevation_deg']:.3f} deg, radius {told['radius_deg']:.3f} deg, "
        f"{told['distance_km']:.0f} km away"
    )
    return 0


@env.command("map")
@click.option("--site", default="shackleton", show_default=True, help="Name or file.")
@click.option("--what", type=click.Choice(WHAT), required=True, help="What to draw.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option("--time", "time_utc", help="UTC; by default the site's epoch.")
@click.option("--days", default=29.53, show_default=True, help="Span of lit and earth; 0: now.")
@click.option("--step-hours", default=2.0, show_default=True, help="Between looks in the span.")
@click.option("--observer", type=float, help="Metres above ground; lit and earth 2, else 0.")
@click.option("--far", type=click.Path(path_type=Path), help="GeoTIFF of the terrain around.")
def map_command(
    site: str,
    what: str,
    out: Path,
    time_utc: str | None,
    days: float,
    step_hours: float,
    observer: float | None,
    far: Path | None,
) -> int:
    """Draw light, sight of the Earth, permanent shadow, temperature or links: PNG, GeoTIFF."""
    from ilrs_robots.core.environment.ephemeris import utc_seconds
    from ilrs_robots.core.environment.site_maps import MapRequest, SitePlace, make_map
    from ilrs_robots.robots.site import load_site

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out}: is a file, must be a folder")
    request = MapRequest(what, days, step_hours, observer, far)
    wanted = None if time_utc is None else utc_seconds(time_utc)
    config, terrain = load_site(site)
    place = SitePlace(
        config.name, math.radians(config.latitude_deg), math.radians(config.longitude_deg),
        utc_seconds(config.epoch) if wanted is None else wanted,
    )  # fmt: skip
    dem = terrain.surface.dem
    with progress_bars() as show:
        if what == "link":
            from ilrs_robots.robots.site_links import site_link_picture

            found = site_link_picture(
                config, dem, place.utc_s, lambda done, total: show("links", done, total)
            )
        else:
            found = make_map(request, place, dem, show)
    for path in _write(found, terrain.surface.dem, out, f"{config.name}_{what}"):
        console.print(f"written: {path}")
    return 0


@contextlib.contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each named work; call with its name, steps done and steps in all."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def show(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done)

        yield show


def _write(found: SiteMap, dem: Dem, folder: Path, name: str) -> tuple[Path, Path]:
    """Both files, or none: each is finished under another name first."""
    from ilrs_robots.core.io.dem_files import write_geotiff
    from ilrs_robots.view.environment_maps import MapPicture, draw_map

    picture, raster = folder / f"{name}.png", folder / f"{name}.tif"
    parts = [folder / f".{name}.{os.getpid()}.part{end}" for end in (".png", ".tif")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw_map(
            MapPicture(
                found.title, found.notes, found.label, found.values, found.spec,
                found.north_yaw_rad, found.limits, found.sun_yaw_rad,
            ),
            dem,
            parts[0],
        )  # fmt: skip
        write_geotiff(parts[1], found.as_raster())
        os.replace(parts[0], picture)
        os.replace(parts[1], raster)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be written ({error})") from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return picture, raster
