"""Terrain mapping node: scans of any number of sensors to elevation map and traversability."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud2

from ilrs_robots.core import warm
from ilrs_robots.core.cloud import self_filter
from ilrs_robots.core.errors import ConfigError, InvalidCloudError, TransformError
from ilrs_robots.core.mapping.traversability import TraversabilityConfig
from ilrs_robots.core.terrain.prior import PriorConfig
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.fleet import FleetEars
from ilrs_robots.nodes.managed import ERROR, OK, WARN, ManagedNode
from ilrs_robots.nodes.map_output import MapOutput, declare_topics
from ilrs_robots.nodes.map_services import MapServices
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.nodes.parameters import declare, declare_one
from ilrs_robots.robots import map_store
from ilrs_robots.robots.fleet import masks_of, memory_of
from ilrs_robots.robots.map_topics import MapTopic, wants_prior
from ilrs_robots.robots.map_view import MapView
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import read_site
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    MappingConfig,
    MappingStep,
    limits_of,
    map_config_of,
    noises_of,
    odom_frame,
    own_boxes_of,
    traversability_config_of,
)

if TYPE_CHECKING:
    from ilrs_robots.nodes.transforms import TransformListener

OLD_AFTER_S = 2.0


class TerrainMappingNode(ManagedNode):
    """Fuses scans at their own stamps; a scan waits for its transform, never for ever."""

    def __init__(self, listener: TransformListener) -> None:
        super().__init__("terrain_mapping")
        self._listener = listener

    def setup(self) -> None:
        """Build the map and subscribe to every sensor."""
        self._node_clock = NodeClock(self)
        site = read_site(self.site_name)
        self._step = self._make_step(site.robot(self.robot).load_model())
        if len(site.robots) > 1:
            self._fleet = FleetEars(self, memory_of(site, self.robot))
            self._step.others = self._others
        warm.mapping()
        self_filter.warm_up()
        self._open_outputs(declare_topics(self))
        self._topics = self._cloud_topics()
        for topic in self._topics:
            self._step.tally(topic)
            self.subscribe(PointCloud2, topic, self._receiver(topic), qos.SENSOR)
        doc = "whether scans are fused by the pose's covariance in odom"
        if declare_one(self, "use_pose_covariance", True, doc):
            self.subscribe(Odometry, "odom", self._on_odometry, qos.STREAM)
        self._node_clock.timer(0.05, self._process)
        self._listener.waiting.append(self._on_transforms)
        self._owned.append((self._listener.waiting.remove, self._on_transforms))

    def _open_outputs(self, topics: tuple[MapTopic, ...]) -> None:
        prior = None
        if wants_prior(name for topic in topics for name in topic.layers):
            prior, _ = map_store.site_ground(self.site_name, self.seed)
        view = MapView(self._step, prior, PriorConfig().error_m)
        self._output = MapOutput(self, self._step, view, topics, self._anchor)
        made = MapServices(self, self._step, view, topics, self._anchor, self._output.changed)
        self._map_services = made
        self._owned.append((lambda made: made.close(), made))

    def _others(self, stamp_ns: int) -> FloatArray:
        """Circles in odom, (N, 3) metres, in which a scan of this stamp shows other vehicles."""
        tree, odom = self._listener.tree, odom_frame(self.robot)
        latest = tree.latest_stamp(MAP_FRAME, odom)
        try:
            T_map_odom = tree.lookup(MAP_FRAME, odom, min(stamp_ns, latest or stamp_ns))
        except TransformError:  # a map without others is better than none
            return np.zeros((0, 3))
        return masks_of(self._fleet.memory, stamp_ns, T_map_odom)

    def _anchor(self) -> FloatArray | None:
        return map_store.anchor_of(self._listener.tree, self.robot)

    def _make_step(self, model: RobotModel) -> MappingStep:
        def use_mapping(cfg: MappingConfig) -> None:
            self._step.cfg = cfg
            self._step.boxes = own_boxes_of(model, cfg.self_margin_m)

        def use_traversability(cfg: TraversabilityConfig) -> None:
            self._step.traversability_config = cfg

        mapping = self.tunable("mapping", MappingConfig(), use_mapping)
        return MappingStep(
            self.robot,
            limits_of(model),
            declare(self, "map", map_config_of(model)),
            self.tunable("traversability", traversability_config_of(model), use_traversability),
            mapping,
            own_boxes_of(model, mapping.self_margin_m),
            self._node_clock.simulated,
            noises_of(model, self.robot),
        )

    def _cloud_topics(self) -> list[str]:
        doc = "comma-separated topics of point clouds, one for each sensor"
        wanted = str(declare_one(self, "cloud_topics", "lidar/points", doc))
        topics = [topic.strip() for topic in wanted.split(",")]
        if not all(topics) or len(set(topics)) != len(topics):
            raise ConfigError(f"cloud_topics = {wanted!r}: an empty or a repeated name")
        return topics

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say how many scans came in, and why others did not."""
        step, now_ns = self._step, self.now_ns()
        values = self._counts()
        trouble = self._node_clock.trouble(now_ns)
        if trouble:
            return WARN, trouble, values
        empty = step.why_empty()
        if empty or step.last_stamp_ns is None:
            return (ERROR if step.dropped else WARN), f"the map is empty: {empty}", values
        age_s = (now_ns - step.last_stamp_ns) * 1e-9
        values["map_age_s"] = age_s
        if age_s > OLD_AFTER_S:
            why = f" ({step.last_error})" if step.last_error else ""
            return WARN, f"the last scan in the map is {age_s:.1f} s old{why}", values
        if step.frozen:
            return WARN, f"{', '.join(step.frozen)} repeats one scan for ever", values
        if self._map_services.trouble:
            return WARN, self._map_services.trouble, values
        return OK, "mapping", values

    def _counts(self) -> dict[str, object]:
        step = self._step
        values: dict[str, object] = {"scans": sum(t.fused for t in step.tallies.values())}
        values |= {f"dropped_{reason}": n for reason, n in step.dropped.items()}
        for topic, tally in step.tallies.items():
            if len(self._topics) > 1:
                values[f"{topic}.scans"] = tally.fused
                values |= {f"{topic}.dropped_{reason}": n for reason, n in tally.dropped.items()}
        values |= {f"tf_{reason}": n for reason, n in self._listener.failures.items()}
        values["time_resets"] = step.resets
        values["pose_jumps"] = step.jumps
        values["saves_failed"] = self._map_services.failed
        return values

    def _receiver(self, topic: str) -> Any:
        def receive(msg: PointCloud2) -> None:
            begin = perf_counter()
            try:
                cloud = convert.cloud_of(msg)
            except InvalidCloudError as error:
                self._step.drop(error.reason, str(error), topic)
                self.get_logger().error(
                    f"scan dropped: {self._step.last_error}", throttle_duration_sec=2.0
                )
                return
            self._step.add(cloud, topic, begin)
            self._process()

        return receive

    def _on_transforms(self) -> None:
        """A scan often comes before its last transform: go on as soon as that is there."""
        if self.active and self._step.waiting:
            self._process()

    def _process(self) -> None:
        now_ns = self.now_ns()
        if self._node_clock.simulated and now_ns == 0:
            return  # what has come waits for the first /clock
        before, resets = sum(self._step.dropped.values()), self._step.resets
        updates = self._step.process(self._listener.tree, now_ns)
        if self._step.resets > resets:
            kept = "map forgotten" if self._node_clock.simulated else "map kept"
            self.get_logger().warning(f"time was set back to {now_ns * 1e-9:.2f} s: {kept}")
        if sum(self._step.dropped.values()) > before:
            self.get_logger().warning(
                f"scan dropped: {self._step.last_error}", throttle_duration_sec=2.0
            )
        if updates:
            self._output.changed()
        self._output.send(now_ns)
        now_s = perf_counter()
        for update in updates:
            self.latency.add(now_s - update.arrived_s)

    def _on_odometry(self, msg: Odometry) -> None:
        covariance = np.asarray(msg.pose.covariance, dtype=np.float64).reshape(6, 6)
        self._step.on_odometry(convert.to_ns(msg.header.stamp), covariance)
