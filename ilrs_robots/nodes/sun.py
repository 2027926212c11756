"""Moves Gazebo's light as time passes, and says where the Sun stands."""

from __future__ import annotations

import importlib
from typing import Any

from geometry_msgs.msg import Vector3Stamped
from rclpy.node import Node

from ilrs_robots.core.environment.ephemeris import EphemerisError
from ilrs_robots.nodes import convert, qos
from ilrs_robots.robots.gazebo.interfaces import SUN_LIGHT, light_topic
from ilrs_robots.robots.gazebo.light import SiteSun, SunLight
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.steps import MAP_FRAME

PERIOD_S = 2.0
"""Wall time between two messages. The light moves by 0.5 deg an hour; it is sent this often
because Gazebo may miss the first ones."""


class Sun:
    """Part of the support process; call ``tell`` now and then.

    Args:
        node: publishes for it.
        site: place and epoch.
        world: name of Gazebo's world.
        ground_m: height of the site's ground above the reference sphere.
    """

    def __init__(self, node: Node, site: SiteConfig, world: str, ground_m: float) -> None:
        self._node = node
        self._sun = SiteSun(site, ground_m)
        self._direction = node.create_publisher(Vector3Stamped, "/sun/direction", qos.STATE)
        self._light_type = _light_type()
        self._light = None
        if self._light_type is None:
            node.get_logger().warning(
                "ros_gz_interfaces is not installed: the Sun stands still; install the package "
                "ros-$ROS_DISTRO-ros-gz"
            )
        else:
            self._light = node.create_publisher(self._light_type, light_topic(world), qos.COMMAND)
        self.state = "not yet seen"

    def tell(self, time_ns: int) -> None:
        """Publish where the Sun stands at a ROS time."""
        try:
            light = self._sun.at(time_ns * 1e-9)
        except EphemerisError as error:
            self.state = str(error)
            return
        up = "up" if light.intensity > 0.0 else "down"
        self.state = f"{up}, elevation {light.elevation_rad:.4f} rad"
        toward = Vector3Stamped()
        toward.header.frame_id, toward.header.stamp = MAP_FRAME, convert.to_stamp(time_ns)
        toward.vector.x, toward.vector.y, toward.vector.z = (float(-v) for v in light.direction)
        self._direction.publish(toward)
        if self._light is not None:
            self._light.publish(light_message(self._light_type, light))

    @property
    def moves(self) -> bool:
        """Whether Gazebo's light is moved."""
        return self._light is not None


def light_message(kind: Any, light: SunLight) -> Any:
    """A message for Gazebo's light of the world's template, with everything that stands there.

    Gazebo takes every field of it, those that were left out as zero.

    Args:
        kind: the class ``ros_gz_interfaces.msg.Light``.
        light: the Sun's.
    """
    msg = kind()
    msg.name, msg.type = SUN_LIGHT, kind.DIRECTIONAL
    msg.pose.orientation.w = 1.0
    msg.diffuse.r = msg.diffuse.g = msg.diffuse.b = msg.diffuse.a = 1.0
    msg.specular.a = 1.0
    msg.attenuation_constant = msg.attenuation_linear = 1.0
    msg.range = 10.0
    msg.cast_shadows = True
    msg.direction.x, msg.direction.y, msg.direction.z = (float(v) for v in light.direction)
    msg.intensity = float(light.intensity)
    return msg


def _light_type() -> Any | None:
    """The message class, where the bridge's interfaces are installed."""
    try:
        return importlib.import_module("ros_gz_interfaces.msg").Light
    except ImportError:
        return None
