"""Pose and terrain map of one vehicle chained without ROS: samples in, pose and map out.

What lock-step drives and what replay recomputes is this one chain; the nodes run its steps with
a transport between them.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.localization.dead_reckoning import DeadReckoningConfig
from ilrs_robots.core.localization.filter_config import FilterConfig
from ilrs_robots.core.localization.reckoning_batch import Advance, SampleBatch
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    FloatArray,
    ImuSample,
    JointSample,
    OdometryEstimate,
    RangeSample,
    SunSample,
)
from ilrs_robots.robots.frames import MAP_FRAME, base_frame, new_tree, odom_frame
from ilrs_robots.robots.ground_step import Believed, GroundStep, tell
from ilrs_robots.robots.inertial_step import METHODS, InertialStep, make_localization
from ilrs_robots.robots.localization_step import LocalizationStep
from ilrs_robots.robots.mapping_step import MappingConfig, MappingStep, MapUpdate
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.model import RobotModel, RoverModel
from ilrs_robots.robots.settings import (
    dead_reckoning_config_of,
    limits_of,
    map_config_of,
    noises_of,
    own_boxes_of,
    traversability_config_of,
)

Sample = ImuSample | JointSample | AttitudeSample | SunSample | RangeSample | Cloud


class Perception:
    """Localisation and terrain mapping of one vehicle.

    A vehicle without wheels has no localisation of its own: its pose comes by ``on_pose``.

    Args:
        model: the vehicle.
        name: its name, which frame ids begin with.
        start_pose: (4, 4) T_map_base where it starts.
        dead_reckoning: parameters instead of the vehicle's own; None for those.
        own_localization: whether the pose is reckoned here; otherwise it comes by ``on_pose``.
        method: how it is reckoned, see ``inertial_step.METHODS``.
        filter_config: of the error-state filter, where that is the method; None for the vehicle's.
        prior: the orbital map, for absolute places; None for none.
        marks: Sun and beacons as they are known; None for none.

    Attributes:
        tree: transforms.
        localization: the step, None where the pose comes from elsewhere.
        ground: scan odometry and places on the orbital map, which only the filter hears; None
            without it.
        mapping: the step.
        odometry: the newest pose in odom, None before the first.
    """

    def __init__(
        self,
        model: RobotModel,
        name: str,
        start_pose: FloatArray,
        dead_reckoning: DeadReckoningConfig | None = None,
        *,
        own_localization: bool = True,
        method: str = METHODS[0],
        filter_config: FilterConfig | None = None,
        prior: Dem | None = None,
        marks: KnownMarks | None = None,
    ) -> None:
        self.name, self._marks = name, marks
        self.tree = new_tree(model, name)
        self.odometry: OdometryEstimate | None = None
        self._start_pose = start_pose
        self._T_map_odom: FloatArray = np.eye(4)
        self._split_of: FloatArray = self._T_map_odom
        self._split = se3.split_transform(self._split_of)
        self.localization: LocalizationStep | None = None
        if own_localization and isinstance(model, RoverModel):
            cfg = dead_reckoning or dead_reckoning_config_of(model)
            self.localization = make_localization(
                method, model, name, cfg, start_pose, filter_config
            )
        self.ground: GroundStep | None = None
        mapping = MappingConfig()
        boxes = own_boxes_of(model, mapping.self_margin_m)
        if isinstance(self.localization, InertialStep):
            self.ground = GroundStep(name, boxes, prior)
        self.mapping = MappingStep(
            name,
            limits_of(model),
            map_config_of(model),
            traversability_config_of(model),
            mapping,
            boxes,
            noises=noises_of(model, name),
        )

    @property
    def T_map_odom(self) -> FloatArray:  # noqa: N802 - frame notation
        """(4, 4) pose of odom in ``map``."""
        return self._T_map_odom if self.localization is None else self.localization.T_map_odom

    def T_map_base(self) -> FloatArray:  # noqa: N802 - frame notation
        """(4, 4) pose of the body in ``map`` as the robot believes it.

        Raises:
            RuntimeError: before the first odometry.
        """
        if self.odometry is None:
            raise RuntimeError("no odometry yet")
        pose = se3.make_transform(self.odometry.position_m, self.odometry.quat_wxyz)
        T_map_base: FloatArray = self.T_map_odom @ pose
        return T_map_base

    def feed(self, sample: Sample, source: str = "") -> OdometryEstimate | None:
        """Take one measurement, in the order of arrival.

        Args:
            sample: any sensor's.
            source: name of a range sensor, for example its topic.

        Returns:
            a new pose, where the sample gave one.
        """
        if isinstance(sample, Cloud):
            self.mapping.add(sample, source)
            if self.ground is not None:
                self.ground.add(sample)
            return None
        step = self.localization
        if step is None:
            return None
        if not step.started:
            if not isinstance(sample, ImuSample):
                return None
            step.start_level(self._start_pose, sample)
        if isinstance(sample, ImuSample):
            step.on_imu(sample)
        elif isinstance(sample, AttitudeSample):
            step.on_attitude(sample)
        elif isinstance(sample, SunSample | RangeSample):
            if self._marks is not None and isinstance(step, InertialStep):
                self._marks.tell(step, sample)
        else:
            estimate = step.on_joints(sample)
            if estimate is not None:
                self._take(estimate)
            return estimate
        return None

    def advance(self, batch: SampleBatch, first: int, last: int) -> Advance | None:
        """Take ordinary samples of a batch at once, up to one that ``feed`` must take.

        Args:
            batch: samples without clouds, in the order of arrival.
            first: index of the first one.
            last: index behind the last one.

        Returns:
            what came of them, None where none can be taken so.
        """
        step = self.localization
        if step is None or not step.started:
            return None
        advance = step.advance(batch, first, last)
        if advance.last is not None:
            self.odometry = advance.last
            odom, base = odom_frame(self.name), base_frame(self.name)
            stamps = batch.stamps_ns[advance.at]
            self.tree.set_many(MAP_FRAME, odom, stamps, *self._map_odom_split())
            self.tree.set_many(odom, base, stamps, advance.position_m, advance.quat_wxyz)
            self.mapping.on_odometries(stamps, advance.spread)
        return advance

    def on_pose(self, stamp_ns: int, T_map_base: FloatArray) -> OdometryEstimate:
        """Take a pose of another source in place of one's own; odom begins at the first one.

        Args:
            stamp_ns: its time.
            T_map_base: (4, 4) in ``map``.

        Raises:
            TransformError: it is not rigid.
        """
        T_map_base = se3.require_rigid(T_map_base)
        if self.odometry is None:
            level = np.array([1.0, 0.0, 0.0, 0.0])
            self._T_map_odom = se3.make_transform(T_map_base[:3, 3], level)
        position, quat = se3.split_transform(se3.invert(self._T_map_odom) @ T_map_base)
        zero = np.zeros(3)
        estimate = OdometryEstimate(stamp_ns, position, quat, zero, zero)
        self._take(estimate)
        return estimate

    def map(self, now_ns: int) -> list[MapUpdate]:
        """Fuse the scans whose transforms are there; the filter hears how they moved."""
        step = self.localization
        ground = self.ground
        if ground is not None and ground.scans.waiting and isinstance(step, InertialStep):
            tell(step, ground.process(self.tree, now_ns, Believed.of(step)))
        return self.mapping.process(self.tree, now_ns)

    def forget(self) -> None:
        """Forget transforms and pose: time was set back."""
        self.tree.clear()
        self.odometry = None
        if self.ground is not None:
            self.ground.reset()

    def digest(self) -> str:
        """Hash of map and pose: equal runs give equal digests, to the byte."""
        digest = hashlib.sha256()
        for name, array in sorted(self.mapping.map.to_arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        if self.odometry is not None:
            digest.update(self.odometry.position_m.tobytes())
            digest.update(self.odometry.quat_wxyz.tobytes())
        return digest.hexdigest()

    def _take(self, estimate: OdometryEstimate) -> None:
        self.odometry = estimate
        odom, base = odom_frame(self.name), base_frame(self.name)
        self.tree.set(MAP_FRAME, odom, estimate.stamp_ns, *self._map_odom_split())
        self.tree.set(odom, base, estimate.stamp_ns, estimate.position_m, estimate.quat_wxyz)
        self.mapping.on_odometry(estimate.stamp_ns, estimate.pose_covariance)

    def _map_odom_split(self) -> tuple[FloatArray, FloatArray]:
        T_map_odom = self.T_map_odom
        if T_map_odom is not self._split_of:  # it hardly ever changes
            self._split_of, self._split = T_map_odom, se3.split_transform(T_map_odom)
        return self._split
