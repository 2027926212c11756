"""The embedded simulator's ROS face: clock, sensors and truth out, commands in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState, PointCloud2

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.types import AttitudeSample, Cloud, ImuSample, JointSample
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.site import load_site
from ilrs_robots.robots.steps import MAP_FRAME
from ilrs_robots.sim.world import EmbeddedWorld, SimRobot

MAX_AHEAD_NS = 100_000_000
"""The simulator waits when it is this far ahead of a vehicle's odometry."""
SILENT_AFTER_S = 1.0
"""A vehicle that says nothing for so long (wall time) is no longer waited for."""
TRUTH_PERIOD_NS = 100_000_000
CLOCK_PERIOD_NS = 40_000_000
"""Every node of every vehicle takes each tick of the clock: half the exchange rate will do."""


@dataclass
class _Vehicle:
    name: str
    model: RobotModel
    imu: Any
    joints: Any
    attitude: Any
    points: Any
    truth: Any
    acknowledged_ns: int = 0
    heard_s: float = 0.0
    silent: bool = False
    truth_ns: int = -TRUTH_PERIOD_NS


class EmbeddedSimNode(Node):  # type: ignore[misc]
    """Steps the world as fast as vehicles follow and the requested real-time factor allows."""

    def __init__(self) -> None:
        super().__init__("embedded_sim")
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        seed = int(declare_one(self, "seed", 1, "seed of terrain and sensors"))
        names = str(declare_one(self, "robots", "", "comma-separated robots, empty for all"))
        self._rtf = float(declare_one(self, "real_time_factor", 0.0, "upper bound, 0 for none"))
        if self._rtf < 0.0:
            raise ConfigError(f"real_time_factor = {self._rtf}: must be 0 or more")
        site, terrain = load_site(site_name, seed=seed)
        chosen = [n for n in names.split(",") if n] or [r.name for r in site.robots]
        placed = [site.robot(name) for name in chosen]
        models = {p.name: p.load_model() for p in placed}
        robots = [SimRobot(p.name, models[p.name], p.x_m, p.y_m, p.yaw_rad) for p in placed]
        self.world = EmbeddedWorld(terrain.surface, robots, seed)
        self._clock_out = self.create_publisher(Clock, "/clock", qos.STATE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.STATE)
        self.vehicles = {name: self._vehicle(name, model) for name, model in models.items()}
        self._start_wall_s: float | None = None
        self._clock_ns = -CLOCK_PERIOD_NS
        self._diagnosed_s = 0.0
        self._diagnosed_ns = 0

    def _vehicle(self, name: str, model: RobotModel) -> _Vehicle:
        vehicle = _Vehicle(
            name,
            model,
            imu=self.create_publisher(Imu, f"/{name}/imu/data", qos.STREAM),
            joints=self.create_publisher(JointState, f"/{name}/joint_states", qos.STREAM),
            attitude=self.create_publisher(Imu, f"/{name}/star_tracker/attitude", qos.STATE),
            points=self.create_publisher(PointCloud2, f"/{name}/lidar/points", qos.SENSOR),
            truth=self.create_publisher(Odometry, f"/{name}/truth/odom", qos.STATE),
        )
        self.create_subscription(
            TwistStamped, f"/{name}/cmd_vel", partial(self._on_command, name), qos.COMMAND
        )
        self.create_subscription(
            Odometry, f"/{name}/odom", partial(self._on_odom, vehicle), qos.STREAM
        )
        return vehicle

    # -- input ------------------------------------------------------------------------------
    def _on_command(self, name: str, msg: TwistStamped) -> None:
        self.world.command(name, convert.velocity_command(msg))

    def _on_odom(self, vehicle: _Vehicle, msg: Odometry) -> None:
        vehicle.acknowledged_ns = convert.to_ns(msg.header.stamp)
        vehicle.heard_s = time.monotonic()
        if vehicle.silent:
            vehicle.silent = False
            self.get_logger().info(f"{vehicle.name} follows again")

    # -- pace -------------------------------------------------------------------------------
    def ready(self) -> bool:
        """Whether every vehicle listens to its sensors, so that no first message is lost."""
        return all(
            v.imu.get_subscription_count() > 0
            and v.joints.get_subscription_count() > 0
            and self.count_publishers(f"/{v.name}/cmd_vel") > 0
            for v in self.vehicles.values()
        )

    def delay_s(self) -> float:
        """Wall seconds to wait before the next step: 0 when it may be taken now."""
        now_s = time.monotonic()
        time_ns = self.world.time_ns
        if self._start_wall_s is None:
            self._start_wall_s = now_s
            for vehicle in self.vehicles.values():
                vehicle.heard_s = now_s
        for vehicle in self.vehicles.values():
            if vehicle.silent or time_ns - vehicle.acknowledged_ns < MAX_AHEAD_NS:
                continue
            if now_s - vehicle.heard_s > SILENT_AFTER_S:
                vehicle.silent = True
                self.get_logger().warning(
                    f"{vehicle.name} has said nothing for {SILENT_AFTER_S:.0f} s: "
                    "the simulation goes on without waiting for it"
                )
                continue
            return 0.002
        if self._rtf <= 0.0:
            return 0.0
        return max(0.0, time_ns * 1e-9 / self._rtf - (now_s - self._start_wall_s))

    # -- output -----------------------------------------------------------------------------
    def step(self) -> None:
        """Advance by one exchange period and publish what the sensors say."""
        events = self.world.step()
        time_ns = self.world.time_ns
        if time_ns - self._clock_ns >= CLOCK_PERIOD_NS:
            self._clock_ns = time_ns
            self._clock_out.publish(Clock(clock=convert.to_stamp(time_ns)))
        for event in events:
            self._publish(self.vehicles[event.robot], event.payload)
        for vehicle in self.vehicles.values():
            if time_ns - vehicle.truth_ns >= TRUTH_PERIOD_NS:
                vehicle.truth_ns = time_ns
                truth = self.world.truth(vehicle.name)
                child = f"{vehicle.name}/truth/base_link"
                vehicle.truth.publish(convert.odometry_message(truth, MAP_FRAME, child))
        if time.monotonic() - self._diagnosed_s >= 1.0:
            self._diagnose(time_ns)

    def _publish(self, vehicle: _Vehicle, payload: object) -> None:
        name, model = vehicle.name, vehicle.model
        if isinstance(payload, ImuSample):
            vehicle.imu.publish(convert.imu_message(payload, f"{name}/{model.imu.frame}"))
        elif isinstance(payload, JointSample):
            vehicle.joints.publish(convert.joint_message(payload))
        elif isinstance(payload, AttitudeSample):
            frame = f"{name}/{model.star_tracker.frame}"
            vehicle.attitude.publish(convert.attitude_message(payload, frame))
        elif isinstance(payload, Cloud):
            vehicle.points.publish(convert.cloud_message(payload))
        else:
            raise TypeError(f"the simulator made a {type(payload).__name__}")

    def _diagnose(self, time_ns: int) -> None:
        now_s = time.monotonic()
        factor = 0.0
        if self._diagnosed_s:
            factor = (time_ns - self._diagnosed_ns) * 1e-9 / (now_s - self._diagnosed_s)
        self._diagnosed_s, self._diagnosed_ns = now_s, time_ns
        started_s = self._start_wall_s if self._start_wall_s is not None else now_s
        values = {
            "real_time_factor": f"{factor:.3f}",
            "wall_s": f"{now_s - started_s:.3f}",
            "simulated_s": f"{time_ns * 1e-9:.3f}",
        }
        silent = [v.name for v in self.vehicles.values() if v.silent]
        level = DiagnosticStatus.WARN if silent else DiagnosticStatus.OK
        message = f"not waiting for {', '.join(silent)}" if silent else "running"
        msg = DiagnosticArray()
        msg.header.stamp = convert.to_stamp(time_ns)
        status = DiagnosticStatus(level=level, name="embedded_sim", message=message)
        status.values = [KeyValue(key=k, value=v) for k, v in values.items()]
        msg.status = [status]
        self._diagnostics.publish(msg)
