"""A site's vehicles as obstacles: guard, map, keep-outs, right of way, the place in odom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ilrs_robots.core.cloud.self_filter import inside_discs
from ilrs_robots.core.control.fleet import FleetConfig, FleetMemory, PeerBody, PeerWord
from ilrs_robots.core.control.gate import CommandGate
from ilrs_robots.core.control.guard_others import first_touch
from ilrs_robots.core.errors import PlanningError
from ilrs_robots.core.geometry import se3
from ilrs_robots.core.types import GridSpec, VelocityCommand
from ilrs_robots.robots.base_places import keep_outs_of_site
from ilrs_robots.robots.fleet import OwnPlace, bodies_of, body_of, memory_of, word_of
from ilrs_robots.robots.model import load_robot
from ilrs_robots.robots.settings import gate_config_of, guard_of, navigator_config_of
from ilrs_robots.robots.site import load_prior, read_site
from ilrs_robots.robots.steps import NavigationStep

S = 1_000_000_000


@pytest.fixture(scope="module")
def model():
    return load_robot("long_range")


def gate_with(model, others):
    """A gate on open flat ground that gets half a second of nav commands."""
    config = gate_config_of(model)
    guard = guard_of(model, config)
    gate = CommandGate(config, guard)
    spec = GridSpec(-20.0, -20.0, 0.2, 201, 201)
    guard.on_cost(np.zeros(spec.shape, np.float32), spec)
    guard.on_pose(0.0, 0.0, 0.0)
    guard.others = np.array(others, dtype=np.float64).reshape(-1, 3)
    return gate


def given_after(gate, v, w):
    for tick in range(60):
        now_ns = tick * S // 20
        gate.on_pose(now_ns)
        gate.on_map(now_ns)
        gate.on_command("nav", VelocityCommand(now_ns, v, w))
        decision = gate.output(now_ns)
    return decision


def test_the_gate_refuses_what_would_hit_another_vehicle_and_lets_it_leave(model) -> None:
    ahead = given_after(gate_with(model, [(3.0, 0.0, 1.5)]), 0.6, 0.0)
    assert ahead.linear_mps == 0.0
    assert ahead.kind == "vehicle"
    assert "another vehicle" in ahead.reason
    assert given_after(gate_with(model, [(3.0, 0.0, 1.5)]), -0.3, 0.0).linear_mps < -0.2
    assert given_after(gate_with(model, [(6.0, 3.5, 1.5)]), 0.6, 0.0).linear_mps == 0.6
    touching = gate_with(model, [(2.0, 0.0, 1.5)])
    assert given_after(touching, -0.3, 0.0).linear_mps < -0.2
    assert given_after(gate_with(model, [(2.0, 0.0, 1.5)]), 0.3, 0.0).linear_mps == 0.0


@settings(max_examples=60, deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(-0.6, 0.6), st.integers(0, 10_000))
def test_no_pose_before_the_first_touch_touches(yaw: float, bend: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    discs = np.column_stack((rng.uniform(-6, 6, (4, 2)), rng.uniform(0.3, 2.0, 4)))
    discs = discs[np.hypot(discs[:, 0], discs[:, 1]) > discs[:, 2] + 1.7]
    half, step, count = (1.3, 1.05), 0.1, 50
    first = first_touch(np.array([0.0, 0.0, yaw]), np.array([1.0, bend]), step, count, half, discs)
    x = y = 0.0
    for n in range(count):
        turned = yaw + bend * step * n
        cos, sin = math.cos(turned), math.sin(turned)
        edge = np.linspace(-1.0, 1.0, 41)
        sides = [np.stack((half[0] * edge, np.full(41, k * half[1])), 1) for k in (-1, 1)]
        ends = [np.stack((np.full(41, k * half[0]), half[1] * edge), 1) for k in (-1, 1)]
        rim = np.concatenate(sides + ends)
        rim = rim @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
        away = np.hypot(*(rim[:, None] - discs[None, :, :2]).transpose(2, 0, 1)) - discs[:, 2]
        touches = len(discs) > 0 and away.min() < -0.08
        if touches:
            assert 0 <= first <= n
            break
        if first == n:
            assert away.min() < 0.12
            break
        middle = turned + 0.5 * bend * step
        x, y = x + step * math.cos(middle), y + step * math.sin(middle)


def test_a_goal_on_the_pad_is_refused_with_its_name_and_paths_keep_off(model) -> None:
    site, prior = load_prior("shackleton")
    step = NavigationStep(model, prior, navigator_config_of(model), "long_range", site)
    pad = next(k for k in keep_outs_of_site(site) if k.name.startswith("landing_pad"))
    assert pad.radius_m == pytest.approx(10.0)
    with pytest.raises(PlanningError, match=rf"{pad.name}.*limit 10\.0 m"):
        step.navigator.set_goal(pad.x_m + 3.0, pad.y_m, None)
    goal = pad.x_m - 16.0, pad.y_m
    step.navigator.set_goal(*goal, None)
    spec = GridSpec(pad.x_m + 8.0, pad.y_m - 8.0, 0.2, 80, 80)
    step.on_traversability(np.zeros(spec.shape, np.float32), spec, np.eye(4), 0)
    T_map_base = se3.from_rpy(np.array([pad.x_m + 16.0, pad.y_m, 0.0]), (0.0, 0.0, math.pi))
    path = step.step(S, T_map_base, 0.0).path_xy_m
    away = np.hypot(path[:, 0] - pad.x_m, path[:, 1] - pad.y_m)
    assert away.min() > pad.radius_m + 0.5 * model.footprint.width_m
    assert math.dist(path[-1], goal) < 0.5


def test_people_go_first_and_no_two_vehicles_have_the_same_right() -> None:
    site = read_site("shackleton")
    bodies = bodies_of(site, "")
    ranks = {name: body.rank for name, body in bodies.items()}
    assert sorted(ranks, key=ranks.__getitem__) == ["crewed_rover", "long_range", "hopper"]
    assert set(bodies_of(site, "hopper")) == {"crewed_rover", "long_range"}
    assert body_of(load_robot("long_range"), "x").radius_m == pytest.approx(
        0.5 * math.hypot(2.6, 2.1)
    )
    assert memory_of(site, "hopper").discs(0) == []


@given(
    st.floats(-50.0, 50.0), st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.floats(-9.0, 9.0)
)  # fmt: skip
def test_a_place_told_in_map_is_found_in_odom(
    x: float, turn: float, yaw: float, away: float
) -> None:
    T_map_odom = se3.from_rpy(np.array([x, -2.0 * x, 0.0]), (0.0, 0.0, turn))
    T_odom_base = se3.from_rpy(np.array([3.0, 4.0, 0.0]), (0.0, 0.0, yaw))
    place = T_map_odom @ [away, 1.0, 0.0, 1.0]
    memory = FleetMemory({"b": PeerBody(1.0, 0.5, (1, "b"))}, FleetConfig())
    assert memory.hear("b", PeerWord(5, float(place[0]), float(place[1])), 5)
    own = OwnPlace()
    assert not len(own.discs_in_odom(memory, 5))
    own.on_odom(5, 3.0, 4.0, yaw)
    T_map_base = T_map_odom @ T_odom_base
    own.on_map(6, 0.0, 0.0, 0.0)
    assert not len(own.discs_in_odom(memory, 5))  # of no pose that is known
    own.on_map(5, T_map_base[0, 3], T_map_base[1, 3], yaw + turn)
    np.testing.assert_allclose(own.discs_in_odom(memory, 5), [(away, 1.0, 1.0)], atol=1e-9)


def test_a_word_says_velocity_in_map_and_the_widest_spread() -> None:
    T = se3.from_rpy(np.array([1.0, 2.0, 3.0]), (0.0, 0.0, math.pi / 2))
    covariance = np.zeros((6, 6))
    covariance[:2, :2] = [[0.04, 0.0], [0.0, 0.25]]
    word = word_of(7, T, np.array([0.5, 0.0, 0.0]), covariance)
    assert (word.vx_mps, word.vy_mps) == (pytest.approx(0.0, abs=1e-12), pytest.approx(0.5))
    assert word.sigma_m == pytest.approx(0.5)


def test_points_on_another_vehicle_are_told_from_the_ground() -> None:
    rng = np.random.default_rng(3)
    xyz = rng.uniform(-20.0, 20.0, (4000, 3)).astype(np.float32)
    T = se3.from_rpy(np.array([100.0, -40.0, 5.0]), (0.1, -0.2, 1.0))
    discs = np.array([[105.0, -38.0, 2.0], [92.0, -44.0, 1.5], [300.0, 0.0, 9.0]])
    world = xyz @ T[:3, :3].T + T[:3, 3]
    away = np.hypot(*(world[:, None, :2] - discs[None, :, :2]).transpose(2, 0, 1)) - discs[:, 2]
    clear = np.abs(away).min(axis=1) > 1e-3
    np.testing.assert_array_equal(
        inside_discs(xyz, T, discs)[clear], (away.min(axis=1) < 0.0)[clear]
    )
    assert not inside_discs(xyz, T, np.zeros((0, 3))).any()
