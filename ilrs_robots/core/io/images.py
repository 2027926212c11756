"""Greyscale and colour PNG files; a file appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core.errors import TerrainError


def write_png(path: Path, image: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write an image.

    Args:
        path: of the file.
        image: (rows, cols) uint8 or uint16, or (rows, cols, 3) uint8 red, green, blue; pixel
            values without a unit.

    Raises:
        TerrainError: the file cannot be written.
    """
    pixels = image[..., ::-1] if image.ndim == 3 else image
    done, data = cv2.imencode(
        ".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    if not done:
        raise TerrainError(f"{path}: an image of {image.shape} {image.dtype} cannot be encoded")
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(data.tobytes())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise TerrainError(f"{path}: cannot be written: {error.strerror}") from error


def read_png(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read an image as it is: depth and channels kept, colours as red, green, blue.

    Returns:
        (rows, cols) or (rows, cols, 3), uint8 or uint16.

    Raises:
        TerrainError: there is no such file, or it is no image.
    """
    try:
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    except OSError as error:
        raise TerrainError(f"{path}: cannot be read: {error.strerror}") from error
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise TerrainError(f"{path}: not an image")
    pixels: NDArray[np.uint8] | NDArray[np.uint16] = image
    return pixels[..., ::-1] if pixels.ndim == 3 else pixels
