"""Baked terrain: made once for a site, kept in a folder, found again by what it is made of.

A folder holds the heightmap, the tile's two textures, and ``terrain.yaml``, a note of where it
comes from and how to read it. The default site's folder ships in ``worlds/terrain``; others are
baked on first use into the user's cache. Either is used only if its image agrees with the terrain
that everything else uses: a note alone could be stale.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.images import read_png, write_png
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.heightmap import FULL_SCALE, BakeConfig, Heightmap, bake
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.terrain.texture import TILE_M, regolith_tile
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.site import SiteConfig

HEIGHTMAP: Final = "heightmap.png"
DIFFUSE: Final = "diffuse.png"
NORMAL: Final = "normal.png"
NOTE: Final = "terrain.yaml"
FILES: Final = (HEIGHTMAP, DIFFUSE, NORMAL, NOTE)

_PROBES: Final = 17  # along each side, edges and corners among them
_TOLERANCE_M: Final = 1e-3

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class BakedTerrain:
    """A folder of baked terrain and what its image says.

    Attributes:
        folder: holds every file of ``FILES``.
        heightmap: as read from it.
        tile_m: side of the ground that a texture covers.
    """

    folder: Path
    heightmap: Heightmap
    tile_m: float


def cache_dir() -> Path:
    """The package's folder below XDG_CACHE_HOME.

    Reference: XDG Base Directory Specification; a relative path there is to be ignored.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "ilrs_robots"


def shipped_dir(site_name: str) -> Path:
    """Where the terrain of a site lies if the package ships it."""
    return share_dir() / "worlds" / "terrain" / site_name


def baked_terrain(
    site: SiteConfig,
    surface: Surface,
    config: BakeConfig | None = None,
    *,
    progress: Progress | None = None,
) -> BakedTerrain:
    """The site's baked terrain: shipped, from the cache, or baked now.

    Args:
        site: what the terrain belongs to.
        surface: the site's true terrain.
        config: window and spacing.
        progress: is told what is being done and which share of it is.

    Raises:
        TerrainError: the window does not fit, holds unknown ground, or cannot be written.
    """
    spec = (config or BakeConfig()).grid(surface.bounds_m)
    cached = cache_dir() / "terrain" / f"{site.name}-{content_key(surface, spec)[:16]}"
    for folder in (shipped_dir(site.name), cached):
        found = _usable(folder, surface, spec)
        if found is not None:
            return found
    return bake_into(cached, site, surface, spec, progress=progress)


def bake_into(
    folder: Path,
    site: SiteConfig,
    surface: Surface,
    spec: GridSpec,
    *,
    progress: Progress | None = None,
) -> BakedTerrain:
    """Bake a window of terrain; the folder appears whole or not at all, an older one gives way.

    Args:
        folder: to be written.
        site: for the note.
        surface: the true terrain.
        spec: of ``BakeConfig.grid``.
        progress: is told what is being done and which share of it is.

    Raises:
        TerrainError: the window holds unknown ground, or the folder cannot be written.
    """
    label = f"baking the terrain of {site.name}"
    told = (lambda share: progress(label, share)) if progress is not None else None
    heightmap = bake(surface, spec, told)
    diffuse, normal = regolith_tile()
    part = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        part.mkdir(parents=True)
        write_png(part / HEIGHTMAP, heightmap.pixels)
        write_png(part / DIFFUSE, diffuse)
        write_png(part / NORMAL, normal)
        note = _note(site, surface, heightmap, part / HEIGHTMAP)
        (part / NOTE).write_text(note, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except OSError as error:
        raise TerrainError(f"{folder}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return read_baked(folder)


def read_baked(folder: Path) -> BakedTerrain:
    """Read a folder of baked terrain and refuse what Gazebo would not draw.

    Raises:
        TerrainError: a file is missing, is no image, or the note does not describe it.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise TerrainError(f"{folder / name}: no such file")
    try:
        note: dict[str, Any] = yaml.safe_load((folder / NOTE).read_text(encoding="utf-8"))
        numbers = [float(note[k]) for k in ("spacing_m", "low_m", "relief_m", "tile_m")]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise TerrainError(f"{folder / NOTE}: not a note of baked terrain: {error}") from error
    pixels = read_png(folder / HEIGHTMAP)
    try:
        heightmap = Heightmap(np.asarray(pixels), *numbers[:3])
    except TerrainError as error:
        raise TerrainError(f"{folder / HEIGHTMAP}: {error}") from error
    return BakedTerrain(folder, heightmap, numbers[3])


def agrees(baked: BakedTerrain, surface: Surface) -> bool:
    """Whether an image shows the terrain: heights at a lattice that reaches the corners."""
    heightmap = baked.heightmap
    at = np.round(np.linspace(0, heightmap.samples - 1, _PROBES)).astype(np.int64)
    rows, cols = (axis.ravel() for axis in np.meshgrid(at, at, indexing="ij"))
    true = surface.height(heightmap.spec.xy_of(rows, cols))
    seen = heightmap.heights_m[rows, cols]
    tolerance = _TOLERANCE_M + heightmap.relief_m / FULL_SCALE
    return bool(np.all(np.abs(true - seen) <= tolerance))


def content_key(surface: Surface, spec: GridSpec) -> str:
    """Hash of everything that an image is made of."""
    dem = surface.dem
    made_of = (dem.spec, surface.seed, surface.config, surface.features, spec)
    digest = hashlib.sha256(repr(made_of).encode())
    digest.update(np.ascontiguousarray(dem.heights_m).tobytes())
    return digest.hexdigest()


def _usable(folder: Path, surface: Surface, spec: GridSpec) -> BakedTerrain | None:
    if not folder.is_dir():
        return None
    try:
        baked = read_baked(folder)
    except TerrainError:
        return None
    return baked if baked.heightmap.spec == spec and agrees(baked, surface) else None


def _note(site: SiteConfig, surface: Surface, heightmap: Heightmap, image: Path) -> str:
    """Provenance, and the numbers without which the image means nothing."""
    note = {
        "what": f"ground of the site {site.name}, without rocks, around map's origin",
        "made_by": "ilrs site bake",
        "source": _plain(dict(surface.dem.provenance)) or "unknown",
        "added_detail": {"seed": surface.seed, **asdict(surface.config)},
        "latitude_deg": site.latitude_deg,
        "longitude_deg": site.longitude_deg,
        "samples": heightmap.samples,
        "spacing_m": heightmap.spacing_m,
        "low_m": heightmap.low_m,
        "relief_m": heightmap.relief_m,
        "tile_m": TILE_M,
        "height": "low_m + pixel / 65535 * relief_m, above the reference sphere",
        "orientation": "first row has the largest y, first column the smallest x",
        "textures": "computed, no photograph",
        "heightmap_sha256": hashlib.sha256(image.read_bytes()).hexdigest(),
    }
    return "# Generated; do not edit.\n" + yaml.safe_dump(note, sort_keys=False)


def _plain(value: Any) -> Any:
    """Only what YAML knows; folders of the machine that baked are left out."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path) or (isinstance(value, str) and os.path.isabs(value)):
        return Path(value).name
    return value if isinstance(value, str | int | float | bool | None) else str(value)
