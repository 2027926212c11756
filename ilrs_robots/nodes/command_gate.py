"""Command gate node: the last word before the actuators, always a process of its own."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import OccupancyGrid, Odometry
from sensor_msgs.msg import BatteryState
from std_msgs.msg import Bool
from std_srvs.srv import SetBool

from ilrs_robots.core.control import ground_guard
from ilrs_robots.core.control.gate import CommandGate, GateConfig, GateDecision
from ilrs_robots.core.errors import IlrsError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.fleet import FleetEars
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.robots.fleet import memory_of
from ilrs_robots.robots.frames import base_frame
from ilrs_robots.robots.map_topics import HEIGHTS_TOPIC
from ilrs_robots.robots.periods import GATE_PERIOD_NS
from ilrs_robots.robots.settings import gate_config_of, guard_of
from ilrs_robots.robots.site import read_site

_UNIT_TOLERANCE = 0.05
CLOCK_PERIOD_S = 0.5
"""How often (wall time) the gate looks whether simulated time goes on."""
NOT_KEPT = "the disk of state_dir refuses the emergency stop: it will not outlive a restart"


class CommandGateNode(ManagedNode):
    """Passes on the command of the source in charge, or zero with the reason."""

    def __init__(self) -> None:
        super().__init__("command_gate")

    def setup(self) -> None:
        """Subscribe to commands and to what the gate judges them by."""
        site = read_site(self.site_name)
        model = site.robot(self.robot).load_model()
        self._node_clock = NodeClock(self)
        cfg = self.tunable(
            "gate",
            gate_config_of(model),
            self._use,
            check=lambda c: model.limits.refuse_faster("gate", c),
        )
        ground_guard.warm_up()
        self._guard = guard_of(model, cfg)
        self._gate = CommandGate(cfg, self._guard)
        self._kept = KeptState.of(self, f"{self.robot}.gate")
        if (self._kept.load() or {}).get("estop"):
            self._gate.set_estop(True)
            self.get_logger().warning("emergency stop: still set from before the restart")
        # a file that is there can be written over on a full disk
        self._is_kept = self._kept.save({"estop": self._gate.estop})
        self._fleet = None
        if len(site.robots) > 1:
            self._fleet = FleetEars(self, memory_of(site, self.robot))
        self._decision = GateDecision(0.0, 0.0, "")
        self._told: str | None = None
        self._status = self.publisher(DiagnosticStatus, "gate_status", qos.MAP)
        self._out = self.publisher(TwistStamped, "cmd_vel", qos.COMMAND)
        for source in ("nav", "teleop"):
            self.subscribe(TwistStamped, f"cmd_vel_{source}", self._receiver(source), qos.COMMAND)
        self.subscribe(Odometry, "odom", self._on_odom, qos.STATE)
        self.subscribe(OccupancyGrid, "traversability", self._on_map, qos.MAP)
        self.subscribe(GridMap, HEIGHTS_TOPIC, self._on_heights, qos.MAP)
        self.subscribe(BatteryState, "battery", self._on_battery, qos.STATE)
        self.subscribe(Bool, "link", self._on_link, qos.STATE)
        self.service(SetBool, "estop", self._on_estop)
        self._node_clock.timer(GATE_PERIOD_NS * 1e-9, self._tick)
        if self._node_clock.simulated:
            self._node_clock.steady_timer(CLOCK_PERIOD_S, self._mind_clock)

    def _use(self, cfg: GateConfig) -> None:
        self._gate.reconfigure(cfg)

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say why the gate is shut, or what limits what passes; and what was refused so far."""
        now = self._decision
        values: dict[str, object] = {} if self._fleet is None else self._fleet.values()
        values |= {f"refused_{why}": n for why, n in self._gate.refused.items()}
        if now.reason:
            return WARN, now.reason, values | {"kind": now.kind}
        if not self._is_kept:
            return WARN, NOT_KEPT, values
        return OK, f"open, limited by {now.limited}" if now.limited else "open", values

    def _receiver(self, source: str) -> Any:
        def receive(msg: TwistStamped) -> None:
            self._gate.on_command(source, convert.velocity_command(msg))

        return receive

    def _on_odom(self, msg: Odometry) -> None:
        place, turn = msg.pose.pose.position, msg.pose.pose.orientation
        quat = np.array([turn.w, turn.x, turn.y, turn.z])
        size = float(np.linalg.norm(quat))
        if not abs(size - 1.0) < _UNIT_TOLERANCE:
            self._gate.refused["pose_without_attitude"] += 1
            return
        if not (math.isfinite(place.x) and math.isfinite(place.y)):
            self._gate.refused["pose_not_finite"] += 1
            return
        stamp_ns, yaw = convert.to_ns(msg.header.stamp), se3.yaw_of(quat / size)
        self._gate.on_pose(stamp_ns)
        self._guard.on_pose(place.x, place.y, yaw)
        if self._fleet is not None:
            self._fleet.own.on_odom(stamp_ns, place.x, place.y, yaw)

    def _on_map(self, msg: OccupancyGrid) -> None:
        cost = convert.occupancy_cost(msg)  # a map that cannot be read does not count as fresh
        self._guard.on_cost(*cost)
        self._gate.on_map(convert.to_ns(msg.header.stamp))

    def _on_heights(self, msg: GridMap) -> None:
        try:
            layers, spec = convert.grid_map_layers(msg)
            heights = Heights(spec, layers["elevation"], layers.get("upper_bound"))
        except (IlrsError, KeyError) as error:
            self.get_logger().warning(f"heights not used: {error}", throttle_duration_sec=5.0)
            return
        self._guard.on_heights(heights, convert.to_ns(msg.header.stamp))

    def _on_battery(self, msg: BatteryState) -> None:
        self._gate.supply.on_battery(convert.to_ns(msg.header.stamp), float(msg.percentage))

    def _on_link(self, msg: Bool) -> None:
        self._gate.supply.on_link(self.now_ns(), bool(msg.data))

    def _on_estop(self, request: Any, response: Any) -> Any:
        self._gate.set_estop(request.data)
        self._is_kept = self._kept.save({"estop": bool(request.data)})
        response.success = True
        response.message = "stopped until released" if request.data else "released"
        if not self._is_kept:
            response.message += f"; {NOT_KEPT}"
        self.get_logger().warning(f"emergency stop: {response.message}")
        self._tick()
        return response

    def _tick(self) -> None:
        begin, now_ns = perf_counter(), self.now_ns()
        if self._fleet is not None:
            self._guard.others = self._fleet.own.discs_in_odom(self._fleet.memory, now_ns)
        self._send(self._gate.output(now_ns), now_ns)
        self.latency.add(perf_counter() - begin)

    def _mind_clock(self) -> None:
        """Stop the vehicle when simulated time stops: the gate's own timer stops with it."""
        now_ns = self.now_ns()
        trouble = self._node_clock.trouble(now_ns)
        if trouble:
            self._send(self._gate.stand(trouble), now_ns)

    def _send(self, decision: GateDecision, now_ns: int) -> None:
        before, self._decision = self._decision, decision
        if decision.reason != before.reason and decision.reason:
            self.get_logger().info(f"gate shut: {decision.reason}", throttle_duration_sec=2.0)
        if decision.kind != self._told:
            self._told = decision.kind
            self._tell(decision)
        command = VelocityCommand(now_ns, decision.linear_mps, decision.angular_rps)
        self._out.publish(convert.twist_message(command, base_frame(self.robot)))

    def _tell(self, decision: GateDecision) -> None:
        """Say to whom it may concern what shuts the gate, when that changes."""
        msg = DiagnosticStatus(name=f"{self.robot}/command_gate", message=decision.reason)
        msg.level = WARN if decision.reason else OK
        msg.values = [KeyValue(key="kind", value=decision.kind)]
        self._status.publish(msg)
