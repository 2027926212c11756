"""A map's whole state as plain arrays, to be kept in a file and restored bit by bit."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core import config
from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.mapping.map_config import ElevationMapConfig
from ilrs_robots.core.mapping.map_state import Layers
from ilrs_robots.core.mapping.ring import unrolled

_FACTS: Final = ("first_cell", "time_origin_ns", "config_json")


def pack(
    layers: Layers, settings: ElevationMapConfig, row: int, col: int, time_origin_ns: int | None
) -> dict[str, NDArray[Any]]:
    """Arrays that ``numpy.savez`` takes: every layer in window order, place, time and settings.

    Args:
        layers: state, each (size * size,).
        settings: of the map.
        row: lattice row of the window's first cell.
        col: lattice column of the window's first cell.
        time_origin_ns: zero of ``last_seen_s``, None where no scan has come yet.
    """
    size = settings.size_cells
    arrays: dict[str, NDArray[Any]] = {
        name: unrolled(layer, size, row, col) for name, layer in layers._asdict().items()
    }
    arrays["first_cell"] = np.array([row, col], dtype=np.int64)
    stamps = [] if time_origin_ns is None else [time_origin_ns]
    arrays["time_origin_ns"] = np.array(stamps, dtype=np.int64)
    arrays["config_json"] = np.array(json.dumps(dataclasses.asdict(settings)))
    return arrays


def settings_in(arrays: dict[str, NDArray[Any]]) -> ElevationMapConfig:
    """The settings that a map was packed with; checks that all of it is there and fits.

    Args:
        arrays: as ``pack`` gave them, layers (size, size) in the units of the map.

    Raises:
        ConfigError: naming what is missing or does not fit.
    """
    missing = [name for name in (*Layers._fields, *_FACTS) if name not in arrays]
    if missing:
        raise ConfigError(f"saved map: {missing[0]!r} is missing")
    try:
        found = json.loads(str(arrays["config_json"]))
    except json.JSONDecodeError as error:
        raise ConfigError(f"saved map: its settings cannot be read: {error}") from error
    settings = config.from_mapping(ElevationMapConfig, found, "saved map")
    shape = settings.size_cells, settings.size_cells
    for name in Layers._fields:
        if arrays[name].shape[:2] != shape or arrays[name].ndim != 2 + (name == "passes"):
            raise ConfigError(
                f"saved map: {name} has shape {arrays[name].shape}, expected {shape}"
            )
    if arrays["first_cell"].shape != (2,) or arrays["time_origin_ns"].size > 1:
        raise ConfigError("saved map: its place or its time has the wrong shape")
    return settings


def unpack(arrays: dict[str, NDArray[Any]], layers: Layers, row: int, col: int) -> None:
    """Fill layers, each (size * size,), from arrays that ``settings_in`` has checked.

    Args:
        arrays: as ``pack`` gave them, layers (size, size) in the units of the map.
        layers: state, altered.
        row: lattice row of the window's first cell.
        col: lattice column of the window's first cell.
    """
    for name, layer in layers._asdict().items():
        size = arrays[name].shape[0]
        layer[:] = np.roll(arrays[name], (row % size, col % size), (0, 1)).reshape(layer.shape)
