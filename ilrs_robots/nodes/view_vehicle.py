"""One vehicle's real topics as what a mission view shows of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid, Odometry, Path
from rclpy.node import Node
from sensor_msgs.msg import BatteryState, JointState
from std_msgs.msg import Bool

from ilrs_robots.core.errors import IlrsError, MessageLayoutError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.view_samples import Sampled, newest
from ilrs_robots.robots.frames import MAP_FRAME, odom_frame
from ilrs_robots.robots.map_topics import HEIGHTS_TOPIC
from ilrs_robots.robots.model import HopperModel, RobotModel
from ilrs_robots.robots.view_state import ERROR, WARN, GroundView, VehicleView

MAX_PATH: Final = 4000
"""Poses of a path that are looked at; a longer one is thinned out."""
ANCHOR_M: Final = 0.03
"""A map is drawn anew when its anchor has moved by more."""


class VehicleFeed:
    """What is heard of one vehicle.

    A rover's map is the one that its gate listens to anyway (``terrain_heights``), so that looking
    at it makes the vehicle compute nothing more; a hopper's is sent while somebody listens.

    Args:
        samples: node that no executor spins.
        name: of the vehicle.
        model: its dimensions.

    Attributes:
        view: what is shown of it.
        T_map_odom: (4, 4) its odometry's frame in map, or None.
    """

    def __init__(self, samples: Node, name: str, model: RobotModel) -> None:
        hops = isinstance(model, HopperModel)
        self.view, self.T_map_odom = VehicleView(name, hops), None
        self._odom_frame = odom_frame(name)
        self._heights: tuple[Float32Array, GridSpec, str] | None = None
        self._cost: tuple[Float32Array, GridSpec] | None = None

        def sampled(kind: Any, topic: str, profile: Any) -> Sampled:
            return Sampled(samples, kind, f"/{name}/{topic}", profile)

        self._odom = sampled(Odometry, "odom", newest())
        self._joints = sampled(JointState, "joint_states", newest())
        self._battery = sampled(BatteryState, "battery", qos.STATE)
        self._link = sampled(Bool, "link", qos.STATE)
        self._health = sampled(DiagnosticStatus, "health", qos.MAP)
        self._path, self._route = (sampled(Path, n, qos.MAP) for n in ("plan", "route"))
        self._map = sampled(GridMap, "elevation_map" if hops else HEIGHTS_TOPIC, qos.MAP)
        self._closed = None if hops else sampled(OccupancyGrid, "traversability", qos.MAP)

    def move(self) -> bool:
        """Look at where it is; whether anything came."""
        odom, joints = self._odom.last(), self._joints.last()
        if joints is not None:
            self.view.joints = dict(zip(joints.name, joints.position, strict=False))
        if odom is None:
            return joints is not None
        try:
            T_odom_base = convert.pose_matrix(odom.pose.pose)
        except IlrsError:
            return True
        self.view.speed_mps = float(np.linalg.norm(_xyz(odom.twist.twist.linear)))
        if odom.header.frame_id == MAP_FRAME:
            self.view.T_map_base = T_odom_base
        elif self.T_map_odom is not None:
            self.view.T_map_base = self.T_map_odom @ T_odom_base
        return True

    def tell(self) -> bool:
        """Look at what it says of itself and means to do; whether anything came."""
        view = self.view
        battery, link, health = self._battery.last(), self._link.last(), self._health.last()
        path, route = self._path.last(), self._route.last()
        if battery is not None:
            view.charge, view.box_c = battery.percentage, battery.temperature
            view.battery_w = battery.current * battery.voltage
        if link is not None:
            view.linked = bool(link.data)
        if health is not None:
            level = ord(health.level) if isinstance(health.level, bytes) else int(health.level)
            view.health, view.sentence = min(max(level, 0), ERROR), health.message
        if path is not None:
            view.path_m = self._in_map(path)
        if route is not None:
            view.route_m = self._in_map(route)
        return any(m is not None for m in (battery, link, health, path, route))

    def look_at_map(self) -> None:
        """Take its newest map, if it is another one."""
        heights = self._map.last()
        cost = self._closed.last() if self._closed is not None else None
        try:
            if heights is not None:
                layers, spec = convert.grid_map_layers(heights)
                self._heights = (layers["elevation"], spec, heights.header.frame_id)
            if cost is not None:
                self._cost = convert.occupancy_cost(cost)
        except (MessageLayoutError, KeyError):
            return  # what is not understood is not shown; the vehicle's own nodes report it
        if (heights is not None or cost is not None) and self._heights is not None:
            self._take_ground()

    def take_power(self, values: Mapping[str, str]) -> None:
        """Take what the node ``power`` says in the diagnostics."""
        self.view.sun_share = _float(values.get("sun_share"))
        self.view.sources_w = _float(values.get("sources_w"))
        ways = [f"{end}: {way}" for end in ("earth", "base")
                if (way := values.get(f"link.{end}.path", ""))]  # fmt: skip
        self.view.link = ", ".join(ways)

    def _take_ground(self) -> None:
        assert self._heights is not None
        heights, spec, frame = self._heights
        T = np.eye(4) if frame == MAP_FRAME else self.T_map_odom
        if T is None:
            return
        cost, cost_spec = self._cost if self._cost is not None else (None, None)
        new = GroundView(heights, cost, spec, cost_spec, T)
        if self.view.ground is None or _differ(self.view.ground, new):
            self.view.ground = new

    def _in_map(self, path: Path) -> FloatArray:
        poses = path.poses[:: max(1, len(path.poses) // MAX_PATH)]
        points = np.array([_xyz(p.pose.position) for p in poses]).reshape(-1, 3)
        points = points[np.isfinite(points).all(axis=1)]
        if path.header.frame_id == self._odom_frame and self.T_map_odom is not None:
            points = points @ self.T_map_odom[:3, :3].T + self.T_map_odom[:3, 3]
        return np.asarray(points)


def _differ(old: GroundView, new: GroundView) -> bool:
    """Whether two maps would look otherwise."""
    if old.spec != new.spec or np.abs(old.T_map_frame - new.T_map_frame).max() > ANCHOR_M:
        return True
    if (old.cost is None) != (new.cost is None):
        return True
    judged = old.cost is None or np.array_equal(old.cost, new.cost, equal_nan=True)
    return not (judged and np.array_equal(old.heights_m, new.heights_m, equal_nan=True))


def _xyz(vector: Any) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z


def _float(text: str | None) -> float:
    try:
        return math.nan if text is None else float(text)
    except ValueError:
        return math.nan


def transform_of(message: Any) -> FloatArray | None:
    """(4, 4) of a transform message, None where it is none."""
    try:
        return se3.make_transform(*convert.split_transform_message(message))
    except IlrsError:
        return None


LEVELS: Final = {b"\x00": 0, b"\x01": WARN, b"\x02": ERROR, b"\x03": ERROR}
"""What a diagnostic level counts as; what is stale is an error."""
