"""Which sensor topics of which vehicles a bag holds, from its metadata alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from ilrs_robots.core.errors import ConfigError

SENSORS: Final = ("imu/data", "joint_states", "star_tracker/attitude", "lidar/points")
"""What a vehicle hears of the world; all else in a bag its nodes said, and say anew."""


def sensor_topics(bag: Path) -> dict[str, list[str]]:
    """Topics of the sensors by vehicle.

    Args:
        bag: folder of a rosbag2 bag.

    Raises:
        ConfigError: there is no such bag, or its metadata cannot be read.
    """
    path = bag / "metadata.yaml"
    if not path.is_file():
        raise ConfigError(
            f"bag:={bag}: no bag there (no metadata.yaml). `ilrs record --repair {bag}` "
            "writes one where there are mcap files"
        )
    try:
        information = yaml.safe_load(path.read_text(encoding="utf-8"))
        counted = information["rosbag2_bagfile_information"]["topics_with_message_count"]
        names = [row["topic_metadata"]["name"] for row in counted if row["message_count"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: no metadata of a bag ({type(error).__name__})") from error
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        _, robot, *rest = name.split("/")
        if "/".join(rest) in SENSORS:
            found.setdefault(robot, []).append(name)
    return found
