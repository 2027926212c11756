"""What a hopper tells: odometry, transforms, thrust, its arc, and the map it lands by."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.hop_types import HopProfile
from ilrs_robots.core.types import FloatArray, ThrusterCommand
from ilrs_robots.nodes import convert, hop_convert, qos
from ilrs_robots.nodes.fleet import FleetVoice
from ilrs_robots.nodes.managed import ManagedNode
from ilrs_robots.robots.frames import MAP_FRAME, base_frame, odom_frame
from ilrs_robots.robots.hop_flight import HopFlight
from ilrs_robots.robots.model import HopperModel

TF_PERIOD_NS: Final = 40_000_000
POSE_PERIOD_NS: Final = 200_000_000
MAP_PERIOD_NS: Final = 1_000_000_000
_JITTER_NS: Final = 1_000_000
_NEVER_NS: Final = -(10**18)
THRUST_TOPIC: Final = "thrusters/command"


class FlightOutput:
    """Publishers of a flight node.

    ``odom`` begins where the vehicle stands when its filter begins, with the axes of ``map``.

    Args:
        node: that has them.
        model: the vehicle.
        pose: (4, 4) T_map_base before anything is known.

    Attributes:
        T_map_base: (4, 4) newest pose.
    """

    def __init__(self, node: ManagedNode, model: HopperModel, pose: FloatArray) -> None:
        self._base, self._frame = base_frame(node.robot), odom_frame(node.robot)
        self._names = tuple(model.thrusters)
        self.T_map_base = pose
        self._origin_m, self._here_m = pose[:3, 3].copy(), np.zeros(3)
        self._odom = node.publisher(Odometry, "odom", qos.STREAM)
        self._fleet = FleetVoice(node)
        self._tf = node.publisher(TFMessage, "/tf", qos.TF)
        self._pose = node.publisher(PoseWithCovarianceStamped, "pose", qos.STATE)
        self._thrust = node.publisher(JointState, THRUST_TOPIC, qos.COMMAND)
        self._plan = node.publisher(Path, "plan", qos.MAP)
        self._map = node.publisher(GridMap, "elevation_map", qos.MAP)
        self.forget()

    def forget(self) -> None:
        """Stamps begin anew."""
        self._tf_ns = self._pose_ns = self._map_ns = _NEVER_NS

    def begin(self, flight: HopFlight) -> None:
        """A filter has begun: ``odom`` lies so that the vehicle has not moved in it."""
        self._origin_m = flight.localization.state.position_m - self._here_m

    def motion(self, flight: HopFlight, now_ns: int) -> None:
        """Odometry every control period, transforms and the pose less often.

        Args:
            flight: that knows them.
            now_ns: the flight's time; what is told is stamped by the clock as it is set.
        """
        estimate = flight.localization.estimate()
        estimate = replace(estimate, stamp_ns=flight.clock.stamp(estimate.stamp_ns))
        self.T_map_base = se3.make_transform(estimate.position_m, estimate.quat_wxyz)
        here = replace(estimate, position_m=estimate.position_m - self._origin_m)
        self._here_m = here.position_m
        if self._fleet.due(estimate.stamp_ns):
            self._fleet.tell(estimate)
        self._odom.publish(convert.odometry_message(here, self._frame, self._base))
        stamp = estimate.stamp_ns
        if now_ns - self._tf_ns >= TF_PERIOD_NS - _JITTER_NS:
            self._tf_ns = now_ns
            level = se3.split_transform(se3.from_rpy(self._origin_m, (0.0, 0.0, 0.0)))
            both = [
                convert.transform_message(MAP_FRAME, self._frame, stamp, *level),
                convert.transform_message(
                    self._frame, self._base, stamp, here.position_m, here.quat_wxyz
                ),
            ]
            self._tf.publish(TFMessage(transforms=both))
        if now_ns - self._pose_ns >= POSE_PERIOD_NS - _JITTER_NS:
            self._pose_ns = now_ns
            self._pose.publish(
                convert.pose_covariance_message(
                    MAP_FRAME, stamp, self.T_map_base, estimate.pose_covariance
                )
            )

    def thrust(self, command: ThrusterCommand) -> None:
        """Newtons of every thruster."""
        self._thrust.publish(hop_convert.thruster_message(command, self._names, self._base))

    def arc(self, profile: HopProfile, now_ns: int) -> None:
        """The planned way through space."""
        self._plan.publish(hop_convert.arc_message(profile, MAP_FRAME, now_ns))

    def maps(self, flight: HopFlight, now_ns: int) -> None:
        """The landing map while somebody listens, at a time of the flight."""
        if now_ns - self._map_ns < MAP_PERIOD_NS or not self._map.get_subscription_count():
            return
        found = flight.view.layers()
        if found is None:
            return
        self._map_ns = now_ns
        layers, spec = found
        stamp_ns = flight.clock.stamp(now_ns)
        self._map.publish(convert.grid_map_message(layers, spec, MAP_FRAME, stamp_ns))
