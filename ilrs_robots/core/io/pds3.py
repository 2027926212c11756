"""PDS3 images with a detached label, as the LOLA gridded data records come (``.LBL``, ``.IMG``).

A label is text of ``KEY = VALUE`` lines in nested objects. Heights are DN x SCALING_FACTOR; the
label's OFFSET makes a radius of them and is taken off again where it is the Moon's. The projection
offsets count pixels from the centre of the first one: x = (sample - SAMPLE_PROJECTION_OFFSET) x
MAP_SCALE with samples from 0, y = (LINE_PROJECTION_OFFSET - line) x MAP_SCALE.

Reference: Planetary Data System Standards Reference 3.8 (2009), chapter 12 and appendix B; LOLA
RDR and derived products SIS, Neumann 2011, sec. 4.5.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.constants import MOON_RADIUS_M
from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.io.raster import RADIUS_TOLERANCE, Raster, require_moon
from ilrs_robots.core.types import Float32Array

_LABEL_BYTES: Final = 262_144
_TYPES: Final = {
    "LSB_INTEGER": "<i", "PC_INTEGER": "<i", "VAX_INTEGER": "<i", "LSB_UNSIGNED_INTEGER": "<u",
    "PC_UNSIGNED_INTEGER": "<u", "MSB_INTEGER": ">i", "SUN_INTEGER": ">i", "MAC_INTEGER": ">i",
    "MSB_UNSIGNED_INTEGER": ">u", "UNSIGNED_INTEGER": ">u", "INTEGER": ">i", "PC_REAL": "<f",
    "IEEE_REAL": ">f", "SUN_REAL": ">f", "MAC_REAL": ">f", "REAL": ">f",
}  # fmt: skip
_UNITS: Final = {"METER": 1.0, "METERS": 1.0, "M": 1.0, "KILOMETER": 1e3, "KM": 1e3}
_WKT: Final = (
    'PROJCS["Moon polar stereographic",GEOGCS["Moon",DATUM["Moon",SPHEROID["Moon",{radius:.1f},0]]'
    ',PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Polar_Stereographic"],PARAMETER["latitude_of_origin",{lat:g}],'
    'PARAMETER["central_meridian",{lon:g}],PARAMETER["scale_factor",1],'
    'PARAMETER["false_easting",0],PARAMETER["false_northing",0],UNIT["metre",1]]'
)


class Label:
    """Keys of a label by their objects, ``IMAGE.LINES``; values as text without unit."""

    def __init__(self, path: Path, values: dict[str, str]) -> None:
        self.path = path
        self.values = values

    def text(self, key: str, default: str | None = None) -> str:
        """A value.

        Raises:
            TerrainError: the label has no such key and there is no default.
        """
        found = self.values.get(key, default)
        if found is None:
            raise TerrainError(f"{self.path.name}: the label has no {key}")
        return found

    def number(self, key: str, default: float | None = None) -> float:
        """A value as a number.

        Raises:
            TerrainError: the label has no such key, or it is no number.
        """
        found = self.text(key, None if default is None else repr(default))
        try:
            return float(found.split("<")[0])
        except ValueError as error:
            raise TerrainError(f"{self.path.name}: {key} = {found!r}: not a number") from error

    def unit(self, key: str) -> str:
        """What stands in angle brackets behind a value, or nothing."""
        found = re.search(r"<([^>]*)>", self.text(key, ""))
        return found.group(1).strip().upper() if found else ""


def label_of(path: Path) -> Label | None:
    """The label of a PDS3 file, given the label or the image beside it; None for other files.

    Raises:
        TerrainError: an image without a label.
    """
    if path.suffix.lower() == ".img":
        for suffix in (".lbl", ".LBL", ".Lbl"):
            if path.with_suffix(suffix).is_file():
                return parse(path.with_suffix(suffix))
        with path.open("rb") as file:
            if b"PDS_VERSION_ID" not in file.read(512):
                raise TerrainError(
                    f"{path.name}: no label {path.stem}.LBL beside it, and none inside it"
                )
        return parse(path)
    return parse(path) if path.suffix.lower() == ".lbl" else None


def parse(path: Path) -> Label:
    """Read a label.

    Raises:
        TerrainError: it is not one.
    """
    with path.open("rb") as file:
        text = file.read(_LABEL_BYTES).decode("ascii", "replace")
    if "PDS_VERSION_ID" not in text[:1024]:
        raise TerrainError(f"{path.name}: not a PDS3 label (no PDS_VERSION_ID)")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    values: dict[str, str] = {}
    inside: list[str] = []
    pattern = (
        r'^[ \t]*(\^?[A-Z][\w:]*)[ \t]*=\s*("[^"]*"|\([^)]*\)|\{[^}]*\}|[^\r\n]*)|^\s*(END)\s*$'
    )
    for found in re.finditer(pattern, text, flags=re.MULTILINE):
        key, value = found.group(1), (found.group(2) or "").strip()
        if found.group(3) == "END":
            break
        if key == "OBJECT" or key == "GROUP":
            inside.append(value)
        elif key in ("END_OBJECT", "END_GROUP"):
            inside = inside[:-1]
        else:
            values.setdefault(".".join((*inside[-1:], key)), value.strip('"'))
    return Label(path, values)


def open_image(label: Label, band: int) -> Raster:
    """The image that a label describes.

    Raises:
        TerrainError: not a polar stereographic map of the Moon in metres, or the image is
            absent or shorter than its label says.
    """
    name = label.path.name
    if band != 1 or label.number("IMAGE.BANDS", 1) != 1:
        raise TerrainError(f"{name}: band {band} of {label.text('IMAGE.BANDS', '1')}; one is read")
    rows, cols = (int(label.number(f"IMAGE.{k}")) for k in ("LINES", "LINE_SAMPLES"))
    scale_m = _map_scale_m(label)
    line0, sample0 = (
        _from_zero(label.number(f"IMAGE_MAP_PROJECTION.{k}_PROJECTION_OFFSET"), n)
        for k, n in (("LINE", rows), ("SAMPLE", cols))
    )
    pixels, path = _pixels(label, rows, cols)
    gain, shift = _conversion(label)
    missing = label.values.get("IMAGE.MISSING_CONSTANT", label.values.get("IMAGE.MISSING"))
    no_data = None if missing is None else _constant(missing, name)

    def read(col0: int, row0: int, cols: int, rows: int) -> Float32Array:
        raw = np.asarray(pixels[row0 : row0 + rows, col0 : col0 + cols])
        heights = raw * gain + shift
        if no_data is not None:
            heights[raw == no_data] = np.nan
        return heights.astype(np.float32)

    tags = {"PRODUCT_ID": label.text("PRODUCT_ID", label.path.stem)}
    return Raster(
        path, rows, cols, scale_m, -(sample0 + 0.5) * scale_m, (line0 + 0.5) * scale_m,
        _projection(label), 1, tags, read,
    )  # fmt: skip


def _from_zero(offset: float, count: int) -> float:
    """An offset that counts from 0; some products count from 1, which a centred pole betrays."""
    return offset - 1.0 if offset == 0.5 * (count + 1) else offset


def _constant(text: str, name: str) -> float:
    """A no-data value; 16#FF7FFFFB# is the bit pattern of a float."""
    found = re.fullmatch(r"16#([0-9A-Fa-f]{8})#", text.strip())
    try:
        if found:
            return float(np.array([int(found.group(1), 16)], dtype=np.uint32).view(np.float32)[0])
        return float(text)
    except ValueError as error:
        raise TerrainError(f"{name}: MISSING_CONSTANT = {text!r}: not a number") from error


def _map_scale_m(label: Label) -> float:
    key = "IMAGE_MAP_PROJECTION.MAP_SCALE"
    scale = label.number(key)
    scale *= 1e3 if label.unit(key).startswith("KM") else 1.0
    if not 0.0 < scale < 1e6:
        raise TerrainError(f"{label.path.name}: MAP_SCALE = {label.text(key)}: must be above 0 m")
    return scale


def _projection(label: Label) -> str:
    name, group = label.path.name, "IMAGE_MAP_PROJECTION"
    target = label.text("TARGET_NAME", "MOON").upper()
    if target != "MOON":
        raise TerrainError(f"{name}: TARGET_NAME = {target}: must be MOON")
    kind = label.text(f"{group}.MAP_PROJECTION_TYPE").upper().replace("_", " ")
    if kind != "POLAR STEREOGRAPHIC":
        raise TerrainError(
            f"{name}: projection {kind}: coordinates in degrees or another map; only POLAR "
            "STEREOGRAPHIC is read, reproject the others to metres"
        )
    key = f"{group}.A_AXIS_RADIUS"
    radius = label.number(key) * (1.0 if label.unit(key) in ("M", "METER", "METERS") else 1e3)
    require_moon(radius, name)
    latitude = label.number(f"{group}.CENTER_LATITUDE")
    if abs(latitude) != 90.0 or label.number(f"{group}.MAP_PROJECTION_ROTATION", 0.0) != 0.0:
        raise TerrainError(
            f"{name}: centred at latitude {latitude:g} deg, rotated by "
            f"{label.text(f'{group}.MAP_PROJECTION_ROTATION', '0')} deg: must be a pole and 0"
        )
    longitude = label.number(f"{group}.CENTER_LONGITUDE")
    return _WKT.format(radius=MOON_RADIUS_M, lat=latitude, lon=longitude)


def _conversion(label: Label) -> tuple[float, float]:
    """Factor and summand from numbers in the file to metres above the reference sphere."""
    unit = label.text("IMAGE.UNIT", "METER").upper()
    if unit not in _UNITS:
        raise TerrainError(f"{label.path.name}: UNIT = {unit}: must be METER or KILOMETER")
    gain = label.number("IMAGE.SCALING_FACTOR", 1.0) * _UNITS[unit]
    shift = label.number("IMAGE.OFFSET", 0.0) * _UNITS[unit]
    if abs(shift / MOON_RADIUS_M - 1.0) <= RADIUS_TOLERANCE:
        shift -= MOON_RADIUS_M
    return gain, shift


def _pixels(label: Label, rows: int, cols: int) -> tuple[NDArray[np.generic], Path]:
    """The image as an array on disk, and its file."""
    kind = label.text("IMAGE.SAMPLE_TYPE").upper()
    bits = int(label.number("IMAGE.SAMPLE_BITS"))
    if kind not in _TYPES or bits not in (8, 16, 32, 64):
        raise TerrainError(f"{label.path.name}: {bits} bit {kind}: not a known sample type")
    dtype = np.dtype(f"{_TYPES[kind]}{bits // 8}")
    path, start = _image_file(label)
    needed = start + rows * cols * dtype.itemsize
    size = path.stat().st_size
    if size < needed:
        raise TerrainError(
            f"{path.name}: {size} bytes; {rows} x {cols} samples of {bits} bit need {needed} "
            "bytes: the file is cut off"
        )
    return np.memmap(path, dtype, "r", start, (rows, cols)), path


def _image_file(label: Label) -> tuple[Path, int]:
    """File of the image and where in it the image begins, bytes."""
    pointer = label.text("^IMAGE")
    record = int(label.number("RECORD_BYTES", 1))
    named = re.search(r'"([^"]+)"', pointer) or re.fullmatch(r"([^\s(),]+\.\w+)", pointer)
    number = re.search(r"(?:^|[,(\s])(\d+)\s*(<BYTES>)?\s*\)?$", pointer)
    start = 0
    if number:
        start = (int(number.group(1)) - 1) * (1 if number.group(2) else record)
    if named is None:
        return label.path, start
    wanted = Path(named.group(1)).name.lower()
    for path in label.path.parent.iterdir():
        if path.name.lower() == wanted:
            return path, start
    raise TerrainError(f"{label.path.name}: the image {named.group(1)} is not beside the label")
