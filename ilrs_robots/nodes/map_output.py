"""What the terrain mapping node sends: only what somebody listens to, each at its own rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid
from visualization_msgs.msg import MarkerArray

from ilrs_robots.core.io.hazard_marks import hazard_marks
from ilrs_robots.core.mapping.traversability import REASONS
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.hazard_markers import hazard_markers
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots.map_topics import DEFAULT_LAYERS, DEFAULT_MAPS, MapTopic, map_topics
from ilrs_robots.robots.map_view import MapView
from ilrs_robots.robots.steps import MappingStep, odom_frame


def declare_topics(node: ManagedNode) -> tuple[MapTopic, ...]:
    """The GridMap topics that the node's parameters ask for.

    Raises:
        ConfigError: a parameter is wrong.
    """
    doc = "comma-separated layers of elevation_map"
    layers = str(declare_one(node, "layers", DEFAULT_LAYERS, doc))
    period = float(declare_one(node, "map_period_s", 1.0, "elevation_map period [s]"))
    doc = "further GridMap topics: 'topic: layer, layer @ seconds; topic: layer'"
    return map_topics(layers, period, str(declare_one(node, "maps", DEFAULT_MAPS, doc)))


@dataclass
class _Outlet:
    """One topic: when it was sent, and which state of the map that was."""

    publisher: Any
    make: Callable[[int], Any]
    period_ns: int
    sent_ns: int | None = None
    version: int = -1

    def due(self, now_ns: int, version: int) -> bool:
        """Whether somebody listens, the map is another one and enough time has passed."""
        if version == self.version or self.publisher.get_subscription_count() == 0:
            return False
        since = None if self.sent_ns is None else now_ns - self.sent_ns
        return since is None or since < 0 or since >= self.period_ns


class MapOutput:
    """Publishers of grid maps, traversability and markers.

    Args:
        node: that owns the publishers.
        step: whose map is sent.
        view: its layers.
        topics: GridMap topics.
        anchor: gives T_map_odom, or None where nobody knows it.
    """

    def __init__(
        self,
        node: ManagedNode,
        step: MappingStep,
        view: MapView,
        topics: tuple[MapTopic, ...],
        anchor: Callable[[], FloatArray | None],
    ) -> None:
        self._step, self._view, self._anchor = step, view, anchor
        self._frame = odom_frame(node.robot)
        period = float(declare_one(node, "marker_period_s", 2.0, "period of markers [s]"))
        self._version = 0
        self._outlets = [
            _Outlet(node.publisher(OccupancyGrid, "traversability", qos.MAP), self._cost, 0),
            *(
                _Outlet(
                    node.publisher(GridMap, topic.name, qos.MAP),
                    lambda stamp_ns, topic=topic: self._grid_map(topic, stamp_ns),
                    int(topic.period_s * 1e9),
                )
                for topic in topics
            ),
            _Outlet(
                node.publisher(MarkerArray, "markers", qos.MAP), self._markers, int(period * 1e9)
            ),
        ]

    def changed(self) -> None:
        """Say that the map is another one now."""
        self._version += 1
        self._view.renew()

    def send(self, now_ns: int) -> None:
        """Send what is due; nothing while the map is empty."""
        stamp_ns = self._step.last_stamp_ns
        if stamp_ns is None:
            return
        for outlet in self._outlets:
            if outlet.due(now_ns, self._version):
                outlet.publisher.publish(outlet.make(stamp_ns))
                outlet.sent_ns, outlet.version = now_ns, self._version

    def _cost(self, stamp_ns: int) -> OccupancyGrid:
        layers, spec = self._step.traversability()
        return convert.occupancy_message(layers.cost, spec, self._frame, stamp_ns)

    def _grid_map(self, topic: MapTopic, stamp_ns: int) -> GridMap:
        layers, spec = self._view.layers(topic.layers, self._anchor())
        return convert.grid_map_message(layers, spec, self._frame, stamp_ns)

    def _markers(self, stamp_ns: int) -> MarkerArray:
        layers, spec = self._step.traversability()
        top = self._step.map.layer("upper_bound")
        marks = hazard_marks(layers.cost, layers.reason, top, spec, REASONS)
        return hazard_markers(marks, REASONS, spec, self._frame, stamp_ns)
