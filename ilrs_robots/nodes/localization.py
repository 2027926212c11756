"""Localisation node: wheel odometry, IMU and star tracker to ``odom`` and /tf."""

from __future__ import annotations

from time import perf_counter

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import Imu, JointState
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.parameters import declare, declare_one
from ilrs_robots.robots.site import initial_pose, load_site
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    LocalizationStep,
    base_frame,
    dead_reckoning_config_of,
    odom_frame,
)

_NEVER_NS = -(10**18)
_JITTER_NS = 1_000_000
"""Samples that come a little early still count as due."""


class LocalizationNode(ManagedNode):
    """Publishes ``map -> odom`` and ``odom -> base_link``; the only publisher of both."""

    def __init__(self) -> None:
        super().__init__("localization")

    def setup(self) -> None:
        """Load robot and start pose, subscribe to the sensors."""
        site, terrain = load_site(self.site_name, seed=self.seed)
        placement = site.robot(self.robot)
        model = placement.load_model()
        cfg = declare(self, "dead_reckoning", dead_reckoning_config_of(model))
        self._step = LocalizationStep(model, self.robot, cfg)
        self._start_pose: FloatArray = initial_pose(placement, terrain.prior)
        period_s = float(declare_one(self, "publish_period_s", 0.04, "odom and /tf period [s]"))
        self._period_ns = int(period_s * 1e9) - _JITTER_NS
        self._sent_ns = _NEVER_NS
        self._odom = self.publisher(Odometry, "odom", qos.STREAM)
        self._tf = self.publisher(TFMessage, "/tf", qos.TF)
        self.subscribe(Imu, "imu/data", self._on_imu, qos.STREAM)
        self.subscribe(JointState, "joint_states", self._on_joints, qos.STREAM)
        self.subscribe(Imu, "star_tracker/attitude", self._on_attitude, qos.STATE)
        self.subscribe(PoseWithCovarianceStamped, "initialpose", self._on_initial_pose, qos.STATE)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Report refused measurements and whether odometry runs."""
        values: dict[str, object] = dict(self._step.counters)
        if self._sent_ns == _NEVER_NS:
            return WARN, "no odometry yet: no joint states with IMU data have come", values
        return OK, "odometry runs", values

    def _on_imu(self, msg: Imu) -> None:
        sample = convert.imu_sample(msg)
        if not self._step.started:
            self._step.start_level(self._start_pose, sample)
        self._step.on_imu(sample)

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

    def _on_initial_pose(self, msg: PoseWithCovarianceStamped) -> None:
        if msg.header.frame_id != MAP_FRAME:
            self.get_logger().error(
                f"initialpose is in frame {msg.header.frame_id!r}: it must be in {MAP_FRAME!r}"
            )
            return
        self._step.start(convert.pose_matrix(msg.pose.pose), convert.to_ns(msg.header.stamp))
        self.get_logger().info("pose reset by initialpose")
