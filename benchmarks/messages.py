"""Messages and files of the terrain map beside the plain way to make them.

The naive way to a GridMap is that of published converters: turn each layer, flatten it, make a
Python list of it and give that to the message.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cloud_and_map import CONFIG, LIMITS, T_ODOM_LIDAR, one_core, pair_ms, real_scan, row, times_ms
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid
from rclpy.serialization import serialize_message
from std_msgs.msg import Float32MultiArray

from ilrs_robots.core.io import map_files
from ilrs_robots.core.io.hazard_marks import hazard_marks
from ilrs_robots.core.mapping.traversability import REASONS
from ilrs_robots.core.types import Cloud
from ilrs_robots.nodes import convert
from ilrs_robots.nodes.hazard_markers import hazard_markers
from ilrs_robots.nodes.runtime import keep_freed_memory
from ilrs_robots.robots import map_store
from ilrs_robots.robots.map_view import MapView
from ilrs_robots.robots.steps import MappingStep

NAMES = ("elevation", "variance", "upper_bound", "count", "cost", "reason")


def mapped() -> MappingStep:
    """A 400 x 400 map of a real scan."""
    step = MappingStep("r", LIMITS, replace(CONFIG, size_cells=400))
    scan = Cloud(0, "r/lidar", real_scan())
    for k in range(5):
        step.map.update(scan.xyz_m, T_ODOM_LIDAR, k * 100_000_000)
    step.last_stamp_ns = 400_000_000
    return step


def naive_grid_map(layers: dict[str, np.ndarray]) -> GridMap:
    """Layers as lists of Python floats."""
    msg = GridMap()
    msg.layers = list(layers)
    for values in layers.values():
        item = Float32MultiArray()
        item.data = np.flip(values).flatten().tolist()
        msg.data.append(item)
    return msg


def naive_occupancy(cost: np.ndarray) -> OccupancyGrid:
    """Cost as a list of Python integers."""
    percent = np.where(np.isnan(cost), -1.0, np.clip(np.rint(cost * 100.0), 0, 100))
    msg = OccupancyGrid()
    msg.data = percent.astype(np.int8).flatten().tolist()
    return msg


def messages(step: MappingStep, repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of what is published."""
    view = MapView(step)
    layers, spec = view.layers(NAMES, None)
    few = max(repeats // 3, 3)
    cost, _ = step.traversability()
    ours, theirs = pair_ms(
        lambda: convert.grid_map_message(layers, spec, "odom", 0),
        lambda: naive_grid_map(layers),
        few,
    )
    peer = "flip, flatten, tolist, as published converters do"
    yield row("GridMap message, 400 x 400 x 6, from layers", ours, peer, theirs)
    made = convert.grid_map_message(layers, spec, "odom", 0)
    ours = times_ms(lambda: serialize_message(made), repeats)
    yield row("GridMap bytes, 400 x 400 x 6, from the message", ours)
    ours = times_ms(lambda: convert.grid_map_layers(made), repeats)
    yield row("GridMap message back to layers, 400 x 400 x 6", ours)
    ours, theirs = pair_ms(
        lambda: convert.occupancy_message(cost.cost, spec, "odom", 0),
        lambda: naive_occupancy(cost.cost),
        few,
    )
    yield row("OccupancyGrid message, 400 x 400", ours, "the same with a list", theirs)
    top = step.map.layer("upper_bound")

    def markers() -> None:
        marks = hazard_marks(cost.cost, cost.reason, top, spec, REASONS)
        hazard_markers(marks, REASONS, spec, "odom", 0)

    yield row("hazard markers of a 400 x 400 map", times_ms(markers, few))


def files(step: MappingStep, folder: Path, repeats: int) -> Iterator[dict[str, Any]]:
    """Rows of what is kept; a thread apart does it while scans go on."""
    anchor, path = np.eye(4), folder / "map.npz"
    yield row("copy of a 400 x 400 map's state", times_ms(step.map.to_arrays, repeats))
    saved = map_store.snapshot(step, anchor)
    yield row("map saved as npz", times_ms(lambda: map_files.save_map(path, saved), repeats))
    yield row("map loaded from npz", times_ms(lambda: map_files.load_map(path), repeats))
    out = folder / "map.tif"
    names = NAMES[:4]
    yield row(
        "4 layers to GeoTIFF, deflate",
        times_ms(lambda: map_files.export_geotiff(out, saved, names), repeats),
    )


def run(quick: bool = False) -> dict[str, Any]:
    """Measure; medians of warm runs on one core."""
    repeats = 7 if quick else 31
    keep_freed_memory()
    with one_core(), tempfile.TemporaryDirectory() as folder:
        step = mapped()
        rows = [*messages(step, repeats), *files(step, Path(folder), max(repeats // 3, 3))]
    return {"name": "Messages and files of the terrain map", "unit": "ms", "rows": rows}


if __name__ == "__main__":
    import json
    import sys

    json.dump(run("--quick" in sys.argv), sys.stdout, indent=1)
