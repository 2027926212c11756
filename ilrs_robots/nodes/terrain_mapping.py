"""Terrain mapping node: lidar scans to elevation map and traversability."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import PointCloud2
from std_srvs.srv import Empty

from ilrs_robots.core import warm
from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.mapping.traversability import TraversabilityConfig
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.managed import ERROR, OK, WARN, ManagedNode
from ilrs_robots.nodes.parameters import declare, declare_one
from ilrs_robots.robots.site import load_placement
from ilrs_robots.robots.steps import (
    MappingConfig,
    MappingStep,
    MapUpdate,
    limits_of,
    map_config_of,
    odom_frame,
)

if TYPE_CHECKING:
    from ilrs_robots.nodes.transforms import TransformListener

MAP_LAYERS = ("elevation", "variance", "upper_bound", "count")


class TerrainMappingNode(ManagedNode):
    """Fuses scans at their own stamps; a scan waits for its transform, never for ever."""

    def __init__(self, listener: TransformListener) -> None:
        super().__init__("terrain_mapping")
        self._listener = listener

    def setup(self) -> None:
        """Build the map and subscribe."""
        model = load_placement(self.site_name, self.robot).load_model()
        self._step = MappingStep(
            self.robot,
            limits_of(model),
            declare(self, "map", map_config_of(model)),
            declare(self, "traversability", TraversabilityConfig()),
            declare(self, "mapping", MappingConfig()),
        )
        period = float(declare_one(self, "map_period_s", 1.0, "elevation_map period [s]"))
        self._map_period_ns = int(period * 1e9)
        self._map_sent_ns: int | None = None
        self._scans = 0
        self._arrival: dict[int, float] = {}
        warm.mapping()
        self._map = self.publisher(GridMap, "elevation_map", qos.MAP)
        self._cost = self.publisher(OccupancyGrid, "traversability", qos.MAP)
        self.subscribe(PointCloud2, "lidar/points", self._on_cloud, qos.SENSOR)
        self.service(Empty, "terrain/clear", self._on_clear)
        self.timer(0.05, self._process)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say how many scans came in, and why others did not."""
        step = self._step
        values: dict[str, object] = {"scans": self._scans}
        values |= {f"dropped_{reason}": n for reason, n in step.dropped.items()}
        if step.last_stamp_ns is None:
            why = step.last_error or "no scan has come on lidar/points"
            return (ERROR if step.last_error else WARN), f"the map is empty: {why}", values
        age_s = (self.now_ns() - step.last_stamp_ns) * 1e-9
        values["map_age_s"] = age_s
        if age_s > 2.0:
            return WARN, f"the last scan in the map is {age_s:.1f} s old", values
        return OK, "mapping", values

    def _on_cloud(self, msg: PointCloud2) -> None:
        begin = perf_counter()
        try:
            cloud = convert.cloud_of(msg)
        except InvalidCloudError as error:
            self._step.drop(error.reason, str(error))
            self.get_logger().error(f"scan dropped: {error}", throttle_duration_sec=2.0)
            return
        self._arrival[cloud.stamp_ns] = begin
        self._step.add(cloud)
        self._process()

    def _process(self) -> None:
        before = sum(self._step.dropped.values())
        updates = self._step.process(self._listener.tree, self.now_ns())
        if sum(self._step.dropped.values()) > before:
            self.get_logger().warning(
                f"scan dropped: {self._step.last_error}", throttle_duration_sec=2.0
            )
        if updates:
            self._publish(updates[-1])
            self._scans += len(updates)
            now = perf_counter()
            for begin in self._arrival.values():
                self.latency.add(now - begin)
            self._arrival.clear()

    def _publish(self, update: MapUpdate) -> None:
        frame = odom_frame(self.robot)
        layers, spec = self._step.traversability()
        self._cost.publish(convert.occupancy_message(layers.cost, spec, frame, update.stamp_ns))
        due = (
            self._map_sent_ns is None
            or update.stamp_ns < self._map_sent_ns
            or update.stamp_ns - self._map_sent_ns >= self._map_period_ns
        )
        if due and self._map.get_subscription_count() > 0:
            content = {name: self._step.map.layer(name) for name in MAP_LAYERS}
            self._map.publish(convert.grid_map_message(content, spec, frame, update.stamp_ns))
            self._map_sent_ns = update.stamp_ns

    def _on_clear(self, _request: Any, response: Any) -> Any:
        self._step.clear()
        self.get_logger().info("map cleared by request")
        return response
