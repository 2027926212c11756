"""Localisation node: wheel odometry, IMU and star tracker to ``odom`` and /tf."""

from __future__ import annotations

import math
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu, JointState
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.clock import other_clock
from ilrs_robots.core.errors import IlrsError, TerrainError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray, ImuSample, OdometryEstimate
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.far_senses import FarSenses
from ilrs_robots.nodes.fleet import FleetVoice
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.nodes.parameters import declare, declare_one
from ilrs_robots.robots.filter_report import filter_trouble, filter_values
from ilrs_robots.robots.inertial_step import METHODS, InertialStep, make_localization
from ilrs_robots.robots.settings import filter_config_of
from ilrs_robots.robots.site import initial_pose, load_prior
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    base_frame,
    dead_reckoning_config_of,
    odom_frame,
)

RESET_TEXT = "simulated time was set back: localisation starts again at the site's start pose"
_NEVER_NS = -(10**18)
_JITTER_NS = 1_000_000
"""Samples that come a little early still count as due."""
KEEP_PERIOD_NS = 200_000_000
"""How often the pose is kept: so much of the way may be missing after a restart."""
KEPT_FOR_NS = 600_000_000_000
"""A kept pose that is older than this counts for nothing."""
SETTLED_NS = 500_000_000
"""A vehicle that fell or shook at its first sample begins after standing for so long."""
LONGEST_FALL_NS = 5_000_000_000
"""After this time it begins however it is."""


class LocalizationNode(ManagedNode):
    """Publishes ``map -> odom`` and ``odom -> base_link``; the only publisher of both."""

    def __init__(self) -> None:
        super().__init__("localization")

    def setup(self) -> None:
        """Load robot and start pose, subscribe to the sensors."""
        site, prior = load_prior(self.site_name, seed=self.seed)
        placement = site.robot(self.robot)
        model = placement.load_model()
        cfg = declare(self, "dead_reckoning", dead_reckoning_config_of(model))
        self._node_clock = NodeClock(self)
        self._prior = prior
        self._start_pose: FloatArray = initial_pose(placement, prior)
        restart_at = self._start_pose if self._node_clock.simulated else None
        own = declare(self, "filter", filter_config_of(model))
        doc = f"how the pose is reckoned: one of {', '.join(METHODS)}"
        method = str(declare_one(self, "method", METHODS[0], doc))
        self._step = make_localization(method, model, self.robot, cfg, restart_at, own)
        self._far = FarSenses(self, self._step, model, site, prior)
        self._owned.append((lambda made: made.close(), self._far))
        self._imu_ns: int | None = None
        self._first_ns: int | None = None
        self._moved_ns = _NEVER_NS
        period_s = float(declare_one(self, "publish_period_s", 0.04, "odom and /tf period [s]"))
        self._period_ns = int(period_s * 1e9) - _JITTER_NS
        self._sent_ns = self._kept_ns = _NEVER_NS
        self._kept = KeptState.of(self, f"{self.robot}.pose")
        self._odom = self.publisher(Odometry, "odom", qos.STREAM)
        self._fleet = FleetVoice(self)
        self._pose = None
        if isinstance(self._step, InertialStep):
            self._pose = self.publisher(PoseWithCovarianceStamped, "pose", qos.STATE)
        self._tf = self.publisher(TFMessage, "/tf", qos.TF)
        self.subscribe(Imu, "imu/data", self._on_imu, qos.STREAM)
        self.subscribe(JointState, "joint_states", self._on_joints, qos.STREAM)
        self.subscribe(Imu, "star_tracker/attitude", self._on_attitude, qos.STATE)
        self.subscribe(PoseWithCovarianceStamped, "initialpose", self._on_initial_pose, qos.STATE)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Report refused measurements and whether odometry runs."""
        values: dict[str, object] = dict(self._step.counters)
        if isinstance(self._step, InertialStep):
            values |= filter_values(self._step) | self._far.values
        now_ns = self.now_ns()
        trouble = self._node_clock.trouble(now_ns)
        if not trouble and self._imu_ns is not None:
            trouble = other_clock("imu/data", self._imu_ns, now_ns)
        if trouble:
            return WARN, trouble, values
        if self._sent_ns == _NEVER_NS:
            return WARN, "no odometry yet: no joint states with IMU data have come", values
        if isinstance(self._step, InertialStep):
            trouble = filter_trouble(self._step)
        return (WARN, trouble, values) if trouble else (OK, "odometry runs", values)

    def _on_imu(self, msg: Imu) -> None:
        sample = convert.imu_sample(msg)
        self._look_at_clock()
        self._imu_ns = sample.stamp_ns
        if not self._step.started:
            self._start(sample)
        if not self._step.started:
            return
        restarts = self._step.restarts
        self._step.on_imu(sample)
        if self._step.restarts > restarts:
            self._far.forget()
            self.get_logger().warning(RESET_TEXT)

    def _look_at_clock(self) -> None:
        """Start again at once when a simulation was reset; stamps would tell a little later."""
        now_ns = self.now_ns()
        back_ns = self._node_clock.went_back_ns(now_ns)
        ahead = self._imu_ns is not None and self._imu_ns > now_ns
        if back_ns and ahead and self._node_clock.simulated and self._step.started:
            self._step.started = False
            self._far.forget()
            self.get_logger().warning(RESET_TEXT)

    def _start(self, sample: ImuSample) -> None:
        """Begin where the last life of this node ended, or else where the site says.

        A simulator lets a vehicle drop onto its wheels. The tilt of one that falls is unknown, and
        a map that begins with a wrong tilt keeps it: so it may settle first.
        """
        now_ns = sample.stamp_ns
        if self._first_ns is None:
            kept = self._kept.load()
            if kept is not None and self._resume(kept, now_ns):
                return
            self._first_ns, self._moved_ns = now_ns, now_ns - SETTLED_NS
        if not self._step.stands(sample):
            self._moved_ns = now_ns
        settled = now_ns - self._moved_ns >= SETTLED_NS
        if settled or not 0 <= now_ns - self._first_ns < LONGEST_FALL_NS:
            self._first_ns = None
            self._step.start_level(self._start_pose, sample)

    def _resume(self, kept: dict[str, Any], now_ns: int) -> bool:
        """Take up what was kept; False where it is too old, of another clock, or damaged."""
        try:
            age_ns = now_ns - int(kept["stamp_ns"])
            if not 0 <= age_ns <= KEPT_FOR_NS:
                return False
            self._step.resume(kept, now_ns)
        except (KeyError, TypeError, ValueError, IlrsError) as error:
            self.get_logger().error(f"the kept pose is damaged and not used: {error}")
            return False
        self.get_logger().warning(f"restarted: pose of {age_ns * 1e-9:.1f} s ago taken up again")
        return True

    def _keep(self, estimate: OdometryEstimate) -> None:
        self._kept_ns = estimate.stamp_ns
        self._kept.save({"stamp_ns": estimate.stamp_ns, **self._step.memory()})

    def _on_attitude(self, msg: Imu) -> None:
        if self._step.started:
            self._step.on_attitude(convert.attitude_sample(msg))

    def _on_joints(self, msg: JointState) -> None:
        begin = perf_counter()
        if not self._step.started:
            return
        estimate = self._step.on_joints(convert.joint_sample(msg))
        if estimate is None:
            return
        self._far.on_odometry(estimate, self.now_ns())
        self.latency.add(perf_counter() - begin)
        if 0 <= estimate.stamp_ns - self._sent_ns < self._period_ns:
            return
        self._sent_ns = estimate.stamp_ns
        frame, child = odom_frame(self.robot), base_frame(self.robot)
        map_odom = se3.split_transform(self._step.T_map_odom)
        transforms = [
            convert.transform_message(MAP_FRAME, frame, estimate.stamp_ns, *map_odom),
            convert.transform_message(
                frame, child, estimate.stamp_ns, estimate.position_m, estimate.quat_wxyz
            ),
        ]
        self._tf.publish(TFMessage(transforms=transforms))
        self._odom.publish(convert.odometry_message(estimate, frame, child))
        if self._fleet.due(estimate.stamp_ns):
            self._fleet.tell(self._in_map(estimate))
        if not 0 <= estimate.stamp_ns - self._kept_ns < KEEP_PERIOD_NS:
            self._keep(estimate)
            self._publish_pose(estimate)

    def _in_map(self, estimate: OdometryEstimate) -> OdometryEstimate:
        """The pose in ``map`` with its covariance there."""
        T_odom_base = se3.make_transform(estimate.position_m, estimate.quat_wxyz)
        position, quat = se3.split_transform(self._step.T_map_odom @ T_odom_base)
        spread = estimate.pose_covariance
        if isinstance(self._step, InertialStep):
            spread = self._step.map_covariance()
        return replace(estimate, position_m=position, quat_wxyz=quat, pose_covariance=spread)

    def _publish_pose(self, estimate: OdometryEstimate) -> None:
        """The pose in ``map`` with its covariance: what ``map -> odom`` cannot say."""
        if self._pose is None or not isinstance(self._step, InertialStep):
            return
        T_odom_base = se3.make_transform(estimate.position_m, estimate.quat_wxyz)
        T_map_base = self._step.T_map_odom @ T_odom_base
        spread = self._step.map_covariance()
        self._pose.publish(
            convert.pose_covariance_message(MAP_FRAME, estimate.stamp_ns, T_map_base, spread)
        )

    def _on_initial_pose(self, msg: PoseWithCovarianceStamped) -> None:
        if msg.header.frame_id != MAP_FRAME:
            self.get_logger().error(
                f"initialpose is in frame {msg.header.frame_id!r}: it must be in {MAP_FRAME!r}"
            )
            return
        try:
            T_map_base = self._on_ground(convert.pose_matrix(msg.pose.pose))
            if not self._step.started:
                self._start_pose = T_map_base
                self.get_logger().info("initialpose: localisation will start there")
                return
            turned = self._relocate(T_map_base, msg)
        except IlrsError as error:
            self.get_logger().error(f"initialpose refused: {error}")
            return
        heading = "with its heading" if turned else "the heading is held by the star tracker"
        x, y = (float(v) for v in T_map_base[:2, 3])
        self.get_logger().info(f"initialpose ({x:.1f}, {y:.1f}) m taken, {heading}")

    def _relocate(self, T_map_base: FloatArray, msg: PoseWithCovarianceStamped) -> bool:
        if not isinstance(self._step, InertialStep):
            return self._step.relocate(T_map_base)
        spread = np.array(msg.pose.covariance, dtype=np.float64).reshape(6, 6)[:3, :3]
        given = np.isfinite(spread).all() and (np.diagonal(spread)[:2] > 0.0).all()
        return self._step.relocate(T_map_base, spread if given else None)

    def _on_ground(self, T_map_base: FloatArray) -> FloatArray:
        """A pose drawn on a flat map has height 0: it is put onto the prior terrain."""
        position, _ = se3.split_transform(T_map_base)
        height_m = float(self._prior.height(position[None, :2])[0])
        if not math.isfinite(height_m):
            x, y = (float(v) for v in position[:2])
            raise TerrainError(f"({x:.1f}, {y:.1f}) m lies outside the terrain")
        placed = T_map_base.copy()
        if position[2] == 0.0:
            placed[2, 3] = height_m
        return placed
