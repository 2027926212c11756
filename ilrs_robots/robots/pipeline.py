"""One rover's steps chained without ROS: what lock-step runs, replay and campaigns drive.

The order and the periods are those of the nodes; only the transport is missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ilrs_robots.core.clock import ClockWatch
from ilrs_robots.core.control.fleet import PeerWord
from ilrs_robots.core.control.gate import CommandGate, GateDecision
from ilrs_robots.core.control.navigator import NavigatorOutput
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    Cloud,
    FloatArray,
    JointSample,
    OdometryEstimate,
    VelocityCommand,
)
from ilrs_robots.robots.fleet import masks_of, word_of
from ilrs_robots.robots.marks import KnownMarks
from ilrs_robots.robots.model import RobotModel, require_rover
from ilrs_robots.robots.perception import Perception, Sample
from ilrs_robots.robots.periods import CONTROL_PERIOD_NS, GATE_PERIOD_NS
from ilrs_robots.robots.site import RobotPlacement, SiteConfig, initial_pose
from ilrs_robots.robots.steps import (
    LocalizationStep,
    MapUpdate,
    NavigationStep,
    gate_config_of,
    guard_of,
    navigator_config_of,
)

_NEVER_NS = -(10**18)


@dataclass(frozen=True)
class PipelineState:
    """The newest of everything, for whoever watches."""

    odometry: OdometryEstimate | None
    navigation: NavigatorOutput | None
    gate: GateDecision | None
    map_update: MapUpdate | None


class RobotPipeline:
    """Sensor samples in, gated velocity commands out."""

    def __init__(
        self,
        placement: RobotPlacement,
        model: RobotModel,
        prior: Dem,
        marks: KnownMarks | None = None,
        site: SiteConfig | None = None,
    ) -> None:
        self.name = placement.name
        require_rover(model, "autonomy")
        start = initial_pose(placement, prior)
        self.senses = Perception(model, self.name, start, prior=prior, marks=marks)
        self.tree, self.mapping = self.senses.tree, self.senses.mapping
        self.navigation = NavigationStep(model, prior, navigator_config_of(model), self.name, site)
        if self.navigation.fleet is not None:
            self.mapping.others = self._others
        gate = gate_config_of(model)
        self._guard = guard_of(model, gate)
        self.gate = CommandGate(gate, self._guard)
        self._clock = ClockWatch(simulated=True)
        self._output: NavigatorOutput | None = None
        self._decision: GateDecision | None = None
        self._update: MapUpdate | None = None
        self._control_ns = self._gate_ns = _NEVER_NS

    def _others(self, stamp_ns: int) -> FloatArray:
        assert self.navigation.fleet is not None
        return masks_of(self.navigation.fleet, stamp_ns, self.senses.T_map_odom)

    def word(self) -> PeerWord | None:
        """What the vehicle tells the others of itself; None before the first odometry."""
        estimate = self.senses.odometry
        if estimate is None:
            return None
        T_map_base = self.T_map_base()
        covariance = estimate.pose_covariance
        return word_of(estimate.stamp_ns, T_map_base, estimate.linear_mps, covariance)

    def feed(self, sample: Sample) -> None:
        """Take one measurement; measurements come in the order of their arrival."""
        estimate = self.senses.feed(sample)
        if isinstance(sample, Cloud):
            self.navigation.on_cloud(sample)
        elif isinstance(sample, JointSample):
            self.navigation.on_joints(sample)
        if estimate is not None:
            self.gate.on_pose(estimate.stamp_ns)
            x, y = (float(v) for v in estimate.position_m[:2])
            self._guard.on_pose(x, y, se3.yaw_of(estimate.quat_wxyz))

    def step(self, now_ns: int) -> VelocityCommand | None:
        """Map, navigate and gate whatever is due; a command when the gate spoke.

        Time that is set back begins another run: transforms, map and pose start anew.
        """
        if self._clock.went_back_ns(now_ns):
            self.senses.forget()
            self.navigation.forget()
            self._control_ns = self._gate_ns = _NEVER_NS
        self._map(now_ns)
        estimate = self.senses.odometry
        if estimate is not None and now_ns - self._control_ns >= CONTROL_PERIOD_NS:
            self._control_ns = now_ns
            self.navigation.look(self.tree, now_ns)
            self._output = self.navigation.step(
                estimate.stamp_ns, self.T_map_base(), float(estimate.linear_mps[0])
            )
            command = VelocityCommand(estimate.stamp_ns, self._output.v, self._output.w)
            self.gate.on_command("nav", command)
        if now_ns - self._gate_ns < GATE_PERIOD_NS:
            return None
        self._gate_ns = now_ns
        if self.navigation.fleet is not None:
            fleet, T_map_odom = self.navigation.fleet, self.senses.T_map_odom
            self._guard.others = masks_of(fleet, now_ns, T_map_odom, 0.0)
        self._decision = self.gate.output(now_ns)
        self.navigation.navigator.on_gate(self._decision.kind, self._decision.reason)
        return VelocityCommand(now_ns, self._decision.linear_mps, self._decision.angular_rps)

    @property
    def localization(self) -> LocalizationStep:
        """The step that reckons the pose."""
        step = self.senses.localization
        assert step is not None
        return step

    @property
    def state(self) -> PipelineState:
        """The newest of everything."""
        return PipelineState(self.senses.odometry, self._output, self._decision, self._update)

    def T_map_base(self) -> FloatArray:  # noqa: N802 - frame notation
        """(4, 4) pose of the body in ``map`` as the robot believes it.

        Raises:
            RuntimeError: before the first odometry.
        """
        return self.senses.T_map_base()

    def digest(self) -> str:
        """Hash of map and pose: equal runs give equal digests, to the byte."""
        return self.senses.digest()

    def _map(self, now_ns: int) -> None:
        updates = self.senses.map(now_ns)
        if not updates:
            return
        self._update = updates[-1]
        layers, spec = self.mapping.traversability()
        stamp_ns = self._update.stamp_ns
        self.navigation.on_traversability(
            layers.cost, spec, self.localization.T_map_odom, stamp_ns
        )
        self.gate.on_map(stamp_ns)
        self._guard.on_cost(layers.cost, spec)
        ground = self.mapping.map
        heights = Heights(ground.spec, ground.layer("elevation"), ground.layer("upper_bound"))
        self._guard.on_heights(heights, stamp_ns)
        T_map_odom = self.localization.T_map_odom
        self.navigation.navigator.on_heights(replace(heights, T_pose_grid=T_map_odom))
