"""Everything of a site's terrain that takes time to make, made once and found by its content.

A folder in the user's cache holds the true DEM and the orbital prior as GeoTIFF and the horizon
map; the heightmap for Gazebo has its own folder (``robots.gazebo.terrain``). Names follow from
what the files are made of, so nothing in them can be stale.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from ilrs_robots.core.environment.horizon import HorizonConfig, HorizonMap, horizon_map
from ilrs_robots.core.environment.site_frame import SiteFrame
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.dem_files import read_geotiff, write_geotiff
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.heightmap import BakeConfig
from ilrs_robots.robots.gazebo.terrain import baked_terrain, cache_dir
from ilrs_robots.robots.site import load_site

DEM: Final = "dem.tif"
PRIOR: Final = "prior.tif"
HORIZON: Final = "horizon.npy"
_FORM: Final = "1"
"""Of the files and of how they are made; a higher number makes them anew."""

Progress = Callable[[str, float], None]


@dataclass
class SiteBake:
    """Where the files are, and which of them had to be made.

    Attributes:
        folder: holds ``dem.tif``, ``prior.tif`` and ``horizon.npy`` with ``horizon.json``.
        heightmap: folder of the image for Gazebo.
        made: names of what was made now.
        kept: names of what was there.
    """

    folder: Path
    heightmap: Path
    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def bake_site(
    name: str,
    *,
    seed: int | None = None,
    root: Path | None = None,
    heightmap: BakeConfig | None = None,
    horizon: HorizonConfig | None = None,
    far: Path | None = None,
    progress: Progress | None = None,
) -> SiteBake:
    """Bake what a site needs; what is there already is kept.

    Args:
        name: of the site, or the path of a site file.
        seed: replaces the terrain's.
        root: holds the folder; default: the user's cache.
        heightmap: window and spacing for Gazebo.
        horizon: how the horizon is computed.
        far: wider DEM for the horizon.
        progress: is told what is being done and which share of it is.

    Raises:
        ConfigError: the site file is wrong.
        TerrainError: terrain cannot be read, or a file cannot be written.
    """
    site, terrain = load_site(name, seed=seed)
    told = progress if progress is not None else _silent
    settings = horizon or HorizonConfig()
    dem, prior = terrain.surface.dem, terrain.prior
    frame = SiteFrame.of_dem(dem, np.radians(site.latitude_deg), np.radians(site.longitude_deg))
    wide = None if far is None else _wider(far, frame)
    key = _key((dem, prior, wide), repr((settings.observer_m, settings.azimuths, settings.lines,
                                         settings.far_range_m, frame)))  # fmt: skip
    folder = (root or cache_dir() / "sites") / f"{site.name}-{key}"
    image = baked_terrain(site, terrain.surface, heightmap, progress=told)
    done = SiteBake(folder, image.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TerrainError(f"{folder}: cannot be made: {error.strerror}") from error
    for file, heights in ((DEM, dem), (PRIOR, prior)):
        told(file, 0.0)
        if _holds(folder / file, heights):
            done.kept.append(file)
        else:
            write_geotiff(folder / file, heights)
            done.made.append(file)
        told(file, 1.0)
    if _has_horizon(folder / HORIZON, dem, settings):
        done.kept.append(HORIZON)
    else:
        made = horizon_map(
            dem, settings, far=wide, frame=frame,
            on_progress=lambda part, whole: told(HORIZON, part / whole),
        )  # fmt: skip
        made.save(folder / HORIZON)
        done.made.append(HORIZON)
    return done


def _silent(_label: str, _share: float) -> None:
    """Nobody looks."""


def _wider(path: Path, frame: SiteFrame) -> Dem:
    """A wider DEM with the site's origin."""
    return read_geotiff(path, origin_xy_m=(frame.origin_x_m, frame.origin_y_m))


def _key(dems: tuple[Dem | None, ...], settings: str) -> str:
    digest = hashlib.sha256((_FORM + settings).encode())
    for dem in dems:
        if dem is not None:
            digest.update(repr((dem.spec, dem.projection)).encode())
            digest.update(np.ascontiguousarray(dem.heights_m).tobytes())
    return digest.hexdigest()[:16]


def _holds(path: Path, dem: Dem) -> bool:
    """Whether a file holds these heights; a damaged one is made again."""
    if not path.is_file():
        return False
    try:
        found = read_geotiff(path)
    except TerrainError:
        return False
    return bool(np.array_equal(found.heights_m, dem.heights_m, equal_nan=True))


def _has_horizon(path: Path, dem: Dem, settings: HorizonConfig) -> bool:
    if not path.is_file():
        return False
    try:
        found = HorizonMap.load(path)
    except TerrainError:
        return False
    return found.spec == dem.spec and len(found.counts) == settings.azimuths
