"""The embedded simulator's ROS face: clock, sensors and truth out, commands in."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool

from ilrs_robots.core.errors import ConfigError, IlrsError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import (
    VelocityCommand,
)
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.hop_convert import thruster_command
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.mark_publisher import MarkPublisher
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.nodes.sim_vehicle import TRUTH_PERIOD_NS, SimVehicle
from ilrs_robots.nodes.time_warp import STEP_NS, TimeWarp
from ilrs_robots.robots.hop_keeper import TAKES_OVER_S
from ilrs_robots.robots.model import HopperModel, RobotModel
from ilrs_robots.robots.site import SiteConfig, load_site
from ilrs_robots.robots.steps import MAP_FRAME
from ilrs_robots.sim.world import ACTUATOR_TIMEOUT_S, EmbeddedWorld, SimRobot

SILENT_AFTER_S = 1.0
"""A vehicle that says nothing for so long (wall time) is no longer waited for."""
CLOCK_PERIOD_NS = 40_000_000
"""Every node of every vehicle takes each tick of the clock: half the exchange rate will do."""
KEEP_PERIOD_NS = 200_000_000
"""How often the places of the vehicles are kept. After a restart time goes on by so much later,
so that no stamp is given twice."""
KEEP_WARPED_NS = 2_000_000_000
"""The same in fast time."""


class EmbeddedSimNode(Node):  # type: ignore[misc]
    """Steps the world as fast as vehicles follow and the requested real-time factor allows.

    Restarted after a crash, it puts the vehicles down at rest where they stood, and time goes on
    from there: it never runs backwards. Speeds, wheel angles and noise begin anew.
    """

    def __init__(self, **node_options: Any) -> None:
        super().__init__("embedded_sim", **node_options)
        site_name = str(declare_one(self, "site", "shackleton", "site name or site file"))
        seed = int(declare_one(self, "seed", 1, "seed of terrain and sensors"))
        names = str(declare_one(self, "robots", "", "comma-separated robots, empty for all"))
        self._rtf = float(declare_one(self, "real_time_factor", 0.0, "upper bound, 0 for none"))
        if self._rtf < 0.0:
            raise ConfigError(f"real_time_factor = {self._rtf}: must be 0 or more")
        site, terrain = load_site(site_name, seed=seed)
        chosen = [n for n in names.split(",") if n] or list(site.run_by_default)
        models = {name: site.robot(name).load_model() for name in chosen}
        self._kept = KeptState.of(self, "world")
        robots = self._places(site, models)
        self.world = EmbeddedWorld(terrain.surface, robots, seed)
        self._clock_out = self.create_publisher(Clock, "/clock", qos.STATE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", qos.STATE)
        self.vehicles = {}
        for index, (name, model) in enumerate(models.items()):
            marks = MarkPublisher(self, name, model, site, terrain, (seed, index))
            self.vehicles[name] = self._vehicle(name, model, marks)
        rovers = [name for name, m in models.items() if not isinstance(m, HopperModel)]
        self.warp = TimeWarp(self, models, rovers)
        self._start_wall_s: float | None = None
        self._clock_ns = -CLOCK_PERIOD_NS
        self._diagnosed_s = 0.0
        self._diagnosed_ns = 0
        self._paused = False
        self.create_service(SetBool, "embedded_sim/pause", self._on_pause)

    def _places(self, site: SiteConfig, models: dict[str, RobotModel]) -> list[SimRobot]:
        """Vehicles where they stood before a restart, or else where the site says."""
        self._offset_ns, self._kept_ns, self._kept_fast = 0, -KEEP_PERIOD_NS, False
        self._first_wall_s: float | None = None
        placed = [site.robot(name) for name in models]
        poses = {p.name: (p.x_m, p.y_m, p.yaw_rad) for p in placed}
        kept = self._kept.load()
        if kept is not None and set(kept["poses"]) == set(poses):
            poses = {name: tuple(pose) for name, pose in kept["poses"].items()}
            self._offset_ns = int(kept["time_ns"]) + KEEP_PERIOD_NS
            self._first_wall_s = float(kept["first_wall_s"])
            self.get_logger().warning(
                f"restarted: the vehicles stand where they stood at {kept['time_ns'] * 1e-9:.1f} s"
            )
        return [SimRobot(name, models[name], *poses[name]) for name in models]

    def _keep(self) -> None:
        poses = {}
        for name in self.vehicles:
            truth = self.world.truth(name)
            x, y = (float(v) for v in truth.position_m[:2])
            poses[name] = (x, y, se3.yaw_of(truth.quat_wxyz))
        ahead_ns = KEEP_WARPED_NS if self.warp.runs else 0  # until it is kept again
        state = {"time_ns": self.time_ns + ahead_ns, "poses": poses,
                 "first_wall_s": self._first_wall_s}  # fmt: skip
        self._kept.save(state)

    @property
    def time_ns(self) -> int:
        """ROS time: the world's own and what was before a restart."""
        return self.world.time_ns + self._offset_ns

    def _vehicle(self, name: str, model: RobotModel, marks: MarkPublisher) -> SimVehicle:
        vehicle = SimVehicle.on(self, name, model, marks)
        if isinstance(model, HopperModel):
            listen, kind = partial(self._on_thrust, vehicle), JointState
        else:
            listen, kind = partial(self._on_command, name), TwistStamped
        self.create_subscription(kind, f"/{name}/{vehicle.actuators}", listen, qos.COMMAND)
        self.create_subscription(
            Odometry, f"/{name}/odom", partial(self._on_odom, vehicle), qos.STREAM
        )
        return vehicle

    # -- input ------------------------------------------------------------------------------
    def _on_command(self, name: str, msg: TwistStamped) -> None:
        command = convert.velocity_command(msg)
        if not (math.isfinite(command.linear_mps) and math.isfinite(command.angular_rps)):
            self.get_logger().error(
                f"{name}: a command of {command.linear_mps} m/s, {command.angular_rps} rad/s is "
                "not a number: standing still instead",
                throttle_duration_sec=2.0,
            )
            command = VelocityCommand(command.stamp_ns, 0.0, 0.0)
        self.vehicles[name].commanded_ns = command.stamp_ns
        if self.time_ns - command.stamp_ns > ACTUATOR_TIMEOUT_S * 1e9:
            return  # it has lain in a queue for longer than a command counts
        self.world.command(name, command)

    def _on_thrust(self, vehicle: SimVehicle, msg: JointState) -> None:
        """Engines' thrust; the pose that its sender told last is what the keeper goes on from."""
        assert isinstance(vehicle.model, HopperModel)
        try:
            command = thruster_command(msg, tuple(vehicle.model.thrusters))
            told = None if vehicle.odom is None else convert.odometry_estimate(vehicle.odom)
        except IlrsError as error:
            self.get_logger().error(
                f"{vehicle.name}: thrust not used: {error}", throttle_duration_sec=2.0
            )
            return
        if self.time_ns - command.stamp_ns > TAKES_OVER_S * 1e9:
            return
        if told is not None:
            told = replace(told, stamp_ns=told.stamp_ns - self._offset_ns)
        self.world.thrust(vehicle.name, command, told)

    def _on_odom(self, vehicle: SimVehicle, msg: Odometry) -> None:
        vehicle.odom = msg
        vehicle.acknowledged_ns = convert.to_ns(msg.header.stamp)
        vehicle.heard_s = time.monotonic()
        if vehicle.silent:
            vehicle.silent = False
            self.get_logger().info(f"{vehicle.name} follows again")

    def _on_pause(self, asked: SetBool.Request, answer: SetBool.Response) -> SetBool.Response:
        """Stand, or go on: no step is made and no clock told until then."""
        self._paused, answer.success = bool(asked.data), True
        answer.message = f"{'stands' if asked.data else 'goes on'} at {self.time_ns * 1e-9:.2f} s"
        return answer

    # -- pace -------------------------------------------------------------------------------
    def ready(self) -> bool:
        """Whether every vehicle listens to its sensors, so that no first message is lost."""
        return all(
            v.imu.get_subscription_count() > 0
            and v.joints.get_subscription_count() > 0
            and self.count_publishers(f"/{v.name}/{v.actuators}") > 0
            for v in self.vehicles.values()
        )

    def delay_s(self) -> float:
        """Wall seconds to wait before the next step: 0 when it may be taken now."""
        now_s = time.monotonic()
        time_ns = self.time_ns
        if self._start_wall_s is None:
            self._start_wall_s = now_s
            self._pace_factor, self._pace_from = self._rtf, (now_s, time_ns)
            if self._first_wall_s is None:
                self._first_wall_s = now_s
            for vehicle in self.vehicles.values():
                vehicle.heard_s = now_s
        if self._paused:
            self._pace_from = (now_s, time_ns)
            for vehicle in self.vehicles.values():
                vehicle.heard_s = now_s
            return 0.05
        for vehicle in self.vehicles.values():
            if vehicle.silent or vehicle.follows(time_ns, STEP_NS if self.warp.runs else 0):
                continue
            if now_s - vehicle.heard_s > SILENT_AFTER_S:
                vehicle.silent = True
                self.get_logger().warning(
                    f"{vehicle.name} has said nothing for {SILENT_AFTER_S:.0f} s: "
                    "the simulation goes on in real time without waiting for it"
                )
                continue
            return 0.002
        if self.warp.runs and self.warp.waits_for_base(time_ns, now_s):
            return 0.002
        return self._pace(now_s)

    def _pace(self, now_s: float) -> float:
        """Wait for the wall clock: as fast as asked for, in real time while a vehicle is silent.

        A gate that has to stop a vehicle counts simulated time but needs wall time to act.
        """
        factor = self.warp.factor if self.warp.runs else self._rtf
        if any(vehicle.silent for vehicle in self.vehicles.values()):
            factor = min(factor or 1.0, 1.0)
        if factor != self._pace_factor:
            self._pace_factor, self._pace_from = factor, (now_s, self.time_ns)
        if factor <= 0.0:
            return 0.0
        wall_s, time_ns = self._pace_from
        return max(0.0, (self.time_ns - time_ns) * 1e-9 / factor - (now_s - wall_s))

    # -- output -----------------------------------------------------------------------------
    def step(self) -> None:
        """Advance by one exchange period, or one of fast time; publish what the sensors say."""
        rests = {v.name: not v.silent and self.world.at_rest(v.name)
                 for v in self.vehicles.values()}  # fmt: skip
        fast = self.warp.look(self.time_ns, rests)
        events = self.world.hold(STEP_NS * 1e-9) if fast else self.world.step()
        time_ns = self.time_ns
        if time_ns - self._clock_ns >= CLOCK_PERIOD_NS:
            self._clock_ns = time_ns
            self._clock_out.publish(Clock(clock=convert.to_stamp(time_ns)))
        for event in events:
            payload = event.payload
            if self._offset_ns:
                payload = replace(payload, stamp_ns=payload.stamp_ns + self._offset_ns)
            self.vehicles[event.robot].publish(payload)
        for vehicle in self.vehicles.values():
            vehicle.marks.tell(self.world.truth(vehicle.name), time_ns)
            if time_ns - vehicle.truth_ns >= TRUTH_PERIOD_NS:
                vehicle.truth_ns = time_ns
                truth = replace(self.world.truth(vehicle.name), stamp_ns=time_ns)
                child = f"{vehicle.name}/truth/base_link"
                vehicle.truth.publish(convert.odometry_message(truth, MAP_FRAME, child))
        period_ns = KEEP_WARPED_NS if fast else KEEP_PERIOD_NS
        if fast is not self._kept_fast or time_ns - self._kept_ns >= period_ns:
            self._kept_ns, self._kept_fast = time_ns, fast
            self._keep()
        if time.monotonic() - self._diagnosed_s >= 1.0:
            self._diagnose(time_ns)

    def _diagnose(self, time_ns: int) -> None:
        now_s = time.monotonic()
        factor = 0.0
        if self._diagnosed_s:
            factor = (time_ns - self._diagnosed_ns) * 1e-9 / (now_s - self._diagnosed_s)
        self._diagnosed_s, self._diagnosed_ns = now_s, time_ns
        started_s = self._first_wall_s if self._first_wall_s is not None else now_s
        values = {
            "real_time_factor": f"{factor:.3f}",
            "wall_s": f"{now_s - started_s:.3f}",
            "simulated_s": f"{time_ns * 1e-9:.3f}",
            "time_warp": self.warp.said(time_ns),
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
