"""The guard's kernel against the same thing as array expressions, on random ground."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ilrs_robots.core.control.guard_kernel import (
    CLOSED,
    PITCH,
    ROLL,
    SAFE,
    CostTable,
    Reach,
    first_danger,
    is_below_sight,
)
from ilrs_robots.core.planning.attitude_prediction import Heights, predict_attitude
from ilrs_robots.core.types import GridSpec
from ilrs_robots.robots.footing import footing_of
from ilrs_robots.robots.model import load_robot

SPEC = GridSpec(-10.0, -10.0, 0.1, 201, 201)
FOOTING = footing_of(load_robot("long_range"))
PROBES = np.concatenate((FOOTING.wheels_xy_m, [[0.0, 0.0], [0.9, 0.3], [-0.9, -0.3]]))
LIMIT = math.radians(20.0)
STEP, NEAR = 0.1, 40


def array_form(pose, shares, cost, under, heights):
    """First near pose that is not safe, and which of the dangers there are."""
    along = STEP * np.arange(NEAR)
    turned = shares[1] * along
    if abs(shares[1]) < 1e-6:
        ahead, aside = shares[0] * along, 0.0 * along
    else:
        radius = shares[0] / shares[1]
        ahead, aside = radius * np.sin(turned), radius * (1.0 - np.cos(turned))
    c, s = math.cos(pose[2]), math.sin(pose[2])
    poses = np.column_stack(
        (pose[0] + c * ahead - s * aside, pose[1] + s * ahead + c * aside, pose[2] + turned)
    )
    cos, sin = np.cos(poses[:, 2:]), np.sin(poses[:, 2:])
    px, py = PROBES.T
    points = np.stack(
        (poses[:, :1] + cos * px - sin * py, poses[:, 1:2] + sin * px + cos * py), -1
    )
    row, col = SPEC.cell_of(points)
    wheel = np.arange(len(PROBES)) < len(FOOTING.wheels_xy_m)
    value = np.where(wheel, cost[row, col], under[row, col])
    closed, driven = value == 1.0, value == 2.0
    entered = (closed & ~np.logical_and.accumulate(closed | driven, axis=0)).any(axis=1)
    stands = predict_attitude(heights, FOOTING, poses)
    roll, pitch = np.abs(stands.roll_rad), np.abs(stands.pitch_rad)
    found = {
        CLOSED: entered,
        ROLL: roll > max(LIMIT, roll[0] + 0.02),
        PITCH: pitch > max(LIMIT, pitch[0] + 0.02),
    }
    first = {kind: int(np.argmax(bad)) for kind, bad in found.items() if bad.any()}
    at = min(first.values(), default=-1)
    return at, {kind for kind, k in first.items() if k == at} or {SAFE}


@pytest.mark.parametrize("seed", range(6))
def test_kernel_and_arrays_find_the_same_danger(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = np.where(rng.uniform(size=SPEC.shape) < 0.002, 1.0, 0.0).astype(np.float32)
    cost[(rng.uniform(size=SPEC.shape) < 0.3) & (cost > 0.0)] = 2.0
    under = np.where(rng.uniform(size=SPEC.shape) < 0.5, cost, np.float32(0.0))
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    a, b = rng.uniform(0.3, 0.9, 2)
    heights = Heights(SPEC, (0.5 * np.sin(a * x) * np.cos(b * y) / min(a, b)).astype(np.float32))
    table = CostTable(cost, under, SPEC.origin_x_m, SPEC.origin_y_m, SPEC.resolution_m)
    reach = Reach(STEP, NEAR, NEAR, 1.0, 99.0, LIMIT, LIMIT, True, False, False)
    kinds = set()
    for _ in range(60):
        pose = np.array([*rng.uniform(-3.0, 3.0, 2), rng.uniform(-3.0, 3.0)])
        shares = np.array([rng.choice([-1.0, 0.0, 1.0]), rng.uniform(-0.5, 0.5)])
        at, kind, _ = first_danger(
            pose, shares, table, heights.table, FOOTING.table, PROBES, reach, np.full(3, np.nan)
        )
        wanted_at, wanted = array_form(pose, shares, cost, under, heights)
        assert at == wanted_at
        assert kind in wanted
        kinds.add(kind)
    assert len(kinds) > 1


@pytest.mark.parametrize("turn", [0.0, 0.7, -2.0])
def test_what_is_hidden_lies_below_the_line_over_the_edge_or_the_rock_before_it(
    turn: float,
) -> None:
    x, y = np.meshgrid(SPEC.x_m(), SPEC.y_m())
    c, s = math.cos(turn), math.sin(turn)
    ahead = c * x + s * y
    edge = np.where(ahead <= 6.0, 0.0, np.nan).astype(np.float32)
    rock = np.where(np.hypot(x - 5.0 * c, y - 5.0 * s) < 0.6, np.float32(1.0), edge)
    eye, at = np.array([2.0 * c, 2.0 * s, 1.5]), (8.0 * c, 8.0 * s)
    for heights, line_m in ((edge, 1.5 - 1.5 * 6.0 / 4.0), (rock, 1.5 - 0.5 * 6.0 / 3.6)):
        table = Heights(SPEC, heights).table
        assert is_below_sight(table, eye, *at, line_m + 0.15)
        assert not is_below_sight(table, eye, *at, line_m - 0.15)
    nothing = Heights(SPEC, np.full(SPEC.shape, np.nan, np.float32)).table
    assert not is_below_sight(nothing, eye, *at, 9.0)
    assert not is_below_sight(Heights(SPEC, edge).table, np.full(3, np.nan), *at, 9.0)
