"""Buildings of a base: models of ``worlds/models``, levelled on the baked ground."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

import numpy as np

from ilrs_robots.core.errors import ConfigError, TerrainError
from ilrs_robots.core.paths import share_dir
from ilrs_robots.core.terrain.heightmap import Heightmap
from ilrs_robots.core.types import FloatArray
from ilrs_robots.robots.site import StructurePlacement


def number(value: float) -> str:
    """A number as SDF text: to a micrometre and a microradian, without trailing zeros."""
    text = f"{float(value):.6f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def numbers(values: Iterable[float]) -> str:
    """Numbers with a blank between them."""
    return " ".join(number(float(v)) for v in values)


def structures_sdf(placements: Sequence[StructurePlacement], ground: Heightmap) -> str:
    """Every building as an SDF model with a name of its own.

    Raises:
        ConfigError: a kind is unknown.
        TerrainError: a building does not stand on the ground that is there.
    """
    parts = []
    for index, placed in enumerate(placements):
        model = _model(placed.kind)
        pose = ElementTree.Element("pose")
        place = structure_place(placed, ground)
        pose.text = f"{numbers(place)} 0 0 {number(math.radians(placed.yaw_deg))}"
        model.set("name", f"{placed.kind}_{index}")
        model.insert(0, pose)
        parts.append(ElementTree.tostring(model, encoding="unicode"))
    return "\n".join(parts)


def structure_place(placed: StructurePlacement, ground: Heightmap) -> FloatArray:
    """Where a building's origin lies: (3,) metres in map, on the highest ground under it.

    Raises:
        ConfigError: its kind is unknown.
        TerrainError: it does not stand on the ground that is there.
    """
    reach = _reach_m(_model(placed.kind))
    steps = np.linspace(-reach, reach, 21)
    under = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    under = under[np.hypot(*under.T) <= reach]
    centre = np.array([placed.x_m, placed.y_m])
    heights = ground.height(centre + under)
    if np.isnan(heights).any():
        raise TerrainError(
            f"structure {placed.kind!r} at ({placed.x_m}, {placed.y_m}) m needs {reach:.1f} m "
            f"around it: the baked terrain reaches {ground.reach_m:.1f} m from map's origin"
        )
    return np.array([placed.x_m, placed.y_m, float(heights.max())])


def structure_reach_m(kind: str) -> float:
    """How far a building reaches from its origin, an upper bound, metres.

    Raises:
        ConfigError: the kind is unknown.
    """
    return _reach_m(_model(kind))


def _model(kind: str) -> ElementTree.Element:
    folder = share_dir() / "worlds" / "models"
    known = sorted(path.stem for path in folder.glob("*.sdf"))
    if kind not in known:
        raise ConfigError(f"unknown structure {kind!r}; known: {', '.join(known)}")
    model = ElementTree.parse(folder / f"{kind}.sdf").getroot().find("model")
    if model is None:
        raise ConfigError(f"worlds/models/{kind}.sdf holds no model")
    return model


def _reach_m(model: ElementTree.Element) -> float:
    """Horizontal reach of a model's collisions from its origin, an upper bound, metres."""
    reach = 0.0
    for collision in model.iter("collision"):
        pose = [float(v) for v in (collision.findtext("pose") or "0 0 0 0 0 0").split()]
        box = [float(v) for v in (collision.findtext("geometry/box/size") or "0 0").split()]
        radius = max((float(r.text or 0.0) for r in collision.iter("radius")), default=0.0)
        length = float(collision.findtext("geometry/cylinder/length") or 0.0)
        lying = 0.5 * length * abs(math.sin(pose[4])) + radius
        reach = max(reach, math.hypot(*pose[:2]) + max(0.5 * math.hypot(*box[:2]), lying))
    return reach
