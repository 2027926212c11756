"""A vehicle beside rocks makes room before it turns; the gate agrees with each command."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.control.ground_guard import Brakes, GroundGuard, GuardConfig
from ilrs_robots.core.control.turning_room import TurningRoom
from ilrs_robots.core.planning.footing import Footing, plane_weights
from ilrs_robots.core.types import Float32Array, FloatArray, GridSpec

SPEC = GridSpec(-5.0, -5.0, 0.1, 101, 101)
WHEELS = np.array([[1.0, 0.6], [1.0, -0.6], [-1.0, 0.6], [-1.0, -0.6]])
RING_M = math.hypot(1.0, 0.6)
Pose = tuple[float, float, float]


def footing() -> Footing:
    return Footing(WHEELS, plane_weights(WHEELS), 0.3, 0.8, 0.5)


def ground(*rocks: tuple[float, float]) -> Float32Array:
    """Level ground with rocks of three cells at places (x, y), metres."""
    cost = np.zeros(SPEC.shape, np.float32)
    for rock in rocks:
        row, col = SPEC.cell_of(np.array(rock))
        cost[row - 1 : row + 2, col - 1 : col + 2] = 1.0
    return cost


def on_ring(bearing_deg: float) -> tuple[float, float]:
    """Where a wheel passes that turns in place, at a bearing from the vehicle's axis."""
    bearing = math.radians(bearing_deg)
    return RING_M * math.cos(bearing), RING_M * math.sin(bearing)


def moved(pose: Pose, v: float, w: float, dt: float) -> Pose:
    x, y, yaw = pose
    return x + v * dt * math.cos(yaw), y + v * dt * math.sin(yaw), yaw + w * dt


def drive(cost: Float32Array, heading_rad: float) -> tuple[list[Pose], list[str]]:
    """Turn until the heading is there; every command is put to a guard of its own."""
    room = TurningRoom(footing())
    gate = GroundGuard(GuardConfig(), footing(), Brakes(0.4, 0.4))
    gate.on_pose(0.0, 0.0, 0.0)
    gate.on_cost(cost, SPEC)
    pose, poses, said = (0.0, 0.0, 0.0), [], []
    for tick in range(1200):
        error = math.remainder(heading_rad - pose[2], math.tau)
        turn = error if abs(error) > 0.05 else 0.0
        command = room.step(turn, pose, cost, SPEC)
        if command is None and turn == 0.0:
            return poses, said
        v, w = (0.0, math.copysign(0.3, error)) if command is None else command
        share, why = gate.allowed(v, w, tick)
        assert share > 0.0, f"the gate holds at {pose}: {why}"
        pose = moved(pose, v, w, 0.1)
        gate.on_pose(*pose)
        poses.append(pose)
        said.append(room.reason)
    raise AssertionError(f"the heading was not reached, the last pose is {pose}: {said[-1]}")


def test_where_nothing_is_near_the_turn_is_left_alone() -> None:
    """The tracker's command passes."""
    _, said = drive(ground(), 1.2)
    assert set(said) == {""}


@pytest.mark.parametrize("ahead", [True, False])
def test_rocks_on_both_sides_are_left_before_the_turn(ahead: bool) -> None:
    """Both turns end at a rock; a little farther on or back there is room."""
    bearings = (62.0, -62.0) if ahead else (118.0, -118.0)
    poses, said = drive(ground(*(on_ring(bearing) for bearing in bearings)), 2.0)
    shift_m = poses[-1][0]
    assert 0.1 < abs(shift_m) < 1.6
    assert any("making room" in reason for reason in said)


def test_without_any_room_the_command_is_left_to_the_gate() -> None:
    """Nothing is invented where nothing is free: the recovery behind has the next word."""
    cost = ground(*(on_ring(b) for b in (62.0, -62.0, 118.0, -118.0, 0.0, 180.0)))
    for x in (1.6, -1.6):  # in the wheels' way
        for y in (0.6, -0.6):
            cost = np.maximum(cost, ground((x, y)))
    assert TurningRoom(footing()).step(2.0, (0.0, 0.0, 0.0), cost, SPEC) is None


def test_a_rock_that_comes_into_view_during_the_turn_is_answered() -> None:
    """The map changes while the vehicle turns; the rest of the turn is judged by the new one."""
    room, target = TurningRoom(footing()), 1.2
    assert room.step(target, (0.0, 0.0, 0.0), ground(), SPEC) is None
    answer = room.step(target - 0.2, (0.0, 0.0, 0.2), ground(on_ring(70.0)), SPEC)
    assert answer is not None
    assert answer[0] != 0.0


def test_time_that_went_back_forgets_the_ground() -> None:
    """Rocks of a world that was reset do not stand in the next one."""
    room = TurningRoom(footing())
    rock: Float32Array = ground(on_ring(60.0))
    assert room.step(1.2, (0.0, 0.0, 0.0), rock, SPEC) is not None
    room.forget()
    free: FloatArray = ground()
    assert room.step(1.2, (0.0, 0.0, 0.0), free, SPEC) is None
