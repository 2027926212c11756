"""What a simulator says of Sun and masts for one vehicle, from its true pose."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from geometry_msgs.msg import Vector3Stamped
from rclpy.node import Node
from sensor_msgs.msg import Range

from ilrs_robots.core.types import OdometryEstimate, SunSample
from ilrs_robots.nodes import qos
from ilrs_robots.nodes.far_senses import range_message, sun_message
from ilrs_robots.robots.frames import base_frame
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import SiteConfig, SiteTerrain
from ilrs_robots.sim.marks import MarkSensors

_PERIOD_NS: Final = 100_000_000
_SEED: Final = 77
"""Of the generator of the noise of Sun and ranges, beside the world's own."""


class MarkPublisher:
    """Publishes ``sun_sensor/direction`` and ``beacons/range``, for vehicles that have them.

    Args:
        node: that publishes.
        name: the vehicle's.
        model: its sensors.
        site: place, epoch, base.
        terrain: true ground, and the map in which the masts were surveyed.
        seed: of the world and of the vehicle in it.
    """

    def __init__(
        self, node: Node, name: str, model: RobotModel, site: SiteConfig, terrain: SiteTerrain,
        seed: tuple[int, int],
    ) -> None:  # fmt: skip
        self._name, self._ranging = name, model.ranging
        self._last_ns = -_PERIOD_NS
        self._sun = node.create_publisher(
            Vector3Stamped, f"/{name}/sun_sensor/direction", qos.STATE
        )
        self._ranges = node.create_publisher(Range, f"/{name}/beacons/range", qos.STATE)
        self._sensors: MarkSensors | None = None
        if model.sun_sensor is not None or model.ranging is not None:
            noise = [seed[0], _SEED, seed[1]]
            self._sensors = MarkSensors(site, terrain.surface, terrain.prior, model, noise)

    def tell(self, truth: OdometryEstimate, stamp_ns: int) -> None:
        """Publish what is due at a true pose in ``map``; the Sun is that of the stamp."""
        if self._sensors is None or 0 <= stamp_ns - self._last_ns < _PERIOD_NS:
            return
        self._last_ns = stamp_ns
        for sample in self._sensors.sense(replace(truth, stamp_ns=stamp_ns)):
            if isinstance(sample, SunSample):
                self._sun.publish(sun_message(sample, base_frame(self._name)))
            elif self._ranging is not None:
                self._ranges.publish(range_message(sample, self._ranging.reach_m))
