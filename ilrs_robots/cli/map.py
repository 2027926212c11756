"""``ilrs map``: what was kept of a terrain map."""

from __future__ import annotations

from pathlib import Path

import click

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.errors import TerrainError


@click.group()
def map_files() -> None:
    """Saved terrain maps."""


@map_files.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--layers", default="", help="Comma-separated, in the order of the bands; all else.")
def export(file: Path, out: Path, layers: str) -> int:
    """Write layers of FILE.npz as named bands of the GeoTIFF OUT.tif, in the site's projection."""
    from ilrs_robots.core.io.map_files import export_geotiff, load_map

    if out.suffix not in (".tif", ".tiff"):
        raise TerrainError(f"{out.name} ends in {out.suffix!r}: must be .tif")
    saved = load_map(file)
    names = tuple(name.strip() for name in layers.split(",")) if layers else ()
    export_geotiff(out, saved, names)
    console.print(f"written: {out}, {len(names or saved.layers)} bands")
    return 0


@map_files.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def info(file: Path) -> int:
    """Say what FILE.npz holds."""
    import numpy as np

    from ilrs_robots.core.io.map_files import load_map

    saved = load_map(file)
    spec = saved.spec
    known = int(np.isfinite(saved.layers["elevation"]).sum())
    console.print(
        f"{spec.cols} x {spec.rows} cells of {spec.resolution_m:g} m, {known} known; "
        f"site {saved.place.site or 'unknown'}"
    )
    if saved.T_map_odom is not None:
        x, y, z = saved.T_map_odom[:3, 3]
        console.print(f"odom at {x:.2f}, {y:.2f}, {z:.2f} m in map")
    console.print(f"layers: {', '.join(saved.layers)}")
    return 0
