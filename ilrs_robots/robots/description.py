"""A vehicle's description (URDF text): the xacro in ``urdf/`` fed with the vehicle's YAML file."""

from __future__ import annotations

from pathlib import Path
from xml.parsers.expat import ExpatError

import xacro

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.paths import config_file, share_dir
from ilrs_robots.robots.model import HopperModel, load_robot


def xacro_file(model: str) -> Path:
    """The xacro of a vehicle: its own, or for a file of the user's the one of its class.

    Args:
        model: a name from ``config/robots`` or the path of a robot's YAML file.

    Raises:
        ConfigError: no such robot, or its file is wrong.
    """
    folder = share_dir() / "urdf"
    own = folder / f"{config_file('robots', model).stem}.urdf.xacro"
    if own.is_file():
        return own
    name = "hopper" if isinstance(load_robot(model), HopperModel) else "long_range"
    return folder / f"{name}.urdf.xacro"


def urdf_of(model: str, robot: str, *, gazebo: bool = False) -> str:
    """The URDF of a vehicle. Links carry no prefix, joints are named as in ``joint_states``.

    Args:
        model: a name from ``config/robots`` or the path of a robot's YAML file.
        robot: the vehicle's name: namespace of Gazebo's topics, prefix of its sensors' frames.
        gazebo: whether Gazebo's plugins, sensors, springs and friction are added.

    Raises:
        ConfigError: no such robot, or its file is wrong; names file, key, value, limit and unit.
    """
    load_robot(model)  # its checks name what is wrong better than an expression that fails
    path = xacro_file(model)
    mappings = {
        "config": str(config_file("robots", model).resolve()),
        "robot_name": robot,
        "gazebo": str(gazebo).lower(),
    }
    try:
        document = xacro.process_file(str(path), mappings=mappings)
    except (xacro.XacroException, ExpatError) as error:
        raise ConfigError(f"{path.name}: {error}") from error
    return str(document.toprettyxml(indent="  "))
