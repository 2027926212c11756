"""Sampling control: it follows paths, stays out of closed ground, heeds slopes, repeats itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.control import mppi_kernels
from ilrs_robots.core.control.mppi import SamplingController, path_table
from ilrs_robots.core.control.mppi_config import DrivingLimits, MppiConfig
from ilrs_robots.core.control.mppi_kernels import HIT
from ilrs_robots.core.planning.attitude_prediction import Heights, predict_attitude
from ilrs_robots.core.planning.local_terrain import LocalTerrain, clearance_of, footprint_discs
from ilrs_robots.core.types import FloatArray, GridSpec
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import load_robot

SPEC = GridSpec(-4.0, -8.0, 0.1, 161, 241)
FOOTING = footing_of(load_robot("long_range"))
DISCS = footprint_discs(2.6, 2.1)
LIMITS = DrivingLimits(
    max_speed_mps=0.7, max_yaw_rate_rps=0.35, steer_rate_rps=0.5, steer_arm_m=0.98,
    slip_per_slope=0.445, max_roll_rad=math.radians(28.0), max_pitch_rad=math.radians(28.0),
)  # fmt: skip
SMALL = MppiConfig(rollouts=256, steps=40)


def terrain_of(
    closed: np.ndarray | None = None, heights: np.ndarray | None = None
) -> LocalTerrain:
    cost = np.zeros(SPEC.shape, np.float32)
    if closed is not None:
        cost[closed] = 1.0
    ground = None if heights is None else Heights(SPEC, heights.astype(np.float32))
    return LocalTerrain(SPEC, cost, clearance_of(cost, 0.1, 0.99), ground)


def straight(speed: float = 0.6) -> mppi_kernels.PathTable:
    x = np.arange(0.0, 15.0, 0.2)
    return path_table(np.column_stack((x, np.zeros_like(x))), np.full(len(x), speed))


def drive(
    controller: SamplingController,
    path: mppi_kernels.PathTable,
    terrain: LocalTerrain,
    state: tuple[float, float, float, float, float],
    cycles: int,
) -> FloatArray:
    """States of a vehicle that moves exactly as predicted."""
    states = [state]
    for _ in range(cycles):
        motion = controller.step(states[-1], path, terrain)
        if motion.safe:
            x, y, yaw, v = motion.states[0, :4]
            states.append((x, y, yaw, v, motion.w / max(motion.v, 1e-6)))
        else:
            states.append((*states[-1][:3], 0.0, 0.0))
    return np.array(states)


def reference(state, controls, table, terrain, path) -> float:
    """Cost of one motion written down with arrays and the public predictions."""
    x, y, yaw, v, k = state
    dt, along, across, tilt, cost, since = table.step_s, 0.0, 0.0, 0.0, 0.0, 0.0
    before = np.array([v, k])
    if terrain.heights is not None:
        made = predict_attitude(terrain.heights, FOOTING, np.array([[x, y, yaw]]))
        along = -math.tan(made.pitch_rad[0])
        across = math.tan(made.roll_rad[0]) * math.sqrt(1.0 + along**2)
        tilt = max(abs(math.tan(made.roll_rad[0])) / table.tan_roll, abs(along) / table.tan_pitch)
    near = int(np.argmin(np.hypot(path.xy[:, 0] - x, path.xy[:, 1] - y)))
    for t, (want_v, want_k) in enumerate(controls):
        change = (np.array([want_v, want_k]) - before) / (table.max_v, 1.0)
        cost += table.w_effort * change @ change
        before = np.array([want_v, want_k])
        astray = table.steer_arm * abs(want_k - k)
        share = np.clip((math.radians(30) - astray) / math.radians(25), 0.0, 1.0)
        k += np.clip(want_k - k, -table.k_rate * dt, table.k_rate * dt)
        target = share * min(want_v, table.max_w / max(abs(k), 1e-6))
        v = min(v + table.accel * dt, target) if target > v else max(v - table.decel * dt, target)
        climb, side = math.atan(along), math.atan(across)
        ground_v = v * (1.0 - table.slip * math.sin(climb)) * math.cos(climb)
        side_v = -table.slip * math.sin(side) * v
        middle = yaw + 0.5 * v * k * dt
        x += (ground_v * math.cos(middle) - side_v * math.sin(middle)) * dt
        y += (ground_v * math.sin(middle) + side_v * math.cos(middle)) * dt
        yaw += v * k * dt
        discs = np.column_stack((x + DISCS.along * math.cos(yaw), y + DISCS.along * math.sin(yaw)))
        col = (discs[:, 0] - SPEC.origin_x_m) / 0.1
        row = (discs[:, 1] - SPEC.origin_y_m) / 0.1
        j, i = col.astype(int), row.astype(int)
        u, w = col - j, row - i
        c = terrain.clearance_m.astype(float)
        gap = (
            (1 - w) * ((1 - u) * c[i, j] + u * c[i, j + 1])
            + w * ((1 - u) * c[i + 1, j] + u * c[i + 1, j + 1])
        ).min() - DISCS.radius
        since += ground_v * dt
        if since >= 0.15 and terrain.heights is not None:
            since = 0.0
            made = predict_attitude(terrain.heights, FOOTING, np.array([[x, y, yaw]]))
            along, roll = -math.tan(made.pitch_rad[0]), made.roll_rad[0]
            across = math.tan(roll) * math.sqrt(1.0 + along**2)
            tilt = max(abs(math.tan(roll)) / table.tan_roll, abs(along) / table.tan_pitch)
        if gap < 0.0 or tilt > 1.0:
            return cost + HIT * (2.0 - t / len(controls))
        cost += dt * (table.w_near * math.exp(-max(gap, 0.0) / table.near))
        cost += dt * table.w_attitude * tilt**2
        while near + 1 < len(path.xy) and np.hypot(*(path.xy[near + 1] - (x, y))) <= np.hypot(
            *(path.xy[near] - (x, y))
        ):
            near += 1
        tx, ty = path.tangent[near]
        dx, dy = (x, y) - path.xy[near]
        cost += dt * table.w_lateral * (tx * dy - ty * dx) ** 2
        cost += dt * table.w_heading * (1.0 - (math.cos(yaw) * tx + math.sin(yaw) * ty))
        short = (path.speed[near] - ground_v) / table.max_v
        cost += dt * (table.w_speed if short > 0 else table.w_fast) * short**2
    gained = path.along[near] + dx * tx + dy * ty
    return cost + table.w_end * max(path.along[-1] - gained, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_gives_what_the_arrays_give(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    heights = 0.05 * np.sin(0.7 * x + seed) + 0.06 * np.cos(0.9 * y)
    terrain = terrain_of(np.hypot(x - 4.0, y - 2.4) < 0.6, heights)
    controller = SamplingController(SMALL, LIMITS, DISCS, FOOTING)
    controls = np.column_stack((rng.uniform(0.0, 0.7, 40), rng.uniform(-0.4, 0.4, 40)))
    state = (0.1, 0.2, 0.1, 0.3, 0.05)
    path, table = straight(), controller._table
    rest = (table, DISCS, FOOTING.table, terrain.table, path)
    cost, _ = controller._predict(np.array(state), controls, rest)
    expected = reference(state, controls, table, terrain, path)
    assert cost == pytest.approx(expected, rel=2e-3)


def test_a_path_is_followed_at_the_wanted_speed() -> None:
    controller = SamplingController(SMALL, LIMITS, DISCS, FOOTING)
    states = drive(controller, straight(), terrain_of(), (0.0, 0.6, 0.0, 0.0, 0.0), 150)
    assert np.abs(states[-50:, 1]).max() < 0.1
    assert states[-50:, 3].mean() == pytest.approx(0.6, abs=0.05)
    assert states[-1, 0] > 7.0


def test_closed_ground_on_the_path_is_driven_around_and_never_touched() -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    closed = np.hypot(x - 6.0, y - 0.25) < 0.4
    controller = SamplingController(SMALL, LIMITS, DISCS, FOOTING)
    states = drive(controller, straight(), terrain_of(closed), (0.0, 0.0, 0.0, 0.0, 0.0), 260)
    rows, cols = np.nonzero(closed)
    rocks = SPEC.xy_of(rows, cols)
    for sx, sy, yaw in states[:, :3]:
        dx, dy = rocks[:, 0] - sx, rocks[:, 1] - sy
        along = np.cos(yaw) * dx + np.sin(yaw) * dy
        across = -np.sin(yaw) * dx + np.cos(yaw) * dy
        assert not ((np.abs(along) < 1.3) & (np.abs(across) < 1.05)).any()
    assert states[-1, 0] > 8.0


def test_a_wall_across_the_path_is_not_touched() -> None:
    x, _ = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    controller = SamplingController(SMALL, LIMITS, DISCS, FOOTING)
    terrain = terrain_of(np.abs(x - 4.0) < 0.3)
    states = drive(controller, straight(), terrain, (0.0, 0.0, 0.0, 0.5, 0.0), 200)
    assert states[:, 0].max() < 4.0 - 0.3 - 1.3 + 0.1
    assert states[-1, 3] < 0.1


def test_ground_that_would_tip_it_is_not_entered() -> None:
    """A bank beside the path: on the line the roll would be over the limit."""
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    bank = np.clip(y + 0.3, 0.0, None) * math.tan(math.radians(40.0)) * (x > 4.0)
    controller = SamplingController(SMALL, LIMITS, DISCS, FOOTING)
    terrain = terrain_of(None, bank)
    states = drive(controller, straight(), terrain, (0.0, 0.0, 0.0, 0.0, 0.0), 160)
    made = predict_attitude(terrain.heights, FOOTING, states[:, :3])
    assert np.nanmax(np.abs(made.roll_rad)) < math.radians(28.0)


def test_on_a_side_slope_drift_is_steered_against_and_uphill_slip_is_made_good() -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    for heights, slipping in ((0.25 * y, False), (0.25 * x, True)):
        controller = SamplingController(SMALL, LIMITS, DISCS, FOOTING)
        states = drive(
            controller, straight(0.4), terrain_of(None, heights), (0.0, 0.0, 0.0, 0.0, 0.0), 160
        )
        assert np.abs(states[-60:, 1]).max() < 0.15
        if slipping:
            gained = np.diff(states[-60:, 0]) / 0.1
            assert gained.mean() == pytest.approx(0.4, abs=0.05)
            assert states[-60:, 3].mean() > 0.42


def test_equal_calls_give_equal_answers() -> None:
    runs = [
        drive(SamplingController(SMALL, LIMITS, DISCS, FOOTING), straight(), terrain_of(),
              (0.0, 0.4, 0.2, 0.0, 0.0), 20)
        for _ in range(2)
    ]  # fmt: skip
    np.testing.assert_array_equal(runs[0], runs[1])


def test_a_motion_that_is_proposed_is_tried() -> None:
    """With no noise at all the proposal is the only motion but a stop."""
    still = MppiConfig(rollouts=16, speed_sigma=0.0)
    controller = SamplingController(still, LIMITS, DISCS, FOOTING)
    motion = controller.step(
        (0.0, 0.0, 0.0, 0.4, 0.0), straight(), terrain_of(), np.array([[0.5, 0.0]])
    )
    assert motion.safe
    assert motion.v > 0.3
