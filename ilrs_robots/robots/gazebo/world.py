"""SDF worlds, rendered from the one template ``worlds/site.sdf.in``.

Reference: SDFormat specification 1.11. What each line of the template guards against stands in
the template itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2, MOON_RADIUS_M
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.heightmap import extents
from ilrs_robots.core.terrain.rocks import Rocks
from ilrs_robots.robots.gazebo.interfaces import SUN_LIGHT
from ilrs_robots.robots.gazebo.light import SiteSun
from ilrs_robots.robots.gazebo.structures import number, numbers, structures_sdf
from ilrs_robots.robots.gazebo.terrain import DIFFUSE, HEIGHTMAP, NORMAL, BakedTerrain
from ilrs_robots.robots.site import SiteConfig

TEMPLATE: Final = "site.sdf.in"
STEP_S: Final = 0.004
"""Physics step: every sensor's period is a multiple of it."""
GROUND_FRICTION: Final = 1.0
"""Of ground, rocks and buildings; the engine takes the smaller one of two, the wheel's."""
GROUND_TEMPERATURE_K: Final = 155.0
"""Equilibrium of flat ground under 1.5 degrees of Sun (albedo 0.12, emissivity 0.95)."""

_WALL_M: Final = 2.0  # thickness of the unseen walls
_WALL_SPARE_M: Final = 20.0  # their height above and below the terrain
_ROCK_GREY: Final = "0.45 0.45 0.44 1"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True)
class WorldContent:
    """What stands in a world.

    Attributes:
        site: place, epoch, buildings.
        terrain: baked ground.
        rocks: on it.
        prefix: what comes before a terrain file's name: a folder with a slash at its end, absolute
            or relative to the world's file.
    """

    site: SiteConfig
    terrain: BakedTerrain
    rocks: Rocks
    prefix: str


def world_name(site: SiteConfig) -> str:
    """The site's name as Gazebo's topics can carry it.

    Raises:
        ConfigError: it cannot be part of a topic.
    """
    if not _NAME.fullmatch(site.name):
        raise ConfigError(
            f"site name {site.name!r}: Gazebo needs letters, digits and underscores after a first "
            "letter"
        )
    return site.name


def template_path() -> Path:
    """The one template."""
    return share_dir() / "worlds" / TEMPLATE


def render_world(content: WorldContent) -> str:
    """The world as SDF text.

    Raises:
        ConfigError: a building is unknown, or the site's name cannot be used.
        TerrainError: a building does not stand on the terrain.
        EphemerisError: the epoch lies outside the ephemeris.
    """
    heightmap = content.terrain.heightmap
    size = extents(heightmap.samples, heightmap.spacing_m)
    ground_m = float(heightmap.height(np.zeros((1, 2)))[0])
    sun = SiteSun(content.site, ground_m)
    light = sun.at(0.0)
    prefix = escape(content.prefix)
    values = {
        "world": world_name(content.site),
        "step_s": number(STEP_S),
        "gravity_mps2": number(-MOON_GRAVITY_MPS2),
        "temperature_k": number(GROUND_TEMPERATURE_K),
        "radius_m": number(MOON_RADIUS_M),
        "latitude_deg": number(content.site.latitude_deg),
        "longitude_deg": number(content.site.longitude_deg),
        # Gazebo's heading is the angle from east to its x axis, counter-clockwise.
        "heading_deg": number(math.degrees(math.remainder(-sun.east_yaw_rad, 2.0 * math.pi))),
        "light": SUN_LIGHT,
        "sun_intensity": number(light.intensity),
        "sun_direction": numbers(light.direction),
        "low_m": number(heightmap.low_m),
        "relief_m": number(heightmap.relief_m),
        "collision_m": number(size.gazebo_collision_m),
        "visual_m": number(size.gazebo_visual_m),
        "friction": number(GROUND_FRICTION),
        "tile_m": number(content.terrain.tile_m),
        "heightmap": prefix + HEIGHTMAP,
        "diffuse": prefix + DIFFUSE,
        "normal": prefix + NORMAL,
        "walls": _walls(content),
        "rocks": _rocks(content.rocks),
        "structures": structures_sdf(content.site.structures, heightmap),
        "camera_pose": numbers([-12.0, -8.0, ground_m + 6.0, 0.0, 0.35, 0.6]),
    }
    text = Template(template_path().read_text(encoding="utf-8")).substitute(values)
    return _indented(text)


def _walls(content: WorldContent) -> str:
    """Four boxes whose inner faces lie one cell inside the outermost samples."""
    heightmap = content.terrain.heightmap
    inner = 0.5 * (heightmap.samples - 3) * heightmap.spacing_m
    at = inner + 0.5 * _WALL_M
    long = 2.0 * (inner + _WALL_M)
    tall = heightmap.relief_m + 2.0 * _WALL_SPARE_M
    z = heightmap.low_m + 0.5 * heightmap.relief_m
    boxes = [
        ("east", [at, 0.0, z], [_WALL_M, long, tall]),
        ("north", [0.0, at, z], [long, _WALL_M, tall]),
        ("south", [0.0, -at, z], [long, _WALL_M, tall]),
        ("west", [-at, 0.0, z], [_WALL_M, long, tall]),
    ]
    return "\n".join(
        f'<collision name="{name}"><pose>{numbers(place)} 0 0 0</pose>'
        f"<geometry><box><size>{numbers(size)}</size></box></geometry></collision>"
        for name, place, size in boxes
    )


def _rocks(rocks: Rocks) -> str:
    parts = []
    for centre, axes, yaw, rock_id in zip(
        rocks.centre_m, rocks.semi_axes_m, rocks.yaw_rad, rocks.ids, strict=True
    ):
        name = f"rock_{int(rock_id) & 0xFFFFFFFFFFFFFFFF:x}"
        pose = f"<pose>{numbers(centre)} 0 0 {number(yaw)}</pose>"
        shape = f"<geometry><ellipsoid><radii>{numbers(axes)}</radii></ellipsoid></geometry>"
        looks = (
            f"<material><ambient>{_ROCK_GREY}</ambient><diffuse>{_ROCK_GREY}</diffuse>"
            "<specular>0 0 0 1</specular></material>"
        )
        parts.append(f'<collision name="{name}_collision">{pose}{shape}</collision>')
        parts.append(f'<visual name="{name}">{pose}{shape}{looks}</visual>')
    return "\n".join(parts)


def _indented(text: str) -> str:
    """Checked to be XML, and laid out for people."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ConfigError(f"{template_path()}: not XML once filled in: {error}") from error
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return (
        f'<?xml version="1.0"?>\n<!-- Generated from worlds/{TEMPLATE}; do not edit. -->\n{body}\n'
    )
