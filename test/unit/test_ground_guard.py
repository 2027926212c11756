"""The gate holds commands against the ground: cliffs, rocks, tilt, the unseen; assistance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.control.assist import TURN_WEIGHT, closest_safe
from ilrs_robots.core.control.gate import CommandGate, GateDecision
from ilrs_robots.core.control.ground_guard import GroundGuard
from ilrs_robots.core.mapping.traversability import traversability
from ilrs_robots.core.planning.attitude_prediction import Heights
from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import (
    gate_config_of,
    guard_of,
    limits_of,
    traversability_config_of,
)

S = 1_000_000_000
DT = 0.05
SPEC = GridSpec(-20.0, -20.0, 0.1, 401, 401)
X, Y = np.meshgrid(SPEC.x_m(), SPEC.y_m())


class Ride:
    """A vehicle that does at once what the gate says, on a map of what there is."""

    def __init__(self, robot, heights, *, seen=None, tells_heights=True, unseen=False, **gate):
        self.model = load_robot(robot)
        config = gate_config_of(self.model)
        guard = replace(config.guard, unseen=unseen)
        self.config = replace(config, guard=guard, **gate)
        self.guard = guard_of(self.model, self.config)
        self.gate = CommandGate(self.config, self.guard)
        ground = np.asarray(heights, dtype=np.float32).copy()
        if seen is not None:
            ground[~seen] = np.nan
        layers = traversability(
            ground, 0.1, limits_of(self.model), traversability_config_of(self.model)
        )
        self.cost, self.ground, self.tells_heights = layers.cost, ground, tells_heights
        self.x = self.y = self.yaw = 0.0
        self.now_ns = 0
        self.decision = GateDecision(0.0, 0.0, "")
        self.track = [(0.0, 0.0, 0.0)]

    def tell(self):
        self.gate.on_pose(self.now_ns)
        self.gate.on_map(self.now_ns)
        self.guard.on_pose(self.x, self.y, self.yaw)
        self.guard.on_cost(self.cost, SPEC)
        if self.tells_heights:
            self.guard.on_heights(Heights(SPEC, self.ground), self.now_ns)

    def drive(self, v, w, seconds, source="nav"):
        for _ in range(round(seconds / DT)):
            self.now_ns += round(DT * S)
            self.tell()
            self.gate.on_command(source, VelocityCommand(self.now_ns, v, w))
            self.decision = self.gate.output(self.now_ns)
            self.yaw += self.decision.angular_rps * DT
            self.x += self.decision.linear_mps * math.cos(self.yaw) * DT
            self.y += self.decision.linear_mps * math.sin(self.yaw) * DT
            self.track.append((self.x, self.y, self.yaw))
        return self.decision

    def furthest(self):
        """(N, 2) places of the wheels' front along the way."""
        wheels = np.array(list(self.model.wheels.positions.values()))
        made = []
        for x, y, yaw in self.track:
            turn = np.array([[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]])
            made.append(wheels @ turn.T + (x, y))
        return np.concatenate(made)


FLAT = np.zeros(SPEC.shape)
CLIFF = np.where(X > 6.0, -4.0, 0.0)
ROBOTS = ("long_range", "crewed_rover")


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("source", ["nav", "teleop"])
@pytest.mark.parametrize("w", [0.0, 0.04])
def test_commands_towards_a_cliff_stop_before_it_whoever_sends_them(robot, source, w):
    ride = Ride(robot, CLIFF, seen=X < 6.5)
    top = ride.config.max_speed_mps
    decision = ride.drive(top, w, 18.0, source)
    assert ride.furthest()[:, 0].max() < 6.0 - 0.1
    assert max(t[0] for t in ride.track) > 2.0
    if not ride.config.assist or source == "nav":
        assert (decision.linear_mps, decision.kind) == (0.0, "ground")
        assert decision.reason == f"{source} command leads to closed ground"
    stood = ride.x
    ride.drive(-0.3, 0.0, 4.0, source)
    assert math.dist((ride.x, ride.y), (stood, ride.track[-81][1])) > 0.8


class Watched(Ride):
    """A ride towards an edge at x = 6 m whose foot is seen only as the mast sees over it."""

    EDGE_M, LOOK_S = 6.0, 0.4

    def __init__(self, robot, depth_m):
        super().__init__(robot, np.where(X > self.EDGE_M, -depth_m, 0.0), seen=X <= self.EDGE_M)
        self.depth_m, self.looked_ns = depth_m, 0
        self.mast_m = self.model.lidar.position_m

    def tell(self):
        if self.now_ns - self.looked_ns >= self.LOOK_S * S:
            self.looked_ns = self.now_ns
            eye = self.x + self.mast_m[0]
            foot = self.EDGE_M + self.depth_m * max(self.EDGE_M - eye, 0.0) / self.mast_m[2]
            self.ground[(foot < X) & (X < 18.0)] = -self.depth_m
            layers = traversability(
                self.ground, 0.1, limits_of(self.model), traversability_config_of(self.model)
            )
            self.cost = layers.cost
        super().tell()


@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("depth_m", [1.0, 4.0, 8.0, 20.0])
def test_an_edge_whose_foot_is_hidden_is_not_driven_over_however_deep(robot, depth_m):
    ride = Watched(robot, depth_m)
    ride.drive(0.7, 0.0, 16.0)
    assert ride.furthest()[:, 0].max() < 6.0
    assert max(t[0] for t in ride.track) > 2.0


@pytest.mark.parametrize("wrong", ["pose", "map"])
def test_a_fresh_pose_or_map_that_nothing_can_be_read_from_lets_nothing_through(wrong):
    ride = Ride("long_range", FLAT)
    gate, guard = ride.gate, ride.guard
    for k in range(1, 20):
        now_ns = round(k * DT * S)
        gate.on_pose(now_ns)
        gate.on_map(now_ns)
        guard.on_pose(math.nan if wrong == "pose" else 0.0, 0.0, 0.0)
        if wrong == "pose":
            guard.on_cost(ride.cost, SPEC)
        gate.on_command("nav", VelocityCommand(now_ns, 0.7, 0.0))
        decision = gate.output(now_ns)
        assert decision.linear_mps == 0.0
    assert decision.reason == "no ground to judge by: pose or map cannot be read"


@given(v=st.floats(-3.5, 3.5), w=st.floats(-0.5, 0.5), before=st.floats(0.0, 3.0))
@settings(max_examples=60, deadline=None)
def test_a_stick_at_full_lock_leans_nobody_over(v, w, before):
    """Driver's and planner's: also while the speed still falls from a fast straight."""
    ride = Ride("crewed_rover", FLAT)
    ride.config = replace(ride.config, teleop_needs_map=False)
    gate = CommandGate(ride.config)
    limit = ride.model.limits.max_lateral_mps2
    for k in range(1, 240):
        now_ns = round(k * DT * S)
        gate.on_pose(now_ns)
        command = (before, 0.0) if k < 140 else (v, w)
        gate.on_command("teleop", VelocityCommand(now_ns, *command))
        decision = gate.output(now_ns)
        assert abs(decision.linear_mps * decision.angular_rps) <= limit + 1e-9
    if abs(v) > 0.1 and abs(w) > 0.01 and abs(v) < ride.config.max_reverse_mps:
        assert decision.angular_rps / decision.linear_mps == pytest.approx(w / v, rel=1e-6)


def test_without_fresh_heights_it_creeps_and_says_so():
    """Once heights have come, their silence is not taken for level ground."""
    ride = Ride("long_range", FLAT)
    assert ride.drive(0.7, 0.0, 3.0).linear_mps == pytest.approx(0.7)
    ride.tells_heights = False
    decision = ride.drive(0.7, 0.0, 6.0)
    assert 0.05 < decision.linear_mps <= 0.1 + 1e-6
    assert decision.limited == "heights older than 3.0 s"
    ride.tells_heights = True
    assert ride.drive(0.7, 0.0, 3.0).linear_mps == pytest.approx(0.7)


@pytest.mark.parametrize("robot", ROBOTS)
def test_open_ground_changes_no_command(robot):
    rng = np.random.default_rng(2)
    rough = rng.normal(0.0, 0.01, SPEC.shape) + 0.15 * X
    ride, plain = Ride(robot, rough), Ride(robot, rough)
    plain.gate.guard = None
    for v, w in ((0.5, 0.0), (-0.3, 0.1), (0.0, 0.3), (0.4, -0.2)):
        assert ride.drive(v, w, 2.0) == plain.drive(v, w, 2.0)


def test_the_nearer_to_a_rock_the_slower_and_it_is_never_touched():
    rock = np.where(np.hypot(X - 6.0, Y - 0.3) < 0.5, 0.6, 0.0)
    ride = Ride("long_range", rock)
    speeds = []
    for _ in range(400):
        speeds.append(ride.drive(0.7, 0.0, DT).linear_mps)
    assert max(speeds) == pytest.approx(0.7)
    assert speeds[-1] == 0.0
    tallest = np.hypot(*(ride.furthest() - (6.0, 0.3)).T).min()
    assert tallest > 0.5 + 0.1
    way_left = 6.0 - 0.5 - np.array([t[0] for t in ride.track[1:]]) - 0.98
    stops_m = np.square(speeds) / (2.0 * ride.config.max_decel_mps2)
    assert np.all(stops_m < way_left)


@pytest.mark.parametrize(("across", "word"), [(False, "pitch"), (True, "roll")])
def test_predicted_tilt_over_the_limit_is_not_driven_onto(across, word):
    """The cost calls nothing closed: only the heights tell."""
    steep = math.tan(math.radians(40.0)) * np.maximum((Y if across else X) - 4.0, 0.0)
    if across:
        steep = math.tan(math.radians(40.0)) * np.where(X > 4.0, Y, 0.0)
    ride = Ride("long_range", steep)
    ride.cost = np.zeros(SPEC.shape, np.float32)
    decision = ride.drive(0.6, 0.0, 20.0)
    assert decision.kind == "ground"
    assert word in decision.reason
    assert "limit 28 deg" in decision.reason
    assert 1.5 < ride.x < 4.5
    without = Ride("long_range", steep, tells_heights=False)
    without.cost = ride.cost
    assert without.drive(0.6, 0.0, 20.0).kind == ""


def test_ground_that_was_not_seen_is_not_entered_at_speed_and_the_blind_zone_is():
    blind = np.hypot(X, Y) < 2.5
    ride = Ride("crewed_rover", FLAT, unseen=True, seen=(X < 8.0) & ~blind)
    decision = ride.drive(3.0, 0.0, 20.0)
    assert ride.x > 3.0
    assert ride.furthest()[:, 0].max() < 8.1
    assert decision.kind == "ground"
    assert "unseen" in decision.reason


def test_a_vehicle_on_closed_ground_may_leave_it():
    ride = Ride("long_range", FLAT)
    ride.cost = np.where((np.abs(X) < 1.2) & (np.abs(Y) < 1.1), 1.0, 0.0).astype(np.float32)
    ride.drive(0.5, 0.0, 10.0)
    assert ride.x > 3.0


def test_ground_that_is_called_closed_under_the_vehicle_leaves_it_the_way_it_came():
    """Stripes under wheels and belly, as a blind zone makes them: back, and nowhere else."""
    ride = Ride("long_range", FLAT)
    ride.drive(0.5, 0.0, 8.0)
    came = ride.x
    assert came > 3.0
    field = (np.abs(X - came) < 1.6) & (Y < 0.3) & (Y > -1.5) & (np.abs(X % 0.6 - 0.3) < 0.1)
    ride.cost = np.where(field, 1.0, 0.0).astype(np.float32)
    assert ride.drive(0.5, 0.0, 2.0).kind == "ground"
    share, what = ride.guard.allowed(0.0, 0.5, ride.now_ns)
    assert share < 1.0, "no wheel has been where the belly was"
    assert what == "closed ground"
    assert ride.x == pytest.approx(came, abs=0.3), "as far as the first stripe ahead"
    ride.drive(-0.3, 0.0, 9.0)
    assert ride.x < came - 1.5
    ride.drive(0.5, 0.3, 2.0)
    ride.guard.forget()
    ride.x, ride.cost = came, np.where(field, 1.0, 0.0).astype(np.float32)
    ride.tell()
    assert ride.guard.allowed(-0.3, 0.0, ride.now_ns)[0] == 0.0, "another odom, another track"


def test_gaps_in_the_map_are_crossed_and_a_map_of_nothing_is_not_driven_on():
    holes = (X > 3.0) & (X < 3.6)
    ride = Ride("long_range", FLAT, unseen=True, seen=~holes)
    ride.drive(0.6, 0.0, 15.0)
    assert ride.x > 6.0
    nothing = Ride("long_range", FLAT, unseen=True, seen=np.hypot(X, Y) > 8.0)
    assert nothing.drive(0.6, 0.0, 5.0).kind == "ground"
    assert nothing.x == 0.0
    assert nothing.drive(0.0, 0.3, 2.0).kind == ""


def test_a_joystick_stuck_at_full_speed_ends_before_the_edge_and_others_are_not_asked():
    ride = Ride("crewed_rover", CLIFF, assist=False)
    for _ in range(30):
        ride.gate.on_command("nav", VelocityCommand(ride.now_ns, 0.0, 0.0))
        ride.drive(3.0, 0.0, 1.0, "teleop")
    assert ride.furthest()[:, 0].max() < 6.0
    assert ride.decision.kind == "ground"


def test_a_guard_that_is_switched_off_lets_everything_pass():
    ride = Ride("long_range", CLIFF)
    off = replace(ride.config, guard=replace(ride.config.guard, enabled=False))
    ride.gate.reconfigure(off)
    ride.drive(0.7, 0.0, 12.0)
    assert ride.x > 6.0


# -- assistance -----------------------------------------------------------------------------------

ROCKS = np.maximum.reduce(
    [
        np.where(np.hypot(X - a, Y - b) < 0.6, 0.8, 0.0)
        for a, b in ((6, 0), (9, 4), (8, -4), (-5, 1))
    ]
)
LIMITS = (3.0, 0.35)


def standing(heights, x=0.0, y=0.0, yaw=0.0) -> GroundGuard:
    ride = Ride("crewed_rover", heights)
    ride.x, ride.y, ride.yaw = x, y, yaw
    ride.tell()
    return ride.guard


@settings(max_examples=25, deadline=None)
@given(st.floats(-2.0, 3.0), st.floats(-0.35, 0.35), st.floats(-1.5, 3.0), st.floats(-3.0, 3.0))
def test_the_command_given_is_safe_and_no_safe_one_is_much_closer(v, w, x, yaw):
    guard = GUARD
    guard.on_pose(x, 0.0, yaw)
    made_v, made_w, what = closest_safe(guard, v, w, LIMITS, 0)
    assert guard.allowed(made_v, made_w, 0)[0] > 0.98
    if guard.allowed(v, w, 0)[0] >= 1.0:
        assert (made_v, made_w, what) == (v, w, "")
        return
    assert what

    def away(a, b):
        return math.hypot((a - v) / LIMITS[0], TURN_WEIGHT * (b - w) / LIMITS[1])

    others = [(a, b) for a in np.linspace(0.0, v, 7) for b in np.linspace(-0.35, 0.35, 15)]
    safe = [away(a, b) for a, b in others if guard.allowed(a, b, 0)[0] >= 1.0]
    assert away(made_v, made_w) <= min(safe) + 0.06


GUARD = standing(ROCKS)


def test_a_driver_who_would_graze_a_rock_is_led_past_it():
    rock = np.where(np.hypot(X - 6.0, Y - 1.35) < 0.6, 0.8, 0.0)
    ride, unassisted = Ride("crewed_rover", rock), Ride("crewed_rover", rock, assist=False)
    assert ride.config.assist
    limited = {ride.drive(1.5, 0.0, DT, "teleop").limited for _ in range(160)}
    assert limited == {"", "closed ground"}
    assert np.hypot(*(ride.furthest() - (6.0, 1.35)).T).min() > 0.6 + 0.05
    assert ride.x > 7.0
    assert unassisted.drive(1.5, 0.0, 12.0, "teleop").kind == "ground"
    assert unassisted.x < 5.0


def test_only_the_operator_is_assisted():
    ride = Ride("crewed_rover", CLIFF)
    decision = ride.drive(1.5, 0.1, 20.0, "nav")
    assert decision.kind == "ground"
    assert (decision.linear_mps, decision.angular_rps) == (0.0, 0.0)
