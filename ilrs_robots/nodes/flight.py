"""Flight node: a hopper's senses to thrust, goals to hops. Thin: the executive is ROS-free."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.qos import QoSProfile
from sensor_msgs.msg import BatteryState, FluidPressure, Imu, JointState, PointCloud2, Range
from std_srvs.srv import SetBool

from ilrs_robots.core import warm
from ilrs_robots.core.clock import other_clock
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.planning.hop_types import HopRefusedError
from ilrs_robots.core.planning.route_ground import KeepOut
from ilrs_robots.core.types import FloatArray, ThrusterCommand
from ilrs_robots.nodes import convert, hop_convert, qos
from ilrs_robots.nodes.flight_output import FlightOutput
from ilrs_robots.nodes.goal_server import GoalServerNode
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import ERROR, OK, WARN
from ilrs_robots.nodes.missions import INVALID_GOAL, PREEMPTED
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.nodes.parameters import declare
from ilrs_robots.robots.frames import MAP_FRAME
from ilrs_robots.robots.gazebo.structures import structure_reach_m
from ilrs_robots.robots.hop_checks import supplies_of
from ilrs_robots.robots.hop_clock import Sample
from ilrs_robots.robots.hop_flight import HopFlight
from ilrs_robots.robots.hop_flight_types import (
    FlightPhase,
    HopError,
    HopFlightConfig,
    HopOutcome,
    HopStatus,
)
from ilrs_robots.robots.hop_report import flight_values
from ilrs_robots.robots.hop_stay import SiteStay
from ilrs_robots.robots.hop_step import START_SIGMA_M, HopStep
from ilrs_robots.robots.model import require_hopper
from ilrs_robots.robots.site import initial_pose, load_prior

if TYPE_CHECKING:
    from ilrs_robots.core.geometry.transform_tree import TransformTree
    from ilrs_robots.nodes.transforms import TransformListener

FEEDBACK_PERIOD_NS: Final = 500_000_000
KEEP_PERIOD_NS: Final = 200_000_000
KELVIN_AT_0_C: Final = 273.15
_NEVER_NS = -(10**18)
_CODES: Final = {HopOutcome.REFUSED: HopError.REFUSED, HopOutcome.LOST: HopError.LOST}


@dataclass
class _Progress:
    """What a mission's feedback says."""

    eta_s: float
    distance_remaining_m: float
    recoveries: int
    path_xy_m: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))


class FlightNode(GoalServerNode):
    """Runs the executive of a hopper once per control period of its inertial unit's stamps.

    It steps on inertial samples, not on a timer: without them there is no command, and the
    actuator end lands by itself.
    """

    busy_code = int(HopError.REFUSED)

    def __init__(self, listener: TransformListener) -> None:
        super().__init__("flight")
        self._listener = listener

    def setup(self) -> None:
        """Load robot and prior terrain, compile, subscribe."""
        site, prior = load_prior(self.site_name, seed=self.seed)
        placement = site.robot(self.robot)
        self._model = require_hopper(placement.load_model(), "a flight")
        self._prior = prior
        self._node_clock = NodeClock(self)
        self._cfg = declare(self, "flight", HopFlightConfig())
        warm.hopping()
        warm.power()
        pose = initial_pose(placement, prior)
        simulated = self._node_clock.simulated
        self._step = HopStep(self._model, self.robot, pose, prior, self._cfg, simulated)
        self._kept = KeptState.of(self, f"{self.robot}.flight")
        self._keep_outs = tuple(
            KeepOut(s.kind, s.x_m, s.y_m, structure_reach_m(s.kind)) for s in site.structures
        )
        self._stays = SiteStay(site, prior, self._model, self._cfg.stay, simulated)
        self._estop = False
        self._take_up()
        self._imu_ns: int | None = None
        self._feedback_ns = self._keep_ns = _NEVER_NS
        self._begun_ns = 0
        self._aimed: HopStatus | None = None
        self._out = FlightOutput(self, self._model, pose)
        listen: tuple[tuple[Any, str, Callable[[Any], Sample], QoSProfile], ...] = (
            (JointState, "joint_states", convert.joint_sample, qos.STREAM),
            (Imu, "star_tracker/attitude", convert.attitude_sample, qos.STATE),
            (Range, "altimeter/range", hop_convert.altimeter_sample, qos.STREAM),
            (FluidPressure, "tank/pressure", hop_convert.tank_sample, qos.STATE),
        )
        for kind, topic, of, profile in listen:
            self.subscribe(kind, topic, self._feeder(of), profile)
        self.subscribe(Imu, "imu/data", self._on_imu, qos.STREAM)
        self.subscribe(PointCloud2, "lidar/points", self._on_scan, qos.SENSOR)
        self.subscribe(BatteryState, "battery", self._on_battery, qos.STATE)
        self.subscribe(PoseStamped, "goal_pose", self.on_goal_pose, qos.STATE)
        self.subscribe(PoseWithCovarianceStamped, "initialpose", self._on_place, qos.STATE)
        self.service(SetBool, "estop", self._on_estop)

    def _take_up(self) -> None:
        """What the last life has kept: where it stood, and whether it was stopped."""
        kept = self._kept.load()
        if kept is None:
            return
        try:
            self.get_logger().warning(self._step.resume(kept))
            self._estop = bool(kept.get("estop"))
        except (KeyError, TypeError, ValueError) as error:
            self.get_logger().error(f"the kept place is damaged and not used: {error}")
        if self._estop:
            self.get_logger().warning("emergency stop: still set from before the restart")

    def pause(self) -> None:
        """End the goal; without commands the actuator end lands what flies."""
        self.end_mission("abort", PREEMPTED, "the flight node was deactivated")

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say what it does, what it holds, and whether it knows where it is."""
        flight, now_ns = self._step.flight, self.now_ns()
        trouble = self._node_clock.trouble(now_ns)
        if not trouble and self._imu_ns is not None:
            trouble = other_clock("imu/data", self._imu_ns, now_ns)
        if flight is None:
            return WARN, trouble or "waits until it stands on its feet", {}
        values = flight_values(flight)
        status = flight.status
        if trouble:
            return WARN, trouble, values
        if status is not None and status.outcome is HopOutcome.LOST:
            return ERROR, f"lost: {status.reason}", values
        known = flight.localization.health(flight.localization.state.stamp_ns)
        if not known.good:
            return WARN, known.reason, values
        if flight.estopped:
            return WARN, "emergency stop: it does not launch", values
        return OK, FlightPhase.STANDING.value if status is None else status.phase.value, values

    # -- input ------------------------------------------------------------------------------
    def _feeder(self, of: Callable[[Any], Sample]) -> Callable[[Any], None]:
        return lambda msg: self._step.feed(of(msg))

    def _on_scan(self, msg: PointCloud2) -> None:
        if self._step.flight is not None and self._step.flight.looks:
            self._step.feed(convert.cloud_of(msg))

    def _on_battery(self, msg: BatteryState) -> None:
        flight = self._step.flight
        if flight is not None and math.isfinite(msg.percentage + msg.temperature):
            flight.supplies = supplies_of(
                self._model, msg.percentage, msg.temperature + KELVIN_AT_0_C, self._cfg.stay_s
            )

    def _on_imu(self, msg: Imu) -> None:
        begin = time.perf_counter()
        sample = convert.imu_sample(msg)
        self._imu_ns = sample.stamp_ns
        began, restarts = self._step.flight is not None, self._step.restarts
        self._step.feed(sample, time.monotonic_ns())
        if self._step.restarts > restarts:
            self._feedback_ns = self._keep_ns = _NEVER_NS
            self._out.forget()
            self.end_mission("abort", PREEMPTED, "simulated time was set back")
        flight = self._step.flight
        if flight is None:
            return
        if not began:
            flight.estopped, flight.keep_outs = self._estop, self._keep_outs
            flight.stays = self._stays
            self._out.begin(flight)
        due, command = self._step.step(sample.stamp_ns)
        if due:
            self._tell(flight, command, sample.stamp_ns)
            self.latency.add(time.perf_counter() - begin)

    def _tell(self, flight: HopFlight, command: ThrusterCommand | None, stamp_ns: int) -> None:
        """Odometry goes first: what the actuator end starts from belongs to the command."""
        now_ns = flight.clock.now(stamp_ns)
        self._out.motion(flight, now_ns)
        if command is not None:
            self._out.thrust(command)
        self._out.maps(flight, now_ns)
        if now_ns - self._keep_ns >= KEEP_PERIOD_NS:
            self._keep_ns = now_ns
            self._kept.save(self._step.memory())
        self._report(flight, now_ns)

    # -- goals ------------------------------------------------------------------------------
    def frames(self) -> TransformTree:
        """The process's transforms."""
        return self._listener.tree

    def mission_time_ns(self) -> int:
        """Stamp of the newest inertial sample."""
        return -1 if self._imu_ns is None else self._imu_ns

    def may_begin(self) -> str:
        """In flight nothing is taken: it has to land first."""
        flight = self._step.flight
        if flight is not None and flight.flying:
            return "it is in flight: a goal is taken on the ground"
        return ""

    def aim_at(self, x_m: float, y_m: float, yaw_rad: float) -> None:
        """Plan a hop; it launches once it has stood long enough. The heading is kept as it is."""
        del yaw_rad
        flight = self._step.flight
        if flight is None or self._imu_ns is None:
            raise HopRefusedError("busy", "it does not stand on its feet yet")
        if flight.estopped:
            raise HopRefusedError("busy", "emergency stop: it does not launch")
        mission = self.mission
        between = mission is not None and mission.index + 1 < len(mission.poses)
        self._aimed = flight.set_goal(x_m, y_m, self._imu_ns, between)
        if flight.profile is not None:
            self._out.arc(flight.profile, self._imu_ns)

    def drop_goal(self) -> None:
        """No launch; what flies lands, without anybody waiting for it."""
        self._aimed = None
        if self._step.flight is not None:
            self._step.flight.cancel()

    def code_of(self, error: IlrsError) -> int:
        """Refusals have a code of their own, besides goals that cannot be understood."""
        return int(HopError.REFUSED) if isinstance(error, HopRefusedError) else INVALID_GOAL

    def on_cancel_request(self) -> None:
        """The goal ends when the vehicle stands, which may be after a landing."""
        flight = self._step.flight
        if flight is None or self._aimed is None:
            self.end_mission("canceled", 0, "cancelled: not launched")
        else:
            flight.cancel()

    def _report(self, flight: HopFlight, now_ns: int) -> None:
        mission, status = self.mission, self._aimed
        if mission is None:
            return
        if status is not None and status.outcome is not None:
            self._aimed = None
            self._conclude(status)
            return
        if mission.started_ns is None:
            self._begun_ns = now_ns
        mission.started_ns = flight.clock.stamp(self._begun_ns)
        if mission.waits_since_ns is not None:
            self.aim()
        elif now_ns - self._feedback_ns >= FEEDBACK_PERIOD_NS:
            self._feedback_ns = now_ns
            stamp_ns = flight.clock.stamp(now_ns)
            left = flight.time_left_s(stamp_ns)
            diverts = 0 if status is None else status.diverts
            progress = _Progress(left, 0.0, diverts)
            feedback = mission.feedback(stamp_ns, self._out.T_map_base, progress)
            if feedback is not None and mission.handle is not None:
                mission.handle.publish_feedback(feedback)

    def _conclude(self, status: HopStatus) -> None:
        self.get_logger().info(
            f"hop: {status.outcome.value} {status.reason} {'; '.join(status.notes)}"
        )
        mission, outcome = self.mission, status.outcome
        handle = None if mission is None else mission.handle
        if outcome is HopOutcome.LANDED:
            self.mission_reached()
        elif outcome is HopOutcome.CANCELLED and handle is not None and handle.is_cancel_requested:
            self.end_mission("canceled", 0, status.reason)
        elif outcome is HopOutcome.CANCELLED:
            self.end_mission("abort", int(HopError.STOPPED), status.reason)
        else:
            self.mission_missed(int(_CODES[outcome]), status.reason)

    # -- people -----------------------------------------------------------------------------
    def _on_estop(self, request: Any, response: Any) -> Any:
        self._estop = bool(request.data)
        if self._step.flight is not None:
            self._step.flight.set_estop(self._estop)
            self._kept.save(self._step.memory())
        response.success = True
        response.message = "no launch, what flies lands" if self._estop else "released"
        self.get_logger().warning(f"emergency stop: {response.message}")
        return response

    def _on_place(self, msg: PoseWithCovarianceStamped) -> None:
        """Somebody says where it stands; its heading is the stars'."""
        if msg.header.frame_id != MAP_FRAME:
            self.get_logger().error(
                f"initialpose is in frame {msg.header.frame_id!r}: it must be in {MAP_FRAME!r}"
            )
            return
        if self.may_begin():
            self.get_logger().error(f"initialpose refused: {self.may_begin()}")
            return
        pose = self._out.T_map_base.copy()
        at = msg.pose.pose.position
        height = float(self._prior.height(np.array([[at.x, at.y]]))[0])
        if not math.isfinite(height):
            self.get_logger().error(
                f"initialpose ({at.x:.1f}, {at.y:.1f}) m refused: no ground is known there"
            )
            return
        pose[:3, 3] = at.x, at.y, height
        self.end_mission("abort", PREEMPTED, "its place was set by hand")
        self._step.place_at(pose, START_SIGMA_M)
        self.get_logger().info(f"initialpose ({at.x:.1f}, {at.y:.1f}) m taken")
