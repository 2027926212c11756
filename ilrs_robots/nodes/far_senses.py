"""What only the error-state filter hears: scans, the orbital map, the Sun and beacons."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from geometry_msgs.msg import Vector3Stamped
from sensor_msgs.msg import PointCloud2, Range

from ilrs_robots.core import warm
from ilrs_robots.core.errors import InvalidCloudError
from ilrs_robots.core.localization.scan_odometry_config import ScanOdometryConfig
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import OdometryEstimate, RangeSample, SunSample
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.nodes.parameters import declare, declare_one
from ilrs_robots.robots.dem_fix_step import DemFixConfig
from ilrs_robots.robots.ground_step import GroundStep
from ilrs_robots.robots.ground_worker import GroundWorker
from ilrs_robots.robots.inertial_step import InertialStep
from ilrs_robots.robots.localization_step import LocalizationStep
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import SiteConfig
from ilrs_robots.robots.steps import (
    MappingConfig,
    base_frame,
    new_tree,
    odom_frame,
    own_boxes_of,
)


class FarSenses:
    """Subscriptions of the localisation node besides wheels, IMU and stars.

    Args:
        node: whose they are.
        step: its step; one that is not of the filter hears nothing.
        model: the vehicle.
        site: with the base, whose masts are the beacons.
        prior: the orbital map.
    """

    def __init__(
        self, node: ManagedNode, step: LocalizationStep, model: RobotModel, site: SiteConfig,
        prior: Dem,
    ) -> None:  # fmt: skip
        self._node, self._step, self._model = node, step, model
        self._worker: GroundWorker | None = None
        self._dropped: Counter[str] = Counter()
        doc = "point cloud that tells the filter its motion; empty: none"
        self._topic = str(declare_one(node, "scan_topic", "lidar/points", doc))
        self._scans = declare(node, "scan_odometry", ScanOdometryConfig())
        wanted = declare_one(
            node, "use_dem_fixes", True, "whether the ground is compared with the orbital map"
        )
        self._places = declare(node, "dem_fix", DemFixConfig())
        if not isinstance(step, InertialStep):
            return
        warm.localization()
        self._marks = KnownMarks(site, prior, model)
        node.subscribe(Vector3Stamped, "sun_sensor/direction", self._on_sun, qos.STATE)
        node.subscribe(Range, "beacons/range", self._on_range, qos.STATE)
        if self._topic:
            self._worker = self._open(prior if wanted else None)
            node.subscribe(PointCloud2, self._topic, self._on_cloud, qos.SENSOR)

    def _open(self, prior: Dem | None) -> GroundWorker:
        robot = self._node.robot
        boxes = own_boxes_of(self._model, MappingConfig().self_margin_m)
        self._tree = new_tree(self._model, robot)
        return GroundWorker(GroundStep(robot, boxes, prior, self._scans, self._places), self._tree)

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.close()

    def forget(self) -> None:
        """A simulation was reset."""
        if self._worker is not None:
            self._tree.clear()
            self._worker.reset()

    def on_odometry(self, estimate: OdometryEstimate, now_ns: int) -> None:
        """Tell the filter what was found meanwhile, and go on looking."""
        if self._worker is None or not isinstance(self._step, InertialStep):
            return
        robot = self._node.robot
        pose = estimate.position_m, estimate.quat_wxyz
        self._tree.set(odom_frame(robot), base_frame(robot), estimate.stamp_ns, *pose)
        self._worker.poll(self._step, now_ns)

    @property
    def values(self) -> dict[str, object]:
        """Counts for diagnostics."""
        found: dict[str, object] = {f"dropped_{why}": n for why, n in self._dropped.items()}
        if isinstance(self._step, InertialStep):
            found["marks_unknown"] = self._marks.unknown
        return found if self._worker is None else found | self._worker.values

    def _on_cloud(self, msg: PointCloud2) -> None:
        if self._worker is None or not self._step.started:
            return
        try:
            self._worker.add(convert.cloud_of(msg))
        except InvalidCloudError as error:
            self._dropped[f"scan_{error.reason}"] += 1

    def _on_sun(self, msg: Vector3Stamped) -> None:
        sensor = self._model.sun_sensor
        toward = np.array([msg.vector.x, msg.vector.y, msg.vector.z])
        length = float(np.linalg.norm(toward))
        if sensor is None or msg.header.frame_id != base_frame(self._node.robot):
            self._dropped["sun_frame"] += 1
        elif not (math.isfinite(length) and length > 0.0):
            self._dropped["sun_not_valid"] += 1
        else:
            stamp_ns, sigma = convert.to_ns(msg.header.stamp), math.radians(sensor.sigma_deg)
            self._tell(SunSample(stamp_ns, toward / length, sigma))

    def _on_range(self, msg: Range) -> None:
        ranging = self._model.ranging
        if ranging is None or not math.isfinite(msg.range) or msg.range <= 0.0:
            self._dropped["range_not_valid"] += 1
            return
        stamp_ns, name = convert.to_ns(msg.header.stamp), msg.header.frame_id
        self._tell(RangeSample(stamp_ns, name, float(msg.range), ranging.sigma_m))

    def _tell(self, sample: SunSample | RangeSample) -> None:
        if self._step.started and isinstance(self._step, InertialStep):
            self._marks.tell(self._step, sample)


def sun_message(sample: SunSample, frame_id: str) -> Vector3Stamped:
    """Direction towards the Sun, in a frame of the vehicle."""
    msg = Vector3Stamped()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(sample.stamp_ns), frame_id
    msg.vector.x, msg.vector.y, msg.vector.z = (float(v) for v in sample.toward)
    return msg


def range_message(sample: RangeSample, reach_m: float) -> Range:
    """Distance to the beacon that the frame id names."""
    msg = Range()
    msg.header.stamp, msg.header.frame_id = convert.to_stamp(sample.stamp_ns), sample.beacon
    msg.min_range, msg.max_range, msg.range = 0.0, float(reach_m), float(sample.range_m)
    return msg
