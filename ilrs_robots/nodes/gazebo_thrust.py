"""Engines, tank and altimeter of one hopper in Gazebo; runs in the program ``gazebo_support``.

``thrusters/command`` comes in, one wrench on ``base_link`` goes out: what the engines of the
embedded simulator would give, lag and pulses and errors with it. The wrench stays until the next
one (system ``ApplyLinkWrench``, topic ``wrench/persistent``): each is put on under the other of
two names of the same link and then the old one is taken off, so that none is missing in between.
Its clock is the stamp of ``imu/data``. Beside it works the keeper, which lands the vehicle when
commands stay away. It belongs to the simulator: it may look at the truth.

Reference: gz-sim 8, systems/ApplyLinkWrench; wrenches are in the axes of the world and act at the
link's origin.
"""

from __future__ import annotations

import importlib
import math
from typing import Any, Final

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import FluidPressure, Imu, JointState, Range

from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.geometry.se3 import quat_from_rpy
from ilrs_robots.core.localization.error_state import quat_exp, quat_product, rotation_matrix
from ilrs_robots.core.terrain.heightmap import BakeConfig
from ilrs_robots.core.types import AltimeterSample, FloatArray
from ilrs_robots.nodes import convert, hop_convert, qos
from ilrs_robots.nodes.flight_output import THRUST_TOPIC
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots.frames import base_frame
from ilrs_robots.robots.gazebo.engines import GazeboEngines, Wrench, beam_range_m
from ilrs_robots.robots.gazebo.interfaces import wrench_clear_topic, wrench_topic
from ilrs_robots.robots.gazebo.terrain import baked_terrain
from ilrs_robots.robots.hop_keeper import TAKES_OVER_S, HopKeeper
from ilrs_robots.robots.model import require_hopper
from ilrs_robots.robots.site import load_site

PERIOD_NS: Final = 20_000_000
JITTER_NS: Final = 1_000_000
_NEVER_NS: Final = -(10**18)


class GazeboThrustNode(Node):  # type: ignore[misc]
    """The actuator end of one hopper.

    Args:
        robot: its name at the site, and its namespace.
        node_options: of ``rclpy.node.Node``.

    Attributes:
        engines: valves, lag, tank.
        keeper: lands when commands stay away.
    """

    def __init__(self, robot: str, **node_options: Any) -> None:
        super().__init__("gazebo_thrust", namespace=robot, **node_options)
        self._robot = robot
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        world = str(declare_one(self, "world", "", "name of Gazebo's world, empty for the site's"))
        seed = int(declare_one(self, "seed", 1, "seed of engines and altimeter"))
        site, terrain = load_site(site_name, seed=seed)
        self._model = require_hopper(site.robot(self._robot).load_model(), "gazebo_thrust")
        self._ground = baked_terrain(site, terrain.surface, BakeConfig()).heightmap
        self.engines = GazeboEngines(self._model, [seed, 4])
        self.keeper = HopKeeper(self._model)
        self._rng = np.random.default_rng([seed, 3])
        self._quat: FloatArray | None = None
        self._truth_ns = self._run_ns = self._range_ns = self._gauge_ns = _NEVER_NS
        self._commanded_ns: int | None = None
        self._slot, self._on = 0, False
        self._types = _message_types()
        self._put, self._take_off = self._wrench_publishers(world or site.name)
        self._range = self.create_publisher(Range, "altimeter/range", qos.STREAM)
        self._tank = self.create_publisher(FluidPressure, "tank/pressure", qos.STATE)
        self.create_subscription(JointState, THRUST_TOPIC, self._on_command, qos.COMMAND)
        self.create_subscription(Odometry, "odom", self._on_odom, qos.STREAM)
        self.create_subscription(JointState, "joint_states", self._on_joints, qos.STREAM)
        self.create_subscription(Odometry, "truth/odom", self._on_truth, qos.STATE)
        self.create_subscription(Imu, "imu/data", self._on_imu, qos.STREAM)

    def _wrench_publishers(self, world: str) -> tuple[Any, Any]:
        if self._types is None:
            self.get_logger().error(
                "ros_gz_interfaces has no EntityWrench: the engines do nothing; install the "
                "package ros-$ROS_DISTRO-ros-gz"
            )
            return None, None
        wrench, entity = self._types
        return (
            self.create_publisher(wrench, wrench_topic(world), qos.STREAM),
            self.create_publisher(entity, wrench_clear_topic(world), qos.STREAM),
        )

    # -- input ------------------------------------------------------------------------------
    def _on_command(self, msg: JointState) -> None:
        try:
            command = hop_convert.thruster_command(msg, self.engines.names)
        except IlrsError as error:
            self.get_logger().error(f"thrust refused: {error}", throttle_duration_sec=2.0)
            return
        if self._run_ns - command.stamp_ns > TAKES_OVER_S * 1e9:
            return  # it has lain in a queue
        self.engines.command(command.thrust_n)
        self._commanded_ns = max(command.stamp_ns, self._run_ns)
        self.keeper.release()

    def _on_odom(self, msg: Odometry) -> None:
        self.keeper.on_estimate(convert.odometry_estimate(msg))

    def _on_joints(self, msg: JointState) -> None:
        self.keeper.feed(convert.joint_sample(msg))

    def _on_truth(self, msg: Odometry) -> None:
        stamp_ns = convert.to_ns(msg.header.stamp)
        p, q = msg.pose.pose.position, msg.pose.pose.orientation
        self._truth_ns, self._quat = stamp_ns, np.array([q.w, q.x, q.y, q.z])
        config = self._model.altimeter
        if 0 <= stamp_ns - self._range_ns < 1e9 / config.rate_hz - JITTER_NS:
            return
        self._range_ns = stamp_ns
        R = rotation_matrix(self._quat)
        mount = rotation_matrix(quat_from_rpy(*config.rpy_rad))
        start = np.array([p.x, p.y, p.z]) + R @ np.array(config.position_m)
        seen = beam_range_m(start, R @ mount[:, 0], self._ground)
        seen += config.range_sigma_m * float(self._rng.standard_normal())
        known = config.range_min_m <= seen <= config.range_max_m
        sample = AltimeterSample(stamp_ns, seen if known else math.nan, config.range_sigma_m)
        self.keeper.feed(sample)
        frame = f"{self._robot}/{config.frame}"
        self._range.publish(hop_convert.altimeter_message(sample, config, frame))

    def _on_imu(self, msg: Imu) -> None:
        sample = convert.imu_sample(msg)
        self.keeper.feed(sample)
        now_ns = sample.stamp_ns
        if now_ns < self._run_ns - PERIOD_NS:
            self.get_logger().warning("time was set back: the engines are off")
            self._commanded_ns, self._run_ns = None, _NEVER_NS
            self.engines.command(np.zeros(len(self.engines.names)))
            self._truth_ns = self._range_ns = self._gauge_ns = _NEVER_NS
        if now_ns - self._run_ns < PERIOD_NS - JITTER_NS:
            return
        self._run_ns = now_ns
        self._run(now_ns, np.asarray(sample.angular_velocity_rps, dtype=np.float64))
        if now_ns - self._gauge_ns >= 1e9 / self._model.tank.gauge_rate_hz - JITTER_NS:
            self._gauge_ns = now_ns
            told = self.engines.gauge(now_ns)
            self.keeper.feed(told)
            self._tank.publish(hop_convert.pressure_message(told, base_frame(self._robot)))

    # -- output -----------------------------------------------------------------------------
    def _run(self, now_ns: int, rate_rps: FloatArray) -> None:
        """One period of the engines: the wrench of the coming 20 ms."""
        given = self._commanded_ns
        if given is not None and now_ns - given > TAKES_OVER_S * 1e9:
            self.engines.command(self.keeper.thrust_n(now_ns))
        mean = self.engines.run(PERIOD_NS * 1e-9)
        if self._quat is None or not (self._on or mean.any()):
            return
        wrench = self.engines.on_full(self.engines.wrench(mean))
        # the middle of the coming period, from the last true attitude on
        ahead_s = min(max((now_ns - self._truth_ns + PERIOD_NS // 2) * 1e-9, 0.0), 0.2)
        R = rotation_matrix(quat_product(self._quat, quat_exp(ahead_s * rate_rps)))
        self._on = bool(mean.max() > 1e-3)
        if self._put is None or self._types is None:
            return
        slot = 1 - self._slot
        if self._on:
            turned = Wrench(R @ wrench.force_n, R @ wrench.torque_nm)
            self._put.publish(wrench_message(*self._types, self._robot, slot, turned))
        self._take_off.publish(entity_message(self._types[1], self._robot, self._slot))
        self._slot = slot

    def destroy_node(self) -> None:
        """Take the wrench off, then end."""
        if self._on and self._take_off is not None and self.context.ok():
            self._take_off.publish(entity_message(self._types[1], self._robot, self._slot))
        super().destroy_node()


def entity_message(kind: Any, robot: str, slot: int) -> Any:
    """One of two names of ``base_link``: the model, whose first link it is, or the link itself.

    Args:
        kind: the class ``ros_gz_interfaces.msg.Entity``.
        robot: name of the model.
        slot: 0 or 1.
    """
    msg = kind()
    msg.name = robot if slot == 0 else f"{robot}::base_link"
    msg.type = kind.MODEL if slot == 0 else kind.LINK
    return msg


def wrench_message(kind: Any, entity: Any, robot: str, slot: int, wrench: Wrench) -> Any:
    """A wrench, axes of the world, about the origin of ``base_link``.

    Args:
        kind: the class ``ros_gz_interfaces.msg.EntityWrench``.
        entity: the class ``ros_gz_interfaces.msg.Entity``.
        robot: name of the model.
        slot: 0 or 1, see ``entity_message``.
        wrench: N and N m.
    """
    msg = kind()
    msg.entity = entity_message(entity, robot, slot)
    force, torque = msg.wrench.force, msg.wrench.torque
    force.x, force.y, force.z = (float(v) for v in wrench.force_n)
    torque.x, torque.y, torque.z = (float(v) for v in wrench.torque_nm)
    return msg


def _message_types() -> tuple[Any, Any] | None:
    """EntityWrench and Entity, where the bridge's interfaces are installed and know them."""
    try:
        messages = importlib.import_module("ros_gz_interfaces.msg")
        return messages.EntityWrench, messages.Entity
    except (ImportError, AttributeError):
        return None
