"""Command gate node: the last word before the actuators, always a process of its own."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import OccupancyGrid, Odometry
from std_srvs.srv import SetBool

from ilrs_robots.core.control.gate import CommandGate, GateConfig, GateDecision
from ilrs_robots.core.types import VelocityCommand
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.robots.periods import GATE_PERIOD_NS
from ilrs_robots.robots.site import load_placement
from ilrs_robots.robots.steps import base_frame, gate_config_of

CLOCK_PERIOD_S = 0.5
"""How often (wall time) the gate looks whether simulated time goes on."""


class CommandGateNode(ManagedNode):
    """Passes on the command of the source in charge, or zero with the reason."""

    def __init__(self) -> None:
        super().__init__("command_gate")

    def setup(self) -> None:
        """Subscribe to commands and to what the gate judges them by."""
        model = load_placement(self.site_name, self.robot).load_model()
        self._node_clock = NodeClock(self)
        cfg = self.tunable(
            "gate",
            gate_config_of(model),
            self._use,
            check=lambda c: model.limits.refuse_faster("gate", c),
        )
        self._gate = CommandGate(cfg)
        self._kept = KeptState.of(self, f"{self.robot}.gate")
        if (self._kept.load() or {}).get("estop"):
            self._gate.set_estop(True)
            self.get_logger().warning("emergency stop: still set from before the restart")
        self._reason = ""
        self._out = self.publisher(TwistStamped, "cmd_vel", qos.COMMAND)
        for source in ("nav", "teleop"):
            self.subscribe(TwistStamped, f"cmd_vel_{source}", self._receiver(source), qos.COMMAND)
        self.subscribe(Odometry, "odom", self._on_odom, qos.STATE)
        self.subscribe(OccupancyGrid, "traversability", self._on_map, qos.MAP)
        self.service(SetBool, "estop", self._on_estop)
        self._node_clock.timer(GATE_PERIOD_NS * 1e-9, self._tick)
        if self._node_clock.simulated:
            self._node_clock.steady_timer(CLOCK_PERIOD_S, self._mind_clock)

    def _use(self, cfg: GateConfig) -> None:
        self._gate.config = cfg

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say why the gate is shut."""
        return (OK, "open", {}) if not self._reason else (WARN, self._reason, {})

    def _receiver(self, source: str) -> Any:
        def receive(msg: TwistStamped) -> None:
            self._gate.on_command(source, convert.velocity_command(msg))

        return receive

    def _on_odom(self, msg: Odometry) -> None:
        self._gate.on_pose(convert.to_ns(msg.header.stamp))

    def _on_map(self, msg: OccupancyGrid) -> None:
        self._gate.on_map(convert.to_ns(msg.header.stamp))

    def _on_estop(self, request: Any, response: Any) -> Any:
        self._gate.set_estop(request.data)
        self._kept.save({"estop": bool(request.data)})
        response.success = True
        response.message = "stopped until released" if request.data else "released"
        self.get_logger().warning(f"emergency stop: {response.message}")
        self._tick()
        return response

    def _tick(self) -> None:
        now_ns = self.now_ns()
        self._send(self._gate.output(now_ns), now_ns)

    def _mind_clock(self) -> None:
        """Stop the vehicle when simulated time stops: the gate's own timer stops with it."""
        now_ns = self.now_ns()
        trouble = self._node_clock.trouble(now_ns)
        if trouble:
            self._send(self._gate.stand(trouble), now_ns)

    def _send(self, decision: GateDecision, now_ns: int) -> None:
        if decision.reason != self._reason and decision.reason:
            self.get_logger().info(f"gate shut: {decision.reason}", throttle_duration_sec=2.0)
        self._reason = decision.reason
        command = VelocityCommand(now_ns, decision.linear_mps, decision.angular_rps)
        self._out.publish(convert.twist_message(command, base_frame(self.robot)))
