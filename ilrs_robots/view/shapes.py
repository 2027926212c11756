"""Boxes, cylinders and spheres of descriptions (URDF, SDF) as lit meshes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray, IntArray
from ilrs_robots.view.glb import Mesh

SIDES: Final = 24
"""Of a cylinder."""
GREY: Final = (0.6, 0.6, 0.62, 1.0)


@dataclass(frozen=True)
class Shape:
    """One visual.

    Attributes:
        kind: ``box``, ``cylinder`` or ``sphere``.
        size_m: three sides; radius and length; radius.
        T_link_shape: (4, 4) its place.
        rgba: colour as the description has it, 0 to 1.
    """

    kind: str
    size_m: tuple[float, ...]
    T_link_shape: FloatArray
    rgba: tuple[float, float, float, float] = GREY


def urdf_shapes(urdf: str) -> dict[str, list[Shape]]:
    """The visuals of every link of a URDF; meshes from files are left out."""
    root = ET.fromstring(urdf)
    named = {m.get("name", ""): _rgba(m) for m in root.findall("material")}
    found: dict[str, list[Shape]] = {}
    for link in root.findall("link"):
        shapes = found.setdefault(link.get("name", ""), [])
        for visual in link.findall("visual"):
            size = _urdf_size(visual.find("geometry"))
            if size is None:
                continue
            origin, material = visual.find("origin"), visual.find("material")
            place = "0 0 0" if origin is None else origin.get("xyz", "0 0 0")
            turn = "0 0 0" if origin is None else origin.get("rpy", "0 0 0")
            colour = GREY
            if material is not None:
                colour = _rgba(material) if material.find("color") is not None else (
                    named.get(material.get("name", ""), GREY))  # fmt: skip
            shapes.append(Shape(*size, _place(place, turn), colour))
    return found


def sdf_shapes(path: Path) -> list[Shape]:
    """The visuals of an SDF model, in the model's frame."""
    shapes = []
    for link in ET.parse(path).getroot().iter("link"):
        T_model_link = _sdf_pose(link)
        for visual in link.findall("visual"):
            box, cylinder = visual.find("geometry/box"), visual.find("geometry/cylinder")
            if box is not None:
                kind, size = "box", _numbers(box.findtext("size") or "1 1 1")
            elif cylinder is not None:
                texts = (cylinder.findtext("radius"), cylinder.findtext("length"))
                kind, size = "cylinder", tuple(float(t or 1.0) for t in texts)
            else:
                continue
            told = _numbers(visual.findtext("material/diffuse") or "")
            colour = (told[0], told[1], told[2], 1.0) if len(told) >= 3 else GREY
            shapes.append(Shape(kind, size, T_model_link @ _sdf_pose(visual), colour))
    return shapes


def solid(shapes: Iterable[Shape], *, bright: float = 1.0, grey: float = 0.0) -> Mesh | None:
    """All shapes as one mesh with a colour per vertex; None for none.

    Args:
        shapes: in one frame.
        bright: factor on every colour.
        grey: share to which colours are drawn towards grey, 0 to 1.
    """
    points, normals, colours, triangles, count = [], [], [], [], 0
    for shape in shapes:
        p, n, t = _MAKERS[shape.kind](shape.size_m)
        turn = shape.T_link_shape[:3, :3]
        points.append(p @ turn.T + shape.T_link_shape[:3, 3])
        normals.append(n @ turn.T)
        rgb = np.array(shape.rgba[:3])
        rgb = bright * ((1.0 - grey) * rgb + grey * (0.25 + 0.3 * rgb.mean()))
        colours.append(np.tile(_linear(rgb), (len(p), 1)))
        triangles.append(t + count)
        count += len(p)
    if not points:
        return None
    rgba = np.full((count, 4), 255, dtype=np.uint8)
    rgba[:, :3] = np.round(255.0 * np.clip(np.concatenate(colours), 0.0, 1.0))
    return Mesh(np.concatenate(points), np.concatenate(triangles), np.concatenate(normals), rgba)


def extent_m(groups: Mapping[str, list[Shape]], places: Mapping[str, FloatArray]) -> FloatArray:
    """(2, 3) lowest and highest corner of all shapes about their centres, in the root's frame.

    Args:
        groups: shapes by link.
        places: (4, 4) T_root_link by link.
    """
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for link, shapes in groups.items():
        for shape in shapes:
            if link not in places:
                continue
            points = _MAKERS[shape.kind](shape.size_m)[0]
            T = places[link] @ shape.T_link_shape
            at = points @ T[:3, :3].T + T[:3, 3]
            low, high = np.minimum(low, at.min(axis=0)), np.maximum(high, at.max(axis=0))
    return np.stack((low, high))


def _box(size: tuple[float, ...]) -> tuple[FloatArray, FloatArray, IntArray]:
    half, points, normals, triangles = 0.5 * np.array(size), [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            corners = np.zeros((4, 3))
            corners[:, axis] = sign
            corners[:, u] = (-1.0, 1.0, 1.0, -1.0)
            corners[:, v] = np.array((-1.0, -1.0, 1.0, 1.0)) * sign
            normal = np.zeros((4, 3))
            normal[:, axis] = sign
            base = 4 * len(points)
            points.append(corners * half)
            normals.append(normal)
            triangles.append([[base, base + 1, base + 2], [base, base + 2, base + 3]])
    return np.concatenate(points), np.concatenate(normals), np.concatenate(triangles)


def _cylinder(size: tuple[float, ...]) -> tuple[FloatArray, FloatArray, IntArray]:
    radius, length = size
    turn = np.linspace(0.0, 2.0 * math.pi, SIDES, endpoint=False)
    ring = np.stack((np.cos(turn), np.sin(turn), np.zeros(SIDES)), axis=1)
    up = np.array([0.0, 0.0, 0.5 * length])
    k = np.arange(SIDES)
    n = (k + 1) % SIDES
    side = np.concatenate((np.stack((k, n, n + SIDES), 1), np.stack((k, n + SIDES, k + SIDES), 1)))
    fan = np.stack((np.zeros(SIDES - 2, dtype=int), k[1:-1], k[2:]), axis=1)
    points = [ring * radius - up, ring * radius + up] * 2
    flat = np.tile([0.0, 0.0, 1.0], (SIDES, 1))
    triangles = np.concatenate((side, fan[:, ::-1] + 2 * SIDES, fan + 3 * SIDES))
    return np.concatenate(points), np.concatenate((ring, ring, -flat, flat)), triangles


def _sphere(size: tuple[float, ...]) -> tuple[FloatArray, FloatArray, IntArray]:
    rows, cols = 10, SIDES
    polar, turn = np.meshgrid(
        np.linspace(0.0, math.pi, rows + 1), np.linspace(0.0, 2.0 * math.pi, cols + 1),
        indexing="ij",
    )  # fmt: skip
    normal = np.stack(
        (np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)), axis=-1
    ).reshape(-1, 3)
    return size[0] * normal, normal, grid_triangles(rows + 1, cols + 1)


def grid_triangles(rows: int, cols: int) -> IntArray:
    """(M, 3) triangles of a grid of vertices stored row by row."""
    index = np.arange(rows * cols).reshape(rows, cols)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    quads = np.stack((a, b, c, a, c, d), axis=-1)
    return np.asarray(quads.reshape(-1, 3))


_MAKERS: Final = {"box": _box, "cylinder": _cylinder, "sphere": _sphere}


def _linear(srgb: FloatArray) -> FloatArray:
    """Colours as glTF wants them (IEC 61966-2-1, its power law)."""
    return np.asarray(np.clip(srgb, 0.0, 1.0) ** 2.2)


def _urdf_size(geometry: ET.Element | None) -> tuple[str, tuple[float, ...]] | None:
    if geometry is None:
        return None
    for kind, keys in (("box", ("size",)), ("cylinder", ("radius", "length")),
                       ("sphere", ("radius",))):  # fmt: skip
        element = geometry.find(kind)
        if element is not None:
            return kind, tuple(v for key in keys for v in _numbers(element.get(key, "1")))
    return None


def _rgba(element: ET.Element) -> tuple[float, float, float, float]:
    colour = element.find("color")
    told = _numbers("" if colour is None else colour.get("rgba", ""))
    return (told[0], told[1], told[2], told[3]) if len(told) == 4 else GREY


def _sdf_pose(element: ET.Element) -> FloatArray:
    told = (element.findtext("pose") or "0 0 0 0 0 0").split()
    return _place(" ".join(told[:3]), " ".join(told[3:]))


def _place(xyz: str, rpy: str) -> FloatArray:
    roll, pitch, yaw = _numbers(rpy)
    return se3.from_rpy(np.array(_numbers(xyz)), (roll, pitch, yaw))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(v) for v in text.split())
