"""One rover's steps chained without ROS: what lock-step runs, replay and campaigns drive.

The order and the periods are those of the nodes; only the transport is missing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.clock import ClockWatch
from ilrs_robots.core.control.gate import CommandGate, GateDecision
from ilrs_robots.core.control.navigator import NavigatorOutput
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import (
    AttitudeSample,
    Cloud,
    FloatArray,
    ImuSample,
    JointSample,
    OdometryEstimate,
    VelocityCommand,
)
from ilrs_robots.robots.model import RobotModel
from ilrs_robots.robots.periods import CONTROL_PERIOD_NS, GATE_PERIOD_NS
from ilrs_robots.robots.site import RobotPlacement, initial_pose
from ilrs_robots.robots.steps import (
    MAP_FRAME,
    LocalizationStep,
    MappingConfig,
    MappingStep,
    MapUpdate,
    NavigationStep,
    base_frame,
    dead_reckoning_config_of,
    gate_config_of,
    limits_of,
    map_config_of,
    navigator_config_of,
    new_tree,
    noises_of,
    odom_frame,
    own_boxes_of,
    traversability_config_of,
)

_NEVER_NS = -(10**18)

Sample = ImuSample | JointSample | AttitudeSample | Cloud


@dataclass(frozen=True)
class PipelineState:
    """The newest of everything, for whoever watches."""

    odometry: OdometryEstimate | None
    navigation: NavigatorOutput | None
    gate: GateDecision | None
    map_update: MapUpdate | None


class RobotPipeline:
    """Sensor samples in, gated velocity commands out."""

    def __init__(self, placement: RobotPlacement, model: RobotModel, prior: Dem) -> None:
        self.name = placement.name
        self.tree = new_tree(model, self.name)
        self._start_pose = initial_pose(placement, prior)
        self.localization = LocalizationStep(
            model, self.name, dead_reckoning_config_of(model), restart_at=self._start_pose
        )
        mapping = MappingConfig()
        self.mapping = MappingStep(
            self.name,
            limits_of(model),
            map_config_of(model),
            traversability_config_of(model),
            mapping,
            own_boxes_of(model, mapping.self_margin_m),
            noises=noises_of(model, self.name),
        )
        self.navigation = NavigationStep(model, prior, navigator_config_of(model))
        self.gate = CommandGate(gate_config_of(model))
        self._clock = ClockWatch(simulated=True)
        self._odometry: OdometryEstimate | None = None
        self._output: NavigatorOutput | None = None
        self._decision: GateDecision | None = None
        self._update: MapUpdate | None = None
        self._control_ns = self._gate_ns = _NEVER_NS

    def feed(self, sample: Sample) -> None:
        """Take one measurement; measurements come in the order of their arrival."""
        if isinstance(sample, Cloud):
            self.mapping.add(sample)
            return
        if not self.localization.started:
            if not isinstance(sample, ImuSample):
                return
            self.localization.start_level(self._start_pose, sample)
        if isinstance(sample, ImuSample):
            self.localization.on_imu(sample)
        elif isinstance(sample, AttitudeSample):
            self.localization.on_attitude(sample)
        else:
            self._on_joints(sample)

    def step(self, now_ns: int) -> VelocityCommand | None:
        """Map, navigate and gate whatever is due; a command when the gate spoke.

        Time that is set back begins another run: transforms, map and pose start anew.
        """
        if self._clock.went_back_ns(now_ns):
            self.tree.clear()
            self._odometry = None
            self._control_ns = self._gate_ns = _NEVER_NS
        self._map(now_ns)
        if self._odometry is not None and now_ns - self._control_ns >= CONTROL_PERIOD_NS:
            self._control_ns = now_ns
            estimate = self._odometry
            self._output = self.navigation.step(
                estimate.stamp_ns, self.T_map_base(), float(estimate.linear_mps[0])
            )
            command = VelocityCommand(estimate.stamp_ns, self._output.v, self._output.w)
            self.gate.on_command("nav", command)
        if now_ns - self._gate_ns < GATE_PERIOD_NS:
            return None
        self._gate_ns = now_ns
        self._decision = self.gate.output(now_ns)
        return VelocityCommand(now_ns, self._decision.linear_mps, self._decision.angular_rps)

    @property
    def state(self) -> PipelineState:
        """The newest of everything."""
        return PipelineState(self._odometry, self._output, self._decision, self._update)

    def T_map_base(self) -> FloatArray:  # noqa: N802 - frame notation
        """(4, 4) pose of the body in ``map`` as the robot believes it.

        Raises:
            RuntimeError: before the first odometry.
        """
        if self._odometry is None:
            raise RuntimeError("no odometry yet")
        estimate = self._odometry
        T_odom_base = se3.make_transform(estimate.position_m, estimate.quat_wxyz)
        return self.localization.T_map_odom @ T_odom_base

    def digest(self) -> str:
        """Hash of map and pose: equal runs give equal digests, to the byte."""
        digest = hashlib.sha256()
        for name, array in sorted(self.mapping.map.to_arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        if self._odometry is not None:
            digest.update(self._odometry.position_m.tobytes())
            digest.update(self._odometry.quat_wxyz.tobytes())
        return digest.hexdigest()

    def _on_joints(self, sample: JointSample) -> None:
        estimate = self.localization.on_joints(sample)
        if estimate is None:
            return
        self._odometry = estimate
        odom = odom_frame(self.name)
        map_odom = se3.split_transform(self.localization.T_map_odom)
        self.tree.set(MAP_FRAME, odom, estimate.stamp_ns, *map_odom)
        self.tree.set(
            odom, base_frame(self.name), estimate.stamp_ns, estimate.position_m, estimate.quat_wxyz
        )
        self.gate.on_pose(estimate.stamp_ns)
        self.mapping.on_odometry(estimate.stamp_ns, estimate.pose_covariance)

    def _map(self, now_ns: int) -> None:
        updates = self.mapping.process(self.tree, now_ns)
        if not updates:
            return
        self._update = updates[-1]
        layers, spec = self.mapping.traversability()
        stamp_ns = self._update.stamp_ns
        self.navigation.on_traversability(
            layers.cost, spec, self.localization.T_map_odom, stamp_ns
        )
        self.gate.on_map(stamp_ns)
