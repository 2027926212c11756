"""Program ``gazebo_support``: what the embedded simulator says and Gazebo cannot.

The clock at the rate of the interface table (Gazebo sends it with every physics step, which would
cost every node of every vehicle), star trackers, the moving Sun and its direction, distances to
the masts, and lidar scans where Gazebo's lidar does not see the terrain. It belongs to the
simulator: it may look at the truth.
"""

from __future__ import annotations

import math
import sys
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from nav_msgs.msg import Odometry
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, PointCloud2
from std_srvs.srv import SetBool

from ilrs_robots.core.geometry.se3 import quat_from_rpy, quat_multiply
from ilrs_robots.core.terrain.heightmap import BakeConfig
from ilrs_robots.core.types import AttitudeSample, FloatArray, OdometryEstimate
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.lidar_fallback import LidarFallback
from ilrs_robots.nodes.mark_publisher import MarkPublisher
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.runtime import run
from ilrs_robots.nodes.sun import PERIOD_S, Sun
from ilrs_robots.nodes.time_warp import SERVICE
from ilrs_robots.robots.gazebo.ground import BakedGround
from ilrs_robots.robots.gazebo.interfaces import FAST_CLOCK
from ilrs_robots.robots.gazebo.plan import rocks_of
from ilrs_robots.robots.gazebo.terrain import baked_terrain
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import SiteConfig, SiteTerrain, load_site, read_site

CLOCK_PERIOD_NS = 40_000_000
"""As the embedded simulator's."""


def refuse_fast_time(_request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
    """Answer ``time_warp``: Gazebo keeps the clock and cannot leave its physics out."""
    response.success = False
    response.message = "Gazebo keeps the time here, and its physics cannot be left out of it"
    return response


class StarTracker:
    """Attitude of the tracker's frame in map, with white noise about each axis."""

    def __init__(self, model: RobotModel, seed: list[int]) -> None:
        config = model.star_tracker
        self._mount = quat_from_rpy(*config.rpy_rad)
        self._sigma_rad = math.radians(config.sigma_deg)
        self._period_ns = round(1e9 / config.rate_hz)
        self._rng = np.random.default_rng(seed)
        self._last_ns: int | None = None

    def sample(self, stamp_ns: int, quat_wxyz: FloatArray) -> AttitudeSample | None:
        """What it says at a true attitude of base_link (4,), or None when nothing is due."""
        if self._last_ns is not None and 0 <= stamp_ns - self._last_ns < self._period_ns:
            return None
        self._last_ns = stamp_ns
        tilt = 0.5 * self._sigma_rad * self._rng.standard_normal(3)
        noise = np.concatenate(([1.0], tilt))
        seen = quat_multiply(quat_multiply(quat_wxyz, self._mount), noise / np.linalg.norm(noise))
        return AttitudeSample(stamp_ns, seen, self._sigma_rad)


class GazeboSupportNode(Node):  # type: ignore[misc]
    """One node for all of it; time is Gazebo's, as it arrives."""

    def __init__(self, **node_options: Any) -> None:
        super().__init__("gazebo_support", **node_options)
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        self._seed = int(declare_one(self, "seed", 1, "seed of terrain and sensors"))
        names = str(declare_one(self, "robots", "", "comma-separated robots, empty for all"))
        world = str(declare_one(self, "world", "", "name of Gazebo's world, empty for the site's"))
        ground_m = float(declare_one(self, "ground_m", 0.0, "height of the site's ground [m]"))
        fallback = bool(declare_one(self, "lidar_fallback", False, "cast the lidars' rays here"))
        site = read_site(site_name)
        self._robots = [n for n in names.split(",") if n] or list(site.run_by_default)
        self._time_ns, self._clock_ns = 0, -CLOCK_PERIOD_NS
        self._clock_out = self.create_publisher(Clock, "/clock", qos.STATE)
        self.create_subscription(Clock, FAST_CLOCK, self._on_clock, qos.SENSOR)
        self._sun = Sun(self, site, world or site.name, ground_m)
        models = {n: site.robot(n).load_model() for n in self._robots}
        site, terrain = load_site(site_name, seed=self._seed)
        self._fallbacks = self._make_fallbacks(site, terrain, models) if fallback else {}
        for index, (name, model) in enumerate(models.items()):
            marks = MarkPublisher(self, name, model, site, terrain, (self._seed, index))
            self._watch(index, name, model, marks)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.STATE)
        self.create_service(SetBool, SERVICE, refuse_fast_time)
        steady = RosClock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(PERIOD_S, self._on_sun, clock=steady)
        self.create_timer(1.0, self._diagnose, clock=steady)

    def _watch(self, index: int, name: str, model: RobotModel, marks: MarkPublisher) -> None:
        tracker = StarTracker(model, [self._seed, index, 1])
        attitude = self.create_publisher(Imu, f"/{name}/star_tracker/attitude", qos.STATE)
        frame = f"{name}/{model.star_tracker.frame}"
        told = partial(self._on_truth, name, tracker, attitude, frame, marks)
        self.create_subscription(Odometry, f"/{name}/truth/odom", told, qos.STATE)

    def _make_fallbacks(
        self, site: SiteConfig, terrain: SiteTerrain, models: dict[str, RobotModel]
    ) -> dict[str, LidarFallback]:
        config = BakeConfig()
        baked = baked_terrain(site, terrain.surface, config)
        rocks = rocks_of(terrain.surface, baked.heightmap, config)
        ground = BakedGround(baked.heightmap, rocks)
        made = {}
        for index, (name, model) in enumerate(models.items()):
            points = self.create_publisher(PointCloud2, f"/{name}/lidar/points", qos.SENSOR)
            made[name] = LidarFallback(
                name, model, ground, self._seed + index,
                lambda cloud, out=points: out.publish(convert.cloud_message(cloud)),
            )  # fmt: skip
        self.get_logger().warning(
            f"lidar fallback: the scans of {', '.join(made)} are cast from the true pose, not "
            "by Gazebo"
        )
        return made

    def _on_clock(self, msg: Clock) -> None:
        self._time_ns = convert.to_ns(msg.clock)
        # After a reset of the world time starts anew.
        if not 0 <= self._time_ns - self._clock_ns < CLOCK_PERIOD_NS:
            self._clock_ns = self._time_ns
            self._clock_out.publish(msg)

    def _on_truth(
        self, name: str, tracker: StarTracker, attitude: Any, frame: str, marks: MarkPublisher,
        msg: Odometry,
    ) -> None:  # fmt: skip
        stamp_ns = convert.to_ns(msg.header.stamp)
        pose = msg.pose.pose
        p, q = pose.position, pose.orientation
        quat = np.array([q.w, q.x, q.y, q.z])
        seen = tracker.sample(stamp_ns, quat)
        if seen is not None:
            attitude.publish(convert.attitude_message(seen, frame))
        place = np.array([p.x, p.y, p.z])
        still = np.zeros(3)
        marks.tell(OdometryEstimate(stamp_ns, place, quat, still, still), stamp_ns)
        if name in self._fallbacks:
            self._fallbacks[name].take_truth(stamp_ns, place, quat)

    def _on_sun(self) -> None:
        self._sun.tell(self._time_ns)

    def _diagnose(self) -> None:
        values = {"simulated_s": f"{self._time_ns * 1e-9:.3f}", "sun": self._sun.state}
        notes = []
        if self._time_ns == 0:
            notes.append("no clock from Gazebo yet")
        if not self._sun.moves:
            notes.append("the Sun stands still")
        for name in self._robots:
            fallback = self._fallbacks.get(name)
            values[f"{name}.lidar"] = "gazebo" if fallback is None else "fallback"
            if fallback is not None:
                values[f"{name}.fallback_scans"] = str(fallback.scans)
        if self._fallbacks:
            notes.append(f"lidar fallback is on for {', '.join(self._fallbacks)}")
        level = DiagnosticStatus.WARN if notes else DiagnosticStatus.OK
        status = DiagnosticStatus(
            level=level, name="gazebo_support", message="; ".join(notes) or "running"
        )
        status.values = [KeyValue(key=k, value=v) for k, v in values.items()]
        msg = DiagnosticArray()
        msg.header.stamp = convert.to_stamp(self._time_ns)
        msg.status = [status]
        self._diagnostics.publish(msg)

    def destroy_node(self) -> None:
        """End the workers as well."""
        for fallback in self._fallbacks.values():
            fallback.close()
        super().destroy_node()


def main(args: list[str] | None = None) -> int:
    """Run until asked to end."""
    return run(lambda: [GazeboSupportNode()], args)


if __name__ == "__main__":
    sys.exit(main())
