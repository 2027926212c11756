"""A soft spot holds a vehicle whose wheels turn; it is seen, and the vehicle gets out."""

from __future__ import annotations

import numpy as np
import pytest

from ilrs_robots.core.control.entrapment import MotionEvidence, SlipWindow
from ilrs_robots.core.control.navigator import (
    Navigator,
    NavigatorConfig,
    NavigatorError,
    NavigatorState,
)
from ilrs_robots.core.geometry.se3 import yaw_of
from ilrs_robots.core.types import Cloud, GridSpec, JointSample, VelocityCommand
from ilrs_robots.robots.perception import Perception
from ilrs_robots.robots.settings import limits_of
from ilrs_robots.robots.site import load_site
from ilrs_robots.robots.slip_step import SlipStep
from ilrs_robots.sim.analytic import hills, plane
from ilrs_robots.sim.config import SimConfig
from ilrs_robots.sim.lockstep import Lockstep
from ilrs_robots.sim.soft_ground import SoftSpot

pytestmark = pytest.mark.sim


class Trapped:
    """Simulator and navigator; the pose is what the wheels reckon, motion is seen as it is."""

    def __init__(self, world, model):
        self.world, self.x_m, self.last_ns = world, 0.0, 0
        self.navigator = Navigator(NavigatorConfig(), limits_of(model))
        self.cost = np.zeros((240, 240), np.float32)
        self.spec = GridSpec(-11.9, -11.9, 0.1, 240, 240)
        self.radius_m, self.at = model.wheels.radius_m, world.truth("rover").position_m[0]
        self.turned = self._angle()
        self.fastest_back = self.slip = 0.0
        self.reasons = []

    def _angle(self):
        angles = self.world.joint_angles("rover")
        return float(np.mean([a for n, a in angles.items() if n.endswith("_wheel")]))

    def run(self, seconds):
        for k in range(round(10 * seconds)):
            now_ns, truth = self.world.time_ns, self.world.truth("rover")
            if k % 10 == 0:
                self.navigator.on_traversability(self.cost, self.spec, np.eye(4), now_ns)
            turned, rolled = self._angle(), 0.0
            rolled, self.turned = self.radius_m * (turned - self.turned), turned
            self.x_m += rolled
            moved, self.at = truth.position_m[0] - self.at, truth.position_m[0]
            self.navigator.on_motion(MotionEvidence(self.last_ns, now_ns, rolled, moved))
            self.last_ns = now_ns
            yaw = yaw_of(truth.quat_wxyz)
            out = self.navigator.step(now_ns, self.x_m, truth.position_m[1], yaw, 10.0 * rolled)
            self.reasons.append(out.reason)
            if out.reason.startswith("trapped, stopped"):
                self.slip = float(self.world.evaluation("rover").wheel_slip.min())
                self.held_m = self.at
            if "backing out" in out.reason:
                self.fastest_back = max(self.fastest_back, -out.v)
            if out.state in (NavigatorState.FAILED, NavigatorState.REACHED):
                return out
            if any("free again" in reason for reason in self.reasons):
                return out
            for _ in range(5):
                self.world.command("rover", VelocityCommand(self.world.time_ns, out.v, out.w))
                self.world.step()
        return out


def test_a_trapped_vehicle_stops_and_backs_out_along_its_track(make_world, model):
    trap = Trapped(make_world(plane(), soft_spots=(SoftSpot(3.7, 0.0, 2.5),)), model)
    trap.navigator.set_goal(9.0, 0.0)
    trap.run(60.0)
    assert any("trapped, stopped: the wheels lost" in reason for reason in trap.reasons)
    assert "free again" in trap.reasons[-1]
    assert trap.fastest_back <= trap.navigator.config.entrapment.back_mps + 1e-9
    assert trap.slip > 0.8, "of every wheel, in truth"
    assert trap.at < trap.held_m - trap.navigator.config.entrapment.back_m + 0.1


def test_one_that_does_not_come_out_asks_for_help(make_world, model):
    spot = SoftSpot(0.0, 0.0, 4.0, rut_share=1.0)
    trap = Trapped(make_world(plane(), soft_spots=(spot,)), model)
    trap.navigator.set_goal(9.0, 0.0)
    out = trap.run(90.0)
    assert out.state is NavigatorState.FAILED
    assert out.error_code is NavigatorError.TRAPPED
    assert out.reason.endswith("help is needed")
    assert abs(trap.at) < 1.0


def test_scans_see_slip_that_wheel_odometry_does_not(make_world, model):
    """The lidar of the simulator, the vehicle's own dead reckoning, and nothing of the truth."""
    world = make_world(hills(0.4), lidar=True, soft_spots=(SoftSpot(3.2, 0.0, 2.4),))
    truth = world.truth("rover")
    start = np.eye(4)
    start[:3, 3] = truth.position_m
    senses = Perception(model, "rover", start)
    slip, window, worst = SlipStep(model, "rover"), SlipWindow(0.5), 0.0
    for k in range(round(8.0 / world.config.exchange_s)):
        world.command("rover", VelocityCommand(world.time_ns, 0.4, 0.0))
        for event in world.step():
            if isinstance(event.payload, Cloud):
                slip.add(event.payload)
            else:
                senses.feed(event.payload)
            if isinstance(event.payload, JointSample):
                slip.on_joints(event.payload)
        if senses.odometry is None or k % 5:
            continue
        for span in slip.process(senses.tree, world.time_ns):
            window.add(span)
        if world.time_ns < 2_500_000_000 and window.full:
            worst = max(worst, abs(window.slip))
    assert worst < 0.25, "on firm ground the wheels are believed"
    assert window.slip > 0.7
    went = world.truth("rover").position_m[0] - truth.position_m[0]
    assert senses.T_map_base()[0, 3] > truth.position_m[0] + went + 0.2, (
        "without scans it is fooled"
    )


@pytest.mark.soak
@pytest.mark.timeout(700)
def test_a_whole_vehicle_gets_out_and_goes_round():
    site, terrain = load_site("shackleton")
    run = Lockstep(
        site, terrain, "long_range", 1, SimConfig(soft_spots=(SoftSpot(5.0, 0.0, 3.0),))
    )
    reasons = []

    def note(progress):
        if progress.state.navigation is not None:
            reasons.append(progress.state.navigation.reason)

    result = run.drive((12.0, 0.0), 150.0, note)
    assert any("free again" in reason for reason in reasons)
    assert result.outcome == "reached", result.reason
