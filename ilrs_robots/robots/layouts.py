"""Layouts of RViz and Foxglove for the vehicles that run.

What ships in ``config`` is the layout of one vehicle, ``long_range``, usable as it is. For others
the parts that bear its name are repeated with theirs; what there is once (views, tools, the
frame that the camera follows) goes to the first.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import share_dir

EXAMPLE: Final = "long_range"
"""The vehicle that the shipped layouts are written for."""


def rviz_layout(robots: Sequence[str]) -> str:
    """Text of an RViz layout for vehicles of these names, the first one in the view.

    Raises:
        ConfigError: the shipped layout is missing or not as it should be.
    """
    path = share_dir() / "config" / "rviz" / "vehicle.rviz"
    layout = yaml.safe_load(_read(path))
    try:
        manager = layout["Visualization Manager"]
        displays = manager["Displays"]
        group = next(d for d in displays if d["Name"] == EXAMPLE)
    except (KeyError, TypeError, StopIteration) as error:
        raise ConfigError(f"{path}: has no displays for {EXAMPLE!r}") from error
    at = displays.index(group)
    groups = [renamed(copy.deepcopy(group), robot) for robot in robots]
    made = renamed(layout, robots[0])
    made["Visualization Manager"]["Displays"][at : at + 1] = groups
    return str(yaml.safe_dump(made, sort_keys=False))


def foxglove_layout(robots: Sequence[str]) -> str:
    """Text of a Foxglove layout for vehicles of these names, the first one in the view.

    Raises:
        ConfigError: the shipped layout is missing or not as it should be.
    """
    path = share_dir() / "config" / "foxglove" / "vehicle.json"
    try:
        layout = json.loads(_read(path))
        panels = layout["configById"]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: no layout of Foxglove ({error})") from error
    made = renamed(copy.deepcopy(layout), robots[0])
    for name, panel in panels.items():
        for key in ("topics", "layers", "paths"):
            if key not in panel:
                continue
            target = made["configById"][name][key]
            for robot in robots[1:]:
                more = renamed(copy.deepcopy(panel[key]), robot)
                target.update(more) if isinstance(target, dict) else target.extend(more)
    return json.dumps(made, indent=2) + "\n"


def renamed(tree: Any, robot: str) -> Any:
    """A tree of lists, mappings and texts with a vehicle's name in place of the example's."""
    if isinstance(tree, dict):
        return {renamed(key, robot): renamed(value, robot) for key, value in tree.items()}
    if isinstance(tree, list):
        return [renamed(value, robot) for value in tree]
    return tree.replace(EXAMPLE, robot) if isinstance(tree, str) else tree


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
