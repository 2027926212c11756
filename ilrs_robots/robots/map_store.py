"""Keeping the terrain map: what is saved of it, and how it comes back after odom moved."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ilrs_robots.core import config
from ilrs_robots.core.errors import ConfigError, TerrainError, TransformError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.geometry.transform_tree import STATIC_STAMP_NS, TransformTree
from ilrs_robots.core.io.map_files import Place, SavedMap
from ilrs_robots.core.mapping.elevation_map import ElevationMapConfig
from ilrs_robots.core.mapping.map_anchor import moved
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import Float32Array, FloatArray
from ilrs_robots.robots.frames import MAP_FRAME, odom_frame
from ilrs_robots.robots.mapping_step import MappingStep
from ilrs_robots.robots.site import load_prior

_SHAPE = ("resolution_m", "size_cells")
"""What a saved map and the map that takes it must have in common."""


def maps_folder(named: str) -> Path:
    """The folder that maps are saved in; it is made where it does not exist.

    Args:
        named: a parameter's value; empty for the user's state folder.

    Raises:
        ConfigError: it cannot be made.

    Reference: XDG Base Directory Specification 0.8.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    folder = Path(named).expanduser() if named else home / "ilrs_robots" / "maps"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"maps_dir = {str(folder)!r}: {error.strerror}") from error
    return folder


@functools.lru_cache(maxsize=2)
def site_ground(site_name: str, seed: int) -> tuple[Dem, Place]:
    """The site's orbital DEM in ``map``, and where ``map`` lies on the Moon.

    Raises:
        ConfigError: the site's file is wrong.
        TerrainError: its terrain cannot be read.
    """
    site, prior = load_prior(site_name, seed=seed)
    source: Any = prior.provenance
    while isinstance(source, dict) and "origin_xy_m" not in source:
        source = source.get("derived_from")
    x, y = source["origin_xy_m"] if isinstance(source, dict) else (0.0, 0.0)
    return prior, Place(prior.projection, (float(x), float(y)), site.name)


def anchor_of(tree: TransformTree, robot: str) -> FloatArray | None:
    """Newest (4, 4) T_map_odom that is known, or None."""
    odom = odom_frame(robot)
    stamp = tree.latest_stamp(MAP_FRAME, odom)
    if stamp is None:
        return None
    try:
        return tree.lookup(MAP_FRAME, odom, 0 if stamp == STATIC_STAMP_NS else stamp)
    except TransformError:
        return None


def snapshot(
    step: MappingStep,
    anchor: FloatArray | None,
    layers: dict[str, Float32Array] | None = None,
    units: dict[str, str] | None = None,
) -> SavedMap:
    """A copy of the map as it is now, which scans that come later do not alter.

    Args:
        step: whose map.
        anchor: (4, 4) transform T_map_odom now, None where nobody knows it.
        layers: (rows, cols) for readers besides those of the state, in ``units``.
        units: of layers.
    """
    arrays = step.map.to_arrays()
    spec = step.map.spec
    state = {
        name: values
        for name, values in arrays.items()
        if values.shape == spec.shape and values.dtype == np.float32
    }
    shown = (layers or {}) | {k: v for k, v in state.items() if k not in (layers or {})}
    return SavedMap(arrays, spec, shown, anchor, step.last_stamp_ns, Place(), dict(units or {}))


def restore(step: MappingStep, saved: SavedMap, anchor: FloatArray | None, now_ns: int) -> str:
    """Put a saved map in the place of the present one, which stays where this raises.

    Cell size and number of cells must agree; every other parameter is today's. A map whose newest
    point lies ahead of the clock is of another run: its times are moved so that this point is now.

    Args:
        step: whose map is replaced.
        saved: what was kept.
        anchor: (4, 4) transform T_map_odom now, None where nobody knows it.
        now_ns: the clock that stamps are of.

    Returns:
        What was done, in one sentence.

    Raises:
        TerrainError: the anchors do not allow it.
        ConfigError: the map does not fit.
    """
    arrays: dict[str, NDArray[Any]] = dict(saved.arrays)
    arrays["config_json"] = _settings(arrays, step.map.config)
    words = "restored where it was in odom"
    if saved.T_map_odom is None:
        words += " (it was saved without a pose in map)"
    elif anchor is None:
        raise TerrainError("nothing connects map to odom yet: the map cannot be put in its place")
    else:
        T_new_old = se3.invert(anchor) @ saved.T_map_odom
        arrays = moved(arrays, step.map.config.resolution_m, T_new_old)
        away = float(np.linalg.norm(T_new_old[:3, 3]))
        if away > 1e-6:
            words = f"restored; odom lies {away:.2f} m from where it was, the map moved with it"
    stamp_ns = saved.stamp_ns
    if stamp_ns is not None and stamp_ns > now_ns:
        arrays["time_origin_ns"] = arrays["time_origin_ns"] - (stamp_ns - now_ns)
        words += (
            f"; its times were {(stamp_ns - now_ns) * 1e-9:.1f} s ahead and are now the clock's"
        )
        stamp_ns = now_ns
    _check(arrays)
    step.restore(arrays, stamp_ns)
    return words


def _check(arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse arrays that would not become numbers of a map."""
    for name, values in arrays.items():
        if name != "config_json" and values.dtype.kind not in "fiu":
            raise ConfigError(f"saved map: {name} is of type {values.dtype}, numbers are needed")


def _settings(arrays: dict[str, NDArray[Any]], now: ElevationMapConfig) -> NDArray[Any]:
    """Today's parameters for a saved map of the same shape."""
    try:
        then = json.loads(str(arrays["config_json"]))
        then = {name: then[name] for name in _SHAPE}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"saved map: its parameters cannot be read ({error})") from error
    for name in _SHAPE:
        if then[name] != getattr(now, name):
            unit = next(leaf.spec.unit for leaf in config.leaves(now) if leaf.name == name)
            raise ConfigError(
                f"saved map: {name} = {then[name]} {unit}, "
                f"this map has {getattr(now, name)} {unit}"
            )
    return np.array(json.dumps(dataclasses.asdict(now)))
