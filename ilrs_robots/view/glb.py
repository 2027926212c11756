"""Meshes as binary glTF, with what the viewer's own helpers leave out: unlit textures.

Reference: Khronos glTF 2.0 specification; extension KHR_materials_unlit.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ilrs_robots.core.types import Float32Array, FloatArray, IntArray

_FLOAT, _U32, _U8 = 5126, 5125, 5121
_VERTICES, _INDICES = 34962, 34963
_KINDS: Final = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


@dataclass(frozen=True)
class Mesh:
    """Triangles.

    Attributes:
        positions_m: (N, 3) metres.
        triangles: (M, 3) vertices of each, counter-clockwise seen from outside.
        normals: (N, 3) unit vectors, for meshes that are lit.
        colours: (N, 4) uint8 linear RGBA, or None.
        uv: (N, 2) place in the texture, from its upper left corner, or None.
        jpeg: the texture, or None.
        colour: of the whole, linear RGBA 0 to 1; one less than 1 in A is seen through.
    """

    positions_m: Float32Array | FloatArray
    triangles: IntArray
    normals: Float32Array | FloatArray | None = None
    colours: Any = None
    uv: Float32Array | FloatArray | None = None
    jpeg: bytes | None = None
    colour: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)


def glb_of(mesh: Mesh) -> bytes:
    """One mesh as a .glb file; without normals it is not lit but shown as its colours are."""
    pack = _Pack()
    attributes = {"POSITION": pack.add(mesh.positions_m, np.float32, _FLOAT, bounds=True)}
    for name, values in (("NORMAL", mesh.normals), ("TEXCOORD_0", mesh.uv)):
        if values is not None:
            attributes[name] = pack.add(values, np.float32, _FLOAT)
    if mesh.colours is not None:
        attributes["COLOR_0"] = pack.add(mesh.colours, np.uint8, _U8, normalized=True)
    indices = pack.add(mesh.triangles.reshape(-1), np.uint32, _U32, target=_INDICES)
    surface: dict[str, Any] = {
        "baseColorFactor": list(mesh.colour), "metallicFactor": 0.0, "roughnessFactor": 0.9,
    }  # fmt: skip
    material: dict[str, Any] = {"pbrMetallicRoughness": surface, "doubleSided": True}
    document: dict[str, Any] = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}], "materials": [material],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices,
                                    "material": 0}]}],
    }  # fmt: skip
    if mesh.normals is None:
        material["extensions"] = {"KHR_materials_unlit": {}}
        document["extensionsUsed"] = ["KHR_materials_unlit"]
    if mesh.colour[3] < 1.0:
        material["alphaMode"] = "BLEND"
    if mesh.jpeg is not None:
        surface["baseColorTexture"] = {"index": 0}
        document["images"] = [{"bufferView": pack.view(mesh.jpeg), "mimeType": "image/jpeg"}]
        document["samplers"] = [
            {"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}
        ]
        document["textures"] = [{"source": 0, "sampler": 0}]
    return pack.file(document)


class _Pack:
    """The buffer of a file, and what says where things are in it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._views: list[dict[str, int]] = []
        self._accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int = 0) -> int:
        self._data.extend(b"\0" * (-len(self._data) % 4))
        view = {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        self._views.append({**view, "target": target} if target else view)
        self._data.extend(data)
        return len(self._views) - 1

    def add(
        self, values: Any, kind: Any, code: int, *, target: int = _VERTICES, bounds: bool = False,
        normalized: bool = False,
    ) -> int:  # fmt: skip
        array = np.ascontiguousarray(values, dtype=kind)
        accessor: dict[str, Any] = {
            "bufferView": self.view(array.tobytes(), target), "componentType": code,
            "count": len(array), "type": _KINDS[1 if array.ndim == 1 else array.shape[1]],
        }  # fmt: skip
        if bounds:
            accessor["min"] = [float(v) for v in array.min(axis=0)]
            accessor["max"] = [float(v) for v in array.max(axis=0)]
        if normalized:
            accessor["normalized"] = True
        self._accessors.append(accessor)
        return len(self._accessors) - 1

    def file(self, document: dict[str, Any]) -> bytes:
        self._data.extend(b"\0" * (-len(self._data) % 4))
        document = {
            **document, "bufferViews": self._views, "accessors": self._accessors,
            "buffers": [{"byteLength": len(self._data)}],
        }  # fmt: skip
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        size = 12 + 8 + len(text) + 8 + len(self._data)
        head = struct.pack("<4sII", b"glTF", 2, size)
        chunk = struct.pack("<I4s", len(text), b"JSON") + text
        return head + chunk + struct.pack("<I4s", len(self._data), b"BIN\0") + bytes(self._data)
